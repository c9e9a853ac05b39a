/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/workload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/ops.h"

#define NR_TRIPLES 2000u
#define NR_LONG	   100u
#define LONG_MIN   40u
#define LONG_MAX   60u

const char *crash_set_name(enum crash_set set)
{
	static const char *const names[CRASH_SETS] = { "singles", "pairs", "synced", "triples",
		"long", "together" };

	return names[set];
}

/* Number i; NULL: there are fewer, *nr of them. */
static const char *single(uint64_t i, uint64_t *nr)
{
	const char *const *const tables[] = { workload_singles_names, workload_singles_data,
		workload_singles_more };

	*nr = 0;
	for (unsigned int t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const char *const *text = tables[t]; *text; text++)
			if ((*nr)++ == i)
				return *text;
	return NULL;
}

uint64_t crash_set_size(enum crash_set set)
{
	uint64_t nr_pairs = (uint64_t)workload_nr_steps * workload_nr_steps;
	uint64_t nr_singles;
	const char *none = single(UINT64_MAX, &nr_singles);
	const uint64_t sizes[CRASH_SETS] = { none ? 0 : nr_singles, nr_pairs, nr_pairs, NR_TRIPLES,
		NR_LONG, workload_nr_together };

	return sizes[set];
}

/* ---- from the text -------------------------------------------------------------------------- */

static int parse_word(const char *word, struct crash_workload *out)
{
	static const struct {
		const char *word;
		enum ddfs_dax dax;
	} dax[] = { { "dax=inode", DDFS_DAX_INODE }, { "dax=always", DDFS_DAX_ALWAYS },
		{ "dax=never", DDFS_DAX_NEVER } };

	for (unsigned int i = 0; i < sizeof(dax) / sizeof(dax[0]); i++) {
		if (strcmp(word, dax[i].word) != 0)
			continue;
		out->dax = dax[i].dax;
		return 0;
	}
	if (strcmp(word, "pinned") == 0)
		out->pinned = true;
	else if (strcmp(word, "align=2M") == 0)
		out->align_bytes = 2u << 20;
	else
		return -EINVAL;
	return 0;
}

/* "with pinned dax=always align=2M" */
static int parse_with(char *words, struct crash_workload *out)
{
	char *save;

	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		if (parse_word(w, out)) {
			fprintf(stderr,
				"'%s': not one of pinned, dax=inode, dax=always, "
				"dax=never, align=2M\n",
				w);
			return -EINVAL;
		}
	}
	return 0;
}

static int check_op(const char *text, bool prepares, unsigned int nr)
{
	struct crash_op op;
	int err = op_parse(text, nr, &op);

	if (err)
		return err;
	if (!prepares && op.kind->flags & OP_PREPARES) {
		fprintf(stderr, "'%s': is many calls; put it before the '|'\n", text);
		err = -EINVAL;
	}
	op_fini(&op);
	return err;
}

/* What stands behind the bar has an "&". */
static int check_together(const char *text)
{
	if (!strchr(text, ';') && strchr(text, '&') == strrchr(text, '&'))
		return 0;
	fprintf(stderr, "'%s': two operations are made at the same time, and no others\n", text);
	return -EINVAL;
}

static int parse_ops(char *text, bool prepares, unsigned int *nr, struct crash_workload *out)
{
	const char *between = prepares ? ";" : ";&";
	char *save;

	for (char *op = strtok_r(text, between, &save); op; op = strtok_r(NULL, between, &save)) {
		int err;

		op += strspn(op, " ");
		while (*op && op[strlen(op) - 1] == ' ')
			op[strlen(op) - 1] = 0;
		if (!*op)
			continue;
		if (prepares && !*nr && strncmp(op, "with ", 5) == 0)
			err = parse_with(op + 5, out);
		else
			err = check_op(op, prepares, (*nr)++);
		if (err)
			return err;
	}
	return 0;
}

static int parse_behind(char *text, unsigned int *nr, struct crash_workload *out)
{
	int err;

	out->together = strchr(text, '&') != NULL;
	err = out->together ? check_together(text) : 0;
	return err ? err : parse_ops(text, false, nr, out);
}

int crash_workload_parse(const char *text, struct crash_workload *out)
{
	struct crash_workload w = { .name = "given", .align_bytes = 4096 };
	char *copy, *bar;
	unsigned int nr = 0, nr_prepare;
	int err = 0;

	if (strlen(text) >= CRASH_TEXT) {
		fprintf(stderr, "a workload's text has at most %u bytes\n", CRASH_TEXT - 1);
		return -EINVAL;
	}
	strcpy(w.text, text);
	copy = strdup(text);
	bar = strchr(copy, '|');
	if (bar) {
		*bar = 0;
		err = parse_ops(copy, true, &nr, &w);
	}
	nr_prepare = nr;
	if (!err)
		err = parse_behind(bar ? bar + 1 : copy, &nr, &w);
	if (!err && nr <= nr_prepare + w.together) {
		fprintf(stderr, "'%s': no operation %s\n", text,
			w.together ? "on one side of the '&'" : "behind the preparation");
		err = -EINVAL;
	}
	free(copy);
	if (!err)
		*out = w;
	return err;
}

/* ---- from the sets -------------------------------------------------------------------------- */

static void take_text(struct crash_workload *out, const char *text)
{
	if (crash_workload_parse(text, out))
		abort();
}

static void join(char *text, const char *more)
{
	if (strlen(text) + strlen(more) >= CRASH_TEXT)
		abort();
	strcat(text, more);
}

static void random_steps(char *text, struct rng *r, uint64_t nr)
{
	char step[256];

	for (uint64_t i = 0; i < nr; i++) {
		workload_random_step(r, step);
		join(text, i ? "; " : "");
		join(text, step);
	}
}

static void make_pair(char *text, uint64_t i, const char *between)
{
	join(text, workload_steps[i / workload_nr_steps]);
	join(text, between);
	join(text, workload_steps[i % workload_nr_steps]);
}

/* What has no preparation of its own has the stage. */
static void make_together(char *text, const char *pair)
{
	if (!strchr(pair, '|')) {
		join(text, workload_together_stage);
		join(text, " | ");
	}
	join(text, pair);
}

/* Behind the stage: which options they have is random too. */
static void make_random(char *text, enum crash_set set, uint64_t seed, uint64_t i)
{
	static const char *const with[] = { "", "", "with dax=always; " };
	struct rng r;

	rng_seed(&r, seed * UINT64_C(1000003) + i * 31 + set);
	join(text, with[rng_below(&r, 3)]);
	join(text, workload_stage);
	join(text, " | ");
	random_steps(text, &r,
		set == CRASH_TRIPLES ? 3 : LONG_MIN + rng_below(&r, LONG_MAX - LONG_MIN + 1));
}

void crash_workload_get(enum crash_set set, uint64_t seed, uint64_t i, struct crash_workload *out)
{
	char text[CRASH_TEXT] = "";
	uint64_t nr;

	if (set == CRASH_SINGLES) {
		join(text, single(i, &nr));
	} else if (set == CRASH_TOGETHER) {
		make_together(text, workload_together[i]);
	} else if (set == CRASH_PAIRS || set == CRASH_SYNCED) {
		join(text, workload_stage);
		join(text, " | ");
		make_pair(text, i, set == CRASH_SYNCED ? "; sync; " : "; ");
	} else {
		make_random(text, set, seed, i);
	}
	take_text(out, text);
	snprintf(out->name, sizeof(out->name), "%s/%llu", crash_set_name(set),
		(unsigned long long)i);
}
