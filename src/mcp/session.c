/* One lock for the whole table. A request takes it once, for a lookup and a move in a list (some hundred nanoseconds),
 * and keeps nothing afterwards; a reference is taken only by what outlives the call: a request handed to a worker, a
 * stream. Sharding by id was weighed and left out: at 200,000 requests a second the lock is held 5 % of the time.
 *
 * The list runs from the latest used to the longest unused. A session that ended is off table and list and lives on
 * until its last reference goes. Streams are ended outside the lock, since that may call back into here. */
#include "mcp/session.h"

#include <pthread.h>
#include <sys/random.h>

#include "base/map.h"
#include "base/metrics.h"

#define SESSION_ENTRY_BYTES 80 /* in the table: its slot, the copy of its id, the allocator's share */

struct session {
	struct sessions *table;
	struct session *newer, *older;
	const struct principal *principal;
	const struct revision *revision;
	struct inflight *inflight;
	struct sse *streams[SESSION_STREAMS_MAX];
	unsigned taken; /* bits: places that are not free */
	unsigned references;
	bool ended;
	char id[SESSION_ID_SIZE];
};

struct sessions {
	pthread_mutex_t lock;
	struct map by_id;
	struct session *newest, *oldest;
	unsigned sessions_max;
	struct metric_series *alive;
	struct metrics_collector collector;
};

/* Streams taken over under the lock, to be ended without it. */
struct ending {
	struct sse *streams[SESSION_STREAMS_MAX];
	size_t count;
};

static void collect(void *self)
{
	struct sessions *table = self;

	metric_set(metric_series(METRIC_MEMORY, S("sessions")),
		(int64_t)(sessions_count(table) * (sizeof(struct session) + SESSION_ENTRY_BYTES)));
}

enum cs_status sessions_new(unsigned sessions_max, struct sessions **ret_sessions, struct cs_error *err)
{
	struct sessions *table = calloc(1, sizeof *table);

	if (!table)
		return cs_fail_memory(err);
	pthread_mutex_init(&table->lock, NULL);
	table->alive = metric_series(METRIC_SESSIONS, (struct slice){0});
	table->sessions_max = sessions_max ? sessions_max : 1;
	map_init(&table->by_id, table->sessions_max);
	table->collector = (struct metrics_collector){.collect = collect, .self = table};
	metrics_collector_add(&table->collector);
	*ret_sessions = table;
	return CS_OK;
}

static void list_remove(struct sessions *table, struct session *s)
{
	*(s->newer ? &s->newer->older : &table->newest) = s->older;
	*(s->older ? &s->older->newer : &table->oldest) = s->newer;
	s->newer = s->older = NULL;
}

static void list_put_first(struct sessions *table, struct session *s)
{
	s->newer = NULL;
	s->older = table->newest;
	*(table->newest ? &table->newest->newer : &table->oldest) = s;
	table->newest = s;
}

static void unref_locked(struct session *s)
{
	if (--s->references == 0)
		free(s);
}

/* Takes the session off the table; its own reference goes. */
static void end_locked(struct session *s, struct ending *ret_ending)
{
	struct sessions *table = s->table;

	map_remove(&table->by_id, slice_of(s->id, sizeof s->id));
	list_remove(table, s);
	metric_add(table->alive, -1);
	s->ended = true;
	for (int i = 0; i < SESSION_STREAMS_MAX; i++)
		if (s->streams[i]) {
			sse_ref(s->streams[i]);
			ret_ending->streams[ret_ending->count++] = s->streams[i];
		}
	unref_locked(s);
}

static void end_streams(struct ending *ending)
{
	for (size_t i = 0; i < ending->count; i++) {
		sse_end(ending->streams[i]);
		sse_unref(ending->streams[i]);
	}
}

void sessions_free(struct sessions *table)
{
	if (!table)
		return;
	metrics_collector_remove(&table->collector);
	while (table->newest) {
		struct ending ending = {0};

		end_locked(table->newest, &ending);
		end_streams(&ending);
	}
	map_release(&table->by_id);
	pthread_mutex_destroy(&table->lock);
	free(table);
}

unsigned sessions_count(struct sessions *table)
{
	unsigned count;

	pthread_mutex_lock(&table->lock);
	count = (unsigned)table->by_id.count;
	pthread_mutex_unlock(&table->lock);
	return count;
}

static bool draw_id(char id[SESSION_ID_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[SESSION_ID_SIZE / 2];

	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return false;
	for (size_t i = 0; i < sizeof bytes; i++) {
		id[2 * i] = digits[bytes[i] >> 4];
		id[2 * i + 1] = digits[bytes[i] & 15];
	}
	return true;
}

static enum cs_status open_locked(struct sessions *table, struct session *s, struct ending *ret_ending)
{
	enum cs_status status;

	if (table->by_id.count >= table->sessions_max)
		end_locked(table->oldest, ret_ending);
	status = map_put(&table->by_id, slice_of(s->id, sizeof s->id), s, NULL);
	if (status)
		return status;
	list_put_first(table, s);
	metric_add(table->alive, 1);
	return CS_OK;
}

enum cs_status sessions_open(struct sessions *table, const struct principal *principal, const struct revision *revision,
	char ret_id[SESSION_ID_SIZE], struct cs_error *err)
{
	struct session *s = calloc(1, sizeof *s);
	struct ending ending = {0};
	enum cs_status status;

	if (!s)
		return cs_fail_memory(err);
	s->table = table;
	s->principal = principal;
	s->revision = revision;
	s->references = 1;
	if (!draw_id(s->id)) {
		free(s);
		return cs_fail(err, CS_UNAVAILABLE, "the system gives no random numbers for a session id");
	}
	pthread_mutex_lock(&table->lock);
	status = open_locked(table, s, &ending);
	if (status == CS_OK)
		memcpy(ret_id, s->id, sizeof s->id); /* behind the lock it may be evicted already */
	pthread_mutex_unlock(&table->lock);
	end_streams(&ending);
	if (status) {
		free(s);
		return cs_fail_memory(err);
	}
	return CS_OK;
}

static struct session *find_locked(struct sessions *table, const struct principal *principal, struct slice id)
{
	struct session *s = id.len == SESSION_ID_SIZE ? map_get(&table->by_id, id) : NULL;

	return s && s->principal == principal ? s : NULL;
}

const struct revision *sessions_touch(struct sessions *table, const struct principal *principal, struct slice id)
{
	const struct revision *revision = NULL;
	struct session *s;

	pthread_mutex_lock(&table->lock);
	s = find_locked(table, principal, id);
	if (s) {
		revision = s->revision;
		if (s != table->newest) {
			list_remove(table, s);
			list_put_first(table, s);
		}
	}
	pthread_mutex_unlock(&table->lock);
	return revision;
}

bool sessions_close(struct sessions *table, const struct principal *principal, struct slice id)
{
	struct ending ending = {0};
	struct session *s;

	pthread_mutex_lock(&table->lock);
	s = find_locked(table, principal, id);
	if (s)
		end_locked(s, &ending);
	pthread_mutex_unlock(&table->lock);
	end_streams(&ending);
	return s != NULL;
}

struct session *session_ref(struct sessions *table, const struct principal *principal, struct slice id)
{
	struct session *s;

	pthread_mutex_lock(&table->lock);
	s = find_locked(table, principal, id);
	if (s)
		s->references++;
	pthread_mutex_unlock(&table->lock);
	return s;
}

void session_unref(struct session *s)
{
	struct sessions *table;

	if (!s)
		return;
	table = s->table;
	pthread_mutex_lock(&table->lock);
	unref_locked(s);
	pthread_mutex_unlock(&table->lock);
}

int session_take_place(struct session *s)
{
	int place = -1;

	pthread_mutex_lock(&s->table->lock);
	for (int i = 0; i < SESSION_STREAMS_MAX && place < 0 && !s->ended; i++)
		if (!(s->taken & 1u << i))
			place = i;
	if (place >= 0)
		s->taken |= 1u << place;
	pthread_mutex_unlock(&s->table->lock);
	return place;
}

void session_attach(struct session *s, int place, struct sse *stream)
{
	bool ended;

	pthread_mutex_lock(&s->table->lock);
	ended = s->ended;
	s->streams[place] = stream;
	sse_ref(stream);
	pthread_mutex_unlock(&s->table->lock);
	if (ended)
		sse_end(stream);
}

void session_give_place(struct session *s, int place)
{
	struct sse *stream;

	pthread_mutex_lock(&s->table->lock);
	stream = s->streams[place];
	s->streams[place] = NULL;
	s->taken &= ~(1u << place);
	pthread_mutex_unlock(&s->table->lock);
	if (stream)
		sse_unref(stream);
}

void inflight_add(struct inflight **list, struct inflight *entry)
{
	entry->next = *list;
	entry->link = list;
	if (*list)
		(*list)->link = &entry->next;
	*list = entry;
}

void inflight_remove(struct inflight *entry)
{
	*entry->link = entry->next;
	if (entry->next)
		entry->next->link = entry->link;
}

struct inflight *inflight_find(struct inflight *list, struct slice id)
{
	while (list && !slice_eq(list->id, id))
		list = list->next;
	return list;
}

void session_inflight_add(struct session *s, struct inflight *entry)
{
	pthread_mutex_lock(&s->table->lock);
	inflight_add(&s->inflight, entry);
	pthread_mutex_unlock(&s->table->lock);
}

void session_inflight_remove(struct session *s, struct inflight *entry)
{
	pthread_mutex_lock(&s->table->lock);
	inflight_remove(entry);
	pthread_mutex_unlock(&s->table->lock);
}

void session_cancel(struct session *s, struct slice id)
{
	struct inflight *entry;

	pthread_mutex_lock(&s->table->lock);
	entry = inflight_find(s->inflight, id);
	if (entry)
		atomic_store(&entry->cancelled, true);
	pthread_mutex_unlock(&s->table->lock);
}
