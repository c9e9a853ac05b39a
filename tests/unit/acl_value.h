/* SPDX-License-Identifier: BSD-3-Clause */
/* ACLs as text, as the attribute's value, and as a file has them. */
#ifndef DDFS_TEST_ACL_VALUE_H
#define DDFS_TEST_ACL_VALUE_H

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs/fs.h"

#define ACCESS_ACL  "system.posix_acl_access"
#define DEFAULT_ACL "system.posix_acl_default"

/* ---- the value of the attribute ------------------------------------------------------------- */

struct value {
	size_t size;
	uint8_t bytes[8192];
};

static inline void put(struct value *v, uint32_t number, unsigned int nr_bytes)
{
	for (unsigned int i = 0; i < nr_bytes; i++)
		v->bytes[v->size++] = (uint8_t)(number >> (8 * i));
}

static inline void put_entry(struct value *v, char who, uint32_t id, uint32_t perm)
{
	bool named = id != UINT32_MAX;

	put(v, who == 'u' ? 1u + named : who == 'g' ? 4u << named : who == 'm' ? 16 : 32, 2);
	put(v, perm, 2);
	put(v, id, 4);
}

static inline void encode(struct value *v, const char *text)
{
	v->size = 0;
	put(v, 2, 4);
	while (*text) {
		uint32_t perm = 0, id = UINT32_MAX;
		char who = *text++, *end;

		if (*text != ':') {
			id = (uint32_t)strtoul(text, &end, 10);
			text = end;
		}
		for (; *text && *text != ' '; text++)
			perm |= *text == 'r' ? 4 : *text == 'w' ? 2 : *text == 'x' ? 1 : 0;
		text += *text == ' ';
		put_entry(v, who, id, perm);
	}
}

/* nr entries in all, a mask and named users among them. */
static inline void encode_many(struct value *v, unsigned int nr)
{
	v->size = 0;
	put(v, 2, 4);
	put_entry(v, 'u', UINT32_MAX, 7);
	for (unsigned int i = 4; i < nr; i++)
		put_entry(v, 'u', i, i % 8);
	put_entry(v, 'g', UINT32_MAX, 5);
	put_entry(v, 'm', UINT32_MAX, 7);
	put_entry(v, 'o', UINT32_MAX, 0);
}

static inline int set(
	struct ddfs_inode *ip, const char *name, const struct value *v, bool kill_sgid)
{
	return ddfs_setxattr(ip, name, v->bytes, v->size, 0, kill_sgid);
}

static inline int set_text(struct ddfs_inode *ip, const char *name, const char *text)
{
	struct value v;

	encode(&v, text);
	return set(ip, name, &v, false);
}

/* The inode has exactly this ACL; NULL: none. */
static inline void ck_acl(struct ddfs_inode *ip, const char *name, const struct value *want)
{
	struct value got;
	ssize_t n = ddfs_getxattr(ip, name, got.bytes, sizeof(got.bytes));

	if (!want) {
		ck_assert_int_eq(n, -ENODATA);
		return;
	}
	ck_assert_int_eq(n, (ssize_t)want->size);
	ck_assert_mem_eq(got.bytes, want->bytes, want->size);
}

static inline void ck_acl_text(struct ddfs_inode *ip, const char *name, const char *text)
{
	struct value v;

	if (text)
		encode(&v, text);
	ck_acl(ip, name, text ? &v : NULL);
}

static inline void ck_mode(struct ddfs_inode *ip, uint32_t mode)
{
	struct ddfs_attr a;

	ddfs_getattr(ip, &a);
	ck_assert_uint_eq(a.mode & 07777, mode);
}

static inline void chmod_to(struct ddfs_inode *ip, uint32_t mode)
{
	struct ddfs_attr a = { .mode = mode };

	ck_assert_int_eq(ddfs_setattr(ip, &a, DDFS_SET_MODE, NULL, NULL), 0);
}

#endif
