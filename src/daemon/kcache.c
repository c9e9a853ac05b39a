/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/kcache.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/daemon/session.h"

/* The kernel's file handle of a node, as its fs/fuse makes them (FILEID_INO64_GEN). */
#define HANDLE_TYPE  0x81
#define HANDLE_WORDS 3

void ddfs_kcache_drop_attr(struct ddfs_session *s, ddfs_id id)
{
	fuse_lowlevel_notify_inval_inode(ddfs_session_fuse(s), id, -1, 0);
}

void ddfs_kcache_drop_pages(struct ddfs_session *s, ddfs_id id)
{
	fuse_lowlevel_notify_inval_inode(ddfs_session_fuse(s), id, 0, 0);
}

/* For the file's size to be asked for, it is enough that somebody looks at it. */
static void look(const char *mountpoint, struct file_handle *handle)
{
	int mount_fd = open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int fd;

	if (mount_fd < 0)
		return;
	fd = open_by_handle_at(mount_fd, handle, O_PATH | O_CLOEXEC);
	if (fd >= 0) {
		fstat(fd, &st);
		close(fd);
	}
	close(mount_fd);
}

/*
 * A thread of ours that is killed while it waits for our own answer would wait for ever: the kernel
 * lets go of it when the connection ends, which is when all of our threads have ended. So somebody
 * waits for it who does not have the connection: a child, which shares our memory, and of our open
 * files keeps none.
 */
__attribute__((noinline)) static void look_apart(const char *mountpoint, struct file_handle *handle)
{
	pid_t child = vfork();

	if (child == 0) {
		close_range(STDERR_FILENO + 1, ~0u, 0);
		look(mountpoint, handle);
		_exit(0);
	}
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

/*
 * There is no notification for that, so the file is looked at like anybody else would, found by
 * handle since it may have no name. Should this fail, the kernel asks at the next stat(2).
 */
void ddfs_kcache_ask_size(struct ddfs_session *s, ddfs_id id)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + HANDLE_WORDS * sizeof(uint32_t)];
	} h = { .handle = { .handle_bytes = HANDLE_WORDS * sizeof(uint32_t),
			.handle_type = HANDLE_TYPE } };
	uint32_t words[HANDLE_WORDS] = { (uint32_t)(id >> 32), (uint32_t)id, (uint32_t)(id >> 32) };

	memcpy(h.handle.f_handle, words, sizeof(words));
	look_apart(ddfs_session_mountpoint(s), &h.handle);
}
