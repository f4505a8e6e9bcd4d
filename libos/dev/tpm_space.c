/* SPDX-License-Identifier: MIT */
/* What one who opens /dev/tpmrm0 has in the TPM, which has room for a few objects only: between commands everything is saved
 * outside of it, encrypted by the TPM itself. Objects go by handles of the space's own; sessions keep theirs. All of it
 * holds tpm_lock. Spec: TPM 2.0 library, part 1: 30 (context management), part 3: 28; TSS 2.0, TAB and resource manager. */
#include "tpm_int.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <mbedtls/platform_util.h>
#include <string.h>

enum { OBJECTS = 3, SESSIONS = 3, OWN_MAX = 0xffffff };

/* Of a session handle is also what it goes by; an object has it while it is loaded. 0: a free slot. */
struct saved {
    uint32_t handle;
    uint8_t *context; /* NULL while it is loaded */
    size_t size;
};

struct tpm_space {
    struct saved objects[OBJECTS], sessions[SESSIONS];
    uint8_t command[TPM_BUFFER], answer[TPM_BUFFER]; /* of the space's own */
};

static uint32_t type_of(uint32_t handle)
{
    return handle >> 24;
}

static bool is_session(uint32_t handle)
{
    return type_of(handle) == TPM_HT_HMAC_SESSION || type_of(handle) == TPM_HT_POLICY_SESSION;
}

struct tpm_space *tpm_space_create(void)
{
    return heap_zalloc(sizeof(struct tpm_space));
}

static void forget(struct saved *o)
{
    if (o->context)
        mbedtls_platform_zeroize(o->context, o->size);
    heap_free(o->context);
    *o = (struct saved){ 0 };
}

/* A command of the space's own about one handle. The answer's size; -EIO: refused, with the code in answer. */
static ssize_type ask(struct tpm_space *s, uint32_t code, uint32_t handle)
{
    ssize_type n;

    tpm_header(s->command, TPM_HEADER + 4, code);
    tpm_put32(s->command + TPM_HEADER, handle);
    n = tpm_send(s->command, TPM_HEADER + 4, s->answer);
    return n > 0 && tpm_get32(s->answer + 6) ? -EIO : n;
}

static void flush(struct tpm_space *s, uint32_t handle)
{
    (void)!ask(s, TPM_CC_FLUSH_CONTEXT, handle); /* what it refuses is gone */
}

/* Something went wrong in between: nobody knows what is loaded. */
static void clear(struct tpm_space *s)
{
    for (int i = 0; i < OBJECTS; i++) {
        if (s->objects[i].handle && !s->objects[i].context)
            flush(s, s->objects[i].handle);
        forget(&s->objects[i]);
    }
    for (int i = 0; i < SESSIONS; i++) {
        if (s->sessions[i].handle)
            flush(s, s->sessions[i].handle);
        forget(&s->sessions[i]);
    }
}

void tpm_space_destroy(struct tpm_space *s)
{
    mutex_lock(&tpm_lock);
    clear(s);
    mutex_unlock(&tpm_lock);
    mbedtls_platform_zeroize(s, sizeof(*s));
    heap_free(s);
}

/* Load what was saved. A refusal means that the TPM has forgotten it, by a restart or at somebody's wish: so does the space. */
static int load(struct tpm_space *s, struct saved *o)
{
    ssize_type n;

    if (!o->context)
        return 0;
    tpm_header(s->command, (uint32_t)(TPM_HEADER + o->size), TPM_CC_CONTEXT_LOAD);
    memcpy(s->command + TPM_HEADER, o->context, o->size);
    n = tpm_send(s->command, TPM_HEADER + o->size, s->answer);
    if (n < 0)
        return (int)n;
    if (tpm_get32(s->answer + 6)) {
        forget(o);
        return 0;
    }
    if (n < TPM_HEADER + 4)
        return -EIO;
    forget(o);
    o->handle = tpm_get32(s->answer + TPM_HEADER);
    return 0;
}

/* Save what is loaded: a session is out of the TPM by that, an object once it is flushed. */
static int save(struct tpm_space *s, struct saved *o)
{
    ssize_type n;

    if (!o->handle)
        return 0;
    n = ask(s, TPM_CC_CONTEXT_SAVE, o->handle);
    if (n == -EIO && tpm_get32(s->answer + 6)) {
        forget(o); /* ended by the command that was sent */
        return 0;
    }
    if (n < 0)
        return (int)n;
    o->size = (size_t)n - TPM_HEADER;
    o->context = heap_alloc(o->size);
    if (!o->context)
        return -ENOMEM;
    memcpy(o->context, s->answer + TPM_HEADER, o->size);
    if (!is_session(o->handle))
        flush(s, o->handle);
    return 0;
}

static int each(struct tpm_space *s, int (*fn)(struct tpm_space *s, struct saved *o))
{
    int err = 0;

    for (int i = 0; !err && i < OBJECTS; i++)
        err = fn(s, &s->objects[i]);
    for (int i = 0; !err && i < SESSIONS; i++)
        err = fn(s, &s->sessions[i]);
    return err;
}

/* The slot that a handle of the space's own means; NULL. */
static struct saved *own(struct tpm_space *s, uint32_t handle)
{
    uint32_t i = OWN_MAX - (handle & OWN_MAX);

    return i < OBJECTS && s->objects[i].handle ? &s->objects[i] : NULL;
}

static uint32_t own_handle(const struct tpm_space *s, const struct saved *o)
{
    return (uint32_t)TPM_HT_TRANSIENT << 24 | (uint32_t)(OWN_MAX - (o - s->objects));
}

/* Put the TPM's handles in place of the space's own. */
static int to_chip(struct tpm_space *s, uint8_t *command, size_t n, uint32_t attributes)
{
    uint32_t handles = attributes >> TPM_CC_HANDLES_SHIFT & 7;

    if (n < TPM_HEADER + 4 * (size_t)handles)
        return -EINVAL;
    for (uint32_t i = 0; i < handles; i++) {
        uint8_t *p = command + TPM_HEADER + 4 * i;
        struct saved *o;

        if (type_of(tpm_get32(p)) != TPM_HT_TRANSIENT)
            continue;
        o = own(s, tpm_get32(p));
        if (!o)
            return -EINVAL;
        tpm_put32(p, o->handle);
    }
    return 0;
}

static struct saved *find(struct saved *list, int n, uint32_t handle)
{
    for (int i = 0; i < n; i++)
        if (list[i].handle == handle)
            return &list[i];
    return NULL;
}

/* A new object or session: give it a slot, and an object its name. */
static int adopt(struct tpm_space *s, uint8_t *handle_at)
{
    uint32_t handle = tpm_get32(handle_at);
    bool session = is_session(handle);
    struct saved *o;

    if (!session && type_of(handle) != TPM_HT_TRANSIENT)
        return 0;
    o = session ? find(s->sessions, SESSIONS, handle) : NULL; /* loaded again by its owner */
    if (!o)
        o = find(session ? s->sessions : s->objects, session ? (int)SESSIONS : (int)OBJECTS, 0);
    if (!o) {
        flush(s, handle);
        return -ENOMEM;
    }
    forget(o);
    o->handle = handle;
    if (!session)
        tpm_put32(handle_at, own_handle(s, o));
    return 0;
}

/* A list of handles: those of objects by the space's own names, without those of others. The new size; -EIO: no list. */
static ssize_type list_handles(struct tpm_space *s, uint8_t *ret, size_t n)
{
    enum { COUNT = 15, FIRST = 19 };
    uint32_t count, kept = 0;

    if (n < FIRST || tpm_get32(ret + 11) != TPM_CAP_HANDLES)
        return (ssize_type)n;
    count = tpm_get32(ret + COUNT);
    if (count > (n - FIRST) / 4)
        return -EIO;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t handle = tpm_get32(ret + FIRST + 4 * i);

        if (type_of(handle) == TPM_HT_TRANSIENT) {
            struct saved *o = find(s->objects, OBJECTS, handle);
            if (!o)
                continue;
            handle = own_handle(s, o);
        }
        tpm_put32(ret + FIRST + 4 * kept++, handle);
    }
    tpm_put32(ret + COUNT, kept);
    n = FIRST + 4 * kept;
    tpm_put32(ret + 2, (uint32_t)n);
    return (ssize_type)n;
}

static void flushed(struct tpm_space *s, uint32_t handle)
{
    struct saved *o = find(s->objects, OBJECTS, handle);

    if (!o)
        o = find(s->sessions, SESSIONS, handle);
    if (o)
        forget(o);
}

/* Put the space's own handles in place of the TPM's. */
static ssize_type from_chip(struct tpm_space *s, const uint8_t *command, uint8_t *ret, ssize_type n,
                            uint32_t attributes)
{
    uint32_t code = tpm_get32(command + 6);
    int err = 0;

    if (n < 0 || tpm_get32(ret + 6))
        return n;
    if (code == TPM_CC_FLUSH_CONTEXT)
        flushed(s, tpm_get32(command + TPM_HEADER));
    else if (code == TPM_CC_GET_CAPABILITY)
        return list_handles(s, ret, (size_t)n);
    else if (attributes & TPM_CC_RHANDLE)
        err = n < TPM_HEADER + 4 ? -EIO : adopt(s, ret + TPM_HEADER);
    return err ? err : n;
}

ssize_type tpm_space_send(struct tpm_space *s, uint8_t *command, size_t n, uint8_t *ret)
{
    uint32_t attributes = tpm_attributes(tpm_get32(command + 6));
    ssize_type got;
    int err;

    if (!attributes) {
        tpm_header(ret, TPM_HEADER, TPM_RC_COMMAND_CODE | TPM_RM_LAYER);
        return TPM_HEADER;
    }
    err = each(s, load);
    if (!err) {
        got = to_chip(s, command, n, attributes);
        if (!got)
            got = from_chip(s, command, ret, tpm_send(command, n, ret), attributes);
        err = each(s, save);
    }
    if (err)
        clear(s);
    return err ? err : got;
}
