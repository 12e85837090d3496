/* The remote embedder: requests in batches, each tried some times, over a pool of connections.
 *
 * One easy handle a connection and blocking calls, as ports are synchronous: curl's multi interface would need a thread
 * or a loop of its own to wait for what a worker waits for anyway. A handle keeps its connection alive between uses. */
#include "remote/embed_http.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/utf8.h"
#include "base/version.h"
#include "base/wait.h"
#include "remote/curl_library.h"
#include "remote/embed_reply.h"

#define REQUEST_MAX     (256u << 20)
#define BATCH_BYTES_MAX (1u << 20) /* of texts in one request, unless one alone has more */
#define SLICE_MS        50         /* how soon a pause notices that nobody waits any more */
#define CONNECTIONS_MAX 64

struct embed_http {
	struct arena arena;
	char *url; /* of the endpoint, as it is called */
	struct slice shown, model, key, hash;
	uint32_t dimensions;
	unsigned batch, connections_max;
	_Atomic uint32_t dimension; /* pinned by the first answer; 0: none yet */
	_Atomic int64_t rest_until_ns;
	pthread_mutex_t lock;
	pthread_cond_t returned;
	CURL *idle[CONNECTIONS_MAX];
	unsigned idle_count, in_use;
	struct curl_slist *headers;
	const struct curl_library *curl;      /* NULL until the first call */
	char last_failure[CS_ERROR_TEXT_MAX]; /* why it rests; under the lock */
};

/* One request on its way. */
struct transfer {
	struct embed_http *remote;
	const struct op *op;
	CURL *handle;
	struct buffer reply;
	long http;
	int64_t retry_after_s;
	bool again;  /* another attempt may help */
	bool silent; /* no answer at all */
	char detail[CURL_ERROR_SIZE];
};

/* The URL without what is nobody's business: "user:password@" and everything from '?' or '#' on. */
static struct slice shown_url(struct arena *arena, struct slice url)
{
	struct slice rest = url, scheme = slice_of(url.ptr, 0);
	const char *end, *at;

	end = memmem(url.ptr, url.len, "://", 3);
	if (end) {
		scheme = slice_of(url.ptr, (size_t)(end - url.ptr) + 3);
		rest = slice_from(url, scheme.len);
	}
	rest.len = slice_find_byte(slice_of(rest.ptr, slice_find_byte(rest, '#')), '?');
	at = memrchr(rest.ptr, '@', slice_find_byte(rest, '/'));
	if (at)
		rest = slice_from(rest, (size_t)(at - rest.ptr) + 1);
	return arena_printf(arena, SLICE_FMT SLICE_FMT, SLICE_ARG(scheme), SLICE_ARG(rest));
}

/* The endpoint that this base URL means; NULL without memory. */
static char *endpoint(struct arena *arena, struct slice url)
{
	static const struct slice end = SLICE_INIT("/embeddings");
	struct slice host, made;
	const char *more = "/embeddings";

	if (memchr(url.ptr, '?', url.len))
		return arena_cstr(arena, url);
	while (url.len > 0 && url.ptr[url.len - 1] == '/')
		url.len--;
	if (url.len >= end.len && memcmp(url.ptr + url.len - end.len, end.ptr, end.len) == 0)
		more = "";
	host = slice_from(url, slice_starts(url, S("https://")) ? 8 : 7);
	if (slice_find_byte(host, '/') == host.len)
		more = "/v1/embeddings";
	made = arena_printf(arena, SLICE_FMT "%s", SLICE_ARG(url), more);
	return made.ptr ? arena_cstr(arena, made) : NULL;
}

static enum cs_status copy_options(
	struct embed_http *remote, const struct embed_http_options *options, struct cs_error *err)
{
	struct slice url = slice_trim(options->url);
	bool web = slice_starts(url, S("http://")) || slice_starts(url, S("https://"));

	if (!web || memchr(url.ptr, ' ', url.len) || memchr(url.ptr, '\0', url.len))
		return cs_fail(err, CS_VALIDATION,
			"embedding-url must begin with http:// or https:// and hold no spaces, as "
			"http://127.0.0.1:11434/v1 does");
	remote->url = endpoint(&remote->arena, url);
	remote->shown = remote->url ? shown_url(&remote->arena, slice_cstr(remote->url)) : url;
	remote->model = arena_copy(&remote->arena, options->model);
	remote->key = slice_of(arena_cstr(&remote->arena, options->key), options->key.len);
	remote->hash = arena_printf(
		&remote->arena, SLICE_FMT " " SLICE_FMT, SLICE_ARG(remote->shown), SLICE_ARG(options->model));
	if (!remote->url || !remote->shown.ptr || !remote->model.ptr || !remote->key.ptr || !remote->hash.ptr)
		return cs_fail_memory(err);
	remote->dimensions = options->dimensions;
	atomic_init(&remote->dimension, options->dimensions);
	remote->batch = options->batch < 1 ? 1 : options->batch;
	if (remote->batch > EMBED_HTTP_BATCH_MAX)
		remote->batch = EMBED_HTTP_BATCH_MAX;
	remote->connections_max = options->connections_max < 1 ? 1 : options->connections_max;
	if (remote->connections_max > CONNECTIONS_MAX)
		remote->connections_max = CONNECTIONS_MAX;
	return CS_OK;
}

enum cs_status embed_http_new(
	const struct embed_http_options *options, struct embed_http **ret_remote, struct cs_error *err)
{
	struct embed_http *remote = calloc(1, sizeof *remote);
	enum cs_status status;

	if (!remote)
		return cs_fail_memory(err);
	arena_init(&remote->arena, NULL, 0, 1u << 20);
	status = copy_options(remote, options, err);
	if (status != CS_OK) {
		arena_release(&remote->arena);
		free(remote);
		return status;
	}
	pthread_mutex_init(&remote->lock, NULL);
	wait_cond_init(&remote->returned);
	*ret_remote = remote;
	return CS_OK;
}

void embed_http_free(struct embed_http *remote)
{
	if (!remote)
		return;
	for (unsigned i = 0; i < remote->idle_count; i++)
		remote->curl->easy_cleanup(remote->idle[i]);
	if (remote->curl)
		remote->curl->slist_free_all(remote->headers);
	pthread_cond_destroy(&remote->returned);
	pthread_mutex_destroy(&remote->lock);
	if (remote->key.len > 0)
		explicit_bzero((void *)(uintptr_t)remote->key.ptr, remote->key.len);
	arena_release(&remote->arena);
	free(remote);
}

struct slice embed_http_shown(const struct embed_http *remote)
{
	return remote->shown;
}

/* Appends to the list of headers, or frees it and gives NULL. */
static bool add_header(const struct curl_library *curl, struct curl_slist **headers, const char *line)
{
	struct curl_slist *longer = curl->slist_append(*headers, line);

	if (!longer)
		return false;
	*headers = longer;
	return true;
}

/* Under the lock: the library and the headers each request has. */
static enum cs_status set_up(struct embed_http *remote, struct cs_error *err)
{
	const struct curl_library *curl;
	struct cs_error why;
	struct slice bearer = {0};
	bool made;

	if (remote->curl)
		return CS_OK;
	if (curl_library_load(&curl, &why) != CS_OK)
		return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "no HTTP client for embeddings: %s", why.text);
	if (remote->key.len > 0) {
		bearer = arena_printf(&remote->arena, "Authorization: Bearer " SLICE_FMT, SLICE_ARG(remote->key));
		if (!bearer.ptr)
			return cs_fail_memory(err);
	}
	/* An empty Expect: bodies over a kilobyte go out without asking first, which costs a round trip and which some
	 * servers never answer. */
	made = add_header(curl, &remote->headers, "Content-Type: application/json") &&
	       add_header(curl, &remote->headers, "Accept: application/json") &&
	       add_header(curl, &remote->headers, "Expect:") &&
	       (!bearer.ptr || add_header(curl, &remote->headers, arena_cstr(&remote->arena, bearer)));
	if (!made) {
		curl->slist_free_all(remote->headers);
		remote->headers = NULL;
		return cs_fail_memory(err);
	}
	remote->curl = curl;
	return CS_OK;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *self)
{
	struct transfer *t = self;

	buffer_append(&t->reply, slice_of(bytes, size * count));
	return t->reply.failed ? 0 : size * count;
}

/* Anything but 0 ends the transfer. */
static int on_progress(void *self, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct transfer *t = self;

	return op_check(t->op, NULL) != CS_OK;
}

static void set_constants(struct embed_http *remote, CURL *handle)
{
	const struct curl_library *curl = remote->curl;

	curl->easy_setopt(handle, CURLOPT_URL, remote->url);
	curl->easy_setopt(handle, CURLOPT_HTTPHEADER, remote->headers);
	curl->easy_setopt(handle, CURLOPT_POST, 1L);
	curl->easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
	curl->easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
	curl->easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
	curl->easy_setopt(handle, CURLOPT_ACCEPT_ENCODING, "");
	curl->easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
	curl->easy_setopt(handle, CURLOPT_USERAGENT, CS_NAME "/" CS_VERSION);
	curl->easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
	curl->easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl->easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)EMBED_HTTP_CONNECT_MS);
}

/* A handle of the pool, a new one, or a wait until one comes back. */
static enum cs_status take_handle(
	struct embed_http *remote, const struct op *op, CURL **ret_handle, struct cs_error *err)
{
	enum cs_status status;
	CURL *handle = NULL;

	pthread_mutex_lock(&remote->lock);
	status = set_up(remote, err);
	while (status == CS_OK && remote->in_use >= remote->connections_max) {
		(void)wait_for(&remote->returned, &remote->lock, SLICE_MS * INT64_C(1000000));
		status = op_check(op, err);
	}
	if (status == CS_OK && remote->idle_count > 0)
		handle = remote->idle[--remote->idle_count];
	if (status == CS_OK && !handle) {
		handle = remote->curl->easy_init();
		if (handle)
			set_constants(remote, handle);
		else
			status = cs_fail_memory(err);
	}
	remote->in_use += status == CS_OK;
	pthread_mutex_unlock(&remote->lock);
	if (status == CS_OK)
		*ret_handle = handle;
	return status;
}

static void give_back(struct embed_http *remote, CURL *handle)
{
	pthread_mutex_lock(&remote->lock);
	remote->idle[remote->idle_count++] = handle;
	remote->in_use--;
	pthread_cond_signal(&remote->returned);
	pthread_mutex_unlock(&remote->lock);
}

/* Milliseconds left to the op, at most `most`; at least 1. */
static int64_t left_ms(const struct op *op, int64_t most)
{
	int64_t left;

	if (op->deadline_ns == OP_NO_DEADLINE)
		return most;
	left = (op->deadline_ns - clock_mono_ns()) / 1000000;
	return left < 1 ? 1 : left < most ? left : most;
}

/* A transfer that ended without a reply. */
static enum cs_status fail_transfer(struct transfer *t, CURLcode code, int64_t allowed_ms, struct cs_error *err)
{
	const struct embed_http *remote = t->remote;
	const char *why = *t->detail ? t->detail : remote->curl->easy_strerror(code);

	if (t->reply.failed)
		return cs_fail(err, CS_EMBEDDING_UNAVAILABLE,
			SLICE_FMT " answered with more than %u bytes; is the URL right?", SLICE_ARG(remote->shown),
			EMBED_HTTP_REPLY_MAX);
	if (t->op->cancelled && atomic_load_explicit(t->op->cancelled, memory_order_relaxed))
		return op_check(t->op, err);
	t->silent = true;
	if (code == CURLE_OPERATION_TIMEDOUT || code == CURLE_ABORTED_BY_CALLBACK)
		return cs_fail(err, CS_EMBEDDING_UNAVAILABLE,
			"the embedding server " SLICE_FMT " did not answer within %lld ms; is it running, and is it "
			"fast enough for --embedding-batch?",
			SLICE_ARG(remote->shown), (long long)allowed_ms);
	/* What may be gone at the next attempt; a name that is wrong or a certificate is not. */
	t->again = code == CURLE_COULDNT_CONNECT || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR ||
		   code == CURLE_GOT_NOTHING || code == CURLE_PARTIAL_FILE || code == CURLE_HTTP2 ||
		   code == CURLE_HTTP2_STREAM;
	return cs_fail(err, CS_EMBEDDING_UNAVAILABLE,
		"the embedding server " SLICE_FMT " cannot be reached: %s; see --embedding-url",
		SLICE_ARG(remote->shown), why);
}

/* How servers say that a text is too long for their model: OpenAI's way, that of others, and TEI's. Who asks for many
 * texts asks for each alone then; a server that refuses every text is found out when its model is asked for. */
static bool is_about_the_text(long http)
{
	return http == 400 || http == 413 || http == 422;
}

/* A reply whose status is not 200. */
static enum cs_status fail_reply(struct transfer *t, struct cs_error *err)
{
	const struct embed_http *remote = t->remote;
	const char *advice = "";
	char reason[256];

	embed_reply_reason(buffer_slice(&t->reply), remote->key, reason, sizeof reason);
	t->again = t->http == 408 || t->http == 429 || t->http >= 500;
	if (t->http == 401 || t->http == 403)
		advice = "; is CONTEXT_STORE_EMBEDDING_API_KEY right?";
	else if (t->http == 404)
		advice = "; are --embedding-url and --embedding-model right?";
	else if (t->http >= 300 && t->http < 400)
		advice = "; it points elsewhere, which is not followed: name the right --embedding-url";
	return cs_fail(err, is_about_the_text(t->http) ? CS_VALIDATION : CS_EMBEDDING_UNAVAILABLE,
		"the embedding server " SLICE_FMT " answered with HTTP status %ld%s%s%s", SLICE_ARG(remote->shown),
		t->http, *reason ? ": " : "", reason, advice);
}

/* One attempt: the reply is in t->reply. */
static enum cs_status perform(struct transfer *t, struct slice body, int64_t total_ms, struct cs_error *err)
{
	const struct curl_library *curl = t->remote->curl;
	int64_t allowed_ms = left_ms(t->op, total_ms);
	curl_off_t wait = 0;
	CURLcode code;

	buffer_clear(&t->reply);
	*t->detail = '\0';
	t->again = t->silent = false;
	t->retry_after_s = 0;
	curl->easy_setopt(t->handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
	curl->easy_setopt(t->handle, CURLOPT_POSTFIELDS, body.ptr);
	curl->easy_setopt(t->handle, CURLOPT_TIMEOUT_MS, (long)allowed_ms);
	curl->easy_setopt(t->handle, CURLOPT_WRITEDATA, t);
	curl->easy_setopt(t->handle, CURLOPT_XFERINFODATA, t);
	curl->easy_setopt(t->handle, CURLOPT_ERRORBUFFER, t->detail);
	code = curl->easy_perform(t->handle);
	/* The handle outlives this frame. */
	curl->easy_setopt(t->handle, CURLOPT_ERRORBUFFER, NULL);
	if (code != CURLE_OK)
		return fail_transfer(t, code, allowed_ms, err);
	curl->easy_getinfo(t->handle, CURLINFO_RESPONSE_CODE, &t->http);
	if (t->http == 200)
		return CS_OK;
	if (curl->easy_getinfo(t->handle, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK)
		t->retry_after_s = wait;
	return fail_reply(t, err);
}

static int64_t random_below(int64_t bound)
{
	uint64_t bits;

	if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != sizeof bits)
		bits = (uint64_t)clock_mono_ns();
	return (int64_t)(bits % (uint64_t)bound);
}

/* The pause before the next attempt; false when the op has no time for it or nobody waits any more. */
static bool pause_before(const struct transfer *t, int attempt)
{
	int64_t bound = (int64_t)EMBED_HTTP_PAUSE_MS << attempt;
	int64_t pause_ms = 1 + random_below(bound < EMBED_HTTP_PAUSE_MAX ? bound : EMBED_HTTP_PAUSE_MAX);
	const struct timespec piece = {0, SLICE_MS * 1000000};
	int64_t until;

	/* A server that wants to be left alone for longer than a call may take is told on. */
	if (t->retry_after_s > EMBED_HTTP_TOTAL_MS / 1000)
		return false;
	if (pause_ms < t->retry_after_s * 1000)
		pause_ms = t->retry_after_s * 1000;
	if (left_ms(t->op, INT64_MAX / 2) <= pause_ms)
		return false;
	until = clock_mono_ns() + pause_ms * 1000000;
	while (clock_mono_ns() < until) {
		nanosleep(&piece, NULL);
		if (op_check(t->op, NULL) != CS_OK)
			return false;
	}
	return true;
}

/* A server that says nothing is left alone for a while; one that answers, whatever it says, is not. */
static void remember(struct embed_http *remote, bool silent, const struct cs_error *err)
{
	if (!silent) {
		atomic_store_explicit(&remote->rest_until_ns, 0, memory_order_relaxed);
		return;
	}
	pthread_mutex_lock(&remote->lock);
	memcpy(remote->last_failure, err->text, sizeof remote->last_failure);
	atomic_store_explicit(
		&remote->rest_until_ns, clock_mono_ns() + EMBED_HTTP_REST_MS * INT64_C(1000000), memory_order_relaxed);
	pthread_mutex_unlock(&remote->lock);
}

static enum cs_status check_rest(struct embed_http *remote, struct cs_error *err)
{
	char text[CS_ERROR_TEXT_MAX];

	if (clock_mono_ns() >= atomic_load_explicit(&remote->rest_until_ns, memory_order_relaxed))
		return CS_OK;
	pthread_mutex_lock(&remote->lock);
	memcpy(text, remote->last_failure, sizeof text);
	pthread_mutex_unlock(&remote->lock);
	return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "%s", text);
}

/* One batch, with all its attempts. */
static enum cs_status request(struct embed_http *remote, struct op *op, enum embed_kind kind, struct slice body,
	size_t count, struct embed_reply *ret_reply, struct cs_error *err)
{
	struct transfer t = {.remote = remote, .op = op};
	int64_t total_ms = kind == EMBED_QUERY ? EMBED_HTTP_QUERY_MS : EMBED_HTTP_TOTAL_MS;
	struct cs_error why = {.status = CS_OK};
	enum cs_status status = check_rest(remote, err);

	if (status == CS_OK)
		status = take_handle(remote, op, &t.handle, err);
	if (status != CS_OK)
		return status;
	buffer_init(&t.reply, EMBED_HTTP_REPLY_MAX);
	for (int attempt = 0;; attempt++) {
		status = perform(&t, body, total_ms, &why);
		if (status == CS_OK || !t.again || attempt == EMBED_HTTP_RETRIES || !pause_before(&t, attempt))
			break;
	}
	if (status != CS_TIMEOUT)
		remember(remote, t.silent, &why);
	give_back(remote, t.handle);
	if (status == CS_OK) {
		status = embed_reply_parse(op->arena, buffer_slice(&t.reply), count,
			atomic_load_explicit(&remote->dimension, memory_order_relaxed), ret_reply, &why);
		if (status == CS_EMBEDDING_UNAVAILABLE)
			status = cs_fail(err, status, "the embedding server " SLICE_FMT " cannot be used: %.380s",
				SLICE_ARG(remote->shown), why.text);
		else if (status != CS_OK && err)
			*err = why;
	} else if (err) {
		*err = why;
	}
	buffer_release(&t.reply);
	return status;
}

/* The first answer pins the dimension; of two first ones that differ the second is refused. */
static enum cs_status pin(struct embed_http *remote, uint32_t dimension, struct cs_error *err)
{
	uint32_t none = 0;

	if (atomic_compare_exchange_strong(&remote->dimension, &none, dimension) || none == dimension)
		return CS_OK;
	return cs_fail(err, CS_EMBEDDING_UNAVAILABLE,
		"the embedding server " SLICE_FMT " answered with vectors of %u numbers, and of %u before",
		SLICE_ARG(remote->shown), dimension, none);
}

/* How many of the texts go into one request. */
static size_t batch_size(const struct embed_http *remote, const struct slice *texts, size_t count)
{
	size_t size = 1, bytes = texts[0].len;

	while (size < count && size < remote->batch && bytes + texts[size].len <= BATCH_BYTES_MAX)
		bytes += texts[size++].len;
	return size;
}

static enum cs_status embed_batch(struct embed_http *remote, struct op *op, enum embed_kind kind,
	const struct slice *texts, size_t count, struct embedding *embeddings, struct cs_error *err)
{
	struct embed_reply reply;
	struct buffer body;
	enum cs_status status;

	buffer_init(&body, REQUEST_MAX);
	embed_request_write(&body, remote->model, remote->dimensions, texts, count);
	status = buffer_status(&body, err);
	if (status == CS_OK)
		status = request(remote, op, kind, buffer_slice(&body), count, &reply, err);
	if (status == CS_OK)
		status = pin(remote, reply.dimension, err);
	for (size_t i = 0; status == CS_OK && i < count; i++)
		embeddings[i] = (struct embedding){
			.vector = reply.vectors + i * reply.dimension,
			.tokens = count == 1 ? (uint32_t)reply.tokens : 0,
		};
	buffer_release(&body);
	return status;
}

static enum cs_status remote_embed(void *self, struct op *op, enum embed_kind kind, const struct slice *texts,
	size_t count, struct embedding *ret_embeddings, struct cs_error *err)
{
	struct embed_http *remote = self;
	struct embedding *made;
	enum cs_status status = op_check(op, err);

	if (status == CS_OK && !op->may_wait)
		return cs_fail(err, CS_WOULD_WAIT, "embeddings come from a server");
	for (size_t i = 0; i < count && status == CS_OK; i++)
		if (utf8_length(texts[i]) < 0)
			status = cs_fail(err, CS_VALIDATION, "text %zu is not valid UTF-8", i);
	if (status != CS_OK)
		return status;
	made = arena_array(op->arena, count, sizeof *made);
	if (!made)
		return cs_fail_memory(err);
	for (size_t done = 0; done < count && status == CS_OK;) {
		size_t size = batch_size(remote, texts + done, count - done);

		status = embed_batch(remote, op, kind, texts + done, size, made + done, err);
		done += size;
	}
	if (status == CS_OK && count > 0)
		memcpy(ret_embeddings, made, count * sizeof *made);
	return status;
}

static enum cs_status remote_model(void *self, struct op *op, struct embed_model *ret_model, struct cs_error *err)
{
	struct embed_http *remote = self;
	const struct slice probe = S("dimension");
	struct embedding ignored;
	enum cs_status status = CS_OK;

	/* Only an answer tells the dimension. */
	if (atomic_load_explicit(&remote->dimension, memory_order_relaxed) == 0)
		status = remote_embed(self, op, EMBED_QUERY, &probe, 1, &ignored, err);
	if (status == CS_OK)
		*ret_model = (struct embed_model){
			.id = remote->model,
			.hash = remote->hash,
			.dimension = atomic_load_explicit(&remote->dimension, memory_order_relaxed),
		};
	return status;
}

struct embed_port embed_http_port(struct embed_http *remote)
{
	return (struct embed_port){.self = remote, .model = remote_model, .embed = remote_embed};
}
