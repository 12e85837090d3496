/* Between the files of the kernels only. A set whose `runs` says no must not be called. */
#ifndef CS_VECTOR_KERNELS_PARTS_H
#define CS_VECTOR_KERNELS_PARTS_H

#include <stdbool.h>

#include "vector/kernels.h"

struct vector_kernels_choice {
	struct vector_kernels kernels;
	bool (*runs)(void);
};

/* Best first; ended by a set without a name. Both lists are empty on other processors. */
extern const struct vector_kernels_choice vector_kernels_x86[];
extern const struct vector_kernels_choice vector_kernels_arm[];

#endif
