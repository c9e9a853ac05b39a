/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/health.c: what a mount says of the one before, by what devices say of themselves. */
#include <fcntl.h>
#include <sys/stat.h>

#include "fs/csum.h"
#include "fs/format.h"
#include "fs/super.h"
#include "tests/unit/ram.h"
#include "tests/unit/suite.h"
#include "tests/unit/test_device_image.h"

static struct ram ram;
static struct ear ear;

static const struct ddfs_health first = { "8089-a2-1837-00002dfa", 3 };
static const struct ddfs_health again = { "8089-a2-1837-00002dfa", 5 };
static const struct ddfs_health other = { "8089-a2-1837-00009999", 9 };
static const struct ddfs_health none;

static struct ddfs_fs *mount(const struct ddfs_health *health, struct ddfs_recovery *r)
{
	const struct ddfs_fs_options opt = {
		.health = *health, .log = ear_listen, .log_arg = &ear
	};
	struct ddfs_fs *fs;

	ear.heard[0] = '\0';
	fs = ram_mount(&ram, &opt);
	ddfs_fs_recovery(fs, r);
	return fs;
}

/* One mount that ends well, or with the machine: then the superblock has another boot's id. */
static void first_mount(const struct ddfs_health *health, bool cleanly)
{
	struct ddfs_recovery r;
	struct ddfs_fs *fs;
	struct ddfs_super *s;
	struct ram crashed;

	ram_mkfs(&ram, 32 << 20, 4096);
	fs = mount(health, &r);
	ck_assert_int_eq(r.end, DDFS_END_CLEAN);
	ck_assert_str_eq(ear.heard, "");
	if (cleanly) {
		ck_assert_int_eq(ddfs_fs_close(fs), 0);
		return;
	}
	ram_copy_image(&crashed, &ram);
	ddfs_fs_close(fs);
	ram_fini(&ram);
	ram = crashed;
	s = (struct ddfs_super *)ram.writable;
	s->owner_boot_id[0] ^= 1;
	ddfs_csum_seal(DDFS_SUPER_SEED, 0, s, sizeof(*s));
}

static const struct health_case {
	const struct ddfs_health *before, *now;
	bool cleanly;
	enum ddfs_end end;
	uint64_t nr_unsafe;
	bool moved;
	const char *says; /* NULL: nothing */
} cases[] = {
	{ &none, &none, true, DDFS_END_CLEAN, 0, false, NULL },
	{ &first, &first, true, DDFS_END_CLEAN, 0, false, NULL },
	{ &none, &first, true, DDFS_END_CLEAN, 0, false, NULL },
	{ &first, &none, true, DDFS_END_CLEAN, 0, false, NULL },
	{ &first, &again, true, DDFS_END_CLEAN, 2, false,
		"counts 2 unsafe shutdowns since the last mount, 5 in all; the filesystem was not "
		"mounted then" },
	{ &none, &none, false, DDFS_END_MACHINE, 0, false,
		"the machine went down while it was mounted; recovered: 0 transactions finished, 0 "
		"unlinked files freed" },
	{ &first, &first, false, DDFS_END_MACHINE, 0, false, "the machine went down" },
	{ &first, &none, false, DDFS_END_MACHINE, 0, false, "the machine went down" },
	{ &first, &again, false, DDFS_END_UNSAFE, 2, false,
		"counts that as unsafe: what was written and not fsynced may be lost; recovered: 0 "
		"transactions" },
	{ &again, &first, false, DDFS_END_MACHINE, 0, false, "the machine went down" },
	{ &first, &other, true, DDFS_END_CLEAN, 0, true,
		"on device 8089-a2-1837-00009999 now and was on 8089-a2-1837-00002dfa" },
	{ &first, &other, false, DDFS_END_MACHINE, 0, true, "was moved" },
};
#define NR_CASES ((int)(sizeof(cases) / sizeof(cases[0])))

START_TEST(test_health)
{
	const struct health_case *c = &cases[_i];
	struct ddfs_recovery r;
	struct ddfs_super s;
	struct ddfs_fs *fs;

	first_mount(c->before, c->cleanly);
	fs = mount(c->now, &r);
	ck_assert_int_eq(r.end, c->end);
	ck_assert_uint_eq(r.nr_unsafe_shutdowns, c->nr_unsafe);
	ck_assert_int_eq(r.moved, c->moved);
	if (c->says)
		ck_assert_heard(&ear, c->says);
	else
		ck_assert_str_eq(ear.heard, "");
	/* For the next one. */
	memcpy(&s, ram.media.base, sizeof(s));
	ck_assert_int_eq(ddfs_le32(s.has_health), c->now->id[0] != '\0');
	ck_assert_uint_eq(ddfs_le64(s.unsafe_shutdowns), c->now->unsafe_shutdowns);
	ck_assert_int_eq(strncmp((char *)s.device_id, c->now->id, sizeof(s.device_id)), 0);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	ram_fini(&ram);
}
END_TEST

/* The daemon alone died: the machine, and what its caches held, are still there. */
START_TEST(test_daemon_died)
{
	struct ddfs_recovery r;
	struct ddfs_fs *fs;
	struct ram crashed;

	ram_mkfs(&ram, 32 << 20, 4096);
	fs = mount(&first, &r);
	ram_copy_image(&crashed, &ram);
	ddfs_fs_close(fs);
	ram_fini(&ram);
	ram = crashed;
	fs = mount(&again, &r);
	ck_assert_int_eq(r.end, DDFS_END_DAEMON);
	ck_assert_heard(&ear, "nothing that was written is lost");
	ddfs_fs_close(fs);
	ram_fini(&ram);
}
END_TEST

/* Longer than there is room for on media. */
START_TEST(test_long_id)
{
	struct ddfs_health longest = { .unsafe_shutdowns = 1 };
	struct ddfs_recovery r;
	struct ddfs_fs *fs;

	memset(longest.id, 'x', sizeof(longest.id) - 1);
	first_mount(&longest, true);
	fs = mount(&longest, &r);
	ck_assert(!r.moved);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	ram_fini(&ram);
}
END_TEST

int main(void)
{
	const struct suite_case suite[] = {
		{ "health", test_health, NR_CASES },
		{ "daemon died", test_daemon_died, 0 },
		{ "long id", test_long_id, 0 },
	};

	return suite_run("fs health", suite, sizeof(suite) / sizeof(suite[0]));
}
