/* Looks for what says the same: among the vectors of the store, and among the other contexts of the same call.
 *
 * Candidates are read and looked at here, PAGE at a time in an arena of their own, at most PAGES times: a store where more
 * than that are nearly equal has other duplicates to tell. All of the store is asked first, since type and namespace are
 * looked at here anyway (the port's filter cannot say "without a namespace"), and a filter costs a visit to each row it
 * lets through: 100,000 contexts of one type would be 10 ms for each store. Only when there are more candidates than are
 * looked at does the filter choose which. Within a call near ones are told and not skipped, because the first may still fail. */
#include <strings.h>
#include <xxhash.h>

#include "base/json.h"
#include "store/meaning.h"

#define PAGE          16u
#define PAGES         8u
#define SCRATCH_BYTES (64u << 20)

static uint64_t add_to_hash(uint64_t hash, const void *bytes, size_t len)
{
	return XXH3_64bits_withSeed(bytes, len, hash + 1);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "not" and its like, "don't" too, in any case. */
static bool is_denial(struct slice word)
{
	static const char *const denials[] = {"not", "no", "never", "none", "cannot", "without", "neither", "nor"};

	for (size_t i = 0; i < sizeof denials / sizeof denials[0]; i++)
		if (strlen(denials[i]) == word.len && strncasecmp(denials[i], word.ptr, word.len) == 0)
			return true;
	return word.len > 3 && strncasecmp(word.ptr + word.len - 3, "n't", 3) == 0;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '\'';
}

static uint64_t add_text(uint64_t hash, struct slice text)
{
	for (size_t i = 0; i < text.len;) {
		size_t start = i;

		while (i < text.len && is_digit(text.ptr[i]))
			i++;
		if (i > start) {
			hash = add_to_hash(hash, text.ptr + start, i - start);
			continue;
		}
		while (i < text.len && is_letter(text.ptr[i]))
			i++;
		if (is_denial(slice_of(text.ptr + start, i - start)))
			hash = add_to_hash(hash, "not", 3);
		i += i == start;
	}
	return hash;
}

/* Of all numbers and denials in it, those within strings too, and true and false, in their order. */
static uint64_t add_facts(uint64_t hash, const struct json_doc *doc, uint32_t node)
{
	const struct json_node *at = &doc->nodes[node];

	switch (at->type) {
	case JSON_NULL: return hash;
	case JSON_FALSE:
	case JSON_TRUE: return add_to_hash(hash, &at->type, sizeof at->type);
	case JSON_INT:
	case JSON_UINT:
	case JSON_DOUBLE: return add_to_hash(hash, &at->u64, sizeof at->u64);
	case JSON_HUGE:
	case JSON_STRING: return add_text(hash, at->text);
	case JSON_ARRAY:
	case JSON_OBJECT: break;
	}
	for (uint32_t child = json_first(doc, node); child != JSON_NONE; child = json_next(doc, node, child))
		if (node != 0 || at->type != JSON_OBJECT || !slice_eq(json_key(doc, child), S("id")))
			hash = add_facts(hash, doc, child);
	return hash;
}

static bool same_facts(struct arena *arena, struct slice a, struct slice b)
{
	struct json_doc left, right;

	return json_parse(arena, a, JSON_LIMITS_DEFAULT, &left, NULL) == CS_OK &&
	       json_parse(arena, b, JSON_LIMITS_DEFAULT, &right, NULL) == CS_OK &&
	       add_facts(0, &left, 0) == add_facts(0, &right, 0);
}

/* True when there is nothing better to be found: an exact one. */
static bool judge(struct op *op, struct arena *scratch, const struct context *own, const struct context *other,
	struct meaning *meaning)
{
	bool exact = slice_eq(own->content, other->content);

	if (slice_eq(own->id, other->id) || !slice_eq(own->type, other->type) ||
		!slice_eq(own->namespace_, other->namespace_))
		return false;
	if (!exact && (meaning->near.len > 0 || !same_facts(scratch, own->content, other->content)))
		return false;
	meaning->near = arena_copy(op->arena, other->id);
	meaning->exact = exact && meaning->near.ptr;
	if (!meaning->near.ptr)
		meaning->near.len = 0;
	return meaning->exact;
}

enum look { LOOK_DONE, LOOK_MORE, LOOK_TOO_MANY };

/* One page of candidates. LOOK_DONE: no further ones are needed, or there are none. */
static enum look look_at_page(struct store *store, struct op *op, const struct context_put *put,
	const struct context_filter *filter, size_t page, struct meaning *meaning)
{
	const struct vector_query query = {.vector = put->vector,
		.dimension = put->model->dimension,
		.filter = filter,
		.offset = page * PAGE,
		.limit = PAGE,
		.least_similarity = NEAR_DUPLICATE_SIMILARITY};
	struct op inner = *op;
	struct vector_result found;
	struct slice ids[PAGE];
	struct context *contexts = NULL;
	struct arena scratch;
	size_t count = 0;
	bool done, too_many = false;

	arena_init(&scratch, NULL, 0, SCRATCH_BYTES);
	inner.arena = &scratch;
	done = store->vectors.search(store->vectors.self, &inner, &query, &found, NULL) != CS_OK || found.count == 0;
	for (size_t i = 0; !done && i < found.count; i++)
		ids[i] = found.hits[i].id;
	if (!done)
		done = store->contexts.get(store->contexts.self, &inner, ids, found.count, NULL, false, &contexts,
			       &count, NULL) != CS_OK;
	for (size_t i = 0; !done && i < count; i++)
		done = judge(op, &scratch, &put->context, &contexts[i], meaning);
	if (!done)
		too_many = !filter && found.total > PAGE * PAGES;
	done = done || query.offset + found.count >= found.total;
	arena_release(&scratch);
	return too_many ? LOOK_TOO_MANY : done ? LOOK_DONE : LOOK_MORE;
}

static void look_in_store(struct store *store, struct op *op, const struct context_put *put, struct meaning *meaning)
{
	const struct context_filter own_kind = {.types = &put->context.type,
		.type_count = 1,
		.namespace_ = put->context.namespace_,
		.date_from = CONTEXT_NO_DATE,
		.date_to = CONTEXT_NO_DATE};
	const struct context_filter *filter = NULL;
	enum look look = LOOK_MORE;

	for (size_t page = 0; page < PAGES && look == LOOK_MORE; page++) {
		look = look_at_page(store, op, put, filter, page, meaning);
		if (look == LOOK_TOO_MANY) {
			filter = &own_kind;
			look = look_at_page(store, op, put, filter, page, meaning);
		}
	}
}

static double similarity(const float *a, const float *b, uint32_t dimension)
{
	double sum = 0;

	for (uint32_t i = 0; i < dimension; i++)
		sum += (double)a[i] * (double)b[i];
	return sum;
}

static void look_among(struct op *op, const struct context_put *puts, size_t own, struct meaning *meanings)
{
	struct arena scratch;

	arena_init(&scratch, NULL, 0, SCRATCH_BYTES);
	for (size_t i = 0; i < own && meanings[own].near.len == 0; i++) {
		if (!puts[i].vector || similarity(puts[i].vector, puts[own].vector, puts[own].model->dimension) <
					       NEAR_DUPLICATE_SIMILARITY)
			continue;
		(void)judge(op, &scratch, &puts[own].context, &puts[i].context, &meanings[own]);
		meanings[own].same_call = meanings[own].near.len > 0;
		arena_reset(&scratch);
	}
	arena_release(&scratch);
}

void meaning_find_near(
	struct store *store, struct op *op, const struct context_put *puts, size_t count, struct meaning *meanings)
{
	for (size_t i = 0; i < count; i++) {
		if (!puts[i].vector || slice_trim(puts[i].context.words).len == 0)
			continue;
		look_in_store(store, op, &puts[i], &meanings[i]);
		if (meanings[i].near.len == 0)
			look_among(op, puts, i, meanings);
	}
}
