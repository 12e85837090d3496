/* Thread-local storage is reached in one instruction; the pthread key beside it exists only for its destructor, since
 * worker threads come and go. */
#include "mcp/scratch.h"

#include <assert.h>
#include <pthread.h>

static _Thread_local struct {
	struct buffer buffer;
	bool registered;
	bool taken;
} scratch;

static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static bool key_made;

static void release(void *buffer)
{
	buffer_release(buffer);
}

static void make_key(void)
{
	key_made = pthread_key_create(&key, release) == 0;
}

struct buffer *scratch_take(size_t ceiling)
{
	assert(!scratch.taken);
	if (!scratch.registered) {
		pthread_once(&key_once, make_key);
		buffer_init(&scratch.buffer, ceiling);
		scratch.registered = key_made && pthread_setspecific(key, &scratch.buffer) == 0;
	}
	scratch.taken = true;
	scratch.buffer.ceiling = ceiling;
	return &scratch.buffer;
}

void scratch_give(struct buffer *buffer)
{
	assert(scratch.taken && buffer == &scratch.buffer);
	scratch.taken = false;
	/* A thread without a destructor keeps nothing. */
	if (buffer->cap > SCRATCH_KEPT_BYTES || !scratch.registered)
		buffer_release(buffer);
	else
		buffer_clear(buffer);
}
