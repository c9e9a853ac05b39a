/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/soak/shared.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/soak/choose.h"
#include "tests/soak/perform.h"

#define NR_THREADS 3
#define NR_NAMES   8u
#define NR_FILES   64u
#define LEN_MAX	   50000u
#define MAGIC	   UINT64_C(0x736f616b73686172)

/* A file begins with this; what follows is soak_fill of the seed. */
struct header {
	uint64_t magic, seed, len;
};

static const char *const dirs[] = { ".", "x", "y" };

struct crowd {
	int root;
	uint64_t seed;
	bool full;
	const volatile sig_atomic_t *stop;
	bool failed;
};

/* ---- work ----------------------------------------------------------------------------------- */

static void random_path(struct soak_random *r, char *out)
{
	sprintf(out, "%s/s%u", dirs[soak_random_below(r, 3)], soak_random_below(r, NR_NAMES));
}

static int make_file(int root, const char *path, struct soak_random *r)
{
	struct header h = { MAGIC, soak_random_next(r), soak_random_below(r, LEN_MAX) };
	uint8_t *buf = malloc(sizeof(h) + h.len);
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), err = 0;

	if (fd < 0 || !buf) {
		err = errno;
		free(buf);
		return err;
	}
	memcpy(buf, &h, sizeof(h));
	soak_fill(buf + sizeof(h), h.len, h.seed);
	if (write(fd, buf, sizeof(h) + h.len) < 0)
		err = errno;
	close(fd);
	free(buf);
	return err;
}

static int one_change(int root, struct soak_random *r)
{
	char a[32], b[32];

	random_path(r, a);
	random_path(r, b);
	switch (soak_random_below(r, 8)) {
	case 0:
	case 1:
		return unlinkat(root, a, 0) ? errno : 0;
	case 2:
		return renameat(root, a, root, b) ? errno : 0;
	case 3:
		return renameat2(root, a, root, b, RENAME_EXCHANGE) ? errno : 0;
	case 4:
		return linkat(root, a, root, b, 0) ? errno : 0;
	case 5:
		return mkdirat(root, a, 0700) ? errno : 0;
	case 6:
		return unlinkat(root, a, AT_REMOVEDIR) ? errno : 0;
	default:
		return make_file(root, a, r);
	}
}

/* What others may have brought about. */
static bool is_expected(int err, bool full)
{
	return !err || (full && err == ENOSPC) || err == EEXIST || err == ENOENT || err == EISDIR ||
	       err == ENOTDIR || err == ENOTEMPTY || err == EPERM || err == EINVAL;
}

static void *work(void *arg)
{
	struct crowd *c = arg;
	struct soak_random r = { __atomic_add_fetch(&c->seed, 1, __ATOMIC_SEQ_CST) };

	while (!*c->stop) {
		int err = one_change(c->root, &r);

		if (is_expected(err, c->full))
			continue;
		if (!soak_is_gone(c->root)) {
			fprintf(stderr, "soak: shared directory: %s\n", strerror(err));
			c->failed = true;
		}
		break;
	}
	return NULL;
}

/* The directory's own, which nobody removes. */
static int open_root(const char *dir)
{
	int root;

	mkdir(dir, 0755);
	root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -1;
	mkdirat(root, "x", 0755);
	mkdirat(root, "y", 0755);
	return root;
}

bool soak_shared_work(const char *dir, uint64_t seed, bool full, const volatile sig_atomic_t *stop)
{
	struct crowd c = {
		.root = open_root(dir), .seed = seed * NR_THREADS, .full = full, .stop = stop
	};
	pthread_t threads[NR_THREADS];

	if (c.root < 0)
		return soak_is_gone_error(errno);
	for (unsigned int i = 0; i < NR_THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, &c))
			abort();
	for (unsigned int i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	return !c.failed;
}

/* ---- check ---------------------------------------------------------------------------------- */

struct count {
	FILE *why;
	int root;
	unsigned int nr;
	uint64_t ino[NR_FILES];
	uint64_t nlink[NR_FILES], found[NR_FILES];
};

static bool content_holds(int fd, uint64_t size)
{
	size_t max = sizeof(struct header) + LEN_MAX;
	uint8_t *buf = malloc(2 * max), *want = buf + max;
	struct header *h = (struct header *)buf;
	ssize_t n = buf ? pread(fd, buf, max, 0) : -1;
	bool good = n >= 0 && (uint64_t)n == size;

	if (good && n)
		good = n >= (ssize_t)sizeof(*h) && h->magic == MAGIC && h->len < LEN_MAX &&
		       (uint64_t)n <= sizeof(*h) + h->len;
	if (good && n) {
		soak_fill(want, h->len, h->seed);
		good = !memcmp(buf + sizeof(*h), want, (size_t)n - sizeof(*h));
	}
	free(buf);
	return good;
}

static void count_name(struct count *c, const struct stat *st)
{
	unsigned int i = 0;

	while (i < c->nr && c->ino[i] != st->st_ino)
		i++;
	if (i == NR_FILES)
		abort();
	if (i == c->nr)
		c->nr++;
	c->ino[i] = st->st_ino;
	c->nlink[i] = st->st_nlink;
	c->found[i]++;
}

static bool check_name(struct count *c, const char *path)
{
	struct stat st;
	int fd;
	bool good;

	if (fstatat(c->root, path, &st, AT_SYMLINK_NOFOLLOW)) {
		fprintf(c->why, "  shared/%s: listed, and not there: %s\n", path, strerror(errno));
		return false;
	}
	if (S_ISDIR(st.st_mode))
		return true;
	count_name(c, &st);
	fd = openat(c->root, path, O_RDONLY | O_CLOEXEC);
	good = fd >= 0 && content_holds(fd, (uint64_t)st.st_size);
	if (!good)
		fprintf(c->why, "  shared/%s: its %lld bytes are not what was written\n", path,
			(long long)st.st_size);
	if (fd >= 0)
		close(fd);
	return good;
}

static bool check_entry(struct count *c, const char *dir, const struct dirent *e)
{
	char path[600];
	unsigned int number = 0;

	if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
		return true;
	if (!strcmp(dir, ".") && (!strcmp(e->d_name, "x") || !strcmp(e->d_name, "y")))
		return true;
	if (sscanf(e->d_name, "s%u", &number) != 1 || number >= NR_NAMES) {
		fprintf(c->why, "  shared/%s: a name that nobody made: %s\n", dir, e->d_name);
		return false;
	}
	snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
	return check_name(c, path);
}

/* One directory's names; a directory that was made in it is empty or holds nothing that counts. */
static bool check_dir(struct count *c, const char *dir)
{
	int fd = openat(c->root, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	bool good = true;

	if (!d)
		return errno == ENOENT;
	while (good && (errno = 0, e = readdir(d)))
		good = check_entry(c, dir, e);
	if (good && errno) {
		fprintf(c->why, "  shared/%s: readdir: %s\n", dir, strerror(errno));
		good = false;
	}
	closedir(d);
	return good;
}

bool soak_shared_check(const char *dir, FILE *why)
{
	struct count c = { .why = why };

	c.root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c.root < 0)
		return errno == ENOENT;
	for (unsigned int i = 0; i < 3; i++)
		if (!check_dir(&c, dirs[i]))
			return false;
	for (unsigned int i = 0; i < c.nr; i++) {
		if (c.nlink[i] == c.found[i])
			continue;
		fprintf(why, "  shared: inode %llu has %llu links and %llu names\n",
			(unsigned long long)c.ino[i], (unsigned long long)c.nlink[i],
			(unsigned long long)c.found[i]);
		return false;
	}
	return true;
}
