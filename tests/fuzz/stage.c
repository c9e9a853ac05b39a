/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/stage.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "fs/csum.h"
#include "tests/fuzz/base.h"
#include "tests/fuzz/input.h"

/* On either side of the view that is read. */
#define GUARD_BYTES (UINT64_C(64) << 20)

void stage_note(struct stage *s, uint64_t off, size_t len)
{
	if (!len)
		return;
	fuzz_want(off < STAGE_BYTES && len <= STAGE_BYTES - off);
	for (uint64_t b = off / DDFS_BLOCK_BYTES; b <= (off + len - 1) / DDFS_BLOCK_BYTES; b++) {
		if (s->is_dirty[b])
			continue;
		s->is_dirty[b] = true;
		s->dirty[s->nr_dirty++] = (uint16_t)b;
	}
}

void stage_store(struct stage *s, uint64_t off, const void *bytes, size_t len)
{
	stage_note(s, off, len);
	memcpy(s->ram.writable + off, bytes, len);
}

void stage_mend(struct stage *s)
{
	for (unsigned int i = 0; i < s->nr_dirty; i++) {
		uint64_t off = (uint64_t)s->dirty[i] * DDFS_BLOCK_BYTES;

		memcpy(s->ram.writable + off, s->healthy + off, DDFS_BLOCK_BYTES);
		s->is_dirty[s->dirty[i]] = false;
	}
	s->nr_dirty = 0;
	s->stored = NULL;
	s->drained = NULL;
	s->ram.media.readonly = false;
}

/* ---- the door ------------------------------------------------------------------------------- */

static void heard_store(void *arg, uint64_t off, size_t len)
{
	struct stage *s = arg;

	fuzz_want(!s->ram.media.readonly);
	stage_note(s, off, len);
	if (s->stored)
		s->stored(s->arg, off, len);
}

static void heard_drain(void *arg)
{
	struct stage *s = arg;

	if (s->drained)
		s->drained(s->arg);
}

/* Who is given this stores without a word. */
static void *scratch(struct ddfs_media *m, uint64_t off, size_t len)
{
	struct stage *s = (struct stage *)m;

	stage_note(s, off, len);
	return s->ram.writable + off;
}

/* Reads outside of the image shall fault. */
static void guard(struct ram *r)
{
	uint8_t *room = mmap(NULL, STAGE_BYTES + 2 * GUARD_BYTES, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	fuzz_want(room != MAP_FAILED);
	munmap((void *)(uintptr_t)r->media.base, STAGE_BYTES);
	r->media.base =
		mmap(room + GUARD_BYTES, STAGE_BYTES, PROT_READ, MAP_SHARED | MAP_FIXED, r->fd, 0);
	fuzz_want(r->media.base != MAP_FAILED);
}

static void listen(struct stage *s)
{
	s->ops = *s->ram.media.ops;
	s->ops.scratch = scratch;
	s->ram.media.ops = &s->ops;
	s->ear = (struct ram_ear){ heard_store, heard_drain, s };
	s->ram.ear = &s->ear;
}

/* ---- what there is to change ---------------------------------------------------------------- */

/* Of inodes that are like others, a few. */
static bool is_worth(uint32_t ino, const struct ddfs_inode_disk *di)
{
	bool plain = (ddfs_le16(di->mode) & S_IFMT) == S_IFREG && !ddfs_le64(di->size) &&
		     !di->xattr_root.raw;

	if (ino < 3 || ino % 64 == 0)
		return true;
	return ddfs_le16(di->mode) && !plain;
}

static void find_slots(struct stage *s)
{
	const struct ddfs_inode_disk *t = (const void *)(s->healthy + DDFS_ROOT_BLOCK_OFF);
	uint32_t ino = 0;

	for (unsigned int e = 0; e < ddfs_le16(t->nr_extents); e++) {
		uint64_t off = ddfs_le64(t->body.extent[e].start) * DDFS_BLOCK_BYTES;
		uint64_t end = off + (uint64_t)ddfs_le32(t->body.extent[e].len) * DDFS_BLOCK_BYTES;

		for (; off < end; off += DDFS_INODE_BYTES, ino++)
			if (is_worth(ino, (const void *)(s->healthy + off)) &&
				s->nr_slots < STAGE_PARTS_MAX)
				s->slots[s->nr_slots++] = off;
	}
}

static void find_nodes(struct stage *s)
{
	uint64_t off = ddfs_le64(stage_super(s)->data_off);

	for (; off < STAGE_BYTES && s->nr_nodes < STAGE_PARTS_MAX; off += DDFS_BLOCK_BYTES) {
		const struct ddfs_node *n = (const void *)(s->healthy + off);

		if (ddfs_le64(n->self) == off / DDFS_BLOCK_BYTES &&
			ddfs_csum_holds(stage_seed(s), off, n, sizeof(*n)))
			s->nodes[s->nr_nodes++] = off;
	}
}

/* ---- all of them ---------------------------------------------------------------------------- */

static struct stage *stage_new(enum stage_base which)
{
	struct stage *s = calloc(1, sizeof(*s));

	fuzz_want(s);
	base_build(&s->ram, which);
	guard(&s->ram);
	s->healthy = malloc(STAGE_BYTES);
	fuzz_want(s->healthy);
	memcpy(s->healthy, s->ram.writable, STAGE_BYTES);
	find_slots(s);
	find_nodes(s);
	listen(s);
	return s;
}

/* The process has one fuzzer, which gives us no place of our own. */
struct stage *stage_get(unsigned int which)
{
	static struct stage *stages[NR_STAGES];

	which %= NR_STAGES;
	if (!stages[which])
		stages[which] = stage_new((enum stage_base)which);
	return stages[which];
}
