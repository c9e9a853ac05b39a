/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps as system calls. */
#ifndef DDFS_TEST_SOAK_PERFORM_H
#define DDFS_TEST_SOAK_PERFORM_H

#include "tests/soak/model.h"

#define SOAK_HELD 4

struct soak_worker {
	int root;	     /* the worker's directory */
	const char *dir;     /* its path */
	const char *holders; /* sockets of those that hold files for it, without the number */
	struct soak_model *m;
	int held[SOAK_HELD]; /* files without a name, -1 none */
	unsigned int nr_held;
	uint8_t *buf; /* SOAK_FILE_MAX bytes */
};

/* 0 or an errno. Where it ends half-way, the step becomes what was done of it. */
int soak_perform(struct soak_worker *w, struct soak_step *s);

/* Of a node, from the worker's directory; out: 4096 bytes. */
void soak_path(const struct soak_model *m, unsigned int dir, unsigned int name, char *out);

/* The socket of a pin's holder; out: 128 bytes. */
void soak_holder_path(const char *holders, unsigned int pin, char *out);

/* "user.s0" ... */
void soak_xattr_name(unsigned int i, char out[16]);

/* Allocation unit of DAX inodes, bytes. */
uint64_t soak_unit(int root);

/* Whether the directory's filesystem has gone: its daemon was ended. */
bool soak_is_gone(int root);
/* What calls fail with then. */
bool soak_is_gone_error(int err);

#endif
