/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/soak/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/soak/perform.h"

/* One comparison. */
struct look {
	const struct soak_model *m;
	int root;
	FILE *why;
	unsigned int except; /* a node whose size and bytes are looked at by themselves */
	uint64_t ino[SOAK_NODES];
	bool seen[SOAK_NODES];
};

/* Always false: to be returned. */
static bool wrong(struct look *l, const char *path, const char *text, uint64_t got, uint64_t want)
{
	fprintf(l->why, "  %s: %s: found %llu (%#llx), want %llu (%#llx)\n", path, text,
		(unsigned long long)got, (unsigned long long)got, (unsigned long long)want,
		(unsigned long long)want);
	return false;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static ssize_t read_whole(int fd, uint8_t *buf, size_t max)
{
	size_t at = 0;

	while (at < max) {
		ssize_t n = pread(fd, buf + at, max - at, (off_t)at);

		if (n < 0)
			return -errno;
		if (!n)
			break;
		at += (size_t)n;
	}
	return (ssize_t)at;
}

static bool same_bytes(
	struct look *l, const char *path, const uint8_t *got, const uint8_t *want, size_t len)
{
	uint64_t a = 0, b = 0;
	size_t at = 0, n;

	if (!memcmp(got, want, len))
		return true;
	while (got[at] == want[at])
		at++;
	at = at / 8 * 8;
	n = len - at < 8 ? len - at : 8;
	memcpy(&a, got + at, n);
	memcpy(&b, want + at, n);
	fprintf(l->why, "  from byte %zu of %zu:\n", at, len);
	return wrong(l, path, "8 bytes", a, b);
}

static bool same_content(struct look *l, const char *path, int fd, unsigned int i)
{
	static const size_t max = SOAK_FILE_MAX + 1;
	uint8_t *buf = malloc(max);
	ssize_t n = buf ? read_whole(fd, buf, max) : -ENOMEM;
	bool good = n == (ssize_t)l->m->node[i].size;

	if (n < 0)
		good = wrong(l, path, "reading it fails with errno", (uint64_t)-n, 0);
	else if (!good)
		wrong(l, path, "bytes that can be read", (uint64_t)n, l->m->node[i].size);
	else
		good = same_bytes(l, path, buf, l->m->data[i], (size_t)n);
	free(buf);
	return good;
}

/* ---- attributes ----------------------------------------------------------------------------- */

static unsigned int count_user_xattrs(int fd)
{
	char list[4096];
	ssize_t len = flistxattr(fd, list, sizeof(list));
	unsigned int nr = 0;

	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(list + at) + 1)
		nr += !strncmp(list + at, "user.", 5);
	return nr;
}

static bool same_xattr(struct look *l, const char *path, int fd, unsigned int i, unsigned int x)
{
	static const size_t max = 65536;
	const struct soak_node *n = &l->m->node[i];
	uint8_t *buf = malloc(2 * max);
	char name[16];
	ssize_t len, want = (ssize_t)n->xattr[x].len_plus_1 - 1;
	bool good;

	soak_xattr_name(x, name);
	len = buf ? fgetxattr(fd, name, buf, max) : -1;
	good = len == want;
	if (!good)
		wrong(l, path, "length of an xattr, -1 none", (uint64_t)len, (uint64_t)want);
	if (good && len > 0) {
		soak_fill(buf + max, (size_t)len, n->xattr[x].seed);
		good = same_bytes(l, path, buf, buf + max, (size_t)len);
	}
	free(buf);
	return good;
}

static bool same_xattrs(struct look *l, const char *path, int fd, unsigned int i)
{
	unsigned int want = 0, got = count_user_xattrs(fd);

	for (unsigned int x = 0; x < SOAK_XATTRS; x++) {
		want += l->m->node[i].xattr[x].len_plus_1 != 0;
		if (!same_xattr(l, path, fd, i, x))
			return false;
	}
	return got == want || wrong(l, path, "user xattrs listed", got, want);
}

static bool same_flags(struct look *l, const char *path, int fd, unsigned int i)
{
	unsigned long flags = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags))
		return wrong(l, path, "its flags can't be read", (uint64_t)errno, 0);
	flags = (flags & 0x02000000) != 0;
	return flags == l->m->node[i].dax ||
	       wrong(l, path, "the DAX attribute", flags, l->m->node[i].dax);
}

static mode_t type_of(const struct soak_node *n)
{
	return n->type == SOAK_DIR ? S_IFDIR : n->type == SOAK_SYM ? S_IFLNK : S_IFREG;
}

static bool same_stat(struct look *l, const char *path, const struct stat *st, unsigned int i)
{
	const struct soak_node *n = &l->m->node[i];
	unsigned int nlink = soak_model_nlink(l->m, i);

	if (st->st_mode != (type_of(n) | n->mode))
		return wrong(l, path, "mode", st->st_mode, type_of(n) | n->mode);
	if (st->st_nlink != nlink)
		return wrong(l, path, "link count", st->st_nlink, nlink);
	if (n->type != SOAK_DIR && i != l->except && (uint64_t)st->st_size != n->size)
		return wrong(l, path, "size", (uint64_t)st->st_size, n->size);
	if (n->has_mtime && i != l->except && (uint64_t)st->st_mtime != n->mtime_seconds)
		return wrong(l, path, "mtime", (uint64_t)st->st_mtime, n->mtime_seconds);
	if (l->seen[i] && l->ino[i] != st->st_ino)
		return wrong(l, path, "inode number", st->st_ino, l->ino[i]);
	l->seen[i] = true;
	l->ino[i] = st->st_ino;
	return true;
}

/* ---- the tree ------------------------------------------------------------------------------- */

static bool look_dir(struct look *l, unsigned int dir, const char *path);

static bool look_symlink(struct look *l, const char *path, unsigned int i)
{
	char got[4097], want[4097];
	ssize_t len = readlinkat(l->root, path, got, sizeof(got));

	soak_target(l->m->node[i].seed, l->m->node[i].size, want);
	return (len == (ssize_t)l->m->node[i].size && !memcmp(got, want, (size_t)len)) ||
	       wrong(l, path, "its target, of length", (uint64_t)len, l->m->node[i].size);
}

static bool look_open(struct look *l, const char *path, unsigned int i)
{
	int fd = openat(l->root, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool good;

	if (fd < 0)
		return wrong(l, path, "it can't be opened, errno", (uint64_t)errno, 0);
	good = same_flags(l, path, fd, i) && same_xattrs(l, path, fd, i);
	if (good && l->m->node[i].type == SOAK_FILE && i != l->except)
		good = same_content(l, path, fd, i);
	close(fd);
	return good;
}

static bool look_node(struct look *l, const char *path, unsigned int i)
{
	bool again = l->seen[i];
	struct stat st;

	if (fstatat(l->root, path, &st, AT_SYMLINK_NOFOLLOW))
		return wrong(l, path, "it is not there, errno", (uint64_t)errno, 0);
	if (!same_stat(l, path, &st, i))
		return false;
	if (again)
		return true;
	if (l->m->node[i].type == SOAK_SYM)
		return look_symlink(l, path, i);
	if (!look_open(l, path, i))
		return false;
	return l->m->node[i].type != SOAK_DIR || look_dir(l, i, path);
}

static int name_number(const char *text)
{
	char name[256];

	for (unsigned int i = 0; i < SOAK_NAMES; i++) {
		soak_name(i, name);
		if (!strcmp(name, text))
			return (int)i;
	}
	return -1;
}

/* readdir(3) shows each name once, and no other. */
static bool same_names(struct look *l, unsigned int dir, const char *path, DIR *d)
{
	bool found[SOAK_NAMES] = { false };
	struct dirent *e;

	while ((errno = 0, e = readdir(d))) {
		int i = name_number(e->d_name);

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (i < 0 || !l->m->child[dir][i] || found[i]) {
			fprintf(l->why, "  %.40s\n", e->d_name);
			return wrong(l, path, "has a name, of number", (uint64_t)i, 0);
		}
		found[i] = true;
	}
	if (errno)
		return wrong(l, path, "readdir fails with errno", (uint64_t)errno, 0);
	for (unsigned int i = 0; i < SOAK_NAMES; i++)
		if (l->m->child[dir][i] && !found[i])
			return wrong(l, path, "lacks the name of number", 0, i);
	return true;
}

static bool look_names(struct look *l, unsigned int dir, const char *path)
{
	int fd = openat(l->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool good;

	if (!d)
		return wrong(l, path, "it can't be listed, errno", (uint64_t)errno, 0);
	good = same_names(l, dir, path, d);
	closedir(d);
	return good;
}

static bool look_dir(struct look *l, unsigned int dir, const char *path)
{
	if (!look_names(l, dir, path))
		return false;
	for (unsigned int name = 0; name < SOAK_NAMES; name++) {
		char below[4096];

		if (!l->m->child[dir][name])
			continue;
		soak_path(l->m, dir, name, below);
		if (!look_node(l, below, l->m->child[dir][name]))
			return false;
	}
	return true;
}

static bool matches(
	const struct soak_model *m, int root, unsigned int except, const char *what, FILE *why)
{
	struct look l = { .m = m, .root = root, .why = why, .except = except };

	fprintf(why, " compared with %s:\n", what);
	return look_dir(&l, SOAK_ROOT, ".");
}

/* ---- a step that was cut short -------------------------------------------------------------- */

/* Where a store begins and ends at words they are stored at once; else no more than bytes are. */
static size_t grain_of(const struct soak_step *s)
{
	uint32_t start = s->kind == SOAK_COPY ? s->off2 : s->off;

	return start % 8 || s->len % 8 ? 1 : 8;
}

/* Behind the old end each byte is new; before it each grain is old or new. */
static bool grains_match(const uint8_t *got, size_t size, const uint8_t *old, size_t old_size,
	const uint8_t *new, size_t grain)
{
	for (size_t at = 0; at < size; at += grain) {
		size_t n = size - at < grain ? size - at : grain;

		if (memcmp(got + at, new + at, n) &&
			(at >= old_size || memcmp(got + at, old + at, n)))
			return false;
	}
	return true;
}

static bool between(struct look *l, const struct soak_model *before, unsigned int i,
	const struct soak_step *s, uint8_t *got, size_t *size)
{
	size_t old_size = before->node[i].size, new_size = l->m->node[i].size;
	char path[4096];
	int fd;
	ssize_t n;

	if (s->kind == SOAK_COPY)
		soak_path(l->m, s->dir2, s->name2, path);
	else
		soak_path(l->m, s->dir, s->name, path);
	fd = openat(l->root, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read_whole(fd, got, SOAK_FILE_MAX);
	if (fd >= 0)
		close(fd);
	if (n < (ssize_t)old_size || n > (ssize_t)new_size)
		return wrong(l, path, "size of what was cut short", (uint64_t)n, old_size);
	/* What sets the size at once sets the old or the new one. */
	if (s->kind == SOAK_FALLOCATE && n != (ssize_t)old_size && n != (ssize_t)new_size)
		return wrong(l, path, "size of what was cut short", (uint64_t)n, new_size);
	*size = (size_t)n;
	return grains_match(got, *size, before->data[i], old_size, l->m->data[i], grain_of(s)) ||
	       wrong(l, path, "bytes that are neither old nor new", 0, 0);
}

static bool adopt_between(struct soak_model *m, const struct soak_model *before, int root,
	const struct soak_step *s, FILE *why)
{
	unsigned int i =
		s->kind == SOAK_COPY ? m->child[s->dir2][s->name2] : m->child[s->dir][s->name];
	struct look l = { .m = m, .root = root, .why = why };
	uint8_t *got = soak_model_room();
	size_t size = 0;
	bool good = matches(m, root, i, "a part of the last step", why) &&
		    between(&l, before, i, s, got, &size);

	if (!good) {
		free(got);
		return false;
	}
	memset(got + size, 0, SOAK_FILE_MAX - size);
	free(m->data[i]);
	m->data[i] = got;
	m->node[i].size = (uint32_t)size;
	m->node[i].has_mtime = 0;
	return true;
}

static void say_step(FILE *why, const struct soak_step *s)
{
	fprintf(why, " begun and not acknowledged: ");
	soak_step_print(why, s);
}

enum soak_found soak_check(
	struct soak_model *m, int root, const struct soak_step *flying, FILE *why)
{
	struct soak_model *before;
	enum soak_found found = SOAK_WRONG;

	if (matches(m, root, 0, "what was acknowledged", why))
		return SOAK_BEFORE;
	if (!flying)
		return SOAK_WRONG;
	say_step(why, flying);
	before = soak_model_copy(m);
	soak_model_step(m, flying);
	if (matches(m, root, 0, "that with the last step", why))
		found = SOAK_AFTER;
	else if (soak_step_is_overwrite(flying) && adopt_between(m, before, root, flying, why))
		found = SOAK_BETWEEN;
	soak_model_delete(before);
	return found;
}
