/* What this process costs, as the kernel counts it (proc(5)), and its metrics under the names every Prometheus client
 * library gives them. Threads: any. */
#ifndef CS_BASE_PROCESS_USAGE_H
#define CS_BASE_PROCESS_USAGE_H

#include <stdint.h>

int64_t process_usage_cpu_ns(void); /* user and system time of all threads, ended ones included */
int64_t process_usage_resident_bytes(void);
int64_t process_usage_virtual_bytes(void);
int64_t process_usage_open_fds(void);   /* the descriptor that counts them not included */
int64_t process_usage_started_ns(void); /* wall time, since 1970; exact to a hundredth of a second */

/* process_* and context_store_build_info on /metrics from now on. `revision` is that of the sources, or "unknown"; kept.
 * Once a process. */
void process_usage_publish(const char *version, const char *revision);

#endif
