/* SPDX-License-Identifier: BSD-3-Clause */
/* Who waits for whom: changes for pages, new pins for changes. */
#include <assert.h>
#include <errno.h>

#include "layout/holder.h"
#include "layout/layout_priv.h"

/* The pagemap that describes the filesystem's page, whether it is dying or not. */
static struct ddfs_pagemap *pagemap_of(const struct ddfs_layouts *ls, uint64_t page, uint64_t *off)
{
	const struct ddfs_pagemaps *set = ls->params.pagemaps;

	for (unsigned int i = 0; i < set->nr; i++) {
		*off = page - set->range[i].first;
		if (page >= set->range[i].first && *off < ddfs_pagemap_nr_pages(set->range[i].pm))
			return set->range[i].pm;
	}
	return NULL;
}

bool ddfs_layout_is_breaking(const struct ddfs_layout *l, uint64_t first, uint64_t last)
{
	const struct ddfs_wait *w;

	TAILQ_FOREACH(w, &l->breaks, link)
		if (ddfs_ranges_overlap(w->first, w->last, first, last))
			return true;
	return false;
}

/* ---- queued pins ---------------------------------------------------------------------------- */

static void queue_add(struct ddfs_layout *l, struct ddfs_wait *w)
{
	assert(w->state == DDFS_WAIT_NONE);
	w->state = DDFS_WAIT_PIN;
	w->layout = l;
	TAILQ_INSERT_TAIL(&l->queue, w, link);
	TAILQ_INSERT_TAIL(&l->layouts->queued, w, queued);
	l->layouts->stats.nr_queued++;
}

static void queue_wake(struct ddfs_wait *w, int err)
{
	struct ddfs_layouts *ls = w->layout->layouts;

	TAILQ_REMOVE(&w->layout->queue, w, link);
	TAILQ_REMOVE(&ls->queued, w, queued);
	ls->stats.nr_queued--;
	w->state = DDFS_WAIT_NONE;
	w->wake(w, err);
}

void ddfs_queued_fail(struct ddfs_layouts *ls, const struct ddfs_holder *h,
	const struct ddfs_pin_owner *o, int err)
{
	struct ddfs_wait *w = TAILQ_FIRST(&ls->queued), *next;

	for (; w; w = next) {
		next = TAILQ_NEXT(w, queued);
		if ((!h && !o) || (h && w->holder == h) || (o && w->owner == o))
			queue_wake(w, err);
	}
}

/* Those that no break keeps out any more. */
static void queue_admit(struct ddfs_layout *l)
{
	struct ddfs_wait *w = TAILQ_FIRST(&l->queue), *next;

	for (; w; w = next) {
		next = TAILQ_NEXT(w, link);
		if (!ddfs_layout_is_breaking(l, w->first, w->last))
			queue_wake(w, 0);
	}
}

static int admit(const struct ddfs_layout *l, const struct ddfs_pin_owner *owner,
	struct ddfs_holder *holder, uint64_t first, uint64_t last, const struct ddfs_wait *w)
{
	if (l->layouts->dying)
		return -ENODEV;
	if (!ddfs_layout_is_breaking(l, first, last))
		return 0;
	if (*ddfs_holder_nr_recalled(holder) || owner->nr_recalled)
		return -EDEADLK;
	if (!w)
		return -EAGAIN;
	return w->cancelled ? w->cancelled : -EINPROGRESS;
}

int ddfs_pin_admit(struct ddfs_layout *l, struct ddfs_pin_owner *owner, struct ddfs_holder *holder,
	uint64_t first, uint64_t last, struct ddfs_wait *w)
{
	struct ddfs_layouts *ls = l->layouts;
	int err;

	pthread_mutex_lock(&ls->lock);
	err = admit(l, owner, holder, first, last, w);
	if (err == -EINPROGRESS) {
		w->first = first;
		w->last = last;
		w->holder = holder;
		w->owner = owner;
		queue_add(l, w);
	}
	pthread_mutex_unlock(&ls->lock);
	return err;
}

/* ---- breaks --------------------------------------------------------------------------------- */

static bool is_broken(const struct ddfs_pin *pin)
{
	const struct ddfs_wait *w;

	TAILQ_FOREACH(w, &pin->layout->breaks, link)
		if (ddfs_pin_covers(pin, w->first, w->last))
			return true;
	return false;
}

/* Pins that were recalled for changes which stand no more may stay. */
static void unrecall_unbroken(struct ddfs_layout *l)
{
	struct ddfs_pin *pin;

	if (l->layouts->dying)
		return;
	LIST_FOREACH(pin, &l->pins, of_file)
		if (pin->recalled && !is_broken(pin))
			ddfs_pin_unrecall(pin);
}

/* It no longer waits for its page. */
static void break_stop(struct ddfs_wait *w)
{
	struct ddfs_layouts *ls = w->layout->layouts;
	uint64_t off;

	ddfs_pagemap_wait_end(pagemap_of(ls, w->page, &off));
	ls->stats.nr_breaks--;
	w->state = DDFS_WAIT_STANDING;
}

/* It stands no more. */
static void break_remove(struct ddfs_wait *w)
{
	TAILQ_REMOVE(&w->layout->breaks, w, link);
	w->state = DDFS_WAIT_NONE;
	unrecall_unbroken(w->layout);
	queue_admit(w->layout);
}

static void break_fail(struct ddfs_wait *w, int err)
{
	break_stop(w);
	break_remove(w);
	w->wake(w, err);
}

void ddfs_breaks_fail(const struct ddfs_pin *pin, int err)
{
	struct ddfs_wait *w = TAILQ_FIRST(&pin->layout->breaks), *next;

	for (; w; w = next) {
		next = TAILQ_NEXT(w, link);
		if (w->state == DDFS_WAIT_BREAK && ddfs_pin_covers(pin, w->first, w->last))
			break_fail(w, err);
	}
}

/* Called by the put of a page; arg is the pin that held it. */
void ddfs_layouts_page_idle(void *arg, uint64_t page, uint64_t nr)
{
	const struct ddfs_pin *pin = arg;
	struct ddfs_wait *w;

	page += pin->pagemap_first;
	TAILQ_FOREACH(w, &pin->layout->breaks, link) {
		if (w->state != DDFS_WAIT_BREAK || w->page < page || w->page - page >= nr)
			continue;
		break_stop(w);
		w->wake(w, 0);
	}
}

/* A change that comes when the lease has run out is no better off than those that it ran out on. */
static bool is_expired(const struct ddfs_layout *l, uint64_t first, uint64_t last)
{
	const struct ddfs_pin *pin;

	if (l->layouts->params.lease_expire != DDFS_LEASE_FAIL)
		return false;
	LIST_FOREACH(pin, &l->pins, of_file)
		if (pin->expired && ddfs_pin_covers(pin, first, last))
			return true;
	return false;
}

static int break_may_wait(
	const struct ddfs_layout *l, uint64_t first, uint64_t last, const struct ddfs_wait *w)
{
	assert(w->state == DDFS_WAIT_NONE || (w->state == DDFS_WAIT_STANDING && w->layout == l));
	if (w->cancelled)
		return w->cancelled;
	return is_expired(l, first, last) ? -EBUSY : 0;
}

static void break_register(
	struct ddfs_layout *l, struct ddfs_wait *w, uint64_t first, uint64_t last, uint64_t page)
{
	bool again = w->state == DDFS_WAIT_STANDING;
	struct ddfs_pin *pin;

	if (!again)
		TAILQ_INSERT_TAIL(&l->breaks, w, link);
	w->state = DDFS_WAIT_BREAK;
	w->layout = l;
	w->first = first;
	w->last = last;
	w->page = page;
	l->layouts->stats.nr_breaks++;
	LIST_FOREACH(pin, &l->pins, of_file)
		if (ddfs_pin_covers(pin, first, last))
			ddfs_pin_recall(pin);
	/* It may take away less than when it was here before: how much may depend on other files.
	 */
	if (again) {
		unrecall_unbroken(l);
		queue_admit(l);
	}
}

int ddfs_layout_wait(
	struct ddfs_layout *l, uint64_t first, uint64_t last, uint64_t page, struct ddfs_wait *w)
{
	struct ddfs_layouts *ls = l->layouts;
	struct ddfs_pagemap *pm;
	uint64_t off;
	int err;

	if (!w)
		return -EBUSY;
	pthread_mutex_lock(&ls->lock);
	pm = pagemap_of(ls, page, &off);
	/* Announced before the look: a put behind it either is seen or calls. */
	ddfs_pagemap_wait_begin(pm);
	err = ddfs_pagemap_count(pm, off) == 1 ? -EAGAIN : break_may_wait(l, first, last, w);
	if (!err) {
		break_register(l, w, first, last, page);
		err = -EINPROGRESS;
	} else {
		ddfs_pagemap_wait_end(pm);
	}
	pthread_mutex_unlock(&ls->lock);
	return err;
}

/* ---- the end of a wait ---------------------------------------------------------------------- */

void ddfs_wait_end(struct ddfs_layouts *ls, struct ddfs_wait *w)
{
	pthread_mutex_lock(&ls->lock);
	assert(w->state == DDFS_WAIT_NONE || w->state == DDFS_WAIT_STANDING);
	if (w->state == DDFS_WAIT_STANDING)
		break_remove(w);
	pthread_mutex_unlock(&ls->lock);
}

bool ddfs_wait_cancel(struct ddfs_layouts *ls, struct ddfs_wait *w, int err)
{
	bool waits = true;

	pthread_mutex_lock(&ls->lock);
	w->cancelled = err;
	if (w->state == DDFS_WAIT_BREAK)
		break_fail(w, err);
	else if (w->state == DDFS_WAIT_PIN)
		queue_wake(w, err);
	else
		waits = false;
	pthread_mutex_unlock(&ls->lock);
	return waits;
}
