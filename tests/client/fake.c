/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/client/fake.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/client/client.h"

struct request {
	struct fuse_in_header head;
	char body[65536];
};

struct server {
	const struct fake *fake;
	int fd;
	struct request request;
};

/* ---- answers -------------------------------------------------------------------------------- */

static void answer(const struct server *s, int error, const void *first, size_t first_len,
	const void *second, size_t second_len)
{
	struct fuse_out_header head = {
		.len = (uint32_t)(sizeof(head) + first_len + second_len),
		.error = error,
		.unique = s->request.head.unique,
	};
	const struct iovec parts[] = {
		{ &head, sizeof(head) },
		{ (void *)first, first_len },
		{ (void *)second, second_len },
	};

	/* ENOENT: who asked was interrupted */
	CHECK(writev(s->fd, parts, 3) == (ssize_t)head.len || errno == ENOENT);
}

static void answer_init(const struct server *s)
{
	const struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_write = 4096,
	};

	answer(s, 0, &out, sizeof(out), NULL, 0);
}

static void answer_attr(const struct server *s)
{
	const struct fuse_attr_out out = {
		.attr = { .ino = FUSE_ROOT_ID,
			.size = s->fake->len,
			.mode = S_IFREG | 0666,
			.nlink = 1 },
	};

	answer(s, 0, &out, sizeof(out), NULL, 0);
}

static void answer_open(const struct server *s)
{
	const struct fuse_open_out out = { .fh = 1 };

	answer(s, 0, &out, sizeof(out), NULL, 0);
}

static void answer_pin(const struct server *s)
{
	const struct fuse_ioctl_out out = { 0 };
	const struct ddfs_ioc_pin pin = {
		.len = s->fake->len,
		.nr_extents = 1,
		.id = 1,
		.extents = { { .len = s->fake->len, .device_off = s->fake->device_off } },
	};

	answer(s, 0, &out, sizeof(out), &pin, sizeof(pin));
}

static void answer_ioctl(const struct server *s)
{
	const struct fuse_ioctl_in *in = (const void *)s->request.body;
	const struct fuse_ioctl_out out = { 0 };

	switch (in->cmd) {
	case DDFS_IOC_INFO:
		answer(s, 0, &out, sizeof(out), &s->fake->info, sizeof(s->fake->info));
		break;
	case DDFS_IOC_PIN:
		answer_pin(s);
		break;
	case DDFS_IOC_UNPIN:
		answer(s, 0, &out, sizeof(out), NULL, 0);
		break;
	default:
		answer(s, -ENOTTY, NULL, 0, NULL, 0);
	}
}

static void answer_any(const struct server *s)
{
	switch (s->request.head.opcode) {
	case FUSE_INIT:
		answer_init(s);
		break;
	case FUSE_GETATTR:
		answer_attr(s);
		break;
	case FUSE_OPEN:
		answer_open(s);
		break;
	case FUSE_RELEASE:
		answer(s, 0, NULL, 0, NULL, 0);
		break;
	case FUSE_IOCTL:
		answer_ioctl(s);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(s, -ENOSYS, NULL, 0, NULL, 0);
	}
}

/* ---- mounting ------------------------------------------------------------------------------- */

static void serve(int fd, const struct fake *fake)
{
	static struct server server;

	server.fake = fake;
	server.fd = fd;
	while (read(fd, &server.request, sizeof(server.request)) > 0)
		answer_any(&server);
}

int fake_mount(const char *name, uid_t user, const struct fake *fake)
{
	const pid_t parent = getpid();
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC), fd;
	char data[128];

	fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	CHECK(fuse >= 0 && fd >= 0 && close(fd) == 0);
	snprintf(data, sizeof(data), "fd=%d,rootmode=%o,user_id=%u,group_id=%u,allow_other", fuse,
		S_IFREG, user, user);
	CHECK(mount("fake", name, "fuse.devdaxfs", MS_NOSUID | MS_NODEV, data) == 0);
	if (fork() == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
			serve(fuse, fake);
		_exit(0);
	}
	close(fuse);
	fd = open(name, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}
