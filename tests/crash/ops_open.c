/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations on open files, pins, and the mount. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/crash/world.h"

static struct world_handle *free_handle(struct crash_world *w)
{
	for (unsigned int i = 0; i < WORLD_HANDLES; i++)
		if (!w->handle[i].path)
			return &w->handle[i];
	return NULL;
}

/* ---- open, release -------------------------------------------------------------------------- */

static bool truncates(const struct crash_op *op)
{
	return strcmp(op->word, "trunc") == 0;
}

/* What is open already is not opened again: a handle is known by its path. */
static int64_t call_open(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	struct world_handle *h = free_handle(w);
	struct ddfs_inode *ip;
	int err = !h || world_handle(w, op->path) ? -EMFILE : world_get(w, fs, op->path, &ip);

	if (err)
		return err;
	err = ddfs_open(ip, truncates(op) ? O_RDWR | O_TRUNC : O_RDONLY, false, NULL);
	if (err) {
		ddfs_inode_put(ip);
		return err;
	}
	h->path = strdup(op->path);
	h->ip = ip;
	return 0;
}

static int check_open(
	const struct crash_world *w, const struct crash_op *op, const struct snap_node *n)
{
	if (!truncates(op))
		return 0;
	if (n->flags & (DDFS_FLAG_IMMUTABLE | DDFS_FLAG_APPEND))
		return -EPERM;
	return n->size && world_is_pinned(w, n, 0, UINT64_MAX) ? -EBUSY : 0;
}

static int64_t model_open(struct crash_world *w, const struct crash_op *op)
{
	struct world_handle *h = world_handle(w, op->path);
	struct snap_node *n;
	int err = (h && h->node) || (!h && !free_handle(w)) ? -EMFILE : 0;

	if (!err)
		err = world_find(w, op->path, &n);
	if (!err)
		err = check_open(w, op, n);
	if (err)
		return err;
	/* The call made it: else its result is wrong, and that is told. */
	if (h) {
		h->node = n;
		n->refs++;
	}
	if (truncates(op) && S_ISREG(n->mode)) {
		snap_node_truncate(n, 0);
		world_touch(n, true);
	}
	return 0;
}

static int64_t call_release(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	struct world_handle *h = world_handle(w, op->path);

	(void)fs;
	if (!h)
		return -EBADF;
	ddfs_release(h->ip);
	ddfs_inode_put(h->ip);
	h->ip = NULL;
	return 0;
}

static int64_t model_release(struct crash_world *w, const struct crash_op *op)
{
	struct world_handle *h = world_handle(w, op->path);

	if (!h)
		return -EBADF;
	snap_node_put(h->node);
	free(h->path);
	*h = (struct world_handle){ 0 };
	return 0;
}

/* ---- pins ----------------------------------------------------------------------------------- */

static struct world_pin *free_pin(struct crash_world *w)
{
	for (unsigned int i = 0; i < WORLD_PINS; i++)
		if (!w->pin[i].node)
			return &w->pin[i];
	abort();
}

/* pin a OFF LEN [grow]: its holes become blocks first. */
static int64_t call_pin(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	bool grow = strcmp(op->word, "grow") == 0;
	struct ddfs_pin_args args = { .off = op->n[0],
		.len = op->n[1],
		.mode = DDFS_PIN_MODE_READ | DDFS_PIN_MODE_WRITE,
		.flags = DDFS_PIN_FAULT | (grow ? DDFS_PIN_GROW : 0),
		.owner = &w->owner,
		.holder = w->holder };
	struct ddfs_pinned out;
	struct ddfs_inode *ip;
	int err = world_get(w, fs, op->path, &ip);

	if (err)
		return err;
	err = ddfs_pin(ip, &args, NULL, &out, NULL, 0);
	if (!err)
		free_pin(w)->id = out.id;
	ddfs_inode_put(ip);
	return err;
}

static int check_pin(const struct crash_world *w, const struct crash_op *op,
	const struct snap_node *n, uint64_t end)
{
	int err = world_check_file(n);

	if (err)
		return err;
	if (!world_is_dax(w, n))
		return -EOPNOTSUPP;
	if (n->flags & (DDFS_FLAG_IMMUTABLE | DDFS_FLAG_APPEND))
		return -EPERM;
	return op->n[0] >= end ? -ENXIO : 0;
}

static int64_t model_pin(struct crash_world *w, const struct crash_op *op)
{
	bool grow = strcmp(op->word, "grow") == 0;
	uint64_t end = op->n[0] + op->n[1], size;
	struct snap_node *n;
	struct world_pin *p;
	int err = world_find(w, op->path, &n);

	if (err)
		return err;
	size = grow && end > n->size ? end : n->size;
	err = check_pin(w, op, n, size);
	if (err)
		return err;
	p = free_pin(w);
	p->node = n;
	n->refs++;
	p->first = op->n[0] / SNAP_BLOCK;
	p->last = ((end < size ? end : size) + SNAP_BLOCK - 1) / SNAP_BLOCK;
	n->size = size;
	/* Who may store through it does, as far as is known. */
	world_touch(n, true);
	return 0;
}

/* Of the file's pins, the first. */
static struct world_pin *find_pin(struct crash_world *w, const struct crash_op *op)
{
	struct snap_node *n;

	if (world_find(w, op->path, &n))
		return NULL;
	for (unsigned int i = 0; i < WORLD_PINS; i++)
		if (w->pin[i].node == n)
			return &w->pin[i];
	return NULL;
}

static int64_t call_unpin(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	struct world_pin *p = find_pin(w, op);

	return p ? ddfs_unpin(fs, &w->owner, p->id) : -ENOENT;
}

static int64_t model_unpin(struct crash_world *w, const struct crash_op *op)
{
	struct world_pin *p = find_pin(w, op);

	if (!p)
		return -ENOENT;
	snap_node_put(p->node);
	*p = (struct world_pin){ 0 };
	return 0;
}

/* ---- the mount ------------------------------------------------------------------------------ */

static int64_t call_remount(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	struct ddfs_fs_options opt = { .readonly = strcmp(op->word, "ro") == 0,
		.atime = DDFS_ATIME_NOATIME,
		.dax = w->w.dax };

	return ddfs_fs_remount(fs, &opt);
}

static int64_t model_remount(struct crash_world *w, const struct crash_op *op)
{
	(void)w;
	(void)op;
	return 0;
}

const struct op_kind op_kinds_open[] = {
	{ "open", "pW", JUDGE_WHOLE, 0, call_open, model_open },
	{ "release", "p", JUDGE_WHOLE, 0, call_release, model_release },
	{ "pin", "pnnW", JUDGE_PIECES, OP_TAKES_SPACE, call_pin, model_pin },
	{ "unpin", "p", JUDGE_WHOLE, 0, call_unpin, model_unpin },
	{ "remount", "w", JUDGE_WHOLE, 0, call_remount, model_remount },
	{ 0 },
};
