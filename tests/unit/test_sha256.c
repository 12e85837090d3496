/* SHA-256 by way of the library: the examples of FIPS 180-4, and files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "base/sha256.h"

static void test_examples(void **state)
{
	static char million[1000000];
	char text[SHA256_HEX_SIZE];

	sha256_bytes(S(""), text);
	assert_string_equal(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha256_bytes(S("abc"), text);
	assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	memset(million, 'a', sizeof million);
	sha256_bytes(slice_of(million, sizeof million), text);
	assert_string_equal(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void test_files(void **state)
{
	char path[] = "/tmp/cs-sha-XXXXXX", text[SHA256_HEX_SIZE];
	int fd = mkstemp(path);
	struct cs_error err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "abc", 3), 3);
	close(fd);
	assert_int_equal(sha256_file(path, text, &err), CS_OK);
	assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	unlink(path);
	assert_int_equal(sha256_file(path, text, &err), CS_EMBEDDING_UNAVAILABLE);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(sha256_file("/tmp", text, &err), CS_EMBEDDING_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
