/* SPDX-License-Identifier: BSD-3-Clause */
/* Directories: many names, cookies that stay, names of one hash (the linker wraps the hash). */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/htree.h"
#include "tests/unit/check_image.h"
#include "tests/unit/ram.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define NR_KEEP 5000

/* Hashes that all names share among them; 0: as many as there are. */
static uint64_t nr_hashes;

uint64_t __real_ddfs_name_hash(const struct ddfs_fs *fs, const char *name, size_t len);
uint64_t __wrap_ddfs_name_hash(const struct ddfs_fs *fs, const char *name, size_t len);
uint64_t __wrap_ddfs_name_hash(const struct ddfs_fs *fs, const char *name, size_t len)
{
	uint64_t h = __real_ddfs_name_hash(fs, name, len);

	return nr_hashes ? (1 + (h >> 7) % nr_hashes) << 7 : h;
}

struct mounted {
	struct ram ram;
	struct ddfs_fs *fs;
	struct ddfs_inode *root;
	uint64_t nr_free;
};

static void begin(struct mounted *m)
{
	struct ddfs_statfs st;

	ram_mkfs(&m->ram, UINT64_C(128) << 20, 4096);
	m->fs = ram_mount(&m->ram, NULL);
	m->root = ram_root(m->fs);
	ddfs_fs_statfs(m->fs, &st);
	m->nr_free = st.nr_free;
}

static void end(struct mounted *m, unsigned int flags)
{
	struct ddfs_statfs st;

	ddfs_inode_put(m->root);
	ck_assert_int_eq(ddfs_fs_close(m->fs), 0);
	m->fs = ram_mount(&m->ram, NULL);
	ddfs_fs_statfs(m->fs, &st);
	ck_assert_uint_eq(st.nr_free, m->nr_free);
	ck_image_flags(&m->ram.media, flags);
	ck_assert_int_eq(ddfs_fs_close(m->fs), 0);
	ram_fini(&m->ram);
}

static void name_of(const char *prefix, unsigned int i, char name[32])
{
	snprintf(name, 32, "%s%u", prefix, i);
}

static void make_all(struct mounted *m, const char *prefix, unsigned int nr)
{
	char name[32];

	for (unsigned int i = 0; i < nr; i++) {
		name_of(prefix, i, name);
		ck_assert_int_eq(tree_make(m->root, name, S_IFREG | 0644), 0);
		ck_assert_int_eq(tree_make(m->root, name, S_IFREG | 0644), -EEXIST);
	}
}

static void remove_all(struct mounted *m, const char *prefix, unsigned int nr)
{
	char name[32];

	for (unsigned int i = 0; i < nr; i++) {
		name_of(prefix, i * 7919u % nr, name);
		ck_assert_int_eq(tree_unlink(m->root, name), 0);
		ck_assert_int_eq(tree_unlink(m->root, name), -ENOENT);
	}
}

/* Sizes around those at which leaves and index nodes split. */
START_TEST(many_names)
{
	static const unsigned int sizes[] = { 1, 10, 100, 1000, 30001 };
	unsigned int nr = sizes[_i];
	struct mounted m;
	char name[32];

	begin(&m);
	make_all(&m, "", nr);
	ck_image(&m.ram.media);
	for (unsigned int i = 0; i < nr; i++) {
		name_of("", i, name);
		ddfs_inode_put(tree_get(m.root, name));
	}
	remove_all(&m, "", nr);
	end(&m, 0);
}
END_TEST

struct reader {
	uint8_t seen[NR_KEEP];
	uint64_t cookie;
	unsigned int left;
	bool done;
};

static int see(void *arg, const struct ddfs_dirent *d)
{
	struct reader *r = arg;
	unsigned int i;
	char name[32] = { 0 };

	if (!r->left--)
		return 1;
	ck_assert_uint_gt(d->cookie, r->cookie);
	ck_assert_uint_lt(d->cookie, UINT64_C(1) << 63);
	r->cookie = d->cookie;
	r->done = false;
	memcpy(name, d->name, d->name_len < 31 ? d->name_len : 31);
	if (sscanf(name, "keep%u", &i) == 1)
		r->seen[i]++;
	return 0;
}

/* Names that are there throughout are given once, whatever happens to others meanwhile. */
START_TEST(cookies)
{
	struct reader r = { .cookie = 0 };
	struct mounted m;
	struct rng rng;
	char name[32];

	nr_hashes = _i ? 200 : 0;
	rng_seed(&rng, 3);
	begin(&m);
	make_all(&m, "keep", NR_KEEP);
	while (!r.done) {
		r.left = 100;
		r.done = true;
		ck_assert_int_eq(ddfs_readdir(m.root, r.cookie, false, see, &r), 0);
		for (unsigned int i = 0; i < 200; i++) {
			name_of("other", (unsigned int)rng_below(&rng, 3000), name);
			if (tree_make(m.root, name, S_IFREG | 0644) == -EEXIST)
				ck_assert_int_eq(tree_unlink(m.root, name), 0);
		}
	}
	for (unsigned int i = 0; i < NR_KEEP; i++)
		ck_assert_msg(r.seen[i] == 1, "keep%u was given %u times", i, r.seen[i]);
	for (unsigned int i = 0; i < 3000; i++) {
		name_of("other", i, name);
		tree_unlink(m.root, name);
	}
	remove_all(&m, "keep", NR_KEEP);
	end(&m, IMAGE_HASH_FAKED);
	nr_hashes = 0;
}
END_TEST

/* Names of one hash share a leaf: when that is full there is no room, and nothing is harmed. */
START_TEST(one_hash)
{
	unsigned int nr = 0;
	struct mounted m;
	char name[32];
	int err;

	nr_hashes = 1;
	begin(&m);
	for (;; nr++) {
		name_of("", nr, name);
		err = tree_make(m.root, name, S_IFREG | 0644);
		if (err)
			break;
	}
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_uint_gt(nr, 50);
	ck_image_flags(&m.ram.media, IMAGE_HASH_FAKED);
	name_of("", 7, name);
	ck_assert_int_eq(tree_rename(m.root, name, m.root, "M", 0), 0);
	ck_assert_int_eq(tree_rename(m.root, "M", m.root, name, 0), 0);
	remove_all(&m, "", nr);
	end(&m, IMAGE_HASH_FAKED);
	nr_hashes = 0;
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "many names", many_names, 5 },
		{ "cookies", cookies, 2 },
		{ "one hash", one_hash, 0 },
	};

	return suite_run("fs_dir", cases, 3);
}
