/* SPDX-License-Identifier: BSD-3-Clause */
/* How a run begins and ends, and what is said when it goes wrong. */
#include "tests/unit/pins_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "fs/mkfs.h"
#include "tests/unit/tree.h"

/* ---- for people ----------------------------------------------------------------------------- */

void world_fail(const struct world *w, const char *what, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	ck_abort_msg("DDFS_SEED=%llu DDFS_CASE=%d, step %llu: %s: %s", (unsigned long long)w->seed,
		w->nr, (unsigned long long)w->step, what, line);
	abort();
}

void world_trace(const struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (!w->trace)
		return;
	fprintf(stderr, "%llu ", (unsigned long long)w->step);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static void note_line(void *arg, int priority, const char *line)
{
	struct world *w = arg;

	if (priority <= LOG_ERR)
		world_fail(w, "log", "%s", line);
}

/* ---- mount ---------------------------------------------------------------------------------- */

bool world_has_clients(void *arg, uint32_t epoch)
{
	const struct world *w = arg;

	for (unsigned int i = 0; i < NR_HOLDERS; i++)
		if (w->holders[i].epoch == epoch)
			return true;
	return false;
}

void world_mount(struct world *w)
{
	w->fs = ram_mount(&w->ram, &w->opt);
	w->root = ram_root(w->fs);
}

/* ---- first and last ------------------------------------------------------------------------- */

static uint64_t nr_free(struct world *w)
{
	struct ddfs_statfs st;

	ddfs_fs_statfs(w->fs, &st);
	return st.nr_free;
}

static void make_fs(struct world *w, uint64_t size, uint64_t align, bool map_dev)
{
	struct ddfs_mkfs p = { .label = "test", .map_dev = map_dev };
	struct ddfs_geometry g;
	int err;

	ram_init(&w->ram, size, align);
	err = ddfs_geometry_init(size, align, map_dev, &g);
	if (!err)
		err = ddfs_mkfs(&w->ram.media, &p, &g);
	must(w, !err, "mkfs: %s", strerror(-err));
}

void world_init(struct world *w, uint64_t seed, int nr, uint64_t size, uint64_t align, bool map_dev)
{
	memset(w, 0, sizeof(*w));
	rng_seed(&w->rng, seed * 64 + (uint64_t)nr);
	w->seed = seed;
	w->nr = nr;
	w->trace = getenv("DDFS_TRACE");
	w->opt = (struct ddfs_fs_options){ .dax = DDFS_DAX_ALWAYS,
		.log = note_line,
		.log_arg = w,
		.lease_time = 1000000,
		.map = map_dev ? DDFS_PAGEMAP_DEV : DDFS_PAGEMAP_MEM,
		.clients_alive = world_has_clients,
		.clients_arg = w };
	w->unit = align / HALF;
	w->max_halves = w->unit * 4 < 128 ? 128 : w->unit * 4;
	w->nr_blocks = size / BLK;
	w->pages = calloc(w->nr_blocks, sizeof(*w->pages));
	make_fs(w, size, align, map_dev);
	world_mount(w);
	w->free_at_start = nr_free(w);
	w->ballast = tree_make_get(w->root, "ballast", S_IFREG | 0644);
	for (unsigned int i = 0; i < NR_HOLDERS; i++)
		holder_start(w, &w->holders[i]);
}

/* All processes end, and what they held with them. */
static void end_holders(struct world *w)
{
	for (unsigned int i = 0; i < NR_HOLDERS; i++) {
		struct wholder *who = &w->holders[i];

		if (who->state == HOLDER_LIVES)
			holder_kill(w, who);
		ops_settle(w);
		if (who->state == HOLDER_DYING)
			holder_ends(w, who);
	}
	for (unsigned int i = 0; i < NR_HANDLES; i++)
		if (w->handles[i].used)
			handle_release(w, &w->handles[i]);
	do_collect(w);
	do_tick(w);
}

/* A wait that is left now is one that was never woken. */
static void check_idle(struct world *w)
{
	check_counts(w);
	must(w, !w->nr_pins, "%u pins", w->nr_pins);
	for (unsigned int i = 0; i < NR_OPS; i++)
		must(w, !w->ops[i].used, "op %u waits", i);
	check_all(w);
}

void world_fini(struct world *w)
{
	end_holders(w);
	ops_settle(w);
	check_idle(w);
	while (w->nr_files)
		do_unlink(w);
	must(w, !ddfs_unlink(w->root, "ballast", 7), "unlink");
	for (unsigned int i = 0; i < NR_HOLDERS; i++)
		if (w->holders[i].h)
			ddfs_holder_put(w->holders[i].h);
	ddfs_inode_put(w->ballast);
	ddfs_inode_put(w->root);
	must(w, !ddfs_fs_close(w->fs), "close");
	world_mount(w);
	must(w, nr_free(w) == w->free_at_start, "%llu blocks are free, not %llu",
		(unsigned long long)nr_free(w), (unsigned long long)w->free_at_start);
	ddfs_inode_put(w->root);
	must(w, !ddfs_fs_close(w->fs), "close");
	ram_fini(&w->ram);
	free(w->pages);
}
