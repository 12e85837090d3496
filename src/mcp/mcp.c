/* Making and freeing: the order in which the parts come and go, and nothing else. */
#include "mcp/mcp.h"

#include <assert.h>

#include "base/clock.h"
#include "mcp/http.h"
#include "mcp/state.h"

static enum cs_status copy_allowed_hosts(struct mcp *mcp, struct cs_error *err)
{
	struct slice *hosts = &mcp->options.allowed_hosts;
	char *copy = malloc(hosts->len + 1);

	if (!copy)
		return cs_fail_memory(err);
	if (hosts->len)
		memcpy(copy, hosts->ptr, hosts->len);
	mcp->allowed_hosts = copy;
	hosts->ptr = copy;
	return CS_OK;
}

enum cs_status mcp_new(const struct mcp_options *options, struct mcp **ret_mcp, struct cs_error *err)
{
	struct mcp *mcp = calloc(1, sizeof *mcp);
	enum cs_status status;

	if (!mcp)
		return cs_fail_memory(err);
	mcp->options = *options;
	mcp->options.environment = NULL;
	mcp->started_ns = clock_mono_ns();
	mcp->dispatcher.host = options->host;
	mcp->dispatcher.response_max = options->response_max;
	status = copy_allowed_hosts(mcp, err);
	if (status == CS_OK)
		status = auth_new(options->environment, &mcp->auth, err);
	if (status == CS_OK)
		status = sessions_new(options->sessions_max, &mcp->sessions, err);
	if (status == CS_OK)
		status = status_new(options->status_limits, options->cores, &mcp->status, err);
	if (status == CS_OK)
		status = catalogue_init(&mcp->dispatcher.catalogue, err);
	if (status) {
		mcp_free(mcp);
		return status;
	}
	*ret_mcp = mcp;
	return CS_OK;
}

void mcp_free(struct mcp *mcp)
{
	if (!mcp)
		return;
	assert(!mcp->channel);
	catalogue_release(&mcp->dispatcher.catalogue);
	status_free(mcp->status);
	sessions_free(mcp->sessions);
	auth_free(mcp->auth);
	free(mcp->allowed_hosts);
	free(mcp);
}

bool mcp_keys_configured(const struct mcp *mcp)
{
	return auth_configured(mcp->auth);
}

struct server_handler mcp_http(struct mcp *mcp)
{
	return (struct server_handler){.self = mcp, .request = http_request};
}

void mcp_tick(void *self, int64_t now_ns)
{
	const struct mcp *mcp = self;

	status_look(mcp->status, now_ns);
}
