/* SPDX-License-Identifier: BSD-3-Clause */
/* What an input says in few bytes: numbers that matter, names that are there. */
#ifndef DDFS_FUZZ_VALUE_H
#define DDFS_FUZZ_VALUE_H

#include <stddef.h>
#include <stdint.h>

struct input;
struct kernel;

#define VALUE_NAME_MAX 1024 /* FUSE's own limit */

/* Small, a number of blocks, a power of two, or anything. */
uint64_t value_number(struct input *in);
/* A number that is written in len bytes, at most 8. */
void value_field(struct input *in, uint8_t *to, size_t len);

/* A terminated name without '/'; returns its length with the terminator. */
size_t value_name(struct input *in, char to[VALUE_NAME_MAX + 1]);
/* Of an extended attribute. */
size_t value_xattr(struct input *in, char to[VALUE_NAME_MAX + 1]);

/* One that the kernel has been told of or, rarely, any. */
uint64_t value_node(struct input *in, const struct kernel *k);

#endif
