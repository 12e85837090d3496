/* Loading the vectors before somebody waits for them.
 *
 * The first search by meaning would wait for as long as loading takes: most of a second for 100,000 vectors. A server will
 * be asked for them and may as well begin when it opens its store; a process that may never search (stdio beside an
 * editor, a command) does not call this. Words need no such help: searches go on without them while they are loaded.
 *
 * The thread does what the first search would do, by the same way in: whoever comes meanwhile waits for the rest of it and
 * not for all. What fails is not told; the first search meets it, too, and says so. */
#include <pthread.h>

#include "engine/parts.h"

static void *warm_main(void *self)
{
	struct engine *engine = self;
	const struct op op = {.principal = &principal_anonymous,
		.deadline_ns = OP_NO_DEADLINE,
		.cancelled = &engine->warm.stopping,
		.may_wait = true};
	int64_t dimension = 0;
	struct sql *sql;
	enum cs_status status = readers_begin(engine->readers, &op, &sql, NULL);

	if (status != CS_OK)
		return NULL;
	status = sql_number(sql, "SELECT dimension FROM embedding_model", &dimension, NULL);
	readers_end(engine->readers, sql);
	if (status == CS_OK && dimension > 0)
		status = vectors_load(engine->vectors, &op, NULL);
	(void)status;
	return NULL;
}

void engine_warm(struct engine *engine)
{
	if (engine->warm.started)
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
