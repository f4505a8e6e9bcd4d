/* SPDX-License-Identifier: MIT */
/* The firmware's log of what it measured into a TPM, kept for libOS: a copy made just before boot services end, and behind it
 * what the firmware logs from then on, which it keeps in a table of its own ("final events"). Spec: TCG EFI Protocol 2.0,
 * 6.5 and 7. */
#include "stub.h"

#include <base/eventlog.h>

enum { FORMAT_TCG2 = 2, HEAD_MAX = PAGE, EVENT_MAX = 1 << 20 };

struct final_events {
    uint64_t version, count;
    uint8_t events[];
};

struct tcg2_log {
    void *get_capability;
    EFI_STATUS(EFIAPI *get_event_log)
    (struct tcg2_log *, UINT32 format, EFI_PHYSICAL_ADDRESS *ret_log,
     EFI_PHYSICAL_ADDRESS *ret_last, BOOLEAN *ret_truncated);
};

static const EFI_GUID tcg2 = {
    0x607f766c, 0x7455, 0x42be, { 0x93, 0x0b, 0xe4, 0xd7, 0x6d, 0xb2, 0x72, 0x0f }
};
static const EFI_GUID final_guid = {
    0x1e2ed096, 0x30e2, 0x4254, { 0xbd, 0x89, 0x86, 0x3b, 0xbe, 0xf8, 0x23, 0x25 }
};

static const struct final_events *find_final(const EFI_SYSTEM_TABLE *st)
{
    for (UINTN i = 0; i < st->NumberOfTableEntries; i++)
        if (!memcmp(&st->ConfigurationTable[i].VendorGuid, &final_guid, sizeof(final_guid)))
            return st->ConfigurationTable[i].VendorTable;
    return NULL;
}

/* All of the log that begins at log and whose last event begins at last; 0: it is none. */
static size_t whole(const uint8_t *log, const uint8_t *last)
{
    size_t head = eventlog_head(log, HEAD_MAX), n;

    if (!head || last < log)
        return 0;
    if (last == log)
        return head;
    n = eventlog_event(log, head, last, EVENT_MAX);
    return n ? (size_t)(last - log) + n : 0;
}

void eventlog_keep(const EFI_SYSTEM_TABLE *st, struct eventlog *ret)
{
    EFI_BOOT_SERVICES *bs = st->BootServices;
    EFI_PHYSICAL_ADDRESS log = 0, last = 0, pa = 0xffffffff;
    EFI_GUID guid = tcg2;
    struct tcg2_log *t;
    BOOLEAN truncated;
    size_t size;

    *ret = (struct eventlog){ 0 };
    if (bs->LocateProtocol(&guid, NULL, (void **)&t) != EFI_SUCCESS ||
        t->get_event_log(t, FORMAT_TCG2, &log, &last, &truncated) != EFI_SUCCESS || !log)
        return;
    size = whole((const uint8_t *)(uintptr_t)log, (const uint8_t *)(uintptr_t)last);
    ret->room = size + EVENTLOG_MORE;
    if (!size || bs->AllocatePages(AllocateMaxAddress, EfiReservedMemoryType,
                                   (ret->room + PAGE - 1) / PAGE, &pa) != EFI_SUCCESS)
        return;
    ret->data = (uint8_t *)(uintptr_t)pa;
    ret->size = size;
    memset(ret->data, 0, ret->room);
    memcpy(ret->data, (const void *)(uintptr_t)log, size);
    ret->final = find_final(st);
    ret->seen = ret->final ? ret->final->count : 0; /* these are in the copy */
}

void eventlog_end(struct eventlog *l)
{
    const struct final_events *f = l->final;
    size_t head = l->data ? eventlog_head(l->data, l->size) : 0;
    const uint8_t *at = f ? f->events : NULL;

    for (uint64_t i = 0; head && f && i < f->count; i++) {
        size_t n = eventlog_event(l->data, head, at, EVENT_MAX);

        if (!n || (i >= l->seen && n > l->room - l->size))
            return;
        if (i >= l->seen) {
            memcpy(l->data + l->size, at, n);
            l->size += n;
        }
        at += n;
    }
}
