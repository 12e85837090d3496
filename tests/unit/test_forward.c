/* A pass that nobody waits for any more stops at the next layer, and gives its memory back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/alloc_fault.h"
#include "../support/tiny_bound.h"

static const uint32_t ids[] = {2, 9, 17, 3};
static const struct tokens text = {ids, 4};

static atomic_bool cancelled;
static unsigned layers_run;

/* Every layer calls it once. */
static void gelu_and_cancel(float *x, size_t count)
{
	kernels_scalar.gelu(x, count);
	layers_run++;
	atomic_store(&cancelled, layers_run == 2);
}

static void test_cancelled_between_layers(void **state)
{
	const struct op op = {.deadline_ns = OP_NO_DEADLINE, .cancelled = &cancelled};
	struct kernels kernels = kernels_scalar;
	struct scratch scratch = {0};
	float vector[TINY_HIDDEN];

	kernels.gelu = gelu_and_cancel;
	assert_int_equal(forward(&f32, &kernels, &scratch, &op, &text, 1, vector, NULL), CS_TIMEOUT);
	assert_int_equal(layers_run, 2);
	scratch_release(&scratch);
}

static void test_no_memory(void **state)
{
	const struct op op = {.deadline_ns = OP_NO_DEADLINE};

	if (!alloc_fault_available()) {
		print_message("allocations cannot be made to fail under a sanitizer\n");
		skip();
	}
	ALLOC_FAULT_EACH(n)
	{
		float vector[TINY_HIDDEN];
		struct scratch scratch = {0};
		enum cs_status status = forward(&f32, &kernels_scalar, &scratch, &op, &text, 1, vector, NULL);

		assert_true(status == CS_OK || status == CS_LIMIT_EXCEEDED);
		scratch_release(&scratch);
	}
}

static int set_up(void **state)
{
	return tiny_bind(5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cancelled_between_layers),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tiny_release);
}
