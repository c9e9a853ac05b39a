/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests, made of an input's bytes and sent. */
#ifndef DDFS_FUZZ_REQUEST_H
#define DDFS_FUZZ_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

struct input;
struct kernel;
struct kernel_file;

#define REQUEST_MAX_DATA 20000u /* of a WRITE or an xattr */
#define REQUEST_MAX_READ 65536u

/* Of any kind. */
void request_any(struct kernel *k, struct input *in);
/* Mostly what makes and ends pins, and what waits for them. */
void request_of_pins(struct kernel *k, struct input *in);

/* ---- among them ---- */
void request_of_file(struct kernel *k, struct input *in);
void request_ioctl(struct kernel *k, struct input *in);

/* By root or somebody, of one process or another. */
void request_begin(struct kernel *k, struct input *in, uint32_t opcode, uint64_t node);
void request_put_name(struct kernel *k, struct input *in);
/* One that is open, with the request begun; NULL: there is none. */
struct kernel_file *request_begin_of_file(
	struct kernel *k, struct input *in, uint32_t opcode, bool is_dir);
void request_send_of_file(struct kernel *k, const struct kernel_file *f);

#endif
