/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/soak/perform.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "src/devdaxfs_ioctl.h"
#include "tests/soak/holder.h"

/* ---- places --------------------------------------------------------------------------------- */

static void put_before(char *path, const char *name)
{
	size_t len = strlen(name);

	memmove(path + len + 1, path, strlen(path) + 1);
	memcpy(path, name, len);
	path[len] = '/';
}

/* The name that a directory has in the one above it. */
static unsigned int name_in(const struct soak_model *m, unsigned int above, unsigned int dir)
{
	unsigned int name = 0;

	while (m->child[above][name] != dir)
		name++;
	return name;
}

void soak_path(const struct soak_model *m, unsigned int dir, unsigned int name, char *out)
{
	char text[256];

	soak_name(name, out);
	while (dir != SOAK_ROOT) {
		unsigned int above = soak_model_parent(m, dir);

		soak_name(name_in(m, above, dir), text);
		put_before(out, text);
		dir = above;
	}
}

void soak_xattr_name(unsigned int i, char out[16])
{
	snprintf(out, 16, "user.s%u", i);
}

bool soak_is_gone_error(int err)
{
	return err == ENOTCONN || err == ECONNABORTED;
}

bool soak_is_gone(int root)
{
	struct statvfs st;

	return fstatvfs(root, &st) && soak_is_gone_error(errno);
}

uint64_t soak_unit(int root)
{
	struct ddfs_ioc_info info;

	return ioctl(root, DDFS_IOC_INFO, &info) ? SOAK_BLOCK : info.unit_bytes;
}

static int open_at(struct soak_worker *w, unsigned int dir, unsigned int name, int flags)
{
	char path[4096];

	soak_path(w->m, dir, name, path);
	return openat(w->root, path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* ---- contents ------------------------------------------------------------------------------- */

/* Room lacked, or it was not to wait any longer: what was done until then was acknowledged. */
static bool is_part(struct soak_step *s, size_t done, int err)
{
	if ((err != ENOSPC && err != EINTR && err != EBUSY) || !done)
		return false;
	s->len = (uint32_t)done;
	return true;
}

static int write_all(int fd, const uint8_t *p, struct soak_step *s)
{
	bool append = s->arg & SOAK_WRITE_APPEND;
	size_t done = 0;

	while (done < s->len) {
		size_t len = s->len - done;
		ssize_t n = append ? write(fd, p + done, len)
				   : pwrite(fd, p + done, len, (off_t)(s->off + done));

		if (n < 0 && is_part(s, done, errno))
			break;
		if (n <= 0)
			return n ? errno : EIO;
		done += (size_t)n;
	}
	return 0;
}

static int write_flags(const struct soak_step *s)
{
	return O_RDWR | (s->arg & SOAK_WRITE_DSYNC ? O_DSYNC : 0) |
	       (s->arg & SOAK_WRITE_DIRECT ? O_DIRECT : 0) |
	       (s->arg & SOAK_WRITE_APPEND ? O_APPEND : 0);
}

static int do_write(struct soak_worker *w, int fd, struct soak_step *s)
{
	int err;

	soak_fill(w->buf, s->len, s->seed);
	err = write_all(fd, w->buf, s);
	if (!err && s->arg & SOAK_WRITE_FSYNC && fsync(fd))
		err = errno;
	return err;
}

/* DAX inodes can't be mapped shared by every kernel: then they are written to. */
static int do_map(struct soak_worker *w, int fd, struct soak_step *s)
{
	size_t size = w->m->node[w->m->child[s->dir][s->name]].size;
	uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int err;

	if (p == MAP_FAILED)
		return errno == ENODEV ? do_write(w, fd, s) : errno;
	soak_fill(w->buf, s->len, s->seed);
	memcpy(p + s->off, w->buf, s->len);
	err = msync(p, size, MS_SYNC) ? errno : 0;
	munmap(p, size);
	return err;
}

/* The kernel's FUSE refuses collapse and insert. */
static int do_fallocate(int fd, const struct soak_step *s)
{
	struct ddfs_ioc_fallocate f = { .mode = s->arg, .off = s->off, .len = s->len };

	if (s->arg & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))
		return ioctl(fd, DDFS_IOC_FALLOCATE, &f) ? errno : 0;
	return fallocate(fd, (int)s->arg, s->off, s->len) ? errno : 0;
}

static int copy_all(int from, int to, struct soak_step *s)
{
	off_t in = s->off, out = s->off2;
	size_t done = 0;

	while (done < s->len) {
		ssize_t n = copy_file_range(from, &in, to, &out, s->len - done, 0);

		if (n < 0 && is_part(s, done, errno))
			break;
		if (n <= 0)
			return n ? errno : EIO;
		done += (size_t)n;
	}
	return 0;
}

static int do_copy(struct soak_worker *w, int fd, struct soak_step *s)
{
	int to = open_at(w, s->dir2, s->name2, O_WRONLY), err;

	if (to < 0)
		return errno;
	err = copy_all(fd, to, s);
	close(to);
	return err;
}

static int do_setdax(int fd)
{
	unsigned long flags = 0x02000000; /* FS_DAX_FL, which older headers lack */

	return ioctl(fd, FS_IOC_SETFLAGS, &flags) ? errno : 0;
}

static int with_file(struct soak_worker *w, int fd, struct soak_step *s)
{
	switch (s->kind) {
	case SOAK_WRITE:
		return do_write(w, fd, s);
	case SOAK_MAP:
		return do_map(w, fd, s);
	case SOAK_TRUNCATE:
		return ftruncate(fd, s->len) ? errno : 0;
	case SOAK_FALLOCATE:
		return do_fallocate(fd, s);
	case SOAK_COPY:
		return do_copy(w, fd, s);
	case SOAK_SETDAX:
		return do_setdax(fd);
	default:
		return fsync(fd) ? errno : 0;
	}
}

static int flags_of(const struct soak_worker *w, const struct soak_step *s)
{
	if (w->m->node[w->m->child[s->dir][s->name]].type == SOAK_DIR)
		return O_RDONLY | O_DIRECTORY;
	return s->kind == SOAK_WRITE ? write_flags(s) : O_RDWR;
}

static int do_file(struct soak_worker *w, struct soak_step *s)
{
	int fd = open_at(w, s->dir, s->name, flags_of(w, s)), err;

	if (fd < 0)
		return errno;
	err = with_file(w, fd, s);
	/* What close(2) says belongs to the step; only a filesystem that is gone says anything. */
	if (close(fd) && !err)
		err = errno;
	return err;
}

/* ---- names and attributes ------------------------------------------------------------------- */

static int do_create(struct soak_worker *w, const char *path, const struct soak_step *s)
{
	int fd = openat(w->root, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, s->arg);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* The oldest of the held files goes. */
static int do_unlink(struct soak_worker *w, const char *path, const struct soak_step *s)
{
	int *held = &w->held[w->nr_held % SOAK_HELD];

	if (s->arg) {
		if (*held >= 0)
			close(*held);
		*held = openat(w->root, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		w->nr_held++;
	}
	return unlinkat(w->root, path, 0) ? errno : 0;
}

static int do_symlink(struct soak_worker *w, const char *path, const struct soak_step *s)
{
	char target[4096];

	soak_target(s->seed, s->len, target);
	return symlinkat(target, w->root, path) ? errno : 0;
}

static int do_two(struct soak_worker *w, const char *path, const struct soak_step *s)
{
	char other[4096];

	soak_path(w->m, s->dir2, s->name2, other);
	if (s->kind == SOAK_LINK)
		return linkat(w->root, path, w->root, other, 0) ? errno : 0;
	return renameat2(w->root, path, w->root, other,
		       s->kind == SOAK_EXCHANGE ? RENAME_EXCHANGE : 0)
		       ? errno
		       : 0;
}

static int do_xattr(struct soak_worker *w, const struct soak_step *s)
{
	int fd = open_at(w, s->dir, s->name, O_RDONLY), err;
	char name[16];

	if (fd < 0)
		return errno;
	soak_xattr_name(s->arg, name);
	soak_fill(w->buf, s->len, s->seed);
	if (s->kind == SOAK_SETXATTR)
		err = fsetxattr(fd, name, w->buf, s->len, 0);
	else
		err = fremovexattr(fd, name);
	err = err ? errno : 0;
	close(fd);
	return err;
}

static int do_utimes(struct soak_worker *w, const char *path, const struct soak_step *s)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = (time_t)s->seed } };

	return utimensat(w->root, path, times, AT_SYMLINK_NOFOLLOW) ? errno : 0;
}

/* ---- pins ----------------------------------------------------------------------------------- */

void soak_holder_path(const char *holders, unsigned int pin, char *out)
{
	snprintf(out, 128, "%s.%u", holders, pin);
}

static int ask(const struct soak_worker *w, unsigned int pin, const struct soak_ask *a)
{
	struct soak_answer answer;
	char path[128];

	soak_holder_path(w->holders, pin, path);
	return soak_ask(path, a, &answer, NULL) ? answer.error : EOWNERDEAD;
}

static int do_pin(struct soak_worker *w, const char *path, const struct soak_step *s)
{
	uint32_t size = w->m->node[w->m->child[s->dir][s->name]].size;
	struct soak_ask a = { .what = SOAK_ASK_PIN,
		.off = s->off,
		.len = s->len,
		.grow = s->off + s->len > size,
		.patience = s->off2 };

	if ((size_t)snprintf(a.path, sizeof(a.path), "%s/%s", w->dir, path) >= sizeof(a.path))
		return ENAMETOOLONG;
	return ask(w, s->arg, &a);
}

static int do_store(struct soak_worker *w, const struct soak_step *s)
{
	struct soak_ask a = {
		.what = SOAK_ASK_STORE, .off = s->off, .len = s->len, .seed = s->seed
	};

	return ask(w, s->arg, &a);
}

int soak_perform(struct soak_worker *w, struct soak_step *s)
{
	char path[4096];

	soak_path(w->m, s->dir, s->name, path);
	switch (s->kind) {
	case SOAK_CREATE:
		return do_create(w, path, s);
	case SOAK_UNLINK:
		return do_unlink(w, path, s);
	case SOAK_RENAME:
	case SOAK_EXCHANGE:
	case SOAK_LINK:
		return do_two(w, path, s);
	case SOAK_SYMLINK:
		return do_symlink(w, path, s);
	case SOAK_MKDIR:
		return mkdirat(w->root, path, 0755) ? errno : 0;
	case SOAK_RMDIR:
		return unlinkat(w->root, path, AT_REMOVEDIR) ? errno : 0;
	case SOAK_SETXATTR:
	case SOAK_REMOVEXATTR:
		return do_xattr(w, s);
	case SOAK_CHMOD:
		return fchmodat(w->root, path, s->arg, 0) ? errno : 0;
	case SOAK_UTIMES:
		return do_utimes(w, path, s);
	case SOAK_PIN:
		return do_pin(w, path, s);
	case SOAK_UNPIN:
		return ask(w, s->arg, &(struct soak_ask){ .what = SOAK_ASK_UNPIN });
	case SOAK_STORE:
		return do_store(w, s);
	default:
		return do_file(w, s);
	}
}
