/* Checks in this order: Host and Origin (403, whatever the path), route (404), method (405), API key (401). So a page
 * of a foreign site learns nothing, not even which paths exist, and a client with a wrong method is told so before it
 * looks for its key.
 *
 * What comes over the Unix socket comes from a process of the same user: it needs neither Host nor key.
 *
 * Pages of a loopback or configured origin (the MCP Inspector, say) may read answers: CORS headers go to them only. */
#include "mcp/http.h"

#include "mcp/origin.h"

#define TOOLS_PREFIX "/tools/"

struct route {
	struct slice path; /* ends with '/': a prefix that needs something behind it */
	const char *allow;
	bool open; /* no key needed: tells nothing and touches no storage */
	void (*get)(const struct visit *);
	void (*post)(const struct visit *);
	void (*remove)(const struct visit *);
};

static const struct route routes[] = {
	{SLICE_INIT("/mcp"), "GET, POST, DELETE, OPTIONS", false, stream_open_session, post_message,
		stream_close_session},
	{SLICE_INIT("/health"), "GET, HEAD, OPTIONS", true, plain_health, NULL, NULL},
	{SLICE_INIT("/health/live"), "GET, HEAD, OPTIONS", true, plain_live, NULL, NULL},
	{SLICE_INIT("/health/ready"), "GET, HEAD, OPTIONS", false, plain_ready, NULL, NULL},
	{SLICE_INIT("/health/detailed"), "GET, HEAD, OPTIONS", false, plain_detailed, NULL, NULL},
	{SLICE_INIT("/tools"), "GET, HEAD, OPTIONS", false, plain_tools, NULL, NULL},
	{SLICE_INIT(TOOLS_PREFIX), "POST, OPTIONS", false, NULL, plain_call, NULL},
	{SLICE_INIT("/status"), "GET, HEAD, OPTIONS", false, plain_status, NULL, NULL},
	{SLICE_INIT("/metrics"), "GET, HEAD, OPTIONS", false, plain_metrics, NULL, NULL},
	{SLICE_INIT("/"), "GET, HEAD, OPTIONS", true, plain_root, NULL, NULL},
};

static const struct route *find_route(struct slice path)
{
	if (path.len > 1 && path.ptr[path.len - 1] == '/' && !slice_eq(path, S(TOOLS_PREFIX)))
		path.len--;
	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
		if (slice_eq(path, routes[i].path) && !slice_eq(path, S(TOOLS_PREFIX)))
			return &routes[i];
		else if (slice_eq(routes[i].path, S(TOOLS_PREFIX)) && slice_starts(path, routes[i].path) &&
			 path.len > routes[i].path.len)
			return &routes[i];
	return NULL;
}

void http_refuse(struct exchange *ex, int status, const char *text)
{
	struct json_writer w = json_writer(&ex->response.body);

	ex->response.status = status;
	ex->response.content_type = "application/json";
	buffer_clear(&ex->response.body);
	json_begin_object(&w);
	json_key_str(&w, "error", slice_cstr(text));
	json_end_object(&w);
	exchange_finish(ex);
}

void http_finish_empty(struct exchange *ex, int status)
{
	ex->response.status = status;
	ex->response.content_type = NULL;
	exchange_finish(ex);
}

/* NULL, or why the request is refused. */
static const char *check_site(const struct mcp *mcp, const struct exchange *ex, const struct request_headers *h)
{
	struct slice allowed = mcp->options.allowed_hosts;

	if (ex->local)
		return NULL;
	/* HTTP/1.0 may do without Host; browsers, which this is about, never do. */
	if (h->host.ptr && !origin_host_allowed(allowed, h->host))
		return "this Host is not allowed; name it in allowed-hosts if it is yours";
	if (h->origin.ptr && !origin_allowed(allowed, h->origin))
		return "this Origin is not allowed; name it in allowed-hosts if it is yours";
	return NULL;
}

static void allow_origin(struct exchange *ex, struct slice origin)
{
	struct buffer *out = &ex->response.headers;

	buffer_append(out, S("Access-Control-Allow-Origin: "));
	buffer_append(out, origin);
	buffer_append(out, S("\r\nVary: Origin\r\nAccess-Control-Expose-Headers: Mcp-Session-Id\r\n"));
}

static void answer_options(const struct visit *v, const struct route *route)
{
	struct exchange *ex = v->exchange;

	buffer_printf(&ex->response.headers, "Allow: %s\r\n", route->allow);
	if (v->headers.origin.ptr)
		buffer_printf(&ex->response.headers,
			"Access-Control-Allow-Methods: %s\r\n"
			"Access-Control-Allow-Headers: Accept, Authorization, Content-Type, Last-Event-ID, "
			"MCP-Protocol-Version, "
			"Mcp-Method, Mcp-Name, Mcp-Session-Id, X-API-Key\r\n"
			"Access-Control-Max-Age: 600\r\n",
			route->allow);
	http_finish_empty(ex, 204);
}

static void (*handler_of(const struct route *route, const struct exchange *ex))(const struct visit *)
{
	switch (ex->head->method) {
	case HTTP_GET: return route->get;
	/* A GET of /mcp is a stream without end, so a HEAD has no answer to leave the body out of. */
	case HTTP_HEAD: return route->remove ? NULL : route->get;
	case HTTP_POST: return route->post;
	case HTTP_DELETE: return route->remove;
	default: return NULL;
	}
}

static void refuse_method(struct exchange *ex, const struct route *route)
{
	buffer_printf(&ex->response.headers, "Allow: %s\r\n", route->allow);
	http_refuse(ex, 405, "this path does not have this method; the Allow header names those it has");
}

static void refuse_key(const struct visit *v)
{
	struct exchange *ex = v->exchange;

	buffer_append(&ex->response.headers, S("WWW-Authenticate: Bearer realm=\"context-store\"\r\n"));
	http_refuse(ex, 401, "a valid API key is needed, as X-API-Key or Authorization: Bearer");
}

/* RFC 9110 15.5.16: a coding that is not understood is said to be that, and not read as broken JSON. */
static void refuse_coding(struct exchange *ex)
{
	buffer_append(&ex->response.headers, S("Accept-Encoding: identity\r\n"));
	http_refuse(ex, 415, "the body must come as it is: no Content-Encoding is understood");
}

void http_request(void *self, struct exchange *ex)
{
	struct visit v = {.mcp = self, .exchange = ex, .principal = &principal_anonymous};
	const struct route *route;
	void (*handler)(const struct visit *);
	const char *reason;

	headers_gather(ex->head, &v.headers);
	reason = check_site(v.mcp, ex, &v.headers);
	if (reason) {
		http_refuse(ex, 403, reason);
		return;
	}
	if (v.headers.origin.ptr)
		allow_origin(ex, v.headers.origin);
	route = find_route(ex->head->path);
	if (!route) {
		http_refuse(ex, 404,
			"no such path; there are /mcp, /tools, /tools/{name}, /health, /health/live, /health/ready, "
			"/health/detailed, /status, /metrics");
		return;
	}
	if (ex->head->method == HTTP_OPTIONS) {
		answer_options(&v, route);
		return;
	}
	handler = handler_of(route, ex);
	if (!handler) {
		refuse_method(ex, route);
		return;
	}
	if (!ex->local && !route->open) {
		v.principal = auth_check(v.mcp->auth, v.headers.api_key, v.headers.authorization);
		if (!v.principal) {
			refuse_key(&v);
			return;
		}
	}
	/* POST /mcp says it in JSON-RPC's terms. */
	if (v.headers.repeated && handler != post_message) {
		http_refuse(ex, 400, "a header that must stand once stands more than once");
		return;
	}
	if (ex->body.len > 0 && !headers_body_is_plain(&v.headers)) {
		refuse_coding(ex);
		return;
	}
	handler(&v);
}
