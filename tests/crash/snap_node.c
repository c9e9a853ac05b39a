/* SPDX-License-Identifier: BSD-3-Clause */
/* Inodes of a snapshot or of the model, and what they hold. */
#include <stdlib.h>
#include <string.h>

#include "tests/crash/snap.h"

struct snap_node *snap_node_new(uint32_t mode)
{
	struct snap_node *n = calloc(1, sizeof(*n));

	if (!n)
		abort();
	n->refs = 1;
	n->mode = mode;
	return n;
}

static void xattr_fini(struct snap_xattr *x)
{
	free(x->name);
	free(x->value);
}

void snap_node_put(struct snap_node *n)
{
	if (--n->refs)
		return;
	for (size_t i = 0; i < n->nr_blocks; i++)
		free(n->block[i]);
	for (size_t i = 0; i < n->nr_xattrs; i++)
		xattr_fini(&n->xattr[i]);
	free(n->block);
	free(n->xattr);
	free(n->target);
	free(n);
}

static uint8_t *copy(const void *p, size_t len)
{
	uint8_t *q = malloc(len + 1);

	if (!q)
		abort();
	memcpy(q, p, len);
	return q;
}

struct snap_node *snap_node_clone(const struct snap_node *from)
{
	struct snap_node *n = snap_node_new(from->mode);

	*n = *from;
	n->refs = 1;
	n->target = from->target ? strdup(from->target) : NULL;
	n->block = calloc(from->nr_blocks + 1, sizeof(*n->block));
	for (size_t i = 0; i < n->nr_blocks; i++)
		n->block[i] = from->block[i] ? copy(from->block[i], SNAP_BLOCK) : NULL;
	n->xattr = NULL;
	n->nr_xattrs = 0;
	for (size_t i = 0; i < from->nr_xattrs; i++)
		snap_node_set_xattr(
			n, from->xattr[i].name, from->xattr[i].value, from->xattr[i].size);
	return n;
}

/* ---- contents ------------------------------------------------------------------------------- */

static size_t piece(uint64_t off, uint64_t len)
{
	size_t room = SNAP_BLOCK - off % SNAP_BLOCK;

	return len < room ? (size_t)len : room;
}

static void grow(struct snap_node *n, size_t nr)
{
	if (nr <= n->nr_blocks)
		return;
	n->block = realloc(n->block, nr * sizeof(*n->block));
	if (!n->block)
		abort();
	memset(n->block + n->nr_blocks, 0, (nr - n->nr_blocks) * sizeof(*n->block));
	n->nr_blocks = nr;
}

static void drop_block(struct snap_node *n, size_t i)
{
	free(n->block[i]);
	n->block[i] = NULL;
}

static void write_piece(struct snap_node *n, uint64_t off, const uint8_t *src, size_t len)
{
	size_t i = off / SNAP_BLOCK;

	grow(n, i + 1);
	if (!n->block[i])
		n->block[i] = calloc(1, SNAP_BLOCK);
	memcpy(n->block[i] + off % SNAP_BLOCK, src, len);
}

static void zero_piece(struct snap_node *n, uint64_t off, size_t len)
{
	size_t i = off / SNAP_BLOCK;

	if (i >= n->nr_blocks || !n->block[i])
		return;
	if (len == SNAP_BLOCK)
		drop_block(n, i);
	else
		memset(n->block[i] + off % SNAP_BLOCK, 0, len);
}

void snap_node_write(struct snap_node *n, uint64_t off, const uint8_t *src, uint64_t len)
{
	/* Whatever is asked to be zeroed behind the contents is. */
	if (!src && off + len > (uint64_t)n->nr_blocks * SNAP_BLOCK) {
		uint64_t end = (uint64_t)n->nr_blocks * SNAP_BLOCK;

		len = off < end ? end - off : 0;
	}
	while (len) {
		size_t take = piece(off, len);

		if (src)
			write_piece(n, off, src, take);
		else
			zero_piece(n, off, take);
		off += take;
		src += src ? take : 0;
		len -= take;
	}
}

void snap_node_read(const struct snap_node *n, uint64_t off, uint8_t *dst, size_t len)
{
	while (len) {
		const uint8_t *b = snap_node_block(n, off / SNAP_BLOCK);
		size_t take = piece(off, len);

		if (b)
			memcpy(dst, b + off % SNAP_BLOCK, take);
		else
			memset(dst, 0, take);
		off += take;
		dst += take;
		len -= take;
	}
}

void snap_node_truncate(struct snap_node *n, uint64_t size)
{
	uint64_t end = (uint64_t)n->nr_blocks * SNAP_BLOCK;

	if (size < end)
		snap_node_write(n, size, NULL, end - size);
	n->size = size;
}

void snap_node_collapse(struct snap_node *n, uint64_t off, uint64_t len)
{
	size_t first = off / SNAP_BLOCK, nr = len / SNAP_BLOCK;

	for (size_t i = first; i < n->nr_blocks; i++) {
		if (i < first + nr)
			drop_block(n, i);
		else
			n->block[i - nr] = n->block[i];
		n->block[i] = NULL;
	}
	n->size -= len;
}

void snap_node_insert(struct snap_node *n, uint64_t off, uint64_t len)
{
	size_t first = off / SNAP_BLOCK, nr = len / SNAP_BLOCK, old = n->nr_blocks;

	n->size += len;
	if (first >= old)
		return;
	grow(n, old + nr);
	memmove(n->block + first + nr, n->block + first, (old - first) * sizeof(*n->block));
	for (size_t i = first; i < first + nr; i++)
		n->block[i] = NULL;
}

/* ---- xattrs --------------------------------------------------------------------------------- */

const struct snap_xattr *snap_node_xattr(const struct snap_node *n, const char *name)
{
	for (size_t i = 0; i < n->nr_xattrs; i++)
		if (strcmp(n->xattr[i].name, name) == 0)
			return &n->xattr[i];
	return NULL;
}

bool snap_node_remove_xattr(struct snap_node *n, const char *name)
{
	const struct snap_xattr *x = snap_node_xattr(n, name);
	size_t i = x ? (size_t)(x - n->xattr) : 0;

	if (!x)
		return false;
	xattr_fini(&n->xattr[i]);
	n->nr_xattrs--;
	memmove(n->xattr + i, n->xattr + i + 1, (n->nr_xattrs - i) * sizeof(*n->xattr));
	return true;
}

void snap_node_set_xattr(struct snap_node *n, const char *name, const void *value, size_t size)
{
	struct snap_xattr x = { strdup(name), copy(value, size), size };
	size_t i = 0;

	snap_node_remove_xattr(n, name);
	n->xattr = realloc(n->xattr, (n->nr_xattrs + 1) * sizeof(*n->xattr));
	while (i < n->nr_xattrs && strcmp(n->xattr[i].name, name) < 0)
		i++;
	memmove(n->xattr + i + 1, n->xattr + i, (n->nr_xattrs - i) * sizeof(*n->xattr));
	n->xattr[i] = x;
	n->nr_xattrs++;
}
