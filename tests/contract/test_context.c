/* The contract of port/context.h. */
#include "words_adapters.h"

static struct context_put put_of(const char *id, const char *content)
{
	return (struct context_put){
		.context = {.id = slice_cstr(id),
			.type = S("design"),
			.content = slice_cstr(content),
			.metadata = S("{}"),
			.words = slice_cstr(content),
			.content_hash = (uint64_t)content[2] * 31 + strlen(content)},
		.if_version = CONTEXT_VERSION_ANY,
	};
}

static struct context_put_result store(struct fixture *f, const struct context_put *put)
{
	struct context_put_result result = {0};

	assert_ok(f, f->ports.contexts.put(f->ports.contexts.self, &f->op, put, 1, &result, &f->err));
	return result;
}

/* NULL: not there. */
static struct context *load(struct fixture *f, const char *id)
{
	struct slice wanted = slice_cstr(id);
	struct context *contexts;
	size_t count;

	assert_ok(f, f->ports.contexts.get(
			     f->ports.contexts.self, &f->op, &wanted, 1, NULL, true, &contexts, &count, &f->err));
	return count ? contexts : NULL;
}

static struct context_filter no_filter(void)
{
	return (struct context_filter){.date_from = CONTEXT_NO_DATE, .date_to = CONTEXT_NO_DATE};
}

static uint64_t count_of(struct fixture *f, const struct context_filter *filter)
{
	struct context *contexts;
	size_t count;
	uint64_t total;

	assert_ok(f, f->ports.contexts.list(f->ports.contexts.self, &f->op, filter, 0, 100, false, &contexts, &count,
			     &total, &f->err));
	assert_int_equal(count, total);
	return total;
}

static uint64_t hits_of(struct fixture *f, const char *text)
{
	struct text_query query = {.text = slice_cstr(text), .limit = 10};
	struct text_result result;

	assert_ok(f, f->ports.text.search(f->ports.text.self, &f->op, &query, &result, &f->err));
	return result.total;
}

static enum cs_status take_away(struct fixture *f, const char *id, enum context_removal how, int64_t retention_s)
{
	struct context_remove remove = {
		.id = slice_cstr(id), .how = how, .reason = S("for the test"), .retention_s = retention_s};

	return f->ports.contexts.remove(f->ports.contexts.self, &f->op, &remove, &f->err);
}

static enum cs_status restore(struct fixture *f, const char *id)
{
	return f->ports.contexts.restore(f->ports.contexts.self, &f->op, slice_cstr(id), &f->err);
}

static void everything_stored_is_read_back(void **state)
{
	struct fixture *f = *state;
	struct slice tags[] = {S("a"), S("with\nnewline"), S("back\\slash"), S("")};
	struct context_relation edges[] = {{S("implements"), S("later")}, {S("cites"), S("x")}, {S("cites"), S("x")}};
	struct context_put put = put_of("one", "{\"a\":\"\xE2\x82\xAC\"}");
	struct context *c;

	put.context.metadata = S("{\"k\":1}");
	put.context.title = S("Title");
	put.context.source = S("source");
	put.context.author = S("author");
	put.context.agent_id = S("agent");
	put.context.namespace_ = S("space");
	put.context.status = S("open");
	put.context.priority = S("high");
	put.context.tags = tags;
	put.context.tag_count = 4;
	put.context.relations = edges;
	put.context.relation_count = 3;
	put.context.content_hash = UINT64_MAX - 1;
	assert_int_equal(store(f, &put).relationships_created, 2);
	for (int round = 0; round < 2; round++, fixture_reopen(f)) {
		c = load(f, "one");
		assert_non_null(c);
		assert_text(c->content, "{\"a\":\"\xE2\x82\xAC\"}");
		assert_text(c->metadata, "{\"k\":1}");
		assert_text(c->type, "design");
		assert_text(c->title, "Title");
		assert_text(c->source, "source");
		assert_text(c->author, "author");
		assert_text(c->agent_id, "agent");
		assert_text(c->namespace_, "space");
		assert_text(c->status, "open");
		assert_text(c->priority, "high");
		assert_int_equal(c->tag_count, 4);
		for (size_t i = 0; i < 4; i++)
			assert_true(slice_eq(c->tags[i], tags[i]));
		assert_int_equal(c->relation_count, 2);
		assert_text(c->relations[0].target, "x");
		assert_text(c->relations[1].target, "later");
		assert_int_equal(c->version, 1);
		assert_true(c->content_hash == UINT64_MAX - 1);
		assert_true(c->created_at > 0 && c->created_at == c->updated_at);
	}
}

static void putting_again_makes_a_version_and_keeps_the_former(void **state)
{
	struct fixture *f = *state;
	struct context_put put = put_of("one", "{\"v\":\"first\"}");
	struct context_history_entry *entries;
	size_t count;
	int64_t created;

	assert_int_equal(store(f, &put).version, 1);
	created = load(f, "one")->created_at;
	clock_shift_ms(5000);
	put = put_of("one", "{\"v\":\"second\"}");
	assert_int_equal(store(f, &put).version, 2);
	assert_true(load(f, "one")->created_at == created);
	assert_true(load(f, "one")->updated_at >= created + 5000);
	assert_int_equal(hits_of(f, "first"), 0);
	assert_int_equal(hits_of(f, "second"), 1);
	assert_ok(f, f->ports.contexts.history(f->ports.contexts.self, &f->op, S("one"), &entries, &count, &f->err));
	assert_int_equal(count, 2);
	assert_int_equal(entries[0].version, 2);
	assert_text(entries[0].content, "{\"v\":\"second\"}");
	assert_int_equal(entries[1].version, 1);
	assert_text(entries[1].content, "{\"v\":\"first\"}");
	assert_int_equal(
		f->ports.contexts.history(f->ports.contexts.self, &f->op, S("none"), &entries, &count, &f->err),
		CS_NOT_FOUND);
}

static void one_that_fails_does_not_stop_the_others(void **state)
{
	struct fixture *f = *state;
	struct context_put puts[] = {
		put_of("a", "{\"n\":1}"), put_of("b", "{\"m\":2}"), put_of("c", "{\"o\":3}"), put_of("a", "{\"p\":4}")};
	struct context_put_result results[4];

	puts[1].if_version = 3;
	puts[3].if_version = 1;
	assert_ok(f, f->ports.contexts.put(f->ports.contexts.self, &f->op, puts, 4, results, &f->err));
	assert_int_equal(results[0].status, CS_OK);
	assert_int_equal(results[1].status, CS_VERSION_CONFLICT);
	assert_int_equal(results[1].error.version, 0);
	assert_int_equal(results[2].status, CS_OK);
	assert_int_equal(results[3].version, 2);
	assert_null(load(f, "b"));
	puts[0].if_version = 0;
	results[0] = store(f, &puts[0]);
	assert_int_equal(results[0].status, CS_VERSION_CONFLICT);
	assert_int_equal(results[0].error.version, 2);
	assert_text(load(f, "a")->content, "{\"p\":4}");
}

/* What find_equal says is what storing then says. */
static struct context_put_result look_and_store(struct fixture *f, const struct context_put *put)
{
	struct context_put_result result;
	struct slice id = S("none");

	assert_ok(f, f->ports.contexts.find_equal(f->ports.contexts.self, &f->op, &put->context, &id, &f->err));
	result = store(f, put);
	assert_true(slice_eq(id, result.duplicate_of));
	return result;
}

static void duplicates_are_named_and_may_be_skipped(void **state)
{
	struct fixture *f = *state;
	struct context_put a = put_of("a", "{\"same\":1}"), b = put_of("b", "{\"same\":1}"),
			   other = put_of("o", "{\"same\":1}");
	struct context_put_result result;

	assert_int_equal(look_and_store(f, &a).duplicate_of.len, 0);
	assert_int_equal(look_and_store(f, &a).duplicate_of.len, 0);
	other.context.namespace_ = S("elsewhere");
	assert_int_equal(look_and_store(f, &other).duplicate_of.len, 0);
	b.skip_duplicate = true;
	result = look_and_store(f, &b);
	assert_text(result.duplicate_of, "a");
	assert_int_equal(result.version, 0);
	assert_null(load(f, "b"));
	b.skip_duplicate = false;
	result = look_and_store(f, &b);
	assert_text(result.duplicate_of, "a");
	assert_int_equal(result.version, 1);
	assert_ok(f, take_away(f, "a", CONTEXT_SOFT_DELETE, 0));
	assert_int_equal(look_and_store(f, &b).duplicate_of.len, 0);
}

static void a_put_replaces_the_edges_that_leave(void **state)
{
	struct fixture *f = *state;
	struct context_relation first[] = {{S("cites"), S("x")}, {S("cites"), S("y")}};
	struct context_relation second[] = {{S("cites"), S("y")}, {S("extends"), S("y")}};
	struct context_put put = put_of("a", "{\"n\":1}");
	struct context *c;
	struct context_counts counts;

	put.context.relations = first;
	put.context.relation_count = 2;
	assert_int_equal(store(f, &put).relationships_created, 2);
	put.context.relations = second;
	assert_int_equal(store(f, &put).relationships_created, 1);
	c = load(f, "a");
	assert_int_equal(c->relation_count, 2);
	assert_text(c->relations[0].type, "cites");
	assert_text(c->relations[1].type, "extends");
	put.context.relation_count = 0;
	assert_int_equal(store(f, &put).relationships_created, 0);
	assert_int_equal(load(f, "a")->relation_count, 0);
	assert_ok(f, f->ports.contexts.counts(f->ports.contexts.self, &f->op, &counts, &f->err));
	assert_int_equal(counts.contexts, 1);
	assert_int_equal(counts.relationships, 0);
	assert_true(counts.file_bytes > 0);
}

static void limits_are_refused_without_effect(void **state)
{
	struct fixture *f = *state;
	struct context_put put = put_of("a", "{\"n\":1}");
	struct slice tags[CONTEXT_TAGS_MAX + 1];
	char id[CONTEXT_ID_MAX + 1];

	memset(id, 'i', sizeof id);
	put.context.id = slice_of(id, sizeof id);
	assert_int_equal(store(f, &put).status, CS_LIMIT_EXCEEDED);
	put.context.id.len--;
	assert_int_equal(store(f, &put).status, CS_OK);
	for (size_t i = 0; i <= CONTEXT_TAGS_MAX; i++)
		tags[i] = S("t");
	put.context.tags = tags;
	put.context.tag_count = CONTEXT_TAGS_MAX + 1;
	assert_int_equal(store(f, &put).status, CS_LIMIT_EXCEEDED);
	put.context.tag_count--;
	assert_int_equal(store(f, &put).version, 2);
}

static void get_keeps_the_order_asked_for(void **state)
{
	struct fixture *f = *state;
	struct context_put a = put_of("a", "{\"n\":1}"), b = put_of("b", "{\"m\":1}");
	struct slice ids[] = {S("b"), S("none"), S("a"), S("b")};
	struct context *contexts;
	size_t count;

	(void)store(f, &a);
	(void)store(f, &b);
	assert_ok(f,
		f->ports.contexts.get(f->ports.contexts.self, &f->op, ids, 4, NULL, false, &contexts, &count, &f->err));
	assert_int_equal(count, 3);
	assert_text(contexts[0].id, "b");
	assert_text(contexts[1].id, "a");
	assert_text(contexts[2].id, "b");
}

static void get_leaves_out_what_the_filter_does(void **state)
{
	struct fixture *f = *state;
	struct context_put a = put_of("a", "{\"n\":1}"), b = put_of("b", "{\"m\":1}");
	struct slice ids[] = {S("b"), S("none"), S("a"), S("b")};
	const struct context_filter filter = {
		.status = S("open"), .date_from = CONTEXT_NO_DATE, .date_to = CONTEXT_NO_DATE};
	struct context *contexts;
	size_t count;

	b.context.status = S("open");
	(void)store(f, &a);
	(void)store(f, &b);
	assert_ok(f, f->ports.contexts.get(
			     f->ports.contexts.self, &f->op, ids, 4, &filter, false, &contexts, &count, &f->err));
	assert_int_equal(count, 2);
	assert_text(contexts[0].id, "b");
	assert_text(contexts[1].id, "b");
}

static void lists_are_newest_first_and_paged(void **state)
{
	struct fixture *f = *state;
	struct context *contexts;
	size_t count;
	uint64_t total;
	char id[16];

	for (int i = 0; i < 7; i++) {
		struct context_put put;

		snprintf(id, sizeof id, "id%d", i);
		put = put_of(id, "{\"n\":1}");
		clock_shift_ms(i * 1000);
		(void)store(f, &put);
	}
	for (size_t offset = 0; offset < 9; offset += 3) {
		assert_ok(f, f->ports.contexts.list(f->ports.contexts.self, &f->op, NULL, offset, 3, false, &contexts,
				     &count, &total, &f->err));
		assert_int_equal(total, 7);
		assert_int_equal(count, offset < 6 ? 3 : 1);
		for (size_t i = 0; i < count; i++) {
			snprintf(id, sizeof id, "id%d", (int)(6 - offset - i));
			assert_text(contexts[i].id, id);
		}
	}
}

static void filters_hold_together(void **state)
{
	struct fixture *f = *state;
	struct slice both[] = {S("x"), S("y")}, one[] = {S("x")}, odd[] = {S("x\ny")};
	struct slice types[] = {S("design"), S("log")}, sources[] = {S("bot"), S("cron")};
	struct context_filter filter = no_filter();
	struct context_put put = put_of("a", "{\"n\":1}");

	put.context.tags = both;
	put.context.tag_count = 2;
	put.context.status = S("open");
	put.context.source = S("bot");
	put.context.agent_id = S("ag' OR 1=1 --");
	(void)store(f, &put);
	put = put_of("b", "{\"m\":1}");
	put.context.tags = one;
	put.context.tag_count = 1;
	put.context.type = S("log");
	put.context.namespace_ = S("ns");
	(void)store(f, &put);
	put = put_of("c", "{\"o\":1}");
	put.context.type = S("trace");
	(void)store(f, &put);
	filter.tags = one;
	filter.tag_count = 1;
	assert_int_equal(count_of(f, &filter), 2);
	filter.tags = both;
	filter.tag_count = 2;
	assert_int_equal(count_of(f, &filter), 1);
	filter.tags = odd;
	filter.tag_count = 1;
	assert_int_equal(count_of(f, &filter), 0);
	filter = no_filter();
	filter.types = types;
	filter.type_count = 2;
	assert_int_equal(count_of(f, &filter), 2);
	filter.exclude_sources = sources;
	filter.exclude_source_count = 2;
	assert_int_equal(count_of(f, &filter), 1);
	filter = no_filter();
	filter.status = S("open");
	assert_int_equal(count_of(f, &filter), 1);
	filter.namespace_ = S("ns");
	assert_int_equal(count_of(f, &filter), 0);
	filter = no_filter();
	filter.agent_id = S("ag' OR 1=1 --");
	assert_int_equal(count_of(f, &filter), 1);
	filter = no_filter();
	filter.date_from = load(f, "a")->created_at;
	filter.date_to = clock_wall_ms();
	assert_int_equal(count_of(f, &filter), 3);
	filter.date_to = filter.date_from - 1;
	assert_int_equal(count_of(f, &filter), 0);
}

static uint64_t matching(struct fixture *f, const char *key, const char *value, const char *gte, const char *lte)
{
	struct slice wanted = slice_cstr(value);
	struct context_predicate predicate = {.key = slice_cstr(key),
		.values = &wanted,
		.value_count = value != NULL,
		.gte = slice_cstr(gte),
		.lte = slice_cstr(lte)};
	struct context_filter filter = no_filter();

	filter.predicates = &predicate;
	filter.predicate_count = 1;
	return count_of(f, &filter);
}

static void metadata_is_compared_by_value(void **state)
{
	struct fixture *f = *state;
	struct context_put put = put_of("a", "{\"n\":1}");
	struct context_predicate predicate = {.key = S("n"), .gte = S("[1]")};
	struct context_filter filter = no_filter();
	struct context *contexts;
	size_t count;
	uint64_t total;

	put.context.metadata = S("{\"n\":1.0,\"big\":9007199254740993,\"u\":18446744073709551614,\"s\":\"caf\xC3\xA9\","
				 "\"list\":[\"p\",7],\"deep\":{\"er\":true},"
				 "\"dot.ted\":\"yes\",\"quo\\\"te\":null}");
	(void)store(f, &put);
	assert_int_equal(matching(f, "n", "1", NULL, NULL), 1);
	assert_int_equal(matching(f, "n", "\"1\"", NULL, NULL), 0);
	assert_int_equal(matching(f, "n", NULL, "0.5", "1"), 1);
	assert_int_equal(matching(f, "n", NULL, "1.5", NULL), 0);
	assert_int_equal(matching(f, "n", NULL, NULL, "0"), 0);
	assert_int_equal(matching(f, "big", "9007199254740993", NULL, NULL), 1);
	assert_int_equal(matching(f, "big", "9007199254740992", NULL, NULL), 0);
	assert_int_equal(matching(f, "big", "9007199254740992.0", NULL, NULL), 0);
	assert_int_equal(matching(f, "big", NULL, NULL, "9007199254740992.0"), 0);
	assert_int_equal(matching(f, "u", NULL, "18446744073709551614", "18446744073709551614"), 1);
	assert_int_equal(matching(f, "u", NULL, "18446744073709551615", NULL), 0);
	assert_int_equal(matching(f, "u", NULL, "1", NULL), 1);
	assert_int_equal(matching(f, "s", "\"caf\\u00e9\"", NULL, NULL), 1);
	assert_int_equal(matching(f, "s", NULL, "\"a\"", "\"d\""), 1);
	assert_int_equal(matching(f, "list", "7", NULL, NULL), 1);
	assert_int_equal(matching(f, "list", "\"q\"", NULL, NULL), 0);
	assert_int_equal(matching(f, "deep.er", "true", NULL, NULL), 1);
	assert_int_equal(matching(f, "deep.er", "false", NULL, NULL), 0);
	assert_int_equal(matching(f, "dot.ted", "\"yes\"", NULL, NULL), 1);
	assert_int_equal(matching(f, "quo\"te", "null", NULL, NULL), 1);
	assert_int_equal(matching(f, "none", "null", NULL, NULL), 0);
	filter.predicates = &predicate;
	filter.predicate_count = 1;
	assert_int_equal(f->ports.contexts.list(f->ports.contexts.self, &f->op, &filter, 0, 1, false, &contexts, &count,
				 &total, &f->err),
		CS_VALIDATION);
}

static void a_soft_delete_hides_until_restored(void **state)
{
	struct fixture *f = *state;
	struct context_put put = put_of("a", "{\"word\":1}");

	(void)store(f, &put);
	assert_int_equal(take_away(f, "none", CONTEXT_SOFT_DELETE, 0), CS_NOT_FOUND);
	assert_int_equal(restore(f, "a"), CS_NOT_FOUND);
	assert_ok(f, take_away(f, "a", CONTEXT_SOFT_DELETE, 0));
	assert_null(load(f, "a"));
	assert_int_equal(count_of(f, NULL), 0);
	assert_int_equal(hits_of(f, "word"), 0);
	assert_int_equal(take_away(f, "a", CONTEXT_SOFT_DELETE, 0), CS_NOT_FOUND);
	fixture_reopen(f);
	assert_null(load(f, "a"));
	assert_ok(f, restore(f, "a"));
	assert_int_equal(load(f, "a")->version, 1);
	assert_int_equal(hits_of(f, "word"), 1);
	assert_ok(f, take_away(f, "a", CONTEXT_SOFT_DELETE, 0));
	put.if_version = 0;
	assert_int_equal(store(f, &put).version, 2);
	assert_int_equal(hits_of(f, "word"), 1);
}

static void a_hard_delete_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct context_relation edge = {S("cites"), S("a")};
	struct context_put put = put_of("a", "{\"word\":1}"), from = put_of("b", "{\"other\":1}");

	from.context.relations = &edge;
	from.context.relation_count = 1;
	(void)store(f, &from);
	(void)store(f, &put);
	(void)store(f, &put);
	assert_ok(f, take_away(f, "a", CONTEXT_HARD_DELETE, 0));
	assert_null(load(f, "a"));
	assert_int_equal(hits_of(f, "word"), 0);
	assert_int_equal(restore(f, "a"), CS_NOT_FOUND);
	assert_int_equal(load(f, "b")->relation_count, 1);
	assert_int_equal(store(f, &put).version, 1);
}

static void forgetting_can_be_undone_until_its_second(void **state)
{
	struct fixture *f = *state;
	struct context_put put = put_of("a", "{\"word\":1}");

	(void)store(f, &put);
	assert_ok(f, take_away(f, "a", CONTEXT_FORGET, 100));
	assert_null(load(f, "a"));
	assert_int_equal(hits_of(f, "word"), 0);
	clock_shift_ms(98000);
	assert_ok(f, restore(f, "a"));
	assert_int_equal(hits_of(f, "word"), 1);
	assert_ok(f, take_away(f, "a", CONTEXT_FORGET, 100));
	clock_shift_ms(198001);
	assert_int_equal(restore(f, "a"), CS_NOT_FOUND);
	assert_ok(f, f->ports.contexts.probe(f->ports.contexts.self, &f->op, &f->err));
	clock_shift_ms(0);
	fixture_reopen(f);
	clock_shift_ms(198001);
	assert_int_equal(restore(f, "a"), CS_NOT_FOUND);
	assert_int_equal(store(f, &put).version, 1);
}

static void storing_over_a_forgotten_one_starts_anew(void **state)
{
	struct fixture *f = *state;
	struct context_put put = put_of("a", "{\"secret\":1}"), fresh = put_of("a", "{\"plain\":1}");
	struct context_history_entry *entries;
	size_t count;

	(void)store(f, &put);
	assert_ok(f, take_away(f, "a", CONTEXT_FORGET, 100));
	assert_int_equal(store(f, &fresh).version, 1);
	assert_ok(f, f->ports.contexts.history(f->ports.contexts.self, &f->op, S("a"), &entries, &count, &f->err));
	assert_int_equal(count, 1);
	assert_int_equal(hits_of(f, "secret"), 0);
	assert_int_equal(hits_of(f, "plain"), 1);
}

static void what_would_wait_says_so(void **state)
{
	struct fixture *f = *state;
	struct context_put put = put_of("a", "{\"n\":1}");
	struct context_put_result result;
	struct context *contexts;
	size_t count;

	f->op.may_wait = false;
	assert_int_equal(
		f->ports.contexts.put(f->ports.contexts.self, &f->op, &put, 1, &result, &f->err), CS_WOULD_WAIT);
	assert_int_equal(f->ports.contexts.get(f->ports.contexts.self, &f->op, &put.context.id, 1, NULL, false,
				 &contexts, &count, &f->err),
		CS_WOULD_WAIT);
	f->op.may_wait = true;
	assert_null(load(f, "a"));
}

static void each_change_is_a_new_generation(void **state)
{
	struct fixture *f = *state;
	struct context_port *port = &f->ports.contexts;
	struct context_put put = put_of("a", "{}"), again = put_of("b", "{}");
	uint64_t last = port->generation(port->self);
	const struct kv_key key = {S("agent"), KV_SCRATCHPAD, S("key")};
	struct kv_write write = {.key = key, .content = S("x"), .ttl_s = 60, .if_version = KV_VERSION_ANY};
	struct kv_entry entry;

#define IS_NEW(call)                                                                                                   \
	do {                                                                                                           \
		assert_ok(f, call);                                                                                    \
		assert_true(port->generation(port->self) > last);                                                      \
		last = port->generation(port->self);                                                                   \
	} while (0)
	store(f, &put);
	assert_true(port->generation(port->self) > last);
	last = port->generation(port->self);
	IS_NEW(take_away(f, "a", CONTEXT_SOFT_DELETE, 0));
	IS_NEW(restore(f, "a"));
	IS_NEW(take_away(f, "a", CONTEXT_FORGET, 60));
	IS_NEW(restore(f, "a"));
	IS_NEW(f->ports.vectors.reset(f->ports.vectors.self, &f->op, &f->err));
	IS_NEW(take_away(f, "a", CONTEXT_HARD_DELETE, 0));
	/* What is refused, read, or about something else leaves it. */
	again.if_version = 7;
	assert_int_equal(store(f, &again).status, CS_VERSION_CONFLICT);
	assert_int_equal(take_away(f, "none", CONTEXT_HARD_DELETE, 0), CS_NOT_FOUND);
	assert_int_equal(hits_of(f, "word"), 0);
	assert_ok(f, f->ports.kv.put(f->ports.kv.self, &f->op, &write, &entry, &f->err));
	assert_true(port->generation(port->self) == last);
#undef IS_NEW
}

int main(void)
{
	struct CMUnitTest tests[] = {
		PORT_TEST(everything_stored_is_read_back),
		PORT_TEST(putting_again_makes_a_version_and_keeps_the_former),
		PORT_TEST(one_that_fails_does_not_stop_the_others),
		PORT_TEST(duplicates_are_named_and_may_be_skipped),
		PORT_TEST(a_put_replaces_the_edges_that_leave),
		PORT_TEST(limits_are_refused_without_effect),
		PORT_TEST(get_keeps_the_order_asked_for),
		PORT_TEST(get_leaves_out_what_the_filter_does),
		PORT_TEST(lists_are_newest_first_and_paged),
		PORT_TEST(filters_hold_together),
		PORT_TEST(metadata_is_compared_by_value),
		PORT_TEST(a_soft_delete_hides_until_restored),
		PORT_TEST(a_hard_delete_leaves_nothing),
		PORT_TEST(forgetting_can_be_undone_until_its_second),
		PORT_TEST(storing_over_a_forgotten_one_starts_anew),
		PORT_TEST(what_would_wait_says_so),
		PORT_TEST(each_change_is_a_new_generation),
	};

	return run_for_words_adapters("contexts", tests, sizeof tests / sizeof *tests);
}
