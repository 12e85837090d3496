/* The handler may run on any thread, also in the middle of loop_post: it does nothing but exchange an atomic, post a
 * task (a lock-free push and a write to an eventfd) and, for the impatient, write(2) and _exit(2). Taking the loop out
 * of its place as it is used makes the task posted once at most. */
#include "cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/version.h"
#include "cli/commands.h"

static struct {
	_Atomic(struct loop *) loop; /* NULL: told already, or stopped */
	struct loop_task task;
	void (*told)(void *self, int number); /* NULL: stopped */
	void *self;
	volatile sig_atomic_t number;
} watch;

static void tell(struct loop_task *task)
{
	if (watch.told)
		watch.told(watch.self, watch.number);
}

static void on_signal(int number)
{
	static const char text[] = CS_NAME ": ended at once\n";
	struct loop *loop = atomic_exchange(&watch.loop, NULL);
	int saved = errno;

	if (loop) {
		watch.number = number;
		loop_post(loop, &watch.task);
	} else if (number == SIGINT) {
		/* Standard error may be closed; the exit code tells it as well. */
		(void)!write(STDERR_FILENO, text, sizeof text - 1);
		_exit(CLI_FAILED);
	}
	errno = saved;
}

void signals_watch(struct loop *loop, void (*told)(void *self, int number), void *self)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	watch.task.run = tell;
	watch.told = told;
	watch.self = self;
	atomic_store(&watch.loop, loop);
	sigfillset(&action.sa_mask);
	/* These fail for a number that is no signal only. */
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
}

void signals_stop(void)
{
	atomic_store(&watch.loop, NULL);
	watch.told = NULL;
}
