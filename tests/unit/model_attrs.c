/* SPDX-License-Identifier: BSD-3-Clause */
/* Random operations on attributes and open files, and what all operations share. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "tests/unit/model.h"

struct mnode *model_any(struct world *w)
{
	return w->node[rng_below(&w->rng, w->nr_nodes)];
}

static struct mnode *any_that(struct world *w, bool (*is)(const struct mnode *))
{
	size_t at = rng_below(&w->rng, w->nr_nodes);

	for (size_t i = 0; i < w->nr_nodes; i++) {
		struct mnode *n = w->node[(at + i) % w->nr_nodes];

		if (is(n))
			return n;
	}
	return NULL;
}

struct mnode *model_any_file(struct world *w)
{
	return any_that(w, model_is_reg);
}

static bool is_linked_dir(const struct mnode *n)
{
	return model_is_dir(n) && n->nlink;
}

static bool is_removed_dir(const struct mnode *n)
{
	return model_is_dir(n) && !n->nlink;
}

struct mnode *model_removed_dir(struct world *w)
{
	return any_that(w, is_removed_dir);
}

struct mnode *model_any_dir(struct world *w)
{
	/* Some directories are large, most are small. */
	if (rng_below(&w->rng, 3) == 0)
		return w->node[0];
	return any_that(w, is_linked_dir);
}

bool model_result(struct world *w, const char *what, int64_t got, int64_t want, uint64_t blocks)
{
	struct ddfs_statfs st;

	if (got == -ENOSPC && want >= 0 && blocks) {
		w->nr_full++;
		if (w->trace)
			fprintf(stderr, "%s: no room\n", what);
		ddfs_fs_statfs(w->fs, &st);
		/* Whole units may be wanting while blocks are not; and asking has just given
		 * back what the inode table had too much. */
		if (w->unit_bytes == MODEL_BLOCK)
			ck_assert_msg(st.nr_avail <= blocks + 64,
				"%s: no room, with %llu blocks free", what,
				(unsigned long long)st.nr_avail);
		return false;
	}
	ck_assert_msg(got == want, "%s: %lld (%s), want %lld", what, (long long)got,
		got < 0 ? strerror((int)-got) : "done", (long long)want);
	if (got < 0)
		w->nr_refused++;
	else
		w->nr_ok++;
	return got >= 0;
}

void model_op_setattr(struct world *w)
{
	struct mnode *n = model_any(w);
	struct ddfs_inode *ip = model_get(w, n);
	struct ddfs_attr a = { .mode = (uint32_t)rng_below(&w->rng, 010000),
		.uid = (uint32_t)rng_below(&w->rng, 5),
		.gid = (uint32_t)rng_below(&w->rng, 5),
		.mtime = { (time_t)rng_below(&w->rng, UINT64_C(1) << 34),
			(long)rng_below(&w->rng, 1000000000) } };
	unsigned int mask = 1 + (unsigned int)rng_below(&w->rng, 7);
	struct ddfs_attr out;

	/* Bits 0 to 2: mode, uid, gid. */
	ck_assert_int_eq(ddfs_setattr(ip, &a, mask | DDFS_SET_MTIME, &out, NULL), 0);
	ddfs_inode_put(ip);
	ck_assert_int_eq(out.mtime.tv_sec, a.mtime.tv_sec);
	ck_assert_int_eq(out.mtime.tv_nsec, a.mtime.tv_nsec);
	if (mask & DDFS_SET_UID)
		n->uid = a.uid;
	if (mask & DDFS_SET_GID)
		n->gid = a.gid;
	if (mask & (DDFS_SET_UID | DDFS_SET_GID) && !model_is_dir(n)) {
		n->mode &= ~(uint32_t)S_ISUID;
		if (n->mode & S_IXGRP)
			n->mode &= ~(uint32_t)S_ISGID;
	}
	if (mask & DDFS_SET_MODE)
		n->mode = (n->mode & S_IFMT) | a.mode;
	w->nr_ok++;
}

/* ---- xattrs --------------------------------------------------------------------------------- */

static void xattr_name(unsigned int i, char name[32])
{
	static const char *const prefixes[] = { "user", "trusted", "security" };

	snprintf(name, 32, "%s.%.*s%u", prefixes[i % 3], (int)(i % 4) * 5, "abcdefghijklmno", i);
}

static size_t xattr_size(struct world *w)
{
	switch (rng_below(&w->rng, 8)) {
	case 0:
		return rng_below(&w->rng, DDFS_XATTR_SIZE_MAX + 1);
	case 1:
		return rng_below(&w->rng, 5000);
	case 2:
	case 3:
		return rng_below(&w->rng, 1400);
	default:
		return rng_below(&w->rng, 64);
	}
}

void model_op_setxattr(struct world *w)
{
	static const int all_flags[] = { 0, 0, XATTR_CREATE, XATTR_REPLACE };
	struct mnode *n = model_any(w);
	unsigned int i = (unsigned int)rng_below(&w->rng, MODEL_XATTRS);
	int flags = all_flags[rng_below(&w->rng, 4)];
	struct mxattr *x = &n->xattr[i];
	struct ddfs_inode *ip = model_get(w, n);
	size_t size = xattr_size(w);
	int want = flags == XATTR_CREATE && x->value	 ? -EEXIST
		   : flags == XATTR_REPLACE && !x->value ? -ENODATA
							 : 0;

	xattr_name(i, x->name);
	model_trace(w, "setxattr", n, i, size);
	memset(w->buf, (int)rng_next(&w->rng), size);
	if (model_result(w, "setxattr", ddfs_setxattr(ip, x->name, w->buf, size, flags, false),
		    want, size / MODEL_BLOCK + 8)) {
		free(x->value);
		x->value = malloc(size + 1);
		memcpy(x->value, w->buf, size);
		x->size = size;
	}
	ddfs_inode_put(ip);
}

void model_op_removexattr(struct world *w)
{
	struct mnode *n = model_any(w);
	unsigned int i = (unsigned int)rng_below(&w->rng, MODEL_XATTRS);
	struct mxattr *x = &n->xattr[i];
	struct ddfs_inode *ip = model_get(w, n);

	xattr_name(i, x->name);
	if (model_result(
		    w, "removexattr", ddfs_removexattr(ip, x->name), x->value ? 0 : -ENODATA, 8)) {
		free(x->value);
		x->value = NULL;
	}
	ddfs_inode_put(ip);
}

/* ---- open files ----------------------------------------------------------------------------- */

void model_op_open(struct world *w)
{
	struct mnode *n = model_any(w);
	struct ddfs_inode *ip;
	bool trunc = model_is_reg(n) && rng_below(&w->rng, 6) == 0;

	if (w->nr_handles == MODEL_HANDLES)
		return;
	ip = model_get(w, n);
	if (!model_result(w, "open",
		    ddfs_open(ip, trunc ? O_RDWR | O_TRUNC : O_RDONLY, false, NULL), 0,
		    trunc ? 8 : 0)) {
		ddfs_inode_put(ip);
		return;
	}
	if (trunc)
		model_truncate(n, 0);
	n->opens++;
	w->handle[w->nr_handles].node = n;
	w->handle[w->nr_handles++].ip = ip;
}

void model_op_release(struct world *w)
{
	unsigned int i;
	struct mnode *n;

	if (!w->nr_handles)
		return;
	i = (unsigned int)rng_below(&w->rng, w->nr_handles);
	n = w->handle[i].node;
	ddfs_release(w->handle[i].ip);
	ddfs_inode_put(w->handle[i].ip);
	w->handle[i] = w->handle[--w->nr_handles];
	n->opens--;
	w->nr_ok++;
	model_settle(w, n);
}

void model_op_forget(struct world *w)
{
	struct ddfs_inode *ip;

	while (w->nr_dead) {
		ddfs_id id = w->dead[--w->nr_dead];

		ddfs_forget(w->fs, id);
		ck_assert_int_eq(ddfs_inode_get(w->fs, id, &ip), -ESTALE);
	}
}
