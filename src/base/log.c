/* The log: a line is composed in a fixed buffer on the stack and handed to one write(2).
 *
 * LOG_LINE_MAX is PIPE_BUF, up to which a write to a pipe is not interleaved with another's; a line that would be
 * longer keeps its beginning, ends its last string properly and says `truncated`. So no allocation, no partial JSON,
 * and a line that cannot be written (a full or closed pipe) is lost rather than waited for by a caller that has better
 * things to do.
 *
 * Values may come from a client, so nothing in them can end the line, forge a field or steer a terminal: control
 * characters (C0, DEL, C1) and the two Unicode line separators are escaped, invalid UTF-8 is replaced by U+FFFD.
 *
 * Repeats are counted in a small table under one mutex, keyed by the message's address: the same literal is the same
 * place. With more than LOG_PLACES messages in use within a second the longest quiet one is told and makes room. */
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/utf8.h"

#define LOG_LINE_MAX  PIPE_BUF
#define LOG_TAIL      24u /* for `,"truncated":true}` and the line feed */
#define LOG_PLACES    64u
#define LOG_SECOND_NS INT64_C(1000000000)

static atomic_int lowest_level = LOG_INFO;
static atomic_int line_format = LOG_LOGFMT;
static atomic_int line_fd = STDERR_FILENO;

static const char *const level_names[] = {"debug", "info", "warning", "error", "off"};

struct line {
	enum log_format format;
	size_t len;
	bool full; /* something did not fit; nothing more is added */
	char bytes[LOG_LINE_MAX];
};

static struct place {
	const char *message; /* NULL: free */
	enum log_level level;
	unsigned written; /* in this second */
	int64_t suppressed;
	int64_t since_ns; /* when the second began */
} places[LOG_PLACES];

static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER;

/* Adds all of it, or nothing; `keep` bytes stay free behind it (a closing quote). */
static bool put(struct line *line, struct slice text, size_t keep)
{
	if (line->full || text.len + keep > sizeof line->bytes - LOG_TAIL - line->len) {
		line->full = true;
		return false;
	}
	memcpy(line->bytes + line->len, text.ptr, text.len);
	line->len += text.len;
	return true;
}

static bool breaks_lines(uint32_t code)
{
	return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029;
}

/* One character as it stands between quotes, in both formats. Returns how many bytes of text it was. */
static size_t put_character(struct line *line, struct slice text)
{
	size_t len = utf8_char(text.ptr, text.ptr + text.len);
	char escaped[8];
	uint32_t code;

	if (len == 0)
		return put(line, S("\xEF\xBF\xBD"), 1), 1;
	code = utf8_scalar(text.ptr, len);
	if (code == '"')
		put(line, S("\\\""), 1);
	else if (code == '\\')
		put(line, S("\\\\"), 1);
	else if (code == '\n')
		put(line, S("\\n"), 1);
	else if (code == '\t')
		put(line, S("\\t"), 1);
	else if (code == '\r')
		put(line, S("\\r"), 1);
	else if (breaks_lines(code))
		put(line,
			slice_of(
				escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)code & 0xFFFF)),
			1);
	else
		put(line, slice_of(text.ptr, len), 1);
	return len;
}

static void put_quoted(struct line *line, struct slice text)
{
	if (!put(line, S("\""), 1))
		return;
	while (text.len && !line->full)
		text = slice_from(text, put_character(line, text));
	/* Room for the closing quote was kept, whether or not the text fitted. */
	line->bytes[line->len++] = '"';
}

/* logfmt: only what a reader could take for something else is quoted. */
static bool is_bare(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c <= ' ' || c == '=' || c == '"' || c == '\\' || c >= 0x7F)
			return false;
	}
	return text.len > 0;
}

static void put_text(struct line *line, struct slice text)
{
	if (line->format == LOG_LOGFMT && is_bare(text) && text.len < sizeof line->bytes - LOG_TAIL - line->len)
		put(line, text, 0);
	else
		put_quoted(line, text);
}

static void put_number(struct line *line, const struct log_field *field)
{
	char text[40];
	int len;

	if (field->kind == LOG_FIELD_I64)
		len = snprintf(text, sizeof text, "%lld", (long long)field->i64);
	else if (!isfinite(field->f64))
		len = snprintf(text, sizeof text, "null");
	else
		len = snprintf(text, sizeof text, "%.9g", field->f64);
	put(line, slice_of(text, (size_t)len), 0);
}

static void put_field(struct line *line, const struct log_field *field)
{
	size_t start = line->len;
	bool json = line->format == LOG_JSON;
	char name[72];
	int len = snprintf(name, sizeof name, json ? "%s\"%.64s\":" : "%s%.64s=",
		start == 0 ? json ? "{" : ""
		: json     ? ","
			   : " ",
		field->name);
	size_t before_value;

	/* A name without its value would not be JSON. */
	if (!put(line, slice_of(name, (size_t)len), 0))
		return;
	before_value = line->len;
	if (field->kind == LOG_FIELD_STR)
		put_text(line, field->text);
	else
		put_number(line, field);
	if (line->len == before_value)
		line->len = start;
}

static void write_line(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t written = write(fd, bytes, len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return;
		bytes += written;
		len -= (size_t)written;
	}
}

/* suppressed: how many lines like this one were counted instead of written. */
static void emit(enum log_level level, const char *message, const struct log_field *fields, int64_t suppressed)
{
	struct line line = {.format = (enum log_format)atomic_load_explicit(&line_format, memory_order_relaxed)};
	struct log_field repeats = log_i64("suppressed", suppressed);
	struct log_field head[3];
	char time_text[CLOCK_TEXT_SIZE];

	clock_format(clock_wall_ms(), time_text);
	head[0] = log_str("level", slice_cstr(level_names[level]));
	head[1] = log_str("time", slice_cstr(time_text));
	head[2] = log_str("msg", slice_cstr(message));
	for (size_t i = 0; i < 3; i++)
		put_field(&line, &head[i]);
	if (suppressed > 0)
		put_field(&line, &repeats);
	for (; fields && fields->name; fields++)
		put_field(&line, fields);
	/* LOG_TAIL was kept free for what follows. */
	if (line.full) {
		struct slice note = line.format == LOG_JSON ? S(",\"truncated\":true") : S(" truncated=true");

		memcpy(line.bytes + line.len, note.ptr, note.len);
		line.len += note.len;
	}
	if (line.format == LOG_JSON)
		line.bytes[line.len++] = '}';
	line.bytes[line.len++] = '\n';
	write_line(atomic_load_explicit(&line_fd, memory_order_relaxed), line.bytes, line.len);
}

static bool second_is_over(const struct place *place, int64_t now_ns)
{
	return now_ns < place->since_ns || now_ns - place->since_ns >= LOG_SECOND_NS;
}

/* Tells what was counted and frees the place. Called with the lock held: telling is rare, and order matters. */
static void tell(struct place *place)
{
	if (place->message && place->suppressed > 0)
		emit(place->level, place->message, NULL, place->suppressed);
	*place = (struct place){0};
}

static void tell_at_exit(void)
{
	pthread_mutex_lock(&places_lock);
	for (size_t i = 0; i < LOG_PLACES; i++)
		tell(&places[i]);
	pthread_mutex_unlock(&places_lock);
}

/* The place of this message; other places whose second is over are told. */
static struct place *place_of(const char *message, int64_t now_ns)
{
	struct place *own = NULL, *vacant = NULL, *oldest = &places[0];

	for (size_t i = 0; i < LOG_PLACES; i++) {
		struct place *place = &places[i];

		if (place->message == message) {
			own = place;
			continue;
		}
		if (place->message && second_is_over(place, now_ns))
			tell(place);
		if (!place->message)
			vacant = place;
		else if (place->since_ns < oldest->since_ns)
			oldest = place;
	}
	if (own)
		return own;
	if (!vacant)
		tell(oldest);
	return vacant ? vacant : oldest;
}

/* False: counted instead. *ret_suppressed: how many were counted in the second before. */
static bool let_through(enum log_level level, const char *message, int64_t *ret_suppressed)
{
	int64_t now_ns = clock_mono_ns();
	struct place *place;
	bool through;

	pthread_mutex_lock(&places_lock);
	place = place_of(message, now_ns);
	*ret_suppressed = 0;
	if (!place->message || second_is_over(place, now_ns)) {
		*ret_suppressed = place->suppressed;
		*place = (struct place){.message = message, .since_ns = now_ns};
	}
	place->level = level;
	through = place->written < LOG_REPEATS;
	if (through)
		place->written++;
	else
		place->suppressed++;
	pthread_mutex_unlock(&places_lock);
	return through;
}

void log_setup(enum log_level lowest, enum log_format format, int fd)
{
	static atomic_bool registered;

	atomic_store(&lowest_level, (int)lowest);
	atomic_store(&line_format, (int)format);
	atomic_store(&line_fd, fd);
	if (!atomic_exchange(&registered, true))
		atexit(tell_at_exit);
}

bool log_enabled(enum log_level level)
{
	return level < LOG_OFF && (int)level >= atomic_load_explicit(&lowest_level, memory_order_relaxed);
}

bool log_level_parse(struct slice name, enum log_level *ret_level)
{
	for (size_t i = 0; i <= LOG_OFF; i++)
		if (slice_eq_nocase(name, slice_cstr(level_names[i]))) {
			*ret_level = (enum log_level)i;
			return true;
		}
	if (!slice_eq_nocase(name, S("warn")))
		return false;
	*ret_level = LOG_WARNING;
	return true;
}

void log_emit(enum log_level level, const char *message, const struct log_field *fields)
{
	int saved = errno;
	int64_t suppressed;

	if (!log_enabled(level))
		return;
	metric_add(metric_series(METRIC_LOG_LINES, slice_cstr(level_names[level])), 1);
	if (let_through(level, message, &suppressed))
		emit(level, message, fields, suppressed);
	errno = saved;
}
