/* The allocation-failure injector: glibc's own allocator behind functions that can say no.
 *
 * Interposing in the executable was preferred to --wrap (which misses what libraries allocate for us, such as strdup)
 * and to glibc's removed malloc hooks. Under a sanitizer the functions are left out: its allocator must see every call.
 */
#include "alloc_fault.h"

#include <errno.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INTERPOSED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define INTERPOSED 0
#else
#define INTERPOSED 1
#endif
#else
#define INTERPOSED 1
#endif

static _Thread_local bool armed;
static _Thread_local bool served;
static _Thread_local size_t left;

bool alloc_fault_available(void)
{
	return INTERPOSED;
}

void alloc_fault_arm(size_t n)
{
	left = n;
	served = false;
	armed = true;
}

bool alloc_fault_disarm(void)
{
	armed = false;
	return served;
}

#if INTERPOSED

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static bool refuses(void)
{
	if (!armed || served || left-- > 0)
		return false;
	served = true;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return refuses() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return refuses() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return refuses() ? NULL : __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return refuses() ? NULL : __libc_memalign(alignment, size);
}

#endif
