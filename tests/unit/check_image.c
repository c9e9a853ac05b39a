/* SPDX-License-Identifier: BSD-3-Clause */
/* The image as a whole: superblocks, inode table, inodes, bitmaps. */
#include "tests/unit/check_image.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/unit/check_priv.h"

#define SUPER_SEED 0x64646673u
#define SAY_MAX	   20

void check_say(struct check *c, const char *fmt, ...)
{
	va_list ap;

	if (c->out->nr_problems++ >= SAY_MAX || c->flags & IMAGE_QUIET)
		return;
	fprintf(stderr, "image: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
}

uint32_t check_crc(uint32_t crc, const void *p, size_t len)
{
	const uint8_t *b = p;

#ifdef __x86_64__
	for (; len >= 8; b += 8, len -= 8) {
		uint64_t v, wide = crc;

		memcpy(&v, b, 8);
		__asm__("crc32q %1, %0" : "+r"(wide) : "rm"(v));
		crc = (uint32_t)wide;
	}
#endif
	for (; len; b++, len--) {
		crc ^= *b;
		for (unsigned int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

bool check_sum_holds(uint32_t seed, uint64_t off, const void *p, size_t len)
{
	uint32_t at = (uint32_t)(off / 64 * UINT64_C(0x9e3779b97f4a7c15) >> 32);

	return ddfs_le32(*(const struct le32 *)p) ==
	       check_crc(seed ^ at, (const uint8_t *)p + 4, len - 4);
}

bool check_claim(struct check *c, uint32_t ino, uint64_t start, uint64_t len)
{
	if (start < c->data_block || start >= c->nr_blocks - 2 || len > c->nr_blocks - 2 - start) {
		check_say(c, "inode %u: blocks %llu+%llu are not in the data area", ino,
			(unsigned long long)start, (unsigned long long)len);
		return false;
	}
	for (uint64_t b = start; b < start + len; b++) {
		if (c->owner[b] != NOBODY) {
			check_say(c, "block %llu belongs to inode %u and to inode %u",
				(unsigned long long)b, c->owner[b] - 1, ino);
			return false;
		}
		c->owner[b] = OWNER(ino);
	}
	return true;
}

const struct ddfs_node *check_node(
	struct check *c, uint32_t ino, uint64_t blk, uint16_t type, unsigned int level)
{
	const struct ddfs_node *n = (const void *)(c->base + blk * DDFS_BLOCK_BYTES);

	if (!check_claim(c, ino, blk, 1))
		return NULL;
	if (!check_sum_holds(c->seed, blk * DDFS_BLOCK_BYTES, n, sizeof(*n)))
		check_say(c, "inode %u: node %llu: checksum", ino, (unsigned long long)blk);
	else if (ddfs_le64(n->self) != blk || ddfs_le16(n->type) != type || n->level != level)
		check_say(c, "inode %u: node %llu: self %llu type %#x level %u, wanted %#x %u", ino,
			(unsigned long long)blk, (unsigned long long)ddfs_le64(n->self),
			ddfs_le16(n->type), n->level, type, level);
	else
		return n;
	return NULL;
}

/* ---- superblocks ---------------------------------------------------------------------------- */

static bool check_supers(struct check *c)
{
	const struct ddfs_super *a = (const void *)c->base, *b;
	uint64_t bytes;

	if (!check_sum_holds(SUPER_SEED, 0, a, sizeof(*a))) {
		check_say(c, "first superblock: checksum");
		return false;
	}
	c->super = *a;
	bytes = ddfs_le64(a->device_bytes);
	if (bytes > c->size || bytes % DDFS_CHUNK_BYTES) {
		check_say(c, "superblock: device_bytes");
		return false;
	}
	b = (const void *)(c->base + bytes - DDFS_BLOCK_BYTES);
	if (!check_sum_holds(SUPER_SEED, bytes - DDFS_BLOCK_BYTES, b, sizeof(*b)))
		check_say(c, "second superblock: checksum");
	else if (memcmp((const uint8_t *)a + 4, (const uint8_t *)b + 4, sizeof(*a) - 4) != 0)
		check_say(c, "the superblocks differ");
	c->seed = ddfs_le32(a->csum_seed);
	c->nr_blocks = bytes / DDFS_BLOCK_BYTES;
	c->data_block = ddfs_le64(a->data_off) / DDFS_BLOCK_BYTES;
	c->out->clean = ddfs_le32(a->state) == DDFS_STATE_CLEAN;
	return true;
}

static void check_lanes(struct check *c)
{
	uint64_t off = ddfs_le64(c->super.lanes_off);

	for (uint32_t i = 0; i < ddfs_le32(c->super.nr_lanes); i++, off += DDFS_LANE_BYTES) {
		const struct ddfs_lane_header *h = (const void *)(c->base + off);

		if (ddfs_le64(h->state) != DDFS_LANE_EMPTY)
			check_say(c, "lane %u is not empty", i);
	}
}

/* ---- inodes --------------------------------------------------------------------------------- */

static void note_table_extent(struct check *c, uint32_t ino, const struct ddfs_extent *e)
{
	(void)ino;
	for (uint32_t i = 0; i < ddfs_le32(e->len); i++) {
		uint64_t lblk = (uint64_t)ddfs_le32(e->lblk) + i;

		if (ddfs_le64(e->start) & DDFS_EXTENT_UNWRITTEN ||
			lblk >= c->nr_slots / DDFS_INODES_PER_BLOCK) {
			check_say(c, "inode table: block %llu is unwritten or past its end",
				(unsigned long long)lblk);
			return;
		}
		c->ino_off[lblk] = (ddfs_le64(e->start) + i) * DDFS_BLOCK_BYTES;
	}
}

static const struct ddfs_inode_disk *check_root_blocks(struct check *c)
{
	const uint64_t off[2] = { DDFS_ROOT_BLOCK_OFF, (c->nr_blocks - 2) * DDFS_BLOCK_BYTES };
	uint32_t sole = ddfs_le32(c->super.sole_root_block), used = sole ? sole - 1 : 0;
	const struct ddfs_inode_disk *a, *b;

	if (sole > 2) {
		check_say(c, "superblock: sole_root_block %u", sole);
		return NULL;
	}
	a = (const void *)(c->base + off[used]);
	if (!check_sum_holds(c->seed, off[used], a, sizeof(*a))) {
		check_say(c, "root block %u: checksum", used + 1);
		return NULL;
	}
	b = (const void *)(c->base + off[1]);
	if (!sole && (!check_sum_holds(c->seed, off[1], b, sizeof(*b)) ||
			     memcmp((const uint8_t *)a + 4, (const uint8_t *)b + 4,
				     sizeof(*a) - 4) != 0))
		check_say(c, "second root block: differs from the first");
	return a;
}

static bool check_table(struct check *c)
{
	const struct ddfs_inode_disk *a = check_root_blocks(c);
	uint64_t nr;

	if (!a)
		return false;
	nr = ddfs_le64(a->size) / DDFS_BLOCK_BYTES;
	if (!nr || nr > c->nr_blocks || ddfs_le64(a->size) % DDFS_BLOCK_BYTES) {
		check_say(c, "inode table: size %llu", (unsigned long long)ddfs_le64(a->size));
		return false;
	}
	c->nr_slots = (uint32_t)nr * DDFS_INODES_PER_BLOCK;
	c->ino_off = calloc(nr, sizeof(*c->ino_off));
	c->seen = calloc(c->nr_slots, sizeof(*c->seen));
	nr = check_extents(c, a, DDFS_INO_TABLE, note_table_extent);
	if (nr != ddfs_le64(a->nr_blocks))
		check_say(c, "inode table: nr_blocks %llu, has %llu",
			(unsigned long long)ddfs_le64(a->nr_blocks), (unsigned long long)nr);
	for (uint32_t i = 0; i < c->nr_slots / DDFS_INODES_PER_BLOCK; i++) {
		if (!c->ino_off[i]) {
			check_say(c, "inode table: hole at block %u", i);
			return false;
		}
	}
	c->out->nr_slots = c->nr_slots;
	return true;
}

/* Notes the type of every slot in use, so that directory entries can be held against it. */
static void check_slots(struct check *c)
{
	for (uint32_t ino = 0; ino < c->nr_slots; ino++) {
		const struct ddfs_inode_disk *di = check_inode_at(c, ino);
		uint64_t off = (uint64_t)((const uint8_t *)di - c->base);

		if (!ddfs_le16(di->magic) && !ddfs_le32(di->crc) && !ddfs_le16(di->mode))
			continue;
		if (!check_sum_holds(c->seed, off, di, sizeof(*di))) {
			check_say(c, "inode %u: checksum", ino);
			continue;
		}
		if (!ddfs_le16(di->mode))
			continue;
		if (ddfs_le16(di->magic) != DDFS_INODE_MAGIC || ddfs_le32(di->ino) != ino ||
			(ino < DDFS_INO_FIRST && ino != DDFS_INO_ROOT && ino != DDFS_INO_ORPHAN)) {
			check_say(c, "inode %u: magic, number or place", ino);
			continue;
		}
		c->seen[ino].type = (uint8_t)(ddfs_le16(di->mode) >> 12);
		if (ino >= DDFS_INO_FIRST)
			c->out->nr_inodes++;
	}
}

static void check_congruent(struct check *c, uint32_t ino, const struct ddfs_extent *e)
{
	uint64_t unit = ddfs_le64(c->super.dax_unit_bytes) / DDFS_BLOCK_BYTES;
	uint64_t start = ddfs_le64(e->start) & ~DDFS_EXTENT_UNWRITTEN;

	/* The last unit that can be addressed is not whole. */
	if (start % unit != ddfs_le32(e->lblk) % unit &&
		ddfs_le32(e->lblk) / unit != UINT32_MAX / unit)
		check_say(c, "inode %u: block %u lies at %llu: not congruent", ino,
			ddfs_le32(e->lblk), (unsigned long long)start);
}

static void check_extent(struct check *c, uint32_t ino, const struct ddfs_extent *e)
{
	uint64_t end = (uint64_t)ddfs_le32(e->lblk) + ddfs_le32(e->len);

	if (c->flags & IMAGE_DAX_ALIGNED && ino >= DDFS_INO_FIRST)
		check_congruent(c, ino, e);
	if (!(ddfs_le64(e->start) & DDFS_EXTENT_UNWRITTEN) && end > c->seen[ino].written)
		c->seen[ino].written = end;
}

static uint64_t check_symlink(struct check *c, const struct ddfs_inode_disk *di)
{
	uint64_t size = ddfs_le64(di->size), n, start;
	uint32_t ino = ddfs_le32(di->ino);

	if (!size || size > 4095)
		check_say(c, "inode %u: symlink of %llu bytes", ino, (unsigned long long)size);
	if (size <= DDFS_INLINE_SYMLINK)
		return 0;
	n = check_extents(c, di, ino, NULL);
	start = ddfs_le64(di->body.extent[0].start);
	if (n != 1 || start >= c->nr_blocks)
		check_say(c, "inode %u: symlink target in %llu blocks", ino, (unsigned long long)n);
	else if (check_crc(c->seed, c->base + start * DDFS_BLOCK_BYTES, size) !=
		 ddfs_le32(di->target_crc))
		check_say(c, "inode %u: symlink target: checksum", ino);
	return n;
}

static void check_body(struct check *c, uint32_t ino)
{
	const struct ddfs_inode_disk *di = check_inode_at(c, ino);
	bool zombie = ddfs_le32(di->flags) & DDFS_IFLAG_ZOMBIE;
	uint64_t n = check_xattrs(c, di);

	switch (ddfs_le16(di->mode) & S_IFMT) {
	case S_IFREG:
		n += check_extents(c, di, ino, zombie ? NULL : check_extent);
		break;
	case S_IFDIR:
		n += check_dir(c, di);
		break;
	case S_IFLNK:
		n += check_symlink(c, di);
		break;
	}
	if (n != ddfs_le64(di->nr_blocks))
		check_say(c, "inode %u (mode %o): nr_blocks %llu, has %llu", ino,
			ddfs_le16(di->mode), (unsigned long long)ddfs_le64(di->nr_blocks),
			(unsigned long long)n);
}

static void check_links(struct check *c, uint32_t ino)
{
	const struct ddfs_inode_disk *di = check_inode_at(c, ino);
	const struct seen *s = &c->seen[ino];
	bool fixed = ino == DDFS_INO_ROOT || ino == DDFS_INO_ORPHAN;
	uint32_t want = s->names;

	if (s->type == S_IFDIR >> 12) {
		want = fixed || s->names ? 2 + s->subdirs : 0;
		if (s->names > 1)
			check_say(c, "directory %u has %u names", ino, s->names);
		if (s->names && ddfs_le32(di->parent) != s->parent)
			check_say(c, "directory %u: parent %u, lies in %u", ino,
				ddfs_le32(di->parent), s->parent);
	}
	if (ddfs_le32(di->nlink) != want)
		check_say(c, "inode %u: nlink %u, has %u", ino, ddfs_le32(di->nlink), want);
	if (!s->names && !s->orphan && !fixed)
		check_say(c, "inode %u: no name leads to it", ino);
	if (!s->orphan &&
		s->written * DDFS_BLOCK_BYTES >=
			ddfs_le64(di->size) + DDFS_BLOCK_BYTES + ddfs_le64(c->super.dax_unit_bytes))
		check_say(c, "inode %u: %llu blocks written, of a file of %llu bytes", ino,
			(unsigned long long)s->written, (unsigned long long)ddfs_le64(di->size));
	if (s->names && s->named_as != s->type)
		check_say(c, "inode %u: a name claims another type", ino);
	if (ddfs_le32(di->flags) & DDFS_IFLAG_ZOMBIE && s->names)
		check_say(c, "inode %u: a zombie has a name", ino);
}

/* ---- bitmaps -------------------------------------------------------------------------------- */

/* Of a chunk that the table does not have yet only fixed blocks are used. */
static bool is_used(const struct check *c, const struct ddfs_chunk *chunk, uint64_t blk)
{
	if (!chunk)
		return blk < c->data_block || blk >= c->nr_blocks - 2;
	return ddfs_le64(chunk->used[blk % DDFS_CHUNK_BLOCKS / 64]) >> (blk % 64) & 1;
}

static uint64_t check_chunk(struct check *c, uint64_t nr, bool written)
{
	uint64_t off = ddfs_le64(c->super.chunk_table_off) + nr * sizeof(struct ddfs_chunk);
	const struct ddfs_chunk *chunk = (const void *)(c->base + off);
	uint64_t nr_free = 0;

	if (written && !check_sum_holds(c->seed, off, chunk, sizeof(*chunk)))
		check_say(c, "chunk %llu: checksum", (unsigned long long)nr);
	for (uint64_t b = nr * DDFS_CHUNK_BLOCKS; b < (nr + 1) * DDFS_CHUNK_BLOCKS; b++) {
		bool used = is_used(c, written ? chunk : NULL, b), fixed;

		fixed = b < c->data_block || b >= c->nr_blocks - 2;
		if (used != (fixed || c->owner[b] != NOBODY))
			check_say(c, "block %llu is marked %s and belongs to %s",
				(unsigned long long)b, used ? "used" : "free",
				used ? "nobody" : "somebody");
		nr_free += !used;
	}
	return nr_free;
}

static void check_groups(struct check *c)
{
	uint64_t per = ddfs_le32(c->super.group_chunks), nr = c->nr_blocks / DDFS_CHUNK_BLOCKS;

	for (uint32_t g = 0; g < ddfs_le32(c->super.nr_groups); g++) {
		uint64_t off = DDFS_GROUP_TABLE_OFF + g * sizeof(struct ddfs_group_desc);
		const struct ddfs_group_desc *d = (const void *)(c->base + off);
		uint64_t first = g * per, last = first + per < nr ? first + per : nr, free = 0;

		if (!check_sum_holds(c->seed, off, d, sizeof(*d)) ||
			ddfs_le32(d->nr_init) > last - first)
			check_say(c, "group %u: descriptor", g);
		for (uint64_t i = first; i < last; i++)
			free += check_chunk(c, i, i - first < ddfs_le32(d->nr_init));
		if (c->out->clean && ddfs_le64(d->nr_free) != free)
			check_say(c, "group %u: nr_free %llu, has %llu", g,
				(unsigned long long)ddfs_le64(d->nr_free),
				(unsigned long long)free);
		c->out->nr_free += free;
	}
}

static void check_counts(struct check *c)
{
	uint32_t first = ddfs_le32(c->super.first_free_inode);

	if (ddfs_le32(c->super.nr_used_inodes) != c->out->nr_inodes)
		check_say(c, "superblock: nr_used_inodes %u, has %llu",
			ddfs_le32(c->super.nr_used_inodes), (unsigned long long)c->out->nr_inodes);
	for (uint32_t ino = DDFS_INO_FIRST; ino < first && ino < c->nr_slots; ino++)
		if (!c->seen[ino].type)
			check_say(c, "superblock: first_free_inode %u, %u is", first, ino);
}

static void check_all(struct check *c)
{
	if (!check_supers(c))
		return;
	if (!(c->flags & IMAGE_LANES_BUSY))
		check_lanes(c);
	c->owner = mmap(NULL, c->nr_blocks * sizeof(*c->owner), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!check_table(c))
		return;
	check_slots(c);
	for (uint32_t ino = 0; ino < c->nr_slots; ino++)
		if (c->seen[ino].type)
			check_body(c, ino);
	for (uint32_t ino = 0; ino < c->nr_slots; ino++)
		if (c->seen[ino].type)
			check_links(c, ino);
	check_groups(c);
	check_pins(c);
	check_bad(c);
	if (c->out->clean)
		check_counts(c);
}

void image_check(const uint8_t *base, uint64_t size, unsigned int flags, struct image_summary *out)
{
	struct check c = { .base = base, .size = size, .flags = flags, .out = out };

	memset(out, 0, sizeof(*out));
	check_all(&c);
	if (c.owner)
		munmap(c.owner, c.nr_blocks * sizeof(*c.owner));
	free(c.ino_off);
	free(c.seen);
}
