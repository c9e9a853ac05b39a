/* SPDX-License-Identifier: BSD-3-Clause */
/* Pins by their ids, and what people want to know of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout/holder.h"
#include "layout/layout_priv.h"

/* ---- slots ---------------------------------------------------------------------------------- */

static int slots_grow(struct ddfs_layouts *ls)
{
	uint32_t nr = ls->nr_slots ? ls->nr_slots * 2 : 64;
	struct ddfs_pin_slot *slots = realloc(ls->slots, nr * sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	memset(slots + ls->nr_slots, 0, (nr - ls->nr_slots) * sizeof(*slots));
	for (uint32_t i = nr - 1; i > 0 && i >= ls->nr_slots; i--) {
		slots[i].next_free = ls->free_slot;
		ls->free_slot = i;
	}
	ls->slots = slots;
	ls->nr_slots = nr;
	return 0;
}

int ddfs_pin_slot_get(struct ddfs_layouts *ls, struct ddfs_pin *pin)
{
	struct ddfs_pin_slot *slot;
	uint32_t nr;
	int err = ls->free_slot ? 0 : slots_grow(ls);

	if (err)
		return err;
	nr = ls->free_slot;
	slot = &ls->slots[nr];
	ls->free_slot = slot->next_free;
	slot->pin = pin;
	slot->generation++;
	pin->id = (uint64_t)nr << 32 | slot->generation;
	return 0;
}

void ddfs_pin_slot_put(struct ddfs_layouts *ls, struct ddfs_pin *pin)
{
	uint32_t nr = (uint32_t)(pin->id >> 32);

	ls->slots[nr].pin = NULL;
	ls->slots[nr].next_free = ls->free_slot;
	ls->free_slot = nr;
}

struct ddfs_pin *ddfs_pin_next(struct ddfs_layouts *ls, uint64_t after)
{
	for (uint64_t i = after >> 32; i < ls->nr_slots; i++)
		if (ls->slots[i].pin && ls->slots[i].pin->id > after)
			return ls->slots[i].pin;
	return NULL;
}

struct ddfs_pin *ddfs_pin_find(struct ddfs_layouts *ls, uint64_t id)
{
	uint64_t nr = id >> 32;
	struct ddfs_pin *pin = nr < ls->nr_slots ? ls->slots[nr].pin : NULL;

	return pin && pin->id == id ? pin : NULL;
}

/* ---- for people ----------------------------------------------------------------------------- */

static uint64_t nr_pages(const struct ddfs_pin *pin)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < pin->nr_runs; i++)
		nr += pin->runs[i].nr;
	return nr;
}

static void stats_of(const struct ddfs_layout *l, struct ddfs_layouts_stats *out)
{
	const struct ddfs_pin *pin;
	const struct ddfs_wait *w;

	*out = (struct ddfs_layouts_stats){ 0 };
	LIST_FOREACH(pin, &l->pins, of_file) {
		out->nr_pins++;
		out->nr_pages += nr_pages(pin);
		out->nr_recalled += pin->recalled;
	}
	TAILQ_FOREACH(w, &l->breaks, link)
		out->nr_breaks += w->state == DDFS_WAIT_BREAK;
	TAILQ_FOREACH(w, &l->queue, link)
		out->nr_queued++;
}

void ddfs_layouts_stats(
	struct ddfs_layouts *ls, struct ddfs_layout *l, struct ddfs_layouts_stats *out)
{
	pthread_mutex_lock(&ls->lock);
	if (l)
		stats_of(l, out);
	else
		*out = ls->stats;
	pthread_mutex_unlock(&ls->lock);
}

static void fill_waiting(const struct ddfs_pin *pin, struct ddfs_pin_info *out)
{
	const struct ddfs_wait *w;

	TAILQ_FOREACH(w, &pin->layout->breaks, link) {
		if (!ddfs_pin_covers(pin, w->first, w->last))
			continue;
		if (!out->nr_waiting++)
			out->waiting = w->pid;
	}
}

static void fill(const struct ddfs_pin *pin, time_t now, struct ddfs_pin_info *out)
{
	*out = (struct ddfs_pin_info){
		.id = pin->id,
		.file = pin->layout->id,
		.first = pin->first,
		.last = pin->last,
		.nr_pages = nr_pages(pin),
		.mode = pin->mode,
		.since = pin->since,
		.recalled = pin->recalled,
		.expired = pin->expired,
		.pid = pin->pid,
		.earlier = !pin->holder,
		.lingering = pin->holder && !pin->owner,
	};
	if (pin->recalled && pin->deadline > now)
		out->seconds_left = (unsigned int)(pin->deadline - now);
	if (pin->holder)
		snprintf(out->comm, sizeof(out->comm), "%s", ddfs_holder_comm(pin->holder));
	fill_waiting(pin, out);
}

size_t ddfs_layouts_list(struct ddfs_layouts *ls, struct ddfs_layout *l, uint64_t after,
	struct ddfs_pin_info *out, size_t max)
{
	time_t now = ddfs_layouts_now();
	struct ddfs_pin *pin;
	size_t nr = 0;

	pthread_mutex_lock(&ls->lock);
	while (nr < max && (pin = ddfs_pin_next(ls, after))) {
		after = pin->id;
		if (!l || pin->layout == l)
			fill(pin, now, &out[nr++]);
	}
	pthread_mutex_unlock(&ls->lock);
	return nr;
}
