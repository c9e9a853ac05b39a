/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * POSIX ACLs: what new files inherit, and how an ACL and the mode follow each other; see acl(5).
 *
 * An ACL is written here as "u:rwx u7:r g:rx g5:- m:rwx o:r": owner, user 7, owning group, group 5,
 * mask, others. The characters are looked up one by one, so "rwx" may lack any.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "tests/unit/acl_value.h"
#include "tests/unit/mounted.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define SIZE	  (UINT64_C(16) << 20)
#define NR(array) (sizeof(array) / sizeof((array)[0]))

/* ---- creation ------------------------------------------------------------------------------- */

#define NAMED "u:rwx u7:rwx g:rx m:rwx o:-"

static const struct creation {
	const char *dir_default; /* NULL: none */
	uint32_t mode, umask;
	uint32_t want;
	const char *access; /* NULL: none */
} creations[] = {
	/* without a default ACL the umask counts */
	{ NULL, S_IFREG | 0666, 022, 0644, NULL },
	{ NULL, S_IFDIR | 0777, 027, 0750, NULL },
	{ NULL, S_IFREG | 04777, 022, 04755, NULL },
	{ NULL, S_IFIFO | 0666, 0777, 0, NULL },
	/* with one it does not; three entries are no more than a mode */
	{ "u:rwx g:rx o:rx", S_IFREG | 0666, 077, 0644, NULL },
	{ "u:rwx g:rwx o:-", S_IFREG | 0666, 077, 0660, NULL },
	{ "u:rwx g:rwx o:-", S_IFDIR | 01777, 077, 01770, NULL },
	{ "u:- g:- o:-", S_IFREG | 0777, 0, 0, NULL },
	/* the mode takes from owner, mask and others, never from the named or the group */
	{ NAMED, S_IFREG | 0644, 022, 0640, "u:rw u7:rwx g:rx m:r o:-" },
	{ NAMED, S_IFDIR | 0777, 077, 0770, NAMED },
	{ NAMED, S_IFREG | 0666, 0, 0660, "u:rw u7:rwx g:rx m:rw o:-" },
	{ NAMED, S_IFIFO | 0600, 0, 0600, "u:rw u7:rwx g:rx m:- o:-" },
	{ NAMED, S_IFSOCK | 0, 0, 0, "u:- u7:rwx g:rx m:- o:-" },
	{ NAMED, S_IFCHR | 0222, 0, 0220, "u:w u7:rwx g:rx m:w o:-" },
	{ NAMED, S_IFLNK | 0777, 022, 0777, NULL },
	/* a mask without anybody named is kept */
	{ "u:rwx g:rx m:r o:r", S_IFREG | 0777, 0, 0744, "u:rwx g:rx m:r o:r" },
	{ "u:rx g:r g5:rwx g9:r m:rw o:r", S_IFREG | 02777, 0, 02564,
		"u:rx g:r g5:rwx g9:r m:rw o:r" },
	{ "u:rwx u1:r u2:rw u3:x g:rwx g1:- g2:rwx m:rx o:rx", S_IFDIR | 0700, 0, 0700,
		"u:rwx u1:r u2:rw u3:x g:rwx g1:- g2:rwx m:- o:-" },
};

static void ck_created(struct mounted *m, const struct creation *c, bool inherits)
{
	struct ddfs_inode *dir = tree_get(m->root, "dir"), *ip = tree_get(dir, "new");

	ck_mode(ip, c->want);
	ck_acl_text(ip, ACCESS_ACL, c->access);
	ck_acl_text(ip, DEFAULT_ACL, inherits && S_ISDIR(c->mode) ? c->dir_default : NULL);
	ck_acl_text(dir, DEFAULT_ACL, c->dir_default);
	ck_mode(dir, 0755);
	ddfs_inode_put(ip);
	ddfs_inode_put(dir);
}

static void create_in_dir(struct mounted *m, const struct creation *c)
{
	struct ddfs_new n = { .mode = c->mode, .umask = c->umask, .target = "target" };
	struct ddfs_inode *dir = tree_make_get(m->root, "dir", S_IFDIR | 0755);
	struct ddfs_entry e;

	if (c->dir_default)
		ck_assert_int_eq(set_text(dir, DEFAULT_ACL, c->dir_default), 0);
	ck_assert_int_eq(ddfs_create(dir, "new", 3, &n, &e, NULL), 0);
	ddfs_inode_put(dir);
}

START_TEST(create)
{
	const struct creation *c = &creations[_i];
	struct mounted m;

	mounted_begin(&m, SIZE, 4096, NULL);
	create_in_dir(&m, c);
	ck_created(&m, c, true);
	mounted_again(&m, NULL);
	ck_created(&m, c, true);
	mounted_end(&m);
}
END_TEST

/* Mounted without ACLs they are attributes like others, and the umask counts always. */
START_TEST(create_no_acl)
{
	struct ddfs_fs_options opt = { .no_acl = true };
	struct creation c = creations[_i];
	struct mounted m;

	if (!S_ISLNK(c.mode))
		c.want = c.mode & 07777 & ~c.umask;
	c.access = NULL;
	mounted_begin(&m, SIZE, 4096, &opt);
	create_in_dir(&m, &c);
	ck_created(&m, &c, false);
	mounted_end(&m);
}
END_TEST

/* Down a path of directories, where each has it from the one above. */
START_TEST(inherit_deep)
{
	struct ddfs_inode *dir;
	struct mounted m;

	mounted_begin(&m, SIZE, 4096, NULL);
	dir = tree_make_get(m.root, "d", S_IFDIR | 0755);
	ck_assert_int_eq(set_text(dir, DEFAULT_ACL, NAMED), 0);
	for (unsigned int i = 0; i < 50; i++) {
		struct ddfs_inode *below = tree_make_get(dir, "d", S_IFDIR | 0750);

		ck_acl_text(below, DEFAULT_ACL, NAMED);
		ck_acl_text(below, ACCESS_ACL, "u:rwx u7:rwx g:rx m:rx o:-");
		ck_mode(below, 0750);
		ddfs_inode_put(dir);
		dir = below;
	}
	/* Changing one says nothing to those that are there, all to those that come. */
	ck_assert_int_eq(ddfs_removexattr(dir, DEFAULT_ACL), 0);
	ck_assert_int_eq(tree_make(dir, "d", S_IFDIR | 0777), 0);
	ddfs_inode_put(dir);
	mounted_end(&m);
}
END_TEST

/* A set-gid directory gives its group whether or not it has a default ACL. */
START_TEST(inherit_group)
{
	struct ddfs_new n = { .mode = S_IFDIR | 0775, .uid = 3, .gid = 4 };
	struct ddfs_attr a = { .gid = 77, .mode = 02775 };
	struct ddfs_inode *dir;
	struct ddfs_entry e;
	struct mounted m;

	mounted_begin(&m, SIZE, 4096, NULL);
	dir = tree_make_get(m.root, "dir", S_IFDIR | 0755);
	ck_assert_int_eq(ddfs_setattr(dir, &a, DDFS_SET_GID | DDFS_SET_MODE, NULL, NULL), 0);
	if (_i)
		ck_assert_int_eq(set_text(dir, DEFAULT_ACL, NAMED), 0);
	ck_assert_int_eq(ddfs_create(dir, "sub", 3, &n, &e, NULL), 0);
	ck_assert_uint_eq(e.attr.gid, 77);
	ck_assert_uint_eq(e.attr.mode, S_IFDIR | (_i ? 02770 : 02775));
	n.mode = S_IFREG | 0644;
	ck_assert_int_eq(ddfs_create(dir, "file", 4, &n, &e, NULL), 0);
	ck_assert_uint_eq(e.attr.gid, 77);
	ck_assert_uint_eq(e.attr.mode, S_IFREG | (_i ? 0640 : 0644));
	ddfs_inode_put(dir);
	mounted_end(&m);
}
END_TEST

/* As many entries as fit into one: out of the inode, into blocks, and inherited. */
START_TEST(largest)
{
	struct ddfs_inode *dir, *ip;
	struct value v, want;
	struct mounted m;

	mounted_begin(&m, SIZE, 4096, NULL);
	dir = tree_make_get(m.root, "dir", S_IFDIR | 0755);
	for (unsigned int nr = 4; nr <= 511; nr += nr < 40 ? 1 : 157) {
		encode_many(&v, nr);
		ck_assert_int_eq(set(dir, DEFAULT_ACL, &v, false), 0);
		ck_acl(dir, DEFAULT_ACL, &v);
		ip = tree_make_get(dir, "new", S_IFREG | 0640);
		want = v;
		want.bytes[4 + 2] = 6;		      /* owner */
		want.bytes[4 + (nr - 2) * 8 + 2] = 4; /* mask */
		ck_acl(ip, ACCESS_ACL, &want);
		ck_mode(ip, 0640);
		ck_assert_int_eq(tree_unlink(dir, "new"), 0);
		ddfs_inode_put(ip);
		ip = tree_make_get(dir, "sub", S_IFDIR | 0777);
		ck_acl(ip, DEFAULT_ACL, &v);
		ck_acl(ip, ACCESS_ACL, &v);
		ck_image(&m.ram.media);
		ck_assert_int_eq(ddfs_rmdir(dir, "sub", 3), 0);
		ddfs_inode_put(ip);
	}
	encode_many(&v, 512);
	ck_assert_int_eq(set(dir, DEFAULT_ACL, &v, false), -EINVAL);
	ck_assert_int_eq(set(dir, ACCESS_ACL, &v, false), -EINVAL);
	ddfs_inode_put(dir);
	mounted_end(&m);
}
END_TEST

/* ---- the mode and the ACL ------------------------------------------------------------------- */

static const struct chmod_case {
	const char *acl; /* NULL: none */
	uint32_t mode;
	const char *want;
} chmods[] = {
	{ NULL, 0640, NULL },
	{ "u:rw u7:rwx g:rx m:r o:-", 0777, "u:rwx u7:rwx g:rx m:rwx o:rwx" },
	{ "u:rw u7:rwx g:rx m:r o:-", 0600, "u:rw u7:rwx g:rx m:- o:-" },
	{ "u:rw u7:rwx g:rx m:r o:-", 0, "u:- u7:rwx g:rx m:- o:-" },
	{ "u:rw u7:rwx g:rx m:r o:-", 06751, "u:rwx u7:rwx g:rx m:rx o:x" },
	{ "u:rw g:rwx m:r o:-", 0421, "u:r g:rwx m:w o:x" },
	{ "u:rw g:- g1:- g2:w m:r o:-", 0066, "u:- g:- g1:- g2:w m:rw o:rw" },
};

START_TEST(chmod_follows)
{
	const struct chmod_case *c = &chmods[_i / 2];
	struct ddfs_inode *ip;
	struct mounted m;

	mounted_begin(&m, SIZE, 4096, NULL);
	ip = tree_make_get(m.root, "f", _i % 2 ? S_IFDIR | 0755 : S_IFREG | 0644);
	if (_i % 2)
		ck_assert_int_eq(set_text(ip, DEFAULT_ACL, NAMED), 0);
	if (c->acl)
		ck_assert_int_eq(set_text(ip, ACCESS_ACL, c->acl), 0);
	chmod_to(ip, c->mode);
	ck_mode(ip, c->mode);
	ck_acl_text(ip, ACCESS_ACL, c->want);
	ck_acl_text(ip, DEFAULT_ACL, _i % 2 ? NAMED : NULL);
	ddfs_inode_put(ip);
	mounted_end(&m);
}
END_TEST

static const struct set_case {
	const char *acl;
	uint32_t mode;
	bool kill_sgid;
	uint32_t want;
	bool stored;
} sets[] = {
	{ "u:rwx g:r o:-", 02777, false, 02740, false },
	{ "u:rwx g:r o:-", 02777, true, 0740, false },
	{ "u:rwx g:r o:-", 07777, true, 05740, false },
	{ "u:- g:- o:-", 0777, false, 0, false },
	{ "u:rw u1:r g:r m:rw o:r", 06755, false, 06664, true },
	{ "u:rw u1:r g:r m:rw o:r", 06755, true, 04664, true },
	{ "u:rw u1:rwx g:rwx m:- o:r", 0777, false, 0604, true },
	{ "u:rw g:r m:rwx o:r", 0600, false, 0674, true },
	{ "", 02751, true, 02751, false },
};

/* On a file without an ACL, and on one whose ACL it replaces. */
START_TEST(set_sets_mode)
{
	const struct set_case *c = &sets[_i / 2];
	struct ddfs_inode *ip;
	struct mounted m;
	struct value v;

	mounted_begin(&m, SIZE, 4096, NULL);
	ip = tree_make_get(m.root, "f", S_IFREG | 0644);
	if (_i % 2)
		ck_assert_int_eq(set_text(ip, ACCESS_ACL, "u:rw u9:r g:- m:r o:-"), 0);
	chmod_to(ip, c->mode);
	encode(&v, c->acl);
	ck_assert_int_eq(set(ip, ACCESS_ACL, &v, c->kill_sgid), 0);
	ck_mode(ip, c->want);
	ck_acl(ip, ACCESS_ACL, c->stored ? &v : NULL);
	ddfs_inode_put(ip);
	mounted_again(&m, NULL);
	ip = tree_get(m.root, "f");
	ck_mode(ip, c->want);
	ck_acl(ip, ACCESS_ACL, c->stored ? &v : NULL);
	ddfs_inode_put(ip);
	mounted_end(&m);
}
END_TEST

/* A default ACL says nothing of the directory itself. */
START_TEST(set_default)
{
	struct ddfs_inode *ip;
	struct mounted m;
	struct value v;

	mounted_begin(&m, SIZE, 4096, NULL);
	ip = tree_make_get(m.root, "d", S_IFDIR | 0755);
	chmod_to(ip, 02755);
	encode(&v, "u:r g:r o:r");
	ck_assert_int_eq(set(ip, DEFAULT_ACL, &v, true), 0);
	ck_mode(ip, 02755);
	ck_acl(ip, DEFAULT_ACL, &v);
	ck_acl(ip, ACCESS_ACL, NULL);
	ddfs_inode_put(ip);
	ip = tree_make_get(m.root, "f", S_IFREG | 0644);
	ck_assert_int_eq(set(ip, DEFAULT_ACL, &v, false), -EACCES);
	ck_acl(ip, DEFAULT_ACL, NULL);
	ck_assert_int_eq(ddfs_removexattr(ip, DEFAULT_ACL), 0);
	ddfs_inode_put(ip);
	mounted_end(&m);
}
END_TEST

START_TEST(flags)
{
	struct ddfs_inode *ip;
	struct mounted m;
	struct value v;

	mounted_begin(&m, SIZE, 4096, NULL);
	ip = tree_make_get(m.root, "f", S_IFREG | 0644);
	encode(&v, NAMED);
	ck_assert_int_eq(
		ddfs_setxattr(ip, ACCESS_ACL, v.bytes, v.size, XATTR_REPLACE, false), -ENODATA);
	ck_mode(ip, 0644);
	ck_assert_int_eq(ddfs_setxattr(ip, ACCESS_ACL, v.bytes, v.size, XATTR_CREATE, false), 0);
	encode(&v, "u:- u1:- g:- m:- o:-");
	ck_assert_int_eq(
		ddfs_setxattr(ip, ACCESS_ACL, v.bytes, v.size, XATTR_CREATE, false), -EEXIST);
	ck_mode(ip, 0770);
	ck_assert_int_eq(ddfs_set_flags(ip, DDFS_FLAG_IMMUTABLE), 0);
	ck_assert_int_eq(set(ip, ACCESS_ACL, &v, false), -EPERM);
	ck_assert_int_eq(ddfs_removexattr(ip, ACCESS_ACL), -EPERM);
	ck_assert_int_eq(ddfs_set_flags(ip, 0), 0);
	ck_acl_text(ip, ACCESS_ACL, NAMED);
	ddfs_inode_put(ip);
	mounted_end(&m);
}
END_TEST

START_TEST(removal)
{
	struct ddfs_new n = { .mode = S_IFREG | 0666, .umask = 022 };
	struct ddfs_inode *ip;
	struct ddfs_entry e;
	struct mounted m;

	mounted_begin(&m, SIZE, 4096, NULL);
	ip = tree_make_get(m.root, "d", S_IFDIR | 0755);
	ck_assert_int_eq(ddfs_removexattr(ip, ACCESS_ACL), 0);
	ck_assert_int_eq(ddfs_removexattr(ip, DEFAULT_ACL), 0);
	ck_assert_int_eq(set_text(ip, ACCESS_ACL, NAMED), 0);
	ck_assert_int_eq(set_text(ip, DEFAULT_ACL, NAMED), 0);
	ck_assert_int_eq(ddfs_removexattr(ip, ACCESS_ACL), 0);
	ck_acl_text(ip, ACCESS_ACL, NULL);
	ck_acl_text(ip, DEFAULT_ACL, NAMED);
	ck_mode(ip, 0770);
	ck_assert_int_eq(set_text(ip, DEFAULT_ACL, ""), 0);
	ck_acl_text(ip, DEFAULT_ACL, NULL);
	ck_assert_int_eq(ddfs_listxattr(ip, NULL, 0), 0);
	ck_assert_int_eq(ddfs_create(ip, "f", 1, &n, &e, NULL), 0);
	ck_assert_uint_eq(e.attr.mode, S_IFREG | 0644);
	ddfs_inode_put(ip);
	mounted_end(&m);
}
END_TEST

/* ---- what is no ACL ------------------------------------------------------------------------- */

static const struct bad_case {
	const char *acl;
	int at; /* byte that is changed; -1: none */
	uint8_t byte;
	int grow; /* of the size afterwards */
} bad[] = {
	{ NAMED, 0, 1, 0 }, /* version */
	{ NAMED, 0, 3, 0 },
	{ NAMED, 3, 1, 0 },
	{ "", -1, 0, -1 }, /* sizes */
	{ "", -1, 0, -4 },
	{ NAMED, -1, 0, 1 },
	{ NAMED, -1, 0, -1 },
	{ NAMED, -1, 0, 4 },
	{ "g:r o:r", -1, 0, 0 }, /* a base entry is missing */
	{ "u:r o:r", -1, 0, 0 },
	{ "u:r g:r", -1, 0, 0 },
	{ "u:r u1:r m:r o:r", -1, 0, 0 },
	{ "u:r u1:r g:r o:r", -1, 0, 0 }, /* no mask */
	{ "u:r g:r g1:r o:r", -1, 0, 0 },
	{ "u1:r u:r g:r m:r o:r", -1, 0, 0 }, /* order */
	{ "u:r g:r u1:r m:r o:r", -1, 0, 0 },
	{ "u:r g:r o:r m:r", -1, 0, 0 },
	{ "g:r u:r o:r", -1, 0, 0 },
	{ "u:r u:r g:r o:r", -1, 0, 0 }, /* twice */
	{ "u:r g:r g:r o:r", -1, 0, 0 },
	{ "u:r g:r m:r m:r o:r", -1, 0, 0 },
	{ "u:r g:r o:r o:r", -1, 0, 0 },
	{ NAMED, 6, 8, 0 }, /* permissions */
	{ NAMED, 7, 1, 0 },
	{ NAMED, 4, 0, 0 }, /* tags */
	{ NAMED, 4, 3, 0 },
	{ NAMED, 36, 64, 0 },
	{ NAMED, 37, 1, 0 },
};

START_TEST(malformed)
{
	const struct bad_case *c = &bad[_i];
	struct ddfs_inode *ip;
	struct mounted m;
	struct value v = { 0 };

	mounted_begin(&m, SIZE, 4096, NULL);
	ip = tree_make_get(m.root, "d", S_IFDIR | 0755);
	encode(&v, c->acl);
	if (c->at >= 0)
		v.bytes[c->at] = c->byte;
	v.size += (size_t)c->grow;
	for (unsigned int had = 0; had < 2; had++) {
		ck_assert_int_eq(set(ip, ACCESS_ACL, &v, true), -EINVAL);
		ck_assert_int_eq(set(ip, DEFAULT_ACL, &v, true), -EINVAL);
		ck_mode(ip, had ? 02770 : 0755);
		ck_acl_text(ip, ACCESS_ACL, had ? NAMED : NULL);
		ck_acl_text(ip, DEFAULT_ACL, had ? NAMED : NULL);
		ck_assert_int_eq(set_text(ip, ACCESS_ACL, NAMED), 0);
		ck_assert_int_eq(set_text(ip, DEFAULT_ACL, NAMED), 0);
		chmod_to(ip, 02770);
	}
	ddfs_inode_put(ip);
	mounted_end(&m);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "create", create, NR(creations) },
		{ "create without ACLs", create_no_acl, NR(creations) },
		{ "inherit deep", inherit_deep, 0 },
		{ "inherit group", inherit_group, 2 },
		{ "largest", largest, 0 },
		{ "chmod follows", chmod_follows, 2 * NR(chmods) },
		{ "set sets mode", set_sets_mode, 2 * NR(sets) },
		{ "set default", set_default, 0 },
		{ "flags", flags, 0 },
		{ "removal", removal, 0 },
		{ "malformed", malformed, NR(bad) },
	};

	return suite_run("fs_acl", cases, NR(cases));
}
