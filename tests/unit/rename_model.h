/* SPDX-License-Identifier: BSD-3-Clause */
/* What rename(2) does to a list of paths. */
#ifndef DDFS_TEST_RENAME_MODEL_H
#define DDFS_TEST_RENAME_MODEL_H

#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "fs/fs.h"

#define NR(array) (sizeof(array) / sizeof((array)[0]))
#define LONG50	  "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
#define LONG255	  LONG50 LONG50 LONG50 LONG50 LONG50 "NNNN"
#define MAX_PATHS 20

/* ---- the list ------------------------------------------------------------------------------- */

static const struct planted {
	const char *path; /* the one above comes first */
	uint32_t type;	  /* 0: a link to what is named f */
} tree[] = {
	{ "d", S_IFDIR },
	{ "e", S_IFDIR },
	{ "e/s", S_IFDIR },
	{ "e/s/t", S_IFDIR },
	{ "e/s/x", S_IFREG },
	{ "e/x", S_IFREG },
	{ "f", S_IFREG },
	{ "g", S_IFREG },
	{ "h", 0 },
	{ "e/h", 0 },
	{ "l", S_IFLNK },
	{ "p", S_IFIFO },
	{ "e/" LONG255 "L", S_IFREG },
};

/* Names that are not there. */
static const char *const absent[] = { "new", "d/new", "e/s/new", LONG255 "M", "e/x2" };

#define NR_ENDS	 (NR(tree) + NR(absent))
#define NR_FLAGS 4

struct path {
	char text[600];
	ddfs_id id;
	bool is_dir;
};

struct model {
	struct path paths[MAX_PATHS];
	size_t nr;
};

static inline struct path *model_find(struct model *mo, const char *text)
{
	for (size_t i = 0; i < mo->nr; i++)
		if (strcmp(mo->paths[i].text, text) == 0)
			return &mo->paths[i];
	return NULL;
}

static inline size_t dir_len(const char *text)
{
	const char *slash = strrchr(text, '/');

	return slash ? (size_t)(slash - text) : 0;
}

static inline bool is_under(const char *text, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(text, dir, len) == 0 && text[len] == '/';
}

static inline bool is_parent(const char *dir, const char *text)
{
	return dir_len(text) == strlen(dir) && strncmp(text, dir, strlen(dir)) == 0;
}

static inline bool has_entries(const struct model *mo, const char *dir)
{
	for (size_t i = 0; i < mo->nr; i++)
		if (is_under(mo->paths[i].text, dir))
			return true;
	return false;
}

/* What rename(2) says; *nothing: it succeeds and leaves all as it is. Where two errors hold, any
 * may be told, and loops are told first here. */
static inline int model_check(
	struct model *mo, const char *from, const char *to, unsigned int flags, bool *nothing)
{
	struct path *a = model_find(mo, from), *b = model_find(mo, to);

	if (flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	if (!a)
		return -ENOENT;
	if (a->is_dir && is_under(to, from))
		return -EINVAL;
	if (b && is_under(from, to))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	if (flags & RENAME_EXCHANGE && !b)
		return -ENOENT;
	if (flags & RENAME_NOREPLACE && b)
		return -EEXIST;
	*nothing = b && a->id == b->id;
	if (!b || *nothing || flags & RENAME_EXCHANGE)
		return 0;
	if (a->is_dir != b->is_dir)
		return a->is_dir ? -ENOTDIR : -EISDIR;
	return b->is_dir && has_entries(mo, to) ? -ENOTEMPTY : 0;
}

static inline void model_retext(struct path *p, const char *from, const char *to)
{
	char text[sizeof(p->text)];

	snprintf(text, sizeof(text), "%s%s", to, p->text + strlen(from));
	memcpy(p->text, text, sizeof(text));
}

static inline void model_rename(
	struct model *mo, const char *from, const char *to, unsigned int flags)
{
	struct path *gone = flags & RENAME_EXCHANGE ? NULL : model_find(mo, to);

	if (gone)
		*gone = mo->paths[--mo->nr];
	for (size_t i = 0; i < mo->nr; i++) {
		struct path *p = &mo->paths[i];

		if (strcmp(p->text, from) == 0 || is_under(p->text, from))
			model_retext(p, from, to);
		else if (strcmp(p->text, to) == 0 || is_under(p->text, to))
			model_retext(p, to, from);
	}
}

#endif
