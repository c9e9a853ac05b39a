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

struct ddfs_media_ops {
	/* Store len bytes at off and start them towards the persistence domain. Durable only
	 * after the same thread's next drain. An aligned 8-byte word is never torn. */
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
	int (*deep_flush)(struct ddfs_media *m);

	/* The one exception: the writable view of a range that holds no structure of the media
	 * format and means nothing after a crash, to be stored to directly. For the counts of the
	 * pagemap, which are changed with atomic operations. Stores there are neither flushed nor
	 * counted. */
	void *(*scratch)(struct ddfs_media *m, uint64_t off, size_t len);
};

/* What went through the door since it was opened; each is a plain sum, read without a lock. */
struct ddfs_media_stats {
	atomic_ullong bytes_stored;
	atomic_ullong
		lines_flushed; /* 64-byte lines given a flush instruction or a streaming store */
	atomic_ullong lines_elided; /* lines that needed none on this platform */
	atomic_ullong fences;
	atomic_ullong deep_flushes;
};

struct ddfs_media {
	const struct ddfs_media_ops *ops;
	const uint8_t *base;  /* the read-only view of [0, size) */
	uint64_t size;	      /* bytes */
	uint64_t align_bytes; /* mapping alignment of the device, a power of two, at least 4096 */
	bool readonly;	      /* no op may be called */
	struct ddfs_media_stats stats;
};

#endif
