/* SPDX-License-Identifier: BSD-3-Clause */
/* ioctl(2), of files and directories: the numbers that there are, and others. */
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>

#include "src/devdaxfs_ioctl.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/kernel.h"
#include "tests/fuzz/request.h"
#include "tests/fuzz/value.h"

#define MAX_PAYLOAD 8192u

/* widths: bytes of the fields at the beginning. */
static const struct known {
	unsigned int cmd;
	const char *widths;
} known[] = {
	{ DDFS_IOC_PIN, "88444" },
	{ DDFS_IOC_PIN, "88444" },
	{ DDFS_IOC_PIN, "88444" },
	{ DDFS_IOC_UNPIN, "8" },
	{ DDFS_IOC_UNPIN, "8" },
	{ DDFS_IOC_PIN_EXTENTS, "84" },
	{ DDFS_IOC_LAYOUT, "884" },
	{ DDFS_IOC_SYNC, "88" },
	{ DDFS_IOC_INFO, "" },
	{ DDFS_IOC_PIN_STATS, "" },
	{ DDFS_IOC_PINS, "8444" },
	{ DDFS_IOC_BAD, "8" },
	{ DDFS_IOC_FALLOCATE, "4488" },
	{ DDFS_IOC_FALLOCATE, "4488" },
	{ DDFS_IOC_REMOUNT, "s" },
	{ DDFS_IOC_STATS, "" },
	{ DDFS_IOC_SET_PERSISTENCE, "44" },
	{ FS_IOC_GETFLAGS, "" },
	{ FS_IOC32_GETFLAGS, "" },
	{ FS_IOC_SETFLAGS, "4" },
	{ FS_IOC32_SETFLAGS, "4" },
	{ FS_IOC_FSGETXATTR, "" },
	{ FS_IOC_FSSETXATTR, "44444" },
};

/* errors=abort ends the process, as it is to. */
static void remount_options(struct input *in, uint8_t *to)
{
	static const char *const words[] = { "ro", "rw", "noatime", "strictatime", "lazytime",
		"nolazytime", "errors=remount-ro", "errors=continue", "dax=always", "lease_time=1",
		"lease_expire=fail", "lease_expire=wait", "nothing", "context=a\\,b", ",", "=" };

	for (unsigned int nr = 1 + input_8(in) % 4; nr; nr--) {
		strcat((char *)to, words[input_8(in) % (sizeof(words) / sizeof(words[0]))]);
		strcat((char *)to, ",");
	}
}

static void put_fields(struct kernel *k, struct input *in, const char *widths, size_t size)
{
	uint8_t arg[MAX_PAYLOAD] = { 0 };
	size_t at = 0;

	if (*widths == 's')
		remount_options(in, arg);
	else
		for (; *widths; at += (size_t)(*widths++ - '0'))
			value_field(in, arg + at, (size_t)(*widths - '0'));
	kernel_put(k, arg, size);
}

/* Not what a number says but what the bytes say. */
static void put_bytes(struct kernel *k, struct input *in, size_t size)
{
	uint8_t arg[MAX_PAYLOAD] = { 0 };
	size_t given = input_8(in);

	input_bytes(in, arg, given < size ? given : size);
	kernel_put(k, arg, size);
}

/* The kernel takes in and gives out what a number says; a few are sent otherwise all the same. */
static void fill(struct kernel *k, struct input *in, struct fuse_ioctl_in *arg)
{
	unsigned int which = input_8(in);
	const struct known *of = &known[which % (sizeof(known) / sizeof(known[0]))];

	arg->cmd = of->cmd;
	if (which == 0xff)
		arg->cmd = input_32(in);
	else if (which >= 0xf0)
		arg->cmd ^= 1u << (input_8(in) % 32);
	arg->in_size = _IOC_DIR(arg->cmd) & _IOC_WRITE ? _IOC_SIZE(arg->cmd) : 0;
	arg->out_size = _IOC_DIR(arg->cmd) & _IOC_READ ? _IOC_SIZE(arg->cmd) : 0;
	if ((which & 0xf8) == 0xe8) {
		arg->in_size = (uint32_t)value_number(in);
		arg->out_size = (uint32_t)value_number(in);
	}
	arg->in_size %= MAX_PAYLOAD + 1;
	kernel_put(k, arg, sizeof(*arg));
	if (which & 0x80)
		put_bytes(k, in, arg->in_size);
	else
		put_fields(k, in, of->widths, arg->in_size);
}

void request_ioctl(struct kernel *k, struct input *in)
{
	bool is_dir = input_8(in) % 8 == 7;
	struct kernel_file *f = request_begin_of_file(k, in, FUSE_IOCTL, is_dir);
	struct fuse_ioctl_in arg = { .flags = is_dir ? FUSE_IOCTL_DIR : 0 };

	if (!f)
		return;
	arg.fh = f->fh;
	fill(k, in, &arg);
	request_send_of_file(k, f);
}
