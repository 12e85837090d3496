/* What tests of vectors share: a model, vectors that can be told apart, and storing and finding by them. */
#ifndef CS_TESTS_CONTRACT_VECTORS_H
#define CS_TESTS_CONTRACT_VECTORS_H

#include <math.h>

#include "adapters.h"

#define DIMENSION 24

static const struct embed_model test_model = {
	.id = SLICE_INIT("test-model"), .hash = SLICE_INIT("0123456789abcdef"), .dimension = DIMENSION};

/* Pseudo-random, the same for the same seed; cosines of two are far from 1. */
static inline void make_vector(uint64_t seed, float vector[DIMENSION])
{
	for (int i = 0; i < DIMENSION; i++) {
		uint64_t z = seed * 1000003u + (uint64_t)i * UINT64_C(0x9E3779B97F4A7C15);

		z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
		vector[i] = (float)((double)(z >> 11) / 4503599627370496.0 - 1.0);
	}
}

static inline struct context_put put_of(const char *id, const float *vector)
{
	return (struct context_put){
		.context = {.id = slice_cstr(id),
			.type = S("log"),
			.content = S("{\"n\":1}"),
			.metadata = S("{}"),
			.words = slice_cstr(id)},
		.if_version = CONTEXT_VERSION_ANY,
		.model = vector ? &test_model : NULL,
		.vector = vector,
	};
}

static inline uint64_t store_put(struct fixture *f, const struct context_put *put)
{
	struct context_put_result result;

	assert_ok(f, f->ports.contexts.put(f->ports.contexts.self, &f->op, put, 1, &result, &f->err));
	if (result.status != CS_OK)
		fail_msg("%s", result.error.text);
	return result.version;
}

/* Returns the version. A seed of 0: without a vector. */
static inline uint64_t store(struct fixture *f, const char *id, uint64_t seed)
{
	float vector[DIMENSION];
	struct context_put put = put_of(id, seed ? vector : NULL);

	make_vector(seed, vector);
	return store_put(f, &put);
}

static inline struct vector_result ask(struct fixture *f, const struct vector_query *query)
{
	struct vector_result result = {0};

	assert_ok(f, f->ports.vectors.search(f->ports.vectors.self, &f->op, query, &result, &f->err));
	return result;
}

static inline struct vector_result find(struct fixture *f, uint64_t seed, size_t limit)
{
	float vector[DIMENSION];
	struct vector_query query = {
		.vector = vector, .dimension = DIMENSION, .limit = limit, .least_similarity = VECTOR_NO_LIMIT};

	make_vector(seed, vector);
	return ask(f, &query);
}

/* Is the context found by exactly this vector? */
static inline bool is_found(struct fixture *f, const char *id, uint64_t seed)
{
	struct vector_result result = find(f, seed, 1);

	return result.count == 1 && slice_eq(result.hits[0].id, slice_cstr(id)) &&
	       fabs(result.hits[0].similarity - 1) < 1e-5;
}

static inline struct vector_stats stats_of(struct fixture *f)
{
	struct vector_stats stats = {0};

	assert_ok(f, f->ports.vectors.stats(f->ports.vectors.self, &f->op, &stats, &f->err));
	return stats;
}

static inline enum cs_status add(struct fixture *f, const char *id, uint64_t version, uint64_t seed)
{
	float vector[DIMENSION];

	make_vector(seed, vector);
	return f->ports.vectors.put(
		f->ports.vectors.self, &f->op, slice_cstr(id), version, &test_model, vector, &f->err);
}

static inline enum cs_status take_away(struct fixture *f, const char *id, enum context_removal how, int64_t retention_s)
{
	struct context_remove remove = {
		.id = slice_cstr(id), .how = how, .reason = S("for the test"), .retention_s = retention_s};

	return f->ports.contexts.remove(f->ports.contexts.self, &f->op, &remove, &f->err);
}

static inline void restore(struct fixture *f, const char *id)
{
	assert_ok(f, f->ports.contexts.restore(f->ports.contexts.self, &f->op, slice_cstr(id), &f->err));
}

#endif
