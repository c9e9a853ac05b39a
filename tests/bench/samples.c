/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/bench/samples.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NR_QUANTILES 21
/* An operation that took as many medians was interrupted: none of ours does so by itself. */
#define OUTLIER 20

uint64_t now_nsec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void samples_init(struct samples *s, size_t nr)
{
	s->nr = 0;
	s->cap = nr;
	s->nsec = malloc(nr * sizeof(*s->nsec));
	if (!s->nsec)
		err(1, "memory for %zu samples", nr);
	/* No page fault is to be part of what is measured. */
	memset(s->nsec, 1, nr * sizeof(*s->nsec));
}

void samples_fini(struct samples *s)
{
	free(s->nsec);
}

void samples_add(struct samples *s, uint64_t nsec)
{
	if (s->nr < s->cap)
		s->nsec[s->nr++] = nsec < UINT32_MAX ? (uint32_t)nsec : UINT32_MAX;
}

void samples_join(struct samples *s, const struct samples *from)
{
	for (size_t i = 0; i < from->nr; i++)
		samples_add(s, from->nsec[i]);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Of sorted samples: the mean of those that were not interrupted. */
static double samples_steady(const struct samples *s)
{
	uint64_t most = s->nr ? (uint64_t)s->nsec[s->nr / 2] * OUTLIER : 0, sum = 0;
	size_t nr = 0;

	while (nr < s->nr && s->nsec[nr] <= most)
		sum += s->nsec[nr++];
	return nr ? (double)sum / (double)nr : 0;
}

void samples_print(struct samples *s, const char *name, uint64_t nsec)
{
	qsort(s->nsec, s->nr, sizeof(*s->nsec), compare);
	printf("{\"op\": \"%s\", \"ops\": %zu, \"nsec\": %llu, \"steady\": %.1f, \"quantiles\": [",
		name, s->nr, (unsigned long long)nsec, samples_steady(s));
	for (size_t i = 0; i < NR_QUANTILES && s->nr; i++)
		printf("%s%u", i ? ", " : "", s->nsec[i * (s->nr - 1) / (NR_QUANTILES - 1)]);
	printf("]}\n");
	fflush(stdout);
}
