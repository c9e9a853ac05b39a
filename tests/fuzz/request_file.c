/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests of open files. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/input.h"
#include "tests/fuzz/kernel.h"
#include "tests/fuzz/request.h"
#include "tests/fuzz/value.h"

static bool has_room(const struct kernel *k)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < KERNEL_MAX; i++)
		nr += k->files[i].is_open || k->requests[i].unique;
	return nr < KERNEL_MAX / 2;
}

static uint32_t open_flags(struct input *in)
{
	static const uint32_t flags[] = { O_RDWR, O_RDONLY, O_WRONLY, O_RDWR | O_TRUNC,
		O_RDWR | O_APPEND, O_RDWR | O_SYNC, O_RDWR | O_DSYNC, O_WRONLY | O_TRUNC };

	return flags[input_8(in) % (sizeof(flags) / sizeof(flags[0]))];
}

static void send_open(struct kernel *k, struct input *in, uint32_t opcode)
{
	struct fuse_open_in arg = { .flags = open_flags(in), .open_flags = input_8(in) & 1 };

	if (!has_room(k))
		return;
	request_begin(k, in, opcode, value_node(in, k));
	kernel_put(k, &arg, sizeof(arg));
	kernel_send_for(k, KERNEL_MAX, arg.flags);
}

static void send_create(struct kernel *k, struct input *in)
{
	struct fuse_create_in arg = {
		.flags = open_flags(in) | O_CREAT,
		.mode = S_IFREG | (input_16(in) & 07777),
		.open_flags = input_8(in) & 1,
	};

	if (!has_room(k))
		return;
	request_begin(k, in, FUSE_CREATE, value_node(in, k));
	kernel_put(k, &arg, sizeof(arg));
	request_put_name(k, in);
	kernel_send_for(k, KERNEL_MAX, arg.flags);
}

struct kernel_file *request_begin_of_file(
	struct kernel *k, struct input *in, uint32_t opcode, bool is_dir)
{
	unsigned int which = kernel_find_file(k, input_8(in), is_dir);

	if (which == KERNEL_MAX)
		return NULL;
	request_begin(k, in, opcode, k->files[which].node);
	return &k->files[which];
}

void request_send_of_file(struct kernel *k, const struct kernel_file *f)
{
	kernel_send_for(k, (unsigned int)(f - k->files), 0);
}

static void send_release(struct kernel *k, struct input *in, bool is_dir)
{
	unsigned int which = kernel_find_file(k, input_8(in), is_dir);

	if (which != KERNEL_MAX && !kernel_is_used(k, which))
		kernel_release(k, which);
}

static void send_read(struct kernel *k, struct input *in, uint32_t opcode)
{
	struct kernel_file *f = request_begin_of_file(k, in, opcode, opcode != FUSE_READ);
	struct fuse_read_in arg = { 0 };

	if (!f)
		return;
	arg.fh = f->fh;
	arg.offset = value_number(in) & INT64_MAX;
	arg.size = (uint32_t)value_number(in) % REQUEST_MAX_READ;
	arg.read_flags = input_8(in) & FUSE_READ_LOCKOWNER;
	arg.flags = f->flags;
	if (opcode == FUSE_READ && (f->flags & O_ACCMODE) == O_WRONLY)
		return;
	kernel_put(k, &arg, sizeof(arg));
	request_send_of_file(k, f);
}

static void send_write(struct kernel *k, struct input *in)
{
	struct kernel_file *f = request_begin_of_file(k, in, FUSE_WRITE, false);
	struct fuse_write_in arg = { 0 };

	if (!f || (f->flags & O_ACCMODE) == O_RDONLY)
		return;
	arg.fh = f->fh;
	arg.offset = value_number(in) & INT64_MAX;
	arg.size = (uint32_t)value_number(in) % REQUEST_MAX_DATA;
	arg.write_flags = input_8(in) & FUSE_WRITE_KILL_SUIDGID;
	arg.flags = f->flags;
	kernel_put(k, &arg, sizeof(arg));
	kernel_put(k, NULL, arg.size);
	memset(k->message + k->len - arg.size, 'w', arg.size);
	request_send_of_file(k, f);
}

static void send_fsync(struct kernel *k, struct input *in, bool is_dir)
{
	struct kernel_file *f =
		request_begin_of_file(k, in, is_dir ? FUSE_FSYNCDIR : FUSE_FSYNC, is_dir);
	struct fuse_fsync_in arg = { .fsync_flags = input_8(in) & 1 };

	if (!f)
		return;
	arg.fh = f->fh;
	kernel_put(k, &arg, sizeof(arg));
	request_send_of_file(k, f);
}

static void send_fallocate(struct kernel *k, struct input *in)
{
	struct kernel_file *f = request_begin_of_file(k, in, FUSE_FALLOCATE, false);
	struct fuse_fallocate_in arg = { 0 };

	if (!f || (f->flags & O_ACCMODE) == O_RDONLY)
		return;
	arg.fh = f->fh;
	arg.offset = value_number(in) & INT64_MAX;
	arg.length = value_number(in) & INT64_MAX;
	arg.mode = input_8(in);
	kernel_put(k, &arg, sizeof(arg));
	request_send_of_file(k, f);
}

static void send_lseek(struct kernel *k, struct input *in)
{
	struct kernel_file *f = request_begin_of_file(k, in, FUSE_LSEEK, false);
	struct fuse_lseek_in arg = { 0 };

	if (!f)
		return;
	arg.fh = f->fh;
	arg.offset = value_number(in) & INT64_MAX;
	arg.whence = input_8(in) & 7;
	kernel_put(k, &arg, sizeof(arg));
	request_send_of_file(k, f);
}

static void send_copy(struct kernel *k, struct input *in)
{
	unsigned int to = kernel_find_file(k, input_8(in), false);
	struct kernel_file *f = request_begin_of_file(k, in, FUSE_COPY_FILE_RANGE, false);
	struct fuse_copy_file_range_in arg = { 0 };

	if (!f || (f->flags & O_ACCMODE) == O_WRONLY ||
		(k->files[to].flags & O_ACCMODE) == O_RDONLY)
		return;
	k->also = to;
	arg.fh_in = f->fh;
	arg.off_in = value_number(in) & INT64_MAX;
	arg.nodeid_out = k->files[to].node;
	arg.fh_out = k->files[to].fh;
	arg.off_out = value_number(in) & INT64_MAX;
	arg.len = (uint32_t)value_number(in);
	kernel_put(k, &arg, sizeof(arg));
	request_send_of_file(k, f);
}

static void send_poll(struct kernel *k, struct input *in)
{
	struct kernel_file *f = request_begin_of_file(k, in, FUSE_POLL, false);
	struct fuse_poll_in arg = { .kh = input_8(in), .flags = input_8(in) & 1 };

	if (!f)
		return;
	arg.fh = f->fh;
	arg.events = input_16(in);
	kernel_put(k, &arg, sizeof(arg));
	request_send_of_file(k, f);
}

static void send_flush(struct kernel *k, struct input *in)
{
	struct kernel_file *f = request_begin_of_file(k, in, FUSE_FLUSH, false);
	struct fuse_flush_in arg = { 0 };

	if (!f)
		return;
	arg.fh = f->fh;
	kernel_put(k, &arg, sizeof(arg));
	request_send_of_file(k, f);
}

/* ---- which ---------------------------------------------------------------------------------- */

static void request_of_dir(struct kernel *k, struct input *in)
{
	switch (input_8(in) % 8) {
	case 0:
	case 1:
		send_open(k, in, FUSE_OPENDIR);
		break;
	case 2:
		send_release(k, in, true);
		break;
	case 3:
		send_fsync(k, in, true);
		break;
	case 4:
	case 5:
		send_read(k, in, FUSE_READDIR);
		break;
	default:
		send_read(k, in, FUSE_READDIRPLUS);
		break;
	}
}

void request_of_file(struct kernel *k, struct input *in)
{
	switch (input_8(in) % 16) {
	case 0:
	case 1:
		send_open(k, in, FUSE_OPEN);
		break;
	case 2:
		send_create(k, in);
		break;
	case 3:
		send_release(k, in, false);
		break;
	case 4:
		send_read(k, in, FUSE_READ);
		break;
	case 5:
	case 6:
		send_write(k, in);
		break;
	case 7:
		send_fsync(k, in, false);
		break;
	case 8:
	case 9:
		send_fallocate(k, in);
		break;
	case 10:
		send_lseek(k, in);
		break;
	case 11:
		send_copy(k, in);
		break;
	case 12:
		send_poll(k, in);
		break;
	case 13:
		send_flush(k, in);
		break;
	default:
		request_of_dir(k, in);
		break;
	}
}
