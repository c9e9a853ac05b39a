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

static bool leads_to(const struct world_name *n, const char *path, size_t len)
{
	size_t own = strlen(n->path);

	return own <= len && memcmp(n->path, path, own) == 0 && (own == len || path[own] == '/');
}

/* How much of path is known by its number; none: the root is. */
static size_t known_part(const struct crash_world *w, const char *path, size_t len, ddfs_id *id)
{
	size_t best = 0;

	*id = DDFS_ID_ROOT;
	for (unsigned int i = 0; i < w->nr_names; i++) {
		if (!leads_to(&w->name[i], path, len) || strlen(w->name[i].path) <= best)
			continue;
		best = strlen(w->name[i].path);
		*id = w->name[i].id;
	}
	return best;
}

static int walk(struct crash_world *w, struct ddfs_fs *fs, const char *path, size_t len,
	struct ddfs_inode **out)
{
	const char *end = path + len;
	ddfs_id id;
	int err;

	path += known_part(w, path, len, &id);
	path += path < end && *path == '/';
	err = ddfs_inode_get(fs, id, out);
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
		return walk(w, fs, path, strlen(path), out);
	h = world_handle(w, path + 1);
	/* The open file has a reference, so this is another one. */
	return h ? ddfs_inode_get(fs, ddfs_inode_id(h->ip), out) : -EBADF;
}

static const struct world_name *find_name(const struct crash_world *w, const char *path, size_t len)
{
	for (unsigned int i = 0; i < w->nr_names; i++)
		if (strlen(w->name[i].path) == len && memcmp(w->name[i].path, path, len) == 0)
			return &w->name[i];
	return NULL;
}

static void keep_one(struct crash_world *w, struct ddfs_fs *fs, const char *path, size_t len)
{
	struct ddfs_inode *ip;

	if (find_name(w, path, len) || walk(w, fs, path, len, &ip))
		return;
	w->name = realloc(w->name, (w->nr_names + 1) * sizeof(*w->name));
	if (!w->name)
		abort();
	w->name[w->nr_names++] = (struct world_name){ strndup(path, len), ddfs_inode_id(ip) };
	ddfs_inode_put(ip);
}

void world_keep_name(struct crash_world *w, struct ddfs_fs *fs, const char *path)
{
	for (size_t n = 1; *path && *path != '@' && n <= strlen(path); n++)
		if (!path[n] || path[n] == '/')
			keep_one(w, fs, path, n);
}

ddfs_id world_kept_id(const struct crash_world *w, const char *path)
{
	const struct world_name *n = find_name(w, path, strlen(path));

	return n ? n->id : 0;
}

int world_get_parent(struct crash_world *w, struct ddfs_fs *fs, const char *path,
	struct ddfs_inode **dir, const char **name)
{
	const char *slash = strrchr(path, '/');
	struct ddfs_attr a;
	int err = walk(w, fs, path, slash ? (size_t)(slash - path) : 0, dir);

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
