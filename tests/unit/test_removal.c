/* delete_context and forget_context, over the engine. */
#include "../support/tool_fixture.h"

#include "store/removal.h"

static void store_x(void)
{
	accepted("store_context", "{\"content\":{\"text\":\"zebra\"},\"type\":\"log\",\"id\":\"x\"}");
}

static void assert_gone(void)
{
	accepted("retrieve_context", "{\"query\":\"zebra\"}");
	assert_int_equal(num("total_count"), 0);
	accepted("retrieve_context", "{\"ids\":[\"x\"]}");
	assert_int_equal(num("total_count"), 0);
}

static void a_deleted_context_is_hidden_and_can_come_back(void **state)
{
	struct cs_error err;

	store_x();
	accepted("delete_context", "{\"context_id\":\"x\",\"reason\":\"outdated\"}");
	assert_str("operation", "soft_delete");
	assert_str("context_id", "x");
	assert_gone();
	assert_int_equal(store_restore(&fx.store, &fx.op, S("x"), &err), CS_OK);
	accepted("retrieve_context", "{\"query\":\"zebra\"}");
	assert_int_equal(num("total_count"), 1);
}

static void a_hard_deleted_one_does_not(void **state)
{
	struct cs_error err;

	store_x();
	accepted("delete_context", "{\"context_id\":\"x\",\"reason\":\"outdated\",\"hard_delete\":true}");
	assert_str("operation", "hard_delete");
	assert_gone();
	assert_int_equal(store_restore(&fx.store, &fx.op, S("x"), &err), CS_NOT_FOUND);
}

static void a_forgotten_one_can_until_its_retention_is_over(void **state)
{
	struct cs_error err;

	store_x();
	accepted("forget_context", "{\"context_id\":\"x\",\"reason\":\"asked to\"}");
	assert_int_equal(num("retention_days"), 30);
	assert_gone();
	assert_int_equal(store_restore(&fx.store, &fx.op, S("x"), &err), CS_OK);
	accepted("forget_context", "{\"context_id\":\"x\",\"reason\":\"asked to\",\"retention_days\":1}");
	clock_shift_ms(INT64_C(86401000));
	assert_int_equal(store_restore(&fx.store, &fx.op, S("x"), &err), CS_NOT_FOUND);
}

static void removing_is_for_people_with_a_reason(void **state)
{
	const struct principal agent = {S("bot"), S("u"), ROLE_ADMIN, true};
	const struct principal human = {S("ann"), S("u"), ROLE_WRITER, false};

	store_x();
	refused("delete_context", "{\"context_id\":\"x\",\"reason\":\"no\"}", CS_VALIDATION,
		"reason must be a string of 5 to");
	refused("delete_context", "{\"context_id\":\"x\",\"reason\":\"   a   \"}", CS_VALIDATION,
		"reason must say why");
	refused("delete_context", "{\"context_id\":\"x\"}", CS_MISSING_PARAMETER, "reason");
	refused("delete_context", "{\"context_id\":\"y\",\"reason\":\"outdated\"}", CS_NOT_FOUND, "");
	refused("forget_context", "{\"context_id\":\"x\",\"reason\":\"outdated\",\"retention_days\":0}", CS_VALIDATION,
		"retention_days");
	fx.store.keys_configured = true;
	fx.op.principal = &agent;
	refused("delete_context", "{\"context_id\":\"x\",\"reason\":\"outdated\"}", CS_FORBIDDEN, "people");
	refused("forget_context", "{\"context_id\":\"x\",\"reason\":\"outdated\"}", CS_FORBIDDEN, "people");
	fx.op.principal = &human;
	accepted("forget_context", "{\"context_id\":\"x\",\"reason\":\"outdated\"}");
}

#define T(function) cmocka_unit_test_setup_teardown(function, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_deleted_context_is_hidden_and_can_come_back),
		T(a_hard_deleted_one_does_not),
		T(a_forgotten_one_can_until_its_retention_is_over),
		T(removing_is_for_people_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
