/* The processes a benchmark measures: starting the program, and what the kernel says of one.
 *
 * Every failure ends the benchmark with a message: a benchmark that goes on after one measures nothing. */
#ifndef CS_BENCH_PROCESS_H
#define CS_BENCH_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/* The program under test: CONTEXT_STORE_BIN, else build/release/context-store. */
const char *process_program(void);
/* The one linked without metric calls: beside the program, context-store-unmeasured. */
const char *process_unmeasured_program(void);

/* A fresh directory for data; removed by process_remove_directory. */
char *process_make_directory(void);
void process_remove_directory(char *directory);

struct server_process {
	pid_t pid;
	uint16_t port;
};

/* `serve --port 0` on the directory; returns once it says where it listens. */
struct server_process process_serve(const char *directory);
/* The same with another program and log level. */
struct server_process process_serve_as(const char *program, const char *directory, const char *log_level);
void process_stop(pid_t pid);

/* User and system time of all its threads so far, ended ones included as far as the kernel's tick counts them. */
int64_t process_cpu_ns(pid_t pid);
int64_t process_rss_bytes(pid_t pid);

int64_t now_ns(void);
/* Prints the message and errno, and ends with 1. */
void die(const char *what) __attribute__((noreturn));

#endif
