/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/bad_stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/extent.h"

static struct bad_stage *stage_of(struct ddfs_media *m)
{
	return (struct bad_stage *)m;
}

/* What it held is lost, and what it holds then is nothing that anybody wrote. */
static void clear_block(struct bad_stage *s, uint64_t block)
{
	memset(s->m.ram.writable + block * BLK, 0xee, BLK);
	if (s->poisoned[block])
		ram_heal(&s->m.ram, block * BLK);
	s->poisoned[block] = false;
}

/* A store there kills as a load does; and nobody but who has it cleared knows what comes of it. */
static void check_store(struct bad_stage *s, uint64_t off, size_t len)
{
	for (uint64_t b = off / BLK; b * BLK < off + len; b++)
		ck_assert_msg(!s->poisoned[b], "a store to bad block %llu", (unsigned long long)b);
}

static void copy(struct ddfs_media *m, uint64_t off, const void *src, size_t len)
{
	check_store(stage_of(m), off, len);
	stage_of(m)->ram_ops->copy(m, off, src, len);
}

static void set(struct ddfs_media *m, uint64_t off, int c, size_t len)
{
	check_store(stage_of(m), off, len);
	stage_of(m)->ram_ops->set(m, off, c, len);
}

static int clear_poison(struct ddfs_media *m, uint64_t off, size_t len)
{
	struct bad_stage *s = stage_of(m);

	ck_assert(off % BLK == 0 && len % BLK == 0 && off + len <= m->size);
	if (!s->can_clear)
		return -EOPNOTSUPP;
	if (s->m.ram.ear)
		s->m.ram.ear->store(s->m.ram.ear->arg, off, len);
	for (uint64_t at = off; at < off + len; at += BLK)
		clear_block(s, at / BLK);
	s->nr_cleared++;
	return 0;
}

static int bad_ranges(
	struct ddfs_media *m, void (*found)(void *arg, uint64_t off, uint64_t len), void *arg)
{
	const struct bad_stage *s = stage_of(m);

	if (!s->keeps_list)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < s->nr_told; i++)
		found(arg, s->told[i].start * BLK, s->told[i].len * BLK);
	return 0;
}

static void hear(void *arg, int priority, const char *line)
{
	struct bad_stage *s = arg;
	size_t len = strlen(s->said), more = strlen(line) + 1;

	(void)priority;
	if (len + more >= sizeof(s->said))
		len = 0;
	snprintf(s->said + len, sizeof(s->said) - len, "%s\n", line);
}

void bad_stage_init(struct bad_stage *s, uint64_t size, uint64_t align)
{
	memset(s, 0, sizeof(*s));
	ram_mkfs(&s->m.ram, size, align);
	s->ram_ops = s->m.ram.media.ops;
	s->ops = *s->ram_ops;
	s->ops.copy = copy;
	s->ops.set = set;
	s->ops.clear_poison = clear_poison;
	s->ops.bad_ranges = bad_ranges;
	s->m.ram.media.ops = &s->ops;
	s->poisoned = calloc(size / BLK, sizeof(*s->poisoned));
	s->told = calloc(BAD_RANGES, sizeof(*s->told));
	s->opt = (struct ddfs_fs_options){ .log = hear, .log_arg = s };
	if (align > BLK)
		s->opt.dax = DDFS_DAX_ALWAYS;
	mounted_open(&s->m, &s->opt);
}

void bad_stage_fini(struct bad_stage *s)
{
	mounted_end(&s->m);
	free(s->poisoned);
	free(s->told);
}

void bad_stage_remount(struct bad_stage *s)
{
	mounted_again(&s->m, &s->opt);
}

void bad_stage_crash(struct bad_stage *s)
{
	uint64_t size = s->m.ram.media.size;
	uint8_t *then = malloc(size);

	memcpy(then, s->m.ram.writable, size);
	ddfs_inode_put(s->m.root);
	ck_assert_int_eq(ddfs_fs_close(s->m.fs), 0);
	memcpy(s->m.ram.writable, then, size);
	free(then);
	mounted_open(&s->m, &s->opt);
}

uint64_t bad_stage_block(struct ddfs_inode *ip, uint64_t lblk)
{
	struct ddfs_map m;

	ck_assert_int_eq(
		ddfs_extent_lookup(ip->fs, NULL, ddfs_inode_view(ip, NULL), (uint32_t)lblk, &m), 0);
	return m.kind == DDFS_MAP_HOLE ? 0 : m.pblk;
}

void bad_stage_poison_block(struct bad_stage *s, uint64_t block)
{
	if (!s->poisoned[block])
		ram_poison(&s->m.ram, block * BLK);
	s->poisoned[block] = true;
}

uint64_t bad_stage_poison(struct bad_stage *s, struct ddfs_inode *ip, uint64_t lblk)
{
	uint64_t block = bad_stage_block(ip, lblk);

	ck_assert_uint_ne(block, 0);
	bad_stage_poison_block(s, block);
	return block;
}

void bad_stage_tell(struct bad_stage *s, uint64_t block, uint64_t nr)
{
	ck_assert_uint_lt(s->nr_told, BAD_RANGES);
	s->keeps_list = true;
	s->told[s->nr_told++] = (struct ddfs_range){ block, nr };
}

struct ddfs_inode *bad_stage_file(struct bad_stage *s, const char *name, uint64_t nr, int c)
{
	struct ddfs_inode *ip = tree_make_get(s->m.root, name, S_IFREG | 0644);

	ck_assert_int_eq(tree_fill(ip, 0, nr * BLK, c), (ssize_t)(nr * BLK));
	return ip;
}

int bad_stage_value(struct ddfs_inode *ip, uint64_t lblk)
{
	uint8_t buf[BLK];
	ssize_t n = ddfs_pread(ip, buf, BLK, lblk * BLK);

	if (n < 0)
		return (int)n;
	ck_assert_int_eq(n, (ssize_t)BLK);
	return memcmp(buf, buf + 1, BLK - 1) ? -1 : buf[0];
}

uint64_t bad_stage_free(struct bad_stage *s)
{
	struct ddfs_statfs st;

	ck_assert_int_eq(ddfs_fs_statfs(s->m.fs, &st), 0);
	return st.nr_free;
}

bool bad_stage_said(const struct bad_stage *s, const char *word)
{
	return strstr(s->said, word);
}
