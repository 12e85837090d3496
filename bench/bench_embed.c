/* Milliseconds a text, for each kernel set and precision at 32 to 256 tokens, beside ONNX Runtime's in the same run.
 *
 * ONNX Runtime (bench/embed_onnx.py, run as a child that measures one length whenever it is asked) takes turns with ours,
 * so that a change of the machine's mood meets both; and processor time is what both count, on one thread each, so that
 * what else runs here takes less part. `scripts/setup-extras bench`, which make bench-embed runs, puts ONNX Runtime and
 * its models below build/sdk; CONTEXT_STORE_ONNX_F32, CONTEXT_STORE_ONNX_INT8 and CONTEXT_STORE_PYTHON name others.
 * What is absent is said, and its column is empty. ONNX Runtime chooses instructions itself: rows of lesser kernel sets
 * than this processor's best stand beside figures made with the best. The model is CONTEXT_STORE_TEST_MODEL, else
 * build/models/all-MiniLM-L6-v2. Figures are the median of ROUNDS and the spread, ratios the median of each round's; the
 * last lines are two threads at once, as texts a second and as processor time a text, and resident memory. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/stats.h"
#include "embed/encoder_internal.h"
#include "embed/kernels.h"
#include "support/process.h"

#define ROUNDS    9
#define LENGTHS   4
#define TOKEN_MAX 512

static const size_t lengths[LENGTHS] = {32, 64, 128, 256};
static uint32_t ids[TOKEN_MAX];

struct onnx {
	FILE *to, *from;
	pid_t pid;
};

static const char *setting(const char *variable, const char *otherwise)
{
	const char *value = getenv(variable);

	return value ? value : otherwise;
}

static const char *model_directory(void)
{
	return setting("CONTEXT_STORE_TEST_MODEL", "build/models/all-MiniLM-L6-v2");
}

/* The child answers a length with milliseconds; nothing at all when it cannot run. */
static struct onnx onnx_start(const char *file)
{
	const char *python = setting("CONTEXT_STORE_PYTHON", "build/sdk/onnx/bin/python");
	struct onnx o = {0};
	int to[2], from[2];

	if (access(file, R_OK) != 0) {
		printf("there is no %s: no figures of ONNX Runtime for it (scripts/setup-extras bench fetches it)\n",
			file);
		return o;
	}
	/* Closed at exec, or a second child would keep the first one's input open. */
	if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
		die("pipe");
	o.pid = fork();
	if (o.pid < 0)
		die("fork");
	if (o.pid == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execlp(python, python, "bench/embed_onnx.py", file, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	o.to = fdopen(to[1], "w");
	o.from = fdopen(from[0], "r");
	return o;
}

static double onnx_ms(struct onnx *o, size_t length)
{
	char line[64];

	if (!o->to)
		return -1;
	fprintf(o->to, "%zu\n", length);
	fflush(o->to);
	if (fgets(line, sizeof line, o->from))
		return strtod(line, NULL);
	printf("ONNX Runtime did not run (no onnxruntime in this Python, or no such file): no figures\n");
	fclose(o->to);
	o->to = NULL;
	return -1;
}

static void onnx_stop(struct onnx *o)
{
	if (o->to)
		fclose(o->to);
	if (o->pid > 0)
		waitpid(o->pid, NULL, 0);
}

static struct encoder *open_encoder(const char *kernel, enum encoder_precision precision)
{
	const struct encoder_options options = {.precision = precision};
	struct encoder *e;
	struct cs_error err;

	setenv("CONTEXT_STORE_KERNEL", kernel, 1);
	if (encoder_open(slice_cstr(model_directory()), &options, &e, &err) != CS_OK) {
		printf("%s\n", err.text);
		exit(1);
	}
	return e;
}

static void run_once(const struct encoder *e, size_t length)
{
	const struct op op = {.deadline_ns = OP_NO_DEADLINE};
	float vector[4096];

	if (encoder_run_ids(e, &op, ids, length, vector, NULL) != CS_OK)
		die("encode");
}

static double cpu_ms(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static double ours_ms(const struct encoder *e, size_t length)
{
	double start = cpu_ms(CLOCK_THREAD_CPUTIME_ID);

	run_once(e, length);
	return cpu_ms(CLOCK_THREAD_CPUTIME_ID) - start;
}

struct columns {
	struct spread ours, theirs[2], ratio[2];
};

static struct columns measure(const struct encoder *e, struct onnx *f32, struct onnx *int8, size_t length)
{
	double ours[ROUNDS], theirs[2][ROUNDS], ratio[2][ROUNDS];
	struct columns c;

	/* The first passes read weights from the file. */
	for (size_t i = 0; i < 3; i++)
		(void)ours_ms(e, length);
	for (size_t i = 0; i < ROUNDS; i++) {
		ours[i] = ours_ms(e, length);
		theirs[0][i] = onnx_ms(f32, length);
		theirs[1][i] = onnx_ms(int8, length);
		for (size_t j = 0; j < 2; j++)
			ratio[j][i] = ours[i] / theirs[j][i];
	}
	c.ours = stats_spread(ours, ROUNDS);
	for (size_t j = 0; j < 2; j++) {
		c.theirs[j] = stats_spread(theirs[j], ROUNDS);
		c.ratio[j] = stats_spread(ratio[j], ROUNDS);
	}
	return c;
}

static void print_theirs(const char *name, const struct spread *theirs, const struct spread *ratio)
{
	if (theirs->median > 0)
		printf("  %s %7.2f ms, ratio %.2f", name, theirs->median, ratio->median);
}

static void table(const char *kernel, enum encoder_precision precision, struct onnx *f32, struct onnx *int8)
{
	struct encoder *e = open_encoder(kernel, precision);

	for (size_t i = 0; i < LENGTHS; i++) {
		struct columns c = measure(e, f32, int8, lengths[i]);

		printf("%-10s %-4s %3zu tokens %7.2f ms (%.2f to %.2f)", kernel,
			precision == ENCODER_INT8 ? "int8" : "f32", lengths[i], c.ours.median, c.ours.lowest,
			c.ours.highest);
		print_theirs("onnx f32", &c.theirs[0], &c.ratio[0]);
		print_theirs("onnx int8", &c.theirs[1], &c.ratio[1]);
		putchar('\n');
	}
	encoder_close(e);
}

static void *run_many(void *encoder)
{
	for (size_t i = 0; i < 60; i++)
		run_once(encoder, 128);
	return NULL;
}

static double texts_per_second(struct encoder *e, size_t threads, double *ret_cpu_ms)
{
	pthread_t ids_of[8];
	int64_t start = clock_mono_ns();
	double cpu = cpu_ms(CLOCK_PROCESS_CPUTIME_ID);

	for (size_t i = 0; i < threads; i++)
		if (pthread_create(&ids_of[i], NULL, run_many, e) != 0)
			die("pthread_create");
	for (size_t i = 0; i < threads; i++)
		pthread_join(ids_of[i], NULL);
	*ret_cpu_ms = (cpu_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (60.0 * (double)threads);
	return 60.0 * (double)threads / ((double)(clock_mono_ns() - start) / 1e9);
}

static void threads(const char *kernel)
{
	struct encoder *e = open_encoder(kernel, ENCODER_INT8);
	double one[5], two[5], cpu_one[5], cpu_two[5];
	struct spread a, b;

	for (size_t i = 0; i < 5; i++) {
		one[i] = texts_per_second(e, 1, &cpu_one[i]);
		two[i] = texts_per_second(e, 2, &cpu_two[i]);
	}
	a = stats_spread(one, 5);
	b = stats_spread(two, 5);
	printf("%-10s int8 128 tokens: %.0f texts/s on one thread, %.0f on two (%.0f to %.0f), ratio %.2f; processor "
	       "time "
	       "a text %.2f and %.2f ms\n",
		kernel, a.median, b.median, b.lowest, b.highest, b.median / a.median, stats_spread(cpu_one, 5).median,
		stats_spread(cpu_two, 5).median);
	printf("resident memory with the int8 model: %.1f MB\n", (double)process_rss_bytes(getpid()) / 1e6);
	encoder_close(e);
}

int main(void)
{
	struct onnx f32 = onnx_start(setting("CONTEXT_STORE_ONNX_F32", "build/sdk/onnx-models/all-minilm-l6-v2.onnx"));
	struct onnx int8 =
		onnx_start(setting("CONTEXT_STORE_ONNX_INT8", "build/sdk/onnx-models/all-minilm-l6-v2-q.onnx"));
	const struct kernels *k;

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < TOKEN_MAX; i++)
		ids[i] = (uint32_t)(1000 + i * 37 % 20000);
	for (size_t i = 0; (k = kernels_available(i)) != NULL; i++)
		if (k != &kernels_scalar)
			table(k->name, ENCODER_INT8, &f32, &int8);
	threads(kernels_available(0)->name);
	table(kernels_available(0)->name, ENCODER_F32, &f32, &int8);
	onnx_stop(&f32);
	onnx_stop(&int8);
	return 0;
}
