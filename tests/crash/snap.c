/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of a snapshot or of the model. */
#include "tests/crash/snap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct crash_snap *snap_new(void)
{
	struct crash_snap *s = calloc(1, sizeof(*s));
	struct snap_node *root = snap_node_new(S_IFDIR | 0755);

	if (!s)
		abort();
	root->nlink = 2;
	snap_add(s, "", root);
	snap_node_put(root);
	return s;
}

void crash_snap_delete(struct crash_snap *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->nr; i++) {
		free(s->entry[i].path);
		snap_node_put(s->entry[i].node);
	}
	free(s->entry);
	free(s->held);
	free(s);
}

/* The first name that is not before path. */
static size_t place(const struct crash_snap *s, const char *path)
{
	size_t lo = 0, hi = s->nr;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (strcmp(s->entry[mid].path, path) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct snap_node *snap_find(const struct crash_snap *s, const char *path)
{
	size_t i = place(s, path);

	return i < s->nr && strcmp(s->entry[i].path, path) == 0 ? s->entry[i].node : NULL;
}

struct snap_node *snap_find_id(const struct crash_snap *s, ddfs_id id)
{
	for (size_t i = 0; i < s->nr; i++)
		if (s->entry[i].node->id == id)
			return s->entry[i].node;
	return NULL;
}

void crash_snap_forget_numbers(struct crash_snap *s, const struct crash_snap *old)
{
	for (size_t i = 0; i < s->nr; i++)
		if (s->entry[i].node->id && !snap_find_id(old, s->entry[i].node->id))
			s->entry[i].node->id = 0;
}

static void insert(struct crash_snap *s, char *path, struct snap_node *n)
{
	size_t i = place(s, path);

	if (s->nr == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 16;
		s->entry = realloc(s->entry, s->cap * sizeof(*s->entry));
		if (!s->entry)
			abort();
	}
	memmove(s->entry + i + 1, s->entry + i, (s->nr - i) * sizeof(*s->entry));
	s->entry[i] = (struct snap_entry){ path, n };
	s->nr++;
}

void snap_add(struct crash_snap *s, const char *path, struct snap_node *n)
{
	n->refs++;
	insert(s, strdup(path), n);
}

static struct snap_entry take(struct crash_snap *s, size_t i)
{
	struct snap_entry e = s->entry[i];

	s->nr--;
	memmove(s->entry + i, s->entry + i + 1, (s->nr - i) * sizeof(*s->entry));
	return e;
}

void snap_remove(struct crash_snap *s, const char *path)
{
	struct snap_entry e = take(s, place(s, path));

	free(e.path);
	snap_node_put(e.node);
}

/* What of path lies behind that of the directory, or is it: "" or "/..."; NULL: elsewhere. */
static const char *below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (strncmp(path, dir, n) != 0 || (path[n] && path[n] != '/'))
		return NULL;
	return path + n;
}

void snap_move(struct crash_snap *s, const char *from, const char *to)
{
	struct crash_snap moved = { 0 };

	for (size_t i = 0; i < s->nr;) {
		const char *rest = below(s->entry[i].path, from);
		struct snap_entry e;
		char *path;

		if (!rest) {
			i++;
			continue;
		}
		path = malloc(strlen(to) + strlen(rest) + 1);
		strcat(strcpy(path, to), rest);
		e = take(s, i);
		free(e.path);
		insert(&moved, path, e.node);
	}
	for (size_t i = 0; i < moved.nr; i++)
		insert(s, moved.entry[i].path, moved.entry[i].node);
	free(moved.entry);
}

bool snap_dir_is_empty(const struct crash_snap *s, const char *path)
{
	for (size_t i = 0; i < s->nr; i++) {
		const char *rest = *path ? below(s->entry[i].path, path) : s->entry[i].path;

		if (rest && *rest)
			return false;
	}
	return true;
}

struct crash_snap *snap_clone(const struct crash_snap *from)
{
	struct crash_snap *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	for (size_t i = 0; i < from->nr; i++)
		snap_add(s, from->entry[i].path, from->entry[i].node);
	s->nr_held = from->nr_held;
	s->held = calloc(from->nr_held + 1, sizeof(*s->held));
	if (from->nr_held)
		memcpy(s->held, from->held, from->nr_held * sizeof(*s->held));
	return s;
}

void snap_replace(struct crash_snap *s, const struct snap_node *old, struct snap_node *new)
{
	for (size_t i = 0; i < s->nr; i++) {
		if (s->entry[i].node != old)
			continue;
		new->refs++;
		snap_node_put(s->entry[i].node);
		s->entry[i].node = new;
	}
}
