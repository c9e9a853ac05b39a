/* SPDX-License-Identifier: BSD-3-Clause */
/* What was recovered is used for what a filesystem is for, and emptied. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/crash/crash.h"

/* Blocks without which an operation may fail for want of room. */
#define ROOM 64u

struct use {
	struct ddfs_fs *fs;
	char *why;
};

__attribute__((format(printf, 3, 4))) static bool failed(
	const struct use *u, int64_t err, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(u->why, 256, fmt, ap);
	va_end(ap);
	if (n < 200)
		snprintf(u->why + n, 256 - (size_t)n, ": %s",
			err < 0 ? strerror((int)-err) : "wrong result");
	return false;
}

/* Done, or there is no room for all of it. */
static bool is_done(const struct use *u, int64_t got, int64_t want)
{
	struct ddfs_statfs st;

	if (got == want)
		return true;
	ddfs_fs_statfs(u->fs, &st);
	return (got == -ENOSPC || (got > 0 && got < want)) && st.nr_avail < ROOM;
}

/* ---- what is there is written to ------------------------------------------------------------ */

static bool overwrite(const struct use *u, struct ddfs_inode *ip, uint64_t off, const char *what)
{
	static const char text[] = "used once more";
	char back[sizeof(text)];
	int64_t n = ddfs_write(ip, off, text, sizeof(text), 0);

	if (!is_done(u, n, sizeof(text)))
		return failed(u, n, "writing %s of inode %u", what, (uint32_t)ddfs_inode_id(ip));
	if (n < 0)
		return true;
	if (ddfs_pread(ip, back, (size_t)n, off) != n || memcmp(text, back, (size_t)n) != 0)
		return failed(u, 0, "reading %s of inode %u", what, (uint32_t)ddfs_inode_id(ip));
	return true;
}

static bool use_inode(const struct use *u, struct ddfs_inode *ip)
{
	struct ddfs_attr a;
	int err = ddfs_getattr(ip, &a);

	if (!err && a.flags & (DDFS_FLAG_IMMUTABLE | DDFS_FLAG_APPEND))
		err = ddfs_set_flags(ip, 0);
	if (err)
		return failed(u, err, "flags of inode %u", (uint32_t)ddfs_inode_id(ip));
	if (!S_ISREG(a.mode))
		return true;
	return overwrite(u, ip, 0, "the start") && overwrite(u, ip, a.size, "the end");
}

/* ---- all names ------------------------------------------------------------------------------ */

struct name {
	char name[DDFS_NAME_MAX + 1];
	size_t len;
	ddfs_id id;
	bool is_dir;
};

struct names {
	struct name *e;
	size_t nr, cap;
	bool lacks_attr;
};

static int note(void *arg, const struct ddfs_dirent *d)
{
	struct names *l = arg;

	if (d->cookie <= 2)
		return 0;
	l->lacks_attr |= !d->attr;
	if (l->nr == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->e = realloc(l->e, l->cap * sizeof(*l->e));
		if (!l->e)
			abort();
	}
	l->e[l->nr] = (struct name){
		.len = d->name_len, .id = d->attr ? d->attr->id : 0, .is_dir = S_ISDIR(d->type)
	};
	memcpy(l->e[l->nr++].name, d->name, d->name_len);
	return 0;
}

typedef bool (*visit_fn)(const struct use *u, struct ddfs_inode *dir, const struct name *n);

static bool for_each(const struct use *u, struct ddfs_inode *dir, visit_fn visit)
{
	struct names l = { 0 };
	int err = ddfs_readdir(dir, 0, true, note, &l);
	bool ok = !err && !l.lacks_attr;

	if (!ok)
		failed(u, err, "listing directory %u", (uint32_t)ddfs_inode_id(dir));
	for (size_t i = 0; ok && i < l.nr; i++)
		ok = visit(u, dir, &l.e[i]);
	free(l.e);
	return ok;
}

static bool use_name(const struct use *u, struct ddfs_inode *dir, const struct name *n)
{
	struct ddfs_inode *ip;
	int err = ddfs_inode_get(u->fs, n->id, &ip);
	bool ok;

	(void)dir;
	if (err)
		return failed(u, err, "'%.100s'", n->name);
	ok = use_inode(u, ip) && (!n->is_dir || for_each(u, ip, use_name));
	ddfs_inode_put(ip);
	return ok;
}

static bool remove_below(const struct use *u, ddfs_id id);

static bool remove_name(const struct use *u, struct ddfs_inode *dir, const struct name *n)
{
	int err;

	if (n->is_dir && !remove_below(u, n->id))
		return false;
	err = n->is_dir ? ddfs_rmdir(dir, n->name, n->len) : ddfs_unlink(dir, n->name, n->len);
	return err ? failed(u, err, "removing '%.100s'", n->name) : true;
}

static bool remove_below(const struct use *u, ddfs_id id)
{
	struct ddfs_inode *ip;
	int err = ddfs_inode_get(u->fs, id, &ip);
	bool ok;

	if (err)
		return failed(u, err, "directory %u", (uint32_t)id);
	ok = for_each(u, ip, remove_name);
	ddfs_inode_put(ip);
	return ok;
}

/* ---- something new -------------------------------------------------------------------------- */

static int make(struct ddfs_inode *dir, const char *name, uint32_t mode, struct ddfs_entry *e)
{
	return ddfs_create(dir, name, strlen(name), &(struct ddfs_new){ .mode = mode }, e, NULL);
}

static bool use_new_file(const struct use *u, struct ddfs_inode *root, struct ddfs_inode *ip)
{
	static const char value[] = "a value";
	uint8_t *buf = calloc(1, 3 * 4096);
	int64_t n = ddfs_write(ip, 100, buf, 3 * 4096, 0);
	int err;

	free(buf);
	if (!is_done(u, n, 3 * 4096))
		return failed(u, n, "writing a new file");
	err = ddfs_setxattr(ip, "user.used", value, sizeof(value), 0, false);
	if (!is_done(u, err, 0))
		return failed(u, err, "an xattr for a new file");
	err = ddfs_link(ip, root, "used-link", 9, NULL);
	if (!is_done(u, err, 0))
		return failed(u, err, "a link to a new file");
	err = ddfs_rename(root, "used-file", 9, root, "used-name", 9, 0);
	return is_done(u, err, 0) ? true : failed(u, err, "renaming a new file");
}

static bool use_new(const struct use *u, struct ddfs_inode *root)
{
	struct ddfs_entry e;
	struct ddfs_inode *ip;
	int err = make(root, "used-dir", S_IFDIR | 0755, &e);
	bool ok;

	if (!is_done(u, err, 0))
		return failed(u, err, "a new directory");
	err = make(root, "used-file", S_IFREG | 0644, &e);
	if (!is_done(u, err, 0))
		return failed(u, err, "a new file");
	if (err)
		return true;
	err = ddfs_inode_get(u->fs, e.attr.id, &ip);
	if (err)
		return failed(u, err, "a new file");
	ok = use_new_file(u, root, ip);
	ddfs_inode_put(ip);
	return ok;
}

/* ---- and the end ---------------------------------------------------------------------------- */

static bool remove_xattrs(const struct use *u, struct ddfs_inode *ip)
{
	char names[4096];
	ssize_t len = ddfs_listxattr(ip, names, sizeof(names));

	if (len < 0)
		return failed(u, len, "listing the root's xattrs");
	for (const char *at = names; at < names + len; at += strlen(at) + 1) {
		int err = ddfs_removexattr(ip, at);

		if (err)
			return failed(u, err, "removing the root's xattr %.100s", at);
	}
	return true;
}

static bool is_empty(const struct use *u, struct ddfs_inode *root)
{
	struct names l = { 0 };
	struct ddfs_attr a = { 0 };
	int err = ddfs_readdir(root, 0, true, note, &l);

	if (!err)
		err = ddfs_getattr(root, &a);
	free(l.e);
	if (err || l.nr || a.nlink != 2 || a.size || a.sectors)
		return failed(u, err, "the root is not empty: %zu names, %u links, %llu bytes",
			l.nr, a.nlink, (unsigned long long)a.sectors * 512);
	return true;
}

bool crash_use(struct ddfs_fs *fs, char why[256])
{
	struct use u = { fs, why };
	struct ddfs_inode *root;
	int err = ddfs_inode_get(fs, DDFS_ID_ROOT, &root);
	bool ok;

	if (err)
		return failed(&u, err, "the root");
	ok = use_inode(&u, root) && for_each(&u, root, use_name) && use_new(&u, root) &&
	     remove_below(&u, DDFS_ID_ROOT) && remove_xattrs(&u, root) && is_empty(&u, root);
	ddfs_inode_put(root);
	return ok;
}
