/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/super.c: two superblocks, one of which is whole at every moment, also in the mount behind a
 * crash that tore one of them. */
#include <string.h>

#include "fs/format.h"
#include "fs/super.h"
#include "tests/unit/ram.h"
#include "tests/unit/suite.h"

#define SIZE   (UINT64_C(16) << 20)
#define SECOND (SIZE - DDFS_BLOCK_BYTES)
#define CUTS   8

/* What a power cut in the middle of a superblock's store would leave. */
struct cuts {
	struct ram *ram;
	struct ram at[CUTS];
	unsigned int nr;
};

static void tear(struct ram *r, uint64_t off)
{
	memset(r->writable + off + 256, 0xdb, 64);
}

static void on_store(void *arg, uint64_t off, size_t len)
{
	struct cuts *c = arg;

	(void)len;
	if (off != 0 && off != SECOND)
		return;
	ck_assert_uint_lt(c->nr, CUTS);
	ram_copy_image(&c->at[c->nr], c->ram);
	tear(&c->at[c->nr++], off);
}

static void on_drain(void *arg)
{
	(void)arg;
}

static void mount_and_unmount(struct ram *r, struct cuts *c)
{
	const struct ddfs_fs_options opt = { .log = ram_log_nothing };
	const struct ram_ear ear = { .store = on_store, .drain = on_drain, .arg = c };
	struct ddfs_fs *fs;

	r->ear = c ? &ear : NULL;
	fs = ram_mount(r, &opt);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	r->ear = NULL;
}

/* _i: none, the first, the second is torn when it is mounted; it is cut in the mount, and in the
 * unmount. */
START_TEST(one_is_whole)
{
	struct cuts c;
	struct ram r;

	ram_mkfs(&r, SIZE, 4096);
	mount_and_unmount(&r, NULL);
	if (_i)
		tear(&r, _i == 1 ? DDFS_SUPER_OFF : SECOND);
	c = (struct cuts){ .ram = &r };
	mount_and_unmount(&r, &c);
	ck_assert_uint_eq(c.nr, 4);
	for (unsigned int i = 0; i < c.nr; i++) {
		mount_and_unmount(&c.at[i], NULL);
		ram_fini(&c.at[i]);
	}
	ram_fini(&r);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "one is whole", one_is_whole, 3 },
	};

	return suite_run("fs_super", cases, 1);
}
