/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ioctl(2) numbers of a mounted devdaxfs.
 *
 *	struct ddfs_ioc_stats s;
 *	int fd = open("/mnt", O_RDONLY | O_DIRECTORY);
 *
 *	if (ioctl(fd, DDFS_IOC_STATS, &s) == 0)
 *		printf("%llu fences\n", (unsigned long long)s.fences);
 *
 * Besides these: FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR of
 * <linux/fs.h>. Any other number gives ENOTTY.
 */
#ifndef DEVDAXFS_IOCTL_H
#define DEVDAXFS_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define DDFS_IOC_MAGIC 0xdd

/*
 * fallocate(2) with any mode of <linux/falloc.h>. The kernel's FUSE refuses
 * FALLOC_FL_COLLAPSE_RANGE and FALLOC_FL_INSERT_RANGE by itself, so these two come this way; the
 * errors are those of fallocate(2). On a regular file that is open for writing, else EBADF. When
 * it returns, read(2), mmap(2) and fstat(2) see the new contents and size; stores through a
 * mapping of the range while it runs end up on either side of the change.
 */
struct ddfs_ioc_fallocate {
	__u32 mode;
	__u32 pad; /* 0 */
	__u64 off; /* bytes */
	__u64 len; /* bytes */
};
#define DDFS_IOC_FALLOCATE _IOW(DDFS_IOC_MAGIC, 1, struct ddfs_ioc_fallocate)

/*
 * Mount options that the daemon is to take over; "ro" and "rw", the atime options, lazytime and
 * errors= can change. On the root directory, by root. For mount(8), which changes the kernel's
 * side by itself. EINVAL: an option that is not known or cannot change; the daemon's log says
 * which.
 */
struct ddfs_ioc_remount {
	char options[4096]; /* comma-separated, terminated */
};
#define DDFS_IOC_REMOUNT _IOW(DDFS_IOC_MAGIC, 2, struct ddfs_ioc_remount)

/* Sums since the mount. On the root directory. */
struct ddfs_ioc_stats {
	__u64 bytes_stored;  /* to media */
	__u64 lines_flushed; /* of 64 bytes */
	__u64 lines_elided;  /* that needed no flush on this platform */
	__u64 fences;
	__u64 deep_flushes;
	__u64 nr_threads;
	__u64 requests[64]; /* by opcode of <linux/fuse.h> */
};
#define DDFS_IOC_STATS _IOR(DDFS_IOC_MAGIC, 3, struct ddfs_ioc_stats)

#endif
