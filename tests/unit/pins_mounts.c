/* SPDX-License-Identifier: BSD-3-Clause */
/* The filesystem is unmounted and mounted again, or its daemon killed, while clients hold pages. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/pins_world.h"
#include "tests/unit/tree.h"

/* ---- clients --------------------------------------------------------------------------------- */

/* The pins of an earlier mount, all of its own or another client's, that are to be there. */
static bool is_kept(struct world *w, uint32_t epoch, const struct wholder *who)
{
	return world_has_clients(w, epoch) || who->state == HOLDER_DYING;
}

void do_tick(struct world *w)
{
	ddfs_pins_tick(w->fs);
	for (unsigned int i = w->nr_pins; i--;)
		if (w->pins[i]->old && !is_kept(w, w->pins[i]->epoch, w->pins[i]->who))
			book_unpin(w, w->pins[i]);
}

/* ---- what is recorded ----------------------------------------------------------------------- */

/* A run of a pin: what one record is of. */
struct record {
	uint64_t id; /* of the pin */
	struct wfile *f;
	struct wholder *who;
	uint32_t epoch;
	enum ddfs_pin_mode mode;
	struct ddfs_page_run run;
	bool certain, found;
};
struct records {
	struct record *r;
	size_t nr;
};

static bool is_same(const struct record *a, const struct record *b)
{
	return a->id == b->id && a->run.block == b->run.block;
}

/* Those of all pins that are there now. */
static struct records records_of(struct world *w)
{
	struct records all = { 0 };

	for (unsigned int i = 0; i < w->nr_pins; i++) {
		const struct wpin *pin = w->pins[i];

		all.r = realloc(all.r, (all.nr + pin->nr_runs + 1) * sizeof(*all.r));
		for (size_t k = 0; k < pin->nr_runs; k++)
			all.r[all.nr++] = (struct record){ pin->id, pin->f, pin->who, pin->epoch,
				pin->mode, pin->runs[k], false, false };
	}
	return all;
}

/* What is in both is certain; what is in one of them may be on media. */
static void records_join(struct records *a, struct records *b)
{
	size_t nr = a->nr;

	a->r = realloc(a->r, (a->nr + b->nr + 1) * sizeof(*a->r));
	for (size_t i = 0; i < b->nr; i++) {
		size_t k = 0;

		while (k < nr && !is_same(&a->r[k], &b->r[i]))
			k++;
		if (k < nr)
			a->r[k].certain = true;
		else
			a->r[a->nr++] = b->r[i];
	}
	free(b->r);
}

/* ---- contents across a crash ---------------------------------------------------------------- */

struct contents {
	uint64_t size[NR_FILES];
	uint64_t *val[NR_FILES];
};

static void contents_save(const struct world *w, struct contents *c)
{
	for (unsigned int i = 0; i < w->nr_files; i++) {
		c->size[i] = w->files[i]->size;
		c->val[i] = malloc(w->max_halves * sizeof(*c->val[i]));
		memcpy(c->val[i], w->files[i]->val, w->max_halves * sizeof(*c->val[i]));
	}
}

static void read_half(struct world *w, struct wfile *f, uint64_t half)
{
	uint64_t at_start, at_end;
	uint8_t buf[HALF];

	must(w, ddfs_pread(f->ip, buf, HALF, half * HALF) == (ssize_t)HALF, "half %llu",
		(unsigned long long)half);
	memcpy(&at_start, buf, 8);
	memcpy(&at_end, buf + HALF - 8, 8);
	f->val[half] = at_start;
	if (at_start == at_end)
		return;
	/* Stored in part. */
	f->val[half] = ++w->last_val;
	memset(buf, 0, HALF);
	memcpy(buf, &f->val[half], 8);
	memcpy(buf + HALF - 8, &f->val[half], 8);
	must(w, ddfs_write(f->ip, half * HALF, buf, HALF, 0) == (ssize_t)HALF, "half %llu",
		(unsigned long long)half);
}

/* The call that the crash came into may have happened, in part even. */
static void read_contents(struct world *w, struct wfile *f)
{
	struct ddfs_attr a;

	ddfs_getattr(f->ip, &a);
	must(w, a.size % HALF == 0 && a.size <= w->max_halves * HALF, "%llu bytes",
		(unsigned long long)a.size);
	f->size = a.size / HALF;
	memset(f->val, 0, w->max_halves * sizeof(*f->val));
	for (uint64_t i = 0; i < f->size; i++)
		read_half(w, f, i);
}

/* Files that the interrupted call has changed; c is forgotten. */
static void contents_restore(
	struct world *w, struct contents *c, struct wfile *const *files, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct wfile *f = files[i];

		if (!f->gone && (f->size != c->size[i] ||
					memcmp(f->val, c->val[i], w->max_halves * sizeof(*f->val))))
			read_contents(w, f);
		free(c->val[i]);
	}
}

/* ---- the end of a mount --------------------------------------------------------------------- */

/* Forget all that is not on media, with everything given back that fs would miss. */
static void forget(struct world *w)
{
	for (unsigned int i = 0; i < NR_OPS; i++) {
		struct wop *op = &w->ops[i];

		if (!op->used)
			continue;
		ddfs_wait_cancel(ddfs_fs_layouts(w->fs), &op->wait, -ENODEV);
		ddfs_wait_end(ddfs_fs_layouts(w->fs), &op->wait);
		op->used = false;
	}
	for (unsigned int i = 0; i < NR_HOLDERS; i++) {
		if (w->holders[i].h)
			ddfs_holder_put(w->holders[i].h);
		w->holders[i].h = NULL;
		w->holders[i].nr_handles = w->holders[i].nr_pins = 0;
	}
	memset(w->handles, 0, sizeof(w->handles));
	for (unsigned int i = 0; i < w->nr_pins; i++) {
		free(w->pins[i]->runs);
		free(w->pins[i]);
	}
	w->nr_pins = 0;
	memset(w->pages, 0, w->nr_blocks * sizeof(*w->pages));
}

static void close_it(struct world *w)
{
	struct ddfs_fs *fs = w->fs;

	forget(w);
	for (unsigned int i = 0; i < w->nr_files; i++) {
		ddfs_inode_put(w->files[i]->ip);
		w->files[i]->nr_opens = w->files[i]->nr_pins = w->files[i]->nr_parked = 0;
	}
	ddfs_inode_put(w->ballast);
	ddfs_inode_put(w->root);
	must(w, !ddfs_fs_close(fs), "close");
}

/* ---- the next one --------------------------------------------------------------------------- */

static void keep_record(struct world *w, struct record *r, uint64_t id)
{
	struct wpin *pin = calloc(1, sizeof(*pin));

	r->found = true;
	pin->id = id;
	pin->f = r->f;
	pin->who = r->who;
	pin->old = true;
	pin->epoch = r->epoch;
	pin->mode = r->mode;
	pin->first = r->run.block;
	pin->last = r->run.block + r->run.nr;
	pin->nr_runs = 1;
	pin->runs = malloc(sizeof(*pin->runs));
	pin->runs[0] = r->run;
	book_pin(w, pin);
}

static bool matches(const struct record *r, const struct ddfs_pin_info *info)
{
	return !r->found && r->f->id == info->file && r->run.block == info->first &&
	       r->run.nr == info->nr_pages && r->mode == info->mode && r->who->pid == info->pid;
}

static void match(struct world *w, struct records *all, const struct ddfs_pin_info *info)
{
	struct record *found = NULL;

	for (size_t i = 0; i < all->nr; i++) {
		struct record *r = &all->r[i];

		if (matches(r, info) && (!found || r->certain))
			found = r;
	}
	must(w, found && is_kept(w, found->epoch, found->who), "inode %llx, %llu to %llu of %d",
		(unsigned long long)info->file, (unsigned long long)info->first,
		(unsigned long long)info->last, (int)info->pid);
	keep_record(w, found, info->id);
}

static void match_all(struct world *w, struct records *all)
{
	struct ddfs_pin_info infos[64];
	struct ddfs_recovery rec;
	uint64_t after = 0;
	size_t n;

	while ((n = ddfs_layouts_list(ddfs_fs_layouts(w->fs), NULL, after, infos, 64))) {
		for (size_t i = 0; i < n; i++)
			match(w, all, &infos[i]);
		after = infos[n - 1].id;
	}
	for (size_t i = 0; i < all->nr; i++) {
		const struct record *r = &all->r[i];

		must(w, r->found || !r->certain || !is_kept(w, r->epoch, r->who),
			"pin of file %llx, blocks %llu+%llu, by %d is lost",
			(unsigned long long)r->f->id, (unsigned long long)r->run.block,
			(unsigned long long)r->run.nr, (int)r->who->pid);
	}
	ddfs_fs_recovery(w->fs, &rec);
	must(w, rec.nr_pins_kept == w->nr_pins, "%llu kept", (unsigned long long)rec.nr_pins_kept);
	free(all->r);
}

/* A file without a name is there as long as a client holds a page of it. */
static void find_files(struct world *w)
{
	for (unsigned int i = 0; i < w->nr_files; i++) {
		struct wfile *f = w->files[i];
		int err = ddfs_inode_get(w->fs, f->id, &f->ip);

		f->gone = f->name < 0 && !f->nr_pins;
		must(w, err == (f->gone ? -ESTALE : 0), "file %llx: %d", (unsigned long long)f->id,
			err);
		if (f->gone)
			f->ip = NULL;
	}
}

static void drop_gone(struct world *w)
{
	for (unsigned int i = w->nr_files; i--;) {
		struct wfile *f = w->files[i];

		if (!f->gone)
			continue;
		w->files[i] = w->files[--w->nr_files];
		free(f->val);
		free(f);
	}
}

static void open_it(struct world *w, struct records *all)
{
	world_mount(w);
	w->ballast = tree_get(w->root, "ballast");
	match_all(w, all);
	find_files(w);
}

void do_remount(struct world *w)
{
	struct records all, same;

	for (unsigned int i = 0; i < NR_HANDLES; i++)
		if (w->handles[i].used && !w->handles[i].nr_parked && rng_below(&w->rng, 2))
			handle_release(w, &w->handles[i]);
	world_trace(w, "remount");
	all = records_of(w);
	same = records_of(w);
	records_join(&all, &same);
	close_it(w);
	open_it(w, &all);
	drop_gone(w);
	check_all(w);
}

/* ---- crash ---------------------------------------------------------------------------------- */

/* Takes a copy of memory when as many stores have been made. */
struct camera {
	struct world *w;
	uint64_t countdown;
	bool taken;
	struct ram copy;
};

static void before_store(void *arg, uint64_t off, size_t len)
{
	struct camera *c = arg;

	(void)off;
	(void)len;
	if (c->taken || c->countdown--)
		return;
	ram_copy_image(&c->copy, &c->w->ram);
	c->taken = true;
}

static void before_fence(void *arg)
{
	(void)arg;
}

static void call_in_between(struct world *w)
{
	static void (*const calls[])(struct world * w) = { do_pin, do_pin, do_pin, do_unpin,
		do_unpin, do_change, do_change, do_later, do_write, do_release, do_collect };

	calls[rng_below(&w->rng, sizeof(calls) / sizeof(calls[0]))](w);
}

/* Files stay in the books until it is known what is left of them. */
static void hold_files(struct world *w, int by)
{
	for (unsigned int i = 0; i < w->nr_files; i++)
		w->files[i]->nr_parked += (unsigned int)by;
}

void do_crash(struct world *w)
{
	struct camera c = { .w = w, .countdown = rng_below(&w->rng, 12) };
	struct ram_ear ear = { before_store, before_fence, &c };
	struct records all = records_of(w), then;
	struct wfile *files[NR_FILES];
	unsigned int nr = w->nr_files;
	struct contents before;

	contents_save(w, &before);
	memcpy(files, w->files, sizeof(files));
	hold_files(w, 1);
	w->ram.ear = &ear;
	call_in_between(w);
	w->ram.ear = NULL;
	if (!c.taken)
		ram_copy_image(&c.copy, &w->ram);
	world_trace(w, "crash");
	then = records_of(w);
	records_join(&all, &then);
	close_it(w);
	ram_fini(&w->ram);
	w->ram = c.copy;
	open_it(w, &all);
	contents_restore(w, &before, files, nr);
	drop_gone(w);
	check_all(w);
	w->nr_crashes++;
}
