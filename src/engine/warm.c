/* Loading the mirror of contexts (vectors.h) before somebody waits for it.
 *
 * The first search by meaning would wait for as long as loading takes: most of a second for 100,000 vectors. A server will
 * be asked for them and may as well begin when it opens its store; a process that may never search (stdio beside an
 * editor, a command) does not call this then. A filtered search by words calls it and does not wait: SQL judges the filter
 * until the mirror can. Words need no such help (words.h).
 *
 * The thread does what the first search would do, by the same way in: whoever comes meanwhile waits for the rest of it and
 * not for all. What fails is not told; the first search meets it, too, and says so. It is tried once. */
#include <pthread.h>

#include "engine/parts.h"

static void *warm_main(void *self)
{
	struct engine *engine = self;
	const struct op op = {.principal = &principal_anonymous,
		.deadline_ns = OP_NO_DEADLINE,
		.cancelled = &engine->warm.stopping,
		.may_wait = true};
	enum cs_status status = vectors_load(engine->vectors, &op, NULL);

	(void)status;
	return NULL;
}

void engine_warm(struct engine *engine)
{
	if (atomic_load(&engine->warm.begun) || atomic_exchange(&engine->warm.begun, true))
		return;
	engine->warm.started = pthread_create(&engine->warm.thread, NULL, warm_main, engine) == 0;
	if (engine->warm.started)
		pthread_setname_np(engine->warm.thread, "warm");
}

void engine_warm_stop(struct engine *engine)
{
	atomic_store(&engine->warm.stopping, true);
	if (engine->warm.started)
		pthread_join(engine->warm.thread, NULL);
	engine->warm.started = false;
}
