/* SPDX-License-Identifier: BSD-3-Clause */
/* A mounted filesystem on a device that goes bad: pages that raise SIGBUS, a list of what is bad,
 * and a way to clear it, or none. */
#ifndef DDFS_TEST_BAD_STAGE_H
#define DDFS_TEST_BAD_STAGE_H

#include "fs/core.h"
#include "tests/unit/mounted.h"
#include "tests/unit/tree.h"

#define MIB	   (UINT64_C(1) << 20)
#define BLK	   UINT64_C(4096)
#define BAD_RANGES 4096

struct bad_stage {
	struct mounted m; /* first: the door's operations find the rest through it */
	struct ddfs_media_ops ops;
	const struct ddfs_media_ops *ram_ops;
	struct ddfs_fs_options opt;
	bool can_clear;
	bool keeps_list;	 /* else -EOPNOTSUPP */
	struct ddfs_range *told; /* that list: blocks */
	size_t nr_told;
	bool *poisoned;		 /* a bool a block of the device */
	unsigned int nr_cleared; /* calls that did */
	char said[8192];	 /* log lines, the last ones */
};

void bad_stage_init(struct bad_stage *s, uint64_t size, uint64_t align);
void bad_stage_fini(struct bad_stage *s);
/* Unmount, mount. */
void bad_stage_remount(struct bad_stage *s);
/* The daemon is killed, and the machine lives on. */
void bad_stage_crash(struct bad_stage *s);

/* The device's block at lblk of the file; 0: none. */
uint64_t bad_stage_block(struct ddfs_inode *ip, uint64_t lblk);
/* It can't be read from now on; returns it. */
uint64_t bad_stage_poison(struct bad_stage *s, struct ddfs_inode *ip, uint64_t lblk);
void bad_stage_poison_block(struct bad_stage *s, uint64_t block);
/* The device's list has it too. */
void bad_stage_tell(struct bad_stage *s, uint64_t block, uint64_t nr);

/* A file of nr blocks of the value c; DAX where the device has units larger than a block. */
struct ddfs_inode *bad_stage_file(struct bad_stage *s, const char *name, uint64_t nr, int c);
/* pread of one block: -EIO, or the value that all its bytes have, -1 if they differ. */
int bad_stage_value(struct ddfs_inode *ip, uint64_t lblk);
uint64_t bad_stage_free(struct bad_stage *s);
bool bad_stage_said(const struct bad_stage *s, const char *word);

#endif
