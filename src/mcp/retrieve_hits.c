/* Hits are written straight into the reply, and one that goes beyond the budget is taken out again: to measure them first
 * would be to write them twice. */
#include "mcp/retrieve_hits.h"

#include <math.h>

/* A hit can have a score in a ranking that was not looked at as deep as it stands there: then without a rank. */
static void write_rank(struct json_writer *w, const char *name, bool known, uint64_t rank, double score)
{
	if (!known) {
		json_key_null(w, name);
		return;
	}
	json_write_key(w, slice_cstr(name));
	json_begin_object(w);
	if (rank > 0)
		json_key_u64(w, "rank", rank);
	json_key_f64(w, "score", score);
	json_end_object(w);
}

static void write_explain(
	struct json_writer *w, const struct hits_form *form, const struct retrieve_result *result, size_t index)
{
	const struct retrieve_hit *hit = &result->hits[index];
	bool searched = result->way != RETRIEVED_BY_ID && result->way != RETRIEVED_ALL;
	bool by_date = result->way == RETRIEVED_ALL || (searched && form->by_date);

	json_write_key(w, S("explain"));
	json_begin_object(w);
	write_rank(w, "vector", !isnan(hit->similarity), hit->vector_rank, hit->similarity);
	write_rank(w, "text", hit->text_score > 0, hit->text_rank, hit->text_score);
	json_key_null(w, "graph");
	write_rank(w, "recency", by_date, hit->place + 1, (double)hit->context.created_at);
	json_end_object(w);
}

static void write_relations(struct json_writer *w, const struct context *context)
{
	json_write_name(w, S("relationships"));
	json_begin_array(w);
	for (size_t i = 0; i < context->relation_count; i++) {
		json_begin_object(w);
		json_key_str(w, "type", context->relations[i].type);
		json_key_str(w, "target", context->relations[i].target);
		json_end_object(w);
	}
	json_end_array(w);
}

/* What every form of a hit has, behind id and content. */
static void write_facts(struct json_writer *w, const struct retrieve_hit *hit)
{
	char created_at[CLOCK_TEXT_SIZE];

	clock_format(hit->context.created_at, created_at);
	json_key_f64(w, "score", hit->score);
	json_key_str(w, "type", hit->context.type);
	json_key_str(w, "created_at", slice_cstr(created_at));
	json_key_u64(w, "version", hit->context.version);
}

static void write_hit(
	struct json_writer *w, const struct hits_form *form, const struct retrieve_result *result, size_t index)
{
	const struct retrieve_hit *hit = &result->hits[index];

	json_begin_object(w);
	json_key_str(w, "id", hit->context.id);
	json_key_raw(w, "content", hit->context.content);
	write_facts(w, hit);
	json_key_raw(w, "metadata", hit->context.metadata);
	if (hit->context.source.len > 0)
		json_key_str(w, "source", hit->context.source);
	else
		json_key_null(w, "source");
	if (form->with_relations)
		write_relations(w, &hit->context);
	if (form->explain)
		write_explain(w, form, result, index);
	json_end_object(w);
}

/* An id can take six bytes for each of its own when escaped; what is left of the budget behind the facts is the
 * excerpt's. It is cut from the content's JSON, whose escapes can double it. */
static void write_excerpt(
	struct json_writer *w, const struct hits_form *form, const struct retrieve_hit *hit, size_t start)
{
	struct slice text = hit->context.content;
	size_t used, room;

	json_begin_object(w);
	json_key_str(w, "id", hit->context.id);
	write_facts(w, hit);
	json_key_bool(w, "content_truncated", true);
	json_write_name(w, S("content"));
	used = w->out->len - start + sizeof "{\"excerpt\":\"\"}}";
	room = form->budget > used ? (form->budget - used) / 2 : 0;
	if (room < text.len) {
		while (room > 0 && ((unsigned char)text.ptr[room] & 0xC0) == 0x80)
			room--;
		text.len = room;
	}
	json_begin_object(w);
	json_key_str(w, "excerpt", text);
	json_end_object(w);
	json_end_object(w);
}

/* Before the hits: ids are short, and what the budget leaves out of them stands on no other page. */
bool hits_write_not_found(struct json_writer *w, struct hits_form *form, const struct retrieve_result *result)
{
	size_t start = w->out->len, room = form->budget / 3, i;

	if (result->not_found_count == 0)
		return false;
	json_write_name(w, S("not_found"));
	json_begin_array(w);
	for (i = 0; i < result->not_found_count; i++) {
		size_t before = w->out->len;
		struct json_writer at = *w;

		json_write_str(w, result->not_found[i]);
		if (w->out->len - start < room || w->out->failed)
			continue;
		w->out->len = before;
		*w = at;
		break;
	}
	json_end_array(w);
	if (form->budget != SIZE_MAX)
		form->budget -= w->out->len - start;
	return i < result->not_found_count;
}

size_t hits_write(
	struct json_writer *w, const struct hits_form *form, const struct retrieve_result *result, bool *ret_truncated)
{
	size_t start, written;

	json_write_name(w, S("results"));
	json_begin_array(w);
	start = w->out->len;
	for (written = 0; written < result->count; written++) {
		size_t before = w->out->len;
		struct json_writer at = *w;

		write_hit(w, form, result, written);
		if (w->out->len - start <= form->budget || w->out->failed)
			continue;
		w->out->len = before;
		*w = at;
		*ret_truncated = true;
		if (written > 0)
			break;
		write_excerpt(w, form, &result->hits[written++], start);
		break;
	}
	json_end_array(w);
	return written;
}
