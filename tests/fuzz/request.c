/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/request.h"

#include <limits.h>
#include <sys/stat.h>

#include "tests/fuzz/input.h"
#include "tests/fuzz/kernel.h"
#include "tests/fuzz/value.h"

void request_begin(struct kernel *k, struct input *in, uint32_t opcode, uint64_t node)
{
	unsigned int who = input_8(in);

	kernel_begin(k, opcode, node);
	kernel_head(k)->uid = kernel_head(k)->gid = who & 1 ? 1000 : 0;
	if (who & 2)
		kernel_head(k)->pid = (uint32_t)k->other_pid;
	if ((who & 0xfc) == 0xfc)
		kernel_head(k)->pid = who & 2 ? 0 : INT32_MAX;
}

void request_put_name(struct kernel *k, struct input *in)
{
	char name[VALUE_NAME_MAX + 1];

	kernel_put(k, name, value_name(in, name));
}

static void put_xattr(struct kernel *k, struct input *in)
{
	char name[VALUE_NAME_MAX + 1];

	kernel_put(k, name, value_xattr(in, name));
}

/* ---- names ---------------------------------------------------------------------------------- */

static void send_name(struct kernel *k, struct input *in, uint32_t opcode)
{
	request_begin(k, in, opcode, value_node(in, k));
	request_put_name(k, in);
	if (opcode == FUSE_SYMLINK)
		request_put_name(k, in);
	kernel_send(k);
}

static void send_mknod(struct kernel *k, struct input *in)
{
	struct fuse_mknod_in arg = { .mode = input_16(in), .umask = input_8(in) };

	if (!(arg.mode & S_IFMT))
		arg.mode |= S_IFREG;
	request_begin(k, in, FUSE_MKNOD, value_node(in, k));
	kernel_put(k, &arg, sizeof(arg));
	request_put_name(k, in);
	kernel_send(k);
}

static void send_mkdir(struct kernel *k, struct input *in)
{
	struct fuse_mkdir_in arg = { .mode = input_16(in) & 07777, .umask = input_8(in) };

	request_begin(k, in, FUSE_MKDIR, value_node(in, k));
	kernel_put(k, &arg, sizeof(arg));
	request_put_name(k, in);
	kernel_send(k);
}

static void send_rename(struct kernel *k, struct input *in)
{
	struct fuse_rename2_in arg = { .newdir = value_node(in, k), .flags = input_8(in) & 7 };

	request_begin(k, in, FUSE_RENAME2, value_node(in, k));
	kernel_put(k, &arg, sizeof(arg));
	request_put_name(k, in);
	request_put_name(k, in);
	kernel_send(k);
}

static void send_link(struct kernel *k, struct input *in)
{
	struct fuse_link_in arg = { .oldnodeid = value_node(in, k) };

	request_begin(k, in, FUSE_LINK, value_node(in, k));
	kernel_put(k, &arg, sizeof(arg));
	request_put_name(k, in);
	kernel_send(k);
}

/* ---- inodes --------------------------------------------------------------------------------- */

static void send_plain(struct kernel *k, struct input *in, uint32_t opcode, size_t arg_len)
{
	request_begin(k, in, opcode, value_node(in, k));
	kernel_put(k, NULL, arg_len);
	kernel_send(k);
}

static void send_setattr(struct kernel *k, struct input *in)
{
	struct fuse_setattr_in arg = {
		.valid = input_16(in),
		.size = value_number(in) & INT64_MAX,
		.mode = input_16(in),
		.uid = input_8(in),
		.gid = input_8(in),
		.atime = input_32(in),
	};

	arg.valid &= ~(uint32_t)FATTR_FH;
	request_begin(k, in, FUSE_SETATTR, value_node(in, k));
	kernel_put(k, &arg, sizeof(arg));
	kernel_send(k);
}

/* In its long form, which was agreed upon. */
static void send_setxattr(struct kernel *k, struct input *in)
{
	struct fuse_setxattr_in arg = {
		.size = (uint32_t)value_number(in) % REQUEST_MAX_DATA,
		.flags = input_8(in) & 3,
		.setxattr_flags = input_8(in) & 1,
	};
	uint8_t value[64];

	request_begin(k, in, FUSE_SETXATTR, value_node(in, k));
	kernel_put(k, &arg, sizeof(arg));
	put_xattr(k, in);
	input_bytes(in, value, sizeof(value));
	kernel_put(k, value, arg.size < sizeof(value) ? arg.size : sizeof(value));
	if (arg.size > sizeof(value))
		kernel_put(k, NULL, arg.size - sizeof(value));
	kernel_send(k);
}

static void send_getxattr(struct kernel *k, struct input *in, uint32_t opcode)
{
	struct fuse_getxattr_in arg = { .size = (uint32_t)value_number(in) % REQUEST_MAX_READ };

	request_begin(k, in, opcode, value_node(in, k));
	kernel_put(k, &arg, sizeof(arg));
	if (opcode == FUSE_GETXATTR)
		put_xattr(k, in);
	kernel_send(k);
}

static void send_removexattr(struct kernel *k, struct input *in)
{
	request_begin(k, in, FUSE_REMOVEXATTR, value_node(in, k));
	put_xattr(k, in);
	kernel_send(k);
}

/* The kernel forgets nobody who has a file open. */
static void send_forget(struct kernel *k, struct input *in)
{
	unsigned int which = input_8(in) % k->nr_nodes;
	struct fuse_forget_in arg = { .nlookup = 1 };
	uint64_t node = k->nodes[which];

	for (unsigned int i = 0; i < KERNEL_MAX; i++)
		if ((k->files[i].is_open && k->files[i].node == node) ||
			(k->requests[i].unique && k->requests[i].node == node))
			return;
	if (!which)
		return;
	k->nodes[which] = k->nodes[--k->nr_nodes];
	kernel_begin(k, FUSE_FORGET, node);
	kernel_put(k, &arg, sizeof(arg));
	kernel_send(k);
}

/* ---- which ---------------------------------------------------------------------------------- */

static void send_interrupt(struct kernel *k, struct input *in)
{
	uint64_t unique = k->requests[input_8(in) % KERNEL_MAX].unique;

	if (unique)
		kernel_interrupt(k, unique);
}

static void request_by_name(struct kernel *k, struct input *in)
{
	static const uint32_t opcodes[] = { FUSE_LOOKUP, FUSE_UNLINK, FUSE_RMDIR, FUSE_SYMLINK };

	switch (input_8(in) % 8) {
	case 0:
		send_mknod(k, in);
		break;
	case 1:
		send_mkdir(k, in);
		break;
	case 2:
		send_rename(k, in);
		break;
	case 3:
		send_link(k, in);
		break;
	default:
		send_name(k, in, opcodes[input_8(in) % 4]);
		break;
	}
}

/* Opcodes that nobody answers but libfuse are among them. */
static void request_by_node(struct kernel *k, struct input *in)
{
	switch (input_8(in) % 12) {
	case 0:
		send_plain(k, in, FUSE_GETATTR, sizeof(struct fuse_getattr_in));
		break;
	case 1:
		send_plain(k, in, FUSE_READLINK, 0);
		break;
	case 2:
		send_plain(k, in, FUSE_STATFS, 0);
		break;
	case 3:
		send_plain(k, in, FUSE_ACCESS, sizeof(struct fuse_access_in));
		break;
	case 4:
		send_plain(k, in, FUSE_SYNCFS, sizeof(struct fuse_syncfs_in));
		break;
	case 5:
		send_getxattr(k, in, FUSE_GETXATTR);
		break;
	case 6:
		send_getxattr(k, in, FUSE_LISTXATTR);
		break;
	case 7:
		send_removexattr(k, in);
		break;
	case 8:
		send_forget(k, in);
		break;
	case 9:
		send_setxattr(k, in);
		break;
	default:
		send_setattr(k, in);
		break;
	}
}

void request_any(struct kernel *k, struct input *in)
{
	switch (input_8(in) % 8) {
	case 0:
	case 1:
		request_by_name(k, in);
		break;
	case 2:
		request_by_node(k, in);
		break;
	case 3:
		request_ioctl(k, in);
		break;
	case 4:
		send_interrupt(k, in);
		break;
	default:
		request_of_file(k, in);
		break;
	}
}

void request_of_pins(struct kernel *k, struct input *in)
{
	switch (input_8(in) % 8) {
	case 0:
	case 1:
		request_of_file(k, in);
		break;
	case 2:
		request_any(k, in);
		break;
	case 3:
		send_setattr(k, in);
		break;
	default:
		request_ioctl(k, in);
		break;
	}
}
