/* SPDX-License-Identifier: MIT */
/* Linked in every way that a Linux program can be: static, static-PIE, dynamic non-PIE, dynamic PIE, with musl. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    char *copy = strdup("hello");
    if (!copy)
        return 1;
    for (int i = 0; i < argc; i++)
        printf("%d %s\n", i, argv[i]);
    printf("%s, %s %.3f\n", copy, getenv("WHO") ? getenv("WHO") : "nobody", 1.0 / 3);
    free(copy);
    return argc > 1 ? atoi(argv[1]) : 0;
}
