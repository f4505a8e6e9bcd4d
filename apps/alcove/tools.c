/* SPDX-License-Identifier: MIT */
/* Calling mkfs.erofs and veritysetup; finding the libOS and the recipes next to this program, never by a path of the
 * machine it was built on. */
#include "tools.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

char *tool_find(const char *name)
{
    const char *path = getenv("PATH");
    char *dirs = xprintf("%s:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin");
    for (char *save = NULL, *d = strtok_r(dirs, ":", &save); d; d = strtok_r(NULL, ":", &save)) {
        char *full = path_join(d, name);
        struct stat st;
        if (stat(full, &st) == 0 && S_ISREG(st.st_mode) && access(full, X_OK) == 0)
            return full;
    }
    return NULL;
}

/* In the child. */
static void tool_exec(const char *path, const char *const argv[], const char *env, const int out[2],
                      const int err[2])
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0)
        _exit(126);
    if (env)
        putenv(xstrdup(env));
    setenv("LC_ALL", "C", 1);
    execv(path, (char *const *)argv);
    _exit(127);
}

/* Read both pipes until they end. */
static void drain(int out, int err, struct buf *ret_out, struct buf *ret_err)
{
    struct pollfd p[2] = { { .fd = out, .events = POLLIN }, { .fd = err, .events = POLLIN } };
    struct buf *to[2] = { ret_out, ret_err };
    char chunk[4096];
    while (p[0].fd >= 0 || p[1].fd >= 0) {
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            fail_errno(NULL, errno, "cannot wait");
        for (int i = 0; i < 2; i++) {
            if (p[i].fd < 0 || !p[i].revents)
                continue;
            ssize_t n = read(p[i].fd, chunk, sizeof(chunk));
            if (n > 0)
                buf_add(to[i], chunk, (size_t)n);
            else if (n == 0 || errno != EINTR)
                p[i].fd = -1;
        }
    }
}

static const char *last_line(const struct buf *b)
{
    if (!b->len)
        return "it said nothing";
    char *s = xstrdup(b->s);
    size_t n = strlen(s);
    while (n && (s[n - 1] == '\n' || s[n - 1] == ' '))
        s[--n] = 0;
    char *line = strrchr(s, '\n');
    return line ? line + 1 : s;
}

void tool_run(const char *const argv[], const char *env, const char *package, struct buf *ret_out)
{
    int out[2], err[2], status;
    char *path = tool_find(argv[0]);
    if (!path)
        fail(argv[0], "is not installed; install it (Debian: apt install %s)", package);
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        fail_errno(NULL, errno, "cannot make a pipe");
    pid_t pid = fork();
    if (pid < 0)
        fail_errno(argv[0], errno, "cannot start");
    if (pid == 0)
        tool_exec(path, argv, env, out, err);
    close(out[1]);
    close(err[1]);
    struct buf said = { 0 };
    drain(out[0], err[0], ret_out, &said);
    close(out[0]);
    close(err[0]);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            fail_errno(argv[0], errno, "cannot wait for it");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    if ((WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ) ||
        (said.s && strstr(said.s, strerror(EFBIG))))
        fail(argv[0], "the image is larger than the file size limit; raise it (ulimit -f)");
    if ((said.s && strstr(said.s, strerror(ENOSPC))) ||
        (ret_out->s && strstr(ret_out->s, strerror(ENOSPC))))
        fail(argv[0],
             "the disk with the temporary directory is full; free space there or set TMPDIR");
    if (WIFSIGNALED(status))
        fail(argv[0], "ended by signal %d", WTERMSIG(status));
    fail(argv[0], "failed: %s", last_line(said.len ? &said : ret_out));
}

char *tool_data(const char *variable, const char *build_name, const char *name)
{
    char self[PATH_MAX];
    const char *given = getenv(variable);
    if (given && *given)
        return access(given, R_OK) == 0 ? xstrdup(given) : NULL;
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        return NULL;
    self[n] = 0;
    /* DIR/alcove -> DIR/../BUILD_NAME, PREFIX/bin/alcove -> PREFIX/share/alcove/NAME */
    char *up = xstrndup(self, (size_t)(path_base(self) - self));
    char *build = xprintf("%s../%s", up, build_name);
    if (access(build, R_OK) == 0)
        return build;
    char *installed = xprintf("%s../share/alcove/%s", up, name);
    return access(installed, R_OK) == 0 ? installed : NULL;
}
