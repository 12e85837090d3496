/* What the embedding service shows of itself when /metrics is read. The lock is only tried: the reader may be an event
 * loop, and lengths of a moment ago will do. */
#include "store/embedding_parts.h"

void embedding_collect(void *service)
{
	static const struct slice kinds[EMBEDDING_CLASSES] = {
		[EMBEDDING_QUERIES] = SLICE_INIT("query"),
		[EMBEDDING_DOCUMENTS] = SLICE_INIT("document"),
		[EMBEDDING_REPAIRS] = SLICE_INIT("repair"),
	};
	struct embedding_service *s = service;

	if (pthread_mutex_trylock(&s->lock) != 0)
		return;
	for (size_t i = 0; i < EMBEDDING_CLASSES; i++)
		metric_set(metric_series(METRIC_EMBEDDING_QUEUE, kinds[i]), (int64_t)s->queue.lines[i].count);
	metric_set(metric_series(METRIC_EMBEDDING_THREADS, S("")), (int64_t)embedding_threads(s));
	metric_set(metric_series(METRIC_EMBEDDING_CACHED, S("")), (int64_t)embedding_cache_count(s->cache));
	metric_set(metric_series(METRIC_MEMORY, S("embedding_cache")), (int64_t)embedding_cache_bytes(s->cache));
	metric_set(metric_series(METRIC_MEMORY, S("embedding_queue")), (int64_t)embedding_queue_bytes(&s->queue));
	pthread_mutex_unlock(&s->lock);
}
