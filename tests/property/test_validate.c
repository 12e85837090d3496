/* Random arguments against every tool's table: the validator never crashes, and whatever it refuses it names.
 *
 * Documents are grown from the table itself (members it has, members one letter off, values of every kind), so that
 * most of them get deep into it. The seed is printed; CS_SEED gives it back. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "mcp/schema.h"
#include "mcp/tools.h"

#define ROUNDS 20000

static uint64_t seed;

static uint64_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void grow_any(struct json_writer *w, int depth)
{
	static const char *const strings[] = {"", "a", "a b", "\xC3\xBC", "log", "hybrid", "all", "2026-01-01", "%s%n"};
	static const char *const numbers[] = {
		"0", "-1", "60", "1.5", "1e999", "-99999999999999999999", "18446744073709551615", "1e-9"};
	static const char longest[300] = {[0 ... 298] = 'x'};

	switch (next() % (depth > 0 ? 8 : 6)) {
	case 0: json_write_null(w); break;
	case 1: json_write_bool(w, next() & 1); break;
	case 2: json_write_str(w, slice_cstr(strings[next() % 9])); break;
	case 3: json_write_raw(w, slice_cstr(numbers[next() % 8])); break;
	case 4: json_write_str(w, slice_of(longest, next() % 299)); break;
	case 5: json_write_i64(w, (int64_t)(next() % 200)); break;
	case 6:
		json_begin_array(w);
		for (uint64_t i = next() % 4; i > 0; i--)
			grow_any(w, depth - 1);
		json_end_array(w);
		break;
	default:
		json_begin_object(w);
		for (uint64_t i = next() % 3; i > 0; i--) {
			char name[3] = {'k', (char)('0' + i), 0};

			json_write_key(w, slice_cstr(name));
			grow_any(w, depth - 1);
		}
		json_end_object(w);
	}
}

static void grow_object(struct json_writer *w, const struct field *fields, int depth);

static void grow_value(struct json_writer *w, const struct field *field, int depth)
{
	const struct field *items = field->items;

	if (depth == 0 || next() % 4 == 0) {
		grow_any(w, depth);
	} else if (field->kind == FIELD_OBJECT && field->fields) {
		grow_object(w, field->fields, depth - 1);
	} else if (items) {
		json_begin_array(w);
		for (uint64_t i = next() % 4; i > 0; i--)
			grow_value(w, items, depth - 1);
		json_end_array(w);
	} else if (field->values) {
		json_write_str(w, slice_cstr(field->values[0]));
	} else if (field->kind == FIELD_STRING || field->kind == FIELD_NAME) {
		json_write_str(w, S("abcde"));
	} else {
		grow_any(w, depth);
	}
}

static void grow_object(struct json_writer *w, const struct field *fields, int depth)
{
	json_begin_object(w);
	for (const struct field *field = fields; field->name; field++) {
		struct slice name = slice_cstr(field->name);

		if (!field->required && next() % 3 == 0)
			continue;
		if (next() % 30 == 0)
			name.len--;
		json_write_key(w, name);
		grow_value(w, field, depth);
	}
	json_end_object(w);
}

/* A refusal starts with the path of what is wrong: a member of the table, or one that is not known. */
static void assert_named(const struct schema_problems *problems, const struct json_doc *doc)
{
	assert_in_range(problems->count, 1, SCHEMA_PROBLEMS_MAX);
	for (size_t i = 0; i < problems->count; i++) {
		struct slice text = problems->texts[i], first = text;

		first.len = 0;
		while (first.len < text.len && !memchr(" .[", text.ptr[first.len], 3))
			first.len++;
		assert_true(first.len > 0);
		if (json_get(doc, 0, first) == JSON_NONE && !memmem(text.ptr, text.len, "is required", 11))
			fail_msg("\"" SLICE_FMT "\" names nothing that was given", SLICE_ARG(text));
	}
}

static void whatever_comes_is_accepted_or_named(void **state)
{
	static char storage[1 << 16];
	unsigned accepted = 0;
	struct buffer text;
	struct arena arena;

	buffer_init(&text, 1u << 20);
	arena_init(&arena, storage, sizeof storage, 16u << 20);
	for (int round = 0; round < ROUNDS; round++) {
		const struct tool *tool = &tool_rows[next() % tool_row_count];
		struct schema_problems problems = {.arena = &arena};
		struct json_writer w = json_writer(&text);
		struct json_doc doc;
		struct cs_error err;

		buffer_clear(&text);
		arena_reset(&arena);
		grow_object(&w, tool->input, 4);
		if (json_parse(&arena, buffer_slice(&text), JSON_LIMITS_DEFAULT, &doc, &err) != CS_OK)
			continue;
		if (schema_check(tool->input, &doc, 0, S(""), &problems)) {
			accepted++;
			continue;
		}
		assert_named(&problems, &doc);
		assert_int_equal(schema_fail(&problems, &err), problems.status);
		assert_true(utf8_length(slice_cstr(err.text)) > 0);
	}
	assert_true(accepted > ROUNDS / 1000);
	arena_release(&arena);
	buffer_release(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(whatever_comes_is_accepted_or_named)};
	const char *given = getenv("CS_SEED");

	seed = given ? strtoull(given, NULL, 10) | 1 : (uint64_t)clock_wall_ms() | 1;
	print_message("# CS_SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
