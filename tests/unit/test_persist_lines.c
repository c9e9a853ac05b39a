/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where lines need a flush, each one that an operation stores to is flushed once before its fence,
 * and no other is; where they need none, none is, and as many are counted as elided. For every
 * kind of change that there is.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include "fs/fs.h"
#include "fs/mkfs.h"
#include "tests/unit/persist_ear.h"
#include "tests/unit/suite.h"

#define IMAGE_BYTES (96 * MIB)

/* What every operation is given. */
struct stage {
	struct persist_ear ear;
	struct ddfs_fs *fs;
	struct ddfs_inode *root;
	struct ddfs_inode *file; /* 300 KiB and 77 bytes, with a hole and an unwritten part */
	struct ddfs_inode *dax;	 /* 64 KiB, pinnable */
};

static uint8_t bytes[2 * MIB];

static void ok(ssize_t ret)
{
	ck_assert_msg(ret >= 0, "%s", strerror((int)-ret));
}

static struct ddfs_inode *make(struct stage *s, const char *name, uint32_t mode)
{
	const struct ddfs_new n = { .mode = mode,
		.target = S_ISLNK(mode) ? "a target that is longer than what fits into an inode, "
					  "which has room for sixty-four bytes of it"
					: NULL };
	struct ddfs_inode *ip;
	struct ddfs_entry e;

	ok(ddfs_create(s->root, name, strlen(name), &n, &e, NULL));
	ok(ddfs_inode_get(s->fs, e.attr.id, &ip));
	return ip;
}

static void make_put(struct stage *s, const char *name, uint32_t mode)
{
	ddfs_inode_put(make(s, name, mode));
}

static void write_at(struct ddfs_inode *ip, uint64_t off, size_t len)
{
	ck_assert_int_eq(ddfs_write(ip, off, bytes, len, 0), (ssize_t)len);
}

static void resize(struct ddfs_inode *ip, uint64_t size)
{
	ok(ddfs_setattr(ip, &(struct ddfs_attr){ .size = size }, DDFS_SET_SIZE, NULL, NULL));
}

/* ---- operations ----------------------------------------------------------------------------- */

static void do_create(struct stage *s)
{
	make_put(s, "new", S_IFREG | 0644);
}

static void do_mkdir(struct stage *s)
{
	make_put(s, "newdir", S_IFDIR | 0755);
	ok(ddfs_rmdir(s->root, "newdir", 6));
}

static void do_symlink(struct stage *s)
{
	make_put(s, "link", S_IFLNK | 0777);
}

static void do_mknod(struct stage *s)
{
	make_put(s, "fifo", S_IFIFO | 0600);
}

static void do_link_unlink(struct stage *s)
{
	struct ddfs_entry e;

	ok(ddfs_link(s->file, s->root, "second", 6, &e));
	ok(ddfs_unlink(s->root, "second", 6));
	ok(ddfs_unlink(s->root, "file", 4));
}

static void do_rename(struct stage *s)
{
	make_put(s, "d", S_IFDIR | 0755);
	ok(ddfs_rename(s->root, "file", 4, s->root, "moved", 5, 0));
	ok(ddfs_rename(s->root, "moved", 5, s->root, "d", 1, RENAME_EXCHANGE));
	make_put(s, "victim", S_IFREG | 0600);
	ok(ddfs_rename(s->root, "d", 1, s->root, "victim", 6, 0));
}

/* Enough for a tree of several levels to grow and to shrink again. */
static void do_many_names(struct stage *s)
{
	char name[200];

	memset(name, 'n', sizeof(name));
	for (unsigned int i = 0; i < 600; i++) {
		snprintf(name, 8, "%06u", i);
		name[6] = 'x';
		ok(ddfs_link(s->file, s->root, name, sizeof(name), &(struct ddfs_entry){ 0 }));
	}
	for (unsigned int i = 0; i < 600; i++) {
		snprintf(name, 8, "%06u", i);
		name[6] = 'x';
		ok(ddfs_unlink(s->root, name, sizeof(name)));
	}
}

static void do_many_inodes(struct stage *s)
{
	char name[16];

	for (unsigned int i = 0; i < 700; i++) {
		snprintf(name, sizeof(name), "i%u", i);
		make_put(s, name, S_IFREG | 0600);
	}
}

static void do_overwrite(struct stage *s)
{
	static const size_t lens[] = { 1, 7, 8, 63, 64, 65, 255, 256, 257, 4095, 4096, 100001 };

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		for (uint64_t off = 0; off < 130; off += 13)
			write_at(s->file, 4000 + off, lens[i]);
}

static void do_append(struct stage *s)
{
	struct ddfs_inode *ip = make(s, "appended", S_IFREG | 0600);
	uint64_t size = 0;

	for (size_t len = 1; len < 40000; len = len * 3 + 5) {
		write_at(ip, size, len);
		size += len;
	}
	ddfs_inode_put(ip);
}

/* Zeroes from the end of the file on, then bytes in the same line. */
static void do_write_behind_end(struct stage *s)
{
	struct ddfs_inode *ip = make(s, "behind", S_IFREG | 0600);

	write_at(ip, 0, 10);
	write_at(ip, 20, 10);
	write_at(ip, 200, 1);
	write_at(ip, 100000, 3);
	ddfs_inode_put(ip);
}

static void do_write_holes(struct stage *s)
{
	write_at(s->file, 150001, 5);
	write_at(s->file, 170000, 20000);
	write_at(s->file, 210001, 5); /* unwritten */
	write_at(s->file, 220000, 10000);
	write_at(s->file, 0, 2 * MIB);
}

static void do_truncate(struct stage *s)
{
	resize(s->file, 123457);
	resize(s->file, 200003);
	resize(s->file, 5);
	resize(s->file, 0);
}

/* A file of thousands of extents, so that its map has nodes. */
static void do_fragments(struct stage *s)
{
	struct ddfs_inode *ip = make(s, "fragments", S_IFREG | 0600);

	for (uint64_t i = 0; i < 1500; i++)
		write_at(ip, i * 8192, 100);
	ok(ddfs_fallocate(ip, FALLOC_FL_COLLAPSE_RANGE, 4096 * 300, 4096 * 300, NULL));
	ok(ddfs_fallocate(ip, FALLOC_FL_INSERT_RANGE, 4096 * 500, 4096 * 300, NULL));
	resize(ip, 4096 * 11);
	ddfs_inode_put(ip);
}

static void do_fallocate(struct stage *s)
{
	static const int modes[] = { 0, FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE };

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		ok(ddfs_fallocate(s->file, modes[i], 5001, 3, NULL));
		ok(ddfs_fallocate(s->file, modes[i], 10001, 30001, NULL));
		ok(ddfs_fallocate(s->file, modes[i], 290001, 60001, NULL));
	}
}

static void do_copy_range(struct stage *s)
{
	struct ddfs_inode *ip = make(s, "copy", S_IFREG | 0600);

	ok(ddfs_copy_range(s->file, 1, ip, 33, 250000, NULL));
	ddfs_inode_put(ip);
}

static void do_attributes(struct stage *s)
{
	const struct ddfs_attr a = { .mode = 0600, .uid = 3, .gid = 4, .mtime.tv_sec = 5 };

	ok(ddfs_setattr(s->file, &a, DDFS_SET_MODE | DDFS_SET_UID | DDFS_SET_GID, NULL, NULL));
	ok(ddfs_setattr(s->file, &a, DDFS_SET_MTIME, NULL, NULL));
	ok(ddfs_set_flags(s->file, DDFS_FLAG_NOATIME));
}

static void do_xattrs(struct stage *s)
{
	static const size_t lens[] = { 1, 20, 40, 500, 4000, 20000, 65536, 3 };
	char name[32];

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		snprintf(name, sizeof(name), "user.a%zu", i % 7);
		ok(ddfs_setxattr(s->file, name, bytes, lens[i], 0, false));
	}
	for (size_t i = 0; i < 7; i++) {
		snprintf(name, sizeof(name), "user.a%zu", i);
		ok(ddfs_removexattr(s->file, name));
	}
}

static void do_dax(struct stage *s)
{
	struct ddfs_file_extent extents[8];
	uint64_t next;

	write_at(s->dax, 100, 1000);
	write_at(s->dax, 100000, 7);
	ok(ddfs_fallocate(s->dax, 0, 0, 500000, NULL));
	ok(ddfs_layout_query(s->dax, 0, 500000, true, extents, 8, &next));
	ok(ddfs_sync_range(s->dax, 10, 300000));
	resize(s->dax, 70001);
}

/* Each makes a deep flush, whatever was stored, and is counted by its cause. */
static void do_syncs(struct stage *s)
{
	const struct ddfs_media_stats *stats = &s->ear.door->stats;
	unsigned long long before = stats->deep_flushes;

	write_at(s->file, 7, 1);
	ok(ddfs_fsync(s->file, true));
	ok(ddfs_fsync(s->file, false));
	ok(ddfs_write_sync(s->file, false));
	write_at(s->file, 7, 1);
	ok(ddfs_fs_sync(s->fs));
	ok(ddfs_sync_range(s->file, 0, 0));
	ddfs_fs_writeback(s->fs);
	ck_assert_uint_eq(stats->deep_flushes, before + 5);
	ck_assert_uint_eq(stats->syncs[DDFS_SYNC_FILE], 2);
	ck_assert_uint_eq(stats->syncs[DDFS_SYNC_WRITE], 1);
	ck_assert_uint_eq(stats->syncs[DDFS_SYNC_FS], 1);
	ck_assert_uint_eq(stats->syncs[DDFS_SYNC_RANGE], 1);
}

static void do_remount(struct stage *s)
{
	ddfs_inode_put(s->root);
	s->root = NULL;
	ok(ddfs_fs_remount(s->fs, &(struct ddfs_fs_options){ .readonly = true }));
	ck_assert_uint_gt(s->ear.door->stats.syncs[DDFS_SYNC_MOUNT], 1); /* and mkfs */
	ok(ddfs_fs_remount(s->fs, &(struct ddfs_fs_options){ .readonly = false }));
}

static void do_nothing(struct stage *s)
{
	(void)s;
}

static const struct operation {
	const char *name;
	void (*run)(struct stage *s);
} operations[] = {
	{ "mkfs, mount and unmount", do_nothing },
	{ "create", do_create },
	{ "mkdir, rmdir", do_mkdir },
	{ "symlink", do_symlink },
	{ "mknod", do_mknod },
	{ "link, unlink", do_link_unlink },
	{ "rename", do_rename },
	{ "many names", do_many_names },
	{ "many inodes", do_many_inodes },
	{ "overwrite", do_overwrite },
	{ "append", do_append },
	{ "write behind the end", do_write_behind_end },
	{ "write into holes", do_write_holes },
	{ "truncate", do_truncate },
	{ "fragments", do_fragments },
	{ "fallocate", do_fallocate },
	{ "copy_file_range", do_copy_range },
	{ "attributes", do_attributes },
	{ "extended attributes", do_xattrs },
	{ "DAX", do_dax },
	{ "syncs", do_syncs },
	{ "remount", do_remount },
};
#define NR_OPERATIONS ((int)(sizeof(operations) / sizeof(operations[0])))

/* ---- the stage ------------------------------------------------------------------------------ */

/* What has been stored has been flushed, line by line, and was counted. */
static void assert_exact(struct stage *s, const char *what)
{
	struct ddfs_media_stats *stats;
	uint64_t nr;

	s->ear.media.ops->drain(&s->ear.media);
	stats = ddfs_device_stats(s->ear.dev);
	nr = s->ear.nr_stored;
	ck_assert_msg(
		!s->ear.nr_wrong, "%s: %llu lines", what, (unsigned long long)s->ear.nr_wrong);
	ck_assert_msg(stats->lines_flushed == (s->ear.flushes ? nr : 0) &&
			      stats->lines_elided == (s->ear.flushes ? 0 : nr),
		"%s: %llu lines stored, %llu counted as flushed, %llu as elided", what,
		(unsigned long long)nr, stats->lines_flushed, stats->lines_elided);
}

static void stage_mount(struct stage *s)
{
	const struct ddfs_fs_options opt = { 0 };

	ok(ddfs_fs_open(&s->ear.media, &opt, &s->fs));
	ok(ddfs_inode_get(s->fs, DDFS_ID_ROOT, &s->root));
}

static void stage_init(struct stage *s, enum ddfs_persistence persistence)
{
	const struct ddfs_mkfs p = { .map_dev = true };
	struct ddfs_geometry g;

	memset(s, 0, sizeof(*s));
	persist_ear_init(&s->ear, IMAGE_BYTES, persistence);
	s->ear.talk = true;
	ok(ddfs_geometry_init(IMAGE_BYTES, 4096, p.map_dev, &g));
	ok(ddfs_mkfs(&s->ear.media, &p, &g));
	assert_exact(s, "mkfs");
	stage_mount(s);
	s->file = make(s, "file", S_IFREG | 0644);
	write_at(s->file, 0, 140000);
	ok(ddfs_fallocate(s->file, 0, 200000, 50000, NULL));
	write_at(s->file, 260000, 300 * 1024 + 77 - 260000);
	s->dax = make(s, "dax", S_IFREG | 0644);
	ok(ddfs_set_flags(s->dax, DDFS_FLAG_DAX));
	write_at(s->dax, 0, 65536);
	assert_exact(s, "what every case begins with");
}

static void stage_fini(struct stage *s)
{
	const atomic_ullong *syncs = &s->ear.door->stats.syncs[DDFS_SYNC_MOUNT];
	unsigned long long before = *syncs;

	ddfs_inode_put(s->file);
	ddfs_inode_put(s->dax);
	if (s->root)
		ddfs_inode_put(s->root);
	ok(ddfs_fs_close(s->fs));
	ck_assert_uint_eq(*syncs, before + 1);
	assert_exact(s, "unmount");
	persist_ear_fini(&s->ear);
}

START_TEST(test_lines)
{
	const struct operation *op = &operations[_i / 2];
	struct stage s;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + 1);
	stage_init(&s, _i % 2 ? DDFS_PERSISTENCE_CPU_CACHE : DDFS_PERSISTENCE_MEMORY_CONTROLLER);
	op->run(&s);
	assert_exact(&s, op->name);
	stage_fini(&s);
}
END_TEST

/* The ear hears what is wrong: a line flushed twice, one that is clean, one not flushed. */
START_TEST(test_ear)
{
	struct persist_ear ear;
	struct ddfs_media *m = &ear.media;

	persist_ear_init(&ear, IMAGE_BYTES, DDFS_PERSISTENCE_MEMORY_CONTROLLER);
	m->ops->set(m, 4096, 1, 64);
	m->ops->set(m, 4096, 1, 64);
	m->ops->drain(m);
	ck_assert_uint_eq(ear.nr_wrong, 1);
	m->ops->set(m, 4096, 1, 64);
	ear.door->ops->flush(ear.door, 8192, 64);
	m->ops->drain(m);
	ck_assert_uint_eq(ear.nr_wrong, 2);
	ear.flushes = false;
	m->ops->set(m, 4096, 1, 8);
	m->ops->drain(m);
	ck_assert_uint_eq(ear.nr_wrong, 3);
	persist_ear_fini(&ear);
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = {
		{ "ear", test_ear, 0 },
		{ "lines", test_lines, 2 * NR_OPERATIONS },
	};

	return run_suite(suite_make("persist lines", cases, sizeof(cases) / sizeof(cases[0])));
}
