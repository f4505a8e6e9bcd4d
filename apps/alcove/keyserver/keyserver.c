/* SPDX-License-Identifier: MIT */
/* The command, and HTTP/1.1 as far as two requests need it. Each connection has a process of its own and ten seconds. */
#include "keyserver.h"

#include "commands.h"
#include "hash.h"
#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CONNECTIONS = 64,
    SECONDS = 10,
};

static void answer(int fd, const char *status, const void *body, size_t n)
{
    struct buf b = { 0 };

    buf_printf(&b, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status, n);
    buf_add(&b, body, n);
    for (size_t at = 0; at < b.len;) {
        ssize_t done = send(fd, b.s + at, b.len - at, MSG_NOSIGNAL);
        if (done <= 0)
            return; /* the guest has gone: it will ask again */
        at += (size_t)done;
    }
}

static void serve(struct key_server *s, int fd, const char *who)
{
    struct buf b = { 0 }, out = { 0 };
    size_t n, at = request_receive(fd, &b, &n);

    if (!at) {
        answer(fd, "400 Bad Request", "", 0);
    } else if (strncmp(b.s, "POST /v1/nonce ", 15) == 0) {
        uint8_t nonce[ALCOVE_KEY_NONCE];
        nonce_give(s->nonces, nonce);
        answer(fd, "200 OK", nonce, sizeof(nonce));
    } else if (strncmp(b.s, "POST /v1/key ", 13) == 0) {
        const char *why = request_decide(s, (uint8_t *)b.s + at, n, who, &out);
        if (why) {
            say("keyserver: %s: refused: %s", who, why);
            answer(fd, "403 Forbidden", why, strlen(why));
        } else {
            answer(fd, "200 OK", out.s, out.len);
        }
    } else {
        answer(fd, "404 Not Found", "", 0);
    }
}

static char *name_of(const struct sockaddr_storage *a, socklen_t n)
{
    char host[64], port[8];

    if (getnameinfo((const struct sockaddr *)a, n, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return xstrdup("somebody");
    return xprintf(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static int listen_at(const char *address)
{
    char *host = xstrdup(address), *port = strrchr(host, ':');
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                              .ai_socktype = SOCK_STREAM },
                    *a;
    int fd = -1, on = 1;

    if (!port)
        fail(address, "is not ADDRESS:PORT");
    *port++ = 0;
    if (*host == '[' && host[strlen(host) - 1] == ']') {
        host[strlen(host) - 1] = 0;
        host++;
    }
    if (getaddrinfo(host, port, &hints, &a) != 0)
        fail(address, "is not ADDRESS:PORT");
    fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, CONNECTIONS) < 0)
        fail_errno(address, errno, "cannot listen");
    freeaddrinfo(a);
    return fd;
}

static __attribute__((noreturn)) void loop(struct key_server *s, int fd)
{
    unsigned running = 0;

    for (;;) {
        struct sockaddr_storage a;
        struct timeval limit = { .tv_sec = SECONDS };
        socklen_t n = sizeof(a);
        int c;

        while (running && waitpid(-1, NULL, running < CONNECTIONS ? WNOHANG : 0) > 0)
            running--;
        c = accept4(fd, (struct sockaddr *)&a, &n, SOCK_CLOEXEC);
        if (c < 0)
            continue;
        pid_t child = fork();
        if (child == 0) {
            remove_forget();
            close(fd);
            alarm(SECONDS);
            (void)setsockopt(c, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
            serve(s, c, name_of(&a, n));
            _exit(0);
        }
        running += child > 0;
        close(c);
    }
}

static int init(const char *dir)
{
    char *identity = path_join(dir, "identity.pem"), *policy = path_join(dir, "policy.conf");
    static const char text[] =
        "# Which image gets which key. For each volume, by the name that the image asks with:\n"
        "#\n"
        "# [data]\n"
        "# key = /path/of/the/key\n"
        "# snp-measurement = 96 hexadecimal digits (alcove measure --snp); may be repeated\n"
        "# snp-least-tcb = BOOTLOADER.TEE.SNP.MICROCODE\n"
        "# tdx-measurement = MRTD RTMR1 RTMR2 (alcove measure --tdx); may be repeated\n"
        "# tdx-qe-signer = 64 hexadecimal digits (MRSIGNER of the quoting enclave, which its maker "
        "publishes)\n"
        "# tdx-least-tcb = 32 hexadecimal digits (TEE_TCB_SVN)\n";
    FILE *f;

    if ((mkdir(dir, 0700) < 0 && errno != EEXIST) ||
        (mkdir(path_join(dir, "trust"), 0700) < 0 && errno != EEXIST) ||
        (mkdir(path_join(dir, "revoked"), 0700) < 0 && errno != EEXIST))
        fail_errno(dir, errno, "cannot be made");
    identity_create(identity);
    f = fopen(policy, "wxe");
    if (f && (fputs(text, f) < 0 || fclose(f) != 0))
        fail_errno(policy, errno, "cannot be written");
    printf("%s\n", identity_fingerprint(identity_read(identity)));
    return 0;
}

int command_keyserver(int argc, char **argv)
{
    struct key_server s = { 0 };
    struct sockaddr_storage a;
    socklen_t n = sizeof(a);
    const char *listen_on = "127.0.0.1:8440";
    int at = 1, fd;

    if (argc == 3 && strcmp(argv[1], "--init") == 0)
        return init(argv[2]);
    if (argc >= 2 && strcmp(argv[1], "--help") == 0) {
        help_print("keyserver");
        return 0;
    }
    if (argc > 3 && strcmp(argv[1], "--listen") == 0) {
        listen_on = argv[2];
        at = 3;
    }
    if (argc != at + 1 || argv[at][0] == '-')
        fail("keyserver", "write alcove keyserver [--listen ADDRESS:PORT] DIR, or --init DIR");
    s.identity = identity_read(path_join(argv[at], "identity.pem"));
    s.rules = policy_read(path_join(argv[at], "policy.conf"));
    s.trust = trust_read(argv[at]);
    s.nonces = nonces_create();
    fd = listen_at(listen_on);
    if (getsockname(fd, (struct sockaddr *)&a, &n) < 0)
        fail_errno(listen_on, errno, "cannot listen");
    printf("listening on %s, fingerprint %s\n", name_of(&a, n), identity_fingerprint(s.identity));
    fflush(stdout);
    loop(&s, fd);
}
