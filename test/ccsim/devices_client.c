/* SPDX-License-Identifier: MIT */
/* Uses a disk and the network of a confidential guest: writes /data/file and reads it back, then echoes one TCP connection on port 7.
 * All the while it has a secret in its memory, the bytes that the simulator looks for in shared memory. With the argument
 * "leak" the secret goes over the connection, so that the looking is seen to work. With "scribble" it uses both for a while, without
 * a care for what comes of it, and then looks whether its own memory is as it was. */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 300000, SECRET = 64 };

static int checks, failed;

static void check(int good, const char *what)
{
    checks++;
    if (!good) {
        failed++;
        perror(what);
    }
}

static void disk(void)
{
    static uint8_t out[SIZE], in[SIZE];
    int fd = open("/data/file", O_CREAT | O_RDWR | O_TRUNC, 0644);

    for (int i = 0; i < SIZE; i++)
        out[i] = (uint8_t)(i * 31 + i / 251);
    check(fd >= 0 && write(fd, out, SIZE) == SIZE && fsync(fd) == 0, "writing");
    close(fd);
    fd = open("/data/given", O_RDONLY);
    check(fd >= 0 && read(fd, in, SIZE) == SIZE && !memcmp(in, out, SIZE),
          "reading what the host put there");
    close(fd);
}

static void network(const uint8_t *leak)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(7) };
    int s = socket(AF_INET, SOCK_STREAM, 0), c;
    uint8_t buf[4096];
    ssize_t n;

    check(bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s, 1) == 0, "listening");
    printf("listening\n");
    fflush(stdout);
    c = accept(s, NULL, NULL);
    check(c >= 0, "accept");
    while ((n = read(c, buf, sizeof(buf))) > 0)
        check(write(c, buf, (size_t)n) == n, "echo");
    if (leak)
        check(write(c, leak, SECRET) == SECRET, "leak");
    close(c);
}

/* Use both devices, whatever comes of it. */
static void *use(void *arg)
{
    struct sockaddr_in host = { .sin_family = AF_INET,
                                .sin_port = htons(9),
                                .sin_addr.s_addr = htonl(0x0a000202) };
    static char buf[65536];
    int s = socket(AF_INET, SOCK_DGRAM, 0);

    for (;;) {
        int fd = open("/data/scribbled", O_CREAT | O_RDWR | O_TRUNC, 0644);
        (void)!write(fd, buf, sizeof(buf));
        fsync(fd);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        (void)!pread(fd, buf, sizeof(buf), 0);
        close(fd);
        for (int i = 0; i < 20; i++)
            sendto(s, buf, 1000, MSG_DONTWAIT, (struct sockaddr *)&host, sizeof(host));
    }
    return arg;
}

/* The host writes into all that is shared; nothing else may change. */
static void hold(void)
{
    static uint32_t mine[1 << 20];
    pthread_t t;

    for (uint32_t i = 0; i < 1 << 20; i++)
        mine[i] = i * 2654435761u;
    pthread_create(&t, NULL, use, NULL);
    sleep(20);
    for (uint32_t i = 0; i < 1 << 20; i++)
        if (mine[i] != i * 2654435761u) {
            printf("word %u has changed\n", i);
            return;
        }
    printf("memory is as it was\n");
    fflush(stdout);
    pause();
}

int main(int argc, char **argv)
{
    volatile uint8_t *secret = malloc(SECRET);

    for (int i = 0; i < SECRET; i++)
        secret[i] = (uint8_t)(0xa0 + i);
    if (argc > 1 && !strcmp(argv[1], "scribble")) {
        hold();
        return 1;
    }
    disk();
    network(argc > 1 && !strcmp(argv[1], "leak") ? (const uint8_t *)secret : NULL);
    printf("%d checks, %d failed\n", checks, failed);
    return failed != 0;
}
