/* libcurl, loaded by the first process that needs it.
 *
 * Opened with dlopen and not linked: it brings thirty libraries along, which cost each start some ten milliseconds and
 * six megabytes, and most processes never speak HTTP to the outside. Types and constants are those of <curl/curl.h>;
 * the functions that are used stand in one table. Sets the library up (curl_global_init) once; it is never unloaded.
 *
 * Threads: any. Errors: CS_UNAVAILABLE that names what to install. */
#ifndef CS_REMOTE_CURL_LIBRARY_H
#define CS_REMOTE_CURL_LIBRARY_H

/* Their type checks are macros over the linked functions. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/error.h"

struct curl_library {
	CURLcode (*global_init)(long flags);
	CURL *(*easy_init)(void);
	CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
	CURLcode (*easy_perform)(CURL *);
	CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
	const char *(*easy_strerror)(CURLcode);
	void (*easy_cleanup)(CURL *);
	struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
	void (*slist_free_all)(struct curl_slist *);
};

/* *ret_library lives as long as the process. */
CS_CHECKED enum cs_status curl_library_load(const struct curl_library **ret_library, struct cs_error *);

#endif
