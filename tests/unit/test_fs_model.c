/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The filesystem under random operations, held against a model: after every operation its result,
 * and now and then, after remounts and crashes above all, everything.
 *
 * DDFS_SEED and DDFS_STEPS in the environment choose another and a longer run, DDFS_CASE one of
 * the cases alone; DDFS_TRACE shows what is done to files, DDFS_EACH checks the image after
 * every operation from that step on.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/check_image.h"
#include "tests/unit/model.h"
#include "tests/unit/suite.h"
#include "tests/unit/weighted.h"

#define MIB (UINT64_C(1) << 20)

static const struct setup {
	uint64_t size, align;
	enum ddfs_dax dax;
	bool kernel_refs, lazytime;
} setups[] = {
	{ 32 * MIB, 4096, DDFS_DAX_INODE, false, false },
	{ 24 * MIB, 4096, DDFS_DAX_NEVER, true, true },
	{ 128 * MIB, 2 * MIB, DDFS_DAX_ALWAYS, true, false },
	{ 32 * MIB, 4096, DDFS_DAX_ALWAYS, false, false },
	{ 96 * MIB, 2 * MIB, DDFS_DAX_NEVER, false, true },
};
#define NR_SETUPS (sizeof(setups) / sizeof(setups[0]))
#define NR_SEEDS  2

static const struct weighted_call ops[] = {
	{ model_op_create, 14 },
	{ model_op_link, 4 },
	{ model_op_unlink, 7 },
	{ model_op_rmdir, 3 },
	{ model_op_rename, 8 },
	{ model_op_lookup, 4 },
	{ model_op_write, 16 },
	{ model_op_truncate, 6 },
	{ model_op_fallocate, 12 },
	{ model_op_copy, 5 },
	{ model_op_verify, 4 },
	{ model_op_setattr, 3 },
	{ model_op_setxattr, 7 },
	{ model_op_removexattr, 3 },
	{ model_op_open, 3 },
	{ model_op_release, 2 },
	{ model_op_forget, 1 },
};

static void one_step(struct world *w)
{
	weighted_pick(&w->rng, ops, sizeof(ops) / sizeof(ops[0]))->call(w);
}

static void begin(struct world *w, const struct setup *s, uint64_t seed)
{
	struct ddfs_inode *root;
	struct ddfs_attr a;

	memset(w, 0, sizeof(*w));
	rng_seed(&w->rng, seed);
	w->trace = getenv("DDFS_TRACE");
	w->buf = malloc(MODEL_BUF);
	w->opt = (struct ddfs_fs_options){
		.dax = s->dax, .kernel_refs = s->kernel_refs, .lazytime = s->lazytime
	};
	w->unit_bytes = s->dax == DDFS_DAX_ALWAYS ? s->align : MODEL_BLOCK;
	if (s->dax == DDFS_DAX_ALWAYS)
		w->image_flags = IMAGE_DAX_ALIGNED;
	ram_mkfs(&w->ram, s->size, s->align);
	w->fs = ram_mount(&w->ram, &w->opt);
	root = ram_root(w->fs);
	ddfs_getattr(root, &a);
	ddfs_inode_put(root);
	model_node_new(w, a.mode);
	w->node[0]->id = DDFS_ID_ROOT;
	w->node[0]->parent = w->node[0];
}

/* What was open is so no more. */
static void drop_handles(struct world *w)
{
	while (w->nr_handles) {
		struct mnode *n = w->handle[--w->nr_handles].node;

		if (!--n->opens && !n->nlink)
			model_node_delete(w, n);
	}
	w->nr_dead = 0;
}

static void remount(struct world *w)
{
	struct image_summary s;

	/* Half of the time somebody cleans up first. */
	if (rng_below(&w->rng, 2))
		while (w->nr_handles)
			model_op_release(w);
	drop_handles(w);
	model_trace(w, "remount", w->node[0], 0, 0);
	ck_assert_int_eq(ddfs_fs_close(w->fs), 0);
	image_check(w->ram.media.base, w->ram.media.size, w->image_flags, &s);
	ck_assert_uint_eq(s.nr_problems, 0);
	ck_assert(s.clean);
	ck_assert_uint_eq(s.nr_orphans, 0);
	w->fs = ram_mount(&w->ram, &w->opt);
}

/* The memory as SIGKILL of the daemon would leave it. */
static void crash(struct world *w)
{
	struct ddfs_recovery r;
	struct ram after;

	ram_copy_image(&after, &w->ram);
	ddfs_fs_close(w->fs);
	ram_fini(&w->ram);
	w->ram = after;
	drop_handles(w);
	model_trace(w, "crash", w->node[0], 0, 0);
	w->fs = ram_mount(&w->ram, &w->opt);
	ddfs_fs_recovery(w->fs, &r);
	ck_assert(!r.was_clean);
}

static void finish(struct world *w, uint64_t free_at_start)
{
	struct ddfs_statfs st;

	while (w->nr_handles)
		model_op_release(w);
	model_remove_all(w);
	model_op_forget(w);
	model_verify(w);
	remount(w);
	model_verify(w);
	ddfs_fs_statfs(w->fs, &st);
	ck_assert_msg(st.nr_free == free_at_start, "%llu blocks free of %llu after all was removed",
		(unsigned long long)st.nr_free, (unsigned long long)free_at_start);
	ck_assert_int_eq(ddfs_fs_close(w->fs), 0);
	model_clear(w);
	ram_fini(&w->ram);
	free(w->buf);
}

START_TEST(random_operations)
{
	const struct setup *s = &setups[(size_t)_i % NR_SETUPS];
	uint64_t seed = env_number("DDFS_SEED", 1000) + (uint64_t)_i;
	uint64_t steps = env_number("DDFS_STEPS", 6000);
	struct ddfs_statfs st;
	struct world w;

	if (env_number("DDFS_CASE", (uint64_t)_i) != (uint64_t)_i)
		return;
	fprintf(stderr, "setup %zu, seed %llu\n", (size_t)_i % NR_SETUPS, (unsigned long long)seed);
	begin(&w, s, seed);
	ddfs_fs_statfs(w.fs, &st);
	for (uint64_t i = 0; i < steps; i++) {
		one_step(&w);
		if (i >= env_number("DDFS_EACH", UINT64_MAX))
			ck_image(&w.ram.media);
		if (i % 500 == 250)
			model_verify(&w);
		if (i % 1500 == 700) {
			remount(&w);
			model_verify(&w);
		} else if (i % 1500 == 1400) {
			crash(&w);
			model_verify(&w);
		}
	}
	model_verify(&w);
	fprintf(stderr, "seed %llu: %llu done, %llu refused, %llu without room, %zu inodes\n",
		(unsigned long long)seed, (unsigned long long)w.nr_ok,
		(unsigned long long)w.nr_refused, (unsigned long long)w.nr_full, w.nr_nodes);
	finish(&w, st.nr_free);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "random operations", random_operations, NR_SETUPS * NR_SEEDS },
	};

	return suite_run("fs_model", cases, 1);
}
