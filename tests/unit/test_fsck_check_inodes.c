/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules of inodes, of what they have and of what leads to them: FORMAT.md 13.4, 13.8, 13.10 to
 * 13.12. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/fsck_rules.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define TYPE_DIR (S_IFDIR >> 12)

/* ---- slots ---------------------------------------------------------------------------------- */

static void slot_sum(struct rule_stage *s)
{
	rule_find(s, "file")->uid.raw ^= 1;
}

static void slot_magic(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "file");

	di->magic.raw ^= 1;
	RULE_SEAL(s, di);
}

static void slot_number(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "file");

	di->ino.raw ^= 1;
	RULE_SEAL(s, di);
}

static void slot_type(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "pipe");

	di->mode = ddfs_to16(0x3000 | 0644);
	RULE_SEAL(s, di);
}

static void slot_reserved(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_inode(s, 5);

	*di = *rule_find(s, "pipe");
	di->ino = ddfs_to32(5);
	RULE_SEAL(s, di);
}

static void slot_zombie(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "pipe");

	di->flags = ddfs_to32(DDFS_IFLAG_ZOMBIE);
	RULE_SEAL(s, di);
}

/* Nobody could clear them, nor remove what has them. */
static void frozen_pipe(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "pipe");

	di->flags = ddfs_to32(DDFS_FLAG_IMMUTABLE);
	RULE_SEAL(s, di);
}

static void frozen_link(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "link");

	di->flags = ddfs_to32(DDFS_FLAG_APPEND);
	RULE_SEAL(s, di);
}

static void frozen_file(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "file");

	di->flags = ddfs_to32(DDFS_FLAG_APPEND | DDFS_FLAG_IMMUTABLE);
	RULE_SEAL(s, di);
}

static void named_zombie(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "inline");

	di->flags = ddfs_to32(DDFS_IFLAG_ZOMBIE);
	RULE_SEAL(s, di);
}

static void root_generation(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_inode(s, DDFS_INO_ROOT);

	di->gen = ddfs_to32(1);
	RULE_SEAL(s, di);
}

/* ---- files ---------------------------------------------------------------------------------- */

static void behind_end(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "file");

	di->size = ddfs_to64(1);
	RULE_SEAL(s, di);
}

static void giant(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "inline");

	di->size = ddfs_to64(UINT64_C(1) << 44);
	RULE_SEAL(s, di);
}

static void nr_blocks(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "file");

	di->nr_blocks.raw ^= 1;
	RULE_SEAL(s, di);
}

static void dir_size(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "dir");

	di->size = ddfs_to64(ddfs_le64(di->size) + DDFS_BLOCK_BYTES);
	RULE_SEAL(s, di);
}

/* Of two owners the later one is told, whoever of the threads was first. */
static void shared(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "file");
	const struct ddfs_inode_disk *link = rule_find(s, "link");

	di->body.extent[0].start = link->body.extent[0].start;
	RULE_SEAL(s, di);
}

/* A block of "file" is the root of the tree of "extents", with all that it has. */
static void shared_node(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "inline");
	const struct ddfs_inode_disk *other = rule_find(s, "extents");

	di->body = other->body;
	di->depth = other->depth;
	di->size = other->size;
	RULE_SEAL(s, di);
}

/* ---- symlinks ------------------------------------------------------------------------------- */

static void link_empty(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "short link");

	di->size = ddfs_to64(0);
	RULE_SEAL(s, di);
}

static void link_long(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "link");

	di->size = ddfs_to64(4096);
	RULE_SEAL(s, di);
}

static void link_unwritten(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "link");

	di->body.extent[0].start.raw |= htole64(DDFS_EXTENT_UNWRITTEN);
	RULE_SEAL(s, di);
}

static void link_target(struct rule_stage *s)
{
	const struct ddfs_inode_disk *di = rule_find(s, "link");

	s->r.writable[ddfs_le64(di->body.extent[0].start) * DDFS_BLOCK_BYTES + 7] ^= 1;
}

/* ---- names ---------------------------------------------------------------------------------- */

static struct rule_record entry(struct rule_stage *s, const char *dir, const char *name)
{
	const struct ddfs_inode_disk *di = dir ? rule_find(s, dir) : rule_inode(s, DDFS_INO_ROOT);
	struct rule_record r = rule_record_find(s, ddfs_le64(di->body.root), name);

	ck_assert_msg(r.leaf, "%s", name);
	return r;
}

static void entry_to_free(struct rule_stage *s)
{
	struct rule_record r = entry(s, NULL, "pipe");
	struct ddfs_inode_disk *di = rule_find(s, "pipe");

	memset(di, 0, sizeof(*di));
	for (unsigned int i = 0; i < 2; i++) {
		struct ddfs_super *super = rule_super(s, i);

		super->nr_used_inodes = ddfs_to32(ddfs_le32(super->nr_used_inodes) - 1);
		super->first_free_inode = ddfs_to32(DDFS_INO_FIRST);
		rule_seal_super(s, i);
	}
	RULE_SEAL(s, r.leaf);
}

static void entry_type(struct rule_stage *s)
{
	struct rule_record r = entry(s, NULL, "pipe");

	r.record->type = S_IFREG >> 12;
	RULE_SEAL(s, r.leaf);
}

static void entry_slash(struct rule_stage *s)
{
	struct rule_record r = entry(s, NULL, "pipe");

	memcpy(r.record + 1, "p/pe", 4);
	RULE_SEAL(s, r.leaf);
}

static void nlink_file(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "pipe");

	di->nlink = ddfs_to32(2);
	RULE_SEAL(s, di);
}

static void nlink_dir(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "dir");

	di->nlink = ddfs_to32(3);
	RULE_SEAL(s, di);
}

static void nlink_root(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_inode(s, DDFS_INO_ROOT);

	di->nlink = ddfs_to32(2);
	RULE_SEAL(s, di);
}

static void parent(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "dir");

	di->parent = di->ino;
	RULE_SEAL(s, di);
}

static void lost_file(struct rule_stage *s)
{
	struct rule_record r = entry(s, NULL, "pipe");

	rule_record_kill(&r);
	RULE_SEAL(s, r.leaf);
}

static void add_links(struct rule_stage *s, struct ddfs_inode_disk *di, int links)
{
	di->nlink = ddfs_to32(ddfs_le32(di->nlink) + (uint32_t)links);
	RULE_SEAL(s, di);
}

/* An entry of a file, which ceases to be, gets to lead to a directory. */
static void lead_to_dir(struct rule_stage *s, struct rule_record *r, uint32_t dir)
{
	struct ddfs_inode_disk *di = rule_inode(s, rule_record_ino(r));

	memset(di, 0, sizeof(*di));
	for (unsigned int i = 0; i < 2; i++) {
		struct ddfs_super *super = rule_super(s, i);

		super->nr_used_inodes = ddfs_to32(ddfs_le32(super->nr_used_inodes) - 1);
		super->first_free_inode = ddfs_to32(DDFS_INO_FIRST);
		rule_seal_super(s, i);
	}
	rule_record_set(r, dir, TYPE_DIR);
	RULE_SEAL(s, r->leaf);
}

static void two_names(struct rule_stage *s)
{
	struct rule_record r = entry(s, NULL, "pipe");

	lead_to_dir(s, &r, stage_find(&s->img, "dir"));
	add_links(s, rule_inode(s, DDFS_INO_ROOT), 1);
}

/* The directory's only name is in itself. */
static void ring(struct rule_stage *s)
{
	struct ddfs_inode_disk *dir = rule_find(s, "dir");
	struct rule_record r = entry(s, "dir", "a name of some length 17");
	struct rule_record top = entry(s, NULL, "dir");

	lead_to_dir(s, &r, ddfs_le32(dir->ino));
	rule_record_kill(&top);
	RULE_SEAL(s, top.leaf);
	dir->parent = dir->ino;
	add_links(s, dir, 1);
	add_links(s, rule_inode(s, DDFS_INO_ROOT), -1);
}

/* ---- orphans -------------------------------------------------------------------------------- */

/* A file that is open, and removed; the filesystem is left as a crash leaves it. */
static void orphan(struct rule_stage *s)
{
	struct ddfs_fs *fs = ram_mount(&s->r, NULL);
	struct ddfs_inode *root = ram_root(fs), *ip = tree_get(root, "file");
	uint8_t *crash = malloc(STAGE_SIZE);

	ck_assert_int_eq(ddfs_open(ip, O_RDONLY, false, NULL), 0);
	ck_assert_int_eq(tree_unlink(root, "file"), 0);
	memcpy(crash, s->r.writable, STAGE_SIZE);
	ddfs_release(ip);
	ddfs_inode_put(ip);
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	memcpy(s->r.writable, crash, STAGE_SIZE);
	free(crash);
}

static struct rule_record only_orphan(struct rule_stage *s)
{
	const struct ddfs_inode_disk *di;
	uint32_t ino = stage_find(&s->img, "file");
	char name[9];

	orphan(s);
	di = rule_inode(s, DDFS_INO_ORPHAN);
	snprintf(name, sizeof(name), "%08x", ino);
	return rule_record_find(s, ddfs_le64(di->body.root), name);
}

static void orphan_name(struct rule_stage *s)
{
	struct rule_record r = only_orphan(s);

	memcpy(r.record + 1, "0000zzzz", 8);
	RULE_SEAL(s, r.leaf);
}

static void orphan_type(struct rule_stage *s)
{
	struct rule_record r = only_orphan(s);

	r.record->type = S_IFREG >> 12;
	RULE_SEAL(s, r.leaf);
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct rule rules[] = {
	{ "slot: checksum", slot_sum, "fails its checksum", 0, false, NULL },
	{ "slot: magic", slot_magic, "another magic", 0, false, NULL },
	{ "slot: number", slot_number, "another's number", 0, false, NULL },
	{ "slot: type", slot_type, "no known type", 0, false, NULL },
	{ "slot: reserved", slot_reserved, "inode 5 is in use", 0, false, NULL },
	{ "slot: zombie pipe", slot_zombie, "zombie, and no file", 0, false, NULL },
	{ "slot: immutable pipe", frozen_pipe, "immutable or append-only", 0, false, NULL },
	{ "slot: append-only link", frozen_link, "immutable or append-only", 0, false, NULL },
	{ "slot: immutable file", frozen_file, NULL, 0, false, NULL },
	{ "zombie with a name", named_zombie, "zombie, and has a name", 0, false, NULL },
	{ "root: generation", root_generation, "another generation", 0, false, NULL },
	{ "file: behind its end", behind_end, "behind its end", 0, false, NULL },
	{ "file: giant", giant, "a file can't have", 0, false, NULL },
	{ "file: nr_blocks", nr_blocks, "nr_blocks", 0, true, NULL },
	{ "directory: size", dir_size, "size is", 0, true, NULL },
	{ "shared data", shared, "that another has too", 0, false, NULL },
	{ "shared tree", shared_node, "that another has too", 0, false, NULL },
	{ "symlink: empty", link_empty, "a symlink can't have", 0, false, NULL },
	{ "symlink: long", link_long, "a symlink can't have", 0, false, NULL },
	{ "symlink: unwritten", link_unwritten, "not in one written block", 0, false, NULL },
	{ "symlink: target", link_target, "its target fails", 0, false, NULL },
	{ "entry to a free slot", entry_to_free, "leads to no inode", 0, false, NULL },
	{ "entry of another type", entry_type, "another type", 0, false, NULL },
	{ "entry: slash", entry_slash, "is no name", DDFS_FSCK_HASH_ANY, false, NULL },
	{ "nlink of a file", nlink_file, "nlink", 0, true, NULL },
	{ "nlink of a directory", nlink_dir, "nlink", 0, true, NULL },
	{ "nlink of the root", nlink_root, "nlink", 0, true, NULL },
	{ "parent", parent, "its parent is", 0, true, NULL },
	{ "a file without a name", lost_file, "no name leads to it", 0, false, NULL },
	{ "a directory of two names", two_names, "has 2 names", 0, false, NULL },
	{ "a directory in itself", ring, "lies in itself", 0, false, NULL },
	{ "orphan", orphan, NULL, 0, false, NULL },
	{ "orphan: name", orphan_name, "not called like its inode", DDFS_FSCK_HASH_ANY, false,
		NULL },
	{ "orphan: type", orphan_type, "not called like its inode", 0, false, NULL },
};
#define NR_RULES ((int)(sizeof(rules) / sizeof(rules[0])))

START_TEST(broken_rule)
{
	rule_try(&rules[_i]);
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = { { "rules of inodes", broken_rule, NR_RULES } };

	return suite_run("fsck_check_inodes", cases, 1);
}
