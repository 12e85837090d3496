/* The error table's accessors, and the one way an error text is made. */
#include "base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"

static const struct status_row {
	const char *type;
	int http;
	const char *text;
} status_rows[] = {
#define X(symbol, type, http, text) [CS_##symbol] = {type, http, text},
	CS_STATUS_TABLE(X)
#undef X
};

const char *cs_status_type(enum cs_status status)
{
	assert(status < CS_STATUS_COUNT);
	return status_rows[status].type;
}

int cs_status_http(enum cs_status status)
{
	assert(status < CS_STATUS_COUNT);
	return status_rows[status].http;
}

const char *cs_status_text(enum cs_status status)
{
	assert(status < CS_STATUS_COUNT);
	return status_rows[status].text;
}

/* Drops the bytes that make no whole character: of one cut in two, here or by the precision of a %.64s, or of a file's
 * name in another encoding. The text goes into replies, which are UTF-8. */
static void keep_characters(char *text)
{
	const char *at = text, *end = text + strlen(text);
	char *to = text;

	/* Nearly always; CS_WOULD_WAIT is told for each call that an event loop hands over. */
	if (utf8_length(slice_of(text, (size_t)(end - at))) >= 0)
		return;
	while (at < end) {
		size_t length = utf8_char(at, end);

		memmove(to, at, length);
		to += length;
		at += length ? length : 1;
	}
	*to = '\0';
}

enum cs_status cs_fail(struct cs_error *err, enum cs_status status, const char *format, ...)
{
	va_list args;
	int wanted;

	assert(status != CS_OK && status < CS_STATUS_COUNT);
	if (!err)
		return status;
	err->status = status;
	err->version = 0;
	err->backend[0] = '\0';
	va_start(args, format);
	wanted = vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	if (wanted < 0)
		snprintf(err->text, sizeof err->text, "%s", cs_status_text(status));
	keep_characters(err->text);
	return status;
}

enum cs_status cs_fail_memory(struct cs_error *err)
{
	return cs_fail(
		err, CS_LIMIT_EXCEEDED, "the request needs more memory than it may use; send it in smaller parts");
}
