/* SPDX-License-Identifier: MIT */
/* TCG_PCClientPCREvent with TCG_EfiSpecIDEvent, then TCG_PCR_EVENT2s; all little-endian. */
#include <base/eventlog.h>

enum {
    NO_ACTION = 3, /* EV_NO_ACTION, the type of the first event */
    OLD_TYPE = 4,
    OLD_SIZE = 28, /* of what follows the first event's digest */
    OLD_DATA = 32,
    ALGORITHMS = 24, /* in that: their number, and behind it identifier and size of each */
    SIGNATURE = 16,
    EVENT_COUNT = 8, /* of digests */
    EVENT_DIGESTS = 12,
    ALGORITHMS_MAX = 16,
};

static uint32_t get16(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) | get16(p + 2) << 16;
}

static bool signature_is(const uint8_t *p)
{
    static const char want[SIGNATURE] = "Spec ID Event03";

    for (unsigned i = 0; i < SIGNATURE; i++)
        if (p[i] != (uint8_t)want[i])
            return false;
    return true;
}

size_t eventlog_head(const uint8_t *log, size_t room)
{
    size_t size;
    uint32_t count;

    if (room < OLD_DATA + ALGORITHMS + 4 || get32(log + OLD_TYPE) != NO_ACTION)
        return 0;
    size = get32(log + OLD_SIZE);
    if (size < ALGORITHMS + 4 || size > room - OLD_DATA || !signature_is(log + OLD_DATA))
        return 0;
    count = get32(log + OLD_DATA + ALGORITHMS);
    if (!count || count > ALGORITHMS_MAX || size < ALGORITHMS + 4 + 4 * count)
        return 0;
    return OLD_DATA + size;
}

/* The length of a digest; 0: the first event does not name the algorithm. */
static size_t digest_size(const uint8_t *log, uint32_t algorithm)
{
    const uint8_t *p = log + OLD_DATA + ALGORITHMS;
    uint32_t count = get32(p);

    for (uint32_t i = 0; i < count; i++)
        if (get16(p + 4 + 4 * i) == algorithm)
            return get16(p + 6 + 4 * i);
    return 0;
}

size_t eventlog_event(const uint8_t *log, size_t head, const uint8_t *event, size_t room)
{
    size_t at = EVENT_DIGESTS;
    uint32_t count, size;

    if (!head || room < EVENT_DIGESTS)
        return 0;
    count = get32(event + EVENT_COUNT);
    if (!count || count > get32(log + OLD_DATA + ALGORITHMS))
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t digest;

        if (room - at < 2)
            return 0;
        digest = digest_size(log, get16(event + at));
        if (!digest || digest > room - at - 2)
            return 0;
        at += 2 + digest;
    }
    if (room - at < 4)
        return 0;
    size = get32(event + at);
    at += 4;
    return size <= room - at ? at + size : 0;
}

size_t eventlog_size(const uint8_t *log, size_t room)
{
    size_t head = eventlog_head(log, room), at = head, n;

    while (at < room && (n = eventlog_event(log, head, log + at, room - at)))
        at += n;
    return at;
}
