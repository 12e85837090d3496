/* One walk over the header lines: the length of a name picks its only candidate, so a request pays one comparison a
 * header and not one search a name.
 *
 * Accept. Revisions ask clients to list application/json and text/event-stream both; curl and several clients send only
 * one of them, a range or nothing. Since the server knows which of the two it is about to send, it asks for that one
 * only. A media type with q=0 counts as refused; other weights do not matter with one representation each.
 *
 * A header that carries authority (session, version, key, what is mirrored) must stand once: two proxies that pick
 * different ones of two would disagree. */
#include "mcp/headers.h"

static bool weight_is_zero(struct slice parameters)
{
	while (parameters.len > 0) {
		struct slice one = slice_trim(slice_cut(&parameters, ';'));

		if (one.len < 3 || !slice_eq_nocase(slice_of(one.ptr, 2), S("q=")))
			continue;
		for (size_t i = 2; i < one.len; i++)
			if (one.ptr[i] != '0' && one.ptr[i] != '.')
				return false;
		return true;
	}
	return false;
}

static void read_accept(struct slice value, struct request_headers *h)
{
	h->has_accept = true;
	if (slice_eq(value, S("application/json, text/event-stream"))) { /* as the transport pages spell it */
		h->accepts_json = h->accepts_events = true;
		return;
	}
	while (value.len > 0) {
		struct slice range = slice_cut(&value, ',');
		struct slice type = slice_trim(slice_cut(&range, ';'));
		bool any = slice_eq(type, S("*/*"));

		if (range.len > 0 && weight_is_zero(range))
			continue;
		h->accepts_json |= any || slice_eq_nocase(type, S("application/json")) ||
				   slice_eq_nocase(type, S("application/*"));
		h->accepts_events |=
			any || slice_eq_nocase(type, S("text/event-stream")) || slice_eq_nocase(type, S("text/*"));
	}
}

/* `name` is a literal. */
static inline void take(
	struct slice *field, struct slice name, const struct http_header *header, struct request_headers *h)
{
	if (!slice_eq_nocase(header->name, name))
		return;
	if (field->ptr)
		h->repeated = name.ptr;
	*field = header->value;
	if (!field->ptr)
		field->ptr = "";
}

void headers_gather(const struct http_head *head, struct request_headers *ret_headers)
{
	struct request_headers *h = ret_headers;

	*h = (struct request_headers){0};
	for (uint32_t i = 0; i < head->header_count; i++) {
		const struct http_header *one = &head->headers[i];

		switch (one->name.len) {
		case 4: take(&h->host, S("Host"), one, h); break;
		case 6:
			if (slice_eq_nocase(one->name, S("Accept")))
				read_accept(one->value, h);
			else
				take(&h->origin, S("Origin"), one, h);
			break;
		case 8: take(&h->name, S("Mcp-Name"), one, h); break;
		case 9: take(&h->api_key, S("X-API-Key"), one, h); break;
		case 10: take(&h->method, S("Mcp-Method"), one, h); break;
		case 12: take(&h->content_type, S("Content-Type"), one, h); break;
		case 13: take(&h->authorization, S("Authorization"), one, h); break;
		case 14: take(&h->session, S("Mcp-Session-Id"), one, h); break;
		case 16: take(&h->content_encoding, S("Content-Encoding"), one, h); break;
		case 20: take(&h->version, S("MCP-Protocol-Version"), one, h); break;
		default: break;
		}
	}
	if (!h->has_accept)
		h->accepts_json = h->accepts_events = true;
}

bool headers_media_is(struct slice content_type, struct slice media_type)
{
	return slice_eq(content_type, media_type) ||
	       slice_eq_nocase(slice_trim(slice_cut(&content_type, ';')), media_type);
}

bool headers_body_is_plain(const struct request_headers *h)
{
	return h->content_encoding.len == 0 || slice_eq_nocase(h->content_encoding, S("identity"));
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 section 4, padded, no other characters. */
static bool base64_decode(struct slice text, char *out, size_t *ret_length)
{
	size_t length = 0, padding = 0;
	uint32_t bits = 0;

	if (text.len % 4)
		return false;
	while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < text.len - padding; i++) {
		int digit = base64_digit(text.ptr[i]);

		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		if (i % 4 > 0)
			out[length++] = (char)(bits >> (6 - 2 * (i % 4)));
	}
	if (padding && (bits & (padding == 1 ? 3u : 15u)))
		return false;
	*ret_length = length;
	return true;
}

bool headers_decode_value(struct slice text, char *out, struct slice *ret_value)
{
	const struct slice start = S("=?base64?");
	const struct slice end = S("?=");
	size_t length;

	if (text.len < start.len + end.len || !slice_starts(text, start) ||
		!slice_eq(slice_from(text, text.len - end.len), end)) {
		*ret_value = text;
		return true;
	}
	text = slice_of(text.ptr + start.len, text.len - start.len - end.len);
	if (!base64_decode(text, out, &length))
		return false;
	*ret_value = slice_of(out, length);
	return true;
}

static bool mismatch(struct rpc_error *error, const char *header, const char *what)
{
	return rpc_fail(error, RPC_HEADER_MISMATCH, 400, "Header mismatch: the %s header %s", header, what);
}

#define NAME_BYTES_MAX (8u << 10)

static bool mirror_name(const struct request_headers *h, struct slice wanted, struct rpc_error *error)
{
	char decoded[NAME_BYTES_MAX];
	struct slice value;

	if (!h->name.ptr)
		return mismatch(error, "Mcp-Name", "is missing");
	if (h->name.len > sizeof decoded || !headers_decode_value(h->name, decoded, &value))
		return mismatch(error, "Mcp-Name", "is no valid Base64");
	if (!slice_eq(value, wanted))
		return mismatch(error, "Mcp-Name", "differs from the body's params");
	return true;
}

bool headers_mirror_body(const struct request_headers *h, const struct json_doc *doc, const struct rpc_message *message,
	struct rpc_error *error)
{
	struct slice wanted;
	const char *member = NULL;

	if (!h->method.ptr)
		return mismatch(error, "Mcp-Method", "is missing");
	if (!slice_eq(h->method, message->method))
		return mismatch(error, "Mcp-Method", "differs from the body's method");
	if (slice_eq(message->method, S("tools/call")) || slice_eq(message->method, S("prompts/get")))
		member = "name";
	else if (slice_eq(message->method, S("resources/read")))
		member = "uri";
	/* A body without the member is refused for that, by the method. */
	if (!member || !json_str(doc, json_get(doc, message->params, slice_cstr(member)), &wanted))
		return true;
	return mirror_name(h, wanted, error);
}
