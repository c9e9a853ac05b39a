/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/fault.h"

#include "fs/core.h"
#include "fs/extent.h"
#include "fs/file.h"
#include "fs/mend.h"
#include "fs/node.h"
#include "fs/tx.h"

/* What is zeroed before the transactions that tell of it, and how often with the file locked. */
#define STEP_BLOCKS (32u * DDFS_CHUNK_BLOCKS)
#define STEPS_MAX   8u
#define STEP_RUNS   24u
/* Bytes of shadows after which a transaction ends: each run may be an entry of another leaf. */
#define STEP_ARENA (24u << 10)

/* Unwritten runs of one step. */
struct step {
	struct ddfs_map run[STEP_RUNS];
	unsigned int nr;
};

/* The next of [*at, last), at most STEP_BLOCKS; *at moves behind what was looked at. */
static int find_unwritten(struct ddfs_inode *ip, uint64_t *at, uint64_t last, struct step *s)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);
	uint64_t left = STEP_BLOCKS;

	s->nr = 0;
	while (*at < last && s->nr < STEP_RUNS && left) {
		struct ddfs_map *m = &s->run[s->nr];
		int err = ddfs_extent_lookup(ip->fs, NULL, di, (uint32_t)*at, m);

		if (err)
			return err;
		if (m->len > last - *at)
			m->len = (uint32_t)(last - *at);
		if (m->kind == DDFS_MAP_UNWRITTEN) {
			if (m->len > left)
				m->len = (uint32_t)left;
			left -= m->len;
			s->nr++;
		}
		*at += m->len;
	}
	return 0;
}

/* Durable before a transaction calls it written: nobody has it mapped, nor ever sees what was
 * there. */
static int zero(const struct ddfs_inode *ip, const struct step *s)
{
	struct ddfs_fs *fs = ip->fs;

	for (unsigned int i = 0; i < s->nr; i++) {
		const struct ddfs_map *m = &s->run[i];
		int err = ddfs_node_check_data(fs, ip->ino, m->pblk, m->len);

		if (err)
			return err;
		fs->media->ops->set(fs->media, ddfs_block_off(m->pblk), 0, ddfs_block_off(m->len));
	}
	return fs->media->ops->drain(fs->media);
}

/* As many of the runs from *i on as fit in one transaction. */
static int convert_some(
	struct ddfs_op *op, struct ddfs_inode *ip, const struct step *s, unsigned int *i)
{
	struct ddfs_inode_disk *di;
	int err = ddfs_op_tx_reserve(op);

	if (err)
		return err;
	di = ddfs_inode_edit(op->tx, ip);
	do {
		const struct ddfs_map *m = &s->run[*i];

		err = ddfs_extent_convert(op->tx, di, m->lblk, m->len, DDFS_MAP_WRITTEN);
		++*i;
	} while (!err && *i < s->nr && op->tx->arena_used < STEP_ARENA);
	return err ? err : ddfs_op_commit(op);
}

static int map_mended(struct ddfs_mend *d)
{
	int err = ddfs_op_tx_reserve(d->op);

	if (!err)
		err = ddfs_mend_map(d, ddfs_inode_edit(d->op->tx, d->ip));
	if (!err)
		err = ddfs_op_commit(d->op);
	return err;
}

/* Of what m, which is unwritten, has of bad blocks: those it begins with are zeroed and written. */
static int mend_some(struct ddfs_mend *d, struct ddfs_map *m)
{
	int err;

	if (!ddfs_mend_is_wanted(d->ip->fs, m))
		return 0;
	err = ddfs_node_check_data(d->ip->fs, d->ip->ino, m->pblk, m->len);
	if (!err)
		err = ddfs_mend_prepare(d, m);
	if (!err)
		err = DDFS_GUARDED(d->ip->fs, map_mended(d));
	ddfs_op_abort(d->op);
	m->len = d->bad.len;
	return ddfs_mend_finish(d, err);
}

/* Bad blocks among what is not written come first: each may move the unit that it lies in. */
static int mend_unwritten(struct ddfs_op *op, struct ddfs_inode *ip, uint64_t first, uint64_t last)
{
	struct ddfs_mend d = { .op = op,
		.ip = ip,
		.off = ddfs_block_off(first),
		.len = ddfs_block_off(last - first) };
	int err = 0;

	while (first < last && !err) {
		struct ddfs_map m;

		err = ddfs_extent_lookup(
			ip->fs, NULL, ddfs_inode_view(ip, NULL), (uint32_t)first, &m);
		if (!err && m.len > last - first)
			m.len = (uint32_t)(last - first);
		if (!err && m.kind == DDFS_MAP_UNWRITTEN)
			err = mend_some(&d, &m);
		first += m.len;
	}
	return err;
}

int ddfs_file_fault(struct ddfs_op *op, struct ddfs_inode *ip, uint64_t first, uint64_t last)
{
	int err = ddfs_file_allocate(op, ip, first, last);
	unsigned int steps = 0;

	if (!err && ddfs_bad_any(&ip->fs->bad))
		err = mend_unwritten(op, ip, first, last);
	while (!err && first < last) {
		unsigned int i = 0;
		struct step s;

		err = find_unwritten(ip, &first, last, &s);
		if (!err && s.nr && steps++ == STEPS_MAX)
			return 1;
		if (!err && s.nr)
			err = zero(ip, &s);
		while (!err && i < s.nr)
			err = convert_some(op, ip, &s, &i);
	}
	return err;
}
