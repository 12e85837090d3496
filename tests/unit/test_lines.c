/* Lines over pipes and files: cutting, limits, back-pressure, a reader that is gone, closing. The handler runs on the
 * loop of the test's own thread, so its notes need no lock; another thread plays the other end. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "net/lines.h"

#define LINE_MAX_TEST 1000

struct rig {
	struct loop *loop;
	struct lines *lines;
	struct buffer seen; /* each line in brackets; too long: "!"; end: "." */
	struct slice echo;  /* sent for every line */
	bool echoing;
	bool watching; /* whether lines are full: "+" behind a line that made them so */
};

static void on_line(void *self, struct slice text)
{
	struct rig *r = self;

	buffer_printf(&r->seen, "[" SLICE_FMT "]", SLICE_ARG(text));
	if (r->echoing)
		lines_send(r->lines, r->echo.ptr ? r->echo : text);
	if (r->watching && lines_full(r->lines))
		buffer_append(&r->seen, S("+"));
}

static void on_too_long(void *self, size_t limit)
{
	struct rig *r = self;

	assert_int_equal(limit, LINE_MAX_TEST);
	buffer_append(&r->seen, S("!"));
}

static void on_done(void *self, int error)
{
	loop_stop(((struct rig *)self)->loop);
}

static void on_ended(void *self)
{
	struct rig *r = self;

	buffer_append(&r->seen, S("."));
	lines_close(r->lines, on_done, r);
}

static void start(struct rig *r, int in_fd, int out_fd)
{
	struct lines_handler handler = {.self = r, .line = on_line, .too_long = on_too_long, .ended = on_ended};

	buffer_init(&r->seen, 64u << 20);
	assert_int_equal(loop_new(&r->loop, NULL), CS_OK);
	assert_int_equal(lines_new(r->loop, in_fd, out_fd, LINE_MAX_TEST, handler, &r->lines, NULL), CS_OK);
}

static void finish(struct rig *r)
{
	loop_run(r->loop);
	loop_free(r->loop);
}

static void assert_seen(struct rig *r, const char *expected)
{
	buffer_byte(&r->seen, '\0');
	assert_string_equal(r->seen.ptr, expected);
	buffer_release(&r->seen);
}

static int file_with(struct slice text)
{
	char name[] = "/tmp/test_lines_XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	unlink(name);
	assert_int_equal(write(fd, text.ptr, text.len), (ssize_t)text.len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void cuts_lines_of_a_file(void **state)
{
	struct rig r = {.echoing = true};
	int out = file_with(S("")), copy = dup(out);
	char written[64] = "";

	start(&r, file_with(S("one\r\ntwo\n\nno end")), out);
	finish(&r);
	assert_seen(&r, "[one][two][][no end].");
	assert_int_equal(pread(copy, written, sizeof(written) - 1, 0), 16);
	assert_string_equal(written, "one\ntwo\n\nno end\n");
	close(copy);
}

/* Lines of every length around the limit, with both line ends. */
static void knows_the_limit_to_the_byte(void **state)
{
	for (int crlf = 0; crlf < 2; crlf++)
		for (size_t length = LINE_MAX_TEST - 2; length <= LINE_MAX_TEST + 2; length++) {
			char text[LINE_MAX_TEST + 16];
			struct rig r = {0};
			size_t n = length;

			memset(text, 'x', length);
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\nb\n", crlf ? "\r" : "");
			start(&r, file_with(slice_of(text, n)), dup(2));
			finish(&r);
			if (length <= LINE_MAX_TEST)
				assert_int_equal(r.seen.len, length + 2 + 3 + 1);
			else
				assert_memory_equal(r.seen.ptr, "![b].", 5);
			buffer_release(&r.seen);
		}
}

struct far_end {
	int read_fd, write_fd;
	struct slice text;
	size_t piece;  /* bytes per write; 0: all */
	size_t wanted; /* bytes to read before closing */
	size_t got;
	pthread_t thread;
};

static void *write_far(void *arg)
{
	struct far_end *far = arg;
	struct slice rest = far->text;

	while (rest.len) {
		size_t n = far->piece && far->piece < rest.len ? far->piece : rest.len;
		ssize_t written = write(far->write_fd, rest.ptr, n);

		if (written <= 0)
			break;
		rest = slice_from(rest, (size_t)written);
	}
	close(far->write_fd);
	return NULL;
}

static void *read_far(void *arg)
{
	struct far_end *far = arg;
	char bytes[4096];
	ssize_t n;

	while (far->got < far->wanted && (n = read(far->read_fd, bytes, sizeof(bytes))) > 0)
		far->got += (size_t)n;
	close(far->read_fd);
	return NULL;
}

static void takes_lines_in_pieces(void **state)
{
	struct far_end far = {.text = S("alpha\r\nbeta\ngamma\r\n"), .piece = 1};
	struct rig r = {0};
	int in[2];

	assert_int_equal(pipe(in), 0);
	far.write_fd = in[1];
	start(&r, in[0], dup(2));
	pthread_create(&far.thread, NULL, write_far, &far);
	finish(&r);
	pthread_join(far.thread, NULL);
	assert_seen(&r, "[alpha][beta][gamma].");
}

static void a_reader_that_is_gone_ends_it(void **state)
{
	struct rig r = {.echoing = true};
	int in[2], out[2];

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	close(out[0]);
	start(&r, in[0], out[1]);
	assert_int_equal(write(in[1], "x\n", 2), 2);
	finish(&r);
	assert_seen(&r, "[x].");
	close(in[1]);
}

/* Far more comes out than LINES_HELD_MAX, and the far end reads it slowly: all of it arrives. */
static void everything_goes_out_under_back_pressure(void **state)
{
	enum { LINES = 3000 };
	static char answer[10000], input[LINES * 2];
	struct far_end in_far = {.text = {input, sizeof(input)}}, out_far = {.wanted = SIZE_MAX};
	struct rig r = {.echoing = true, .echo = {answer, sizeof(answer)}};
	int in[2], out[2];

	memset(answer, 'a', sizeof(answer));
	for (int i = 0; i < LINES; i++)
		memcpy(input + 2 * i, "q\n", 2);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	in_far.write_fd = in[1];
	out_far.read_fd = out[0];
	start(&r, in[0], out[1]);
	pthread_create(&in_far.thread, NULL, write_far, &in_far);
	pthread_create(&out_far.thread, NULL, read_far, &out_far);
	finish(&r);
	pthread_join(in_far.thread, NULL);
	pthread_join(out_far.thread, NULL);
	assert_int_equal(out_far.got, LINES * (sizeof(answer) + 1));
	buffer_release(&r.seen);
}

/* One line asks for more than may be held, and the next is not given before that is out. */
static void a_message_of_any_size_goes_out(void **state)
{
	static char answer[5 * LINES_HELD_MAX];
	struct far_end out_far = {.wanted = SIZE_MAX};
	struct rig r = {.echoing = true, .echo = {answer, sizeof(answer)}};
	int out[2];

	memset(answer, 'a', sizeof(answer));
	assert_int_equal(pipe(out), 0);
	out_far.read_fd = out[0];
	start(&r, file_with(S("q\nq\nq\n")), out[1]);
	r.watching = true;
	pthread_create(&out_far.thread, NULL, read_far, &out_far);
	finish(&r);
	pthread_join(out_far.thread, NULL);
	assert_seen(&r, "[q]+[q]+[q]+.");
	assert_int_equal(out_far.got, 3 * (sizeof(answer) + 1));
}

static void close_now(struct loop_task *task);

struct closing {
	struct loop_task task;
	struct rig *rig;
};

static void close_now(struct loop_task *task)
{
	struct rig *r = ((struct closing *)task)->rig;

	lines_send(r->lines, S("bye"));
	lines_close(r->lines, on_done, r);
}

static void closing_interrupts_a_wait_for_input(void **state)
{
	struct rig r = {0};
	struct closing c = {.task.run = close_now, .rig = &r};
	char got[8] = "";
	int in[2], out[2];

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	start(&r, in[0], out[1]);
	loop_post(r.loop, &c.task);
	finish(&r);
	assert_int_equal(read(out[0], got, sizeof(got)), 4);
	assert_string_equal(got, "bye\n");
	assert_int_equal(r.seen.len, 0);
	close(in[1]);
	close(out[0]);
	buffer_release(&r.seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts_lines_of_a_file),
		cmocka_unit_test(knows_the_limit_to_the_byte),
		cmocka_unit_test(takes_lines_in_pieces),
		cmocka_unit_test(a_reader_that_is_gone_ends_it),
		cmocka_unit_test(everything_goes_out_under_back_pressure),
		cmocka_unit_test(a_message_of_any_size_goes_out),
		cmocka_unit_test(closing_interrupts_a_wait_for_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
