/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/soak/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { BEGUN = 0xb6, ENDED = 0xe7 };

struct record {
	uint32_t what;
	int32_t error;
	struct soak_step step;
	uint64_t sum; /* of the seed and number: a record that was never written has none */
};

void soak_journal_open(struct soak_journal *j, const char *path)
{
	j->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (j->fd < 0) {
		perror(path);
		exit(2);
	}
}

static uint64_t sum_of(const struct soak_step *s)
{
	return (s->number ^ s->seed) * 0x9e3779b97f4a7c15u + 1;
}

static void say(struct soak_journal *j, uint32_t what, const struct soak_step *s, int error)
{
	struct record r = { .what = what, .error = error, .step = *s, .sum = sum_of(s) };

	if (write(j->fd, &r, sizeof(r)) != (ssize_t)sizeof(r)) {
		perror("soak: journal");
		exit(2);
	}
}

void soak_journal_begin(struct soak_journal *j, const struct soak_step *s)
{
	say(j, BEGUN, s, 0);
}

void soak_journal_end(struct soak_journal *j, const struct soak_step *s, int error)
{
	say(j, ENDED, s, error);
}

static void bad_journal(const char *path, const struct record *r)
{
	fprintf(stderr, "soak: %s: not what a worker writes, at step %llu\n", path,
		(unsigned long long)r->step.number);
	exit(2);
}

bool soak_journal_replay(
	const char *path, struct soak_model *m, struct soak_step *last, uint64_t *nr_lacked)
{
	FILE *f = fopen(path, "rb");
	struct record r;
	bool open_step = false;

	*nr_lacked = 0;
	if (!f && errno == ENOENT)
		return false;
	if (!f) {
		perror(path);
		exit(2);
	}
	while (fread(&r, sizeof(r), 1, f) == 1) {
		if (r.sum != sum_of(&r.step) || (r.what == ENDED) != open_step ||
			r.step.number <= m->nr_steps)
			bad_journal(path, &r);
		open_step = r.what == BEGUN;
		*last = r.step;
		if (r.what == ENDED && !r.error)
			soak_model_step(m, &r.step);
		else if (r.what == ENDED)
			m->nr_steps = r.step.number;
		*nr_lacked += r.what == ENDED && r.error == ENOSPC;
	}
	fclose(f);
	return open_step;
}
