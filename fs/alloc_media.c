/* SPDX-License-Identifier: BSD-3-Clause */
/* What is free on media: the chunk table and the group descriptors. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fs/alloc_priv.h"
#include "fs/core.h"
#include "fs/tx.h"

/* Group descriptors that one transaction changes at unmount. */
#define SAVE_BATCH 128u

static uint64_t group_off(uint32_t nr)
{
	return DDFS_GROUP_TABLE_OFF + (uint64_t)nr * sizeof(struct ddfs_group_desc);
}

static uint64_t chunk_off(const struct ddfs_fs *fs, uint32_t chunk)
{
	return fs->alloc.chunk_table_off + (uint64_t)chunk * sizeof(struct ddfs_chunk);
}

/* The used bits of a chunk that was never written to the table: those of the fixed structures. */
static void chunk_fresh(const struct ddfs_fs *fs, uint32_t chunk, uint64_t used[8])
{
	uint64_t first = (uint64_t)chunk * DDFS_CHUNK_BLOCKS;

	memset(used, first < fs->data_block ? 0xff : 0, 8 * sizeof(*used));
	for (uint64_t b = fs->end_block; b < fs->nr_blocks; b++)
		if (b / DDFS_CHUNK_BLOCKS == chunk)
			used[b % DDFS_CHUNK_BLOCKS / 64] |= UINT64_C(1) << (b % 64);
}

/* Anonymous memory reads as zero and costs nothing until written: most of a large group. */
static void *lazy_alloc(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t map_bytes(const struct ddfs_group *g)
{
	return ((size_t)g->nr_chunks + 63) / 64 * 8;
}

static int group_alloc(struct ddfs_group *g)
{
	g->used = lazy_alloc((size_t)g->nr_chunks * 64);
	g->free_in = calloc(g->nr_chunks, sizeof(*g->free_in));
	g->run_in = calloc(g->nr_chunks, sizeof(*g->run_in));
	g->whole = malloc(map_bytes(g));
	g->partial = calloc(1, map_bytes(g));
	return g->used && g->free_in && g->run_in && g->whole && g->partial ? 0 : -ENOMEM;
}

static void group_free(struct ddfs_group *g)
{
	if (g->used)
		munmap(g->used, (size_t)g->nr_chunks * 64);
	free(g->free_in);
	free(g->run_in);
	free(g->whole);
	free(g->partial);
	g->used = NULL;
	g->free_in = g->run_in = NULL;
	g->whole = g->partial = NULL;
}

static int read_chunk(struct ddfs_fs *fs, uint32_t chunk, uint64_t used[8])
{
	const struct ddfs_chunk *c = (const void *)(fs->base + chunk_off(fs, chunk));
	uint64_t fixed[8];

	if (!ddfs_csum_holds(fs->csum_seed, chunk_off(fs, chunk), c, sizeof(*c)))
		return ddfs_corrupt(fs, "chunk %u: its bitmap fails its checksum", chunk);
	chunk_fresh(fs, chunk, fixed);
	for (unsigned int w = 0; w < 8; w++) {
		used[w] = ddfs_le64(c->used[w]);
		if (fixed[w] & ~used[w])
			return ddfs_corrupt(
				fs, "chunk %u: its bitmap has fixed structures as free", chunk);
	}
	return 0;
}

static void chunk_unknown(struct ddfs_fs *fs, uint32_t chunk, uint64_t used[8])
{
	ddfs_log(fs, LOG_ERR, "chunk %u: none of its blocks will be given out", chunk);
	memset(used, 0xff, 8 * sizeof(*used));
	atomic_store(&fs->unsure, true);
}

static void load_used(struct ddfs_fs *fs, uint32_t chunk, bool written, uint64_t used[8])
{
	if (!written)
		chunk_fresh(fs, chunk, used);
	else if (DDFS_GUARDED(fs, read_chunk(fs, chunk, used)))
		chunk_unknown(fs, chunk, used);
}

static void group_load_chunk(struct ddfs_fs *fs, struct ddfs_group *g, uint32_t i, bool written)
{
	uint64_t *used = g->used + (size_t)i * 8;
	unsigned int nr_used = 0;

	load_used(fs, g->first_chunk + i, written, used);
	for (unsigned int w = 0; w < 8; w++)
		nr_used += (unsigned int)__builtin_popcountll(used[w]);
	g->free_in[i] = (uint16_t)(DDFS_CHUNK_BLOCKS - nr_used);
	g->nr_free += g->free_in[i];
	g->nr_free_chunks += !nr_used;
	ddfs_group_note_chunk(g, i);
}

static uint32_t nr_init(const struct ddfs_fs *fs, const struct ddfs_tx *tx, uint32_t nr)
{
	const struct ddfs_group_desc *d = ddfs_tx_view(fs, tx, group_off(nr));

	return ddfs_le32(d->nr_init);
}

/* g->media_lock is held: no commit is half-way through the bits that are read here. */
static int group_load(struct ddfs_fs *fs, uint32_t nr)
{
	struct ddfs_group *g = &fs->alloc.groups[nr];
	uint32_t written = nr_init(fs, NULL, nr);
	uint32_t last = written;

	if (group_alloc(g)) {
		group_free(g);
		return -ENOMEM;
	}
	g->nr_free = 0;
	g->nr_free_chunks = 0;
	/* Chunks that were never touched are wholly free, but for the first and last ones. */
	memset(g->whole, 0xff, map_bytes(g));
	if ((uint64_t)g->first_chunk * DDFS_CHUNK_BLOCKS < fs->data_block) {
		uint64_t fixed = fs->data_block / DDFS_CHUNK_BLOCKS - g->first_chunk;

		if (fixed > last)
			last = fixed < g->nr_chunks ? (uint32_t)fixed : g->nr_chunks;
	}
	for (uint32_t i = 0; i < last; i++)
		group_load_chunk(fs, g, i, i < written);
	for (uint32_t i = last; i < g->nr_chunks; i++)
		g->free_in[i] = DDFS_CHUNK_BLOCKS;
	g->nr_free += (uint64_t)(g->nr_chunks - last) * DDFS_CHUNK_BLOCKS;
	g->nr_free_chunks += g->nr_chunks - last;
	if (last < g->nr_chunks && nr == fs->alloc.nr_groups - 1) {
		g->nr_free -= DDFS_CHUNK_BLOCKS;
		g->nr_free_chunks--;
		group_load_chunk(fs, g, g->nr_chunks - 1, false);
	}
	atomic_store_explicit(&g->loaded, true, memory_order_release);
	return 0;
}

int ddfs_group_load(struct ddfs_fs *fs, uint32_t nr)
{
	struct ddfs_group *g = &fs->alloc.groups[nr];
	int err = 0;

	if (atomic_load_explicit(&g->loaded, memory_order_acquire))
		return 0;
	pthread_mutex_lock(&g->media_lock);
	if (!atomic_load(&g->loaded))
		err = DDFS_GUARDED(fs, group_load(fs, nr));
	pthread_mutex_unlock(&g->media_lock);
	return err;
}

static int group_init(struct ddfs_fs *fs, uint32_t nr)
{
	struct ddfs_group *g = &fs->alloc.groups[nr];
	const struct ddfs_group_desc *d = (const void *)(fs->base + group_off(nr));
	uint32_t group_chunks = ddfs_le32(fs->super.group_chunks);
	uint32_t nr_chunks = (uint32_t)(fs->nr_blocks / DDFS_CHUNK_BLOCKS);

	pthread_mutex_init(&g->lock, NULL);
	pthread_mutex_init(&g->media_lock, NULL);
	g->first_chunk = nr * group_chunks;
	g->nr_chunks = nr_chunks - g->first_chunk < group_chunks ? nr_chunks - g->first_chunk
								 : group_chunks;
	if (!ddfs_csum_holds(fs->csum_seed, group_off(nr), d, sizeof(*d)))
		return ddfs_corrupt(fs, "group %u: its descriptor fails its checksum", nr);
	if (ddfs_le32(d->nr_init) > g->nr_chunks)
		return ddfs_corrupt(fs, "group %u: claims %u chunks of %u", nr,
			ddfs_le32(d->nr_init), g->nr_chunks);
	return 0;
}

int ddfs_alloc_init(struct ddfs_fs *fs)
{
	struct ddfs_alloc *a = &fs->alloc;
	int err = 0;

	a->nr_groups = ddfs_le32(fs->super.nr_groups);
	a->group_shift = (uint32_t)__builtin_ctz(ddfs_le32(fs->super.group_chunks)) +
			 DDFS_CHUNK_SHIFT - DDFS_BLOCK_SHIFT;
	a->chunk_table_off = ddfs_le64(fs->super.chunk_table_off);
	a->nr_usable = fs->end_block - fs->data_block;
	a->reserve = a->nr_usable / 64 < 512 ? a->nr_usable / 64 : 512;
	a->groups = calloc(a->nr_groups, sizeof(*a->groups));
	if (!a->groups)
		return -ENOMEM;
	for (uint32_t i = 0; i < a->nr_groups && !err; i++)
		err = group_init(fs, i);
	return err;
}

void ddfs_alloc_fini(struct ddfs_fs *fs)
{
	struct ddfs_alloc *a = &fs->alloc;

	for (uint32_t i = 0; a->groups && i < a->nr_groups; i++) {
		group_free(&a->groups[i]);
		pthread_mutex_destroy(&a->groups[i].lock);
		pthread_mutex_destroy(&a->groups[i].media_lock);
	}
	free(a->groups);
	a->groups = NULL;
}

int ddfs_alloc_count(struct ddfs_fs *fs)
{
	struct ddfs_alloc *a = &fs->alloc;
	uint64_t total = 0;

	for (uint32_t i = 0; i < a->nr_groups; i++) {
		struct ddfs_group *g = &a->groups[i];
		bool touched = nr_init(fs, NULL, i) || i == 0 || i == a->nr_groups - 1;
		int err = touched ? ddfs_group_load(fs, i) : 0;

		if (err)
			return err;
		total += touched ? g->nr_free : (uint64_t)g->nr_chunks * DDFS_CHUNK_BLOCKS;
	}
	atomic_store(&a->nr_free, (int64_t)total);
	return 0;
}

int ddfs_alloc_load_saved(struct ddfs_fs *fs)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < fs->alloc.nr_groups; i++) {
		const struct ddfs_group_desc *d = (const void *)(fs->base + group_off(i));

		total += ddfs_le64(d->nr_free);
	}
	if (total > fs->alloc.nr_usable)
		return ddfs_corrupt(fs, "the groups claim more free blocks than there are");
	atomic_store(&fs->alloc.nr_free, (int64_t)total);
	return 0;
}

static int edit_counts(struct ddfs_tx *tx, uint32_t *nr)
{
	struct ddfs_fs *fs = tx->fs;

	for (unsigned int n = 0; *nr < fs->alloc.nr_groups && n < SAVE_BATCH; ++*nr) {
		const struct ddfs_group *g = &fs->alloc.groups[*nr];
		const struct ddfs_group_desc *d = (const void *)(fs->base + group_off(*nr));
		struct ddfs_group_desc *edit;

		if (!g->loaded || ddfs_le64(d->nr_free) == g->nr_free)
			continue;
		edit = ddfs_tx_edit(tx, group_off(*nr), sizeof(*edit));
		edit->nr_free = ddfs_to64(g->nr_free);
		n++;
	}
	return 0;
}

/* The counts of at most SAVE_BATCH groups from *nr on. In a transaction, since there is no second
 * copy of a descriptor that a crash tears. */
static int save_some(struct ddfs_fs *fs, uint32_t *nr)
{
	struct ddfs_tx *tx = ddfs_tx_begin(fs);
	int err;

	if (!tx)
		return -ENOMEM;
	tx->closing = true;
	err = DDFS_GUARDED(fs, edit_counts(tx, nr));
	if (!err)
		return ddfs_tx_commit(tx);
	ddfs_tx_abort(tx);
	return err;
}

int ddfs_alloc_save(struct ddfs_fs *fs)
{
	uint32_t nr = 0;
	int err = 0;

	while (nr < fs->alloc.nr_groups && !err)
		err = save_some(fs, &nr);
	return err;
}

/* Lock the groups that the transaction's ranges lie in, ascending. */
static int lock_groups(struct ddfs_tx *tx)
{
	struct ddfs_alloc *a = &tx->fs->alloc;
	uint32_t want[DDFS_TX_GROUPS];
	unsigned int n = 0;

	for (unsigned int i = 0; i < tx->nr_allocs + tx->nr_frees; i++) {
		const struct ddfs_range *r =
			i < tx->nr_allocs ? &tx->allocs[i] : &tx->frees[i - tx->nr_allocs];
		uint32_t last = (uint32_t)((r->start + r->len - 1) >> a->group_shift);

		for (uint32_t g = (uint32_t)(r->start >> a->group_shift); g <= last; g++) {
			unsigned int at = n;

			while (at && want[at - 1] > g)
				at--;
			if (at && want[at - 1] == g)
				continue;
			if (n == DDFS_TX_GROUPS)
				return -E2BIG;
			memmove(want + at + 1, want + at, (n - at) * sizeof(*want));
			want[at] = g;
			n++;
		}
	}
	for (unsigned int i = 0; i < n; i++) {
		pthread_mutex_lock(&a->groups[want[i]].media_lock);
		tx->groups[tx->nr_groups++] = want[i];
		/* An index built between this commit and ddfs_alloc_put would count what is
		 * freed twice. */
		if (!atomic_load(&a->groups[want[i]].loaded)) {
			int err = group_load(tx->fs, want[i]);

			if (err)
				return err;
		}
	}
	return 0;
}

void ddfs_alloc_unlock(struct ddfs_tx *tx)
{
	while (tx->nr_groups)
		pthread_mutex_unlock(&tx->fs->alloc.groups[tx->groups[--tx->nr_groups]].media_lock);
}

/* Table entries up to and with chunk i of the group come into being. They are written outright:
 * until nr_init, which is logged, covers them, nobody reads them. */
static void extend_table(struct ddfs_tx *tx, uint32_t nr, uint32_t i)
{
	struct ddfs_fs *fs = tx->fs;
	struct ddfs_group *g = &fs->alloc.groups[nr];
	struct ddfs_group_desc *d = ddfs_tx_edit(tx, group_off(nr), sizeof(*d));

	for (uint32_t c = ddfs_le32(d->nr_init); c <= i; c++) {
		uint64_t off = chunk_off(fs, g->first_chunk + c);
		struct ddfs_chunk fresh = { 0 };
		uint64_t used[8];

		chunk_fresh(fs, g->first_chunk + c, used);
		for (unsigned int w = 0; w < 8; w++)
			fresh.used[w] = ddfs_to64(used[w]);
		ddfs_csum_seal(fs->csum_seed, off, &fresh, sizeof(fresh));
		fs->media->ops->copy(fs->media, off, &fresh, sizeof(fresh));
	}
	d->nr_init = ddfs_to32(i + 1);
}

/* Of n bits from bit first on, those that lie in word w. */
static uint64_t word_mask(uint64_t first, uint64_t n, unsigned int w)
{
	uint64_t from = first > w * 64u ? first - w * 64u : 0;
	uint64_t to = first + n > w * 64u ? first + n - w * 64u : 0;

	if (to > 64)
		to = 64;
	if (from >= to)
		return 0;
	return (to - from == 64 ? UINT64_MAX : (UINT64_C(1) << (to - from)) - 1) << from;
}

/* Set or clear n bits of one chunk's entry from bit first on. */
static int change_chunk(struct ddfs_tx *tx, uint32_t chunk, uint64_t first, uint64_t n, bool used)
{
	struct ddfs_fs *fs = tx->fs;
	uint32_t nr = (uint32_t)((uint64_t)chunk * DDFS_CHUNK_BLOCKS >> fs->alloc.group_shift);
	struct ddfs_group *g = &fs->alloc.groups[nr];
	uint64_t off = chunk_off(fs, chunk);
	struct ddfs_chunk *c;
	const void *seen;

	if (chunk - g->first_chunk >= nr_init(fs, tx, nr))
		extend_table(tx, nr, chunk - g->first_chunk);
	seen = ddfs_tx_view(fs, tx, off);
	/* A new checksum must not make a damaged entry a good one. */
	if (seen == fs->base + off && !ddfs_csum_holds(fs->csum_seed, off, seen, sizeof(*c)))
		return ddfs_corrupt(fs, "chunk %u: its bitmap fails its checksum", chunk);
	c = ddfs_tx_edit(tx, off, sizeof(*c));
	for (unsigned int w = 0; w < 8; w++) {
		uint64_t mask = word_mask(first, n, w), word = ddfs_le64(c->used[w]);

		/* A block has one owner: it is not taken twice, nor freed by another. */
		if ((word & mask) != (used ? 0 : mask))
			return ddfs_corrupt(fs, "chunk %u: a block to be %s is so already", chunk,
				used ? "used" : "freed");
		c->used[w] = ddfs_to64(word ^ mask);
	}
	return tx->error;
}

static int change_range(struct ddfs_tx *tx, struct ddfs_range r, bool used)
{
	while (r.len) {
		uint32_t chunk = (uint32_t)(r.start / DDFS_CHUNK_BLOCKS);
		uint64_t first = r.start % DDFS_CHUNK_BLOCKS;
		uint64_t n = DDFS_CHUNK_BLOCKS - first < r.len ? DDFS_CHUNK_BLOCKS - first : r.len;
		int err = change_chunk(tx, chunk, first, n, used);

		if (err)
			return err;
		r.start += n;
		r.len -= n;
	}
	return 0;
}

int ddfs_alloc_prepare(struct ddfs_tx *tx)
{
	int err = lock_groups(tx);

	for (unsigned int i = 0; i < tx->nr_allocs && !err; i++)
		err = change_range(tx, tx->allocs[i], true);
	/* Freed behind allocated: a block may be both. */
	for (unsigned int i = 0; i < tx->nr_frees && !err; i++)
		err = change_range(tx, tx->frees[i], false);
	return err;
}
