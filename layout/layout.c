/* SPDX-License-Identifier: BSD-3-Clause */
/* All layouts of a filesystem: from start to end. */
#include "layout/layout.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "layout/deadline.h"
#include "layout/holder.h"
#include "layout/layout_priv.h"

void ddfs_layouts_log(struct ddfs_layouts *ls, int priority, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	if (!ls->params.log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	ls->params.log(ls->params.arg, priority, line);
}

time_t ddfs_layouts_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

int ddfs_layouts_new(const struct ddfs_layouts_params *params, struct ddfs_layouts **out)
{
	struct ddfs_layouts *ls = calloc(1, sizeof(*ls));
	int err;

	if (!ls)
		return -ENOMEM;
	err = ddfs_holders_new(&ls->holders);
	if (err)
		goto free;
	err = ddfs_deadline_cond_init(&ls->went);
	if (err)
		goto delete_holders;
	ls->params = *params;
	pthread_mutex_init(&ls->lock, NULL);
	TAILQ_INIT(&ls->queued);
	*out = ls;
	return 0;

delete_holders:
	ddfs_holders_delete(ls->holders);
free:
	free(ls);
	return err;
}

void ddfs_layouts_delete(struct ddfs_layouts *ls)
{
	if (!ls)
		return;
	assert(!ls->stats.nr_pins && !ls->stats.nr_breaks && !ls->stats.nr_queued);
	ddfs_holders_delete(ls->holders);
	pthread_cond_destroy(&ls->went);
	pthread_mutex_destroy(&ls->lock);
	free(ls->slots);
	free(ls);
}

struct ddfs_holders *ddfs_layouts_holders(struct ddfs_layouts *ls)
{
	return ls->holders;
}

void ddfs_layout_init(struct ddfs_layout *l, struct ddfs_layouts *ls, uint64_t id)
{
	l->id = id;
	l->layouts = ls;
	LIST_INIT(&l->pins);
	TAILQ_INIT(&l->breaks);
	TAILQ_INIT(&l->queue);
	atomic_init(&l->nr_pins, 0);
}

void ddfs_layout_fini(struct ddfs_layout *l)
{
	(void)l;
	assert(LIST_EMPTY(&l->pins) && TAILQ_EMPTY(&l->breaks) && TAILQ_EMPTY(&l->queue));
}

/* ---- unmount -------------------------------------------------------------------------------- */

static void recall_all(struct ddfs_layouts *ls)
{
	struct ddfs_pin *pin = NULL;

	while ((pin = ddfs_pin_next(ls, pin ? pin->id : 0)))
		ddfs_pin_recall(pin);
}

static void kill_pagemaps(const struct ddfs_pagemaps *set)
{
	for (unsigned int i = 0; i < set->nr; i++)
		ddfs_pagemap_kill(set->range[i].pm);
}

uint64_t ddfs_layouts_kill(struct ddfs_layouts *ls, int timeout_msec)
{
	struct ddfs_deadline end = ddfs_deadline_in(timeout_msec);
	uint64_t left;
	int err = 0;

	kill_pagemaps(ls->params.pagemaps);
	pthread_mutex_lock(&ls->lock);
	ls->dying = true;
	ddfs_queued_fail(ls, NULL, NULL, -ENODEV);
	recall_all(ls);
	while (ls->nr_here && !err)
		err = ddfs_deadline_wait(&end, &ls->went, &ls->lock);
	left = ls->stats.nr_pins;
	pthread_mutex_unlock(&ls->lock);
	/* What has ended puts its live reference a moment later. */
	for (unsigned int i = 0; !left && i < ls->params.pagemaps->nr; i++)
		ddfs_pagemap_drain(ls->params.pagemaps->range[i].pm, -1);
	return left;
}

void ddfs_layouts_abandon(struct ddfs_layouts *ls)
{
	struct ddfs_pin_list ended = LIST_HEAD_INITIALIZER(ended);
	struct ddfs_pin *pin;
	uint64_t id = 0;

	pthread_mutex_lock(&ls->lock);
	ls->dying = true;
	while ((pin = ddfs_pin_next(ls, id))) {
		id = pin->id;
		ddfs_pin_end(pin, false, &ended);
	}
	pthread_mutex_unlock(&ls->lock);
	ddfs_pins_finish(ls, &ended);
}
