/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules of FORMAT.md, each broken alone: an image (tests/unit/image_stage.h) is damaged in one way,
 * with checksums that fit, and the check must tell of that and of nothing else.
 */
#ifndef DDFS_TEST_FSCK_RULES_H
#define DDFS_TEST_FSCK_RULES_H

#include "fsck/fsck.h"
#include "tests/unit/image_stage.h"

struct rule_stage {
	struct ram r;
	struct ddfs_image img; /* as it was before the damage */
};

struct rule {
	const char *name;
	void (*damage)(struct rule_stage *s);
	const char *words;  /* that every sentence has; NULL: it is no damage */
	unsigned int flags; /* of the check */
	bool preen;	    /* it is safe to repair */
	const char *also;   /* that a sentence may have instead */
};

/* Makes the stage, breaks the rule, checks: with one thread and with several, without a store. */
void rule_try(const struct rule *rule);

/* What is there, to be changed. */
struct ddfs_super *rule_super(struct rule_stage *s, unsigned int which);
struct ddfs_inode_disk *rule_inode(struct rule_stage *s, uint32_t ino);
struct ddfs_inode_disk *rule_find(struct rule_stage *s, const char *name);
struct ddfs_node *rule_node(struct rule_stage *s, uint64_t blk);
struct ddfs_chunk *rule_chunk(struct rule_stage *s, uint64_t blk);
struct ddfs_group_desc *rule_group(struct rule_stage *s, unsigned int nr);
/* And its checksum made to fit. */
void rule_seal_super(struct rule_stage *s, unsigned int which);
void rule_seal(struct rule_stage *s, void *p, size_t len);
#define RULE_SEAL(s, p) rule_seal(s, p, sizeof(*(p)))

/* A name in the leaf that holds it; dir: the inode that has the tree, names or attributes. */
struct rule_record {
	struct ddfs_node *leaf;
	struct ddfs_name_slot *slot;
	struct ddfs_name_record *record;
};
struct rule_record rule_record_find(struct rule_stage *s, uint64_t root, const char *name);
uint32_t rule_record_ino(const struct rule_record *r);
void rule_record_set(struct rule_record *r, uint32_t ino, uint8_t type);
/* It is gone, and nothing else. */
void rule_record_kill(struct rule_record *r);

#endif
