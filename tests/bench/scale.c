/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The same operations on a small and on a big directory, by turns. Names are taken at random from
 * all that are there, and those that the big directory has are not cached by the kernel.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "src/devdaxfs_ioctl.h"
#include "tests/bench/names.h"
#include "tests/bench/samples.h"
#include "tests/bench/workload.h"

/* Without a request for as long, the kernel has nothing more to say. */
#define QUIET_USEC 20000

static uint64_t requests_so_far(int root)
{
	struct ddfs_ioc_stats s;
	uint64_t sum = 0;

	if (ioctl(root, DDFS_IOC_STATS, &s) < 0)
		err(1, "DDFS_IOC_STATS");
	for (int i = 0; i < 64; i++)
		sum += i == FUSE_IOCTL ? 0 : s.requests[i];
	return sum;
}

/* Drops the kernel's cached names and inodes, and waits until the daemon has heard of it all. */
static void drop_names(int root)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	uint64_t before = 0, now;

	if (fd < 0 || write(fd, "2", 1) != 1)
		err(1, "/proc/sys/vm/drop_caches");
	close(fd);
	while ((now = requests_so_far(root)) != before) {
		before = now;
		usleep(QUIET_USEC);
	}
}

struct directory {
	const char *path;
	int fd;
	uint64_t nr; /* names, from number 0 on */
	uint64_t *picks;
};

/* batch different numbers below d->nr. */
static void directory_pick(struct directory *d, uint64_t batch, uint64_t *seed)
{
	uint64_t step = d->nr / batch;

	for (uint64_t i = 0; i < batch; i++)
		d->picks[i] = i * step + random_next(seed) % step;
	for (uint64_t i = batch - 1; i; i--) {
		uint64_t j = random_next(seed) % (i + 1), pick = d->picks[i];

		d->picks[i] = d->picks[j];
		d->picks[j] = pick;
	}
}

static void directory_run(struct directory *d, const char *size, const char *name, uint64_t batch)
{
	const struct names_op *op = names_op_find(name);
	uint64_t start, now, then;
	struct samples s;
	char label[64];
	int ret;

	samples_init(&s, batch);
	start = now = now_nsec();
	for (uint64_t i = 0; i < batch; i++) {
		ret = op->run(d->fd, d->picks[i]);
		if (ret)
			errx(1, "%s: %s %llu: %s", d->path, name, (unsigned long long)d->picks[i],
				strerror(-ret));
		then = now;
		now = now_nsec();
		samples_add(&s, now - then);
	}
	snprintf(label, sizeof(label), "%s %s", size, name);
	samples_print(&s, label, now - start);
	samples_fini(&s);
}

static void directory_init(struct directory *d, const char *path, uint64_t nr, uint64_t batch)
{
	d->path = path;
	d->fd = names_dir(path);
	d->nr = nr;
	d->picks = calloc(batch, sizeof(*d->picks));
	if (!d->picks || nr < batch)
		errx(1, "%s: %llu names are too few", path, (unsigned long long)nr);
}

/* Picks are looked up, renamed, removed and created again. */
void workload_scale(char **argv)
{
	static const char *const order[] = { "stat", "rename", "unlink", "create" };
	uint64_t batch = number(argv[5]), rounds = number(argv[6]), seed = 88172645463325252;
	int root = names_dir(argv[0]);
	struct directory dirs[2];

	directory_init(&dirs[0], argv[1], number(argv[2]), batch);
	directory_init(&dirs[1], argv[3], number(argv[4]), batch);
	for (uint64_t round = 0; round < rounds; round++) {
		directory_pick(&dirs[0], batch, &seed);
		directory_pick(&dirs[1], batch, &seed);
		for (uint64_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
			if (!i)
				drop_names(root);
			for (uint64_t j = round; j < round + 2; j++)
				directory_run(
					&dirs[j & 1], j & 1 ? "big" : "small", order[i], batch);
		}
	}
	for (int i = 0; i < 2; i++) {
		free(dirs[i].picks);
		close(dirs[i].fd);
	}
	close(root);
}
