/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of a stage, and what they hold. */
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/pin_stage.h"
#include "tests/unit/tree.h"

struct ddfs_inode *stage_file(struct pin_stage *s, const char *name, uint64_t size)
{
	struct ddfs_inode *ip = tree_make_get(s->root, name, S_IFREG | 0644);

	if (size)
		ck_assert_int_eq(tree_fill(ip, 0, size, 'd'), (ssize_t)size);
	return ip;
}

uint8_t *stage_memory(struct pin_stage *s, struct ddfs_inode *ip, uint64_t off)
{
	struct ddfs_file_extent e;
	uint64_t next;

	ck_assert_int_eq(ddfs_layout_query(ip, off, 1, false, &e, 1, &next), 1);
	ck_assert(!e.hole);
	return s->ram.writable + e.device_off;
}

uint64_t stage_size(struct ddfs_inode *ip)
{
	struct ddfs_attr a;

	ddfs_getattr(ip, &a);
	return a.size;
}

int stage_truncate(struct ddfs_inode *ip, uint64_t size, struct ddfs_wait *w)
{
	struct ddfs_attr a = { .size = size };

	return ddfs_setattr(ip, &a, DDFS_SET_SIZE, NULL, w);
}

bool stage_reads(struct ddfs_inode *ip, uint64_t off, size_t len, int c)
{
	uint8_t *buf = malloc(len);
	bool same = ddfs_pread(ip, buf, len, off) == (ssize_t)len;

	for (size_t i = 0; i < len && same; i++)
		same = buf[i] == (uint8_t)c;
	free(buf);
	return same;
}

struct ddfs_inode *stage_patchwork(struct pin_stage *s, unsigned int nr)
{
	struct ddfs_inode *ip = stage_file(s, "patchwork", 0);

	for (unsigned int i = 0; i < nr; i += 3) {
		ck_assert_int_eq(tree_fill(ip, i * BLK, BLK, 'p'), (ssize_t)BLK);
		ck_assert_int_eq(ddfs_fallocate(ip, 0, (i + 2) * BLK, BLK, NULL), 0);
	}
	return ip;
}

uint64_t stage_fill(struct pin_stage *s)
{
	struct ddfs_inode *ip = stage_file(s, "ballast", 0);
	uint64_t off = 0;
	ssize_t n;

	while ((n = tree_fill(ip, off, 256 * KIB, 'b')) > 0)
		off += (uint64_t)n;
	ck_assert_int_eq(n, -ENOSPC);
	ddfs_inode_put(ip);
	return off;
}

struct ddfs_inode *stage_pinned_file(
	struct pin_stage *s, const char *name, uint64_t nr, uint64_t *off)
{
	struct ddfs_inode *ip = stage_file(s, name, nr * BLK);

	stage_pin(s, ip, 0, 0, 0);
	*off = (uint64_t)(stage_memory(s, ip, 0) - s->ram.writable);
	return ip;
}

bool stage_holds(const struct pin_stage *s, uint64_t off, uint64_t len, int c)
{
	for (uint64_t i = 0; i < len; i++)
		if (s->ram.media.base[off + i] != (uint8_t)c)
			return false;
	return true;
}
