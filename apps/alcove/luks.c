/* SPDX-License-Identifier: MIT */
/* The volume key is passed to and from cryptsetup in memory that has no name (memfd). What is made: AES-256 in XTS mode over sectors of
 * 4096 bytes; argon2id with 64 MiB, which fits into a small VM. All of the volume is written, so nobody sees how much of it is
 * used. */
#include "luks.h"

#include "tools.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEY_SIZE = 64, PIECE = 1 << 20 };

/* A file in memory, and the name that a child has for it. */
static int key_memory(char **ret_name)
{
    int fd = memfd_create("key", 0);
    if (fd < 0)
        fail_errno("memfd", errno, "cannot be made");
    *ret_name = xprintf("/proc/self/fd/%d", fd);
    return fd;
}

/* Run cryptsetup with the terminal, so that it can ask. */
static void cryptsetup(const char *const *argv)
{
    char *path = tool_find("cryptsetup");
    int status;
    if (!path)
        fail("cryptsetup", "is not installed; install it (Debian: apt install cryptsetup-bin)");
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        execv(path, (char **)(uintptr_t)argv);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        fail_errno("cryptsetup", errno, "cannot be run");
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        fail("cryptsetup", "%s failed", argv[1]);
}

/* One sector, number sector (of 512 bytes), in place. */
static void crypt_sector(EVP_CIPHER_CTX *c, unsigned char *p, size_t size, uint64_t sector)
{
    unsigned char iv[16] = { 0 };
    int n;
    for (unsigned i = 0; i < 8; i++)
        iv[i] = (unsigned char)(sector >> 8 * i);
    if (EVP_CipherInit_ex(c, NULL, NULL, NULL, iv, -1) != 1 ||
        EVP_CipherUpdate(c, p, &n, p, (int)size) != 1)
        fail("AES", "does not work in this OpenSSL");
}

static EVP_CIPHER_CTX *context(const unsigned char *key, size_t size, bool encrypt)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (!c || EVP_CipherInit_ex(c, size == KEY_SIZE ? EVP_aes_256_xts() : EVP_aes_128_xts(), NULL,
                                key, NULL, encrypt) != 1)
        fail("AES", "does not work in this OpenSSL");
    return c;
}

/* From one file to the other, size bytes. */
static void crypt_all(EVP_CIPHER_CTX *c, int from, off_t from_at, int to, off_t to_at,
                      uint64_t size, size_t sector)
{
    unsigned char *buf = xcalloc(1, PIECE);
    for (uint64_t at = 0; at < size; at += PIECE) {
        size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
        if (pread(from, buf, n, from_at + (off_t)at) != (ssize_t)n)
            fail_errno("volume", errno, "cannot be read");
        for (size_t i = 0; i < n; i += sector)
            crypt_sector(c, buf + i, sector, (at + i) / 512);
        if (pwrite(to, buf, n, to_at + (off_t)at) != (ssize_t)n)
            fail_errno("volume", errno, "cannot be written");
    }
    free(buf);
}

void luks_make(const char *path, const char *plain, const struct luks_spec *spec)
{
    unsigned char key[KEY_SIZE];
    char *name;
    int fd = key_memory(&name), from = open(plain, O_RDONLY | O_CLOEXEC),
        to = open(path, O_WRONLY | O_CLOEXEC);
    struct stat st;
    const char *args[32] = { "cryptsetup",
                             "luksFormat",
                             "-q",
                             "--type",
                             "luks2",
                             "--cipher",
                             "aes-xts-plain64",
                             "--key-size",
                             "512",
                             "--sector-size",
                             "4096",
                             "--pbkdf",
                             "argon2id",
                             "--pbkdf-memory",
                             "65536",
                             "--volume-key-file",
                             name };
    unsigned n = 17;
    if (from < 0 || to < 0 || fstat(from, &st) < 0)
        fail_errno(path, errno, "cannot be opened");
    if (getrandom(key, sizeof(key), 0) != sizeof(key) || write(fd, key, sizeof(key)) != sizeof(key))
        fail("volume create", "there is no randomness for a key");
    if (spec->key_file) {
        args[n++] = "--key-file";
        args[n++] = spec->key_file;
    } else {
        args[n++] = "--verify-passphrase";
    }
    if (spec->iter_time) {
        args[n++] = "--iter-time";
        args[n++] = spec->iter_time;
    }
    args[n++] = path;
    cryptsetup(args);
    EVP_CIPHER_CTX *c = context(key, sizeof(key), true);
    crypt_all(c, from, 0, to, LUKS_DATA_AT, (uint64_t)st.st_size, LUKS_SECTOR);
    EVP_CIPHER_CTX_free(c);
    OPENSSL_cleanse(key, sizeof(key));
    close(fd);
    close(from);
    if (close(to) < 0)
        fail_errno(path, errno, "cannot be written");
}

/* Offset and sector size of the data, which cryptsetup tells. */
static void read_layout(const char *path, off_t *ret_at, size_t *ret_sector)
{
    struct buf out = { 0 };
    const char *const dump[] = { "cryptsetup", "luksDump", "--dump-json-metadata", path, NULL };
    tool_run(dump, "LC_ALL=C", "cryptsetup-bin", &out);
    json_t *j = json_loadb(out.s, out.len, 0, NULL);
    json_t *s = json_object_get(json_object_get(j, "segments"), "0");
    const char *at = json_string_value(json_object_get(s, "offset"));
    json_int_t sector = json_integer_value(json_object_get(s, "sector_size"));
    if (!at || sector < 512 || sector > 4096)
        fail(path, "has a LUKS2 header of an unusual kind");
    *ret_at = (off_t)strtoull(at, NULL, 10);
    *ret_sector = (size_t)sector;
    json_decref(j);
}

void luks_extract(const char *path, const char *plain, const char *key_file)
{
    unsigned char key[KEY_SIZE], key_out[KEY_SIZE];
    char *name;
    off_t at;
    size_t sector;
    int from = open(path, O_RDONLY | O_CLOEXEC),
        to = open(plain, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct stat st;
    /* It makes the file itself; the directory is private, and in memory where that has room. */
    name = path_join(temp_dir(), "key");
    if (from < 0 || to < 0 || fstat(from, &st) < 0)
        fail_errno(path, errno, "cannot be opened");
    read_layout(path, &at, &sector);
    const char *args[] = { "cryptsetup",
                           "luksDump",
                           "-q",
                           "--dump-volume-key",
                           "--volume-key-file",
                           name,
                           path,
                           key_file ? "--key-file" : NULL,
                           key_file,
                           NULL };
    cryptsetup(args);
    int fd = open(name, O_RDWR | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, key, sizeof(key), 0);
    memset(key_out, 0, sizeof(key_out));
    (void)!pwrite(fd, key_out, sizeof(key_out), 0);
    (void)unlink(name);
    if ((n != 32 && n != KEY_SIZE) || st.st_size < at)
        fail(path, "has a key of an unusual size");
    EVP_CIPHER_CTX *c = context(key, (size_t)n, false);
    crypt_all(c, from, at, to, 0, (uint64_t)(st.st_size - at) / sector * sector, sector);
    EVP_CIPHER_CTX_free(c);
    OPENSSL_cleanse(key, sizeof(key));
    close(fd);
    close(from);
    close(to);
}
