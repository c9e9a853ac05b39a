/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long single operations took.
 *
 *	struct samples s;
 *
 *	samples_init(&s, 10000);
 *	start = now_nsec();
 *	do_it();
 *	samples_add(&s, now_nsec() - start);
 *	samples_print(&s, "create", nsec_of_all_of_them);
 *	samples_fini(&s);
 */
#ifndef DDFS_BENCH_SAMPLES_H
#define DDFS_BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

struct samples {
	uint32_t *nsec;
	size_t nr, cap;
};

/* Nanoseconds of the monotonic clock. */
uint64_t now_nsec(void);

/* Room for nr; what comes behind them is not kept. */
void samples_init(struct samples *s, size_t nr);
void samples_fini(struct samples *s);
void samples_add(struct samples *s, uint64_t nsec);

/* Puts what from has behind what s has. */
void samples_join(struct samples *s, const struct samples *from);

/* One line of JSON: how many, the time of all together, the mean of those that nobody interrupted
 * ("steady"), and 21 quantiles from the shortest over the median to the longest. Sorts. */
void samples_print(struct samples *s, const char *name, uint64_t nsec);

#endif
