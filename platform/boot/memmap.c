/* SPDX-License-Identifier: MIT */
/* A loader's memory map made safe: pure functions, unit-tested on the host. Each list is short, so plain loops do. */
#include "boot/memory.h"

/* Insert keeping the order; touching and overlapping runs are one. */
static size_t insert(struct memmap_range *runs, size_t count, size_t max, uint64_t start,
                     uint64_t end)
{
    size_t i = 0, j;

    while (i < count && runs[i].end < start)
        i++;
    for (j = i; j < count && runs[j].start <= end; j++) {
        start = min_u64(start, runs[j].start);
        end = max_u64(end, runs[j].end);
    }
    if (i == j) {
        if (count == max)
            return count;
        for (size_t k = count; k > i; k--)
            runs[k] = runs[k - 1];
        count++;
    } else {
        for (size_t k = j; k < count; k++)
            runs[k - (j - i - 1)] = runs[k];
        count -= j - i - 1;
    }
    runs[i] = (struct memmap_range){ start, end };
    return count;
}

size_t memmap_remove(struct memmap_range *runs, size_t count, size_t max, uint64_t start,
                     uint64_t end)
{
    for (size_t i = 0; i < count;) {
        struct memmap_range r = runs[i];

        if (r.end <= start || r.start >= end || start >= end) {
            i++;
        } else if (r.start < start && r.end > end) {
            runs[i].end = start;
            if (count == max)
                return count; /* the upper part is lost: no room to remember it */
            for (size_t k = count; k > i + 1; k--)
                runs[k] = runs[k - 1];
            runs[i + 1] = (struct memmap_range){ end, r.end };
            return count + 1;
        } else if (r.start < start) {
            runs[i++].end = start;
        } else if (r.end > end) {
            runs[i++].start = end;
        } else {
            for (size_t k = i + 1; k < count; k++)
                runs[k - 1] = runs[k];
            count--;
        }
    }
    return count;
}

size_t memmap_build(const struct memmap_entry *raw, size_t count, uint64_t limit,
                    struct memmap_range *out, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t start = raw[i].addr, end = start + raw[i].size;

        if (raw[i].type != MEMMAP_RAM || end <= start || start >= limit)
            continue;
        start = align_up(start, PAGE_SIZE);
        end = align_down(min_u64(end, limit), PAGE_SIZE);
        if (start < end)
            n = insert(out, n, max, start, end);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t start = raw[i].addr, end = start + raw[i].size;

        if (raw[i].type == MEMMAP_RAM || raw[i].type == 0 || raw[i].size == 0)
            continue;
        /* A reserved entry that overflows reserves all from its start. */
        end = end <= start || end > limit ? limit : align_up(end, PAGE_SIZE);
        n = memmap_remove(out, n, max, align_down(start, PAGE_SIZE), end);
    }
    return n;
}
