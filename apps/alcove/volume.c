/* SPDX-License-Identifier: MIT */
/* `alcove volume` and the -v option. A volume is a file that holds an ext4 file system and nothing else; what is something else is
 * an error that says what to do. mke2fs makes them, e2fsck checks them. */
#include "volume.h"

#include "commands.h"
#include "tools.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SUPER_AT = 1024, SUPER_SIZE = 1024, SIZE_LEAST = 4 << 20 };

/* What the superblock says. */
struct volume {
    uint64_t size; /* of the file */
    uint64_t blocks, free;
    uint32_t block, incompat, state;
    char label[17], uuid[37];
};

static uint32_t le(const unsigned char *p, unsigned n)
{
    uint32_t v = 0;
    while (n--)
        v = v << 8 | p[n];
    return v;
}

/* Why the file cannot be a volume; NULL: it is one. */
static const char *volume_read(const char *path, struct volume *v)
{
    unsigned char s[SUPER_SIZE];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return strerror(errno);
    if (fstat(fd, &st) < 0 || pread(fd, s, sizeof(s), SUPER_AT) != sizeof(s))
        memset(s, 0, sizeof(s));
    off_t end = lseek(fd, 0, SEEK_END);
    close(fd);
    if (S_ISDIR(st.st_mode))
        return "is a directory; a volume is a file made by alcove volume create";
    if (le(s + 56, 2) != 0xef53)
        return "is not an ext4 file system; make one with alcove volume create";
    *v = (struct volume){ .size = end > 0 ? (uint64_t)end : 0,
                          .block = 1024u << (le(s + 24, 4) & 7) };
    v->incompat = le(s + 96, 4);
    v->state = le(s + 58, 2);
    bool wide = v->incompat & 0x80;
    v->blocks = le(s + 4, 4) | (wide ? (uint64_t)le(s + 0x150, 4) << 32 : 0);
    v->free = le(s + 12, 4) | (wide ? (uint64_t)le(s + 0x158, 4) << 32 : 0);
    memcpy(v->label, s + 120, 16);
    for (unsigned i = 0, at = 0; i < 16; i++) {
        at += (unsigned)sprintf(v->uuid + at, "%02x", s[104 + i]);
        if (i == 3 || i == 5 || i == 7 || i == 9)
            v->uuid[at++] = '-';
    }
    return NULL;
}

/* FILE:/POINT[:ro] */
static void take(const char *text, struct vm_spec *vm, struct list *mounts)
{
    struct volume v;
    char *path = xstrdup(text), *end = path + strlen(path);
    bool ro = ends_with(path, ":ro");
    if (ro)
        *(end -= 3) = '\0';
    else if (ends_with(path, ":rw"))
        *(end -= 3) = '\0';
    char *point = strrchr(path, ':');
    if (!point || point == path || point[1] != '/' || !point[2])
        fail("-v", "'%s' is not FILE:/DIRECTORY[:ro]", text);
    *point++ = '\0';
    if (strpbrk(point, " \""))
        fail("-v", "'%s': a mount point has no spaces or quotes", point);
    const char *wrong = volume_read(path, &v);
    if (wrong)
        fail(path, "%s", wrong);
    if (v.blocks * v.block > v.size)
        fail(path, "is shorter than the file system in it; it was cut off");
    if (access(path, ro ? R_OK : R_OK | W_OK) < 0)
        fail_errno(path, errno, "cannot be used");
    if (vm->nvolumes == VM_VOLUMES_MAX)
        fail("-v", "more than %d volumes", VM_VOLUMES_MAX);
    list_add(mounts,
             xprintf("SERIAL=alcove-vol%u:ext4:%s%s", vm->nvolumes, point, ro ? ":ro" : ""));
    vm->volumes[vm->nvolumes++] = (struct vm_volume){ path_absolute(path), ro };
}

void volumes_take(const struct list *given, struct vm_spec *vm, struct list *mounts)
{
    for (size_t i = 0; i < given->n; i++)
        take(given->v[i], vm, mounts);
}

static uint64_t size_read(const char *s)
{
    char *end;
    unsigned long long n = strtoull(s, &end, 10);
    int shift = *end == 'T' ? 40 : *end == 'G' ? 30 : *end == 'M' ? 20 : *end == 'K' ? 10 : -1;
    if (*s < '0' || *s > '9' || shift < 0 || end[1] || n == 0 || n > (1ULL << 50 >> shift))
        fail("volume create", "'%s' is not a size; write for example 512M or 10G", s);
    if (n << shift < SIZE_LEAST)
        fail("volume create", "%s is too small for a file system; at least 4M", s);
    return (uint64_t)n << shift;
}

static int create(const char *label, int argc, char **argv)
{
    if (argc != 2)
        fail("volume create", "write alcove volume create FILE SIZE, for example data.img 1G");
    uint64_t size = size_read(argv[1]);
    int fd = open(argv[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        fail_errno(argv[0], errno, errno == EEXIST ? "is not overwritten" : "cannot be made");
    if (ftruncate(fd, (off_t)size) < 0)
        fail_errno(argv[0], errno, "cannot be made so large");
    close(fd);
    struct buf out = { 0 };
    const char *const args[] = { "mke2fs",
                                 "-q",
                                 "-F",
                                 "-t",
                                 "ext4",
                                 "-b",
                                 "4096",
                                 "-m",
                                 "0",
                                 "-E",
                                 "lazy_itable_init=1,nodiscard",
                                 "-L",
                                 label,
                                 argv[0],
                                 NULL };
    tool_run(args, "MKE2FS_SYNC=0", "e2fsprogs", &out);
    return 0;
}

static void print(const char *path, const struct volume *v)
{
    const char *state = v->incompat & 4 ? "in use, or not unmounted"
                        : v->state & 2  ? "damaged"
                                        : "clean";
    printf("%-24s ext4  %8llu MiB  %8llu MiB free  %s%s%s\n", path,
           (unsigned long long)(v->size >> 20), (unsigned long long)(v->free * v->block >> 20),
           state, *v->label ? "  " : "", v->label);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int ls(int argc, char **argv)
{
    const char *dir = argc ? argv[0] : ".";
    struct dirent **names;
    int n = scandir(dir, &names, NULL, by_name);
    if (n < 0)
        fail_errno(dir, errno, "cannot be listed");
    for (int i = 0; i < n; i++) {
        struct volume v;
        char *path = argc ? path_join(dir, names[i]->d_name) : names[i]->d_name;
        struct stat st;
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && !volume_read(path, &v))
            print(path, &v);
    }
    return 0;
}

static int inspect(int argc, char **argv)
{
    struct volume v;
    if (argc != 1)
        fail("volume inspect", "write alcove volume inspect FILE");
    const char *wrong = volume_read(argv[0], &v);
    if (wrong)
        fail(argv[0], "%s", wrong);
    print(argv[0], &v);
    printf("UUID=%s\nblocks of %u bytes: %llu, free %llu\n", v.uuid, v.block,
           (unsigned long long)v.blocks, (unsigned long long)v.free);
    return 0;
}

static int check(int argc, char **argv)
{
    struct volume v;
    if (argc != 1)
        fail("volume check", "write alcove volume check FILE");
    const char *wrong = volume_read(argv[0], &v);
    if (wrong)
        fail(argv[0], "%s", wrong);
    char *path = tool_find("e2fsck");
    if (!path)
        fail("e2fsck", "is not installed; install it (Debian: apt install e2fsprogs)");
    fflush(NULL);
    /* A journal that waits to be replayed is no damage: it is replayed first. */
    const char *mode = v.incompat & 4 ? "-fp" : "-fn";
    pid_t pid = fork();
    if (pid == 0) {
        execl(path, "e2fsck", mode, argv[0], (char *)NULL);
        _exit(127);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        fail_errno("e2fsck", errno, "cannot be run");
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 127;
    if (code > 1)
        fail(argv[0], "is damaged; e2fsck -f %s may mend it", argv[0]);
    return 0;
}

/* Take --label out of the words; "". */
static const char *take_label(int *argc, char **argv)
{
    const char *label = "";
    int n = 0;
    for (int i = 0; i < *argc; i++) {
        if (strncmp(argv[i], "--label=", 8) == 0)
            label = argv[i] + 8;
        else if (strcmp(argv[i], "--label") == 0 && i + 1 < *argc)
            label = argv[++i];
        else if (argv[i][0] == '-')
            fail("volume", "does not know '%s'; see alcove volume --help", argv[i]);
        else
            argv[n++] = argv[i];
    }
    if (strlen(label) > 16)
        fail("--label", "'%s' has more than 16 characters", label);
    *argc = n;
    return label;
}

int command_volume(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        help_print("volume");
        return argc < 2;
    }
    const char *name = argv[1];
    argc -= 2;
    argv += 2;
    const char *label = take_label(&argc, argv);
    if (strcmp(name, "create") == 0)
        return create(label, argc, argv);
    if (strcmp(name, "ls") == 0)
        return ls(argc, argv);
    if (strcmp(name, "inspect") == 0)
        return inspect(argc, argv);
    if (strcmp(name, "check") == 0)
        return check(argc, argv);
    fail("volume", "does not know '%s'; create, ls, inspect or check", name);
}
