/* The embedding service: memory, order, single flight, back-pressure, failure, repair. */
#include "../support/tool_fixture.h"

#include "../support/fake_meaning.h"
#include "store/embedding_parts.h"

static struct embedding_key key_of_number(uint64_t n)
{
	return (struct embedding_key){n, n * 7};
}

static void the_least_recently_used_goes_first(void **state)
{
	struct embedding_cache *cache = embedding_cache_new(3, 1 << 20);
	const float one[2] = {1, 0}, two[2] = {0, 1};

	assert_int_equal(embedding_cache_put(cache, key_of_number(1), one, 2), 0);
	assert_int_equal(embedding_cache_put(cache, key_of_number(1 + (1 << 14)), two, 2), 0); /* the same bucket */
	assert_int_equal(embedding_cache_put(cache, key_of_number(3), one, 2), 0);
	assert_true(embedding_cache_get(cache, key_of_number(1))[0] == 1);
	assert_int_equal(embedding_cache_put(cache, key_of_number(4), two, 2), 1);
	assert_null(embedding_cache_get(cache, key_of_number(1 + (1 << 14))));
	assert_true(embedding_cache_get(cache, key_of_number(4))[1] == 1);
	assert_int_equal(embedding_cache_put(cache, key_of_number(5), two, 2), 1);
	assert_null(embedding_cache_get(cache, key_of_number(3)));
	assert_non_null(embedding_cache_get(cache, key_of_number(1)));
	assert_int_equal(embedding_cache_count(cache), 3);
	embedding_cache_free(cache);
	cache = embedding_cache_new(100, 3 * sizeof one);
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(embedding_cache_put(cache, key_of_number(i), one, 2), i >= 3);
	assert_int_equal(embedding_cache_count(cache), 3);
	embedding_cache_free(cache);
}

static struct embedding_job *push(struct embedding_queue *queue, enum embedding_class class_, uint64_t n, size_t len)
{
	static char text[5000];
	enum embed_kind kind = class_ == EMBEDDING_QUERIES ? EMBED_QUERY : EMBED_DOCUMENT;

	memset(text, 'x', sizeof text);
	return embedding_queue_push(queue, key_of_number(n), class_, kind, slice_of(text, len));
}

static void queries_come_first_and_documents_by_length(void **state)
{
	struct embedding_queue queue = {0};
	struct embedding_job *jobs[16], *promoted;

	push(&queue, EMBEDDING_REPAIRS, 1, 500);
	promoted = push(&queue, EMBEDDING_REPAIRS, 2, 500);
	push(&queue, EMBEDDING_DOCUMENTS, 3, 900);
	push(&queue, EMBEDDING_DOCUMENTS, 4, 40);
	push(&queue, EMBEDDING_DOCUMENTS, 5, 600);
	push(&queue, EMBEDDING_DOCUMENTS, 6, 4000);
	push(&queue, EMBEDDING_QUERIES, 7, 10);
	push(&queue, EMBEDDING_QUERIES, 8, 10);
	embedding_queue_promote(&queue, promoted, EMBEDDING_DOCUMENTS);
	assert_int_equal(embedding_queue_take(&queue, EMBEDDING_QUERIES, EMBEDDING_REPAIRS, 1, 4096, jobs), 1);
	assert_true(jobs[0]->key.low == 7);
	assert_ptr_equal(embedding_queue_find(&queue, jobs[0]->key), jobs[0]);
	embedding_queue_drop(&queue, jobs[0]);
	push(&queue, EMBEDDING_QUERIES, 7, 20);
	assert_int_equal(embedding_queue_take(&queue, EMBEDDING_QUERIES, EMBEDDING_REPAIRS, 16, 4096, jobs), 2);
	assert_true(jobs[0]->key.low == 8 && jobs[1]->key.low == 7);
	embedding_queue_drop(&queue, jobs[0]);
	embedding_queue_drop(&queue, jobs[1]);
	assert_int_equal(embedding_queue_take(&queue, EMBEDDING_QUERIES, EMBEDDING_QUERIES, 16, 4096, jobs), 0);
	/* The oldest decides; 40 and 4000 bytes are of another length. */
	assert_int_equal(embedding_queue_take(&queue, EMBEDDING_QUERIES, EMBEDDING_REPAIRS, 16, 4096, jobs), 3);
	assert_true(jobs[0]->key.low == 2 && jobs[1]->key.low == 5 && jobs[2]->key.low == 3);
	for (size_t i = 0; i < 3; i++)
		embedding_queue_drop(&queue, jobs[i]);
	assert_int_equal(embedding_queue_take(&queue, EMBEDDING_QUERIES, EMBEDDING_REPAIRS, 16, 4096, jobs), 1);
	assert_true(jobs[0]->key.low == 4);
	embedding_queue_drop(&queue, jobs[0]);
	/* One that is longer than a batch goes alone. */
	push(&queue, EMBEDDING_DOCUMENTS, 9, 4500);
	assert_int_equal(embedding_queue_take(&queue, EMBEDDING_QUERIES, EMBEDDING_REPAIRS, 16, 3000, jobs), 1);
	embedding_queue_drop(&queue, jobs[0]);
	embedding_queue_drop(&queue, embedding_queue_find(&queue, key_of_number(9)));
	assert_int_equal(embedding_queue_take(&queue, EMBEDDING_QUERIES, EMBEDDING_REPAIRS, 16, 4096, jobs), 1);
	assert_true(jobs[0]->key.low == 1);
	embedding_queue_drop(&queue, jobs[0]);
	assert_int_equal(embedding_queue_bytes(&queue), 0);
	assert_int_equal(queue.running_bytes, 0);
	assert_null(embedding_queue_find(&queue, key_of_number(6)));
}

/* A document asked for on a thread of its own. */
struct asker {
	pthread_t thread;
	struct slice text;
	struct arena arena;
	struct embedding_text result;
	enum cs_status status;
};

static void *ask_document(void *arg)
{
	struct asker *asker = arg;
	struct op op = {.arena = &asker->arena,
		.principal = &principal_anonymous,
		.deadline_ns = OP_NO_DEADLINE,
		.may_wait = true};
	struct embed_model model;

	asker->result = (struct embedding_text){.text = asker->text};
	asker->status = embedding_documents(fx.store.embedding, &op, &asker->result, 1, &model, NULL);
	return NULL;
}

static void start(struct asker *asker, struct slice text)
{
	*asker = (struct asker){.text = text};
	arena_init(&asker->arena, NULL, 0, 1 << 20);
	assert_int_equal(pthread_create(&asker->thread, NULL, ask_document, asker), 0);
}

static void finish(struct asker *asker)
{
	pthread_join(asker->thread, NULL);
}

static size_t waiting(void)
{
	struct embedding_status now;

	embedding_status(fx.store.embedding, &now);
	return now.waiting;
}

static enum embedding_state state_now(void)
{
	struct embedding_status now;

	embedding_status(fx.store.embedding, &now);
	return now.state;
}

static void identical_texts_in_flight_are_computed_once(void **state)
{
	struct metric_series *joined = metric_series(METRIC_EMBEDDING_CACHE, S("joined"));
	struct metric_series *hit = metric_series(METRIC_EMBEDDING_CACHE, S("hit"));
	int64_t joined_before = metric_value(joined), hit_before = metric_value(hit);
	float expected[FAKE_DIMENSION];
	struct asker askers[5];
	struct embedding_status now;

	embedding_status(fx.store.embedding, &now);
	assert_int_equal(now.threads, 0);
	fake_set_hold(true);
	for (size_t i = 0; i < 5; i++)
		start(&askers[i], S("the same text"));
	while (metric_value(joined) < joined_before + 4)
		sched_yield();
	do /* a collector that finds the service busy leaves the gauges as they were */
		metrics_collect();
	while (metric_value(metric_series(METRIC_EMBEDDING_THREADS, S(""))) == 0);
	/* Who joins before the first thread has taken the job may start the second, which finds nothing to do. */
	assert_in_range(metric_value(metric_series(METRIC_EMBEDDING_THREADS, S(""))), 1, 2);
	fake_set_hold(false);
	fake_vector(S("the same text"), expected);
	for (size_t i = 0; i < 5; i++) {
		finish(&askers[i]);
		assert_int_equal(askers[i].status, CS_OK);
		assert_memory_equal(askers[i].result.vector, expected, sizeof expected);
		arena_release(&askers[i].arena);
	}
	assert_int_equal(fake.texts, 1);
	do
		metrics_collect();
	while (metric_value(metric_series(METRIC_EMBEDDING_CACHED, S(""))) == 0);
	assert_int_equal(metric_value(metric_series(METRIC_EMBEDDING_CACHED, S(""))), 1);
	assert_true(metric_value(metric_series(METRIC_MEMORY, S("embedding_cache"))) > (int64_t)sizeof expected);
	start(&askers[0], S("the same text"));
	finish(&askers[0]);
	assert_memory_equal(askers[0].result.vector, expected, sizeof expected);
	arena_release(&askers[0].arena);
	assert_int_equal(fake.texts, 1);
	assert_true(metric_value(hit) == hit_before + 1);
}

static enum cs_status ask_query(struct slice text, struct cs_error *err)
{
	struct embed_model model;
	const float *vector;

	return embedding_query(fx.store.embedding, &fx.op, text, &vector, &model, err);
}

static void a_query_does_not_wait_for_documents(void **state)
{
	struct asker askers[4];
	struct cs_error err;

	fx_stop_embedding();
	fx_start_embedding((struct embedding_options){.threads = 2, .batch_texts = 1});
	fake_set_hold(true);
	for (size_t i = 0; i < 4; i++) {
		static const char *const texts[] = {"a", "document two", "third", "number four"};

		start(&askers[i], slice_cstr(texts[i]));
	}
	fake_await_inside(2);
	assert_int_equal(ask_query(S("what"), &err), CS_OK);
	assert_int_equal(fake_calls(), 1);
	/* A query is another text than a document with the same words. */
	assert_int_equal(ask_query(S("third"), &err), CS_OK);
	assert_int_equal(fake_calls(), 2);
	fake_set_hold(false);
	for (size_t i = 0; i < 4; i++) {
		finish(&askers[i]);
		assert_non_null(askers[i].result.vector);
		arena_release(&askers[i].arena);
	}
}

static void a_full_queue_is_not_waited_for(void **state)
{
	struct embedding_text texts[3] = {{.text = S("new")}, {.text = S("known")}, {.text = S("newer")}};
	struct asker askers[3];
	struct embed_model model;
	struct cs_error err;

	fx_stop_embedding();
	fx_start_embedding((struct embedding_options){.threads = 1, .queue_texts = 2});
	start(&askers[0], S("known"));
	finish(&askers[0]);
	arena_release(&askers[0].arena);
	fake_set_hold(true);
	start(&askers[0], S("runs"));
	fake_await_inside(1);
	start(&askers[1], S("waits"));
	start(&askers[2], S("waits, too"));
	while (waiting() < 2)
		sched_yield();
	assert_int_equal(embedding_documents(fx.store.embedding, &fx.op, texts, 3, &model, &err), CS_OK);
	assert_int_equal(texts[0].error.status, CS_RATE_LIMIT);
	assert_null(texts[0].vector);
	assert_non_null(texts[1].vector);
	assert_int_equal(texts[2].error.status, CS_RATE_LIMIT);
	accepted("store_context", "{\"content\":{\"text\":\"too much\"},\"type\":\"log\"}");
	assert_str("embedding_status", "pending");
	assert_str("backend_status.vector", "pending");
	assert_says("message", "its vector follows: more than 2 texts wait");
	fake_set_hold(false);
	for (size_t i = 0; i < 3; i++) {
		finish(&askers[i]);
		assert_non_null(askers[i].result.vector);
		arena_release(&askers[i].arena);
	}
	fx_await_repair();
	assert_int_equal(naive_count().without, 0);
}

static void *let_go_of_the_second(void *arg)
{
	while (waiting() < 1)
		sched_yield();
	fake_set_hold(false);
	return NULL;
}

/* A text was seen to take ten seconds, and another one of its length is being computed. */
static void who_need_not_wait_is_told_soon(void **state)
{
	static const char *const patient[] = {
		"{\"content\":{\"text\":\"patient\"},\"type\":\"log\",\"embedding\":\"wait\"}",
		"{\"content\":{\"text\":\"but once\"},\"type\":\"log\",\"on_duplicate\":\"skip\"}",
	};
	struct asker slow, runs;
	pthread_t thread;

	fx_stop_embedding();
	fx_start_embedding((struct embedding_options){.threads = 1, .queue_wait_ms = 2000});
	fake_set_hold(true);
	start(&slow, S("0123456789"));
	fake_await_inside(1);
	clock_shift_ms(10000);
	fake_set_hold(false);
	finish(&slow);
	arena_release(&slow.arena);
	for (size_t i = 0; i < 2; i++) {
		fake_set_hold(true);
		start(&runs, i ? S("abcdefghij") : S("9876543210"));
		fake_await_inside(1);
		if (i == 0) {
			accepted("store_context", "{\"content\":{\"text\":\"hurried\"},\"type\":\"log\"}");
			assert_str("embedding_status", "pending");
			assert_says("message", "its vector follows: the texts before it take some 10");
			assert_says("message", "and over 2000 ms are not waited for");
		}
		assert_int_equal(pthread_create(&thread, NULL, let_go_of_the_second, NULL), 0);
		accepted("store_context", patient[i]);
		assert_str("embedding_status", "completed");
		pthread_join(thread, NULL);
		finish(&runs);
		assert_non_null(runs.result.vector);
		arena_release(&runs.arena);
		fx_await_repair(); /* of the hurried one: it would be taken for the one that runs */
	}
	accepted("store_context", "{\"content\":{\"text\":\"nobody before\"},\"type\":\"log\"}");
	assert_str("embedding_status", "completed");
	fx_await_repair();
	assert_int_equal(naive_count().without, 0);
	clock_shift_ms(0);
}

/* Nothing is known yet of how long texts take; the time itself tells. */
static void who_has_no_turn_in_time_goes_without(void **state)
{
	struct asker runs;

	fx_stop_embedding();
	fx_start_embedding((struct embedding_options){.threads = 1, .queue_wait_ms = 20});
	fake_set_hold(true);
	start(&runs, S("for long"));
	fake_await_inside(1);
	accepted("store_context", "{\"content\":{\"text\":\"hurried\"},\"type\":\"log\"}");
	assert_str("embedding_status", "pending");
	assert_says("message", "its vector follows: others were embedded before it for over 20 ms");
	fake_set_hold(false);
	finish(&runs);
	assert_non_null(runs.result.vector); /* its turn had come */
	arena_release(&runs.arena);
	fx_await_repair();
	assert_int_equal(naive_count().without, 0);
}

static void who_gives_up_leaves_nothing_waiting(void **state)
{
	atomic_bool cancelled = false;
	struct embedding_text text = {.text = S("late")};
	struct embed_model model;
	struct asker asker;
	struct cs_error err;

	fx_stop_embedding();
	fx_start_embedding((struct embedding_options){.threads = 1});
	accepted("store_context", "{\"content\":{\"text\":\"x\"},\"type\":\"log\"}");
	fake_set_hold(true);
	start(&asker, S("runs"));
	fake_await_inside(1);
	fx.op.deadline_ns = clock_mono_ns() + 100000000;
	assert_int_equal(embedding_documents(fx.store.embedding, &fx.op, &text, 1, &model, &err), CS_OK);
	assert_null(text.vector);
	assert_int_equal(text.error.status, CS_TIMEOUT);
	assert_int_equal(waiting(), 0);
	fx.op.deadline_ns = OP_NO_DEADLINE;
	fx.op.cancelled = &cancelled;
	atomic_store(&cancelled, true);
	assert_int_equal(embedding_documents(fx.store.embedding, &fx.op, &text, 1, &model, &err), CS_OK);
	assert_int_equal(text.error.status, CS_TIMEOUT);
	assert_int_equal(waiting(), 0);
	fx.op.cancelled = NULL;
	fake_set_hold(false);
	finish(&asker);
	arena_release(&asker.arena);
	fx.op.may_wait = false;
	assert_int_equal(embedding_documents(fx.store.embedding, &fx.op, &text, 1, &model, &err), CS_WOULD_WAIT);
}

static void one_bad_text_does_not_spoil_the_others(void **state)
{
	struct embedding_text texts[3] = {{.text = S("good")}, {.text = S("BAD one")}, {.text = S("fine")}};
	struct embed_model model;
	struct cs_error err;

	assert_int_equal(embedding_documents(fx.store.embedding, &fx.op, texts, 3, &model, &err), CS_OK);
	assert_non_null(texts[0].vector);
	assert_null(texts[1].vector);
	assert_int_equal(texts[1].error.status, CS_VALIDATION);
	assert_non_null(texts[2].vector);
	assert_int_equal(state_now(), EMBEDDING_READY);
	fake.nan = true;
	texts[0].text = S("no number");
	assert_int_equal(embedding_documents(fx.store.embedding, &fx.op, texts, 1, &model, &err), CS_OK);
	assert_null(texts[0].vector);
	assert_non_null(strstr(texts[0].error.text, "no number"));
}

static void a_failing_embedder_is_left_alone_for_a_while(void **state)
{
	struct embedding_status now;
	struct cs_error err;

	assert_int_equal(ask_query(S("one"), &err), CS_OK);
	fake_set_status(CS_EMBEDDING_UNAVAILABLE, 2);
	assert_int_equal(ask_query(S("two"), &err), CS_EMBEDDING_UNAVAILABLE);
	embedding_status(fx.store.embedding, &now);
	assert_int_equal(now.state, EMBEDDING_FAILING);
	assert_string_equal(now.reason, "the fake fails as told");
	assert_string_equal(now.model_id, "fake");
	for (int i = 0; i < 5; i++)
		assert_int_equal(ask_query(S("three"), &err), CS_EMBEDDING_UNAVAILABLE);
	assert_int_equal(fake_calls(), 2);
	clock_shift_ms(1500);
	assert_int_equal(ask_query(S("three"), &err), CS_EMBEDDING_UNAVAILABLE);
	assert_int_equal(fake_calls(), 3);
	clock_shift_ms(3000);
	assert_int_equal(ask_query(S("three"), &err), CS_EMBEDDING_UNAVAILABLE);
	assert_int_equal(fake_calls(), 3);
	clock_shift_ms(5000);
	fake_set_status(CS_OK, 0);
	assert_int_equal(ask_query(S("three"), &err), CS_OK);
	assert_int_equal(state_now(), EMBEDDING_READY);
}

static void store_for_later(int from, int to)
{
	char text[256];

	for (int i = from; i < to; i++) {
		snprintf(text, sizeof text,
			"{\"id\":\"p%03d\",\"content\":{\"text\":\"pending text %s%d\"},\"type\":\"log\",\"embedding\":"
			"\"later\"}",
			i, i == 3 ? "BAD " : "", i);
		accepted("store_context", text);
		assert_str("embedding_status", fx.store.embedding ? "pending" : "disabled");
		assert_int_equal(json_type_of(&fx.reply, at("vector_id")), JSON_NULL);
	}
}

static void what_is_pending_gets_its_vector(void **state)
{
	store_for_later(0, 40);
	fx_await_repair();
	assert_int_equal(naive_count().vectors, 39);
	assert_int_equal(naive_count().without, 1); /* p003 cannot be embedded; the others did not wait for it */
}

/* The process ends with work undone, in the middle of a computation; the next one does it. */
static void pending_work_survives_the_process(void **state)
{
	fake_set_hold(true);
	store_for_later(10, 40);
	fake_await_inside(1);
	fx_stop_embedding();
	assert_int_equal(naive_count().without, 30);
	fake_set_hold(false);
	fx_start_embedding((struct embedding_options){.threads = 1});
	embedding_repair(fx.store.embedding);
	fx_await_repair();
	assert_int_equal(naive_count().without, 0);
}

static void a_repair_ends_without_a_model_and_starts_with_it(void **state)
{
	struct cs_error err;

	fake.model_status = CS_VALIDATION; /* a damaged model file, say */
	store_for_later(10, 14);
	fx_await_repair();
	assert_int_equal(naive_count().without, 4);
	accepted("store_context", "{\"content\":{\"text\":\"x\"},\"type\":\"log\"}");
	assert_str("embedding_status", "disabled");
	assert_str("backend_status.vector", "disabled");
	assert_says("message", "vectors are off: no fake model; make one");
	fake.model_status = CS_OK;
	clock_shift_ms(1000 * (EMBEDDING_PAUSE_MAX_S + 1));
	assert_int_equal(ask_query(S("anything"), &err), CS_OK);
	fx_await_repair();
	assert_int_equal(naive_count().without, 0);
}

/* The first page is mended, then the embedder goes away: the repair waits, and goes on when it answers somebody. */
static void a_repair_goes_on_when_the_embedder_is_back(void **state)
{
	struct cs_error err;

	fx_stop_embedding();
	store_for_later(10, 60);
	fake_set_status(CS_EMBEDDING_UNAVAILABLE, 2);
	fx_start_embedding((struct embedding_options){.threads = 1, .batch_bytes = 1 << 20});
	embedding_repair(fx.store.embedding);
	while (state_now() != EMBEDDING_FAILING)
		sched_yield();
	assert_in_range(naive_count().without, 1, 49);
	fake_set_status(CS_OK, 0);
	clock_shift_ms(1000 * (EMBEDDING_PAUSE_MAX_S + 1));
	assert_int_equal(ask_query(S("anything"), &err), CS_OK);
	fx_await_repair();
	assert_int_equal(naive_count().without, 0);
}

static void another_model_is_told(void **state)
{
	struct cs_error err;

	accepted("store_context", "{\"id\":\"old\",\"content\":{\"text\":\"first words\"},\"type\":\"log\"}");
	assert_str("embedding_status", "completed");
	fx_stop_embedding();
	fake.hash = S("beef");
	fx_start_embedding((struct embedding_options){.threads = 1});
	accepted("store_context", "{\"content\":{\"text\":\"other words\"},\"type\":\"log\"}");
	assert_str("embedding_status", "failed");
	assert_str("backend_status.vector", "failed");
	assert_says("message", "it has no vector: ");
	assert_says("message", "context-store reembed");
	assert_int_equal(state_now(), EMBEDDING_OTHER_MODEL);
	refused("retrieve_context", "{\"query\":\"first\",\"search_mode\":\"vector\"}", CS_VALIDATION,
		"context-store reembed");
	accepted("retrieve_context", "{\"query\":\"first\"}");
	assert_str("search_mode_used", "text");
	assert_says("degraded.0", "context-store reembed");
	assert_int_equal(naive_reset(NULL, &fx.op, &err), CS_OK);
	assert_int_equal(ask_query(S("anything"), &err), CS_OK);
	fx_await_repair();
	assert_int_equal(naive_count().without, 0);
	assert_int_equal(state_now(), EMBEDDING_READY);
}

static void a_service_that_is_off_says_how_to_turn_it_on(void **state)
{
	struct embedding_options options = {.off = S("no model in the test; write one")};
	struct embedding_status now;
	struct cs_error err;

	fx_stop_embedding();
	embedding_status(NULL, &now);
	assert_int_equal(now.state, EMBEDDING_OFF);
	assert_non_null(strstr(now.reason, "context-store model pull"));
	assert_int_equal(ask_query(S("x"), &err), CS_EMBEDDING_UNAVAILABLE);
	assert_int_equal(embedding_new(&options, &fx.store.embedding, &err), CS_OK);
	embedding_repair(fx.store.embedding);
	assert_int_equal(ask_query(S("x"), &err), CS_EMBEDDING_UNAVAILABLE);
	assert_string_equal(err.text, "no model in the test; write one");
	accepted("store_context", "{\"content\":{\"text\":\"x\"},\"type\":\"log\",\"embedding\":\"later\"}");
	assert_str("embedding_status", "disabled");
	assert_says("message", "stored; vectors are off: no model in the test; write one");
	accepted("retrieve_context", "{\"query\":\"x\"}");
	assert_says("degraded.0", "vector: no model in the test; write one; answered from text");
}

#define T(function) cmocka_unit_test_setup_teardown(function, fx_meaning_setup, fx_meaning_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_recently_used_goes_first),
		cmocka_unit_test(queries_come_first_and_documents_by_length),
		T(identical_texts_in_flight_are_computed_once),
		T(a_query_does_not_wait_for_documents),
		T(a_full_queue_is_not_waited_for),
		T(who_need_not_wait_is_told_soon),
		T(who_has_no_turn_in_time_goes_without),
		T(who_gives_up_leaves_nothing_waiting),
		T(one_bad_text_does_not_spoil_the_others),
		T(a_failing_embedder_is_left_alone_for_a_while),
		T(what_is_pending_gets_its_vector),
		T(pending_work_survives_the_process),
		T(a_repair_ends_without_a_model_and_starts_with_it),
		T(a_repair_goes_on_when_the_embedder_is_back),
		T(another_model_is_told),
		T(a_service_that_is_off_says_how_to_turn_it_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
