/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ddfs_target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void ddfs_target_complain(const struct ddfs_target *t, const char *why)
{
	fprintf(stderr, "ddfs: %s: %s\n", t->path, why);
}

int ddfs_target_ioctl(const struct ddfs_target *t, unsigned long request, void *arg)
{
	return ioctl(t->fd, request, arg) ? -errno : 0;
}

static const char *why_no_info(int err)
{
	switch (err) {
	case -ENOTCONN:
		return "the daemon of this mount has ended; unmount it with umount -l";
	case -ENOTTY:
	case -EINVAL:
	case -ENOSYS:
	case -EOPNOTSUPP:
		return "not on a mounted devdaxfs; name its mount point or a file below it";
	default:
		return strerror(-err);
	}
}

static int complain_open(const struct ddfs_target *t, int err)
{
	ddfs_target_complain(t, err == -ENOTCONN ? why_no_info(err) : strerror(-err));
	return err;
}

/* Opening anything else, a FIFO or a device, may wait or do something. */
static int open_target(struct ddfs_target *t)
{
	if (stat(t->path, &t->st))
		return complain_open(t, -errno);
	if (!S_ISREG(t->st.st_mode) && !S_ISDIR(t->st.st_mode)) {
		ddfs_target_complain(t, "neither a regular file nor a directory");
		return -EINVAL;
	}
	t->fd = open(t->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return t->fd < 0 ? complain_open(t, -errno) : 0;
}

int ddfs_target_open(const char *path, struct ddfs_target *out)
{
	struct ddfs_target t = { .path = path };
	int ret = open_target(&t);

	if (ret)
		return ret;
	ret = ddfs_target_ioctl(&t, DDFS_IOC_INFO, &t.info);
	if (!ret && fstat(t.fd, &t.st))
		ret = -errno;
	if (ret) {
		ddfs_target_complain(&t, why_no_info(ret));
		ddfs_target_close(&t);
		return ret;
	}
	t.info.path[sizeof(t.info.path) - 1] = '\0';
	*out = t;
	return 0;
}

void ddfs_target_close(struct ddfs_target *t)
{
	close(t->fd);
}

/* ---- names ---------------------------------------------------------------------------------- */

/* The kernel's file handle of a node, as its fs/fuse makes them (FILEID_INO64_GEN). */
#define HANDLE_TYPE  0x81
#define HANDLE_WORDS 3

static int open_node(const struct ddfs_target *t, uint64_t node, int flags)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + HANDLE_WORDS * sizeof(uint32_t)];
	} h = { .handle = { .handle_bytes = HANDLE_WORDS * sizeof(uint32_t),
			.handle_type = HANDLE_TYPE } };
	uint32_t words[HANDLE_WORDS] = { (uint32_t)(node >> 32), (uint32_t)node,
		(uint32_t)(node >> 32) };
	int fd;

	memcpy(h.handle.f_handle, words, sizeof(words));
	fd = open_by_handle_at(t->fd, &h.handle, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int read_link_of(int fd, char *text, size_t size)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, text, size - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return 0;
}

/* The path of a file that has names. One that the kernel has not looked up has none that it knows
 * of, and one whose known name was removed has another: so it must lead back to the file. */
static bool is_path_of(const char *path, const struct stat *st)
{
	struct stat found;

	return lstat(path, &found) == 0 && found.st_ino == st->st_ino && found.st_dev == st->st_dev;
}

/* The last path of a file that has no name: the kernel marks it. */
static bool strip_mark(char *path)
{
	static const char mark[] = " (deleted)";
	size_t len = strlen(path), mark_len = sizeof(mark) - 1;

	if (len <= mark_len + 1 || strcmp(path + len - mark_len, mark) != 0)
		return false;
	path[len - mark_len] = '\0';
	return true;
}

static bool find_name(int fd, struct ddfs_node_name *out)
{
	struct stat st;

	if (fstat(fd, &st) || read_link_of(fd, out->text, sizeof(out->text)))
		return false;
	out->unlinked = st.st_nlink == 0;
	return out->unlinked ? strip_mark(out->text) : is_path_of(out->text, &st);
}

void ddfs_target_name(const struct ddfs_target *t, uint64_t node, struct ddfs_node_name *out)
{
	bool is_target = (uint32_t)node == t->st.st_ino;
	int fd = is_target ? dup(t->fd) : open_node(t, node, O_PATH);
	bool known = false;

	/* A node that is gone while its pages are still held had no name. */
	out->unlinked = fd == -ESTALE;
	if (fd >= 0) {
		known = find_name(fd, out);
		close(fd);
	}
	if (!known)
		snprintf(out->text, sizeof(out->text), "inode %u", (unsigned int)node);
}

/* ---- the root directory --------------------------------------------------------------------- */

#define ROOT_NODE 1

/* Takes the last name off; "/" stays. */
static void strip_name(char *path)
{
	char *slash = strrchr(path, '/');

	slash[slash == path] = '\0';
}

/* Up from the target, as long as that is the same filesystem. */
static int open_above(const struct ddfs_target *t)
{
	char path[PATH_MAX];
	struct stat st = t->st;
	int fd;

	if (!realpath(t->path, path))
		return -errno;
	while (st.st_ino != ROOT_NODE) {
		if (strcmp(path, "/") == 0)
			return -EXDEV;
		strip_name(path);
		if (stat(path, &st))
			return -errno;
		if (st.st_dev != t->st.st_dev)
			return -EXDEV;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int ddfs_target_open_root(const struct ddfs_target *t, struct ddfs_target *out)
{
	struct ddfs_target root = *t;

	root.fd = open_above(t);
	/* Where a part of it is mounted elsewhere too. */
	if (root.fd < 0)
		root.fd = open_node(t, ROOT_NODE, O_RDONLY | O_DIRECTORY);
	if (root.fd < 0)
		return root.fd;
	if (fstat(root.fd, &root.st)) {
		close(root.fd);
		return -errno;
	}
	*out = root;
	return 0;
}
