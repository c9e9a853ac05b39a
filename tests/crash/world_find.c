/* SPDX-License-Identifier: BSD-3-Clause */
/* Paths, in the filesystem and in the model; what operations of the model share. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/crash/world.h"

/* ---- in the filesystem ---------------------------------------------------------------------- */

static int step(struct ddfs_inode **ip, const char *name, size_t len)
{
	struct ddfs_fs *fs = ddfs_inode_fs(*ip);
	struct ddfs_entry e;
	struct ddfs_attr a;
	int err = ddfs_getattr(*ip, &a);

	if (!err && !S_ISDIR(a.mode))
		err = -ENOTDIR;
	if (!err)
		err = ddfs_lookup(*ip, name, len, &e);
	ddfs_inode_put(*ip);
	return err ? err : ddfs_inode_get(fs, e.attr.id, ip);
}

static int walk(struct ddfs_fs *fs, const char *path, size_t len, struct ddfs_inode **out)
{
	const char *end = path + len;
	int err = ddfs_inode_get(fs, DDFS_ID_ROOT, out);

	while (!err && path < end) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		size_t n = (size_t)((slash ? slash : end) - path);

		err = step(out, path, n);
		path += n + !!slash;
	}
	return err;
}

struct world_handle *world_handle(struct crash_world *w, const char *path)
{
	for (unsigned int i = 0; i < WORLD_HANDLES; i++)
		if (w->handle[i].path && strcmp(w->handle[i].path, path) == 0)
			return &w->handle[i];
	return NULL;
}

int world_get(struct crash_world *w, struct ddfs_fs *fs, const char *path, struct ddfs_inode **out)
{
	const struct world_handle *h;

	if (*path != '@')
		return walk(fs, path, strlen(path), out);
	h = world_handle(w, path + 1);
	/* The open file has a reference, so this is another one. */
	return h ? ddfs_inode_get(fs, ddfs_inode_id(h->ip), out) : -EBADF;
}

int world_get_parent(
	struct ddfs_fs *fs, const char *path, struct ddfs_inode **dir, const char **name)
{
	const char *slash = strrchr(path, '/');
	struct ddfs_attr a;
	int err = walk(fs, path, slash ? (size_t)(slash - path) : 0, dir);

	*name = slash ? slash + 1 : path;
	if (err)
		return err;
	err = ddfs_getattr(*dir, &a);
	if (!err && !S_ISDIR(a.mode))
		err = -ENOTDIR;
	if (err)
		ddfs_inode_put(*dir);
	return err;
}

/* ---- in the model --------------------------------------------------------------------------- */

int world_find(struct crash_world *w, const char *path, struct snap_node **out)
{
	char *part = strdup(path);
	int err = 0;

	if (*path == '@') {
		const struct world_handle *h = world_handle(w, path + 1);

		free(part);
		*out = h ? h->node : NULL;
		return h ? 0 : -EBADF;
	}
	/* What is on the way must be directories. */
	for (char *slash = strchr(part, '/'); slash && !err; slash = strchr(slash + 1, '/')) {
		const struct snap_node *n;

		*slash = 0;
		n = snap_find(w->model, part);
		err = !n ? -ENOENT : S_ISDIR(n->mode) ? 0 : -ENOTDIR;
		*slash = '/';
	}
	free(part);
	*out = err ? NULL : snap_find(w->model, path);
	return err ? err : *out ? 0 : -ENOENT;
}

int world_find_parent(struct crash_world *w, const char *of, struct snap_node **dir, char **path)
{
	const char *slash = strrchr(of, '/');
	int err;

	*path = strndup(of, slash ? (size_t)(slash - of) : 0);
	err = world_find(w, *path, dir);
	if (!err && !S_ISDIR((*dir)->mode))
		err = -ENOTDIR;
	if (err)
		free(*path);
	return err;
}

/* ---- what operations share ------------------------------------------------------------------ */

void world_touch(struct snap_node *n, bool mtime)
{
	n->time[SNAP_CTIME] = 0;
	if (mtime)
		n->time[SNAP_MTIME] = 0;
}

void world_kill_priv(struct snap_node *n)
{
	n->mode &= ~(uint32_t)S_ISUID;
	if (n->mode & S_IXGRP)
		n->mode &= ~(uint32_t)S_ISGID;
	snap_node_remove_xattr(n, "security.capability");
}

bool world_is_dax(const struct crash_world *w, const struct snap_node *n)
{
	if (!S_ISREG(n->mode) || w->w.dax == DDFS_DAX_NEVER)
		return false;
	return w->w.dax == DDFS_DAX_ALWAYS || n->flags & DDFS_FLAG_DAX;
}

uint64_t world_unit(const struct crash_world *w, const struct snap_node *n)
{
	return world_is_dax(w, n) ? w->w.align_bytes : SNAP_BLOCK;
}

bool world_is_pinned(
	const struct crash_world *w, const struct snap_node *n, uint64_t first, uint64_t last)
{
	for (unsigned int i = 0; i < WORLD_PINS; i++)
		if (w->pin[i].node == n && first < w->pin[i].last && w->pin[i].first < last)
			return true;
	return false;
}

int world_check_file(const struct snap_node *n)
{
	if (S_ISDIR(n->mode))
		return -EISDIR;
	return S_ISREG(n->mode) ? 0 : -EINVAL;
}
