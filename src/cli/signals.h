/* SIGTERM and SIGINT of a long-running process.
 *
 * The first one is told once, on a loop. A SIGINT behind it ends the process at once (exit 1): somebody at a terminal
 * who presses Ctrl-C twice. A SIGTERM behind it changes nothing: whoever sends it again has been heard.
 *
 * The handlers stay to the end of the process. A watcher of libuv gives the default action back when it is closed,
 * which a loop wants before the store may be closed; the next SIGTERM then kills a process that is about to end in
 * order.
 * Threads: signals_watch and signals_stop on the main thread. One process watches once. */
#ifndef CS_CLI_SIGNALS_H
#define CS_CLI_SIGNALS_H

#include "net/loop.h"

void signals_watch(struct loop *, void (*told)(void *self, int number), void *self);
/* `told` will not be called any more, and the loop may go as soon as the other threads have ended. SIGTERM is ignored
 * from here on. On the loop, or when it runs no more. */
void signals_stop(void);

#endif
