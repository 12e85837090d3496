/* Reading and writing JSON, against jansson in the same run.
 *
 * Four texts: a tool call of some 200 bytes, a long text with line breaks, rows of numbers, and an object of 2,000
 * keys. For each, ROUNDS rounds measure ours and jansson in turn, so that a change of the machine's mood meets both;
 * the figures are the median and the spread over rounds, and the ratio of the medians. jansson is found at run time
 * (its names are those of our header); without it the baseline is said to be absent. Ours checks duplicate keys, and
 * jansson is asked to as well. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "bench/stats.h"

#define ROUNDS       21
#define ROUND_NS     5000000 /* about this long for each measurement */
#define ARENA_MAX    (64u << 20)
#define JANSSON_LOAD 0x5 /* JSON_REJECT_DUPLICATES | JSON_DECODE_ANY */

static void *(*jansson_load)(const char *, size_t, size_t, void *);
static void (*jansson_delete)(void *);
static char *(*jansson_dump)(const void *, size_t);

struct subject {
	struct slice text;
	struct arena arena;
	struct json_doc doc;
	struct buffer out;
	void *tree;
};

static void die(const char *why)
{
	fprintf(stderr, "bench_json: %s\n", why);
	exit(1);
}

static void read_ours(struct subject *s)
{
	static _Alignas(16) char own[16384];
	struct arena arena;
	struct json_doc doc;

	arena_init(&arena, own, sizeof own, ARENA_MAX);
	if (json_parse(&arena, s->text, JSON_LIMITS_DEFAULT, &doc, NULL) != CS_OK)
		die("a text was refused");
	arena_release(&arena);
}

static void read_jansson(struct subject *s)
{
	void *tree = jansson_load(s->text.ptr, s->text.len, JANSSON_LOAD, NULL);

	if (!tree)
		die("jansson refused a text");
	jansson_delete(tree);
}

static void write_ours(struct subject *s)
{
	struct json_writer w;

	buffer_clear(&s->out);
	w = json_writer(&s->out);
	json_write_node(&w, &s->doc, 0);
}

static void write_jansson(struct subject *s)
{
	char *text = jansson_dump(s->tree, 0x20 /* JSON_COMPACT */);

	if (!text)
		die("jansson has no memory");
	free(text);
}

static double time_ns(void (*run)(struct subject *), struct subject *s, size_t times)
{
	int64_t start = clock_mono_ns();

	for (size_t i = 0; i < times; i++)
		run(s);
	return (double)(clock_mono_ns() - start) / (double)times;
}

static size_t times_for(void (*run)(struct subject *), struct subject *s)
{
	double once = time_ns(run, s, 20);

	return once > ROUND_NS ? 1 : (size_t)(ROUND_NS / once) + 1;
}

static void compare(
	const char *name, struct subject *s, void (*ours)(struct subject *), void (*theirs)(struct subject *))
{
	double a[ROUNDS], b[ROUNDS];
	size_t times_a = times_for(ours, s), times_b = jansson_load ? times_for(theirs, s) : 0;
	struct spread mine, other;

	for (size_t i = 0; i < ROUNDS; i++) {
		a[i] = time_ns(ours, s, times_a);
		if (jansson_load)
			b[i] = time_ns(theirs, s, times_b);
	}
	mine = stats_spread(a, ROUNDS);
	printf("%-16s %8zu bytes  ours %10.0f ns (%.0f to %.0f), %6.0f MB/s", name, s->text.len, mine.median,
		mine.lowest, mine.highest, (double)s->text.len / mine.median * 1e3);
	if (jansson_load) {
		other = stats_spread(b, ROUNDS);
		printf("  jansson %10.0f ns (%.0f to %.0f)  ratio %.2f", other.median, other.lowest, other.highest,
			other.median / mine.median);
	}
	putchar('\n');
}

static void measure(const char *name, struct slice text)
{
	struct subject s = {.text = text};
	char label[32];

	arena_init(&s.arena, NULL, 0, ARENA_MAX);
	buffer_init(&s.out, 16u << 20);
	if (json_parse(&s.arena, text, JSON_LIMITS_DEFAULT, &s.doc, NULL) != CS_OK)
		die("a text was refused");
	if (jansson_load)
		s.tree = jansson_load(text.ptr, text.len, JANSSON_LOAD, NULL);
	snprintf(label, sizeof label, "read %s", name);
	compare(label, &s, read_ours, read_jansson);
	snprintf(label, sizeof label, "write %s", name);
	compare(label, &s, write_ours, write_jansson);
	if (s.tree)
		jansson_delete(s.tree);
	buffer_release(&s.out);
	arena_release(&s.arena);
}

static void find_jansson(void)
{
	void *library = dlopen("libjansson.so.4", RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		puts("jansson is absent (libjansson.so.4): no baseline");
		return;
	}
	*(void **)&jansson_load = dlsym(library, "json_loadb");
	*(void **)&jansson_delete = dlsym(library, "json_delete");
	*(void **)&jansson_dump = dlsym(library, "json_dumps");
	if (!jansson_load || !jansson_delete || !jansson_dump)
		die("libjansson.so.4 lacks a function");
}

int main(void)
{
	static const char call[] = "{\"jsonrpc\":\"2.0\",\"id\":12345,\"method\":\"tools/"
				   "call\",\"params\":{\"name\":\"update_scratchpad\","
				   "\"arguments\":{\"agent_id\":\"agent-1\",\"key\":\"notes.today\",\"content\":\"a "
				   "short note, just kept\","
				   "\"mode\":\"overwrite\",\"ttl\":3600}}}";
	struct buffer b;

	find_jansson();
	buffer_init(&b, 16u << 20);
	measure("call", slice_cstr(call));
	buffer_append(&b, S("{\"content\":\""));
	for (int i = 0; i < 2000; i++)
		buffer_append(
			&b, S("A line of prose, as agents write it: long enough to be one, and then a break.\\n"));
	buffer_append(&b, S("\"}"));
	measure("text", buffer_slice(&b));
	buffer_clear(&b);
	for (int i = 0; i < 2000; i++)
		buffer_printf(&b, "%s{\"id\":%d,\"score\":0.%04d,\"vector\":[%d.5,-%d,1e%d]}", i ? "," : "[", i * 7919,
			i * 5 % 10000, i, i, i % 20);
	buffer_append(&b, S("]"));
	measure("numbers", buffer_slice(&b));
	buffer_clear(&b);
	for (int i = 0; i < 2000; i++)
		buffer_printf(&b, "%s\"key-%d\":null", i ? "," : "{", i);
	buffer_append(&b, S("}"));
	measure("keys", buffer_slice(&b));
	buffer_release(&b);
	return 0;
}
