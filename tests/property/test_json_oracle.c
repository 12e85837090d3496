/* The JSON reader and writer against jansson: random documents and random damage to them.
 *
 * Both must take or refuse the same text, and what both took must be the same value. Where they differ by design, the
 * case is named here and everything else is a failure:
 *   - integers above INT64_MAX or below INT64_MIN: jansson refuses the text ("too big"), ours reads JSON_UINT or
 * JSON_HUGE;
 *   - numbers beyond a double: jansson refuses ("real number overflow"), ours reads JSON_HUGE;
 *   - "-0": jansson reads the integer 0, ours the double -0.0 (equal by value);
 *   - a byte 0 outside a string ends the text for jansson; ours refuses it as any other;
 *   - nesting over 64: jansson's limit is 2048, so texts are kept below ours;
 *   - a byte order mark and U+0000 in keys (jansson refuses the latter in every mode).
 * The seed is fixed and can be set with CS_SEED; it is printed with a failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* jansson's names that are ours too are renamed while its header is read. */
#define JSON_NULL   JANSSON_NULL
#define JSON_FALSE  JANSSON_FALSE
#define JSON_TRUE   JANSSON_TRUE
#define JSON_STRING JANSSON_STRING
#define JSON_ARRAY  JANSSON_ARRAY
#define JSON_OBJECT JANSSON_OBJECT
#define json_equal  jansson_equal
#include <jansson.h>
#undef JSON_NULL
#undef JSON_FALSE
#undef JSON_TRUE
#undef JSON_STRING
#undef JSON_ARRAY
#undef JSON_OBJECT
#undef json_equal

#include "base/json.h"

#define DOCUMENTS 4000
#define MUTANTS   12
#define TEXT_MAX  (64u << 10)

static uint64_t seed, random_state;

/* splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014) */
static uint64_t random_u64(void)
{
	uint64_t z = random_state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

static size_t below(size_t n)
{
	return (size_t)(random_u64() % n);
}

static void put(struct buffer *b, const char *text)
{
	buffer_append(b, slice_cstr(text));
}

static void put_space(struct buffer *b)
{
	static const char *const spaces[] = {"", "", "", "", " ", "\n", "\t ", "\r\n"};

	put(b, spaces[below(8)]);
}

static void put_string(struct buffer *b, bool key)
{
	static const char *const parts[] = {"a", "k", "key", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\\n",
		"\\\"", "\\\\", "\\/", "\\u00e9", "\\ud83d\\ude00", "\\u001f", "\x7f",
		"a rather long run of plain text", "\\u0061", ",:[{", "\\u0000"};
	size_t count = below(key ? 3 : 6);

	put(b, "\"");
	for (size_t i = 0; i < count; i++)
		put(b, parts[below(sizeof parts / sizeof *parts - (key ? 1 : 0))]);
	put(b, "\"");
}

static void put_number(struct buffer *b)
{
	static const char *const edges[] = {"0", "-1", "9223372036854775807", "-9223372036854775808", "1e308", "1e-320",
		"-0.0", "5e-324", "9007199254740993", "9007199254740993.0", "123456789012345678", "0.1e1", "1E+2"};

	switch (below(5)) {
	case 0: put(b, edges[below(sizeof edges / sizeof *edges)]); break;
	case 1: buffer_printf(b, "%lld", (long long)(random_u64() >> below(64))); break;
	case 2:
		buffer_printf(b, "%llu.%llue%d", (unsigned long long)(random_u64() >> below(64)),
			(unsigned long long)random_u64(), (int)below(560) - 280);
		break;
	case 3: buffer_printf(b, "%.*f", (int)below(20) + 1, (double)(int64_t)random_u64() / 1e17); break;
	default: buffer_printf(b, "-%u", (unsigned)below(1000) + 1); break;
	}
}

static void put_value(struct buffer *b, int depth);

static void put_container(struct buffer *b, int depth, bool object)
{
	size_t count = below(20) == 0 ? below(60) : below(5);

	put(b, object ? "{" : "[");
	put_space(b);
	for (size_t i = 0; i < count; i++) {
		if (i)
			put(b, ",");
		put_space(b);
		if (object) {
			/* Mostly different keys, so that most documents are good ones. */
			if (below(20))
				buffer_printf(b, "\"m%zu\"", below(50) ? i : below(i + 1));
			else
				put_string(b, true);
			put_space(b);
			put(b, ":");
			put_space(b);
		}
		put_value(b, depth - 1);
		put_space(b);
	}
	put(b, object ? "}" : "]");
}

static void put_value(struct buffer *b, int depth)
{
	static const char *const words[] = {"null", "true", "false"};

	switch (below(depth > 0 ? 7 : 4)) {
	case 0: put(b, words[below(3)]); break;
	case 1:
	case 2: put_number(b); break;
	case 3: put_string(b, false); break;
	case 4: put_container(b, depth, false); break;
	default: put_container(b, depth, true); break;
	}
}

static void mutate(struct buffer *b)
{
	static const char bytes[] = "\"\\{}[],:0123456789.eE+-tfnu \n\x80\xC3\xE2\xED\xF0\xF4\x01/adb";

	for (size_t n = below(3) + 1; n && b->len; n--) {
		size_t at = below(b->len);

		switch (below(4)) {
		case 0: b->ptr[at] = bytes[below(sizeof bytes - 1)]; break;
		case 1: b->ptr[at] = (char)random_u64(); break;
		case 2: b->len -= below(b->len - at) / 8 + (at + 1 == b->len); break;
		default:
			memmove(b->ptr + at, b->ptr + at + 1, b->len - at - 1);
			b->len--;
			break;
		}
	}
}

static bool same(const struct json_doc *doc, uint32_t node, const json_t *other);

static bool same_container(const struct json_doc *doc, uint32_t node, const json_t *other)
{
	bool object = json_typeof(other) == JANSSON_OBJECT;
	size_t i = 0;

	if (doc->nodes[node].count != (object ? json_object_size(other) : json_array_size(other)))
		return false;
	for (uint32_t v = json_first(doc, node); v != JSON_NONE; v = json_next(doc, node, v), i++) {
		struct slice key = object ? json_key(doc, v) : S("");
		const json_t *value;

		if (object && memchr(key.ptr, '\0', key.len))
			return false;
		value = object ? json_object_getn(other, key.ptr, key.len) : json_array_get(other, i);
		if (!value || !same(doc, v, value))
			return false;
	}
	return true;
}

static bool same(const struct json_doc *doc, uint32_t node, const json_t *other)
{
	const struct json_node *n = &doc->nodes[node];

	switch (n->type) {
	case JSON_NULL: return json_typeof(other) == JANSSON_NULL;
	case JSON_FALSE: return json_typeof(other) == JANSSON_FALSE;
	case JSON_TRUE: return json_typeof(other) == JANSSON_TRUE;
	case JSON_INT: return json_typeof(other) == JSON_INTEGER && json_integer_value(other) == n->i64;
	case JSON_DOUBLE:
		if (json_typeof(other) == JSON_INTEGER)
			return json_integer_value(other) == 0 && n->f64 == 0 && signbit(n->f64);
		return json_typeof(other) == JSON_REAL && json_real_value(other) == n->f64;
	case JSON_STRING:
		return json_typeof(other) == JANSSON_STRING &&
		       slice_eq(n->text, slice_of(json_string_value(other), json_string_length(other)));
	case JSON_ARRAY: return json_typeof(other) == JANSSON_ARRAY && same_container(doc, node, other);
	case JSON_OBJECT: return json_typeof(other) == JANSSON_OBJECT && same_container(doc, node, other);
	case JSON_UINT:
	case JSON_HUGE: return false;
	}
	return false;
}

/* The documented differences in which ours takes what jansson refuses. */
static bool ours_is_wider(const struct json_doc *doc)
{
	for (uint32_t i = 0; i < doc->count; i++) {
		const struct json_node *n = &doc->nodes[i];

		if (n->type == JSON_UINT || n->type == JSON_HUGE)
			return true;
		/* Any string: the keys among them cannot hold U+0000 there. */
		if (n->type == JSON_STRING && n->text.len && memchr(n->text.ptr, '\0', n->text.len))
			return true;
	}
	return false;
}

/* What is written is read back as an equal document, and written again as the same bytes. */
static void round_trip(const struct json_doc *doc)
{
	struct buffer once, twice;
	struct arena arena;
	struct json_writer w;
	struct json_doc again;
	struct cs_error err;

	buffer_init(&once, 16 * TEXT_MAX);
	buffer_init(&twice, 16 * TEXT_MAX);
	arena_init(&arena, NULL, 0, 64u << 20);
	w = json_writer(&once);
	json_write_node(&w, doc, 0);
	if (json_parse(&arena, buffer_slice(&once), JSON_LIMITS_DEFAULT, &again, &err) != CS_OK)
		fail_msg("seed %llu: wrote %.*s: %s", (unsigned long long)seed, SLICE_ARG(buffer_slice(&once)),
			err.text);
	assert_true(json_equal(doc, 0, &again, 0));
	w = json_writer(&twice);
	json_write_node(&w, &again, 0);
	assert_true(slice_eq(buffer_slice(&once), buffer_slice(&twice)));
	arena_release(&arena);
	buffer_release(&twice);
	buffer_release(&once);
}

/* True: both took it. */
static bool compare(struct slice text)
{
	json_error_t why;
	json_t *other = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
	struct arena arena;
	struct json_doc doc;
	struct cs_error err = {0};
	bool taken;

	arena_init(&arena, NULL, 0, 64u << 20);
	taken = json_parse(&arena, text, JSON_LIMITS_DEFAULT, &doc, &err) == CS_OK;
	if (taken && memchr(text.ptr, '\0', text.len))
		fail_msg("seed %llu: a byte 0 was taken", (unsigned long long)seed);
	if (taken && !other && !ours_is_wider(&doc))
		fail_msg("seed %llu: only jansson refuses %.*s: %s", (unsigned long long)seed, SLICE_ARG(text),
			why.text);
	if (!taken && other && !memchr(text.ptr, '\0', text.len))
		fail_msg("seed %llu: only ours refuses %.*s: %s", (unsigned long long)seed, SLICE_ARG(text), err.text);
	if (taken && other && !same(&doc, 0, other))
		fail_msg("seed %llu: different values of %.*s", (unsigned long long)seed, SLICE_ARG(text));
	if (taken)
		round_trip(&doc);
	json_decref(other);
	arena_release(&arena);
	return taken && other;
}

static void documents_and_mutants(void **state)
{
	size_t good = 0, good_mutants = 0;
	struct buffer b, mutant;

	buffer_init(&b, TEXT_MAX);
	buffer_init(&mutant, TEXT_MAX);
	for (size_t i = 0; i < DOCUMENTS; i++) {
		buffer_clear(&b);
		put_value(&b, (int)below(7));
		if (b.failed)
			continue;
		good += compare(buffer_slice(&b));
		for (size_t m = 0; m < MUTANTS; m++) {
			buffer_clear(&mutant);
			buffer_append(&mutant, buffer_slice(&b));
			mutate(&mutant);
			good_mutants += compare(buffer_slice(&mutant));
		}
	}
	buffer_release(&mutant);
	buffer_release(&b);
	/* Agreement on refusals alone would prove little. */
	assert_in_range(good, DOCUMENTS / 2, DOCUMENTS);
	assert_in_range(good_mutants, DOCUMENTS, DOCUMENTS * MUTANTS);
}

/* Random doubles: written, read by libc and by ours, always the same bits; and no shorter text of libc's does it. */
static void doubles_are_exact_and_short(void **state)
{
	struct buffer b;

	buffer_init(&b, 4096);
	for (size_t i = 0; i < 100000; i++) {
		uint64_t bits = random_u64();
		double value, back;
		struct json_writer w = json_writer(&b);
		char shorter[64];
		int digits = 0;

		memcpy(&value, &bits, sizeof value);
		if (i % 4 == 0)
			value = (double)(bits >> 40) / 10000.0;
		if (i % 4 == 1)
			value = ldexp(1.0, (int)(bits % 2000) - 1000);
		if (!isfinite(value))
			continue;
		json_write_f64(&w, value);
		buffer_byte(&b, '\0');
		back = strtod(b.ptr, NULL);
		if (memcmp(&back, &value, sizeof back) != 0)
			fail_msg("seed %llu: %a became %s", (unsigned long long)seed, value, b.ptr);
		snprintf(shorter, sizeof shorter, "%.0e", value);
		for (int precision = 0; strtod(shorter, NULL) != value;
			snprintf(shorter, sizeof shorter, "%.*e", precision, value))
			precision++;
		for (const char *at = shorter; *at && *at != 'e'; at++)
			digits += *at >= '0' && *at <= '9';
		for (const char *at = b.ptr + strspn(b.ptr, "-0."); *at && *at != 'e'; at++)
			digits -= (*at >= '0' && *at <= '9') && strspn(at, "0") != strlen(at);
		if (digits < 0)
			fail_msg("seed %llu: %s is longer than %s", (unsigned long long)seed, b.ptr, shorter);
		buffer_clear(&b);
	}
	buffer_release(&b);
}

/* The reader's doubles against strtod's, from texts of all lengths and exponents. */
static void doubles_read_as_strtod_does(void **state)
{
	char text[1200];

	for (size_t i = 0; i < 50000; i++) {
		size_t len = 0, digits = i % 100 == 0 ? below(1000) + 1 : below(30) + 1;
		struct arena arena;
		struct json_doc doc;
		struct cs_error err;
		double expected;

		text[len++] = (char)('1' + below(9));
		text[len++] = '.';
		for (size_t d = 0; d < digits; d++)
			text[len++] = (char)('0' + below(10));
		len += (size_t)snprintf(text + len, sizeof text - len, "e%d", (int)below(660) - 345);
		expected = strtod(text, NULL);
		arena_init(&arena, NULL, 0, 1u << 20);
		assert_int_equal(json_parse(&arena, slice_of(text, len), JSON_LIMITS_DEFAULT, &doc, &err), CS_OK);
		if (isfinite(expected))
			assert_true(doc.nodes[0].type == JSON_DOUBLE && doc.nodes[0].f64 == expected);
		else
			assert_int_equal(doc.nodes[0].type, JSON_HUGE);
		arena_release(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_and_mutants),
		cmocka_unit_test(doubles_are_exact_and_short),
		cmocka_unit_test(doubles_read_as_strtod_does),
	};
	const char *given = getenv("CS_SEED");

	seed = given ? strtoull(given, NULL, 10) : 20261123;
	random_state = seed;
	return cmocka_run_group_tests_name("json_oracle", tests, NULL, NULL);
}
