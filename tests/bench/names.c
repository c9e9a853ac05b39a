/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/bench/names.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/bench/samples.h"
#include "tests/bench/workload.h"

struct name {
	char text[24];
};

static struct name name_of(char letter, uint64_t n)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), "%c%010llu", letter, (unsigned long long)n);
	return name;
}

static int result(int ret)
{
	return ret < 0 ? -errno : 0;
}

static int op_create(int dir, uint64_t n)
{
	int fd = openat(dir, name_of('n', n).text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	return fd < 0 ? -errno : result(close(fd));
}

static int op_mknod(int dir, uint64_t n)
{
	return result(mknodat(dir, name_of('n', n).text, S_IFIFO | 0644, 0));
}

static int op_mkdir(int dir, uint64_t n)
{
	return result(mkdirat(dir, name_of('r', n).text, 0755));
}

static int op_symlink(int dir, uint64_t n)
{
	return result(symlinkat("target", dir, name_of('n', n).text));
}

/* All to one file, "n" of number 0. */
static int op_link(int dir, uint64_t n)
{
	return result(linkat(dir, name_of('n', 0).text, dir, name_of('r', n).text, 0));
}

static int op_rename(int dir, uint64_t n)
{
	return result(renameat(dir, name_of('n', n).text, dir, name_of('r', n).text));
}

static int op_unlink(int dir, uint64_t n)
{
	return result(unlinkat(dir, name_of('r', n).text, 0));
}

static int op_rmdir(int dir, uint64_t n)
{
	return result(unlinkat(dir, name_of('r', n).text, AT_REMOVEDIR));
}

static int op_chmod(int dir, uint64_t n)
{
	return result(fchmodat(dir, name_of('n', n).text, 0600, 0));
}

static int op_stat(int dir, uint64_t n)
{
	struct stat st;

	return result(fstatat(dir, name_of('n', n).text, &st, AT_SYMLINK_NOFOLLOW));
}

static int op_setxattr(int dir, uint64_t n)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name_of('n', n).text);
	return result(setxattr(path, "user.bench", "value", 5, 0));
}

/* One block, at the start of a file. */
static int op_write(int dir, uint64_t n)
{
	static const char block[4096];
	int fd = openat(dir, name_of('n', n).text, O_WRONLY | O_CLOEXEC);
	ssize_t ret;

	if (fd < 0)
		return -errno;
	ret = pwrite(fd, block, sizeof(block), 0);
	close(fd);
	return ret == sizeof(block) ? 0 : -EIO;
}

static const struct names_op ops[] = {
	{ "create", op_create },
	{ "mknod", op_mknod },
	{ "mkdir", op_mkdir },
	{ "symlink", op_symlink },
	{ "link", op_link },
	{ "rename", op_rename },
	{ "unlink", op_unlink },
	{ "rmdir", op_rmdir },
	{ "chmod", op_chmod },
	{ "stat", op_stat },
	{ "setxattr", op_setxattr },
	{ "write", op_write },
	{ "overwrite", op_write },
};

const struct names_op *names_op_find(const char *name)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (!strcmp(ops[i].name, name))
			return &ops[i];
	return NULL;
}

int names_dir(const char *path)
{
	int fd;

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		err(1, "%s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

void workload_names(char **argv)
{
	const struct names_op *op = names_op_find(argv[1]);
	uint64_t nr = number(argv[2]), first = number(argv[3]), start, now, then;
	int dir = names_dir(argv[0]), ret;
	struct samples s;

	if (!op)
		errx(1, "%s: no such operation", argv[1]);
	samples_init(&s, nr);
	start = now = now_nsec();
	for (uint64_t n = first; n < first + nr; n++) {
		ret = op->run(dir, n);
		if (ret)
			errx(1, "%s: %s %llu: %s", argv[0], op->name, (unsigned long long)n,
				strerror(-ret));
		then = now;
		now = now_nsec();
		samples_add(&s, now - then);
	}
	samples_print(&s, op->name, now - start);
	samples_fini(&s);
	close(dir);
}

/* ---- what the kernel has cached ------------------------------------------------------------- */

/* All entries of a directory from its start; opened anew, as a program would. */
static void list_pass(const char *path)
{
	DIR *dir = opendir(path);

	if (!dir)
		err(1, "%s", path);
	while (readdir(dir))
		;
	closedir(dir);
}

static void stat_pass(int dir, const struct name *names, uint64_t nr)
{
	struct stat st;

	for (uint64_t n = 0; n < nr; n++)
		if (fstatat(dir, names[n].text, &st, AT_SYMLINK_NOFOLLOW) < 0)
			err(1, "stat %s", names[n].text);
}

static struct name *names_new(uint64_t nr)
{
	struct name *names = calloc(nr, sizeof(*names));

	if (!names)
		errx(1, "no memory");
	for (uint64_t n = 0; n < nr; n++)
		names[n] = name_of('n', n);
	return names;
}

/* The first two passes bring everything into the kernel. */
void workload_cached(char **argv)
{
	bool is_list = !strcmp(argv[1], "list");
	uint64_t nr = number(argv[2]), passes = number(argv[3]), start = 0, now = 0, then;
	struct name *names = names_new(nr);
	int dir = names_dir(argv[0]);
	struct samples s;

	samples_init(&s, passes);
	for (uint64_t i = 0; i < passes + 2; i++) {
		if (is_list)
			list_pass(argv[0]);
		else
			stat_pass(dir, names, nr);
		then = now;
		now = now_nsec();
		if (i == 1)
			start = now;
		else if (i > 1)
			samples_add(&s, (now - then) / nr);
	}
	samples_print(&s, argv[1], now - start);
	samples_fini(&s);
	free(names);
	close(dir);
}
