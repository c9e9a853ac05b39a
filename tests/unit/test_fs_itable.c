/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inode numbers, while the table is cut and grows again under removed inodes that the kernel still
 * knows: no number is ever two inodes'.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/mounted.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define NR_FILES 1000 /* more than the table never gives back */
#define NR_MANY	 3000

static ddfs_id make(struct mounted *m, unsigned int i)
{
	struct ddfs_new n = { .mode = S_IFREG | 0644 };
	struct ddfs_entry e;
	char name[16];
	int len = snprintf(name, sizeof(name), "%u", i);

	ck_assert_int_eq(ddfs_create(m->root, name, (size_t)len, &n, &e, NULL), 0);
	return e.attr.id;
}

static void make_all(struct mounted *m, unsigned int first, unsigned int nr, ddfs_id *ids)
{
	for (unsigned int i = 0; i < nr; i++)
		ids[i] = make(m, first + i);
}

static void unlink_all(struct mounted *m, unsigned int first, unsigned int nr)
{
	char name[16];

	for (unsigned int i = first; i < first + nr; i++) {
		snprintf(name, sizeof(name), "%u", i);
		ck_assert_int_eq(tree_unlink(m->root, name), 0);
	}
}

static void forget_all(struct mounted *m, const ddfs_id *ids, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		ddfs_forget(m->fs, ids[i]);
}

static int by_ino(const void *a, const void *b)
{
	uint32_t x = (uint32_t) * (const ddfs_id *)a, y = (uint32_t) * (const ddfs_id *)b;

	return x < y ? -1 : x > y;
}

static void ck_distinct(ddfs_id *ids, unsigned int nr)
{
	qsort(ids, nr, sizeof(*ids), by_ino);
	for (unsigned int i = 1; i < nr; i++)
		ck_assert_uint_ne((uint32_t)ids[i - 1], (uint32_t)ids[i]);
}

/* The table's size, after it gave back what it does. */
static uint64_t nr_free(struct mounted *m)
{
	struct ddfs_statfs st;

	ddfs_fs_statfs(m->fs, &st);
	return st.nr_free;
}

/* Still known: fstat answers, with no link. */
static void ck_removed(struct mounted *m, ddfs_id id)
{
	struct ddfs_inode *ip;
	struct ddfs_attr a;

	ck_assert_int_eq(ddfs_inode_get(m->fs, id, &ip), 0);
	ddfs_getattr(ip, &a);
	ck_assert_uint_eq(a.id, id);
	ck_assert_uint_eq(a.nlink, 0);
	ddfs_inode_put(ip);
}

START_TEST(number_of_a_removed_inode)
{
	const struct ddfs_fs_options opt = { .kernel_refs = true };
	ddfs_id *old = calloc(NR_FILES, sizeof(*old)), *new = calloc(NR_MANY, sizeof(*new));
	unsigned int before =
		(unsigned int)(_i * _i * 3); /* how many of the new come before the forgets */
	struct mounted m;
	uint64_t empty;

	mounted_begin(&m, UINT64_C(64) << 20, 4096, &opt);
	empty = nr_free(&m);
	make_all(&m, 0, NR_FILES, old);
	unlink_all(&m, 0, NR_FILES);
	/* That the kernel knows them keeps nothing of the table. */
	ck_assert_uint_eq(nr_free(&m), empty);
	make_all(&m, NR_FILES, before, new);
	for (unsigned int i = 0; i < NR_FILES; i++)
		ck_removed(&m, old[i]);
	forget_all(&m, old, NR_FILES);
	make_all(&m, NR_FILES + before, NR_MANY - before, new + before);
	ck_distinct(new, NR_MANY);
	ck_image(&m.ram.media);
	unlink_all(&m, NR_FILES, NR_MANY);
	forget_all(&m, new, NR_MANY);
	ck_assert_uint_eq(nr_free(&m), empty);
	mounted_end(&m);
	free(old);
	free(new);
}
END_TEST

/* One that outlived its number twice, the second of the number gone before the first. */
START_TEST(number_of_three)
{
	const struct ddfs_fs_options opt = { .kernel_refs = true };
	ddfs_id *ids[3], *many = calloc(NR_MANY, sizeof(*many));
	struct mounted m;

	mounted_begin(&m, UINT64_C(64) << 20, 4096, &opt);
	for (unsigned int k = 0; k < 3; k++) {
		ids[k] = calloc(NR_FILES, sizeof(**ids));
		make_all(&m, 0, NR_FILES, ids[k]);
		unlink_all(&m, 0, NR_FILES);
		nr_free(&m);
	}
	for (unsigned int k = 0; k < 3; k++)
		for (unsigned int i = 0; i < NR_FILES; i++)
			ck_removed(&m, ids[k][i]);
	forget_all(&m, ids[1 + _i % 2], NR_FILES);
	forget_all(&m, ids[0], NR_FILES);
	make_all(&m, 0, NR_MANY, many);
	forget_all(&m, ids[2 - _i % 2], NR_FILES);
	make_all(&m, NR_MANY, 1, ids[0]);
	ck_distinct(many, NR_MANY);
	ck_image(&m.ram.media);
	unlink_all(&m, 0, NR_MANY + 1);
	mounted_end(&m);
	for (unsigned int k = 0; k < 3; k++)
		free(ids[k]);
	free(many);
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = {
		{ "a removed inode's number", number_of_a_removed_inode, 20 },
		{ "a number of three", number_of_three, 2 },
	};

	return suite_run("fs_itable", cases, sizeof(cases) / sizeof(cases[0]));
}
