/* Addresses of Redis. What is accepted says where, shows no password, and shown reads back as the same place. */
#include <assert.h>

#include "remote/redis_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct redis_url url = {.port = 7}, again;
	struct cs_error err;

	if (redis_url_parse(slice_of((const char *)data, size), &url, &err) != CS_OK) {
		assert(*err.text && url.port == 7 && !url.shown);
		return 0;
	}
	assert(!url.host == !!url.path && url.port > 0 && url.database <= REDIS_DATABASE_MAX);
	assert(url.user && url.password && url.shown);
	/* A path is shown as it is, for people; only hosts must read back. */
	if (url.host) {
		assert(redis_url_parse(slice_cstr(url.shown), &again, &err) == CS_OK);
		assert(strcmp(again.host, url.host) == 0 && again.port == url.port && again.database == url.database);
		assert(strcmp(again.user, url.user) == 0 && !*again.password && strcmp(again.shown, url.shown) == 0);
		redis_url_release(&again);
	}
	redis_url_release(&url);
	return 0;
}
