/* Time, in two kinds, replaceable in tests.
 *
 * Wall time is what is stored and shown (milliseconds since 1970-01-01 UTC) and may jump; monotonic time (nanoseconds
 * from an arbitrary start) is what waits and measures use. Threads: any. */
#ifndef CS_BASE_CLOCK_H
#define CS_BASE_CLOCK_H

#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

int64_t clock_wall_ms(void);
int64_t clock_mono_ns(void);

/* Tests only: both clocks are moved by this much, at once for all threads. 0 gives the real time back. */
void clock_shift_ms(int64_t shift_ms);

/* "2026-11-23T10:15:30.123Z"; years 0000 to 9999. */
#define CLOCK_TEXT_SIZE 25
void clock_format(int64_t wall_ms, char text[CLOCK_TEXT_SIZE]);

/* RFC 3339 date-time with any offset, or a date alone (midnight UTC, or the last millisecond of that day for
 * `end_of_day`). Errors: CS_VALIDATION with what is expected. */
CS_CHECKED enum cs_status clock_parse(struct slice text, bool end_of_day, int64_t *ret_wall_ms, struct cs_error *);

#endif
