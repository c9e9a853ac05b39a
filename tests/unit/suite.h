/* SPDX-License-Identifier: BSD-3-Clause */
/* A Check suite from a table: what every test program's main is. */
#ifndef DDFS_TEST_SUITE_H
#define DDFS_TEST_SUITE_H

#include <check.h>
#include <stdlib.h>

struct suite_case {
	const char *name;
	const TTest *test;
	int loops; /* run with _i from 0 on; 0: once */
};

/* CTest limits the time. */
static inline Suite *suite_make(const char *name, const struct suite_case *cases, size_t nr)
{
	Suite *suite = suite_create(name);

	for (size_t i = 0; i < nr; i++) {
		TCase *tc = tcase_create(cases[i].name);

		tcase_set_timeout(tc, 0);
		tcase_add_loop_test(tc, cases[i].test, 0, cases[i].loops ? cases[i].loops : 1);
		suite_add_tcase(suite, tc);
	}
	return suite;
}

/* Returns what main returns. */
static inline int suite_run(const char *name, const struct suite_case *cases, size_t nr)
{
	SRunner *runner = srunner_create(suite_make(name, cases, nr));
	int nr_failed;

	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
