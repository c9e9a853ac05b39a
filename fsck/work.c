/* SPDX-License-Identifier: BSD-3-Clause */
#include "fsck/work.h"

#include "fsck/state.h"

#define MAX_THREADS 64u

struct work {
	struct fsck *f;
	unsigned int pass;
	uint64_t total, batch;
	void (*fn)(struct fsck *f, uint64_t from, uint64_t to);
	_Atomic uint64_t next;
	uint64_t done; /* protected by say_lock */
};

static void tell_progress(struct work *w, uint64_t done)
{
	const struct ddfs_fsck_options *opt = w->f->opt;

	if (!opt->progress)
		return;
	pthread_mutex_lock(&w->f->say_lock);
	w->done += done;
	opt->progress(opt->arg, w->pass, w->done, w->total);
	pthread_mutex_unlock(&w->f->say_lock);
}

static void *take_ranges(void *arg)
{
	struct work *w = arg;
	uint64_t from, to;

	while (!fsck_is_ending(w->f)) {
		from = atomic_fetch_add(&w->next, w->batch);
		if (from >= w->total)
			break;
		to = w->total - from > w->batch ? from + w->batch : w->total;
		w->fn(w->f, from, to);
		tell_progress(w, to - from);
	}
	return NULL;
}

static unsigned int threads_for(const struct work *w)
{
	uint64_t ranges = (w->total + w->batch - 1) / w->batch, nr = w->f->nr_threads;

	if (w->f->ordered)
		nr = 1;
	if (nr > MAX_THREADS)
		nr = MAX_THREADS;
	return (unsigned int)(nr < ranges ? nr : ranges);
}

int fsck_work(struct fsck *f, unsigned int pass, uint64_t total, uint64_t batch,
	void (*fn)(struct fsck *f, uint64_t from, uint64_t to))
{
	struct work w = { .f = f, .pass = pass, .total = total, .batch = batch, .fn = fn };
	unsigned int nr = threads_for(&w), i, started = 0;
	pthread_t helper[MAX_THREADS];

	/* One that can't be had leaves its part to the others. */
	for (i = 1; i < nr; i++)
		if (!pthread_create(&helper[started], NULL, take_ranges, &w))
			started++;
	take_ranges(&w);
	for (i = 0; i < started; i++)
		pthread_join(helper[i], NULL);
	return atomic_load(&f->err);
}
