/* SPDX-License-Identifier: MIT */
/* Packing: find the program as a shell would, follow #! lines and ELF interpreters as the kernel would, libraries as the
 * loader would, then recipes and the few files every program expects; make the root image and its hash tree of that. */
#include "pack.h"

#include "cmdline.h"
#include "erofs.h"
#include "kernels.h"
#include "ldso.h"
#include "recipe.h"
#include "sha256.h"
#include "tools.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SCRIPT_LINE = 256, SCRIPT_DEPTH = 5 };

#define ZERO_UUID    "00000000-0000-0000-0000-000000000000"
#define INIT_PATH    "/.alcove-init"
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct packer {
    const struct pack_spec *spec;
    struct packed *out;
    struct stage *stage;
    struct list env;
};

/* Value of NAME in the image's environment, or NULL. */
static const char *env_value(const struct packer *p, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = p->env.n; i-- > 0;)
        if (strncmp(p->env.v[i], name, n) == 0 && p->env.v[i][n] == '=')
            return p->env.v[i] + n + 1;
    return NULL;
}

/* Directories whose paths mean the same on every machine: programs there keep their path. */
static bool system_path(const char *path)
{
    static const char *const dirs[] = { "/usr", "/bin", "/sbin", "/lib", "/lib64",
                                        "/opt", "/etc", "/snap", "/nix", "/gnu" };
    for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
        if (path_under(path, dirs[i]))
            return true;
    return false;
}

/* Look for a program without a slash in the directories of path; NULL when there is none. */
static char *search_path(struct packer *p, const char *name, const char *path)
{
    char *dirs = xstrdup(path);
    for (char *save = NULL, *d = strtok_r(dirs, ":", &save); d; d = strtok_r(NULL, ":", &save)) {
        struct stage_found found;
        char *full = path_join(d, name);
        if (d[0] == '/' && stage_walk(p->stage, full, STAGE_PROBE, &found) == 0 &&
            S_ISREG(found.st.st_mode) && found.st.st_mode & 0111)
            return full;
    }
    return NULL;
}

/* The path of the program as typed, in the image if --root brought it, else on the host. */
static char *find_program(struct packer *p, const char *name)
{
    const char *path = getenv("PATH");
    struct stat st;
    if (!*name)
        fail(NULL, "the program's name is empty; name a program");
    if (strchr(name, '/'))
        return path_absolute(name);
    char *found = search_path(p, name, path ? path : DEFAULT_PATH);
    if (!found && p->spec->roots.n)
        found = search_path(p, name, DEFAULT_PATH);
    if (found)
        return found;
    if (stat(name, &st) == 0 && S_ISREG(st.st_mode))
        return path_absolute(name);
    fail(name, "is not a program in $PATH or a file here; give its path");
}

/* Links on the way of a system path are part of the image; a program elsewhere moves to /app, so that the image does not
 * depend on where it was built, unless its libraries are found relative to it. */
static char *place_program(struct packer *p, const char *typed, struct stage_found *ret)
{
    int err = stage_walk(p->stage, typed, STAGE_PROBE, ret);
    if (err < 0)
        fail_errno(typed, -err,
                   err == -EINVAL ? "is not a regular file" : "cannot read the program");
    if (!S_ISREG(ret->st.st_mode))
        fail(typed, "is not a regular file; name a program");
    if (!(ret->st.st_mode & 0111))
        fail(typed, "is not executable; name a program, or chmod +x it");
    bool keep = !ret->on_host || (system_path(typed) && system_path(ret->path));
    struct elf_file elf;
    const uint8_t *data;
    size_t size;
    if (!keep && file_map(ret->source, &data, &size) == 0 && elf_read(data, size, &elf) == NULL)
        keep = (elf.rpath && strstr(elf.rpath, "$")) || (elf.runpath && strstr(elf.runpath, "$"));
    if (keep) {
        err = stage_walk(p->stage, typed, 0, ret);
        if (err < 0)
            fail_errno(typed, -err, "cannot add the program");
        return xstrdup(typed);
    }
    char *to = system_path(ret->path) ? ret->path : path_join("/app", path_base(typed));
    if (system_path(ret->path))
        (void)stage_walk(p->stage, to, 0, ret);
    else
        stage_copy(p->stage, ret->source, to, 0);
    err = stage_walk(p->stage, to, STAGE_PROBE | STAGE_IMAGE_ONLY, ret);
    if (err < 0)
        fail_errno(typed, -err, "cannot add the program");
    return to;
}

static void add_program(struct packer *p, const char *typed, const char *path, const char *source,
                        int depth);

/* "#!/usr/bin/env NAME": NAME is needed as well. */
static void add_env_target(struct packer *p, const char *script, char *arg, int depth)
{
    for (char *save = NULL, *w = strtok_r(arg, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
        if (w[0] == '-' || strchr(w, '='))
            continue;
        const char *path = env_value(p, "PATH");
        char *full = strchr(w, '/') ? xstrdup(w) : search_path(p, w, path ? path : DEFAULT_PATH);
        struct stage_found found;
        if (!full || stage_walk(p->stage, full, 0, &found) < 0)
            fail(
                script,
                "needs the interpreter '%s', which is not found; install it or give it with --root",
                w);
        add_program(p, full, found.path, found.source, depth);
        return;
    }
}

static void add_script(struct packer *p, const char *script, const uint8_t *data, size_t size,
                       int depth)
{
    char line[SCRIPT_LINE];
    size_t n = size - 2 < sizeof(line) - 1 ? size - 2 : sizeof(line) - 1;
    memcpy(line, data + 2, n);
    line[n] = 0;
    line[strcspn(line, "\n")] = 0;
    char *name = line + strspn(line, " \t");
    size_t len = strcspn(name, " \t");
    char *arg = name + len + strspn(name + len, " \t");
    name[len] = 0;
    if (depth > SCRIPT_DEPTH)
        fail(script, "has more than %d interpreters that are scripts themselves", SCRIPT_DEPTH);
    if (name[0] != '/')
        fail(script, "has a #! line without an absolute path; mend its first line");
    struct stage_found found;
    if (stage_walk(p->stage, name, 0, &found) < 0 || !S_ISREG(found.st.st_mode))
        fail(script,
             "needs the interpreter '%s', which is not found; install it or give it with --root",
             name);
    add_program(p, name, found.path, found.source, depth + 1);
    if (strcmp(path_base(name), "env") == 0)
        add_env_target(p, script, arg, depth + 1);
}

static void add_preload(struct packer *p, struct ldso *l)
{
    const char *preload = env_value(p, "LD_PRELOAD");
    char *names = xstrdup(preload ? preload : "");
    for (char *save = NULL, *n = strtok_r(names, " :", &save); n; n = strtok_r(NULL, " :", &save))
        if (!ldso_add(l, n))
            fail(n, "from LD_PRELOAD is not found; correct -e LD_PRELOAD");
}

/* The locale files of glibc for what LANG and LC_* of the image name: a directory of its own, or the archive. */
static void add_locales(struct packer *p)
{
    for (size_t i = 0; i < p->env.n; i++) {
        const char *value = strchr(p->env.v[i], '=') + 1;
        struct buf name = { 0 };
        struct stage_found found;
        if ((strncmp(p->env.v[i], "LANG=", 5) != 0 && strncmp(p->env.v[i], "LC_", 3) != 0) ||
            !*value || strchr(value, '/') || value[0] == '.' || !strcmp(value, "C") ||
            !strcmp(value, "POSIX"))
            continue;
        /* C.UTF-8 lies in C.utf8: of the codeset, small letters and digits remain. */
        const char *dot = strchr(value, '.');
        buf_add(&name, value, dot ? (size_t)(dot + 1 - value) : strlen(value));
        for (const char *c = dot ? dot + 1 : ""; *c; c++)
            if (*c != '-' && *c != '_')
                buf_add(&name, &(char){ (char)tolower((unsigned char)*c) }, 1);
        char *dir = path_join("/usr/lib/locale", name.s);
        if (stage_walk(p->stage, dir, STAGE_PROBE, &found) == 0)
            stage_tree(p->stage, dir, NULL);
        else
            (void)stage_walk(p->stage, "/usr/lib/locale/locale-archive", STAGE_KEEP_TIME, &found);
    }
}

/* Everything one program needs. typed is for messages, path its place in the image, source the file to read. */
static void add_program(struct packer *p, const char *typed, const char *path, const char *source,
                        int depth)
{
    const uint8_t *data;
    size_t size;
    struct elf_file elf;
    int err = file_map(source, &data, &size);
    if (err < 0)
        fail_errno(typed, -err, "cannot read the program");
    bool again = list_has(&p->out->programs, path);
    if (!again)
        list_add(&p->out->programs, path);
    if (size > 2 && data[0] == '#' && data[1] == '!') {
        add_script(p, typed, data, size, depth);
        return;
    }
    if (again)
        return;
    const char *wrong = elf_read(data, size, &elf);
    if (wrong)
        fail(typed, "%s", wrong);
    struct ldso l = { .stage = p->stage, .library_path = env_value(p, "LD_LIBRARY_PATH") };
    ldso_program(&l, path, &elf);
    add_preload(p, &l);
    recipe_apply(p->stage, &l, path, &p->env, &p->out->recipes);
    if (elf.interp && !l.musl)
        add_locales(p);
    ldso_finish(&l);
    for (size_t i = 1; i < l.n; i++)
        if (!list_has(&p->out->libraries, l.objects[i]->path))
            list_add(&p->out->libraries, l.objects[i]->path);
}

/* The programs that the program calls: each is packed as the program itself is. */
static void add_with(struct packer *p)
{
    for (size_t i = 0; i < p->spec->with.n; i++) {
        const char *typed = p->spec->with.v[i];
        struct stage_found found;
        (void)place_program(p, find_program(p, typed), &found);
        add_program(p, typed, found.path, stage_host(p->stage, found.path), 0);
    }
}

/* Programs are found by other programs in /bin too, where that is a link to what the image has. */
static void add_merged_usr(struct stage *s)
{
    static const char *const pairs[][2] = { { "/bin", "/usr/bin" }, { "/sbin", "/usr/sbin" } };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        struct stage_found found, link;
        if (stage_walk(s, pairs[i][1], STAGE_PROBE | STAGE_IMAGE_ONLY, &found) == 0 &&
            stage_walk(s, pairs[i][0], STAGE_PROBE, &link) == 0 &&
            strcmp(link.path, pairs[i][1]) == 0)
            (void)stage_walk(s, pairs[i][0], 0, &link);
    }
}

static void add_directories(struct stage *s, const char *cwd)
{
    static const struct {
        const char *path;
        mode_t mode;
    } dirs[] = { { "/proc", 0555 }, { "/sys", 0555 }, { "/dev", 0755 }, { "/tmp", 01777 },
                 { "/run", 0755 },  { "/var", 0755 }, { "/etc", 0755 }, { "/var/tmp", 01777 },
                 { "/root", 0700 }, { "/mnt", 0755 } };
    for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
        stage_mkdir(s, dirs[i].path, dirs[i].mode);
    stage_link(s, "/var/run", "/run");
    stage_link(s, "/etc/mtab", "../proc/self/mounts");
    if (cwd)
        stage_mkdir(s, cwd, 0755);
}

/* The root and behind it its hash tree, as the file that a VM gets for a disk. */
static void write_root_disk(const char *path, const struct packed *out)
{
    char *unfinished = xprintf("%s.%d.tmp", path, (int)getpid());
    const char *const parts[] = { out->parts.root, out->parts.hash };
    uint64_t at = 0;
    remove_at_exit(unfinished);
    int to = open(unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (to < 0)
        fail_errno(path, errno, "cannot write");
    for (size_t i = 0; i < 2; i++) {
        struct stat st;
        int from = open(parts[i], O_RDONLY | O_CLOEXEC);
        if (from < 0 || fstat(from, &st) < 0)
            fail_errno(parts[i], errno, "cannot read");
        copy_range(from, to, at, (uint64_t)st.st_size, path);
        at += (uint64_t)st.st_size;
        close(from);
    }
    if (close(to) < 0 || rename(unfinished, path) < 0)
        fail_errno(path, errno, "cannot write");
}

/* The guest unpacks an extent into contiguous memory: well-compressible files would else make extents of a megabyte. */
#define LZ4_EXTENTS "--max-extent-bytes=65536"

static void make_root_image(struct packed *out, int64_t newest, bool all_root, bool facts, bool lz4)
{
    struct buf said = { 0 };
    char *dir = out->stage.dir, *root = path_join(out->dir, "root.erofs"),
         *hash = path_join(out->dir, "root.hash");
    /* Without -T and with SOURCE_DATE_EPOCH, mkfs.erofs keeps time stamps and writes none of its own. */
    const char *mkfs[] = { "mkfs.erofs",
                           "--quiet",
                           "-x-1",
                           facts ? "-Enoinline_data,force-inode-extended" : "-Enoinline_data",
                           "-U" ZERO_UUID,
                           root,
                           dir,
                           NULL,
                           NULL,
                           NULL,
                           NULL };
    size_t n = sizeof(mkfs) / sizeof(*mkfs) - 4;
    if (all_root)
        mkfs[n++] = "--all-root";
    if (lz4) {
        mkfs[n++] = "-zlz4hc";
        mkfs[n++] = LZ4_EXTENTS;
    }
    progress("making the root image");
    tool_run(mkfs, xprintf("SOURCE_DATE_EPOCH=%lld", (long long)newest), "erofs-utils", &said);
    if (facts)
        erofs_set_facts(root, &out->stage);
    struct buf said_verity = { 0 };
    const char *const verity[] = { "veritysetup", "format", "--salt=-", "--uuid=" ZERO_UUID,
                                   root,          hash,     NULL };
    progress("making its hash tree");
    tool_run(verity, NULL, "cryptsetup-bin", &said_verity);
    const char *at = said_verity.s ? strstr(said_verity.s, "Root hash:") : NULL;
    if (!at)
        fail("veritysetup", "did not print a root hash; alcove needs cryptsetup 2.x");
    at += strlen("Root hash:");
    at += strspn(at, " \t");
    if (strspn(at, "0123456789abcdef") != 64)
        fail("veritysetup", "printed a root hash that is not SHA-256");
    memcpy(out->roothash, at, 64);
    out->parts.root = root;
    out->parts.hash = hash;
    struct stat st;
    out->root_size = stat(root, &st) == 0 ? (uint64_t)st.st_size : 0;
    out->hash_size = stat(hash, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* Who and where, for the command line. */
struct identity_facts {
    uint32_t uid, gid;
    const char *hostname, *cwd;
    const struct list *argv; /* argv[0] first */
};

/* --init: process 1 is ours, and starts the program. */
static void add_init(struct packer *p, struct identity_facts *id)
{
    const char *init = tool_data("ALCOVE_INIT", "init/alcove-init", "alcove-init");
    struct list *argv = xcalloc(1, sizeof(*argv));
    if (!init)
        fail("alcove-init",
             "it is missing; build it (./dev build), or set ALCOVE_INIT to its path");
    stage_copy(p->stage, init, INIT_PATH, 0);
    list_add(argv, INIT_PATH);
    list_add(argv, p->out->exe);
    for (size_t i = 0; i < id->argv->n; i++)
        list_add(argv, id->argv->v[i]);
    id->argv = argv;
    p->out->exe = xstrdup(INIT_PATH);
}

static void make_cmdline(struct packer *p, const struct identity_facts *id)
{
    struct buf *b = &p->out->parts.cmdline;
    cmdline_add(b, xprintf("roothash=%s", p->out->roothash));
    if (p->spec->sealed)
        cmdline_add(b, "sealed");
    if (p->spec->silent)
        cmdline_add(b, "uart=off");
    if (p->spec->verity && strcmp(p->spec->verity, "on") != 0)
        cmdline_add(b, xprintf("verity=%s", p->spec->verity));
    if (p->spec->root_disk)
        cmdline_add(b, xprintf("rootdisk=%llu", (unsigned long long)p->out->root_size));
    if (p->spec->fixed_addresses)
        cmdline_add(b, "aslr=off");
    for (size_t i = 0; i < p->env.n; i++)
        cmdline_add(b, xprintf("env=%s", p->env.v[i]));
    for (size_t i = 0; i < p->spec->mounts.n; i++)
        cmdline_add(b, xprintf("mount=%s", p->spec->mounts.v[i]));
    cmdline_add(b, xprintf("cwd=%s", id->cwd));
    cmdline_add(b, xprintf("user=%u:%u", id->uid, id->gid));
    cmdline_add(b, xprintf("hostname=%s", id->hostname));
    cmdline_add(b, xprintf("exe=%s", p->out->exe));
    cmdline_add(b, "--");
    for (size_t i = 0; i < id->argv->n; i++)
        cmdline_add(b, id->argv->v[i]);
}

static void make_info(struct packed *out)
{
    struct buf *b = &out->parts.info;
    buf_printf(b, "alcove=%s\n", ALCOVE_VERSION);
    for (size_t i = 0; i < out->programs.n; i++)
        buf_printf(b, "program=%s\n", out->programs.v[i]);
    for (size_t i = 0; i < out->libraries.n; i++)
        buf_printf(b, "library=%s\n", out->libraries.v[i]);
    for (size_t i = 0; i < out->recipes.n; i++)
        buf_printf(b, "recipe=%s\n", out->recipes.v[i]);
    for (size_t i = 0; i < out->facts.n; i++)
        buf_printf(b, "%s\n", out->facts.v[i]);
    buf_printf(b, "files=%zu\n", out->stage.n);
}

/* Later -e wins; what the user does not set has a default. */
static void make_env(struct packer *p, const char *home)
{
    struct list env = { 0 };
    for (size_t i = 0; i < p->spec->env.n; i++) {
        size_t n = strcspn(p->spec->env.v[i], "=") + 1;
        bool later = false;
        for (size_t j = i + 1; j < p->spec->env.n; j++)
            later |= strncmp(p->spec->env.v[j], p->spec->env.v[i], n) == 0;
        if (!later)
            list_add(&env, p->spec->env.v[i]);
    }
    p->env = env;
    if (!env_value(p, "PATH"))
        list_add(&p->env, "PATH=" DEFAULT_PATH);
    if (!env_value(p, "HOME"))
        list_add(&p->env, xprintf("HOME=%s", home));
}

/* The empty tree. */
static void begin_stage(struct packer *p)
{
    p->out->dir = temp_dir();
    char *root = path_join(p->out->dir, "root");
    if (mkdir(root, 0700) < 0)
        fail_errno(root, errno, "cannot make the directory");
    stage_init(p->stage, root);
}

static struct identity_facts stage_program(struct packer *p, bool keep_ids)
{
    struct identity_facts id = { .cwd = p->spec->cwd ? p->spec->cwd : "/" };
    struct list *argv = xcalloc(1, sizeof(*argv));
    char *home;
    id.hostname = p->spec->hostname ? p->spec->hostname : "alcove";
    for (size_t i = 0; i < p->spec->roots.n; i++)
        stage_root(p->stage, p->spec->roots.v[i], keep_ids);
    identity_add(p->stage, p->spec->user, id.hostname, &id.uid, &id.gid, &home);
    make_env(p, home);
    struct stage_found found;
    p->out->exe = place_program(p, find_program(p, p->spec->program), &found);
    add_program(p, p->spec->program, found.path, stage_host(p->stage, found.path), 0);
    add_with(p);
    add_merged_usr(p->stage);
    list_add(argv, p->spec->program);
    for (size_t i = 0; i < p->spec->args.n; i++)
        list_add(argv, p->spec->args.v[i]);
    id.argv = argv;
    return id;
}

static struct identity_facts stage_container(struct packer *p)
{
    struct oci_program *o = xcalloc(1, sizeof(*o));
    pack_oci(p->spec, p->out, o);
    p->env = o->env;
    p->out->exe = o->exe;
    return (struct identity_facts){ .uid = o->uid,
                                    .gid = o->gid,
                                    .hostname = p->spec->hostname ? p->spec->hostname : "alcove",
                                    .cwd = o->cwd,
                                    .argv = &o->argv };
}

static struct identity_facts stage_all(struct packer *p, bool keep_ids)
{
    progress("collecting files");
    begin_stage(p);
    struct identity_facts id = p->spec->oci ? stage_container(p) : stage_program(p, keep_ids);
    if (p->spec->init)
        add_init(p, &id);
    add_directories(p->stage, id.cwd);
    stage_check_links(p->stage);
    return id;
}

void pack_files(const struct pack_spec *spec, struct packed *ret)
{
    struct packer p = { .spec = spec, .out = ret, .stage = &ret->stage };
    (void)stage_all(&p, false);
    progress(NULL);
}

void pack(const struct pack_spec *spec, struct packed *ret)
{
    struct packer p = { .spec = spec, .out = ret, .stage = &ret->stage };
    bool keep_ids = geteuid() == 0 && spec->roots.n > 0;
    int64_t newest;
    struct identity_facts id = stage_all(&p, keep_ids);
    const struct kernel *kernel = spec->kernel ? spec->kernel : kernel_full();
    ret->parts.kernel = kernel_path(kernel);
    if (!ret->parts.kernel)
        fail(xprintf("%s.elf", kernel->file),
             "the libOS is missing; build it (./dev build), or set ALCOVE_KERNEL to its path");
    if (kernel != kernel_full())
        list_add(&ret->facts, xprintf("libos=%s", kernel->name));
    ret->parts.stub =
        tool_data("ALCOVE_STUB", "../platform/boot/efi/alcove-stub.efi", "alcove-stub.efi");
    stage_finish(p.stage, spec->oci != NULL, &newest);
    make_root_image(ret, newest, !keep_ids || spec->oci, spec->oci != NULL, spec->lz4);
    if (spec->root_disk) {
        progress("writing the root disk");
        write_root_disk(spec->root_disk, ret);
        ret->parts.root = ret->parts.hash = NULL;
        list_add(&ret->facts, xprintf("root_disk=%s", path_base(spec->root_disk)));
    }
    make_cmdline(&p, &id);
    make_info(ret);
    progress(NULL);
}
