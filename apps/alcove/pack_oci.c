/* SPDX-License-Identifier: MIT */
/* From a container image to what an image of ours is made of: its layers' tree as the root, its configuration as program,
 * environment, directory and user. Nothing of this machine gets in but the few files that an engine would mount. */
#include "layers.h"
#include "oci.h"
#include "pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The value of NAME; later ones win. */
static const char *value_of(const struct list *env, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = env->n; i-- > 0;)
        if (strncmp(env->v[i], name, n) == 0 && env->v[i][n] == '=')
            return env->v[i] + n + 1;
    return NULL;
}

static void set_env(struct list *env, const char *entry)
{
    size_t n = strcspn(entry, "=") + 1;
    for (size_t i = 0; i < env->n; i++)
        if (strncmp(env->v[i], entry, n) == 0) {
            env->v[i] = xstrdup(entry);
            return;
        }
    list_add(env, entry);
}

/* The tree's nodes become the stage's entries, in an order that does not depend on the archive. */
static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct tree_node *const *)a)->name, (*(struct tree_node *const *)b)->name);
}

static void note_tree(struct stage *s, const struct tree_node *n)
{
    struct stat st = { .st_mode = n->mode, .st_size = (off_t)n->size, .st_mtim = n->mtime };
    struct stage_entry *e =
        n->parent ? stage_note(s, tree_path(n), &st, STAGE_KEEP_TIME) : stage_find(s, "/");
    e->mode = n->mode;
    e->uid = n->uid;
    e->gid = n->gid;
    size_t count = HASH_COUNT(n->children), i = 0;
    if (!count)
        return;
    struct tree_node **all = xcalloc(count, sizeof(*all));
    for (struct tree_node *c = n->children; c; c = c->hh.next)
        all[i++] = c;
    qsort(all, count, sizeof(*all), by_name);
    for (i = 0; i < count; i++)
        note_tree(s, all[i]);
    free(all);
}

static void apply_layers(struct stage *s, const struct oci_image *image)
{
    struct tree t;
    struct layers_lost lost = { 0 };
    tree_init(&t, s->dir);
    for (size_t i = 0; i < image->n; i++) {
        const struct oci_layer *l = &image->layers[i];
        progress(xprintf("layer %zu of %zu", i + 1, image->n));
        layer_apply(&t, &l->blob, l->name, (unsigned)i + 1, l->digest, l->diff_id, &lost);
    }
    note_tree(s, t.root);
    if (lost.devices)
        say("%zu devices or FIFOs of the container image were left out", lost.devices);
}

/* The program as execvp(3) in the image would find it. */
static char *find_exe(struct stage *s, const struct oci_program *p, const char *source)
{
    struct stage_found found;
    const char *name = p->argv.v[0];
    char *dirs = xstrdup(value_of(&p->env, "PATH") ? value_of(&p->env, "PATH") : DEFAULT_PATH);
    if (strchr(name, '/'))
        dirs = xstrdup(name[0] == '/' ? "/" : p->cwd);
    for (char *save = NULL, *d = strtok_r(dirs, ":", &save); d; d = strtok_r(NULL, ":", &save)) {
        char *full = name[0] == '/' ? xstrdup(name) : path_join(d, name);
        if (stage_walk(s, full, STAGE_PROBE | STAGE_IMAGE_ONLY, &found) == 0 &&
            S_ISREG(found.st.st_mode)) {
            const struct stage_entry *e = stage_find(s, found.path);
            if (e && e->mode & 0111)
                return full;
        }
    }
    fail(source, "starts '%s', which is no program in it; name one: --oci %s -- PROGRAM", name,
         source);
}

static void choose_argv(const struct pack_spec *spec, const struct oci_image *image,
                        struct oci_program *ret)
{
    for (size_t i = 0; i < image->entrypoint.n; i++)
        list_add(&ret->argv, image->entrypoint.v[i]);
    const struct list *rest = spec->args.n ? &spec->args : &image->cmd;
    for (size_t i = 0; i < rest->n; i++)
        list_add(&ret->argv, rest->v[i]);
    if (!ret->argv.n || !*ret->argv.v[0])
        fail(spec->oci, "names no program to start; name one: --oci %s -- PROGRAM", spec->oci);
}

static void choose_env(const struct pack_spec *spec, const struct oci_image *image,
                       const char *home, struct oci_program *ret)
{
    for (size_t i = 0; i < image->env.n; i++)
        if (strchr(image->env.v[i], '=') > image->env.v[i])
            set_env(&ret->env, image->env.v[i]);
    for (size_t i = 0; i < spec->env.n; i++)
        set_env(&ret->env, spec->env.v[i]);
    if (!value_of(&ret->env, "PATH"))
        list_add(&ret->env, "PATH=" DEFAULT_PATH);
    if (!value_of(&ret->env, "HOME"))
        list_add(&ret->env, xprintf("HOME=%s", home));
}

/* An info line has one line. */
static void add_facts(struct list *facts, const char *key, const struct list *values)
{
    for (size_t i = 0; i < values->n; i++)
        if (!strpbrk(values->v[i], "\n\r"))
            list_add(facts, xprintf("%s=%s", key, values->v[i]));
}

void pack_oci(const struct pack_spec *spec, struct packed *out, struct oci_program *ret)
{
    struct stage *s = &out->stage;
    struct oci_image image;
    char *home;
    progress("reading the container image");
    oci_read(spec->oci, &image);
    apply_layers(s, &image);
    for (size_t i = 0; i < spec->roots.n; i++)
        stage_root(s, spec->roots.v[i], geteuid() == 0);
    identity_of_image(s, spec->user ? spec->user : image.user,
                      spec->hostname ? spec->hostname : "alcove", &ret->uid, &ret->gid, &home);
    choose_env(spec, &image, home, ret);
    choose_argv(spec, &image, ret);
    ret->cwd = spec->cwd ? spec->cwd : image.cwd && image.cwd[0] == '/' ? image.cwd : "/";
    ret->exe = find_exe(s, ret, spec->oci);
    for (size_t i = 0; i < image.volumes.n; i++)
        if (image.volumes.v[i][0] == '/')
            stage_mkdir(s, image.volumes.v[i], 0755);
    add_facts(&out->facts, "port", &image.ports);
    add_facts(&out->facts, "volume", &image.volumes);
    add_facts(&out->facts, "label", &image.labels);
    if (image.stop_signal && !strpbrk(image.stop_signal, "\n\r"))
        list_add(&out->facts, xprintf("stop-signal=%s", image.stop_signal));
    list_add(&out->programs, ret->exe);
}
