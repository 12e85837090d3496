/* What is measured: a server of our own on a fresh directory, or the one a URL names.
 *
 * The server of our own is this very executable, started with `serve --port 0` in a process group of its own (so that
 * Ctrl-C at the terminal ends the bench, which then ends the server) and told by the kernel when the bench dies. It
 * gets the bench's settings and environment. Its directory (bench/scratch_dir.h) is removed with it, and holds its log.
 *
 * Threads: one. */
#ifndef CS_BENCH_TARGET_H
#define CS_BENCH_TARGET_H

#include <sys/types.h>

#include "bench/client.h"
#include "bench/request.h"
#include "bench/scratch_dir.h"

#define TARGET_HOST_MAX 300

struct target {
	struct client_address address;
	char host[TARGET_HOST_MAX]; /* the Host header: "127.0.0.1:8000" */
	pid_t pid;                  /* of the server of our own, else 0 */
	struct scratch_dir dir;     /* its directory */
};

/* Takes out of this process's environment what would make a store ask for keys or write to somebody's servers:
 * API_KEY_*, REDIS_URL, QDRANT_URL, NEO4J_URI. Before there are threads. */
void target_clean_environment(void);

/* Starts the server. `flags` are settings for it, `flag_count` words. Errors: CS_UNAVAILABLE with what it said. */
CS_CHECKED enum cs_status target_start(struct target *, char *const *flags, int flag_count, struct cs_error *);
/* Is this "http://HOST[:PORT]", with "/" or "/mcp" behind it or not? Asks nobody. Errors: CS_VALIDATION. */
CS_CHECKED enum cs_status target_check_url(struct slice url, struct cs_error *);
/* Such a URL; resolves the name. Errors: CS_VALIDATION, CS_UNAVAILABLE (no such host). */
CS_CHECKED enum cs_status target_resolve(struct target *, struct slice url, struct cs_error *);
/* Is a Context Store there, and does it let us in? Errors as client_ask, CS_ACCESS_DENIED. */
CS_CHECKED enum cs_status target_probe(const struct target *, const struct request_form *, struct cs_error *);
/* Ends the server of our own and removes its directory. */
void target_close(struct target *);

/* Did the server of our own end, or does it within patience_ns? Then `text` says how, and what its log said last. (A
 * process that is killed closes its sockets some moments before it has ended.) */
bool target_has_ended(struct target *, int64_t patience_ns, char *text, size_t size);
/* Resident memory in bytes: of our own server from /proc, of another one from the gauge process_resident_memory_bytes
 * of its /metrics. -1 where it cannot be known. */
int64_t target_memory(const struct target *, const struct request_form *);

#endif
