/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ddfs_names.h"

#include <errno.h>
#include <fts.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int by_ino(const void *a, const void *b)
{
	ino_t x = ((const struct ddfs_name *)a)->ino, y = ((const struct ddfs_name *)b)->ino;

	return x < y ? -1 : x > y;
}

int ddfs_names_add(struct ddfs_names *names, ino_t ino)
{
	struct ddfs_name *p = names->name;

	if (names->nr == names->cap) {
		size_t cap = names->cap ? names->cap * 2 : 64;

		p = reallocarray(p, cap, sizeof(*p));
		if (!p)
			return -ENOMEM;
		names->name = p;
		names->cap = cap;
	}
	p[names->nr++] = (struct ddfs_name){ .ino = ino };
	return 0;
}

/* For bsearch, once each. */
static void sort(struct ddfs_names *names)
{
	size_t nr = 0;

	qsort(names->name, names->nr, sizeof(*names->name), by_ino);
	for (size_t i = 0; i < names->nr; i++)
		if (!nr || names->name[nr - 1].ino != names->name[i].ino)
			names->name[nr++] = names->name[i];
	names->nr = nr;
}

static struct ddfs_name *search(const struct ddfs_names *names, ino_t ino)
{
	struct ddfs_name key = { .ino = ino };

	if (!names->nr)
		return NULL;
	return bsearch(&key, names->name, names->nr, sizeof(key), by_ino);
}

/* What another filesystem is mounted on shows that one's inode. */
static bool has_stat(const FTSENT *e, dev_t dev)
{
	return e->fts_info != FTS_DP && e->fts_info != FTS_NS && e->fts_info != FTS_ERR &&
	       e->fts_statp->st_dev == dev;
}

static void walk(struct ddfs_names *names, FTS *fts)
{
	size_t left = names->nr;
	struct ddfs_name *name;
	dev_t dev = 0;
	FTSENT *e;

	while (left && (e = fts_read(fts))) {
		if (e->fts_level == FTS_ROOTLEVEL && e->fts_info == FTS_D)
			dev = e->fts_statp->st_dev;
		name = has_stat(e, dev) ? search(names, e->fts_statp->st_ino) : NULL;
		if (!name || name->path)
			continue;
		name->path = strdup(e->fts_path);
		left--;
	}
}

int ddfs_names_find(struct ddfs_names *names, const char *root)
{
	char *const roots[] = { (char *)root, NULL };
	FTS *fts;

	if (!names->nr)
		return 0;
	sort(names);
	fts = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	if (!fts)
		return -errno;
	walk(names, fts);
	fts_close(fts);
	return 0;
}

const char *ddfs_names_get(const struct ddfs_names *names, ino_t ino)
{
	const struct ddfs_name *name = search(names, ino);

	return name ? name->path : NULL;
}

void ddfs_names_fini(struct ddfs_names *names)
{
	for (size_t i = 0; i < names->nr; i++)
		free(names->name[i].path);
	free(names->name);
	*names = (struct ddfs_names){ .nr = 0 };
}
