/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/room.h"

struct mnode *model_node_new(struct world *w, uint32_t mode)
{
	struct mnode *n = calloc(1, sizeof(*n));

	n->mode = mode;
	n->nlink = S_ISDIR(mode) ? 2 : 1;
	w->node = array_room(w->node, w->nr_nodes, &w->cap_nodes, sizeof(*w->node));
	w->node[w->nr_nodes++] = n;
	return n;
}

static void node_free(struct mnode *n)
{
	for (size_t i = 0; i < n->nr_blocks; i++)
		free(n->block[i].data);
	for (unsigned int i = 0; i < MODEL_XATTRS; i++)
		free(n->xattr[i].value);
	free(n->block);
	free(n->entry);
	free(n->target);
	free(n);
}

void model_node_delete(struct world *w, struct mnode *n)
{
	size_t i = 0;

	while (w->node[i] != n)
		i++;
	w->node[i] = w->node[--w->nr_nodes];
	node_free(n);
}

void model_clear(struct world *w)
{
	while (w->nr_nodes)
		node_free(w->node[--w->nr_nodes]);
	free(w->node);
	w->node = NULL;
}

bool model_is_dir(const struct mnode *n)
{
	return S_ISDIR(n->mode);
}

bool model_is_reg(const struct mnode *n)
{
	return S_ISREG(n->mode);
}

bool model_is_above(const struct mnode *n, const struct mnode *dir)
{
	while (dir != n && dir->parent != dir)
		dir = dir->parent;
	return dir == n;
}

/* ---- names ---------------------------------------------------------------------------------- */

struct mentry *model_find(struct mnode *dir, const char *name, size_t len)
{
	for (size_t i = 0; i < dir->nr_entries; i++)
		if (dir->entry[i].len == len && memcmp(dir->entry[i].name, name, len) == 0)
			return &dir->entry[i];
	return NULL;
}

void model_add(struct mnode *dir, const char *name, size_t len, struct mnode *n)
{
	struct mentry *e;

	dir->entry = array_room(dir->entry, dir->nr_entries, &dir->cap_entries, sizeof(*e));
	e = &dir->entry[dir->nr_entries++];
	memcpy(e->name, name, len);
	e->name[len] = 0;
	e->len = len;
	e->node = n;
}

void model_del(struct mnode *dir, struct mentry *e)
{
	*e = dir->entry[--dir->nr_entries];
}

/* ---- contents ------------------------------------------------------------------------------- */

static size_t block_index(const struct mnode *n, uint32_t lblk)
{
	size_t lo = 0, hi = n->nr_blocks;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (n->block[mid].lblk < lblk)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct mblock *model_block_from(struct mnode *n, uint32_t lblk)
{
	size_t i = block_index(n, lblk);

	return i < n->nr_blocks ? &n->block[i] : NULL;
}

static struct mblock *block_find(struct mnode *n, uint32_t lblk)
{
	struct mblock *b = model_block_from(n, lblk);

	return b && b->lblk == lblk ? b : NULL;
}

static struct mblock *block_make(struct mnode *n, uint32_t lblk)
{
	size_t i = block_index(n, lblk);

	if (i < n->nr_blocks && n->block[i].lblk == lblk)
		return &n->block[i];
	n->block = array_room(n->block, n->nr_blocks, &n->cap_blocks, sizeof(*n->block));
	memmove(n->block + i + 1, n->block + i, (n->nr_blocks - i) * sizeof(*n->block));
	n->nr_blocks++;
	n->block[i].lblk = lblk;
	n->block[i].data = calloc(1, MODEL_BLOCK);
	return &n->block[i];
}

/* Blocks of [first, last) are no longer written. */
static void blocks_drop(struct mnode *n, uint64_t first, uint64_t last)
{
	size_t to = 0;

	for (size_t i = 0; i < n->nr_blocks; i++) {
		if (n->block[i].lblk >= first && n->block[i].lblk < last)
			free(n->block[i].data);
		else
			n->block[to++] = n->block[i];
	}
	n->nr_blocks = to;
}

static size_t piece(uint64_t off, size_t len)
{
	size_t room = MODEL_BLOCK - off % MODEL_BLOCK;

	return len < room ? len : room;
}

void model_write(struct mnode *n, uint64_t off, const uint8_t *src, size_t len)
{
	while (len) {
		struct mblock *b = block_make(n, (uint32_t)(off / MODEL_BLOCK));
		size_t take = piece(off, len);

		memcpy(b->data + off % MODEL_BLOCK, src, take);
		off += take;
		src += take;
		len -= take;
	}
	if (off > n->size)
		n->size = off;
}

void model_read(struct mnode *n, uint64_t off, uint8_t *dst, size_t len)
{
	while (len) {
		struct mblock *b = block_find(n, (uint32_t)(off / MODEL_BLOCK));
		size_t take = piece(off, len);

		if (b)
			memcpy(dst, b->data + off % MODEL_BLOCK, take);
		else
			memset(dst, 0, take);
		off += take;
		dst += take;
		len -= take;
	}
}

/* What is written of [from, to) becomes zero. */
static void zero(struct mnode *n, uint64_t from, uint64_t to)
{
	while (from < to) {
		struct mblock *b = block_find(n, (uint32_t)(from / MODEL_BLOCK));
		size_t take = piece(from, to - from > MODEL_BLOCK ? MODEL_BLOCK : to - from);

		if (b)
			memset(b->data + from % MODEL_BLOCK, 0, take);
		from += take;
	}
}

void model_copy(struct mnode *in, uint64_t off_in, struct mnode *out, uint64_t off_out, size_t len)
{
	uint8_t data[MODEL_BLOCK];

	while (len) {
		size_t take = piece(off_in, len);

		if (block_find(in, (uint32_t)(off_in / MODEL_BLOCK))) {
			model_read(in, off_in, data, take);
			model_write(out, off_out, data, take);
		} else {
			zero(out, off_out, off_out + take);
		}
		off_in += take;
		off_out += take;
		len -= take;
	}
	if (off_out > out->size)
		out->size = off_out;
}

void model_truncate(struct mnode *n, uint64_t size)
{
	uint64_t end = (size + MODEL_BLOCK - 1) / MODEL_BLOCK;

	if (size < n->size) {
		blocks_drop(n, end, UINT64_MAX);
		zero(n, size, end * MODEL_BLOCK);
	}
	n->size = size;
}

void model_punch(struct mnode *n, uint64_t off, uint64_t len)
{
	uint64_t first = (off + MODEL_BLOCK - 1) / MODEL_BLOCK, last = (off + len) / MODEL_BLOCK;

	if (first >= last) {
		zero(n, off, off + len);
		return;
	}
	zero(n, off, first * MODEL_BLOCK);
	zero(n, last * MODEL_BLOCK, off + len);
	blocks_drop(n, first, last);
}

static void shift(struct mnode *n, uint64_t from, int64_t by)
{
	for (size_t i = 0; i < n->nr_blocks; i++)
		if (n->block[i].lblk >= from)
			n->block[i].lblk = (uint32_t)((int64_t)n->block[i].lblk + by);
}

void model_collapse(struct mnode *n, uint64_t off, uint64_t len)
{
	uint64_t first = off / MODEL_BLOCK, nr = len / MODEL_BLOCK;

	blocks_drop(n, first, first + nr);
	shift(n, first, -(int64_t)nr);
	n->size -= len;
}

void model_insert(struct mnode *n, uint64_t off, uint64_t len)
{
	shift(n, off / MODEL_BLOCK, (int64_t)(len / MODEL_BLOCK));
	n->size += len;
}
