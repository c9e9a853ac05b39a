/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/poison_stage.h"

#include <errno.h>
#include <stdio.h>

#include "fs/core.h"
#include "tests/unit/check_image.h"
#include "tests/unit/poison_ops.h"
#include "tests/unit/tree.h"

/* ---- the device ----------------------------------------------------------------------------- */

static struct poison_stage *stage_of(struct ddfs_media *m)
{
	return (struct poison_stage *)m;
}

void poison_page(struct poison_stage *s, uint64_t off)
{
	s->poisoned = off;
	ram_poison(&s->ram, off);
}

void poison_heal(struct poison_stage *s)
{
	if (s->poisoned != UINT64_MAX)
		ram_heal(&s->ram, s->poisoned);
	s->poisoned = UINT64_MAX;
}

static int clear_poison(struct ddfs_media *m, uint64_t off, size_t len)
{
	struct poison_stage *s = stage_of(m);

	if (!s->clears)
		return -EOPNOTSUPP;
	if (s->poisoned >= off && s->poisoned < off + len)
		poison_heal(s);
	return 0;
}

static void note_store(void *arg, uint64_t off, size_t len)
{
	struct poison_stage *s = arg;

	/* A lane is emptied by a store of its header alone. */
	if (off >= s->lanes_off && off < s->lanes_end && len > sizeof(struct ddfs_lane_header))
		s->nr_commits++;
}

static void note_drain(void *arg)
{
	(void)arg;
}

/* ---- the image ------------------------------------------------------------------------------ */

static void fill_dir(struct ddfs_inode *root)
{
	struct ddfs_inode *d = tree_make_get(root, "dir", S_IFDIR | 0755);
	char name[60];

	for (unsigned int i = 0; i < 150; i++) {
		snprintf(name, sizeof(name), "a name of some length %u", i);
		ck_assert_int_eq(tree_make(d, name, S_IFREG | 0644), 0);
	}
	ck_assert_int_eq(tree_make(d, "sub", S_IFDIR | 0755), 0);
	ddfs_inode_put(d);
}

static void fill_extents(struct ddfs_inode *root, const char *name, unsigned int nr, bool dax)
{
	struct ddfs_inode *ip = tree_make_get(root, name, S_IFREG | 0644);

	if (dax)
		ck_assert_int_eq(ddfs_set_flags(ip, DDFS_FLAG_DAX), 0);
	for (unsigned int i = 0; i < nr; i++)
		ck_assert_int_eq(tree_fill(ip, (uint64_t)i * 8192, 4096, (int)i), 4096);
	ddfs_inode_put(ip);
}

static void fill_xattrs(struct ddfs_inode *root)
{
	struct ddfs_inode *ip = tree_make_get(root, "xattrs", S_IFREG | 0644);
	uint8_t value[9000] = { 7 };
	char name[60];

	ck_assert_int_eq(tree_fill(ip, 0, 10000, 'f'), 10000);
	ck_assert_int_eq(ddfs_setxattr(ip, "user.large", value, sizeof(value), 0, false), 0);
	for (unsigned int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "user.of some length or other %u", i);
		ck_assert_int_eq(ddfs_setxattr(ip, name, value, 100, 0, false), 0);
	}
	ddfs_inode_put(ip);
}

static void populate(struct ddfs_inode *root)
{
	char target[301];
	struct ddfs_new n = { .mode = S_IFLNK | 0777, .target = target };
	struct ddfs_entry e;

	memset(target, 't', 300);
	target[300] = 0;
	ck_assert_int_eq(ddfs_create(root, "link", 4, &n, &e, NULL), 0);
	ck_assert_int_eq(tree_make(root, "short", S_IFLNK | 0777), 0);
	ck_assert_int_eq(tree_make(root, "pipe", S_IFIFO | 0644), 0);
	ck_assert_int_eq(tree_make(root, "empty", S_IFDIR | 0755), 0);
	fill_dir(root);
	fill_extents(root, "extents", 300, false);
	fill_extents(root, "dax", 6, true);
	fill_extents(root, "small", 3, false);
	fill_xattrs(root);
}

/* Open and without a name. */
static void orphan(struct ddfs_inode *root, const char *name, struct ddfs_inode **ip)
{
	*ip = tree_get(root, name);
	ck_assert_int_eq(ddfs_open(*ip, 0, false, NULL), 0);
	ck_assert_int_eq(tree_unlink(root, name), 0);
}

static void build(struct poison_stage *s, bool crash)
{
	struct ddfs_inode *root, *ip[2];
	struct ddfs_fs *fs;

	ram_mkfs(&s->ram, POISON_SIZE, 4096);
	fs = ram_mount(&s->ram, NULL);
	root = ram_root(fs);
	populate(root);
	if (crash) {
		fill_extents(root, "orphan", 120, false);
		fill_extents(root, "another", 2, false);
		orphan(root, "orphan", &ip[0]);
		orphan(root, "another", &ip[1]);
		memcpy(s->healthy, s->ram.writable, POISON_SIZE);
		for (unsigned int i = 0; i < 2; i++) {
			ddfs_release(ip[i]);
			ddfs_inode_put(ip[i]);
		}
	}
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	if (!crash)
		memcpy(s->healthy, s->ram.writable, POISON_SIZE);
}

/* ---- its pages ------------------------------------------------------------------------------ */

static void add(struct poison_stage *s, uint64_t off, enum poison_part part, bool first)
{
	ck_assert_uint_lt(s->nr_pages, POISON_PAGES);
	s->page[s->nr_pages++] = (struct poison_page){ off, part, first };
}

/* The first page of a table, and the last. */
static void add_table(struct poison_stage *s, uint64_t off, uint64_t len, enum poison_part part)
{
	add(s, off, part, true);
	if (len > DDFS_BLOCK_BYTES)
		add(s, (off + len - 1) & ~UINT64_C(4095), part, false);
}

static void add_fixed(struct poison_stage *s)
{
	const struct ddfs_super *super = (const void *)s->healthy;
	uint64_t lanes = ddfs_le64(super->lanes_off);

	add(s, DDFS_ROOT_BLOCK_OFF, POISON_ROOT_BLOCK, true);
	add(s, POISON_SIZE - 8192, POISON_ROOT_BLOCK, false);
	add(s, 0, POISON_SUPER, true);
	add(s, POISON_SIZE - 4096, POISON_SUPER, false);
	add(s, DDFS_GROUP_TABLE_OFF, POISON_GROUPS, true);
	for (uint32_t i = 0; i < ddfs_le32(super->nr_lanes); i++)
		add_table(s, lanes + i * DDFS_LANE_BYTES, DDFS_LANE_BYTES, POISON_LANE);
	add(s, ddfs_le64(super->chunk_table_off), POISON_CHUNKS, true);
	add_table(s, ddfs_le64(super->pins_off), ddfs_le64(super->pins_bytes), POISON_PINS);
	add_table(s, ddfs_le64(super->bad_off), ddfs_le64(super->bad_bytes), POISON_BAD);
	s->lanes_off = lanes;
	s->lanes_end = lanes + (uint64_t)ddfs_le32(super->nr_lanes) * DDFS_LANE_BYTES;
}

static void add_table_blocks(struct poison_stage *s)
{
	const struct ddfs_inode_disk *t = (const void *)(s->healthy + DDFS_ROOT_BLOCK_OFF);

	for (unsigned int i = 0; i < ddfs_le16(t->nr_extents); i++)
		for (uint32_t n = 0; n < ddfs_le32(t->body.extent[i].len); n++)
			add(s, (ddfs_le64(t->body.extent[i].start) + n) * DDFS_BLOCK_BYTES,
				POISON_INODES, !i && !n);
}

static bool is_node(const struct poison_stage *s, uint64_t off)
{
	const struct ddfs_node *n = (const void *)(s->healthy + off);

	return ddfs_le64(n->self) == off / DDFS_BLOCK_BYTES &&
	       ddfs_csum_holds(ddfs_le32(((const struct ddfs_super *)s->healthy)->csum_seed), off,
		       n, sizeof(*n));
}

static void add_blocks(struct poison_stage *s)
{
	const struct ddfs_super *super = (const void *)s->healthy;

	for (uint64_t off = ddfs_le64(super->data_off); off < POISON_SIZE - 8192; off += 4096) {
		if (is_node(s, off))
			add(s, off, POISON_NODE, false);
		else if (!memcmp(s->healthy + off, "tttttttttttttttt", 16))
			add(s, off, POISON_TARGET, false);
	}
}

void poison_init(struct poison_stage *s, bool crash)
{
	memset(s, 0, sizeof(*s));
	s->healthy = malloc(POISON_SIZE);
	s->poisoned = UINT64_MAX;
	build(s, crash);
	add_fixed(s);
	add_table_blocks(s);
	add_blocks(s);
	s->ops = *s->ram.media.ops;
	s->ops.clear_poison = clear_poison;
	s->ram.media.ops = &s->ops;
	s->ear = (struct ram_ear){ note_store, note_drain, s };
	s->ram.ear = &s->ear;
	s->clears = true;
}

void poison_fini(struct poison_stage *s)
{
	poison_heal(s);
	ram_fini(&s->ram);
	free(s->healthy);
	free(s);
}

void poison_reset(struct poison_stage *s)
{
	poison_heal(s);
	memcpy(s->ram.writable, s->healthy, POISON_SIZE);
	s->nr_commits = 0;
}

int poison_mount(struct poison_stage *s, bool readonly, struct ddfs_fs **fs)
{
	struct ddfs_fs_options opt = { .readonly = readonly, .log = ram_log_nothing };

	if (getenv("DDFS_POISON_LOG"))
		opt.log = ram_log;
	return ddfs_fs_open(&s->ram.media, &opt, fs);
}

/* ---- what must hold afterwards -------------------------------------------------------------- */

static void check_free(pthread_mutex_t *lock)
{
	ck_assert_int_eq(pthread_mutex_trylock(lock), 0);
	pthread_mutex_unlock(lock);
}

static void check_rwlock(pthread_rwlock_t *lock)
{
	ck_assert_int_eq(pthread_rwlock_trywrlock(lock), 0);
	pthread_rwlock_unlock(lock);
}

static void check_inodes(struct ddfs_fs *fs)
{
	for (unsigned int i = 0; i < DDFS_ICACHE_SHARDS; i++) {
		struct ddfs_icache_shard *s = &fs->icache.shards[i];

		check_free(&s->lock);
		for (unsigned int b = 0; b < DDFS_ICACHE_BUCKETS; b++) {
			for (struct ddfs_inode *ip = s->bucket[b]; ip; ip = ip->hash_next) {
				/* Those whose times could not be written are on no list. */
				unsigned int mine = ip->ino == DDFS_INO_ROOT || ip == fs->orphans;

				ck_assert_msg(ip->refs == mine, "inode %u: %u references", ip->ino,
					ip->refs);
				check_rwlock(&ip->lock);
				check_free(&ip->tlock);
			}
		}
	}
}

static void check_counts(struct poison_stage *s, struct ddfs_fs *fs)
{
	int64_t nr_free = atomic_load(&fs->alloc.nr_free);
	struct image_summary sum;

	image_check(s->ram.media.base, POISON_SIZE, 0, &sum);
	ck_assert_uint_eq(sum.nr_problems, 0);
	/* Of a clean mount the counts are those that were saved, whatever could be read. */
	if (!fs->recovery.was_clean && fs->unsure)
		return;
	ck_assert_int_le(nr_free, (int64_t)sum.nr_free);
	ck_assert_int_ge(nr_free + (int64_t)ddfs_bad_count(fs), (int64_t)sum.nr_free);
	ck_assert_uint_eq(fs->itable.nr_used, sum.nr_inodes);
}

void poison_check_idle(struct poison_stage *s, struct ddfs_fs *fs)
{
	ddfs_fs_sync(fs);
	check_inodes(fs);
	for (uint32_t i = 0; i < fs->alloc.nr_groups; i++) {
		check_free(&fs->alloc.groups[i].lock);
		check_free(&fs->alloc.groups[i].media_lock);
	}
	check_free(&fs->itable.lock);
	check_rwlock(&fs->itable.map_lock);
	check_free(&fs->rename_lock);
	check_free(&fs->dirty_lock);
	check_free(&fs->super_lock);
	check_free(&fs->pins.held.lock);
	check_free(&fs->pins.records.lock);
	check_free(&fs->bad.lock);
	ck_assert_uint_eq(fs->itable.nr_pending, 0);
	ck_assert_uint_eq(fs->lanes.free, fs->lanes.usable);
	if (s->poisoned == UINT64_MAX)
		check_counts(s, fs);
}

void poison_check_image(struct poison_stage *s)
{
	struct image_summary sum;
	struct ddfs_inode *root;
	struct ddfs_fs *fs;

	ck_image(&s->ram.media);
	ck_assert_int_eq(poison_mount(s, false, &fs), 0);
	root = ram_root(fs);
	poison_remove_all(root);
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	image_check(s->ram.media.base, POISON_SIZE, 0, &sum);
	ck_assert_uint_eq(sum.nr_problems, 0);
	ck_assert_uint_eq(sum.nr_inodes, 0);
	ck_assert_uint_eq(sum.nr_orphans, 0);
	ck_assert(sum.clean);
}
