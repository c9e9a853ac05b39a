/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/kcache.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
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
	int mount_fd, fd;
	struct stat st;

	mount_fd = open(ddfs_session_mountpoint(s), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mount_fd < 0)
		return;
	memcpy(h.handle.f_handle, words, sizeof(words));
	fd = open_by_handle_at(mount_fd, &h.handle, O_PATH | O_CLOEXEC);
	if (fd >= 0) {
		fstat(fd, &st);
		close(fd);
	}
	close(mount_fd);
}
