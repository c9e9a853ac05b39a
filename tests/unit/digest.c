/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/digest.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/fs.h"

#define BUF (1u << 20)

/* Room to read into, got once: there are many digests to make. */
struct digest {
	struct ddfs_fs *fs;
	uint8_t *buf;
	uint8_t *value;
};

static uint64_t mix(uint64_t h, const void *p, size_t len)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < len; i++)
		h = (h ^ b[i]) * UINT64_C(0x100000001b3);
	return h;
}

static uint64_t digest_content(struct digest *d, struct ddfs_inode *ip, uint64_t h)
{
	uint8_t *buf = d->buf;
	uint64_t off = 0;
	ssize_t n;

	while ((n = ddfs_pread(ip, buf, BUF, off)) > 0) {
		/* Most of what tests write is runs of one byte. */
		for (ssize_t i = 0; i < n; i++)
			if (!i || buf[i] != buf[i - 1])
				h = mix(mix(h, &i, sizeof(i)), buf + i, 1);
		off += (uint64_t)n;
	}
	ck_assert_int_eq(n, 0);
	return h;
}

static uint64_t digest_xattrs(struct digest *d, struct ddfs_inode *ip, uint64_t h)
{
	char *names = (char *)d->buf;
	uint8_t *value = d->value;
	ssize_t len = ddfs_listxattr(ip, names, BUF), n;
	uint64_t sum = 0;

	ck_assert_int_ge(len, 0);
	for (const char *at = names; at < names + len; at += strlen(at) + 1) {
		n = ddfs_getxattr(ip, at, value, DDFS_XATTR_SIZE_MAX);
		ck_assert_int_ge(n, 0);
		sum += mix(mix(h, at, strlen(at)), value, (size_t)n);
	}
	return h ^ sum;
}

static uint64_t digest_inode(struct digest *d, ddfs_id id);

struct names {
	struct {
		ddfs_id id;
		uint64_t h;
	} * e;
	size_t nr, cap;
};

static int collect(void *arg, const struct ddfs_dirent *d)
{
	struct names *l = arg;

	if (d->cookie <= 2)
		return 0;
	ck_assert_ptr_nonnull(d->attr);
	if (l->nr == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->e = realloc(l->e, l->cap * sizeof(*l->e));
	}
	l->e[l->nr].id = d->attr->id;
	l->e[l->nr++].h = mix(d->type, d->name, d->name_len);
	return 0;
}

static uint64_t digest_dir(struct digest *d, struct ddfs_inode *ip, uint64_t h)
{
	struct names l = { 0 };
	uint64_t sum = 0;

	ck_assert_int_eq(ddfs_readdir(ip, 0, true, collect, &l), 0);
	for (size_t i = 0; i < l.nr; i++) {
		uint64_t child = digest_inode(d, l.e[i].id);

		sum += mix(l.e[i].h, &child, sizeof(child));
	}
	free(l.e);
	return h ^ sum;
}

static uint64_t digest_inode(struct digest *d, ddfs_id id)
{
	char target[DDFS_SYMLINK_MAX];
	struct ddfs_inode *ip;
	struct ddfs_attr a;
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	ssize_t n;

	ck_assert_int_eq(ddfs_inode_get(d->fs, id, &ip), 0);
	ddfs_getattr(ip, &a);
	h = mix(h, &a.mode, sizeof(a.mode));
	h = mix(h, &a.nlink, sizeof(a.nlink));
	h = mix(h, &a.uid, sizeof(a.uid));
	h = mix(h, &a.gid, sizeof(a.gid));
	h = digest_xattrs(d, ip, h);
	if (S_ISDIR(a.mode)) {
		h = digest_dir(d, ip, h);
	} else if (S_ISREG(a.mode)) {
		h = digest_content(d, ip, mix(h, &a.size, sizeof(a.size)));
	} else if (S_ISLNK(a.mode)) {
		n = ddfs_readlink(ip, target, sizeof(target));
		ck_assert_int_eq(n, (ssize_t)a.size);
		h = mix(h, target, (size_t)n);
	}
	ddfs_inode_put(ip);
	return h;
}

uint64_t tree_digest(struct ddfs_fs *fs)
{
	struct digest d = { fs, malloc(BUF), malloc(DDFS_XATTR_SIZE_MAX) };
	uint64_t h = digest_inode(&d, DDFS_ID_ROOT);

	free(d.buf);
	free(d.value);
	return h;
}
