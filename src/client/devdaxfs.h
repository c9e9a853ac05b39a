/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libdevdaxfs: load, store and DMA straight to the pages of a file on devdaxfs.
 *
 *	int fd = open("/mnt/data", O_RDWR);
 *	struct ddfs_mapping *m;
 *
 *	if (ddfs_mapping_new(fd, 0, 0, DDFS_MAP_READ | DDFS_MAP_WRITE, &m))
 *		errx(1, "%s", ddfs_errormsg());
 *	memcpy(ddfs_mapping_address(m), "hello", 5);
 *	ddfs_mapping_persist(m, ddfs_mapping_address(m), 5);
 *	ddfs_mapping_delete(m);
 *
 * The file must be a DAX inode (chattr +x, or the mount option dax=always), and the caller must be
 * allowed to open the device that the filesystem lies on: whoever may can reach all of it.
 *
 * A mapping holds a *lease*: as long as it is there the pages are the file's, and whatever would
 * take them away (truncate, punching holes, the end of an unlinked file) waits. The holder is asked
 * to let go by a recall, and does so with ddfs_mapping_delete or ddfs_lease_delete. What happens to
 * one that does not is for the mount to say (lease_time, lease_expire in devdaxfs(5)).
 *
 * Functions return 0 or -errno; results are untouched on failure, and ddfs_errormsg() has the
 * sentence. Threads: any thread may use any lease or mapping, but one is deleted once and used by
 * nobody then. fork: the child has neither the mapping (MADV_DONTFORK) nor the lease; all functions
 * but the two deletes, which free its copy, fail there with -ECHILD (others NULL or 0; those that
 * return nothing are not for it). What registered the pages with a NIC is open in the child too, so
 * a lease whose process ends without deleting it goes on until its children have exec'd, ended or
 * deleted their copies. exec and exit end the lease, the latter once the process is wholly gone.
 * While a recall is pending, fsync(2), write(2), ftruncate(2) and fallocate(2) of the
 * same file may have to wait for it: use ddfs_lease_sync.
 */
#ifndef DEVDAXFS_H
#define DEVDAXFS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ddfs_lease;
struct ddfs_mapping;

/* What went wrong in this thread's last call that failed, with what to do about it. */
const char *ddfs_errormsg(void);

/* ---- leases --------------------------------------------------------------------------------- */

enum ddfs_map_flags {
	DDFS_MAP_READ = 1 << 0,
	DDFS_MAP_WRITE = 1 << 1,     /* fd must be open for reading and writing */
	DDFS_MAP_GROW = 1 << 2,	     /* the file reaches at least to the end of the range then */
	DDFS_MAP_NOWAIT = 1 << 3,    /* -EAGAIN rather than wait behind a change that waits */
	DDFS_MAP_SNAPSHOT = 1 << 4,  /* leave holes be: they are no extents of the lease. Leases
				      * only: a mapping has no holes. Without it they are allocated
				      * and zeroed, for which fd must be open for writing */
	DDFS_MAP_BAD_HOLES = 1 << 5, /* leave pages that can't be read be: they are no extents of
				      * the lease, and ddfs_lease_bad has them. Leases only.
				      * Without it -EIO if there are any */
};

/* Pages of the device in a row that hold a part of the file. */
struct ddfs_extent_range {
	uint64_t file_off;   /* bytes */
	uint64_t device_off; /* bytes */
	uint64_t len;	     /* bytes */
};

/* Lease the pages of [off, off + len) of the file behind fd; len 0: to its end. fd may be closed
 * afterwards. The extents cover whole pages of 4 KiB. */
int ddfs_lease_new(int fd, uint64_t off, uint64_t len, unsigned int flags, struct ddfs_lease **out);
/* Ends it; the pages may be somebody else's at once. NULL is allowed. */
void ddfs_lease_delete(struct ddfs_lease *lease);

/* Its extents, in the order of the file; valid until it is deleted or its mapping grows. */
size_t ddfs_lease_extents(const struct ddfs_lease *lease, const struct ddfs_extent_range **out);

/* The parts of it that are not pinned because they can't be read (DDFS_MAP_BAD_HOLES), in the same
 * way. */
size_t ddfs_lease_bad(const struct ddfs_lease *lease, const struct ddfs_extent_range **out);

/* The device, open as the lease's mode asks; stays the lease's. For those who map extents
 * themselves, or hand them to a driver. */
int ddfs_lease_device_fd(const struct ddfs_lease *lease);

/* A descriptor that poll(2) reports POLLPRI for while the lease is recalled; stays the lease's. */
int ddfs_lease_fd(const struct ddfs_lease *lease);
/* 1 if it is recalled now, 0 if not. */
int ddfs_lease_is_recalled(const struct ddfs_lease *lease);
/* Has a thread of the library call fn, once for each time that the lease is recalled. fn may delete
 * the lease (or its mapping), as the last thing it does with it. fn NULL: no more calls; when this
 * returns none is running, unless called by fn itself. */
int ddfs_lease_on_recall(
	struct ddfs_lease *lease, void (*fn)(struct ddfs_lease *lease, void *arg), void *arg);

/* Everything stored to [off, off + len) of the file is durable on return, whatever the platform's
 * persistence domain, and deep-flushed; len 0: to the end of the file. Works while a recall is
 * pending. */
int ddfs_lease_sync(struct ddfs_lease *lease, uint64_t off, uint64_t len);

/* ---- mappings ------------------------------------------------------------------------------- */

/* Map [off, off + len) of the file behind fd contiguously, under a lease of its own; len 0: to the
 * end of the file. off must be a multiple of the page size. */
int ddfs_mapping_new(
	int fd, uint64_t off, uint64_t len, unsigned int flags, struct ddfs_mapping **out);
/* Unmaps, then ends the lease. NULL is allowed. */
void ddfs_mapping_delete(struct ddfs_mapping *m);

void *ddfs_mapping_address(const struct ddfs_mapping *m);
size_t ddfs_mapping_len(const struct ddfs_mapping *m); /* bytes */
struct ddfs_lease *ddfs_mapping_lease(const struct ddfs_mapping *m);

/* Make the file and the mapping reach len bytes from the mapping's start (a shorter one than now is
 * -EINVAL). The address may change; the old one is then gone. */
int ddfs_mapping_grow(struct ddfs_mapping *m, size_t len);

/* What was stored to [addr, addr + len) is in the persistence domain on return. Flushes what the
 * platform needs and no more; nothing under eADR but a fence. */
void ddfs_mapping_persist(const struct ddfs_mapping *m, const void *addr, size_t len);
/* The same in two steps: flushes of several ranges, then one drain. */
void ddfs_mapping_flush(const struct ddfs_mapping *m, const void *addr, size_t len);
void ddfs_mapping_drain(const struct ddfs_mapping *m);
/* memcpy(3), memmove(3) and memset(3) that are persistent on return, with streaming stores where
 * they win. dst lies in the mapping; returns dst. */
void *ddfs_mapping_memcpy(const struct ddfs_mapping *m, void *dst, const void *src, size_t len);
void *ddfs_mapping_memset(const struct ddfs_mapping *m, void *dst, int c, size_t len);
/* As ddfs_lease_sync, for a range of the mapping in bytes from its start; len 0: to its end. */
int ddfs_mapping_sync(struct ddfs_mapping *m, size_t off, size_t len);

/* ---- poisoned memory ------------------------------------------------------------------------ */

/*
 * Whoever touches memory that the machine has lost gets SIGBUS from the kernel. These say which
 * file that is, and where in it.
 *
 *	static int on_poison(const struct ddfs_poison *p, void *arg)
 *	{
 *		note(p->path, p->file_off);
 *		return 0;
 *	}
 *	...
 *	ddfs_poison_on_hit(on_poison, NULL);
 */
struct ddfs_poison {
	const void *addr;		    /* that was touched, or asked for */
	const struct ddfs_mapping *mapping; /* that it lies in */
	uint64_t file_off; /* in the file, bytes: where the page begins that addr lies in */
	uint64_t len;	   /* bytes from there on: 4096, or what the machine knows no closer */
	const char
		*path; /* of the file when it was mapped or grown; "" if that was not to be had */
	int is_notice; /* 1: nobody has touched it yet (BUS_MCEERR_AO) */
};

/* What of a file lies at addr. For signal handlers too: takes no lock and no memory. path is good
 * until the mapping is deleted or grown. -ENOENT, without a sentence: nothing that this process
 * has mapped with ddfs_mapping_new. */
int ddfs_poison_find(const void *addr, struct ddfs_poison *out);

/* Has the process handle SIGBUS, and call fn in the thread and at the place that raised one in a
 * mapping; NULL: no more. fn is in a signal handler (signal-safety(7)), with SIGBUS blocked. It
 * returns 0 to have the signal go on to the handler that stood there before, which is to end the
 * process if that was none; another value to have the access tried again, which wants it to have
 * been healed; or it leaves with siglongjmp(3). *poison, path too, is gone when it returns. Each
 * SIGBUS of anything else goes on to the handler that stood before, and who installs one later
 * calls the one it finds, for what is not its own. Both last over fork. -ENOMEM. */
int ddfs_poison_on_hit(int (*fn)(const struct ddfs_poison *poison, void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif
