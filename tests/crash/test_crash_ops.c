/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of workloads and operations, and the model's own objections. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/crash/world.h"
#include "tests/unit/ram.h"
#include "tests/unit/suite.h"

/* ---- parsing -------------------------------------------------------------------------------- */

START_TEST(test_parse)
{
	struct crash_op op;

	ck_assert_int_eq(op_parse("fallocate d/x~10 punch 4K 2M", 3, &op), 0);
	ck_assert_str_eq(op.kind->name, "fallocate");
	ck_assert_str_eq(op.path, "d/x_________");
	ck_assert_str_eq(op.word, "punch");
	ck_assert_uint_eq(op.n[0], 4096);
	ck_assert_uint_eq(op.n[1], 2u << 20);
	ck_assert_str_eq(op.text, "fallocate d/x~10 punch 4K 2M");
	op_fini(&op);
	ck_assert_int_eq(op_parse("chmod / 0755", 0, &op), 0);
	ck_assert_str_eq(op.path, "");
	ck_assert_uint_eq(op.n[0], 0755);
	op_fini(&op);
	ck_assert_int_eq(op_parse("rename a~256/b c", 0, &op), 0);
	ck_assert_uint_eq(strlen(op.path), 258);
	ck_assert_str_eq(op.to, "c");
	ck_assert_str_eq(op.word, "");
	op_fini(&op);
}
END_TEST

static const char *const bad_texts[] = {
	"",
	"|",
	"create a |",
	"creat a",
	"create",
	"create a b c",
	"write a 0",
	"write a 0 x",
	"write a 0 1 2 3",
	"chmod a 0999",
	"truncate a",
	"create a; many d 0 5 5",
	"create a | fill a 3",
	"with daxx; create a | unlink a",
	"create a; with pinned | unlink a",
	"rename a | unlink a",
	"fallocate a 0 1",
};

START_TEST(test_refused)
{
	struct crash_workload w;

	ck_assert_msg(crash_workload_parse(bad_texts[_i], &w) == -EINVAL, "'%s'", bad_texts[_i]);
}
END_TEST

START_TEST(test_too_long)
{
	char text[CRASH_TEXT + 16];
	struct crash_workload w;

	memset(text, ' ', sizeof(text));
	memcpy(text, "create a", 8);
	text[CRASH_TEXT - 1] = 0;
	ck_assert_int_eq(crash_workload_parse(text, &w), 0);
	text[CRASH_TEXT - 1] = ' ';
	text[CRASH_TEXT] = 0;
	ck_assert_int_eq(crash_workload_parse(text, &w), -EINVAL);
}
END_TEST

START_TEST(test_with)
{
	struct crash_workload w;
	struct crash_world *world;

	ck_assert_int_eq(
		crash_workload_parse(
			"with pinned dax=always align=2M;create a;  fsync a |unlink a ; sync", &w),
		0);
	ck_assert(w.pinned);
	ck_assert_int_eq(w.dax, DDFS_DAX_ALWAYS);
	ck_assert_uint_eq(w.align_bytes, 2u << 20);
	world = crash_world_new(&w);
	ck_assert_uint_eq(world->nr_prepare, 2);
	ck_assert_uint_eq(crash_world_nr_ops(world), 2);
	ck_assert_str_eq(crash_world_op_text(world, 0), "unlink a");
	ck_assert_str_eq(crash_world_op_text(world, 1), "sync");
	ck_assert(!crash_world_is_sync(world, 0));
	ck_assert(crash_world_is_sync(world, 1));
	crash_world_delete(world);
	ck_assert_int_eq(crash_workload_parse("create a", &w), 0);
	ck_assert(!w.pinned);
	ck_assert_int_eq(w.dax, DDFS_DAX_INODE);
	ck_assert_uint_eq(w.align_bytes, 4096);
}
END_TEST

/* What one operation writes no other does, and never what nobody may see. */
START_TEST(test_pattern)
{
	uint8_t a[4096], b[4096], part[100];
	struct crash_op one = { .nr = 1 }, two = { .nr = 2 };

	op_pattern(&one, 0, a, sizeof(a));
	op_pattern(&two, 0, b, sizeof(b));
	op_pattern(&one, 333, part, sizeof(part));
	ck_assert_mem_eq(part, a + 333, sizeof(part));
	ck_assert_ptr_null(memchr(a, 0, sizeof(a)));
	ck_assert_ptr_null(memchr(a, CRASH_STALE, sizeof(a)));
	for (size_t i = 0; i < sizeof(a); i += 8) {
		ck_assert_mem_ne(a + i, b + i, 8);
		for (size_t j = 0; j < i; j += 8)
			ck_assert_mem_ne(a + i, a + j, 8);
	}
}
END_TEST

/* ---- what is not as the model has it ends the test ------------------------------------------ */

static struct ddfs_fs *mount(struct ram *ram)
{
	struct ddfs_fs_options opt = { .atime = DDFS_ATIME_NOATIME };

	ram_mkfs(ram, 16u << 20, 4096);
	return ram_mount(ram, &opt);
}

static void behind_its_back(struct ddfs_fs *fs, unsigned int what)
{
	struct ddfs_inode *root = ram_root(fs), *ip;
	struct ddfs_entry e;
	int err = ddfs_lookup(root, "a", 1, &e);

	err = err ? err : ddfs_inode_get(fs, e.attr.id, &ip);
	ck_assert_int_eq(err, 0);
	if (what == 0)
		err = ddfs_link(ip, root, "b", 1, NULL);
	else if (what == 1)
		err = ddfs_write(ip, 100, "x", 1, 0) - 1;
	else if (what == 2)
		err = ddfs_setxattr(ip, "user.x", "x", 1, 0, false);
	else if (what == 3)
		err = ddfs_set_flags(ip, DDFS_FLAG_NOATIME);
	else if (what == 4)
		err = ddfs_setattr(
			ip, &(struct ddfs_attr){ .size = 5001 }, DDFS_SET_SIZE, NULL, NULL);
	else
		err = ddfs_unlink(root, "a", 1);
	ck_assert_int_eq(err, 0);
	ddfs_inode_put(ip);
	ddfs_inode_put(root);
}

START_TEST(test_objects)
{
	struct crash_workload w;
	struct crash_world *world;
	struct ddfs_fs *fs;
	struct ram ram;

	ck_assert_int_eq(crash_workload_parse("create a; write a 0 5000 | create c", &w), 0);
	world = crash_world_new(&w);
	fs = mount(&ram);
	crash_world_prepare(world, fs);
	behind_its_back(fs, (unsigned int)_i);
	crash_world_run(world, fs, 0);
}
END_TEST

/* ---- use ------------------------------------------------------------------------------------ */

/* What is read-only can't be used; what can be is empty afterwards. */
START_TEST(test_use)
{
	struct ddfs_fs_options ro = { .readonly = true };
	struct ddfs_fs_options rw = { .atime = DDFS_ATIME_NOATIME };
	struct crash_snap *snap;
	struct ddfs_fs *fs;
	struct ram ram;
	char why[256];

	fs = mount(&ram);
	ck_assert_int_eq(ddfs_fs_remount(fs, &ro), 0);
	ck_assert(!crash_use(fs, why));
	ck_assert_str_ne(why, "");
	ck_assert_int_eq(ddfs_fs_remount(fs, &rw), 0);
	ck_assert_msg(crash_use(fs, why), "%s", why);
	snap = crash_snap_take(fs, why);
	ck_assert_msg(snap != NULL, "%s", why);
	ck_assert_uint_eq(snap->nr, 1);
	crash_snap_delete(snap);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	ram_fini(&ram);
}
END_TEST

static Suite *make_suite(void)
{
	const struct suite_case cases[] = {
		{ "parse", test_parse, 0 },
		{ "refused", test_refused, sizeof(bad_texts) / sizeof(bad_texts[0]) },
		{ "too_long", test_too_long, 0 },
		{ "with", test_with, 0 },
		{ "pattern", test_pattern, 0 },
		{ "use", test_use, 0 },
	};
	Suite *suite = suite_make("crash_ops", cases, sizeof(cases) / sizeof(cases[0]));
	TCase *objects = tcase_create("objects");

	tcase_set_timeout(objects, 0);
	tcase_add_loop_test_raise_signal(objects, test_objects, SIGABRT, 0, 6);
	suite_add_tcase(suite, objects);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(make_suite());
	int nr_failed;

	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
