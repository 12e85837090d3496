/* Three lines, one for each class, and a table of all jobs by key, running ones included: that is what makes identical
 * texts be computed once.
 *
 * Batches. The oldest document decides: with it go, of the WINDOW that wait behind it, those between half and double
 * its length, in the order they came, while they fit. So nobody starves, and an embedder that pads a batch to its
 * longest text wastes at most half. Sorting the whole line by length was rejected: long documents would wait as long as
 * short ones come. */
#include <stdlib.h>

#include "store/embedding_parts.h"

#define WINDOW 256u

static struct embedding_job **place_of(struct embedding_queue *queue, struct embedding_key key)
{
	struct embedding_job **at = &queue->buckets[key.low % EMBEDDING_BUCKETS];

	while (*at && !embedding_key_eq((*at)->key, key))
		at = &(*at)->chained;
	return at;
}

struct embedding_job *embedding_queue_find(const struct embedding_queue *queue, struct embedding_key key)
{
	struct embedding_job *at = queue->buckets[key.low % EMBEDDING_BUCKETS];

	while (at && !embedding_key_eq(at->key, key))
		at = at->chained;
	return at;
}

static void enter_line(struct embedding_queue *queue, struct embedding_job *job)
{
	struct embedding_line *line = &queue->lines[job->class_];

	job->next = NULL;
	job->former = line->last;
	*(line->last ? &line->last->next : &line->first) = job;
	line->last = job;
	line->count++;
	line->bytes += job->len;
}

static void leave_line(struct embedding_queue *queue, struct embedding_job *job)
{
	struct embedding_line *line = &queue->lines[job->class_];

	*(job->former ? &job->former->next : &line->first) = job->next;
	*(job->next ? &job->next->former : &line->last) = job->former;
	line->count--;
	line->bytes -= job->len;
}

size_t embedding_queue_bytes(const struct embedding_queue *queue)
{
	size_t bytes = 0;

	for (size_t i = 0; i < EMBEDDING_CLASSES; i++)
		bytes += queue->lines[i].bytes;
	return bytes;
}

struct embedding_job *embedding_queue_push(struct embedding_queue *queue, struct embedding_key key,
	enum embedding_class class_, enum embed_kind kind, struct slice text)
{
	struct embedding_job *job = malloc(sizeof *job + text.len);
	struct embedding_job **place = place_of(queue, key);

	if (!job)
		return NULL;
	*job = (struct embedding_job){.key = key, .class_ = class_, .kind = kind, .len = text.len};
	if (text.len > 0)
		memcpy(job->text, text.ptr, text.len);
	*place = job;
	enter_line(queue, job);
	return job;
}

void embedding_queue_promote(struct embedding_queue *queue, struct embedding_job *job, enum embedding_class class_)
{
	if (job->running || job->class_ <= class_)
		return;
	leave_line(queue, job);
	job->class_ = class_;
	enter_line(queue, job);
}

static size_t running_bytes(const struct embedding_job *job)
{
	return job->class_ == EMBEDDING_DOCUMENTS ? job->len : 0;
}

static void run(struct embedding_queue *queue, struct embedding_job *job)
{
	leave_line(queue, job);
	job->running = true;
	queue->running_bytes += running_bytes(job);
}

static int by_length(const void *a, const void *b)
{
	const struct embedding_job *const *left = a, *const *right = b;

	return ((*left)->len > (*right)->len) - ((*left)->len < (*right)->len);
}

static size_t take_batch(struct embedding_queue *queue, struct embedding_line *line, size_t texts_max, size_t bytes_max,
	struct embedding_job **jobs)
{
	struct embedding_job *job = line->first, *next;
	size_t len = job->len, bytes = len, count = 0;

	next = job->next;
	run(queue, job);
	jobs[count++] = job;
	for (unsigned looked = 0; next && looked < WINDOW && count < texts_max; looked++) {
		job = next;
		next = job->next;
		if (job->len > 2 * len + 64 || len > 2 * job->len + 64 ||
			job->len > bytes_max - (bytes < bytes_max ? bytes : bytes_max))
			continue;
		bytes += job->len;
		run(queue, job);
		jobs[count++] = job;
	}
	qsort(jobs, count, sizeof(struct embedding_job *), by_length);
	return count;
}

size_t embedding_queue_take(struct embedding_queue *queue, enum embedding_class first, enum embedding_class last,
	size_t texts_max, size_t bytes_max, struct embedding_job **jobs)
{
	for (enum embedding_class class_ = first; class_ <= last; class_++)
		if (queue->lines[class_].first)
			return take_batch(queue, &queue->lines[class_], texts_max, bytes_max, jobs);
	return 0;
}

void embedding_queue_drop(struct embedding_queue *queue, struct embedding_job *job)
{
	*place_of(queue, job->key) = job->chained;
	if (job->running)
		queue->running_bytes -= running_bytes(job);
	else
		leave_line(queue, job);
	free(job);
}
