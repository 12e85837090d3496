/* Messages, one a line, over a pair of descriptors (the stdio transport).
 *
 * Reads newline-ended UTF-8 lines from one descriptor and writes lines to another: pipes, sockets, terminals and
 * regular files. A line longer than line_max is skipped to its end and reported, the next one is read again. CRLF is
 * taken as LF. While more than LINES_HELD_MAX bytes wait to be written no line is given and nothing is read
 * (back-pressure); who makes lines of other things than lines keeps to it by asking lines_full. At end of input `ended`
 * is called once, after a last line without an end was given; what is queued for writing still goes out. A reader that
 * is gone (EPIPE) ends it too; one that reads slowly, or not at all, is waited for.
 * Threads: lines_send from any; callbacks on the loop. */
#ifndef CS_NET_LINES_H
#define CS_NET_LINES_H

#include "net/loop.h"

#define LINES_HELD_MAX (8u << 20)

struct lines;

struct lines_handler {
	void *self;
	void (*line)(void *self, struct slice text); /* without its end; bytes live during the call */
	void (*too_long)(void *self, size_t limit);
	void (*ended)(void *self);
	void (*drained)(void *self); /* lines_full was true and may be false now; NULL: nobody asks */
};

CS_CHECKED enum cs_status lines_new(struct loop *, int in_fd, int out_fd, size_t line_max, struct lines_handler,
	struct lines **ret_lines, struct cs_error *);
/* Do more than LINES_HELD_MAX bytes wait? If so, `drained` follows. From the loop. */
bool lines_full(struct lines *);
/* Copies text and adds the newline. It is taken whatever waits already: a message of any size goes out whole. */
void lines_send(struct lines *, struct slice text);
/* Stops reading; when all is written, closes both descriptors and calls done on the loop. `error` is 0, or the errno of a
 * write that failed for another reason than a reader that is gone. From the loop, also from within a callback; no
 * other callback follows. */
void lines_close(struct lines *, void (*done)(void *self, int error), void *self);

#endif
