/* SPDX-License-Identifier: MIT */
/* For tests of the root image: make one with the standard tools from a tree that is written here. */
#ifndef TEST_IMAGE_H
#define TEST_IMAGE_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What apps/kernel defines: nothing here ends or boots a machine. */
_Noreturn void machine_exit(int wait_status);
_Noreturn void machine_exit(int wait_status)
{
    exit(wait_status ? wait_status : 1);
}

_Noreturn void upcall_boot(void);
_Noreturn void upcall_boot(void)
{
    abort();
}

struct file_image {
    uint8_t *data;
    size_t size;
};

static char image_dir[64];

__attribute__((format(printf, 1, 2))) static inline void image_run(const char *format, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    if (system(line) != 0) {
        fprintf(stderr, "failed: %s\n", line);
        exit(1);
    }
}

/* The files: name n of size s holds bytes that depend on both. */
static inline uint8_t image_byte(unsigned n, size_t at)
{
    return (uint8_t)(at * 7 + n * 13 + (at >> 8) * 3 + 1);
}

static const size_t image_sizes[] = { 0, 1, 100, 4095, 4096, 4097, 8192, 12000, 100000, 1048577 };
enum { IMAGE_FILES = sizeof(image_sizes) / sizeof(image_sizes[0]), IMAGE_NAMES = 1000 };

static inline void image_file(const char *name, unsigned n, size_t size)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/tree/%s", image_dir, name);
    FILE *f = fopen(path, "w");
    for (size_t i = 0; i < size; i++)
        putc(image_byte(n, i), f);
    fclose(f);
}

static inline struct file_image image_load(const char *name)
{
    char path[256];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", image_dir, name);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st)) {
        perror(path);
        exit(1);
    }
    struct file_image im = { aligned_alloc(4096, ((size_t)st.st_size + 4095) & ~4095ul),
                             (size_t)st.st_size };
    if (read(fd, im.data, im.size) != (ssize_t)im.size)
        exit(1);
    close(fd);
    return im;
}

/* Write the tree and make an image of it: root.img, and with verity root.hash and root.txt (the root hash). */
static inline void image_make(const char *options)
{
    char name[64];
    strcpy(image_dir, "/tmp/alcove-image.XXXXXX");
    if (!mkdtemp(image_dir))
        exit(1);
    image_run("mkdir -p %s/tree/dir/sub/deep %s/tree/many %s/tree/empty", image_dir, image_dir,
              image_dir);
    for (unsigned i = 0; i < IMAGE_FILES; i++) {
        snprintf(name, sizeof(name), "dir/file%u", i);
        image_file(name, i, image_sizes[i]);
    }
    for (unsigned i = 0; i < IMAGE_NAMES; i++) {
        snprintf(name, sizeof(name), "many/a_name_that_is_not_short_%u", i * 37 % IMAGE_NAMES);
        image_file(name, i, 3);
    }
    image_run("cd %s/tree && ln -s ../dir/file2 dir/link && ln dir/file3 dir/hard && ln dir/file3 "
              "empty/hard3 && "
              "mkfifo dir/fifo && chmod 4750 dir/file4 && chmod 1777 empty && "
              "setfattr -n user.one -v first dir/file5 2>/dev/null; "
              "touch -d @1000000000 dir/file6",
              image_dir);
    image_run("cd %s && mkfs.erofs %s root.img tree >/dev/null 2>&1", image_dir, options);
    image_run("cd %s && truncate -s %%4096 root.img && veritysetup format root.img root.hash "
              ">verity.txt 2>&1 && "
              "sed -n 's/^Root hash:[ \\t]*//p' verity.txt >root.txt",
              image_dir);
}

static inline void image_remove(void)
{
    image_run("rm -rf %s", image_dir);
}

static inline void image_root_hash(uint8_t hash[32])
{
    struct file_image text = image_load("root.txt");
    for (unsigned i = 0; i < 32; i++) {
        unsigned byte;
        sscanf((char *)text.data + 2 * i, "%2x", &byte);
        hash[i] = (uint8_t)byte;
    }
    free(text.data);
}

#endif
