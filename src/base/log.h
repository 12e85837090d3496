/* The log: one line per event on stderr, never on stdout.
 *
 * A line is level, time, message and named fields, as logfmt (default) or JSON lines. The message is constant text;
 * what varies is a field. A line is written with one write(2), so that threads and processes do not mix. The same
 * message from the same place more than LOG_REPEATS times in a second is counted instead, and the count is told once
 * the second is over or at the next one let through.
 *
 *     log_write(LOG_INFO, "store opened", log_str("dir", dir), log_i64("contexts", n), LOG_END);
 *
 * Library code returns errors and does not log; what logs is cli/, mcp/ and the threads that have nobody to return to.
 * Threads: any. */
#ifndef CS_BASE_LOG_H
#define CS_BASE_LOG_H

#include "base/slice.h"

#define LOG_REPEATS 5

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_OFF };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
	const char *name; /* NULL ends the list */
	enum { LOG_FIELD_STR, LOG_FIELD_I64, LOG_FIELD_F64 } kind;
	struct slice text;
	int64_t i64;
	double f64;
};

static inline struct log_field log_str(const char *name, struct slice text)
{
	return (struct log_field){.name = name, .kind = LOG_FIELD_STR, .text = text};
}

static inline struct log_field log_i64(const char *name, int64_t value)
{
	return (struct log_field){.name = name, .kind = LOG_FIELD_I64, .i64 = value};
}

static inline struct log_field log_f64(const char *name, double value)
{
	return (struct log_field){.name = name, .kind = LOG_FIELD_F64, .f64 = value};
}

#define LOG_END ((struct log_field){0})

void log_setup(enum log_level lowest, enum log_format, int fd);
bool log_enabled(enum log_level);
bool log_level_parse(struct slice name, enum log_level *ret_level); /* debug info warning warn error off, any case */

#define log_write(level, message, ...)                                                                                 \
	do {                                                                                                           \
		if (log_enabled(level)) {                                                                              \
			const struct log_field log_fields_[] = {__VA_ARGS__};                                          \
			log_emit(level, message, log_fields_);                                                         \
		}                                                                                                      \
	} while (0)

void log_emit(enum log_level, const char *message, const struct log_field *fields);

#endif
