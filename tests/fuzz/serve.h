/* SPDX-License-Identifier: BSD-3-Clause */
/* One input's requests, from mount to unmount. */
#ifndef DDFS_FUZZ_SERVE_H
#define DDFS_FUZZ_SERVE_H

#include <stddef.h>
#include <stdint.h>

struct input;
struct kernel;

void serve(const uint8_t *data, size_t size, void (*request)(struct kernel *k, struct input *in));

#endif
