/* tgtest.h: a CUnit program from a table of tests. Exits 1 if any assertion failed.
 *
 *	static void wraps(void) { CU_ASSERT_EQUAL(...); }
 *	TG_TEST_MAIN("wheel", {"wraps", wraps}, {"fires once", fires_once})
 *
 * An argument on the command line runs only the tests whose name contains it.
 */
#ifndef TGTEST_H
#define TGTEST_H

#include <CUnit/Basic.h>
#include <string.h>

#define TG_TEST_MAIN(suite_name, ...) \
	int main(int argc, char **argv) \
	{ \
		static const struct { \
			const char *name; \
			CU_TestFunc fn; \
		} tests[] = {__VA_ARGS__}; \
		CU_pSuite suite; \
		unsigned int failed, ran; \
\
		if (CU_initialize_registry() != CUE_SUCCESS) \
			return 2; \
		suite = CU_add_suite(suite_name, NULL, NULL); \
		for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) \
			if (argc < 2 || strstr(tests[i].name, argv[1])) \
				CU_add_test(suite, tests[i].name, tests[i].fn); \
		CU_basic_set_mode(CU_BRM_VERBOSE); \
		CU_basic_run_tests(); \
		failed = CU_get_number_of_failures(); \
		ran = CU_get_number_of_tests_run(); \
		CU_cleanup_registry(); \
		return failed || !ran; \
	}

#endif
