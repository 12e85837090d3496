/* Set-up of long-running processes.
 *
 * malloc gets two arenas a core at most, and not glibc's eight: with a hundred worker threads the default keeps tens of
 * megabytes of freed memory in arenas nobody uses. */
#include "cli/process.h"

#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/process_usage.h"
#include "base/version.h"

#define RESPONSE_MAX  (64u << 20)  /* bytes of one reply */
#define ARENA_CEILING (256u << 20) /* bytes one request may take */

extern char **environ;

const char *process_revision = "unknown";

void process_begin(void)
{
	int fd;

	signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is a full disk to the store, and no reason to die */
	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

void process_prepare(void)
{
	struct rlimit files;

	signal(SIGPIPE, SIG_IGN);
	mallopt(M_ARENA_MAX, (int)(2 * process_cores()));
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		/* Where it is refused the old limit holds, and doctor tells it. */
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	process_usage_publish(CS_VERSION, process_revision);
}

unsigned process_cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return 1;
	return CPU_COUNT(&set) > 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

struct workers_options process_workers(const struct config *config)
{
	return (struct workers_options){
		.workers_min = 1,
		.workers_max = (unsigned)config_int(config, SETTING_WORKERS_MAX),
		.queue_max = (unsigned)config_int(config, SETTING_QUEUE_MAX),
	};
}

struct server_options process_server(const struct config *config)
{
	struct server_options options = {
		.connections_max = (unsigned)config_int(config, SETTING_CONNECTIONS_MAX),
		.limits = HTTP_LIMITS_DEFAULT,
		.header_timeout_s = config_int(config, SETTING_HEADER_TIMEOUT),
		.body_timeout_s = config_int(config, SETTING_BODY_TIMEOUT),
		.idle_timeout_s = config_int(config, SETTING_IDLE_TIMEOUT),
		.arena_ceiling = ARENA_CEILING,
		.response_max = RESPONSE_MAX,
	};

	options.limits.body = (uint64_t)config_int(config, SETTING_BODY_MAX);
	return options;
}

static enum cs_status read_thresholds(
	const struct config *config, struct status_limits limits[STATUS_MEASURES], struct cs_error *err)
{
	static const enum setting_id settings[STATUS_MEASURES] = {
		[STATUS_RESPONSE_TIME] = SETTING_STATUS_RESPONSE_TIME,
		[STATUS_CONNECTIONS] = SETTING_STATUS_CONNECTIONS,
		[STATUS_MEMORY] = SETTING_STATUS_MEMORY,
		[STATUS_CPU] = SETTING_STATUS_CPU,
	};

	for (size_t i = 0; i < STATUS_MEASURES; i++) {
		struct cs_error why;

		if (status_limits_parse(config_str(config, settings[i]), &limits[i], &why) != CS_OK)
			return cs_fail(err, CS_VALIDATION, "%s (" SLICE_FMT "): %s", setting_rows[settings[i]].flag,
				SLICE_ARG(config_origin_text(config, settings[i])), why.text);
	}
	return CS_OK;
}

enum cs_status process_mcp(const struct config *config, struct tool_host host, struct workers *workers,
	struct mcp_options *ret_options, struct cs_error *err)
{
	struct mcp_options options = {
		.host = host,
		.workers = workers,
		.sessions_max = (unsigned)config_int(config, SETTING_SESSIONS_MAX),
		.request_timeout_s = config_int(config, SETTING_REQUEST_TIMEOUT),
		.response_max = RESPONSE_MAX,
		.message_max = (size_t)config_int(config, SETTING_BODY_MAX),
		.allowed_hosts = config_str(config, SETTING_ALLOWED_HOSTS),
		.environment = environ,
		.cores = process_cores(),
	};
	enum cs_status status = read_thresholds(config, options.status_limits, err);

	if (status == CS_OK)
		*ret_options = options;
	return status;
}
