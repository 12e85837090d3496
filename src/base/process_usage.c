/* Read anew whenever somebody asks: three small files of /proc and a walk through /proc/self/fd, some ten microseconds
 * with a hundred descriptors. Kernels from 6.2 on tell the number of descriptors as the size of that directory, which
 * spares the walk where it would be long: a server with 10,000 connections. */
#include "base/process_usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/metrics.h"

#define NANO        INT64_C(1000000000)
#define FILE_BYTES  8192 /* the lines asked for stand at the beginning of their file */
#define START_FIELD 22   /* of /proc/self/stat: ticks from boot to the start of the process */

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

int64_t process_usage_cpu_ns(void)
{
	struct timespec used;

	return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0 ? used.tv_sec * NANO + used.tv_nsec : 0;
}

/* The beginning of the file, NUL-terminated; empty when it cannot be read. */
static void read_file(const char *path, char text[FILE_BYTES])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, FILE_BYTES - 1);

	text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

/* /proc/self/statm: sizes in pages; the first is all address space, the second what is resident. */
static int64_t pages_in_bytes(unsigned field)
{
	char text[FILE_BYTES];
	char *at = text;
	long long pages = 0;

	read_file("/proc/self/statm", text);
	for (unsigned i = 0; i <= field; i++)
		pages = strtoll(at, &at, 10);
	return pages * sysconf(_SC_PAGESIZE);
}

int64_t process_usage_virtual_bytes(void)
{
	return pages_in_bytes(0);
}

int64_t process_usage_resident_bytes(void)
{
	return pages_in_bytes(1);
}

int64_t process_usage_open_fds(void)
{
	struct stat info;
	int64_t count = 0;
	DIR *dir;

	if (stat("/proc/self/fd", &info) == 0 && info.st_size > 0)
		return info.st_size;
	dir = opendir("/proc/self/fd");
	if (!dir)
		return 0;
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count - 1;
}

static int64_t boot_ns(void)
{
	char text[FILE_BYTES];
	const char *line;
	struct timespec wall, since;

	read_file("/proc/stat", text);
	line = strstr(text, "\nbtime ");
	if (line)
		return strtoll(line + sizeof "\nbtime", NULL, 10) * NANO;
	/* On a machine with so many cores that the line stands further down. */
	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_BOOTTIME, &since);
	return (wall.tv_sec - since.tv_sec) * NANO + wall.tv_nsec - since.tv_nsec;
}

int64_t process_usage_started_ns(void)
{
	char text[FILE_BYTES];
	char *at;

	read_file("/proc/self/stat", text);
	/* The second field is the name in parentheses, which may hold spaces and parentheses itself. */
	at = strrchr(text, ')');
	for (unsigned field = 2; at && field < START_FIELD; field++)
		at = strchr(at + 1, ' ');
	if (!at)
		return 0;
	return boot_ns() + strtoll(at, NULL, 10) * (NANO / sysconf(_SC_CLK_TCK));
}

static void collect(void *unused)
{
	struct rlimit files;

	(void)unused;
	metric_set_total(metric_series(METRIC_PROCESS_CPU, S("")), process_usage_cpu_ns());
	metric_set(metric_series(METRIC_PROCESS_RESIDENT, S("")), process_usage_resident_bytes());
	metric_set(metric_series(METRIC_PROCESS_VIRTUAL, S("")), process_usage_virtual_bytes());
	metric_set(metric_series(METRIC_PROCESS_FDS, S("")), process_usage_open_fds());
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		metric_set(metric_series(METRIC_PROCESS_FDS_MAX, S("")), (int64_t)files.rlim_cur);
}

void process_usage_publish(const char *version, const char *revision)
{
	static struct metrics_collector collector = {.collect = collect};
	char build[64];
	int length = snprintf(build, sizeof build, "%s,%.16s,%.32s", version, revision, COMPILER);

	metric_set(metric_series(METRIC_BUILD_INFO, slice_trim(slice_of(build, (size_t)length))), 1);
	metric_set(metric_series(METRIC_PROCESS_START, S("")), process_usage_started_ns());
	metrics_collector_add(&collector);
}
