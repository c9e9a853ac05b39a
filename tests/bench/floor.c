/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ddfs_floor: a filesystem that does nothing but reply, over devdaxfs's own session and loop. What
 * it takes to answer is the floor under what devdaxfs can take.
 *
 *	ddfs_floor [-d] [-m] FILE_MIB MOUNTPOINT
 *
 * It keeps nothing, and still carries the benchmark's workloads, since the kernel remembers for
 * ever what it was told: "f..." is a file of FILE_MIB and "d..." an empty directory that exist
 * from the start, any other name is not there until it is made, which always succeeds.
 *
 * -d: files bypass the page cache, as DAX inodes do. -m: reads come from FILE_MIB of memory and
 * writes go there, which shows what moving the bytes costs; otherwise one buffer answers all reads.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/daemon/loop.h"
#include "src/daemon/session.h"

#define TIMEOUT	       (365.0 * 24 * 3600)
#define READ_BYTES_MAX (UINT64_C(1) << 20)

struct floor {
	bool bypass_cache;
	bool in_memory;
	uint64_t file_bytes;
	char *memory; /* file_bytes, or READ_BYTES_MAX without in_memory */
	_Atomic uint64_t nr_nodes;
};

static struct floor *floor_of(fuse_req_t req)
{
	return ddfs_session_data(req);
}

/* ---- nodes: the number tells all there is to know ------------------------------------------- */

#define NODE_EXISTED (UINT64_C(1) << 63) /* was there from the start */

/* S_IFMT of the mode lies in the lowest four bits. */
static fuse_ino_t node_number(uint64_t n, mode_t mode)
{
	return n << 4 | (mode & S_IFMT) >> 12;
}

static mode_t node_type(fuse_ino_t node)
{
	return node == FUSE_ROOT_ID ? S_IFDIR : (mode_t)(node & 15) << 12;
}

static fuse_ino_t node_new(fuse_req_t req, mode_t mode)
{
	uint64_t n = atomic_fetch_add_explicit(&floor_of(req)->nr_nodes, 1, memory_order_relaxed);

	return node_number(n + 1, mode);
}

static fuse_ino_t node_existing(const char *name, mode_t mode)
{
	uint64_t hash = 5381;

	while (*name)
		hash = hash * 33 + (unsigned char)*name++;
	return NODE_EXISTED | node_number(hash, mode);
}

static struct stat node_stat(fuse_req_t req, fuse_ino_t node)
{
	mode_t type = node_type(node);
	bool is_data = type == S_IFREG && node & NODE_EXISTED;

	return (struct stat){
		.st_ino = node,
		.st_mode = type | 0755,
		.st_nlink = type == S_IFDIR ? 2 : 1,
		.st_size = is_data ? (off_t)floor_of(req)->file_bytes : 0,
		.st_blksize = 4096,
	};
}

static struct fuse_entry_param node_entry(fuse_req_t req, fuse_ino_t node)
{
	return (struct fuse_entry_param){
		.ino = node,
		.attr = node_stat(req, node),
		.attr_timeout = TIMEOUT,
		.entry_timeout = TIMEOUT,
	};
}

static void reply_entry(fuse_req_t req, fuse_ino_t node)
{
	struct fuse_entry_param e = node_entry(req, node);

	fuse_reply_entry(req, &e);
}

/* ---- names ---------------------------------------------------------------------------------- */

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent;
	if (name[0] == 'f')
		reply_entry(req, node_existing(name, S_IFREG));
	else if (name[0] == 'd')
		reply_entry(req, node_existing(name, S_IFDIR));
	else
		fuse_reply_entry(req, &(struct fuse_entry_param){ .entry_timeout = TIMEOUT });
}

static void op_forget(fuse_req_t req, fuse_ino_t node, uint64_t count)
{
	(void)node;
	(void)count;
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	(void)count;
	(void)forgets;
	fuse_reply_none(req);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)parent;
	(void)name;
	(void)mode;
	reply_entry(req, node_new(req, S_IFDIR));
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent;
	(void)name;
	fuse_reply_err(req, 0);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	const char *new_name, unsigned int flags)
{
	(void)parent;
	(void)name;
	(void)new_parent;
	(void)new_name;
	(void)flags;
	fuse_reply_err(req, 0);
}

static void op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct stat st = node_stat(req, node);

	(void)fi;
	fuse_reply_attr(req, &st, TIMEOUT);
}

/* What is changed is not kept, as little as what is written. */
static void op_setattr(
	fuse_req_t req, fuse_ino_t node, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	(void)attr;
	(void)to_set;
	op_getattr(req, node, fi);
}

/* ---- files ---------------------------------------------------------------------------------- */

/* The flags of devdaxfs's opens. libfuse has no name for one of them, hence these answers are put
 * together here, as there. */
static struct fuse_open_out open_answer(fuse_req_t req)
{
	return (struct fuse_open_out){
		.open_flags = floor_of(req)->bypass_cache ? FOPEN_NOFLUSH | FOPEN_DIRECT_IO |
								    FOPEN_PARALLEL_DIRECT_WRITES
							  : FOPEN_NOFLUSH | FOPEN_KEEP_CACHE,
	};
}

static void op_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct fuse_open_out open = open_answer(req);

	(void)node;
	(void)fi;
	fuse_reply_iov(req, &(struct iovec){ &open, sizeof(open) }, 1);
}

static void op_create(
	fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	fuse_ino_t node = node_new(req, S_IFREG);
	struct fuse_open_out open = open_answer(req);
	struct fuse_entry_out entry = {
		.nodeid = node,
		.entry_valid = (uint64_t)TIMEOUT,
		.attr_valid = (uint64_t)TIMEOUT,
		.attr = { .ino = node, .mode = S_IFREG | 0755, .nlink = 1, .blksize = 4096 },
	};
	struct iovec iov[2] = { { &entry, sizeof(entry) }, { &open, sizeof(open) } };

	(void)parent;
	(void)name;
	(void)mode;
	(void)fi;
	fuse_reply_iov(req, iov, 2);
}

static void op_release(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	(void)node;
	(void)fi;
	fuse_reply_err(req, 0);
}

static bool is_inside(const struct floor *f, size_t size, off_t off)
{
	return size <= f->file_bytes && (uint64_t)off <= f->file_bytes - size;
}

static void op_read(
	fuse_req_t req, fuse_ino_t node, size_t size, off_t off, struct fuse_file_info *fi)
{
	const struct floor *f = floor_of(req);

	(void)node;
	(void)fi;
	if (!is_inside(f, size, off) || size > READ_BYTES_MAX)
		fuse_reply_err(req, EINVAL);
	else
		fuse_reply_buf(req, f->in_memory ? f->memory + off : f->memory, size);
}

static void op_write(fuse_req_t req, fuse_ino_t node, const char *buf, size_t size, off_t off,
	struct fuse_file_info *fi)
{
	const struct floor *f = floor_of(req);

	(void)node;
	(void)fi;
	if (f->in_memory && is_inside(f, size, off))
		memcpy(f->memory + off, buf, size);
	fuse_reply_write(req, size);
}

static void op_ioctl(fuse_req_t req, fuse_ino_t node, unsigned int cmd, void *arg,
	struct fuse_file_info *fi, unsigned int flags, const void *in, size_t in_size,
	size_t out_size)
{
	(void)node;
	(void)cmd;
	(void)arg;
	(void)fi;
	(void)flags;
	(void)in;
	(void)in_size;
	(void)out_size;
	fuse_reply_ioctl(req, 0, NULL, 0);
}

static void op_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	(void)node;
	fi->cache_readdir = 1;
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void op_readdir(
	fuse_req_t req, fuse_ino_t node, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)node;
	(void)size;
	(void)off;
	(void)fi;
	fuse_reply_buf(req, NULL, 0);
}

static void op_fsync(fuse_req_t req, fuse_ino_t node, int datasync, struct fuse_file_info *fi)
{
	(void)node;
	(void)datasync;
	(void)fi;
	fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops floor_ops = {
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_unlink,
	.rename = op_rename,
	.open = op_open,
	.create = op_create,
	.release = op_release,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.ioctl = op_ioctl,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdir,
	.releasedir = op_release,
};

/* ---- running -------------------------------------------------------------------------------- */

static int floor_map(struct floor *f)
{
	size_t len = f->in_memory ? f->file_bytes : READ_BYTES_MAX;

	f->memory = mmap(NULL, len, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	return f->memory == MAP_FAILED ? -errno : 0;
}

/* Until a signal, or until it is unmounted. */
static void floor_wait(struct ddfs_loop *loop, int signal_fd)
{
	struct pollfd events[] = {
		{ .fd = signal_fd, .events = POLLIN },
		{ .fd = ddfs_loop_fd(loop), .events = POLLIN },
	};

	while (poll(events, 2, -1) < 0 && errno == EINTR)
		;
}

static int floor_serve(struct ddfs_session *s, int signal_fd)
{
	struct ddfs_loop *loop;
	int ret = ddfs_session_mount(s);

	if (!ret)
		ret = ddfs_loop_start(s, 0, &loop);
	if (ret)
		return ret;
	floor_wait(loop, signal_fd);
	ddfs_session_detach(s);
	ddfs_loop_stop(loop);
	return 0;
}

static int floor_run(struct floor *f, const char *target)
{
	const struct ddfs_session_params params = {
		.mount = { .source = "floor", .target = target, .allow_other = true },
	};
	struct ddfs_session *s;
	int ret = floor_map(f), signal_fd;
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal_fd = signalfd(-1, &mask, SFD_CLOEXEC);
	if (!ret && signal_fd < 0)
		ret = -errno;
	if (!ret)
		ret = ddfs_session_new(&floor_ops, sizeof(floor_ops), f, &params, &s);
	if (ret)
		return ret;
	ret = floor_serve(s, signal_fd);
	ddfs_session_delete(s);
	return ret;
}

int main(int argc, char **argv)
{
	struct floor f = { 0 };
	int opt, ret;

	while ((opt = getopt(argc, argv, "dm")) != -1) {
		f.bypass_cache |= opt == 'd';
		f.in_memory |= opt == 'm';
		if (opt == '?')
			return EXIT_FAILURE;
	}
	if (argc - optind != 2 || !(f.file_bytes = strtoull(argv[optind], NULL, 10) << 20)) {
		fprintf(stderr, "Usage: ddfs_floor [-d] [-m] FILE_MIB MOUNTPOINT\n");
		return EXIT_FAILURE;
	}
	ret = floor_run(&f, argv[optind + 1]);
	if (ret)
		fprintf(stderr, "ddfs_floor: %s: %s\n", argv[optind + 1], strerror(-ret));
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
