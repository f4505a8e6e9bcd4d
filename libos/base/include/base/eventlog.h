/* SPDX-License-Identifier: MIT */
/* The log that firmware keeps of what it measured into a TPM: where its events end. Whoever wrote it is not trusted; nothing
 * is read beyond what is given. Pure. Spec: TCG PC Client Platform Firmware Profile 1.05, 10 (crypto-agile form). */
#ifndef BASE_EVENTLOG_H
#define BASE_EVENTLOG_H

#include <base/compiler.h>
#include <base/types.h>

/* Bytes of the log's first event, which says how long digests are, in room bytes at most; 0: it is no such event. */
size_t eventlog_head(const uint8_t *log, size_t room);

/* Bytes of the event at event, in room bytes at most, of a log whose first event of head bytes is at log; 0: there is none
 * (zeros), or it is malformed. */
size_t eventlog_event(const uint8_t *log, size_t head, const uint8_t *event, size_t room);

/* Bytes of all events from the first one on that are whole; 0: not even that. */
size_t eventlog_size(const uint8_t *log, size_t room);

#endif
