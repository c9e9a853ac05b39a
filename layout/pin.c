/* SPDX-License-Identifier: BSD-3-Clause */
/* Pins: made, and ended in the four ways that there are. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layout/holder.h"
#include "layout/layout_priv.h"
#include "layout/proc.h"

void ddfs_pin_owner_init(
	struct ddfs_pin_owner *o, void (*recall)(struct ddfs_pin_owner *o, bool pending))
{
	*o = (struct ddfs_pin_owner){ .recall = recall };
	LIST_INIT(&o->pins);
}

bool ddfs_pin_covers(const struct ddfs_pin *pin, uint64_t first, uint64_t last)
{
	for (size_t i = 0; i < pin->nr_runs; i++)
		if (ddfs_ranges_overlap(
			    pin->runs[i].block, pin->runs[i].block + pin->runs[i].nr, first, last))
			return true;
	return false;
}

static uint64_t nr_pages(const struct ddfs_pin *pin)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < pin->nr_runs; i++)
		nr += pin->runs[i].nr;
	return nr;
}

/* ---- making --------------------------------------------------------------------------------- */

static struct ddfs_pin *pin_new(struct ddfs_layout *l, const struct ddfs_pin_params *p)
{
	struct ddfs_pin *pin = calloc(1, sizeof(*pin) + p->nr_runs * sizeof(pin->runs[0]));

	if (!pin)
		return NULL;
	pin->layout = l;
	pin->holder = p->holder;
	pin->owner = p->owner;
	pin->first = p->first;
	pin->last = p->last;
	pin->mode = p->mode;
	pin->epoch = p->epoch;
	pin->priv = p->priv;
	pin->nr_runs = p->nr_runs;
	if (p->nr_runs)
		memcpy(pin->runs, p->runs, p->nr_runs * sizeof(pin->runs[0]));
	pin->pid = p->pid;
	pin->since.tv_sec = p->since;
	if (!pin->holder)
		return pin;
	clock_gettime(CLOCK_REALTIME, &pin->since);
	pin->pid = ddfs_holder_pid(pin->holder);
	ddfs_holder_get(pin->holder);
	return pin;
}

/* The memory, and what it refers to from its making. */
static void pin_delete(struct ddfs_pin *pin)
{
	if (pin->pagemap)
		ddfs_pagemap_put_live(pin->pagemap);
	if (pin->holder)
		ddfs_holder_put(pin->holder);
	free(pin);
}

/* A live reference to the one pagemap that all runs lie in. */
static int pin_find_pagemap(struct ddfs_pin *pin, const struct ddfs_pagemaps *set)
{
	for (size_t i = 0; i < pin->nr_runs; i++) {
		const struct ddfs_page_run *r = &pin->runs[i];
		struct ddfs_pagemap *before = pin->pagemap;
		uint64_t off;

		pin->pagemap = ddfs_pagemap_get(set, r->page, before, &off);
		if (!pin->pagemap)
			return -ENODEV;
		if (before && before != pin->pagemap)
			return -EXDEV;
		if (r->nr > ddfs_pagemap_nr_pages(pin->pagemap) - off)
			return -EXDEV;
		pin->pagemap_first = r->page - off;
	}
	if (pin->pagemap && ddfs_pagemap_type(pin->pagemap) == DDFS_MEMORY_PRIVATE)
		return -EOPNOTSUPP;
	return 0;
}

static void put_runs(struct ddfs_pin *pin, size_t nr)
{
	while (nr--)
		ddfs_pagemap_put_pages(pin->pagemap, pin->runs[nr].page - pin->pagemap_first,
			pin->runs[nr].nr, pin);
}

static int get_runs(struct ddfs_pin *pin)
{
	for (size_t i = 0; i < pin->nr_runs; i++) {
		int err = ddfs_pagemap_get_pages(
			pin->pagemap, pin->runs[i].page - pin->pagemap_first, pin->runs[i].nr);

		if (!err)
			continue;
		put_runs(pin, i);
		return err;
	}
	return 0;
}

/* Its pages become busy and everybody may find it. */
static int pin_insert(struct ddfs_layouts *ls, struct ddfs_pin *pin)
{
	int err = ls->dying ? -ENODEV : ddfs_pin_slot_get(ls, pin);

	if (err)
		return err;
	err = get_runs(pin);
	if (err) {
		ddfs_pin_slot_put(ls, pin);
		return err;
	}
	LIST_INSERT_HEAD(&pin->layout->pins, pin, of_file);
	atomic_fetch_add(&pin->layout->nr_pins, 1);
	if (pin->owner) {
		LIST_INSERT_HEAD(&pin->owner->pins, pin, of_owner);
		pin->owner->nr_pins++;
	}
	ls->nr_here += pin->holder != NULL;
	ls->stats.nr_pins++;
	ls->stats.nr_pages += nr_pages(pin);
	return 0;
}

static void pin_undo(struct ddfs_layouts *ls, struct ddfs_pin *pin)
{
	if (!ls->params.erase)
		return;
	pthread_mutex_lock(&ls->lock);
	ls->params.erase(ls->params.arg, pin);
	pthread_mutex_unlock(&ls->lock);
}

int ddfs_pin_add(struct ddfs_layout *l, const struct ddfs_pin_params *p, struct ddfs_pin **out)
{
	struct ddfs_layouts *ls = l->layouts;
	struct ddfs_pin *pin = pin_new(l, p);
	int err;

	if (!pin)
		return -ENOMEM;
	err = pin_find_pagemap(pin, ls->params.pagemaps);
	if (!err && p->record)
		err = p->record(pin, p->arg);
	if (err) {
		pin_delete(pin);
		return err;
	}
	pthread_mutex_lock(&ls->lock);
	err = pin_insert(ls, pin);
	pthread_mutex_unlock(&ls->lock);
	if (!err) {
		*out = pin;
		return 0;
	}
	if (p->record)
		pin_undo(ls, pin);
	pin_delete(pin);
	return err;
}

/* ---- ending --------------------------------------------------------------------------------- */

void ddfs_pin_end(struct ddfs_pin *pin, bool erase, struct ddfs_pin_list *ended)
{
	struct ddfs_layouts *ls = pin->layout->layouts;

	/* While the record is there the pages are busy: a crash in between keeps too much, never
	 * too little. */
	if (erase && ls->params.erase)
		ls->params.erase(ls->params.arg, pin);
	ddfs_pin_unrecall(pin);
	LIST_REMOVE(pin, of_file);
	ls->nr_lingering -= pin->holder && !pin->owner;
	if (pin->owner) {
		LIST_REMOVE(pin, of_owner);
		pin->owner->nr_pins--;
		pin->owner = NULL;
	}
	ls->stats.nr_pins--;
	ls->stats.nr_pages -= nr_pages(pin);
	ddfs_pin_slot_put(ls, pin);
	put_runs(pin, pin->nr_runs);
	/* Last, for who reads it without the lock: a file without pins has no busy page. */
	atomic_fetch_sub(&pin->layout->nr_pins, 1);
	if (pin->holder && !--ls->nr_here)
		pthread_cond_broadcast(&ls->went);
	LIST_INSERT_HEAD(ended, pin, of_owner);
}

void ddfs_pins_finish(struct ddfs_layouts *ls, struct ddfs_pin_list *ended)
{
	struct ddfs_pin *pin;

	while ((pin = LIST_FIRST(ended))) {
		LIST_REMOVE(pin, of_owner);
		if (ls->params.ended)
			ls->params.ended(ls->params.arg, pin);
		pin_delete(pin);
	}
}

/* The owner's pin, or NULL. */
static struct ddfs_pin *owned(struct ddfs_layouts *ls, struct ddfs_pin_owner *o, uint64_t id)
{
	struct ddfs_pin *pin = ddfs_pin_find(ls, id);

	return pin && pin->owner == o ? pin : NULL;
}

int ddfs_pin_remove(struct ddfs_layouts *ls, struct ddfs_pin_owner *o, uint64_t id)
{
	struct ddfs_pin_list ended = LIST_HEAD_INITIALIZER(ended);
	struct ddfs_pin *pin;

	pthread_mutex_lock(&ls->lock);
	pin = owned(ls, o, id);
	if (pin)
		ddfs_pin_end(pin, true, &ended);
	pthread_mutex_unlock(&ls->lock);
	ddfs_pins_finish(ls, &ended);
	return pin ? 0 : -ENOENT;
}

int ddfs_pin_visit(struct ddfs_layouts *ls, struct ddfs_pin_owner *o, uint64_t id,
	int (*fn)(const struct ddfs_pin *pin, void *arg), void *arg)
{
	struct ddfs_pin *pin;
	int ret = -ENOENT;

	pthread_mutex_lock(&ls->lock);
	pin = owned(ls, o, id);
	if (pin)
		ret = fn(pin, arg);
	pthread_mutex_unlock(&ls->lock);
	return ret;
}

/* ---- the file is closed --------------------------------------------------------------------- */

/* Its file is closed but its holder lives on for a moment. */
static void pin_linger(struct ddfs_pin *pin)
{
	struct ddfs_pin_owner *o = pin->owner;

	LIST_REMOVE(pin, of_owner);
	o->nr_pins--;
	o->nr_recalled -= pin->recalled;
	pin->owner = NULL;
	pin->layout->layouts->nr_lingering++;
}

static void release_of_holder(struct ddfs_pin_owner *o, const struct ddfs_holder *h, bool dying,
	struct ddfs_pin_list *ended)
{
	struct ddfs_pin *pin = LIST_FIRST(&o->pins), *next;

	for (; pin; pin = next) {
		next = LIST_NEXT(pin, of_owner);
		if (pin->holder != h)
			continue;
		if (dying)
			pin_linger(pin);
		else
			ddfs_pin_end(pin, true, ended);
	}
}

/* End what lingers of a holder that is gone. */
static void collect(struct ddfs_layouts *ls, const struct ddfs_holder *h)
{
	struct ddfs_pin_list ended = LIST_HEAD_INITIALIZER(ended);
	struct ddfs_pin *pin = NULL;
	uint64_t id = 0;

	pthread_mutex_lock(&ls->lock);
	while (ls->nr_lingering && (pin = ddfs_pin_next(ls, id))) {
		id = pin->id;
		if (pin->holder == h && !pin->owner)
			ddfs_pin_end(pin, true, &ended);
	}
	pthread_mutex_unlock(&ls->lock);
	ddfs_pins_finish(ls, &ended);
}

void ddfs_pin_owner_release(struct ddfs_layouts *ls, struct ddfs_pin_owner *o)
{
	struct ddfs_pin_list ended = LIST_HEAD_INITIALIZER(ended);
	struct ddfs_holder *h;
	bool dying;

	pthread_mutex_lock(&ls->lock);
	while (!LIST_EMPTY(&o->pins)) {
		h = LIST_FIRST(&o->pins)->holder;
		ddfs_holder_get(h);
		/* It takes a look at /proc; nobody adds pins to a file that is closed. */
		pthread_mutex_unlock(&ls->lock);
		dying = ddfs_holder_is_dying(h);
		pthread_mutex_lock(&ls->lock);
		release_of_holder(o, h, dying, &ended);
		pthread_mutex_unlock(&ls->lock);
		/* It may have been collected between the look and now: nobody else would do it. */
		if (dying && ddfs_holder_is_gone(h))
			collect(ls, h);
		ddfs_holder_put(h);
		pthread_mutex_lock(&ls->lock);
	}
	pthread_mutex_unlock(&ls->lock);
	ddfs_pins_finish(ls, &ended);
}

void ddfs_layouts_collect(struct ddfs_layouts *ls)
{
	struct ddfs_holder *h;

	while ((h = ddfs_holders_collect(ls->holders))) {
		collect(ls, h);
		ddfs_holder_put(h);
	}
}

/* ---- earlier mounts ------------------------------------------------------------------------- */

uint64_t ddfs_layouts_end_epochs(
	struct ddfs_layouts *ls, bool (*gone)(void *arg, uint32_t epoch), void *arg)
{
	struct ddfs_pin_list ended = LIST_HEAD_INITIALIZER(ended);
	uint64_t id = 0, nr = 0;
	struct ddfs_pin *pin;
	uint32_t asked = 0;
	bool is_gone = false;

	pthread_mutex_lock(&ls->lock);
	while (ls->stats.nr_pins > ls->nr_here && (pin = ddfs_pin_next(ls, id))) {
		id = pin->id;
		if (pin->holder)
			continue;
		if (pin->epoch != asked)
			is_gone = gone(arg, pin->epoch);
		asked = pin->epoch;
		if (is_gone && !(pin->pid && ddfs_proc_is_going(pin->pid, pin->since.tv_sec))) {
			ddfs_pin_end(pin, true, &ended);
			nr++;
		}
	}
	pthread_mutex_unlock(&ls->lock);
	ddfs_pins_finish(ls, &ended);
	return nr;
}
