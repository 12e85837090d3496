/* A redis-server for a benchmark: on loopback, on a port the kernel chose, saving nothing. */
#ifndef CS_BENCH_REDIS_H
#define CS_BENCH_REDIS_H

#include "process.h"

/* From PATH; returns once it answers. process_stop ends it. */
struct server_process redis_start(void);

#endif
