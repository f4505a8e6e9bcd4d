/* SPDX-License-Identifier: MIT */
/* The paging layer from a relinked program: map pages, touch one, take a right away, and look at the page tables.
 * alcove-cc pages.c -o pages.elf && alcove run pages.elf */
#include <alcove/page.h>
#include <stdio.h>
#include <string.h>

enum { PAGE = 4096, PAGES = 4 };

static void show(const char *when, const char *p)
{
    struct alcove_page page;
    alcove_page_query(p, &page);
    printf("%-10s %s %c%c%c %s\n", when, page.present ? "present" : "absent ",
           page.prot & ALCOVE_READ ? 'r' : '-', page.prot & ALCOVE_WRITE ? 'w' : '-',
           page.prot & ALCOVE_EXEC ? 'x' : '-', page.dirty ? "dirty" : "clean");
}

int main(void)
{
    void *memory;
    int err = alcove_page_map(PAGES * PAGE, ALCOVE_READ | ALCOVE_WRITE, &memory);
    if (err) {
        printf("alcove_page_map: %d\n", err);
        return 1;
    }
    char *p = memory;
    show("mapped", p + PAGE);
    strcpy(p + PAGE, "written");
    show("written", p + PAGE);
    err = alcove_page_protect(p + PAGE, PAGE, ALCOVE_READ);
    show("protected", p + PAGE);
    printf("it says \"%s\"\n", p + PAGE);
    if (err || alcove_page_protect(p + 1, PAGE, ALCOVE_READ) != -22)
        return 1;
    err = alcove_page_unmap(p, PAGES * PAGE);
    show("unmapped", p + PAGE);
    return err ? 1 : 0;
}
