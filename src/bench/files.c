/* Two runs of one second would get one name: the later one's is followed by a number. */
#include "bench/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/report.h"

#define FILE_MODE   0666 /* results are for everybody the umask lets read */
#define DIR_MODE    0777
#define REPORT_MAX  (64u << 20)
#define STAMP_CHARS 48
#define NAMES_MAX   100u /* runs of one second */

/* The directory and those above it. */
static enum cs_status make_dirs(const char *dir, struct cs_error *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s", dir);
	for (char *at = path + 1;; at++) {
		char here = *at;

		if (here != '/' && here != '\0')
			continue;
		*at = '\0';
		if (mkdir(path, DIR_MODE) != 0 && errno != EEXIST)
			return cs_fail(err, CS_UNAVAILABLE, "cannot make the output directory %.300s: %s", path,
				strerror(errno));
		if (here == '\0')
			return CS_OK;
		*at = '/';
	}
}

/* "20261125_074501", and from the second run of that second on "20261125_074501_2" */
static void stamp(unsigned run, char text[STAMP_CHARS])
{
	char now[CLOCK_TEXT_SIZE], number[16] = "";

	clock_format(clock_wall_ms(), now);
	if (run > 1)
		snprintf(number, sizeof number, "_%u", run);
	snprintf(text, STAMP_CHARS, "%.4s%.2s%.2s_%.2s%.2s%.2s%s", now, now + 5, now + 8, now + 11, now + 14, now + 17,
		number);
}

/* Takes the names of this moment and number. False with errno EEXIST: another run has them. */
static bool claim(struct bench_files *f, const char *dir, unsigned run)
{
	char time[STAMP_CHARS];
	int fd;

	stamp(run, time);
	snprintf(f->json, sizeof f->json, "%s/mcp_benchmark_%s.json", dir, time);
	snprintf(f->text, sizeof f->text, "%s/mcp_benchmark_report_%s.txt", dir, time);
	snprintf(f->chart, sizeof f->chart, "%s/mcp_benchmark_%s.svg", dir, time);
	snprintf(f->begun, sizeof f->begun, "%s/.mcp_benchmark_%s.json", dir, time);
	fd = open(f->begun, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
	if (fd >= 0)
		close(fd);
	/* Behind the opening: a run that ended in between has given its file this name. */
	if (fd >= 0 && access(f->json, F_OK) != 0)
		return true;
	if (fd >= 0) {
		files_discard(f);
		errno = EEXIST;
	}
	f->begun[0] = '\0';
	return false;
}

enum cs_status files_open(struct bench_files *f, const char *dir, struct cs_error *err)
{
	enum cs_status status;

	*f = (struct bench_files){0};
	if (*dir == '\0' || strlen(dir) > PATH_MAX - 100)
		return cs_fail(err, CS_VALIDATION, "--output-dir needs the path of a directory");
	status = make_dirs(dir, err);
	if (status != CS_OK)
		return status;
	for (unsigned run = 1; run <= NAMES_MAX; run++) {
		if (claim(f, dir, run))
			return CS_OK;
		if (errno != EEXIST)
			break;
	}
	return cs_fail(err, CS_UNAVAILABLE, "cannot write results to %.300s: %s", dir, strerror(errno));
}

/* What could not be written whole is not left there. */
static enum cs_status write_file(const char *path, struct slice text, struct cs_error *err)
{
	FILE *file = fopen(path, "we");
	bool written = file && fwrite(text.ptr, 1, text.len, file) == text.len;

	int failed = errno;

	if (file && fclose(file) != 0 && written) {
		written = false;
		failed = errno;
	}
	if (file && !written)
		(void)unlink(path);
	return written ? CS_OK : cs_fail(err, CS_UNAVAILABLE, "cannot write %.300s: %s", path, strerror(failed));
}

enum cs_status files_write(struct bench_files *f, const struct result *result, struct cs_error *err)
{
	struct buffer out;
	enum cs_status status;

	buffer_init(&out, REPORT_MAX);
	result_write(result, &out);
	status = buffer_status(&out, err);
	if (status == CS_OK)
		status = write_file(f->begun, buffer_slice(&out), err);
	if (status == CS_OK && rename(f->begun, f->json) != 0)
		status = cs_fail(err, CS_UNAVAILABLE, "cannot write %.300s: %s", f->json, strerror(errno));
	if (status == CS_OK) {
		f->begun[0] = '\0';
		buffer_clear(&out);
		report_write_text(result, &out);
		status = write_file(f->text, buffer_slice(&out), err);
	}
	if (status == CS_OK) {
		buffer_clear(&out);
		report_write_chart(result, &out);
		if (out.len == 0)
			f->chart[0] = '\0';
		else
			status = write_file(f->chart, buffer_slice(&out), err);
	}
	buffer_release(&out);
	return status;
}

void files_discard(struct bench_files *f)
{
	if (f->begun[0])
		(void)unlink(f->begun);
	f->begun[0] = '\0';
}
