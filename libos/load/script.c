/* SPDX-License-Identifier: MIT */
/* '#!' lines, as Linux reads them: within the first 256 bytes, blanks are space and tab, the interpreter's name ends at a
 * blank or the line's end, all the rest of the line without the blanks around it is one argument. */
#include "load.h"

#include <abi/errno.h>
#include <string.h>

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

int script_parse(const char head[HEAD_SIZE], char *ret_name, char *ret_arg)
{
    if (head[0] != '#' || head[1] != '!')
        return -ENOEXEC;
    const char *p = head + 2, *limit = head + HEAD_SIZE, *end = memchr(p, '\n', HEAD_SIZE - 2);
    bool cut = !end;
    if (cut) {
        /* No end of line: the name must at least end within what was read. */
        end = memchr(p, '\0', HEAD_SIZE - 2);
        cut = !end;
        end = end ? end : limit;
    }
    while (p < end && blank(*p))
        p++;
    while (end > p && (blank(end[-1]) || end[-1] == '\0'))
        end--;
    if (p == end)
        return -ENOEXEC;
    const char *name = p;
    while (p < end && !blank(*p) && *p)
        p++;
    if (cut && p == limit)
        return -ENOEXEC;
    memcpy(ret_name, name, (size_t)(p - name));
    ret_name[p - name] = '\0';
    while (p < end && blank(*p))
        p++;
    size_t len = strnlen(p, (size_t)(end - p));
    memcpy(ret_arg, p, len);
    ret_arg[len] = '\0';
    return 0;
}
