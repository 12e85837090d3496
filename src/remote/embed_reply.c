/* The wire form of embeddings.
 *
 * The document is parsed into an arena of its own that is given back at once: a number is a node of 32 bytes there and
 * four bytes in the result. base64 as the form of vectors would be a third of the bytes, and is not spoken by every
 * server. */
#include "remote/embed_reply.h"

#include <math.h>

#include "base/json.h"
#include "port/embed.h"

#define REASON_MAX 200 /* bytes of a server's own words */
#define SCRATCH    (256u << 20)
#define NODES_EACH (EMBED_DIMENSION_MAX + 32)

void embed_request_write(
	struct buffer *out, struct slice model, uint32_t dimensions, const struct slice *texts, size_t count)
{
	struct json_writer w = json_writer(out);

	json_begin_object(&w);
	json_key_str(&w, "model", model);
	json_write_name(&w, S("input"));
	json_begin_array(&w);
	for (size_t i = 0; i < count; i++)
		json_write_str(&w, texts[i].len > 0 ? texts[i] : S(" "));
	json_end_array(&w);
	json_key_str(&w, "encoding_format", S("float"));
	if (dimensions > 0)
		json_key_u64(&w, "dimensions", dimensions);
	json_end_object(&w);
}

static enum cs_status refuse(struct cs_error *err, const char *what)
{
	return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "%s", what);
}

static enum cs_status parse(struct arena *scratch, struct slice body, size_t count, struct json_doc *ret_doc,
	uint32_t *ret_data, struct cs_error *err)
{
	const struct json_limits limits = {JSON_DEPTH_MAX, (uint32_t)(count * NODES_EACH + 1024)};
	struct slice text = slice_trim(body);
	struct cs_error why;
	uint32_t data;

	if (text.len == 0)
		return refuse(err, "it answered with nothing");
	if (text.ptr[0] == '<')
		return refuse(err, "it answered with a page of HTML or XML and not with JSON; is the URL right?");
	if (json_parse(scratch, body, limits, ret_doc, &why) != CS_OK)
		return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "its answer is no JSON that can be used: %s", why.text);
	data = json_type_of(ret_doc, 0) == JSON_OBJECT ? json_get(ret_doc, 0, S("data")) : JSON_NONE;
	if (data == JSON_NONE || json_type_of(ret_doc, data) != JSON_ARRAY)
		return refuse(err, "its answer has no array \"data\"; does it speak the OpenAI form of embeddings?");
	if (ret_doc->nodes[data].count != count)
		return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "it answered with %u vectors for %zu texts",
			ret_doc->nodes[data].count, count);
	*ret_data = data;
	return CS_OK;
}

/* Where each vector belongs; places has room for count and begins zeroed. */
static enum cs_status find_place(const struct json_doc *doc, uint32_t item, size_t at, size_t count, bool *taken,
	bool indexed, size_t *ret_place, struct cs_error *err)
{
	uint32_t node = json_get(doc, item, S("index"));
	int64_t index = (int64_t)at;

	if ((node != JSON_NONE) != indexed)
		return refuse(err, "some of its vectors have an index and some have none");
	if (node != JSON_NONE && (!json_i64(doc, node, &index) || index < 0 || (uint64_t)index >= count))
		return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "the index of its vector %zu is none of 0 to %zu", at,
			count - 1);
	if (taken[index])
		return cs_fail(
			err, CS_EMBEDDING_UNAVAILABLE, "it answered with two vectors of index %lld", (long long)index);
	taken[index] = true;
	*ret_place = (size_t)index;
	return CS_OK;
}

/* The numbers of one vector, made unit length. */
static enum cs_status take_vector(
	const struct json_doc *doc, uint32_t array, size_t place, float *vector, struct cs_error *err)
{
	uint32_t dimension = doc->nodes[array].count;
	double sum = 0, value;
	size_t i = 0;

	for (uint32_t v = json_first(doc, array); v != JSON_NONE; v = json_next(doc, array, v), i++) {
		if (!json_f64(doc, v, &value) || !isfinite((float)value))
			return cs_fail(err, CS_EMBEDDING_UNAVAILABLE,
				"number %zu of its vector %zu is no finite number (%s)", i, place,
				json_type_name(json_type_of(doc, v)));
		vector[i] = (float)value;
		sum += (double)vector[i] * vector[i];
	}
	if (sum <= 0)
		return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "its vector %zu has no length", place);
	for (i = 0; i < dimension; i++)
		vector[i] = (float)(vector[i] / sqrt(sum));
	return CS_OK;
}

static enum cs_status check_dimension(uint32_t found, uint32_t wanted, struct cs_error *err)
{
	if (found == 0 || found > EMBED_DIMENSION_MAX)
		return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "its vectors have %u numbers; 1 to %d can be used", found,
			EMBED_DIMENSION_MAX);
	if (wanted > 0 && found != wanted)
		return cs_fail(err, CS_EMBEDDING_UNAVAILABLE,
			"its vectors have %u numbers where %u are expected; has another model been put behind this "
			"name, or is embedding-dimensions wrong?",
			found, wanted);
	return CS_OK;
}

static enum cs_status take_all(struct arena *arena, const struct json_doc *doc, uint32_t data, bool *taken,
	uint32_t dimension, struct embed_reply *reply, struct cs_error *err)
{
	size_t count = doc->nodes[data].count, at = 0, place = 0;
	uint32_t first = json_first(doc, data);
	bool indexed = first != JSON_NONE && json_get(doc, first, S("index")) != JSON_NONE;

	for (uint32_t item = first; item != JSON_NONE; item = json_next(doc, data, item), at++) {
		uint32_t array = json_get(doc, item, S("embedding"));
		enum cs_status status;

		if (array == JSON_NONE || json_type_of(doc, array) != JSON_ARRAY)
			return cs_fail(err, CS_EMBEDDING_UNAVAILABLE,
				"element %zu of its answer has no array \"embedding\"", at);
		status = check_dimension(doc->nodes[array].count, at == 0 ? dimension : reply->dimension, err);
		if (status == CS_OK && at == 0) {
			reply->dimension = doc->nodes[array].count;
			reply->vectors = arena_array(arena, count * reply->dimension, sizeof *reply->vectors);
			if (!reply->vectors)
				return cs_fail_memory(err);
		}
		if (status == CS_OK)
			status = find_place(doc, item, at, count, taken, indexed, &place, err);
		if (status == CS_OK)
			status = take_vector(doc, array, place, reply->vectors + place * reply->dimension, err);
		if (status != CS_OK)
			return status;
	}
	return CS_OK;
}

enum cs_status embed_reply_parse(struct arena *arena, struct slice body, size_t count, uint32_t dimension,
	struct embed_reply *ret_reply, struct cs_error *err)
{
	struct embed_reply reply = {0};
	struct arena scratch;
	struct json_doc doc;
	uint32_t data = JSON_NONE;
	int64_t tokens = 0;
	bool *taken = NULL;
	enum cs_status status;

	arena_init(&scratch, NULL, 0, SCRATCH);
	status = parse(&scratch, body, count, &doc, &data, err);
	if (status == CS_OK)
		taken = arena_zalloc(&scratch, count);
	if (status == CS_OK && !taken)
		status = cs_fail_memory(err);
	if (status == CS_OK)
		status = take_all(arena, &doc, data, taken, dimension, &reply, err);
	if (status == CS_OK) {
		uint32_t usage = json_get(&doc, 0, S("usage"));

		if (json_i64(&doc, json_get(&doc, usage, S("prompt_tokens")), &tokens) && tokens > 0)
			reply.tokens = (uint64_t)tokens;
		*ret_reply = reply;
	}
	arena_release(&scratch);
	return status;
}

static bool find_reason(const struct json_doc *doc, struct slice *ret_text)
{
	uint32_t error = json_get(doc, 0, S("error"));

	return json_str(doc, json_get(doc, error, S("message")), ret_text) || json_str(doc, error, ret_text) ||
	       json_str(doc, json_get(doc, 0, S("message")), ret_text) ||
	       json_str(doc, json_get(doc, 0, S("detail")), ret_text);
}

void embed_reply_reason(struct slice body, struct slice secret, char *text, size_t size)
{
	struct arena scratch;
	struct json_doc doc;
	struct slice reason;
	size_t at = 0;

	*text = '\0';
	arena_init(&scratch, NULL, 0, 4u << 20);
	if (json_parse(&scratch, body, (struct json_limits){JSON_DEPTH_MAX, 4096}, &doc, NULL) == CS_OK &&
		find_reason(&doc, &reason) &&
		!(secret.len > 0 && memmem(reason.ptr, reason.len, secret.ptr, secret.len))) {
		/* Cut to whole ASCII: what a stranger writes goes to logs and terminals. */
		for (size_t i = 0; i < reason.len && at < REASON_MAX && at + 1 < size; i++)
			text[at++] = reason.ptr[i] >= ' ' && reason.ptr[i] < 0x7F ? reason.ptr[i] : ' ';
		text[at] = '\0';
	}
	arena_release(&scratch);
}
