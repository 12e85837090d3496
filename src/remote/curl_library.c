/* dlopen of libcurl. Its ABI has been libcurl.so.4 since 2006; each function of the table is looked up, and one that is
 * missing counts as no library. */
#include "remote/curl_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static struct curl_library library;
static char failure[256]; /* empty: loaded */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* In the order of struct curl_library, which holds nothing but pointers to functions. */
static const char *const names[] = {"curl_global_init", "curl_easy_init", "curl_easy_setopt", "curl_easy_perform",
	"curl_easy_getinfo", "curl_easy_strerror", "curl_easy_cleanup", "curl_slist_append", "curl_slist_free_all"};

_Static_assert(sizeof library == sizeof names, "one name a function");

static void load(void)
{
	void *handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
	CURLcode code;

	if (!handle) {
		snprintf(failure, sizeof failure, "%s", dlerror());
		return;
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		void *symbol = dlsym(handle, names[i]);

		if (!symbol) {
			snprintf(failure, sizeof failure, "libcurl.so.4 has no %s", names[i]);
			return;
		}
		/* What POSIX says dlsym is for and ISO C cannot say: an object pointer that is a function's. */
		memcpy((char *)&library + i * sizeof symbol, &symbol, sizeof symbol);
	}
	code = library.global_init(CURL_GLOBAL_DEFAULT);
	if (code != CURLE_OK)
		snprintf(failure, sizeof failure, "libcurl cannot be set up: %s", library.easy_strerror(code));
}

enum cs_status curl_library_load(const struct curl_library **ret_library, struct cs_error *err)
{
	pthread_once(&once, load);
	if (*failure)
		return cs_fail(err, CS_UNAVAILABLE, "%s; install libcurl (Debian: libcurl4)", failure);
	*ret_library = &library;
	return CS_OK;
}
