/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/node.h"

#include <string.h>

#include "fs/core.h"
#include "fs/tx.h"

static bool is_verified(const struct ddfs_fs *fs, uint64_t blk)
{
	return atomic_load_explicit(&fs->verified[blk / 64], memory_order_acquire) >> (blk % 64) &
	       1;
}

void ddfs_node_set_verified(struct ddfs_fs *fs, uint64_t blk)
{
	uint64_t chunk = blk / DDFS_CHUNK_BLOCKS, bit = UINT64_C(1) << (chunk % 64);
	_Atomic uint64_t *word = &fs->node_chunks[chunk / 64];

	if (!(atomic_load_explicit(word, memory_order_relaxed) & bit))
		atomic_fetch_or(word, bit);
	atomic_fetch_or_explicit(
		&fs->verified[blk / 64], UINT64_C(1) << (blk % 64), memory_order_release);
}

/* The first chunk of [chunk, end) that may have a node; end if there is none. */
static uint64_t next_chunk(const struct ddfs_fs *fs, uint64_t chunk, uint64_t end)
{
	while (chunk < end) {
		uint64_t bits =
			atomic_load_explicit(&fs->node_chunks[chunk / 64], memory_order_relaxed);

		bits >>= chunk % 64;
		if (bits) {
			chunk += (uint64_t)__builtin_ctzll(bits);
			break;
		}
		chunk = (chunk / 64 + 1) * 64;
	}
	return chunk < end ? chunk : end;
}

static bool any_verified(const struct ddfs_fs *fs, uint64_t blk, uint64_t end)
{
	while (blk < end) {
		uint64_t left = 64 - blk % 64 < end - blk ? 64 - blk % 64 : end - blk;
		uint64_t mask = (UINT64_MAX >> (64 - left)) << (blk % 64);

		if (atomic_load_explicit(&fs->verified[blk / 64], memory_order_relaxed) & mask)
			return true;
		blk += left;
	}
	return false;
}

/* Whether any of n blocks is known to be a node. */
static bool any_node(const struct ddfs_fs *fs, uint64_t blk, uint64_t n)
{
	uint64_t end = blk + n, last = (end + DDFS_CHUNK_BLOCKS - 1) / DDFS_CHUNK_BLOCKS;
	uint64_t chunk = next_chunk(fs, blk / DDFS_CHUNK_BLOCKS, last);

	for (; chunk < last; chunk = next_chunk(fs, chunk + 1, last)) {
		uint64_t from = chunk * DDFS_CHUNK_BLOCKS, to = from + DDFS_CHUNK_BLOCKS;

		if (any_verified(fs, from > blk ? from : blk, to < end ? to : end))
			return true;
	}
	return false;
}

int ddfs_node_check_data(struct ddfs_fs *fs, uint32_t ino, uint64_t blk, uint64_t n)
{
	if (!any_node(fs, blk, n))
		return 0;
	return ddfs_corrupt(fs, "inode %u: its data lies on a tree node", ino);
}

void ddfs_node_forget(struct ddfs_fs *fs, struct ddfs_range r)
{
	for (uint64_t b = r.start; b < r.start + r.len;) {
		_Atomic uint64_t *word = &fs->verified[b / 64];
		uint64_t n = 64 - b % 64 < r.start + r.len - b ? 64 - b % 64 : r.start + r.len - b;
		uint64_t mask = (n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1) << (b % 64);

		/* Reading first keeps the pages of this map that were never written unwritten. */
		if (atomic_load_explicit(word, memory_order_relaxed) & mask)
			atomic_fetch_and(word, ~mask);
		b += n;
	}
}

static bool extents_valid(const struct ddfs_fs *fs, const struct ddfs_node *n, unsigned int nr)
{
	const struct ddfs_extent *e = (const void *)n->payload;
	uint64_t next = 0;

	for (unsigned int i = 0; i < nr; i++) {
		uint64_t lblk = ddfs_le32(e[i].lblk), len = ddfs_le32(e[i].len);
		uint64_t start = ddfs_le64(e[i].start) & ~DDFS_EXTENT_UNWRITTEN;

		if (lblk < next || !len || lblk + len > UINT32_MAX ||
			!ddfs_blocks_valid(fs, start, len))
			return false;
		next = lblk + len;
	}
	/* An emptied leaf does not stay in a tree. */
	return nr > 0;
}

static bool refs_valid(const struct ddfs_fs *fs, const struct ddfs_node *n, unsigned int nr)
{
	const struct ddfs_name_ref *r = (const void *)n->payload;

	/* Both kinds of reference have the child behind an 8-byte key. */
	for (unsigned int i = 0; i < nr; i++)
		if (!ddfs_blocks_valid(fs, ddfs_le64(r[i].child), 1))
			return false;
	return nr > 0;
}

static bool ref_keys_ascend(const struct ddfs_node *n, unsigned int nr)
{
	const struct ddfs_name_ref *r = (const void *)n->payload;
	const struct ddfs_extent_ref *x = (const void *)n->payload;
	bool names = ddfs_le16(n->type) == DDFS_NODE_NAME_INDEX;

	for (unsigned int i = 2; i < nr; i++)
		if (names ? ddfs_le64(r[i].key) <= ddfs_le64(r[i - 1].key)
			  : ddfs_le32(x[i].lblk) <= ddfs_le32(x[i - 1].lblk))
			return false;
	return true;
}

static bool leaf_valid(const struct ddfs_node *n, unsigned int nr)
{
	const struct ddfs_name_slot *s = (const void *)n->payload;
	unsigned int low = ddfs_le16(n->low), live = 0;

	if (32 + nr * sizeof(*s) > low || low > DDFS_BLOCK_BYTES)
		return false;
	for (unsigned int i = 0; i < nr; i++) {
		unsigned int off = ddfs_le16(s[i].off), len = ddfs_le16(s[i].len);
		const struct ddfs_name_record *r = (const void *)((const uint8_t *)n + off);

		if (!off)
			continue;
		if (off < low || off % 8 || len % 8 || len <= sizeof(*r) ||
			off + len > DDFS_BLOCK_BYTES || !r->name_len ||
			sizeof(*r) + r->name_len + ddfs_le16(r->val_len) > len)
			return false;
		live += len;
	}
	/* Together with the least length above this bounds how many there are. */
	return live == ddfs_le16(n->live) && 32 + nr * sizeof(*s) + live <= DDFS_BLOCK_BYTES;
}

static bool value_valid(const struct ddfs_fs *fs, const struct ddfs_node *n, unsigned int nr)
{
	const struct ddfs_value_head *v = (const void *)n->payload;
	uint64_t next = ddfs_le64(v->next);

	return nr && nr <= DDFS_VALUE_BYTES && (!next || ddfs_blocks_valid(fs, next, 1));
}

static bool content_valid(const struct ddfs_fs *fs, const struct ddfs_node *n)
{
	unsigned int nr = ddfs_le16(n->nr);

	switch (ddfs_le16(n->type)) {
	case DDFS_NODE_EXTENT:
		if (nr > DDFS_NODE_ENTRIES)
			return false;
		return n->level ? refs_valid(fs, n, nr) && ref_keys_ascend(n, nr)
				: extents_valid(fs, n, nr);
	case DDFS_NODE_NAME_INDEX:
		return nr <= DDFS_NODE_ENTRIES && refs_valid(fs, n, nr) && ref_keys_ascend(n, nr);
	case DDFS_NODE_NAME_LEAF:
		return nr <= (DDFS_BLOCK_BYTES - 32) / sizeof(struct ddfs_name_slot) &&
		       leaf_valid(n, nr);
	case DDFS_NODE_VALUE:
		return value_valid(fs, n, nr);
	default:
		return false;
	}
}

int ddfs_node_get(struct ddfs_fs *fs, const struct ddfs_tx *tx, uint64_t blk, uint16_t type,
	uint8_t level, const struct ddfs_node **out)
{
	uint64_t off = ddfs_block_off(blk);
	const struct ddfs_node *n;

	if (tx && tx->error)
		return tx->error;
	if (!ddfs_blocks_valid(fs, blk, 1))
		return ddfs_corrupt(fs, "block %llu is referred to as a node and is none",
			(unsigned long long)blk);
	n = ddfs_tx_view(fs, tx, off);
	if ((const uint8_t *)n == fs->base + off && !is_verified(fs, blk)) {
		if (!ddfs_csum_holds(fs->csum_seed, off, n, sizeof(*n)))
			return ddfs_corrupt(fs, "block %llu: a node fails its checksum",
				(unsigned long long)blk);
		if (ddfs_le64(n->self) != blk || !content_valid(fs, n))
			return ddfs_corrupt(fs, "block %llu: a node holds what cannot be",
				(unsigned long long)blk);
		ddfs_node_set_verified(fs, blk);
	}
	if (ddfs_le16(n->type) != type || n->level != level)
		return ddfs_corrupt(
			fs, "block %llu is a node of another kind", (unsigned long long)blk);
	*out = n;
	return 0;
}

struct ddfs_node *ddfs_node_edit(struct ddfs_tx *tx, uint64_t blk)
{
	return ddfs_tx_edit(tx, ddfs_block_off(blk), DDFS_BLOCK_BYTES);
}

void ddfs_node_init(struct ddfs_node *n, uint64_t blk, uint32_t owner, uint16_t type, uint8_t level)
{
	n->type = ddfs_to16(type);
	n->level = level;
	n->self = ddfs_to64(blk);
	n->owner = ddfs_to32(owner);
	n->low = ddfs_to16(DDFS_BLOCK_BYTES);
}

int ddfs_node_new(struct ddfs_tx *tx, uint32_t owner, uint16_t type, uint8_t level, uint64_t goal,
	struct ddfs_node **out)
{
	struct ddfs_range r;
	int err = ddfs_tx_alloc(tx, goal, 1, tx->reserve ? DDFS_ALLOC_RESERVE : 0, &r);

	if (err)
		return err;
	*out = ddfs_tx_fresh(tx, r.start);
	ddfs_node_init(*out, r.start, owner, type, level);
	return 0;
}
