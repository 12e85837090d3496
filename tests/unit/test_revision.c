/* The table of revisions: what may not drift. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mcp/revision.h"

static void test_rows(void **state)
{
	for (int i = 0; i < REVISION_COUNT; i++) {
		const struct revision *row = &revision_rows[i];

		assert_int_equal(row->name.len, 10);
		assert_ptr_equal(revision_find(row->name), row);
		if (i > 0)
			assert_true(slice_compare(revision_rows[i - 1].name, row->name) < 0);
		/* Structured results need the output schemas that describe them. */
		assert_int_equal(row->structured_content, row->tool_form == TOOL_FORM_FULL);
		assert_int_equal(row->unknown_method_http, row->modern ? 404 : 200);
		assert_false(row->modern && row->batches);
	}
	assert_null(revision_find(S("")));
	assert_null(revision_find(S("2025-11-26")));
	assert_null(revision_find(S("2025-11-25 ")));
}

static void test_negotiation(void **state)
{
	for (int i = 0; i < REVISION_COUNT; i++) {
		const struct revision *row = &revision_rows[i];

		assert_ptr_equal(
			revision_negotiate(row->name), row->modern ? &revision_rows[REVISION_2025_11_25] : row);
	}
	assert_ptr_equal(revision_negotiate(S("9999-99-99")), &revision_rows[REVISION_2025_11_25]);
	assert_ptr_equal(revision_negotiate(S("")), &revision_rows[REVISION_2025_11_25]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_negotiation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
