/* SPDX-License-Identifier: BSD-3-Clause */
/* How many fences an operation takes, as the daemon counts them at the one door. */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "src/devdaxfs_ioctl.h"
#include "tests/bench/names.h"
#include "tests/bench/workload.h"

/* Long enough for what the kernel and the daemon do behind an operation's answer. */
#define QUIET_USEC 50000

static uint64_t fences_so_far(int root)
{
	struct ddfs_ioc_stats s;

	if (ioctl(root, DDFS_IOC_STATS, &s) < 0)
		err(1, "DDFS_IOC_STATS");
	return s.fences;
}

/* Of each operation until its answer, and of all of them with whatever came later. */
static void fences_of(int root, int dir, const char *name, uint64_t nr)
{
	const struct names_op *op = names_op_find(name);
	uint64_t first = fences_so_far(root), before = first, now;
	int ret;

	printf("{\"op\": \"%s\", \"fences\": [", name);
	for (uint64_t n = 0; n < nr; n++) {
		ret = op->run(dir, n);
		if (ret)
			errx(1, "%s: %s", name, strerror(-ret));
		now = fences_so_far(root);
		printf("%s%llu", n ? ", " : "", (unsigned long long)(now - before));
		before = now;
	}
	usleep(QUIET_USEC);
	printf("], \"all\": %llu}\n", (unsigned long long)(fences_so_far(root) - first));
}

/* In this order each finds what it works on, and the directory is empty in the end. */
void workload_fences(char **argv)
{
	static const char *const order[] = { "create", "write", "overwrite", "chmod", "setxattr",
		"rename", "unlink", "symlink", "rename", "unlink", "mknod", "rename", "unlink",
		"mkdir", "rmdir" };
	uint64_t nr = number(argv[1]);
	int root = open(argv[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC), dir;
	char *path;

	if (root < 0 || asprintf(&path, "%s/fences", argv[0]) < 0)
		err(1, "%s", argv[0]);
	dir = names_dir(path);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		fences_of(root, dir, order[i], nr);
	names_op_find("create")->run(dir, 0);
	fences_of(root, dir, "link", nr);
	fences_of(root, dir, "unlink", nr);
	names_op_find("rename")->run(dir, 0);
	names_op_find("unlink")->run(dir, 0);
	if (rmdir(path) < 0)
		err(1, "%s", path);
	free(path);
	close(dir);
	close(root);
}
