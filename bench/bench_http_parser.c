/* Parsing a request's head: ours against libhttp-parser, the same bytes, alternating rounds of one run.
 *
 * The library is loaded at run time, so that the program builds without it; where it is absent only our figure is
 * printed. Its callbacks for names and values are set and note position and length, which is the least a user of it
 * does. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/stats.h"
#include "support/process.h"

#if __has_include(<http_parser.h>)
#include <http_parser.h>
#define HAVE_LIBRARY 1
#else
#define HAVE_LIBRARY 0
#endif

#define http_method  ours_http_method
#define HTTP_DELETE  OURS_DELETE
#define HTTP_GET     OURS_GET
#define HTTP_HEAD    OURS_HEAD
#define HTTP_POST    OURS_POST
#define HTTP_PUT     OURS_PUT
#define HTTP_OPTIONS OURS_OPTIONS
#define HTTP_PATCH   OURS_PATCH
#include "net/http_parser.h"

#define ROUNDS 11
#define PASSES 100000

static const char request[] = "GET /tools/get_agent_state?agent_id=planner HTTP/1.1\r\n"
			      "Host: 127.0.0.1:8000\r\n"
			      "User-Agent: python-httpx/0.27.0\r\n"
			      "Accept: application/json, text/event-stream\r\n"
			      "Accept-Encoding: gzip, deflate, br\r\n"
			      "Connection: keep-alive\r\n"
			      "MCP-Protocol-Version: 2025-11-25\r\n"
			      "Mcp-Session-Id: 0f8fad5b-d9cb-469f-a165-70867728950e\r\n\r\n";

static double ours_ns(void)
{
	static struct http_head head;
	const struct http_limits limits = HTTP_LIMITS_DEFAULT;
	int64_t start = now_ns();
	for (int i = 0; i < PASSES; i++) {
		struct http_error error;
		size_t scanned = 0, length;
		if (http_parse_head(slice_of(request, sizeof(request) - 1), &limits, &scanned, &head, &length,
			    &error) != HTTP_DONE)
			die("the request was refused");
	}
	return (double)(now_ns() - start) / PASSES;
}

#if HAVE_LIBRARY
static struct slice notes[64];
static unsigned noted;

static int note(http_parser *p, const char *at, size_t len)
{
	notes[noted++ % 64] = slice_of(at, len);
	return 0;
}

static double library_ns(void *library)
{
	void (*init)(http_parser *, enum http_parser_type);
	size_t (*execute)(http_parser *, const http_parser_settings *, const char *, size_t);
	*(void **)&init = dlsym(library, "http_parser_init");
	*(void **)&execute = dlsym(library, "http_parser_execute");
	if (!init || !execute)
		die("the library lacks a function");
	const http_parser_settings settings = {.on_url = note, .on_header_field = note, .on_header_value = note};
	int64_t start = now_ns();
	for (int i = 0; i < PASSES; i++) {
		http_parser p;
		init(&p, HTTP_REQUEST);
		if (execute(&p, &settings, request, sizeof(request) - 1) != sizeof(request) - 1)
			die("the library refused the request");
	}
	return (double)(now_ns() - start) / PASSES;
}
#endif

int main(void)
{
	double ours[ROUNDS], theirs[ROUNDS], ratios[ROUNDS];
	void *library = NULL;
#if HAVE_LIBRARY
	library = dlopen("libhttp_parser.so", RTLD_NOW);
#endif
	for (int i = 0; i < ROUNDS; i++) {
		ours[i] = ours_ns();
#if HAVE_LIBRARY
		theirs[i] = library ? library_ns(library) : 0;
		ratios[i] = theirs[i] / ours[i];
#endif
	}
	struct spread s = stats_spread(ours, ROUNDS);
	printf("ours            %7.0f ns a head of %zu bytes (%.0f to %.0f)\n", s.median, sizeof(request) - 1, s.lowest,
		s.highest);
	if (!library) {
		printf("libhttp-parser is not installed: no baseline\n");
		return 0;
	}
	s = stats_spread(theirs, ROUNDS);
	printf("libhttp-parser  %7.0f ns (%.0f to %.0f)\n", s.median, s.lowest, s.highest);
	s = stats_spread(ratios, ROUNDS);
	printf("ours is faster  %7.2f times (%.2f to %.2f)\n", s.median, s.lowest, s.highest);
	return 0;
}
