/* The error table's accessors, and the one way an error text is made. */
#include "base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

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

/* A text that did not fit ends at a whole character: continuation bytes at the cut, and the lead byte they belong to,
 * go. */
static void cut_at_character(char *text, size_t size)
{
	size_t end = size - 1;

	while (end > 0 && ((unsigned char)text[end - 1] & 0xC0) == 0x80)
		end--;
	if (end > 0 && (unsigned char)text[end - 1] >= 0xC0)
		end--;
	text[end] = '\0';
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
	else if ((size_t)wanted >= sizeof err->text)
		cut_at_character(err->text, sizeof err->text);
	return status;
}

enum cs_status cs_fail_memory(struct cs_error *err)
{
	return cs_fail(
		err, CS_LIMIT_EXCEEDED, "the request needs more memory than it may use; send it in smaller parts");
}
