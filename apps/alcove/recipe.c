/* SPDX-License-Identifier: MIT */
/* Reading and applying recipes: text files with one directive a line. A recipe is data of the distribution, and a bad
 * one is an error that names file and line. */
#include "recipe.h"

#include "tools.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

enum { RECIPE_MAX = 65536 };

struct recipe {
    const char *file;
    bool matches;
    char *star; /* what the * of the matching pattern stood for */
    struct list add, lib, skip, env;
};

/* Does path match pattern, in which one * stands for any text without a slash? */
static bool match_star(const char *pattern, const char *path, char **ret_star)
{
    const char *star = strchr(pattern, '*');
    size_t head = star ? (size_t)(star - pattern) : strlen(pattern), n = strlen(path);
    if (!star) {
        *ret_star = xstrdup("");
        return strcmp(pattern, path) == 0;
    }
    size_t tail = strlen(star + 1);
    if (n < head + tail || strncmp(path, pattern, head) != 0 ||
        strcmp(path + n - tail, star + 1) != 0)
        return false;
    *ret_star = xstrndup(path + head, n - head - tail);
    return !strchr(*ret_star, '/');
}

/* Replace $* by what the star stood for. */
static char *with_star(const struct recipe *r, const char *s)
{
    struct buf b = { 0 };
    buf_add(&b, "", 0);
    for (const char *at; (at = strstr(s, "$*")); s = at + 2) {
        buf_add(&b, s, (size_t)(at - s));
        buf_str(&b, r->star ? r->star : "");
    }
    buf_str(&b, s);
    return b.s;
}

static void directive(struct recipe *r, char *line, size_t number, const char *program)
{
    line += strspn(line, " \t");
    if (!*line || *line == '#')
        return;
    size_t n = strcspn(line, " \t");
    char *rest = line + n + strspn(line + n, " \t");
    line[n] = 0;
    for (size_t end = strlen(rest); end && (rest[end - 1] == ' ' || rest[end - 1] == '\t'); end--)
        rest[end - 1] = 0;
    static const char *const known[] = { "add", "lib", "skip", "env" };
    struct list *const lists[] = { &r->add, &r->lib, &r->skip, &r->env };
    if (*rest && strcmp(line, "match") == 0) {
        if (!r->matches)
            r->matches = match_star(rest, program, &r->star);
        return;
    }
    for (size_t i = 0; *rest && i < sizeof(known) / sizeof(*known); i++)
        if (strcmp(line, known[i]) == 0) {
            list_add(lists[i], rest);
            return;
        }
    fail(r->file, "line %zu: '%s' is not a directive with a value (match, add, lib, skip, env)",
         number, line);
}

static void recipe_read(struct recipe *r, const char *program)
{
    struct buf b = { 0 };
    int err = file_read(r->file, RECIPE_MAX, &b);
    if (err < 0)
        fail_errno(r->file, -err, "cannot read the recipe");
    size_t number = 0;
    for (char *line = b.s, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        directive(r, line, ++number, program);
    }
}

static void add_paths(struct stage *s, const struct recipe *r, const char *pattern,
                      const struct list *skip)
{
    glob_t g;
    if (glob(with_star(r, pattern), 0, NULL, &g) == 0)
        for (size_t i = 0; i < g.gl_pathc; i++) {
            struct stage_found found;
            if (stage_walk(s, g.gl_pathv[i], STAGE_KEEP_TIME, &found) == 0 &&
                S_ISDIR(found.st.st_mode))
                stage_tree(s, g.gl_pathv[i], skip);
        }
    globfree(&g);
}

static void recipe_run(struct stage *s, struct ldso *l, const struct recipe *r, struct list *env)
{
    struct list skip = { 0 };
    size_t before = s->n;
    for (size_t i = 0; i < r->skip.n; i++)
        list_add(&skip, with_star(r, r->skip.v[i]));
    for (size_t i = 0; i < r->add.n; i++)
        add_paths(s, r, r->add.v[i], &skip);
    for (size_t i = 0; i < r->lib.n; i++)
        (void)ldso_add(l, with_star(r, r->lib.v[i]));
    /* Modules among what was added have needs of their own. */
    for (size_t i = before, end = s->n; i < end; i++) {
        const struct stage_entry *e = &s->entries[i];
        if (S_ISREG(e->mode) && (strstr(path_base(e->path), ".so") || e->mode & 0111))
            ldso_object(l, e->path, stage_host(s, e->path));
    }
    for (size_t i = 0; i < r->env.n; i++) {
        size_t n = strcspn(r->env.v[i], "=") + 1;
        bool there = false;
        for (size_t j = 0; j < env->n; j++)
            there |= strncmp(env->v[j], r->env.v[i], n) == 0;
        if (!there)
            list_add(env, with_star(r, r->env.v[i]));
    }
}

void recipe_apply(struct stage *s, struct ldso *l, const char *program, struct list *env,
                  struct list *ret_used)
{
    struct dirent **names;
    char *dir = tool_data("ALCOVE_RECIPES", "recipes", "recipes");
    int n = dir ? scandir(dir, &names, NULL, alphasort) : -1;
    for (int i = 0; i < n; i++) {
        if (ends_with(names[i]->d_name, ".recipe")) {
            struct recipe r = { .file = path_join(dir, names[i]->d_name) };
            recipe_read(&r, program);
            if (r.matches) {
                recipe_run(s, l, &r, env);
                list_add(ret_used,
                         xstrndup(names[i]->d_name, strlen(names[i]->d_name) - strlen(".recipe")));
            }
        }
        free(names[i]);
    }
    if (n >= 0)
        free(names);
}
