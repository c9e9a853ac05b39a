/* SPDX-License-Identifier: BSD-3-Clause */
/* A removed file that is pinned. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "tests/unit/check_image.h"
#include "tests/unit/pin_stage.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

static int remove_file(struct pin_stage *s, bool over)
{
	if (over)
		return tree_rename(s->root, "other", s->root, "file", 0);
	return tree_unlink(s->root, "file");
}

/* A removed file stays until its pin ends, open or not, large or small; then all of it comes
 * back. */
START_TEST(removed)
{
	bool over = _i & 1, open = _i & 2, large = _i & 4;
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t free_before, id;

	stage_init(&s, 64 * MIB, BLK, NULL);
	ddfs_inode_put(stage_file(&s, "other", 0));
	free_before = stage_free(&s);
	ip = stage_file(&s, "file", 0);
	for (unsigned int i = 0; i < (large ? 500 : 5); i++)
		ck_assert_int_eq(tree_fill(ip, i * 2 * BLK, BLK, 'f'), (ssize_t)BLK);
	id = stage_pin(&s, ip, 0, 0, 0);
	if (open)
		ck_assert_int_eq(ddfs_open(ip, O_RDWR, false, NULL), 0);
	ck_assert_int_eq(remove_file(&s, over), 0);
	ck_assert_uint_le(stage_free(&s), free_before - (large ? 500 : 5));
	if (open && _i & 8) {
		ddfs_release(ip);
		open = false;
		ck_assert_uint_le(stage_free(&s), free_before - (large ? 500 : 5));
	}
	ck_assert(stage_reads(ip, 0, BLK, 'f'));
	ddfs_inode_put(ip);
	ck_image(&s.ram.media);
	stage_unpin(&s, id);
	if (open) {
		ck_assert_uint_le(stage_free(&s), free_before - (large ? 500 : 5));
		ddfs_release(ip);
	}
	ck_assert_uint_ge(stage_free(&s), free_before);
	ck_image(&s.ram.media);
	stage_fini(&s);
}
END_TEST

/* Its blocks are in no other file while it is pinned, however full the filesystem gets. */
START_TEST(removed_and_filled)
{
	struct ddfs_file_extent e;
	struct ddfs_pinned out;
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t off = 0;
	ssize_t n;

	stage_init(&s, 32 * MIB, BLK, NULL);
	ip = stage_file(&s, "file", MIB);
	ck_assert_int_eq(
		stage_pin_args(
			&s, ip, (struct ddfs_pin_args){ .mode = DDFS_PIN_MODE_WRITE }, &out, &e, 1),
		0);
	ck_assert_uint_eq(e.len, MIB);
	ddfs_inode_put(ip);
	ck_assert_int_eq(tree_unlink(s.root, "file"), 0);
	ip = stage_file(&s, "ballast", 0);
	while ((n = tree_fill(ip, off, 256 * KIB, 'b')) > 0)
		off += (uint64_t)n;
	ck_assert_int_eq(n, -ENOSPC);
	for (uint64_t i = 0; i < e.len; i++)
		ck_assert_int_eq(s.ram.writable[e.device_off + i], 'd');
	memset(s.ram.writable + e.device_off, 'D', e.len);
	ck_assert(stage_reads(ip, 0, off, 'b'));
	stage_unpin(&s, out.id);
	ck_assert_int_gt(tree_fill(ip, off, 256 * KIB, 'b'), 0);
	ddfs_inode_put(ip);
	ck_image(&s.ram.media);
	stage_fini(&s);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "removed", removed, 16 },
		{ "removed and filled", removed_and_filled, 0 },
	};

	return suite_run("fs_pin_unlink", cases, sizeof(cases) / sizeof(cases[0]));
}
