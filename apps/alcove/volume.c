/* SPDX-License-Identifier: MIT */
/* `alcove volume` and the -v option. A volume is a file that holds an ext4 file system and nothing else; what is something else is
 * an error that says what to do. mke2fs makes them, e2fsck checks them. */
#include "volume.h"

#include "commands.h"
#include "luks.h"
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

enum { LUKS_SIZE = 512, SUPER_AT = 1024, SUPER_SIZE = 1024, SIZE_LEAST = 4 << 20 };

/* What the superblock says, or that there is a LUKS2 header. */
struct volume {
    bool luks;     /* size, label and uuid are set, nothing else */
    uint64_t size; /* of the file */
    uint64_t blocks, free;
    uint32_t block, incompat, state;
    char label[17], uuid[37];
};

/* The options of a command. */
struct words {
    const char *label;
    bool luks;
    struct luks_spec spec;
};

static uint32_t le(const unsigned char *p, unsigned n)
{
    uint32_t v = 0;
    while (n--)
        v = v << 8 | p[n];
    return v;
}

/* The first block of a LUKS header: "LUKS2 On-Disk Format Specification", 2.1. */
static const char *luks_read(const unsigned char h[LUKS_SIZE], off_t end, struct volume *v)
{
    if (h[6] != 0 || h[7] != 2)
        return "is a LUKS1 volume; only LUKS2 is known: see cryptsetup convert";
    *v = (struct volume){ .luks = true, .size = end > 0 ? (uint64_t)end : 0 };
    memcpy(v->label, h + 0x18, 16);
    memcpy(v->uuid, h + 0xa8, 36);
    return NULL;
}

/* Why the file cannot be a volume; NULL: it is one. */
static const char *volume_read(const char *path, struct volume *v)
{
    unsigned char s[SUPER_SIZE], h[LUKS_SIZE];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return strerror(errno);
    bool luks = pread(fd, h, sizeof(h), 0) == sizeof(h) && memcmp(h, "LUKS\xba\xbe", 6) == 0;
    if (fstat(fd, &st) < 0 || pread(fd, s, sizeof(s), SUPER_AT) != sizeof(s))
        memset(s, 0, sizeof(s));
    off_t end = lseek(fd, 0, SEEK_END);
    close(fd);
    if (S_ISDIR(st.st_mode))
        return "is a directory; a volume is a file made by alcove volume create";
    if (luks)
        return luks_read(h, end, v);
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

/* The file that --key names for the volume at point; NULL: none does. used: marks each --key that was wanted. */
static const char *take_key(const struct list *keys, const char *point, bool *used)
{
    size_t n = strlen(point);
    for (size_t i = 0; i < keys->n; i++) {
        const char *k = keys->v[i];
        if (strncmp(k, point, n) != 0 || k[n] != '=')
            continue;
        if (strncmp(k + n + 1, "file:", 5) != 0 || !k[n + 6])
            fail("--key", "'%s' is not /DIR=file:PATH", k);
        if (access(k + n + 6, R_OK) < 0)
            fail_errno(k + n + 6, errno, "cannot be read");
        used[i] = true;
        return k + n + 6;
    }
    return NULL;
}

void volume_attach(const char *path, bool ro, const char *point, struct vm_spec *vm)
{
    if (access(path, ro ? R_OK : R_OK | W_OK) < 0)
        fail_errno(path, errno, "cannot be used");
    if (vm->nvolumes == VM_VOLUMES_MAX)
        fail("-v", "more than %d volumes", VM_VOLUMES_MAX);
    vm->volumes[vm->nvolumes++] =
        (struct vm_volume){ .path = path_absolute(path), .read_only = ro, .point = point };
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A directory of this machine, by virtio-9p. */
static void take_directory(const char *path, bool ro, const char *point, struct vm_spec *vm,
                           struct list *mounts)
{
    if (vm->vmm)
        fail("-v", "%s cannot share the directory %s; QEMU can", vm->vmm, path);
    list_add(mounts, xprintf("alcove-vol%u:9p:%s%s", vm->nvolumes, point, ro ? ":ro" : ""));
    volume_attach(path, ro, point, vm);
    vm->volumes[vm->nvolumes - 1].directory = true;
}

/* FILE:/POINT[:ro] */
static void take(const char *text, const struct list *keys, bool *used, struct vm_spec *vm,
                 struct list *mounts)
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
    if (is_directory(path)) {
        take_directory(path, ro, point, vm, mounts);
        return;
    }
    const char *wrong = volume_read(path, &v);
    if (wrong)
        fail(path, "%s", wrong);
    if (!v.luks && v.blocks * v.block > v.size)
        fail(path, "is shorter than the file system in it; it was cut off");
    const char *key = take_key(keys, point, used);
    if (key && !v.luks)
        fail(path, "is not encrypted, and --key names it; see alcove volume create --luks");
    struct buf options = { 0 };
    buf_printf(&options, "%s%s%s", ro ? "ro" : "", ro && v.luks ? "," : "",
               !v.luks ? ""
               : key   ? "key=host"
                       : "key=console");
    const char *source = vm->vmm ? xprintf("vd%c", (int)('a' + vm->nvolumes))
                                 : xprintf("SERIAL=alcove-vol%u", vm->nvolumes);
    list_add(mounts, xprintf("%s:%s:%s%s%s", source, v.luks ? "luks2+ext4" : "ext4", point,
                             options.len ? ":" : "", options.len ? options.s : ""));
    volume_attach(path, ro, point, vm);
    vm->volumes[vm->nvolumes - 1].key = key;
}

void volumes_take(const struct list *given, const struct list *keys, struct vm_spec *vm,
                  struct list *mounts)
{
    bool *used = xcalloc(keys->n + 1, sizeof(*used));
    if (keys->n && vm->vmm)
        fail("--key", "%s has no channel for keys; leave it out and type the passphrase in",
             vm->vmm);
    for (size_t i = 0; i < given->n; i++)
        take(given->v[i], keys, used, vm, mounts);
    for (size_t i = 0; i < keys->n; i++)
        if (!used[i])
            fail("--key", "'%s' names no volume of -v; write /DIR=file:PATH", keys->v[i]);
    free(used);
}

void volume_key(const struct vm_spec *vm, const char *point, struct buf *out)
{
    unsigned char piece[24]; /* the guest's lines are short */
    for (unsigned i = 0; i < vm->nvolumes; i++) {
        const struct vm_volume *v = &vm->volumes[i];
        FILE *f = v->key && strcmp(v->point, point) == 0 ? fopen(v->key, "rbe") : NULL;
        if (!f)
            continue;
        setvbuf(f, NULL, _IONBF, 0);
        for (size_t n; (n = fread(piece, 1, sizeof(piece), f)) > 0;) {
            buf_str(out, "key ");
            for (size_t k = 0; k < n; k++)
                buf_printf(out, "%02x", piece[k]);
            buf_str(out, "\n");
        }
        fclose(f);
        buf_str(out, "key end\n");
        return;
    }
    buf_str(out, "key none\n");
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

/* An empty ext4 file system in the file at path, which is there. */
static void make_ext4(const char *path, const char *label)
{
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
                                 path,
                                 NULL };
    tool_run(args, "MKE2FS_SYNC=0", "e2fsprogs", &out);
}

static void make_file(const char *path, uint64_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        fail_errno(path, errno, errno == EEXIST ? "is not overwritten" : "cannot be made");
    if (ftruncate(fd, (off_t)size) < 0)
        fail_errno(path, errno, "cannot be made so large");
    close(fd);
}

static int create(const struct words *w, int argc, char **argv)
{
    if (argc != 2)
        fail("volume create", "write alcove volume create FILE SIZE, for example data.img 1G");
    uint64_t size = size_read(argv[1]);
    if ((w->spec.key_file || w->spec.iter_time) && !w->luks)
        fail("volume create", "--key-file and --iter-time are for --luks");
    if (w->luks && size < LUKS_DATA_AT + SIZE_LEAST)
        fail("volume create", "%s is too small for LUKS2, whose header has 16M; at least 20M",
             argv[1]);
    make_file(argv[0], size);
    if (!w->luks) {
        make_ext4(argv[0], w->label);
        return 0;
    }
    char *plain = path_join(temp_dir(), "plain.img");
    make_file(plain, size - LUKS_DATA_AT);
    make_ext4(plain, w->label);
    luks_make(argv[0], plain, &w->spec);
    return 0;
}

static void print(const char *path, const struct volume *v)
{
    if (v->luks) {
        printf("%-24s luks2 %8llu MiB%s%s\n", path, (unsigned long long)(v->size >> 20),
               *v->label ? "  " : "", v->label);
        return;
    }
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
    if (v.luks) {
        printf("UUID=%s\nencrypted; cryptsetup luksDump %s tells how\n", v.uuid, argv[0]);
        return 0;
    }
    printf("UUID=%s\nblocks of %u bytes: %llu, free %llu\n", v.uuid, v.block,
           (unsigned long long)v.blocks, (unsigned long long)v.free);
    return 0;
}

/* e2fsck with mode on the file at path; its exit status. */
static int e2fsck(const char *mode, const char *path)
{
    char *program = tool_find("e2fsck");
    int status;
    if (!program)
        fail("e2fsck", "is not installed; install it (Debian: apt install e2fsprogs)");
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        execl(program, "e2fsck", mode, path, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        fail_errno("e2fsck", errno, "cannot be run");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

static int check(const struct words *w, int argc, char **argv)
{
    struct volume v;
    if (argc != 1)
        fail("volume check", "write alcove volume check FILE");
    const char *wrong = volume_read(argv[0], &v);
    const char *path = argv[0];
    if (wrong)
        fail(argv[0], "%s", wrong);
    if (v.luks) { /* a copy is looked at: the volume itself cannot be opened without root */
        path = path_join(temp_dir(), "plain.img");
        luks_extract(argv[0], path, w->spec.key_file);
        if ((wrong = volume_read(path, &v)))
            fail(argv[0], "what it encrypts %s", wrong);
    }
    /* A journal that waits to be replayed is no damage: it is replayed first. */
    if (e2fsck(v.incompat & 4 ? "-fp" : "-fn", path) > 1)
        fail(argv[0], "is damaged; e2fsck -f %s may mend it", path);
    return 0;
}

/* Take the options out of the words. */
static struct words take_words(int *argc, char **argv)
{
    struct words w = { .label = "" };
    struct {
        const char *name, **value;
    } valued[] = { { "--label", &w.label },
                   { "--key-file", &w.spec.key_file },
                   { "--iter-time", &w.spec.iter_time } };
    int n = 0;
    for (int i = 0; i < *argc; i++) {
        bool taken = strcmp(argv[i], "--luks") == 0;
        w.luks |= taken;
        for (size_t k = 0; k < sizeof(valued) / sizeof(valued[0]) && !taken; k++) {
            size_t len = strlen(valued[k].name);
            if (strncmp(argv[i], valued[k].name, len) != 0)
                continue;
            if (argv[i][len] == '=')
                *valued[k].value = argv[i] + len + 1;
            else if (!argv[i][len] && i + 1 < *argc)
                *valued[k].value = argv[++i];
            else
                continue;
            taken = true;
        }
        if (!taken && argv[i][0] == '-')
            fail("volume", "does not know '%s'; see alcove volume --help", argv[i]);
        if (!taken)
            argv[n++] = argv[i];
    }
    if (strlen(w.label) > 16)
        fail("--label", "'%s' has more than 16 characters", w.label);
    *argc = n;
    return w;
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
    struct words w = take_words(&argc, argv);
    if (strcmp(name, "create") == 0)
        return create(&w, argc, argv);
    if (strcmp(name, "ls") == 0)
        return ls(argc, argv);
    if (strcmp(name, "inspect") == 0)
        return inspect(argc, argv);
    if (strcmp(name, "check") == 0)
        return check(&w, argc, argv);
    fail("volume", "does not know '%s'; create, ls, inspect or check", name);
}
