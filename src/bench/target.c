/* The server's log goes to a file of its directory: a pipe would have to be drained by somebody, and the file still
 * says at the end why the server died. Where it listens is read from that log. */
#include "bench/target.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/version.h"

#define START_NS   INT64_C(60000000000)
#define STOP_NS    INT64_C(15000000000)
#define PROBE_NS   INT64_C(10000000000)
#define POLL_NS    2000000
#define LOG_MAX    4096
#define LOG_NAME   "bench-server.log"
#define GAUGE_NAME "process_resident_memory_bytes"

extern char **environ;

/* The end of the server's log. */
static void read_log(const struct target *t, char text[LOG_MAX])
{
	char path[PATH_MAX + sizeof LOG_NAME];
	ssize_t n = 0;
	off_t size;
	int fd;

	snprintf(path, sizeof path, "%s/" LOG_NAME, t->dir.path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		size = lseek(fd, 0, SEEK_END);
		n = pread(fd, text, LOG_MAX - 1, size > LOG_MAX - 1 ? size - (LOG_MAX - 1) : 0);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
}

void target_clean_environment(void)
{
	static const char *const others[] = {"REDIS_URL", "QDRANT_URL", "NEO4J_URI"};

	for (char **entry = environ; *entry;) {
		char name[128];

		snprintf(name, sizeof name, "%.*s", (int)strcspn(*entry, "="), *entry);
		if (strncmp(name, "API_KEY_", 8) == 0 && unsetenv(name) == 0)
			entry = environ;
		else
			entry++;
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		(void)unsetenv(others[i]);
}

__attribute__((noreturn)) static void become_server(const struct target *t, char **words)
{
	char path[PATH_MAX + sizeof LOG_NAME];
	int log, none = open("/dev/null", O_RDWR | O_CLOEXEC);

	snprintf(path, sizeof path, "%s/" LOG_NAME, t->dir.path);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	if (log < 0 || none < 0 || dup2(none, STDIN_FILENO) < 0 || dup2(none, STDOUT_FILENO) < 0 ||
		dup2(log, STDERR_FILENO) < 0)
		_exit(127);
	execv("/proc/self/exe", words);
	_exit(127);
}

static enum cs_status await_server(struct target *t, unsigned *ret_port, struct cs_error *err)
{
	const struct timespec pause = {0, POLL_NS};
	int64_t until_ns = clock_mono_ns() + START_NS;
	char text[LOG_MAX], why[CS_ERROR_TEXT_MAX];
	const char *url;

	for (;;) {
		read_log(t, text);
		url = strstr(text, "http://127.0.0.1:");
		if (url && strchr(url, '\n') && sscanf(url, "http://127.0.0.1:%u/mcp", ret_port) == 1)
			return CS_OK;
		if (target_has_ended(t, 0, why, sizeof why))
			return cs_fail(err, CS_UNAVAILABLE, "the server to be measured did not start: %.400s", why);
		if (clock_mono_ns() > until_ns)
			return cs_fail(err, CS_UNAVAILABLE,
				"the server to be measured does not say where it listens: %.300s", text);
		nanosleep(&pause, NULL);
	}
}

enum cs_status target_start(struct target *t, char *const *flags, int flag_count, struct cs_error *err)
{
	static char name[] = CS_NAME, serve[] = "serve", data_dir[] = "--data-dir", host[] = "--host",
		    loopback[] = "127.0.0.1", port_flag[] = "--port", zero[] = "0";
	char *const ours[] = {data_dir, t->dir.path, host, loopback, port_flag, zero};
	char **words, url[64];
	unsigned port = 0;
	enum cs_status status;
	int n = 0;

	status = scratch_dir_make(&t->dir, err);
	if (status != CS_OK)
		return status;
	words = calloc((size_t)flag_count + 9, sizeof *words);
	if (!words)
		return cs_fail_memory(err);
	words[n++] = name;
	words[n++] = serve;
	for (int i = 0; i < flag_count; i++)
		words[n++] = flags[i];
	/* The last word of a flag counts. */
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		words[n++] = ours[i];
	t->pid = fork();
	if (t->pid == 0)
		become_server(t, words);
	free(words);
	if (t->pid < 0) {
		t->pid = 0;
		return cs_fail(err, CS_UNAVAILABLE, "cannot start a process: %s", strerror(errno));
	}
	status = await_server(t, &port, err);
	snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
	return status == CS_OK ? target_resolve(t, slice_cstr(url), err) : status;
}

static enum cs_status fail_url(struct slice url, struct cs_error *err)
{
	int shown = url.len < 100 ? (int)url.len : 100;

	if (slice_starts(url, S("https://")))
		return cs_fail(err, CS_VALIDATION,
			"--url %.*s: bench does not speak TLS; name the server's own http port, behind what ends TLS",
			shown, url.ptr);
	return cs_fail(
		err, CS_VALIDATION, "--url %.*s: http://HOST:PORT is needed, as http://127.0.0.1:8000", shown, url.ptr);
}

/* The first of a name's addresses where somebody listens: localhost is ::1 first, and most servers are on 127.0.0.1.
 * The first of all where nobody does: whoever connects will say so. */
static void choose_address(struct target *t, const struct addrinfo *found)
{
	struct client_address first;

	for (const struct addrinfo *a = found; a; a = a->ai_next) {
		int fd;

		memcpy(&t->address.address, a->ai_addr, a->ai_addrlen);
		t->address.length = a->ai_addrlen;
		if (a == found)
			first = t->address;
		if (client_connect(&t->address, PROBE_NS, &fd, NULL) == CS_OK) {
			close(fd);
			return;
		}
	}
	t->address = first;
}

struct place {
	struct slice authority; /* "127.0.0.1:8000", as the Host header has it */
	char host[256], port[8];
};

static bool is_host(struct slice host)
{
	bool good = host.len > 0 && host.len < sizeof((struct place *)0)->host;

	for (size_t i = 0; good && i < host.len; i++)
		good = host.ptr[i] > ' ' && host.ptr[i] <= '~' && !strchr("@/?#", host.ptr[i]);
	return good;
}

static enum cs_status parse_url(struct slice url, struct place *ret_place, struct cs_error *err)
{
	struct slice rest = slice_from(url, strlen("http://")), host, port = S("80");
	struct place place = {0};
	uint64_t number;

	if (!slice_starts(url, S("http://")))
		return fail_url(url, err);
	host = slice_cut(&rest, '/');
	place.authority = host;
	if (rest.len > 0 && !slice_eq(rest, S("mcp")) && !slice_eq(rest, S("mcp/")))
		return fail_url(url, err);
	if (host.len > 0 && host.ptr[0] == '[') {
		size_t end = slice_find_byte(host, ']');

		if (end == host.len || (end + 1 < host.len && host.ptr[end + 1] != ':'))
			return fail_url(url, err);
		port = end + 1 < host.len ? slice_from(host, end + 2) : port;
		host = slice_of(host.ptr + 1, end - 1);
	} else if (slice_find_byte(host, ':') < host.len) {
		port = host;
		host = slice_cut(&port, ':');
	}
	if (!is_host(host) || !slice_to_u64(port, &number) || number < 1 || number > 65535)
		return fail_url(url, err);
	snprintf(place.host, sizeof place.host, SLICE_FMT, SLICE_ARG(host));
	snprintf(place.port, sizeof place.port, "%u", (unsigned)number);
	*ret_place = place;
	return CS_OK;
}

enum cs_status target_check_url(struct slice url, struct cs_error *err)
{
	struct place place;

	return parse_url(url, &place, err);
}

enum cs_status target_resolve(struct target *t, struct slice url, struct cs_error *err)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found;
	struct place place;
	enum cs_status status = parse_url(url, &place, err);
	int failed;

	if (status != CS_OK)
		return status;
	snprintf(t->host, sizeof t->host, SLICE_FMT, SLICE_ARG(place.authority));
	failed = getaddrinfo(place.host, place.port, &hints, &found);
	if (failed)
		return cs_fail(err, CS_UNAVAILABLE, "no host %.200s: %s", place.host, gai_strerror(failed));
	choose_address(t, found);
	freeaddrinfo(found);
	return CS_OK;
}

static enum cs_status get(const struct target *t, const struct request_form *form, const char *path, char **ret_reply,
	bool *ret_good, struct cs_error *err)
{
	struct buffer request;
	enum cs_status status;
	size_t length;

	buffer_init(&request, 64u << 10);
	request_write_get(&request, form, path);
	status = buffer_status(&request, err);
	if (status == CS_OK)
		status = client_ask(
			&t->address, buffer_slice(&request), PROBE_NS, frame_http, ret_reply, &length, ret_good, err);
	buffer_release(&request);
	return status;
}

enum cs_status target_probe(const struct target *t, const struct request_form *form, struct cs_error *err)
{
	struct cs_error why;
	char *reply = NULL;
	bool good = false;
	enum cs_status status = get(t, form, "/tools", &reply, &good, &why);
	bool refused, ours;

	if (status != CS_OK)
		return cs_fail(err, status, "http://%.200s: %.250s", t->host, why.text);
	refused = strncmp(reply + 9, "401", 3) == 0 || strncmp(reply + 9, "403", 3) == 0;
	ours = good && strstr(reply, "retrieve_context");
	free(reply);
	if (refused)
		return cs_fail(
			err, CS_ACCESS_DENIED, "http://%.200s refuses this key; give one with --api-key", t->host);
	if (!ours)
		return cs_fail(err, CS_VALIDATION,
			"http://%.200s is an HTTP server, but no Context Store: GET /tools lists none", t->host);
	return CS_OK;
}

void target_close(struct target *t)
{
	const struct timespec pause = {0, POLL_NS};
	int64_t until_ns = clock_mono_ns() + STOP_NS;

	if (t->pid > 0) {
		(void)kill(t->pid, SIGTERM);
		while (waitpid(t->pid, NULL, WNOHANG) == 0) {
			if (clock_mono_ns() > until_ns)
				(void)kill(t->pid, SIGKILL);
			nanosleep(&pause, NULL);
		}
	}
	scratch_dir_remove(&t->dir);
	t->pid = 0;
}

bool target_has_ended(struct target *t, int64_t patience_ns, char *text, size_t size)
{
	const struct timespec pause = {0, POLL_NS};
	int64_t until_ns = clock_mono_ns() + patience_ns;
	char log[LOG_MAX];
	size_t last, length;
	int how;

	if (t->pid <= 0)
		return false;
	while (waitpid(t->pid, &how, WNOHANG) != t->pid) {
		if (clock_mono_ns() >= until_ns)
			return false;
		nanosleep(&pause, NULL);
	}
	t->pid = 0;
	read_log(t, log);
	for (length = strlen(log); length > 0 && log[length - 1] == '\n'; length--)
		log[length - 1] = '\0';
	for (last = length; last > 0 && log[last - 1] != '\n'; last--)
		;
	if (WIFSIGNALED(how))
		snprintf(text, size, "it was ended by signal %d (%s); its log ends with: %s", WTERMSIG(how),
			strsignal(WTERMSIG(how)), log + last);
	else
		snprintf(text, size, "it ended with exit code %d; its log ends with: %s", WEXITSTATUS(how), log + last);
	return true;
}

static int64_t memory_of_process(pid_t pid)
{
	char path[64];
	long long pages = -1;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (fscanf(file, "%*s %lld", &pages) != 1)
		pages = -1;
	fclose(file);
	return pages < 0 ? -1 : pages * sysconf(_SC_PAGESIZE);
}

int64_t target_memory(const struct target *t, const struct request_form *form)
{
	char *reply = NULL, *line;
	bool good;
	double bytes = -1;

	if (t->pid > 0)
		return memory_of_process(t->pid);
	if (get(t, form, "/metrics", &reply, &good, NULL) != CS_OK)
		return -1;
	line = good ? strstr(reply, "\n" GAUGE_NAME " ") : NULL;
	if (line)
		bytes = strtod(line + sizeof GAUGE_NAME + 1, NULL);
	free(reply);
	return bytes > 0 ? (int64_t)bytes : -1;
}
