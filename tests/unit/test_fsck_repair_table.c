/* SPDX-License-Identifier: BSD-3-Clause */
/* Damage of the inode table's own inode and map, of which no inode comes to harm. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/repair_edit.h"
#include "tests/unit/suite.h"

/* ---- its inode ------------------------------------------------------------------------------ */

static void roots(struct healed *h, unsigned int how)
{
	if (how != 1)
		edit_bytes(h, DDFS_ROOT_BLOCK_OFF, 256, 0x33);
	if (how != 0)
		edit_bytes(h, STAGE_SIZE - 8192, 256, 0x33);
}

/* ---- its map -------------------------------------------------------------------------------- */

/* Of the map, all but the first block is gone. */
static void short_table(struct healed *h, unsigned int how)
{
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t off = i ? STAGE_SIZE - 8192 : DDFS_ROOT_BLOCK_OFF;
		struct ddfs_inode_disk di;

		memcpy(&di, h->healthy + off, sizeof(di));
		di.body.extent[0].len = ddfs_to32(1);
		/* A hole, or an extent that can't be. */
		di.nr_extents = ddfs_to16(2);
		di.body.extent[1] = (struct ddfs_extent){ ddfs_to32(how ? 0 : 2), ddfs_to32(1),
			ddfs_to64(how ? 1 : ddfs_le64(di.body.extent[0].start) + 2) };
		edit_store(h, off, &di, sizeof(di));
	}
}

/* A block of it so far behind that there can't be as many before it; or at the end of the numbers
 * that there are. */
static void huge_table(struct healed *h, unsigned int how)
{
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t off = i ? STAGE_SIZE - 8192 : DDFS_ROOT_BLOCK_OFF;
		struct ddfs_inode_disk di;

		memcpy(&di, h->healthy + off, sizeof(di));
		di.size = ddfs_to64(UINT64_C(1) << 40);
		di.nr_extents = ddfs_to16(2);
		di.body.extent[1] = (struct ddfs_extent){
			ddfs_to32(how ? UINT32_MAX / DDFS_INODES_PER_BLOCK - 1 : 1u << 27),
			ddfs_to32(1), ddfs_to64(STAGE_SIZE / 4096 - 3)
		};
		edit_store(h, off, &di, sizeof(di));
	}
}

/* The map has other extents, of blocks from the table's first one on. */
static void put_table_map(struct healed *h, const struct ddfs_extent *x, unsigned int nr)
{
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t off = i ? STAGE_SIZE - 8192 : DDFS_ROOT_BLOCK_OFF, first;
		struct ddfs_inode_disk di;

		memcpy(&di, h->healthy + off, sizeof(di));
		first = ddfs_le64(di.body.extent[0].start);
		memcpy(di.body.extent, x, nr * sizeof(*x));
		for (unsigned int k = 0; k < nr; k++)
			di.body.extent[k].start = ddfs_to64(ddfs_le64(x[k].start) + first);
		di.nr_extents = ddfs_to16((uint16_t)nr);
		edit_store(h, off, &di, sizeof(di));
	}
}

static uint32_t table_len(struct healed *h)
{
	const struct ddfs_inode_disk *di = (const void *)(h->healthy + DDFS_ROOT_BLOCK_OFF);

	return ddfs_le32(di->body.extent[0].len);
}

/* All blocks behind their places; or two that have changed theirs, so that there is no hole, and
 * nothing but the slots tells. */
static void moved_table(struct healed *h, unsigned int how)
{
	const struct ddfs_extent behind = { ddfs_to32(4), ddfs_to32(table_len(h)), ddfs_to64(0) };
	const struct ddfs_extent changed[] = {
		{ ddfs_to32(0), ddfs_to32(1), ddfs_to64(1) },
		{ ddfs_to32(1), ddfs_to32(1), ddfs_to64(0) },
		{ ddfs_to32(2), ddfs_to32(table_len(h) - 2), ddfs_to64(2) },
	};

	if (how)
		put_table_map(h, changed, 3);
	else
		put_table_map(h, &behind, 1);
}

/* One in two places: its own is the first, or the last. */
static void table_twice(struct healed *h, unsigned int how)
{
	const struct ddfs_extent first[] = {
		{ ddfs_to32(0), ddfs_to32(table_len(h) - 1), ddfs_to64(0) },
		{ ddfs_to32(table_len(h) - 1), ddfs_to32(1), ddfs_to64(0) },
	};
	const struct ddfs_extent last[] = {
		{ ddfs_to32(0), ddfs_to32(1), ddfs_to64(1) },
		{ ddfs_to32(1), ddfs_to32(table_len(h) - 1), ddfs_to64(1) },
	};

	put_table_map(h, how ? last : first, 2);
}

/* The map is a node, which it says is the table's last block or first one as well. */
static void table_node(struct healed *h, unsigned int how)
{
	const uint64_t blk = STAGE_SIZE / 4096 - 3;
	struct ddfs_node n = { .type = ddfs_to16(DDFS_NODE_EXTENT),
		.nr = ddfs_to16(2),
		.self = ddfs_to64(blk),
		.low = ddfs_to16(DDFS_BLOCK_BYTES) };
	uint32_t at = how ? 1 : table_len(h) - 1;
	uint64_t first;

	for (unsigned int i = 0; i < 2; i++) {
		uint64_t off = i ? STAGE_SIZE - 8192 : DDFS_ROOT_BLOCK_OFF;
		struct ddfs_inode_disk di;

		memcpy(&di, h->healthy + off, sizeof(di));
		first = ddfs_le64(di.body.extent[0].start);
		memset(&di.body, 0, sizeof(di.body));
		di.nr_extents = ddfs_to16(0);
		di.depth = 1;
		di.body.root = ddfs_to64(blk);
		edit_store(h, off, &di, sizeof(di));
	}
	const struct ddfs_extent x[] = {
		{ ddfs_to32(0), ddfs_to32(how ? 1 : at), ddfs_to64(how ? blk : first) },
		{ ddfs_to32(at), ddfs_to32(table_len(h) - at), ddfs_to64(how ? first + 1 : blk) },
	};

	memcpy(n.payload, x, sizeof(x));
	edit_store(h, blk * 4096, &n, sizeof(n));
}

/* ---- the rules ------------------------------------------------------------------------------ */

static const struct rule {
	const char *name;
	void (*damage)(struct healed *h, unsigned int how);
} rules[] = {
	{ "roots", roots },
	{ "short table", short_table },
	{ "huge table", huge_table },
	{ "moved table", moved_table },
	{ "block twice", table_twice },
	{ "own node", table_node },
};
#define NR_RULES (sizeof(rules) / sizeof(rules[0]))

START_TEST(rule)
{
	struct healed *h = malloc(sizeof(*h));
	const struct rule *r = &rules[_i / 2];
	struct harm harm = { .paths = false };
	char what[60];

	snprintf(what, sizeof(what), "%s %d", r->name, _i % 2);
	healed_begin(h);
	r->damage(h, (unsigned int)_i % 2);
	healed_repair(h, what);
	ck_assert_msg(h->result.nr_problems, "%s: nothing was found", what);
	healed_expect(h, &harm, what);
	healed_end(h);
	free(h);
}
END_TEST

/* Both roots at once. */
START_TEST(both_roots)
{
	struct healed *h = malloc(sizeof(*h));
	struct harm harm = { .paths = false };

	healed_begin(h);
	roots(h, 2);
	healed_repair(h, "both roots");
	healed_expect(h, &harm, "both roots");
	healed_end(h);
	free(h);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "rules", rule, 2 * NR_RULES },
		{ "both roots", both_roots, 0 },
	};

	return suite_run("fsck_repair_table", cases, sizeof(cases) / sizeof(cases[0]));
}
