/* SPDX-License-Identifier: MIT */
/* What readahead(2) and posix_fadvise(2) do to the page cache. Only files whose pages come from a disk have anything to gain. */
#include <libos/hint.h>

#include <abi/fcntl.h>
#include <base/compiler.h>
#include <libos/file.h>
#include <libos/page.h>
#include <libos/pagemap.h>
#include <libos/sched.h>
#include <libos/vfs.h>

/* The page cache of f, if hints mean something to it; its pages in *ret_pages. */
static struct pagemap *cache_of(struct file *f, uint64_t *ret_pages)
{
    struct pagemap *m = f->ops->pagemap ? f->ops->pagemap(f) : NULL;
    if (!m || !m->ops || !m->ops->refills || !m->ops->size_pages)
        return NULL;
    *ret_pages = m->ops->size_pages(m);
    return m;
}

/* The end of a range, where len 0 is all that follows. */
static uint64_t end_of(uint64_t from, uint64_t len)
{
    return len && from + len > from ? from + len : INT64_MAX;
}

void hint_will_need(struct file *f, uint64_t from, uint64_t len)
{
    uint64_t pages, end = end_of(from, len), i = from / PAGE_SIZE;
    struct pagemap *m = cache_of(f, &pages);
    if (!m)
        return;
    /* Not more than there is room for without taking it from anybody. */
    uint64_t most = page_available_count() / 4, last = (end - 1) / PAGE_SIZE + 1;
    last = min_u64(min_u64(last, pages), i + most);
    for (; i < last; i++) {
        struct page *p;
        if (pagemap_get(m, i, false, &p))
            return; /* whoever reads it will be told */
        if (p)
            page_put(p);
        thread_preempt_point();
    }
}

void hint_dont_need(struct file *f, uint64_t from, uint64_t len)
{
    uint64_t pages, end = end_of(from, len);
    struct pagemap *m = cache_of(f, &pages);
    if (!m)
        return;
    /* What is dirty is written first, else it could not go. */
    if (f->ops->write_back)
        (void)f->ops->write_back(f, from, end, SYNC_FILE_RANGE_WRITE); /* errors wait for fsync */
    /* Pages of which only a part is named stay, but for the file's last one. */
    uint64_t first = from / PAGE_SIZE + (from % PAGE_SIZE != 0);
    uint64_t last = end / PAGE_SIZE >= pages ? pages : end / PAGE_SIZE;
    for (uint64_t n; first < last; first += n) {
        n = min_u64(last - first, 512);
        bool all = pagemap_evict(m, first, first + n);
        (void)all; /* what is in use stays */
        thread_preempt_point();
    }
}
