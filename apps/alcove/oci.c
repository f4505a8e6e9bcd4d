/* SPDX-License-Identifier: MIT */
/* From a path to layers and configuration. The three forms differ in where a blob lies and what lists them; JSON is read by
 * jansson, every blob is checked against its digest where one is stated. Spec: OCI image-spec 1.1, image-layout.md and
 * config.md; Docker's image-spec v1.2 (manifest.json). */
#include "oci.h"

#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JSON_MAX = 4 << 20, LAYERS_MAX = 1000, NESTING_MAX = 4 };

/* Where blobs are: a directory, or an archive's members. */
struct store {
    const char *source; /* for messages */
    const char *dir;    /* NULL: an archive */
    struct member {
        char *name, *link; /* link: it is one to this member */
        struct blob blob;
    } * members;
    size_t n;
};

static void index_archive(struct store *s, const char *path, uint64_t size)
{
    const struct blob whole = { path, 0, size };
    struct blob_reader *r = blob_open(&whole, path, NULL);
    const struct tar_entry *e;
    struct tar t;
    tar_init(&t, r, path);
    while ((e = tar_next(&t))) {
        if (e->kind != TAR_FILE && e->kind != TAR_SYMLINK)
            continue;
        s->members = xrealloc(s->members, s->n + 1, sizeof(*s->members));
        const char *name = strncmp(e->path, "./", 2) == 0 ? e->path + 2 : e->path;
        s->members[s->n++] =
            (struct member){ .name = xstrdup(name),
                             .link = e->kind == TAR_SYMLINK ? xstrdup(e->link) : NULL,
                             .blob = { path, t.at, e->size } };
    }
    blob_close(r, NULL);
}

/* "../HEX/layer.tar" as a link of "HEX2/layer.tar". */
static const struct member *find_member(const struct store *s, const char *name)
{
    for (int hops = 0; hops < 4; hops++) {
        const struct member *m = NULL;
        for (size_t i = 0; i < s->n && !m; i++)
            if (strcmp(s->members[i].name, name) == 0)
                m = &s->members[i];
        if (!m || !m->link)
            return m;
        name = strncmp(m->link, "../", 3) == 0 ? m->link + 3 : m->link;
    }
    return NULL;
}

/* The file of that name in the store; false: it is not there. */
static bool find_blob(const struct store *s, const char *name, struct blob *ret)
{
    struct stat st;
    if (!s->dir) {
        const struct member *m = find_member(s, name);
        if (m)
            *ret = m->blob;
        return m != NULL;
    }
    if (name[0] == '/' || strstr(name, ".."))
        return false;
    char *path = path_join(s->dir, name);
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    *ret = (struct blob){ path, 0, (uint64_t)st.st_size };
    return true;
}

static json_t *load_json(const struct store *s, const char *name, const char *digest)
{
    struct blob b;
    struct buf text = { 0 };
    json_error_t err;
    if (!find_blob(s, name, &b))
        fail(s->source, "has no %s; it is not a whole image", name);
    blob_load(&b, name, JSON_MAX, digest, &text);
    json_t *j = json_loadb(text.s, text.len, JSON_REJECT_DUPLICATES, &err);
    if (!j)
        fail(s->source, "has a damaged %s: line %d: %s", name, err.line, err.text);
    return j;
}

/* "sha256:HEX" with nothing odd in it. */
static const char *digest_of(const struct store *s, const json_t *descriptor)
{
    const char *d = json_string_value(json_object_get(descriptor, "digest"));
    if (!d || strncmp(d, "sha256:", 7) != 0 || strlen(d) != 71 ||
        strspn(d + 7, "0123456789abcdef") != 64)
        fail(s->source, "has a descriptor without a sha256 digest");
    return d;
}

/* Where a digest's blob lies: OCI's blobs/sha256/HEX, skopeo's HEX. */
static char *blob_name(const struct store *s, const char *digest)
{
    struct blob b;
    char *oci = xprintf("blobs/sha256/%s", digest + 7);
    return find_blob(s, oci, &b) ? oci : xstrdup(digest + 7);
}

static void strings(const json_t *array, struct list *ret)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *v = json_string_value(json_array_get(array, i));
        if (v)
            list_add(ret, v);
    }
}

static void keys(json_t *object, struct list *ret)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) list_add(ret, key);
    list_sort(ret);
}

static char *text_or_null(const json_t *object, const char *key)
{
    const char *v = json_string_value(json_object_get(object, key));
    return v && *v ? xstrdup(v) : NULL;
}

static void read_config(const struct store *s, json_t *config, struct oci_image *ret)
{
    json_t *c = json_object_get(config, "config"), *label;
    const char *os = json_string_value(json_object_get(config, "os")),
               *arch = json_string_value(json_object_get(config, "architecture")), *key;
    if ((os && strcmp(os, "linux") != 0) || (arch && strcmp(arch, "amd64") != 0))
        fail(s->source, "is for %s on %s; Alcove runs linux on amd64", os ? os : "?",
             arch ? arch : "?");
    strings(json_object_get(c, "Entrypoint"), &ret->entrypoint);
    strings(json_object_get(c, "Cmd"), &ret->cmd);
    strings(json_object_get(c, "Env"), &ret->env);
    keys(json_object_get(c, "ExposedPorts"), &ret->ports);
    keys(json_object_get(c, "Volumes"), &ret->volumes);
    json_object_foreach(json_object_get(c, "Labels"), key, label)
        list_add(&ret->labels,
                 xprintf("%s=%s", key, json_string_value(label) ? json_string_value(label) : ""));
    list_sort(&ret->labels);
    ret->cwd = text_or_null(c, "WorkingDir");
    ret->user = text_or_null(c, "User");
    ret->stop_signal = text_or_null(c, "StopSignal");
    const json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
    for (size_t i = 0; i < ret->n && i < json_array_size(ids); i++)
        ret->layers[i].diff_id = xstrdup(json_string_value(json_array_get(ids, i))
                                             ? json_string_value(json_array_get(ids, i))
                                             : "?");
    if (ids && json_array_size(ids) != ret->n)
        fail(s->source, "has %zu layers, but its configuration names %zu", ret->n,
             json_array_size(ids));
}

static void add_layer(const struct store *s, struct oci_image *ret, const char *name,
                      const char *digest)
{
    struct oci_layer l = { .name = xprintf("layer %s", path_base(name)),
                           .digest = digest ? xstrdup(digest) : NULL };
    if (!find_blob(s, name, &l.blob))
        fail(s->source, "has no %s; it is not a whole image", name);
    if (ret->n == LAYERS_MAX)
        fail(s->source, "has more than %d layers", LAYERS_MAX);
    ret->layers = xrealloc(ret->layers, ret->n + 1, sizeof(l));
    ret->layers[ret->n++] = l;
}

static void read_manifest(const struct store *s, json_t *manifest, struct oci_image *ret)
{
    const json_t *layers = json_object_get(manifest, "layers"),
                 *config = json_object_get(manifest, "config");
    if (!json_is_array(layers) || !json_is_object(config))
        fail(s->source, "has a manifest of a kind that is not known");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_t *d = json_array_get(layers, i);
        const char *type = json_string_value(json_object_get(d, "mediaType"));
        if (type && strstr(type, "encrypted"))
            fail(s->source, "has encrypted layers; decrypt it first (skopeo copy "
                            "--decryption-key)");
        add_layer(s, ret, blob_name(s, digest_of(s, d)), digest_of(s, d));
    }
    const char *digest = digest_of(s, config);
    read_config(s, load_json(s, blob_name(s, digest), digest), ret);
}

/* Is this descriptor for another machine? */
static bool foreign(const json_t *d)
{
    const json_t *p = json_object_get(d, "platform");
    const char *os = json_string_value(json_object_get(p, "os")),
               *arch = json_string_value(json_object_get(p, "architecture"));
    return (os && strcmp(os, "linux") != 0) || (arch && strcmp(arch, "amd64") != 0);
}

static const char *ref_name(const json_t *d)
{
    return json_string_value(
        json_object_get(json_object_get(d, "annotations"), "org.opencontainers.image.ref.name"));
}

/* The manifest that an index means: by tag where one was asked for, for this machine. */
static void read_index(const struct store *s, json_t *index, const char *tag, int depth,
                       struct oci_image *ret)
{
    const json_t *all = json_object_get(index, "manifests"), *found = NULL;
    struct buf tags = { 0 };
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *d = json_array_get(all, i);
        const char *name = ref_name(d);
        if (name)
            buf_printf(&tags, "%s%s", tags.len ? ", " : "", name);
        if (foreign(d) || (tag && (!name || strcmp(name, tag) != 0)))
            continue;
        if (found)
            fail(s->source, "has several images (%s); write %s:TAG", tags.s ? tags.s : "no tags",
                 s->source);
        found = d;
    }
    if (!found)
        fail(s->source, "has no image %s%sfor linux on amd64 (tags: %s)", tag ? tag : "",
             tag ? " " : "", tags.s ? tags.s : "none");
    const char *digest = digest_of(s, found);
    json_t *j = load_json(s, blob_name(s, digest), digest);
    if (!json_object_get(j, "manifests"))
        read_manifest(s, j, ret);
    else if (depth < NESTING_MAX)
        read_index(s, j, NULL, depth + 1, ret);
    else
        fail(s->source, "has an index in an index in an index");
}

/* "docker.io/library/name:v1" is meant by itself, by "name:v1" and by "v1". */
static bool tag_is(const char *full, const char *tag)
{
    size_t n = strlen(full), k = strlen(tag);
    return n >= k && strcmp(full + n - k, tag) == 0 &&
           (n == k || full[n - k - 1] == '/' || full[n - k - 1] == ':');
}

/* docker save: a list of images, each with its file names. */
static void read_docker(const struct store *s, const json_t *list, const char *tag,
                        struct oci_image *ret)
{
    const json_t *found = NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *image = json_array_get(list, i), *tags = json_object_get(image, "RepoTags");
        bool is = !tag;
        for (size_t k = 0; tag && k < json_array_size(tags); k++) {
            const char *t = json_string_value(json_array_get(tags, k));
            is |= t && tag_is(t, tag);
        }
        if (is && found)
            fail(s->source, "has several images; write %s:TAG", s->source);
        if (is)
            found = image;
    }
    const char *config = json_string_value(json_object_get(found, "Config"));
    if (!found || !config)
        fail(s->source, "has no image%s%s", tag ? " " : "", tag ? tag : "");
    const json_t *layers = json_object_get(found, "Layers");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const char *name = json_string_value(json_array_get(layers, i));
        add_layer(s, ret, name ? name : "layer without a name", NULL);
    }
    read_config(s, load_json(s, config, NULL), ret);
}

/* PATH:TAG, where PATH is there; a tag may have colons itself. */
static char *split_tag(const char *source, const char **ret_tag)
{
    struct stat st;
    *ret_tag = NULL;
    for (const char *c = source; stat(source, &st) < 0 && (c = strchr(c, ':')); c++) {
        char *path = xstrndup(source, (size_t)(c - source));
        if (stat(path, &st) == 0) {
            *ret_tag = c + 1;
            return path;
        }
    }
    return xstrdup(source);
}

static void open_store(struct store *s, const char *path)
{
    struct stat st;
    uint8_t magic[4] = { 0 };
    s->source = path;
    if (stat(path, &st) < 0)
        fail_errno(path, errno, "cannot read the image");
    if (S_ISDIR(st.st_mode)) {
        s->dir = path;
        return;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (!S_ISREG(st.st_mode) || fd < 0)
        fail(path, "is neither a directory nor a file; save the image first (docker save -o FILE)");
    ssize_t n = read(fd, magic, sizeof(magic));
    close(fd);
    if (n >= 2 && (memcmp(magic, "\x1f\x8b", 2) == 0 || memcmp(magic, "\x28\xb5\x2f\xfd", 4) == 0))
        fail(path, "is a compressed archive; unpack it first (gunzip, unzstd)");
    index_archive(s, path, (uint64_t)st.st_size);
}

void oci_read(const char *source, struct oci_image *ret)
{
    const char *tag;
    struct store s = { 0 };
    struct blob b;
    *ret = (struct oci_image){ 0 };
    open_store(&s, split_tag(source, &tag));
    if (find_blob(&s, "index.json", &b) && find_blob(&s, "oci-layout", &b)) {
        read_index(&s, load_json(&s, "index.json", NULL), tag, 0, ret);
        return;
    }
    if (!find_blob(&s, "manifest.json", &b))
        fail(s.source, "is not a container image: neither an OCI layout nor one of docker save or "
                       "skopeo (dir:)");
    json_t *j = load_json(&s, "manifest.json", NULL);
    if (json_is_array(j))
        read_docker(&s, j, tag, ret);
    else if (json_object_get(j, "manifests"))
        read_index(&s, j, tag, 0, ret);
    else
        read_manifest(&s, j, ret);
}
