/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * devdaxfs, the filesystem, as a library: no FUSE, no device, no mutable globals.
 *
 *	struct ddfs_fs *fs;
 *	struct ddfs_inode *root;
 *
 *	ddfs_fs_open(media, &(struct ddfs_fs_options){ .atime = DDFS_ATIME_RELATIME }, &fs);
 *	ddfs_inode_get(fs, DDFS_ID_ROOT, &root);
 *	ddfs_create(root, "hello", 5, &(struct ddfs_new){ .mode = S_IFREG | 0644 }, &entry);
 *	ddfs_inode_put(root);
 *	ddfs_fs_close(fs);
 *
 * Every function returns 0 (or a count) or -errno, leaves its results untouched on failure, and
 * may be called by any number of threads. No function checks permission bits: the kernel does
 * (default_permissions). What only the filesystem can know (immutable, append-only, link counts,
 * not empty, loops) is checked here. A structure on media that fails its checks gives -EUCLEAN,
 * one that can't be read -EIO (with what the result would be undefined); either is logged, and is
 * treated as `errors` says.
 */
#ifndef DDFS_FS_FS_H
#define DDFS_FS_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "layout/layout.h"

struct ddfs_fs;
struct ddfs_inode;
struct ddfs_media;

/* Identity of an inode for as long as the filesystem exists: generation in the upper 32 bits,
 * inode number in the lower. Never reused; a stale one gives -ESTALE. */
typedef uint64_t ddfs_id;
#define DDFS_ID_ROOT ((ddfs_id)1)

#define DDFS_NAME_MAX	    255
#define DDFS_SYMLINK_MAX    4095
#define DDFS_LINK_MAX	    65000
#define DDFS_XATTR_SIZE_MAX 65536
#define DDFS_FILE_SIZE_MAX  ((uint64_t)0xffffffff << 12) /* bytes */

/* ---- mount ---------------------------------------------------------------------------------- */

enum ddfs_atime { DDFS_ATIME_RELATIME, DDFS_ATIME_NOATIME, DDFS_ATIME_STRICT };
enum ddfs_errors { DDFS_ERRORS_CONTINUE, DDFS_ERRORS_REMOUNT_RO, DDFS_ERRORS_ABORT };
enum ddfs_dax { DDFS_DAX_INODE, DDFS_DAX_ALWAYS, DDFS_DAX_NEVER };

/* Where the pagemap is kept. */
enum ddfs_pagemap_place {
	DDFS_PAGEMAP_AUTO, /* on the device if mkfs reserved room there */
	DDFS_PAGEMAP_MEM,
	DDFS_PAGEMAP_DEV, /* -EINVAL if mkfs reserved none */
};

/* One line for a person, no newline; priority as in syslog(3). */
typedef void (*ddfs_log_fn)(void *arg, int priority, const char *line);

/* What the device says of itself; see ddfs_device_health. */
struct ddfs_health {
	char id[65]; /* "": it says nothing */
	uint64_t unsafe_shutdowns;
};

struct ddfs_fs_options {
	bool readonly;
	bool lazytime;	  /* timestamps alone are written with fsync, eviction and unmount only */
	bool no_acl;	  /* do not inherit or maintain POSIX ACLs */
	bool kernel_refs; /* the caller will ddfs_forget() every id it was given */
	enum ddfs_atime atime;
	enum ddfs_errors errors;
	enum ddfs_dax dax;
	unsigned int nr_cpus; /* threads that will call at once; 0: those of the machine */
	uint32_t owner_pid;   /* recorded on media while mounted; 0: the caller's */
	ddfs_log_fn log;      /* NULL: silent */
	void *log_arg;
	struct ddfs_health health; /* recorded on media, for the next mount to compare with */

	/* pins; see layout/layout.h */
	unsigned int lease_time; /* seconds; 0: 45 */
	enum ddfs_lease_expire lease_expire;
	enum ddfs_memory_type memory;
	enum ddfs_pagemap_place map;
	/* Whether a client of the mount with that epoch still holds the device, so that what it
	 * pinned must stay. NULL: none does. */
	bool (*clients_alive)(void *arg, uint32_t epoch);
	void *clients_arg;
};

/* Replays the lanes, marks the filesystem mounted, takes over what clients of earlier mounts hold,
 * frees the other orphans. -EUCLEAN: not a devdaxfs or damaged beyond the second superblock;
 * -EOPNOTSUPP: unknown incompatible feature; -EROFS: needs recovery but media is read-only; -EFBIG:
 * media is smaller than the superblock says; -EINVAL: no room for the pagemap on the device;
 * -EBUSY: clients of a read-only mount are left, whose pins are not recorded. The log has the
 * sentence. media must outlive fs. */
int ddfs_fs_open(struct ddfs_media *media, const struct ddfs_fs_options *opt, struct ddfs_fs **out);

/* No other call may be running, and no change wait. Frees what unlinked files still hold, writes
 * what is lazy, marks the filesystem clean, deep-flushes. Pins that are left stay recorded, for the
 * next mount to take over. fs is gone afterwards, also on error. */
int ddfs_fs_close(struct ddfs_fs *fs);

/* syncfs(2): everything done so far is on media when it returns. */
int ddfs_fs_sync(struct ddfs_fs *fs);

/* Write timestamps that are older than five seconds; to be called about once a second. */
void ddfs_fs_writeback(struct ddfs_fs *fs);

/* Change what a remount may change: readonly, lazytime, atime, errors. -EROFS: media is
 * read-only. -EBUSY: readonly changes while files are pinned, or as ddfs_fs_open says. */
int ddfs_fs_remount(struct ddfs_fs *fs, const struct ddfs_fs_options *opt);

struct ddfs_statfs {
	uint64_t block_bytes;
	uint64_t nr_blocks; /* usable for files and their metadata */
	uint64_t nr_free;
	uint64_t nr_avail; /* without the reserve that keeps unlink working */
	uint64_t nr_inodes;
	uint64_t nr_free_inodes;
	uint8_t uuid[16];
	char label[65];
};
int ddfs_fs_statfs(struct ddfs_fs *fs, struct ddfs_statfs *out);

/* How the mount before ended. */
enum ddfs_end {
	DDFS_END_CLEAN,	  /* or there was none */
	DDFS_END_DAEMON,  /* the machine is up since */
	DDFS_END_MACHINE, /* went down with it; whether power was lost unsafely is not known */
	DDFS_END_UNSAFE,  /* went down, and the device counts that as an unsafe shutdown */
};

/* What ddfs_fs_open found, and what recovery did. */
struct ddfs_recovery {
	bool was_clean;
	enum ddfs_end end;
	bool moved;		      /* to another device, as far as both say which they are */
	uint8_t moved_from[64];	      /* zero-padded */
	uint64_t nr_unsafe_shutdowns; /* of this device since the last mount */
	bool used_backup_super;
	uint32_t nr_lanes_replayed;
	uint64_t nr_orphans_freed;
	uint64_t nr_pins_kept;	  /* that clients of earlier mounts still hold */
	uint64_t nr_pins_dropped; /* that nobody holds any more */
	uint64_t usec_super, usec_lanes, usec_count, usec_orphans; /* time of each phase */
};
void ddfs_fs_recovery(struct ddfs_fs *fs, struct ddfs_recovery *out);

bool ddfs_fs_is_readonly(struct ddfs_fs *fs);

/* ---- inodes --------------------------------------------------------------------------------- */

/* FS_*_FL of <linux/fs.h> that an inode can carry. */
#define DDFS_FLAG_IMMUTABLE 0x00000010u
#define DDFS_FLAG_APPEND    0x00000020u
#define DDFS_FLAG_NOATIME   0x00000080u
#define DDFS_FLAG_DAX	    0x02000000u
#define DDFS_FLAGS_SETTABLE                                                                        \
	(DDFS_FLAG_IMMUTABLE | DDFS_FLAG_APPEND | DDFS_FLAG_NOATIME | DDFS_FLAG_DAX)

struct ddfs_attr {
	ddfs_id id;
	uint32_t ino;
	uint32_t gen;
	uint32_t mode; /* type and permission bits */
	uint32_t nlink;
	uint32_t uid, gid;
	uint32_t rdev;	  /* as the kernel encodes it for user space */
	uint32_t flags;	  /* DDFS_FLAG_* */
	uint64_t size;	  /* bytes */
	uint64_t sectors; /* 512-byte units, as st_blocks */
	struct timespec atime, mtime, ctime, btime;
};

/* An entry made or found: what the kernel is told of it. */
struct ddfs_entry {
	struct ddfs_attr attr;
};

/* A reference to the inode in memory, verified when first brought in. -ESTALE: no such
 * generation. Each get and each successful open wants one put. */
int ddfs_inode_get(struct ddfs_fs *fs, ddfs_id id, struct ddfs_inode **out);
void ddfs_inode_put(struct ddfs_inode *ip);

/* With kernel_refs: the kernel no longer knows id. An inode that was removed is kept until
 * then, so that fstat of it works. */
void ddfs_forget(struct ddfs_fs *fs, ddfs_id id);

int ddfs_getattr(struct ddfs_inode *ip, struct ddfs_attr *out);

/* Whether opens of the inode bypass the page cache; fixed while it is open. */
bool ddfs_inode_is_dax(struct ddfs_inode *ip);
/* Whether reading the file now would change its atime: then a cache in front of ddfs_read had
 * better not answer. */
bool ddfs_wants_atime(struct ddfs_inode *ip);
ddfs_id ddfs_inode_id(const struct ddfs_inode *ip);
struct ddfs_fs *ddfs_inode_fs(const struct ddfs_inode *ip);

enum ddfs_setattr {
	DDFS_SET_MODE = 1 << 0,
	DDFS_SET_UID = 1 << 1,
	DDFS_SET_GID = 1 << 2,
	DDFS_SET_SIZE = 1 << 3,
	DDFS_SET_ATIME = 1 << 4,
	DDFS_SET_MTIME = 1 << 5,
	DDFS_SET_CTIME = 1 << 6,
	DDFS_SET_ATIME_NOW = 1 << 7,
	DDFS_SET_MTIME_NOW = 1 << 8,
	/* the caller lacks CAP_FSETID: a size change clears set-id bits as write(2) does; a
	 * change of owner always does */
	DDFS_SET_KILL_PRIV = 1 << 9,
};
/* One transaction for all of mask. out may be NULL. */
int ddfs_setattr(struct ddfs_inode *ip, const struct ddfs_attr *attr, unsigned int mask,
	struct ddfs_attr *out, struct ddfs_wait *wait);

/* chattr(1). Only DDFS_FLAGS_SETTABLE; others -EOPNOTSUPP. The kernel has checked
 * CAP_LINUX_IMMUTABLE. */
int ddfs_set_flags(struct ddfs_inode *ip, uint32_t flags);

/* ---- names ---------------------------------------------------------------------------------- */

/* len excludes a terminator, and none is needed. -ENAMETOOLONG past DDFS_NAME_MAX, -EINVAL for
 * an empty name or one with '/' or NUL in it. */
int ddfs_lookup(struct ddfs_inode *dir, const char *name, size_t len, struct ddfs_entry *out);
/* The directory that holds dir; root is its own parent. */
int ddfs_lookup_parent(struct ddfs_inode *dir, struct ddfs_entry *out);

struct ddfs_new {
	uint32_t mode;	   /* type and permissions before umask */
	uint32_t umask;	   /* applied unless the directory has a default ACL */
	uint32_t uid, gid; /* gid is replaced by the directory's if that is set-gid */
	uint32_t rdev;
	const char *target; /* of a symlink */
};
/* Any type of inode, by mode (mknod, mkdir, symlink and create are this). -EEXIST. If opened is
 * not NULL the inode is opened as by ddfs_open and returned there. */
int ddfs_create(struct ddfs_inode *dir, const char *name, size_t len, const struct ddfs_new *n,
	struct ddfs_entry *out, struct ddfs_inode **opened);
int ddfs_link(struct ddfs_inode *ip, struct ddfs_inode *dir, const char *name, size_t len,
	struct ddfs_entry *out);
int ddfs_unlink(struct ddfs_inode *dir, const char *name, size_t len);
int ddfs_rmdir(struct ddfs_inode *dir, const char *name, size_t len);
/* flags: RENAME_NOREPLACE or RENAME_EXCHANGE of <linux/fs.h>. */
int ddfs_rename(struct ddfs_inode *odir, const char *oname, size_t olen, struct ddfs_inode *ndir,
	const char *nname, size_t nlen, unsigned int flags);

/* buf gets no terminator; returns the length of the target. */
ssize_t ddfs_readlink(struct ddfs_inode *ip, char *buf, size_t size);

struct ddfs_dirent {
	const char *name; /* not terminated; valid during the call only */
	uint32_t name_len;
	uint32_t type; /* S_IFMT bits of the mode */
	uint32_t ino;
	uint64_t cookie; /* pass to ddfs_readdir to go on behind this entry; below 2^63 */
	const struct ddfs_attr *attr; /* NULL unless asked for, or if the inode can't be read */
};
/* emit returns 0, or non-zero to stop before the entry was taken. Entries come in cookie order,
 * cookie 0 is the start; "." and ".." come first. An entry that exists throughout is given
 * exactly once, whatever happens to others meanwhile. emit must not call back. */
typedef int (*ddfs_emit_fn)(void *arg, const struct ddfs_dirent *d);
int ddfs_readdir(
	struct ddfs_inode *dir, uint64_t cookie, bool want_attr, ddfs_emit_fn emit, void *arg);

/* ---- file data ------------------------------------------------------------------------------ */

/* Count an open of the inode; flags are open(2)'s. An unlinked inode lives until the last
 * release. -EPERM where immutable or append-only forbids flags; O_TRUNC truncates. The inode
 * reference is the caller's own matter: a file handle holds one of its own. */
int ddfs_open(struct ddfs_inode *ip, int flags, bool kill_priv, struct ddfs_wait *wait);
void ddfs_release(struct ddfs_inode *ip);

/* Called once, with the inode's lock held shared, with pointers into the read-only view (or to
 * zeroes for holes) that are valid during the call only. Returns what ddfs_read returns. */
typedef ssize_t (*ddfs_read_fn)(void *arg, const struct iovec *iov, int iovcnt, size_t len);

enum ddfs_read_flags {
	/* All of it or -EIO: for who takes a short answer for the end of the file. */
	DDFS_READ_WHOLE = 1 << 0,
};
/* At most 1 MiB a call. What can't be read ends it: -EIO if that is the first block. */
ssize_t ddfs_read(struct ddfs_inode *ip, uint64_t off, size_t len, unsigned int flags,
	ddfs_read_fn fn, void *arg);
/* The same, copied out. */
ssize_t ddfs_pread(struct ddfs_inode *ip, void *buf, size_t len, uint64_t off);

enum ddfs_write_flags {
	DDFS_WRITE_APPEND = 1 << 0,    /* at the end of file, whatever off says */
	DDFS_WRITE_KILL_PRIV = 1 << 1, /* clear set-id bits and capabilities */
};
/* On media when it returns. Short only on -ENOSPC half-way. */
ssize_t ddfs_write(
	struct ddfs_inode *ip, uint64_t off, const void *buf, size_t len, unsigned int flags);

int ddfs_fsync(struct ddfs_inode *ip, bool datasync);
/* The same behind a write with O_SYNC or, datasync, O_DSYNC; counted as that. */
int ddfs_write_sync(struct ddfs_inode *ip, bool datasync);
/* mode: FALLOC_FL_* of <linux/falloc.h>. */
int ddfs_fallocate(
	struct ddfs_inode *ip, int mode, uint64_t off, uint64_t len, struct ddfs_wait *wait);
/* whence: SEEK_DATA or SEEK_HOLE. -ENXIO. */
int64_t ddfs_seek(struct ddfs_inode *ip, uint64_t off, int whence);
ssize_t ddfs_copy_range(struct ddfs_inode *in, uint64_t off_in, struct ddfs_inode *out,
	uint64_t off_out, size_t len, struct ddfs_wait *wait);

/* ---- pins ----------------------------------------------------------------------------------- */

/*
 * Calls above that take a struct ddfs_wait may take pages away from a file, and must wait while
 * they are pinned. They return -EINPROGRESS then, with nothing done and nothing held, and
 * wait->wake is called once: with 0, call again with the same arguments; else that is the result.
 * Once a call has returned anything else, ddfs_wait_end lets pins in again that queued behind it.
 * wait NULL: -EBUSY instead. What frees an unlinked file does so when its last pin goes.
 */

/* The pins of the whole filesystem: for listing, leases, holders that end. Lives as long as fs. */
struct ddfs_layouts *ddfs_fs_layouts(struct ddfs_fs *fs);
/* Of one file. */
struct ddfs_layout *ddfs_inode_layout(struct ddfs_inode *ip);
/* Of this mount, or of the next one while it is read-only. Pins carry it, and clients lock the
 * device with it. */
uint32_t ddfs_fs_epoch(struct ddfs_fs *fs);
uint64_t ddfs_fs_dax_unit(struct ddfs_fs *fs); /* bytes */
uint64_t ddfs_fs_bytes(struct ddfs_fs *fs);    /* of the device that it uses */
void ddfs_fs_uuid(struct ddfs_fs *fs, uint8_t out[16]);

enum ddfs_pin_flags {
	DDFS_PIN_FAULT = 1 << 0,       /* allocate and zero what is not written */
	DDFS_PIN_GROW = 1 << 1,	       /* the file's size becomes at least the range's end */
	DDFS_PIN_WHOLE_UNITS = 1 << 2, /* widen to DAX allocation units */
	DDFS_PIN_BAD_HOLES = 1 << 3,   /* leave out what can't be read; else -EIO */
};

/* A run of bytes of a file. */
struct ddfs_file_extent {
	uint64_t off, len; /* bytes */
	uint64_t device_off;
	bool hole, unwritten;
	bool bad; /* can't be read */
};

struct ddfs_pin_args {
	uint64_t off, len;	 /* bytes; len 0: to the end of the file */
	enum ddfs_pin_mode mode; /* MODE_READ, MODE_WRITE or both */
	unsigned int flags;
	uint32_t epoch; /* that its client has locked the device for; 0: any */
	struct ddfs_pin_owner *owner;
	struct ddfs_holder *holder;
};
/* What was pinned. */
struct ddfs_pinned {
	uint64_t id;
	uint64_t off, len; /* as widened to pages or units, and cut at the last unit of the file */
	uint32_t nr_extents;
};

/* Errors as DDFS_IOC_PIN tells; -EINPROGRESS: queued behind a change. wait NULL: -EAGAIN. Extents
 * that could not be pinned (holes, unwritten) are among nr_extents. The first `max` of them go to
 * extents. An inode that has pins stays in memory. */
int ddfs_pin(struct ddfs_inode *ip, const struct ddfs_pin_args *args, struct ddfs_wait *wait,
	struct ddfs_pinned *out, struct ddfs_file_extent *extents, uint32_t max);
/* -ENOENT: not one of the owner's. */
int ddfs_unpin(struct ddfs_fs *fs, struct ddfs_pin_owner *owner, uint64_t id);
/* Extents of a pin from number first on; returns how many, 0 when there are no more; -ENOENT. */
int ddfs_pin_extents(struct ddfs_fs *fs, struct ddfs_pin_owner *owner, uint64_t id, uint32_t first,
	struct ddfs_file_extent *extents, uint32_t max);
/* The open file is closed. */
void ddfs_pins_release(struct ddfs_fs *fs, struct ddfs_pin_owner *owner);

/* The extents of a range, from off on, at most max; *next is where to go on, off + len (or the end
 * of the file) when all is told. fault: allocate and zero first. Returns how many. */
int ddfs_layout_query(struct ddfs_inode *ip, uint64_t off, uint64_t len, bool fault,
	struct ddfs_file_extent *extents, uint32_t max, uint64_t *next);

/* What was stored to a range of the file through a mapping is durable when it returns. len 0: to
 * the end. */
int ddfs_sync_range(struct ddfs_inode *ip, uint64_t off, uint64_t len);

/* To be called about once a second: expires leases, lets go of what clients of earlier mounts no
 * longer hold. */
void ddfs_pins_tick(struct ddfs_fs *fs);
/* To be called when ddfs_holders_fd is readable. */
void ddfs_pins_collect(struct ddfs_fs *fs);

/* ---- bad blocks ----------------------------------------------------------------------------- */

enum ddfs_bad_kind {
	DDFS_BAD_FREE,	  /* nothing's: kept from use */
	DDFS_BAD_FIXED,	  /* of the filesystem's own structures */
	DDFS_BAD_DATA,	  /* of a file */
	DDFS_BAD_META,	  /* of an inode's map, names or attributes */
	DDFS_BAD_INODES,  /* of the inode table */
	DDFS_BAD_UNKNOWN, /* in use, but nothing that can be read leads there */
};

/* A run of bytes of the device that can't be read. */
struct ddfs_bad_range {
	uint64_t device_off, len;
	enum ddfs_bad_kind kind;
	ddfs_id id;	/* DATA and META: whose; else 0 */
	uint64_t off;	/* DATA: where in the file, bytes */
	uint64_t since; /* when it was noticed, seconds since 1970 */
};

/* What is known to be bad from byte `after` of the device on, ascending, at most max; returns how
 * many, 0 when there are no more. *nr_blocks: of 4 KiB, in all. Looks at every inode. -ENOMEM. */
int ddfs_bad_list(struct ddfs_fs *fs, uint64_t after, struct ddfs_bad_range *out, uint32_t max,
	uint64_t *nr_blocks);

/* Somebody says that something of the range, bytes of the device, has gone bad: looks which blocks
 * are; of a single block it is believed. */
void ddfs_bad_notice(struct ddfs_fs *fs, uint64_t off, uint64_t len);

/* ---- extended attributes -------------------------------------------------------------------- */

/* name is terminated and has its prefix ("user.x"). size 0 asks for the length. -ENODATA,
 * -ERANGE, -E2BIG, -EOPNOTSUPP as xattr(7). flags: XATTR_CREATE, XATTR_REPLACE. */
ssize_t ddfs_getxattr(struct ddfs_inode *ip, const char *name, void *buf, size_t size);
ssize_t ddfs_listxattr(struct ddfs_inode *ip, char *buf, size_t size);
/* kill_sgid: with system.posix_acl_access, the caller is not in the owning group and lacks
 * CAP_FSETID. */
int ddfs_setxattr(struct ddfs_inode *ip, const char *name, const void *value, size_t size,
	int flags, bool kill_sgid);
int ddfs_removexattr(struct ddfs_inode *ip, const char *name);

#endif
