/* SPDX-License-Identifier: MIT */
/* name_to_handle_at, open_by_handle_at. */
#include "name.h"
#include "sys_proto.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/prctl.h>
#include <libos/file.h>
#include <libos/handle.h>
#include <libos/mount.h>
#include <libos/process.h>
#include <libos/user.h>
#include <libos/vfs.h>

enum { HEAD = 8, /* bytes and type */ ID_UNIQUE = 1, FOR_COMPARISON = 0x200, CONNECTABLE = 2 };

static int get(void *to, uintptr_t user, size_t n)
{
    return user_get((uint8_t *)to, user_at(user_u8_in_t, user), n);
}

static int put(uintptr_t user, const void *from, size_t n)
{
    return user_put(user_at(user_u8_out_t, user), (const uint8_t *)from, n);
}

/* The id of the mount, and as much of the handle as the program has room for. */
static int put_handle(const struct path *p, const struct handle *h, uint32_t room, uintptr_t handle,
                      uintptr_t mount_id, bool unique)
{
    struct handle out = *h;
    uint64_t id = unique ? mount_unique_id(p->mount) : (uint64_t)p->mount->id;
    bool fits = room >= h->bytes;
    if (put(mount_id, &id, unique ? sizeof(uint64_t) : sizeof(int)) ||
        put(handle, &out, HEAD + (fits ? h->bytes : 0)))
        return -EFAULT;
    return fits ? 0 : -EOVERFLOW;
}

long sys_name_to_handle_at(int dfd, user_str_t path, user_void_inout_t handle,
                           user_int_out_t mount_id, unsigned flags)
{
    const unsigned known =
        AT_SYMLINK_FOLLOW | AT_EMPTY_PATH | FOR_COMPARISON | ID_UNIQUE | CONNECTABLE;
    struct handle h;
    struct path p;
    uint32_t room;
    if (flags & ~known || (flags & FOR_COMPARISON && flags & CONNECTABLE))
        return -EINVAL;
    long err = name_walk(
        dfd, path, (flags & AT_EMPTY_PATH) | (flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW),
        &p);
    if (err)
        return err;
    err = handle_of(&p, &h);
    if (!err && get(&room, handle.addr, sizeof(room)))
        err = -EFAULT;
    if (!err && room > HANDLE_MAX)
        err = -EINVAL;
    if (!err)
        err = put_handle(&p, &h, room, handle.addr, mount_id.addr, flags & ID_UNIQUE);
    path_put(&p);
    return err;
}

static int get_handle(struct handle *h, uintptr_t user)
{
    if (get(h, user, HEAD))
        return -EFAULT;
    if (!h->bytes || h->bytes > HANDLE_MAX)
        return -EINVAL;
    return get(h->data, user + HEAD, h->bytes) ? -EFAULT : 0;
}

long sys_open_by_handle_at(int mountdirfd, user_void_inout_t handle, unsigned flags)
{
    struct handle h;
    struct file *f;
    struct path p;
    long err = path_walk(mountdirfd, "", WALK_EMPTY, &p);
    if (err)
        return err;
    if (!cred_capable(CAP_DAC_READ_SEARCH))
        err = -EPERM;
    if (!err)
        err = get_handle(&h, handle.addr);
    if (!err)
        err = handle_open(&p, &h, flags & ~(unsigned)(O_CREAT | O_EXCL | O_CLOEXEC), &f);
    path_put(&p);
    return err ? err : fd_install(f, flags & O_CLOEXEC);
}
