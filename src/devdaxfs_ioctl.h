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
	__u64 bytes_stored;  /* to media, by the daemon */
	__u64 lines_flushed; /* of 64 bytes: given a flush instruction, or streamed */
	__u64 lines_elided;  /* stored to, and in need of no flush on this platform */
	__u64 fences;
	__u64 deep_flushes; /* made */
	__u64 most_shared;  /* of the syncs below, that one deep flush served at once */
	__u64 syncs[8];	    /* deep flushes asked for, by DDFS_IOC_SYNCS_*; each served by one */
	__u64 lines_lost;   /* reads that met poisoned memory */
	__u64 nr_threads;
	__u64 requests[64];   /* by opcode of <linux/fuse.h> */
	char persistence[64]; /* as mount says it: "memory_controller, flush: clwb" */
};
#define DDFS_IOC_SYNCS_FILE  0u /* fsync(2), fdatasync(2) */
#define DDFS_IOC_SYNCS_FS    1u /* syncfs(2), where the kernel passes it on */
#define DDFS_IOC_SYNCS_WRITE 2u /* writes with O_SYNC or O_DSYNC, or on a mount with -o sync */
#define DDFS_IOC_SYNCS_RANGE 3u /* DDFS_IOC_SYNC */
#define DDFS_IOC_SYNCS_MOUNT 4u /* remount */
#define DDFS_IOC_SYNCS_NR    5u

#define DDFS_IOC_STATS _IOR(DDFS_IOC_MAGIC, 3, struct ddfs_ioc_stats)

/* ---- pins ----------------------------------------------------------------------------------- */

/*
 * A pin is a lease on the pages of a range of a file: they stay where they are on the device, and
 * in the file, until it ends. It belongs to the open file that it was made through and ends with
 * UNPIN or when the last descriptor of that is closed; if the process that made it is dying, not
 * before that is wholly gone. Whatever would take its pages away meanwhile (truncate, O_TRUNC,
 * fallocate, the end of an unlinked file) has it recalled and waits: poll(2) of the descriptor then
 * reports POLLPRI. Who is recalled has the mount's lease_time to let go.
 *
 * Only DAX inodes can be pinned.
 */

/* One run of bytes of a file. */
struct ddfs_ioc_extent {
	__u64 off;	  /* of the file */
	__u64 len;	  /* bytes */
	__u64 device_off; /* of the device; 0 for a hole */
	__u32 flags;	  /* DDFS_IOC_EXTENT_* */
	__u32 pad;
};
#define DDFS_IOC_EXTENT_HOLE 1u /* no pages: reads as zeroes */
#define DDFS_IOC_EXTENT_UNWRITTEN                                                                  \
	2u /* pages that read as zeroes whatever they hold; never pinned */

#define DDFS_IOC_EXTENT_BAD 4u /* pages that can't be read: poisoned; never pinned */

/*
 * What a client needs to open the device by itself, and to be sure that it is the right one. On any
 * file or directory of the mount.
 *
 * A client that maps the device takes two shared open-file-description locks on it, of a byte
 * each, before it pins: at DDFS_LOCK_CLIENTS, and at DDFS_LOCK_EPOCH + epoch. As long as the second
 * is held, pages that were pinned in this mount are not used for anything else, whatever becomes
 * of the daemon.
 *
 * Any user's FUSE mount can answer this, with another's device: whoever acts upon it looks at who
 * made the mount first, as libdevdaxfs does.
 */
struct ddfs_ioc_info {
	__u8 uuid[16];	   /* of the filesystem, as in its superblock */
	__u32 epoch;	   /* of this mount */
	__u32 memory;	   /* DDFS_IOC_MEMORY_* */
	__u32 flags;	   /* DDFS_IOC_INFO_* */
	__u32 granularity; /* DDFS_IOC_GRANULARITY_* */
	__u64 device;	   /* st_rdev of the character device; st_dev of the image */
	__u64 inode;	   /* of the image, 0 for a device */
	__u64 size_bytes;  /* that the filesystem uses of the device */
	__u64 align_bytes; /* mapping alignment of the device: mmap(2) offsets are multiples of it
			    */
	__u64 unit_bytes;  /* allocation unit of DAX inodes, a multiple of align_bytes */
	char path[4096];   /* where the daemon opened it: a hint */
};
#define DDFS_IOC_INFO _IOR(DDFS_IOC_MAGIC, 4, struct ddfs_ioc_info)

#define DDFS_IOC_MEMORY_FS_DAX 0u /* device-dax: load, store and DMA */
#define DDFS_IOC_MEMORY_HOST   1u /* an image file: load and store */

#define DDFS_IOC_INFO_READONLY 1u

/* How far a store must be pushed to be durable, with libpmem2's words. */
#define DDFS_IOC_GRANULARITY_BYTE	0u /* a fence */
#define DDFS_IOC_GRANULARITY_CACHE_LINE 1u /* a flush of each line, then a fence */
#define DDFS_IOC_GRANULARITY_PAGE	2u /* DDFS_IOC_SYNC */

#define DDFS_LOCK_CLIENTS 1ull
#define DDFS_LOCK_EPOCH	  (1ull << 32)

/*
 * Pin a range of a regular file.
 *
 * EOPNOTSUPP: not a DAX inode, or its pages are not laid out for mapping.
 * EBADF: mode does not fit how the file is open. EACCES: open for reading alone, by who is neither
 * root, nor the file's owner, nor may read the device. EROFS, EPERM (immutable). ENXIO: the range
 * starts at or behind the end of the file. EINVAL: a field that is not defined. EAGAIN:
 * DDFS_IOC_PIN_NOWAIT and a change waits for the range. EDEADLK: a change waits for the range, and
 * for a pin of the calling process too: let go of that first. EINTR: a signal came while waiting.
 * EIO: some of its pages can't be read. ENOLCK: the table of pins on media is full. EUSERS: too
 * many hold a page. ESTALE: epoch is another mount's. ENODEV: being unmounted. ESRCH: the caller is
 * in a PID namespace that the daemon does not see. ENOSPC, EFBIG.
 */
struct ddfs_ioc_pin {
	__u64 off;	  /* in: bytes. out: of the first page pinned or, with WHOLE_UNITS, unit */
	__u64 len;	  /* in: bytes, 0: to the end of the file. out: what is covered */
	__u32 mode;	  /* DDFS_IOC_PIN_READ, DDFS_IOC_PIN_WRITE or both */
	__u32 flags;	  /* DDFS_IOC_PIN_* */
	__u32 epoch;	  /* of DDFS_IOC_INFO; 0: any */
	__u32 nr_extents; /* out: how many there are */
	__u64 id;	  /* out: for UNPIN and EXTENTS, through the same open file */
	struct ddfs_ioc_extent extents[4]; /* out: the first of them */
};
#define DDFS_IOC_PIN _IOWR(DDFS_IOC_MAGIC, 5, struct ddfs_ioc_pin)

#define DDFS_IOC_PIN_READ  1u
#define DDFS_IOC_PIN_WRITE 2u

/* Allocate and zero what has no written pages; the file must be open for writing. Without it such
 * parts are reported as extents with their flags, and hold no pages. */
#define DDFS_IOC_PIN_FAULT 1u
/* Make the file reach to the end of the range, as ftruncate(2). With FAULT. */
#define DDFS_IOC_PIN_GROW 2u
/* Widen the range to whole allocation units, so that its extents can be mapped. */
#define DDFS_IOC_PIN_WHOLE_UNITS 4u
/* Do not wait behind a change that waits. */
#define DDFS_IOC_PIN_NOWAIT 8u
/* Where pages can't be read, pin the others, instead of failing with EIO. Such parts are reported
 * as extents with their flag, and hold no pages: a load from there kills with SIGBUS. */
#define DDFS_IOC_PIN_BAD_HOLES 16u

/* End a pin. ENOENT: not one of this open file. */
#define DDFS_IOC_UNPIN _IOW(DDFS_IOC_MAGIC, 6, __u64)

#define DDFS_IOC_EXTENTS_MAX 128

/* The extents of a pin of this open file, from number `first` on. */
struct ddfs_ioc_pin_extents {
	__u64 id;
	__u32 first;
	__u32 nr; /* out: filled in; 0: there are no more */
	struct ddfs_ioc_extent extents[DDFS_IOC_EXTENTS_MAX];
};
#define DDFS_IOC_PIN_EXTENTS _IOWR(DDFS_IOC_MAGIC, 7, struct ddfs_ioc_pin_extents)

/* Which pages hold a range of a file, now: nothing is pinned, and it may change at once. For any
 * regular file that is open; FAULT wants a DAX inode that is open for writing. */
struct ddfs_ioc_layout {
	__u64 off;
	__u64 len;   /* 0: to the end of the file */
	__u32 flags; /* 0 or DDFS_IOC_PIN_FAULT */
	__u32 nr;    /* out: filled in */
	__u64 next;  /* out: offset to go on at; off + len when all is told */
	struct ddfs_ioc_extent extents[DDFS_IOC_EXTENTS_MAX];
};
#define DDFS_IOC_LAYOUT _IOWR(DDFS_IOC_MAGIC, 8, struct ddfs_ioc_layout)

/* Make durable what was stored in a range through a mapping: flushes what holds it and
 * deep-flushes, as fdatasync(2), but takes no lock in the kernel: it works while a truncate waits
 * for the caller. */
struct ddfs_ioc_sync {
	__u64 off;
	__u64 len; /* 0: to the end of the file */
};
#define DDFS_IOC_SYNC _IOW(DDFS_IOC_MAGIC, 9, struct ddfs_ioc_sync)

/* Of a file or, on the root directory, of the whole mount. */
struct ddfs_ioc_pin_stats {
	__u64 nr_pins;
	__u64 nr_pages; /* held, a page as often as it is pinned */
	__u64 nr_recalled;
	__u64 nr_breaks; /* changes that wait for pins */
	__u64 nr_queued; /* pins that wait behind changes */
};
#define DDFS_IOC_PIN_STATS _IOR(DDFS_IOC_MAGIC, 10, struct ddfs_ioc_pin_stats)

struct ddfs_ioc_pin_info {
	__u64 id;
	__u64 node; /* generation << 32 | inode number */
	__u64 off, len;
	__u64 nr_pages;
	__s64 since_sec; /* CLOCK_REALTIME */
	__u32 since_nsec;
	__u32 mode;
	__s32 pid;	    /* of the holder; 0: not known */
	__u32 flags;	    /* DDFS_IOC_PINNED_* */
	__u32 seconds_left; /* of the lease, while recalled */
	__u32 nr_waiting;   /* changes that wait for it */
	__s32 waiting_pid;  /* one of them; 0: none, or the filesystem itself */
	__u32 pad;
	char comm[16];
};
#define DDFS_IOC_PINNED_RECALLED  1u
#define DDFS_IOC_PINNED_EXPIRED	  2u /* its lease has run out */
#define DDFS_IOC_PINNED_LINGERING 4u /* its file is closed, its holder is not gone yet */
#define DDFS_IOC_PINNED_EARLIER	  8u /* made in an earlier mount, whose daemon died */

#define DDFS_IOC_PINS_MAX 64

/* The pins of a file or, on the root directory, of all files, by ascending id. For the file's owner
 * and root; EPERM for others. */
struct ddfs_ioc_pins {
	__u64 after; /* id behind which to begin */
	__u32 nr;    /* out: filled in; less than DDFS_IOC_PINS_MAX: there are no more */
	__u32 pad;
	struct ddfs_ioc_pin_info pins[DDFS_IOC_PINS_MAX];
};
#define DDFS_IOC_PINS _IOWR(DDFS_IOC_MAGIC, 11, struct ddfs_ioc_pins)

/* ---- bad blocks ----------------------------------------------------------------------------- */

/* Memory of the device that can't be read, and what it is. */
struct ddfs_ioc_bad_range {
	__u64 device_off; /* bytes, as len: whole blocks of 4 KiB */
	__u64 len;
	__u64 node;	 /* generation << 32 | inode number; 0: no inode's, or not known */
	__u64 off;	 /* DATA: where in the file, bytes */
	__s64 since_sec; /* when it was noticed, CLOCK_REALTIME */
	__u32 kind;	 /* DDFS_IOC_BAD_* */
	__u32 pad;
};
#define DDFS_IOC_BAD_FREE    0u /* nothing: kept from use */
#define DDFS_IOC_BAD_FIXED   1u /* superblock, log or a table of the filesystem's own */
#define DDFS_IOC_BAD_DATA    2u /* a file's; an overwrite of the whole block heals it */
#define DDFS_IOC_BAD_META    3u /* a directory, extended attributes or block map of the inode */
#define DDFS_IOC_BAD_INODES  4u /* inodes: up to 16 of them */
#define DDFS_IOC_BAD_UNKNOWN 5u /* in use, but nothing that can be read leads there */

#define DDFS_IOC_BAD_MAX 64

/*
 * What is known to be bad, by ascending place. On the root directory; for root and the device's
 * owner, EPERM for others. Looks at every inode, so it takes time. For the next part set `after` to
 * the end (device_off + len) of the last range.
 */
struct ddfs_ioc_bad {
	__u64 after;	 /* byte of the device from which on to tell */
	__u64 nr_blocks; /* out: bad ones in all, of 4 KiB */
	__u32 nr;	 /* out: filled in; 0: there are no more */
	__u32 pad;
	struct ddfs_ioc_bad_range ranges[DDFS_IOC_BAD_MAX];
};
#define DDFS_IOC_BAD _IOWR(DDFS_IOC_MAGIC, 12, struct ddfs_ioc_bad)

/* ---- settings ------------------------------------------------------------------------------- */

/*
 * Change what a persist is, as the mount option persistence= says it; what was stored before is
 * durable by the new one when it returns. On the root directory, by root. Clients go on with what
 * DDFS_IOC_INFO said when they made a mapping; DDFS_IOC_SYNC follows the change at once.
 *
 * EOPNOTSUPP: an image on a disk, of which only "auto" and "none" can be set; EROFS: the device
 * can only be read; EINVAL: no such word.
 */
struct ddfs_ioc_persistence {
	__u32 wanted; /* DDFS_IOC_PERSISTENCE_* */
	__u32 pad;    /* 0 */
};
#define DDFS_IOC_SET_PERSISTENCE _IOW(DDFS_IOC_MAGIC, 13, struct ddfs_ioc_persistence)

#define DDFS_IOC_PERSISTENCE_AUTO	       0u
#define DDFS_IOC_PERSISTENCE_CPU_CACHE	       1u
#define DDFS_IOC_PERSISTENCE_MEMORY_CONTROLLER 2u
#define DDFS_IOC_PERSISTENCE_NONE	       3u

#endif
