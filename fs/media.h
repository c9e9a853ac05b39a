/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one door to media.
 *
 * The filesystem reads media through ->base, a read-only view, and stores to it through ->ops
 * alone. Whoever owns the memory implements the door: libpmem2 in src/device, plain memory in the
 * unit tests, a recorder in the crash tests.
 *
 *	media->ops->copy(media, off, bytes, len);	store, on its way to media
 *	media->ops->drain(media);			everything stored so far by this thread is
 *							durable once this returns
 *
 * Offsets are bytes from the start of the device. The caller stays inside [0, size); the
 * implementation need not check. Any thread may call; a thread drains its own stores only.
 */
#ifndef DDFS_FS_MEDIA_H
#define DDFS_FS_MEDIA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ddfs_media;

/* Who asked for a deep flush, for the statistics. */
enum ddfs_sync_cause {
	DDFS_SYNC_FILE,	 /* fsync(2), fdatasync(2) */
	DDFS_SYNC_FS,	 /* syncfs(2), sync(2) */
	DDFS_SYNC_WRITE, /* O_SYNC, O_DSYNC */
	DDFS_SYNC_RANGE, /* DDFS_IOC_SYNC */
	DDFS_SYNC_MOUNT, /* mount, remount, unmount */
	DDFS_SYNC_CAUSES,
};

struct ddfs_media_ops {
	/* Store len bytes at off and start them towards the persistence domain. Durable only
	 * after the same thread's next drain. Where off and len are multiples of 8, an aligned
	 * 8-byte word is never torn. A line that stores one after the other fill is flushed
	 * once. */
	void (*copy)(struct ddfs_media *m, uint64_t off, const void *src, size_t len);

	/* As copy, with len bytes of the value c. */
	void (*set)(struct ddfs_media *m, uint64_t off, int c, size_t len);

	/* Start the range, which somebody else may have stored to, towards the domain. */
	void (*flush)(struct ddfs_media *m, uint64_t off, size_t len);

	/* A fence: everything this thread copied, set or flushed is in the domain on return; with
	 * nothing to wait for it need not be one. -EIO if the platform reported that it is not. */
	int (*drain)(struct ddfs_media *m);

	/* Push the platform's own buffers to media as well, for everything drained by anybody
	 * before the call. Never elided. 0 or -errno. */
	int (*deep_flush)(struct ddfs_media *m, enum ddfs_sync_cause cause);

	/* Read what may be poisoned: returns how many bytes, to the end, could not be. copy_out
	 * has copied those before them to dst. Any thread, whatever its locks. */
	size_t (*copy_out)(struct ddfs_media *m, void *dst, uint64_t off, size_t len);
	size_t (*probe)(struct ddfs_media *m, uint64_t off, size_t len);

	/* Have the device make the range, whole blocks, readable again; what it reads as then is
	 * undefined. -EOPNOTSUPP: it can't, -EIO. Slow: milliseconds. */
	int (*clear_poison)(struct ddfs_media *m, uint64_t off, size_t len);

	/* What the device itself knows to be bad; each is told once, in bytes. Slow. -EOPNOTSUPP:
	 * it keeps no list. */
	int (*bad_ranges)(struct ddfs_media *m,
		void (*found)(void *arg, uint64_t off, uint64_t len), void *arg);

	/* The one exception: the writable view of a range that holds no structure of the media
	 * format and means nothing after a crash, to be stored to directly. For the counts of the
	 * pagemap, which are changed with atomic operations. Stores there are neither flushed nor
	 * counted. */
	void *(*scratch)(struct ddfs_media *m, uint64_t off, size_t len);
};

/* What went through the door since it was opened; each is a plain sum, read without a lock. Where
 * threads count by themselves these may be behind: see ddfs_device_stats. */
struct ddfs_media_stats {
	atomic_ullong bytes_stored;
	atomic_ullong
		lines_flushed; /* 64-byte lines given a flush instruction or a streaming store */
	atomic_ullong lines_elided; /* lines that needed none on this platform */
	atomic_ullong fences;
	atomic_ullong deep_flushes;
	/* Calls of deep_flush; those that met shared one of the above. */
	atomic_ullong syncs[DDFS_SYNC_CAUSES];
	atomic_ullong most_shared; /* calls that one deep flush served, at most */
	atomic_ullong lines_lost;  /* that a copy_out or probe met */
};

struct ddfs_media {
	const struct ddfs_media_ops *ops;
	const uint8_t *base;  /* the read-only view of [0, size) */
	uint64_t size;	      /* bytes */
	uint64_t align_bytes; /* mapping alignment of the device, a power of two, at least 4096 */
	bool readonly; /* of the ops there are those that read: copy_out, probe, bad_ranges */
	struct ddfs_media_stats stats;
};

#endif
