/* SPDX-License-Identifier: BSD-3-Clause */
/* The workloads themselves: each does what the model says, with no crash at all. */
#include <errno.h>
#include <string.h>

#include "tests/crash/crash.h"
#include "tests/unit/check_image.h"
#include "tests/unit/ram.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"

#define DEVICE_BYTES (16u << 20)

/* How many share one case: each is a process of its own, which ends if the model objects. */
#define SHARE 100u

static void run(const struct crash_workload *w)
{
	struct ddfs_fs_options opt = { .dax = w->dax, .atime = DDFS_ATIME_NOATIME };
	struct crash_world *world = crash_world_new(w);
	struct ddfs_fs *fs;
	struct ram ram;
	char why[256];

	ram_mkfs(&ram, DEVICE_BYTES, w->align_bytes);
	fs = ram_mount(&ram, &opt);
	crash_world_prepare(world, fs);
	for (unsigned int i = 0; i < crash_world_nr_ops(world); i++)
		crash_world_run(world, fs, i);
	crash_world_close(world, fs);
	ck_assert_msg(ddfs_fs_is_readonly(fs) || crash_use(fs, why), "%s: %s", w->text, why);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	ck_image(&ram.media);
	ram_fini(&ram);
	crash_world_delete(world);
}

static void run_some(enum crash_set set, uint64_t first, uint64_t nr)
{
	uint64_t seed = env_number("DDFS_SEED", 1);

	for (uint64_t i = first; i < first + nr && i < crash_set_size(set); i++) {
		struct crash_workload w;

		crash_workload_get(set, seed, i, &w);
		run(&w);
	}
}

START_TEST(test_singles)
{
	run_some(CRASH_SINGLES, (uint64_t)_i * 10, 10);
}
END_TEST

START_TEST(test_pairs)
{
	run_some(CRASH_PAIRS, (uint64_t)_i * SHARE, SHARE);
}
END_TEST

START_TEST(test_synced)
{
	run_some(CRASH_SYNCED, (uint64_t)_i * SHARE, SHARE);
}
END_TEST

START_TEST(test_triples)
{
	run_some(CRASH_TRIPLES, (uint64_t)_i * SHARE, SHARE);
}
END_TEST

START_TEST(test_long)
{
	run_some(CRASH_LONG, (uint64_t)_i * 20, 20);
}
END_TEST

START_TEST(test_sizes)
{
	ck_assert_uint_ge(crash_set_size(CRASH_SINGLES), 150);
	ck_assert_uint_ge(crash_set_size(CRASH_PAIRS), 72 * 72);
	ck_assert_uint_eq(crash_set_size(CRASH_PAIRS), crash_set_size(CRASH_SYNCED));
	ck_assert_uint_ge(crash_set_size(CRASH_TRIPLES), 2000);
	ck_assert_uint_ge(crash_set_size(CRASH_LONG), 100);
	ck_assert_uint_ge(crash_set_size(CRASH_TOGETHER), 100);
}
END_TEST

/* No single is there twice, and what a text says is what its workload has. */
START_TEST(test_texts)
{
	static struct crash_workload w[1000], again;
	uint64_t nr = crash_set_size(CRASH_SINGLES);

	ck_assert_uint_le(nr, sizeof(w) / sizeof(w[0]));
	for (uint64_t i = 0; i < nr; i++) {
		crash_workload_get(CRASH_SINGLES, 1, i, &w[i]);
		ck_assert_int_eq(crash_workload_parse(w[i].text, &again), 0);
		ck_assert_str_eq(again.text, w[i].text);
		ck_assert_int_eq(again.pinned, w[i].pinned);
		ck_assert_int_eq(again.dax, w[i].dax);
		ck_assert_uint_eq(again.align_bytes, w[i].align_bytes);
		for (uint64_t j = 0; j < i; j++)
			ck_assert_str_ne(w[j].text, w[i].text);
	}
}
END_TEST

/* One after the other, each does what the model says of it. */
START_TEST(test_together)
{
	run_some(CRASH_TOGETHER, (uint64_t)_i * SHARE, SHARE);
}
END_TEST

START_TEST(test_ampersand)
{
	static const char *const wrong[] = { "create a & ", "create a | & create b",
		"create a & create b & create c", "create a & create b; create c" };
	struct crash_workload w;

	ck_assert_int_eq(crash_workload_parse("create a | create b & unlink a", &w), 0);
	ck_assert(w.together);
	ck_assert_int_eq(crash_workload_parse("create a | create b; unlink a", &w), 0);
	ck_assert(!w.together);
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(crash_workload_parse(wrong[i], &w) == -EINVAL, "%s", wrong[i]);
}
END_TEST

static int shares(enum crash_set set, uint64_t share)
{
	return (int)((crash_set_size(set) + share - 1) / share);
}

int main(void)
{
	const struct suite_case cases[] = {
		{ "sizes", test_sizes, 0 },
		{ "texts", test_texts, 0 },
		{ "singles", test_singles, shares(CRASH_SINGLES, 10) },
		{ "pairs", test_pairs, shares(CRASH_PAIRS, SHARE) },
		{ "synced", test_synced, shares(CRASH_SYNCED, SHARE) },
		{ "triples", test_triples, shares(CRASH_TRIPLES, SHARE) },
		{ "together", test_together, shares(CRASH_TOGETHER, SHARE) },
		{ "ampersand", test_ampersand, 0 },
		{ "long", test_long, shares(CRASH_LONG, 20) },
	};

	return suite_run("crash_sets", cases, sizeof(cases) / sizeof(cases[0]));
}
