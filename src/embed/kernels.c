/* Which kernel set runs. See kernels.h.
 *
 * The compilers' own test (__builtin_cpu_supports) looks at the processor and at whether the system saves its registers;
 * AVX-VNNI is too new for the name to be known to gcc 12 and clang 14 alike, so its bit is read from cpuid. */
#include "embed/kernels.h"

#include <stdlib.h>

#ifdef __x86_64__
#include <cpuid.h>

static bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avxvnni(void)
{
	unsigned a, b, c, d;

	return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4);
}

static bool has_avx512vnni(void)
{
	return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512vnni");
}
#endif

static bool has_all(void)
{
	return true;
}

/* The fastest first. Every 64-bit ARM has NEON. */
static const struct {
	const struct kernels *kernels;
	bool (*runs)(void);
} sets[] = {
#ifdef __x86_64__
	{&kernels_avx512vnni, has_avx512vnni},
	{&kernels_avxvnni, has_avxvnni},
	{&kernels_avx2, has_avx2},
#elif defined __aarch64__
	{&kernels_neon, has_all},
#endif
	{&kernels_scalar, has_all},
};

const struct kernels *kernels_available(size_t index)
{
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
		if (sets[i].runs() && index-- == 0)
			return sets[i].kernels;
	return NULL;
}

const struct kernels *kernels_find(const char *name)
{
	const struct kernels *kernels;

	for (size_t i = 0; (kernels = kernels_available(i)) != NULL; i++)
		if (strcmp(kernels->name, name) == 0)
			return kernels;
	return NULL;
}

const struct kernels *kernels_best(void)
{
	const char *name = getenv("CONTEXT_STORE_KERNEL");
	const struct kernels *named = name ? kernels_find(name) : NULL;

	return named ? named : kernels_available(0);
}
