/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/soak/choose.h"

#include <linux/falloc.h>
#include <string.h>

uint64_t soak_random_next(struct soak_random *r)
{
	uint64_t x = r->state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint32_t soak_random_below(struct soak_random *r, uint32_t n)
{
	return (uint32_t)((soak_random_next(r) >> 32) * n >> 32);
}

/* How often each is tried; many attempts are not allowed, as there is no such name. */
static const uint8_t weights[SOAK_KINDS] = {
	[SOAK_CREATE] = 12,
	[SOAK_WRITE] = 40,
	[SOAK_MAP] = 6,
	[SOAK_TRUNCATE] = 7,
	[SOAK_FALLOCATE] = 18,
	[SOAK_COPY] = 8,
	[SOAK_UNLINK] = 6,
	[SOAK_RENAME] = 10,
	[SOAK_EXCHANGE] = 4,
	[SOAK_LINK] = 5,
	[SOAK_SYMLINK] = 2,
	[SOAK_MKDIR] = 3,
	[SOAK_RMDIR] = 4,
	[SOAK_SETXATTR] = 6,
	[SOAK_REMOVEXATTR] = 3,
	[SOAK_CHMOD] = 2,
	[SOAK_UTIMES] = 2,
	[SOAK_SETDAX] = 2,
	[SOAK_FSYNC] = 4,
	[SOAK_PIN] = 12,
	[SOAK_UNPIN] = 1,
	[SOAK_STORE] = 6,
};

static uint32_t kind_of(struct soak_random *r)
{
	uint32_t sum = 0, at;

	for (unsigned int i = 0; i < SOAK_KINDS; i++)
		sum += weights[i];
	at = soak_random_below(r, sum);
	for (unsigned int i = 0;; i++) {
		if (at < weights[i])
			return i;
		at -= weights[i];
	}
}

/* Of any order of magnitude, now and then of whole blocks. */
static uint32_t length_of(struct soak_random *r)
{
	uint32_t most = 1u << (3 + soak_random_below(r, 15)), len = soak_random_below(r, most) + 1;

	if (soak_random_below(r, 3) == 0)
		len = (len + SOAK_BLOCK - 1) / SOAK_BLOCK * SOAK_BLOCK;
	return len;
}

/* Mostly in the file, at its end, or not far behind it. */
static uint32_t offset_of(struct soak_random *r, uint32_t size)
{
	uint32_t off;

	switch (soak_random_below(r, 4)) {
	case 0:
		return size;
	case 1:
		off = soak_random_below(r, size + 3 * SOAK_BLOCK);
		break;
	default:
		off = soak_random_below(r, size + 1);
	}
	if (soak_random_below(r, 3) == 0)
		off = off / SOAK_BLOCK * SOAK_BLOCK;
	return off;
}

static void choose_fallocate(struct soak_random *r, struct soak_step *s)
{
	static const uint32_t modes[] = { 0, FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_COLLAPSE_RANGE,
		FALLOC_FL_INSERT_RANGE };

	s->arg = modes[soak_random_below(r, sizeof(modes) / sizeof(*modes))];
	if (s->arg & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) {
		s->off = s->off / SOAK_BLOCK * SOAK_BLOCK;
		s->len = (1 + soak_random_below(r, 8)) * SOAK_BLOCK;
	}
}

/* Most let go soon when they are asked to; who does not keeps the step waiting until the kill. */
static void choose_pin(struct soak_random *r, struct soak_step *s, uint32_t size)
{
	s->arg = soak_random_below(r, SOAK_PINS);
	s->off = soak_random_below(r, size + 1) / SOAK_BLOCK * SOAK_BLOCK;
	if (soak_random_below(r, 2) == 0)
		s->off = 0;
	s->len = soak_random_below(r, 4) ? soak_random_below(r, size - s->off + 1) : length_of(r);
	s->off2 = soak_random_below(r, 12) ? soak_random_below(r, 8) : SOAK_NEVER;
}

static void choose_store(const struct soak_model *m, struct soak_random *r, struct soak_step *s)
{
	const struct soak_pin *pin;

	s->arg = soak_random_below(r, SOAK_PINS);
	pin = &m->pin[s->arg];
	if (pin->node)
		soak_model_find_name(m, pin->node, &s->dir, &s->name);
	s->off = pin->off + soak_random_below(r, pin->len + 1);
	s->len = length_of(r);
	if (s->off + s->len > pin->off + pin->len)
		s->len = pin->off + pin->len - s->off;
}

static void choose_content(
	const struct soak_model *m, struct soak_random *r, struct soak_step *s, uint32_t size)
{
	uint32_t end = size;

	s->off = offset_of(r, size);
	s->len = length_of(r);
	if (s->kind == SOAK_TRUNCATE) {
		s->len = s->off;
		s->off = 0;
	} else if (s->kind == SOAK_FALLOCATE) {
		choose_fallocate(r, s);
	} else if (s->kind == SOAK_WRITE) {
		end = SOAK_FILE_MAX;
		s->arg = soak_random_below(r, 8);
		if (s->off == size && soak_random_below(r, 2))
			s->arg |= SOAK_WRITE_APPEND;
	} else if (s->kind == SOAK_COPY) {
		s->off2 = offset_of(r, m->node[m->child[s->dir2][s->name2]].size);
	}
	if (s->kind != SOAK_TRUNCATE && s->kind != SOAK_FALLOCATE && s->off < end &&
		s->len > end - s->off)
		s->len = end - s->off;
}

static void choose_rest(
	const struct soak_model *m, struct soak_random *r, struct soak_step *s, uint32_t size)
{
	switch (s->kind) {
	case SOAK_CREATE:
	case SOAK_CHMOD:
		s->arg = 0600 + soak_random_below(r, 0200);
		break;
	case SOAK_UNLINK:
		s->arg = soak_random_below(r, 2);
		break;
	case SOAK_SYMLINK:
		s->len = 1 + soak_random_below(r, soak_random_below(r, 2) ? 60 : 4000);
		break;
	case SOAK_SETXATTR:
	case SOAK_REMOVEXATTR:
		s->arg = soak_random_below(r, SOAK_XATTRS);
		s->len = length_of(r) % 20000;
		break;
	case SOAK_PIN:
		choose_pin(r, s, size);
		break;
	case SOAK_UNPIN:
		s->arg = soak_random_below(r, SOAK_PINS);
		break;
	case SOAK_STORE:
		choose_store(m, r, s);
		break;
	case SOAK_UTIMES:
		s->seed = soak_random_below(r, 1u << 30);
		break;
	case SOAK_WRITE:
	case SOAK_MAP:
	case SOAK_TRUNCATE:
	case SOAK_FALLOCATE:
	case SOAK_COPY:
		choose_content(m, r, s, size);
		break;
	default:
		break;
	}
}

static bool takes_two(uint32_t kind)
{
	return kind == SOAK_COPY || kind == SOAK_RENAME || kind == SOAK_EXCHANGE ||
	       kind == SOAK_LINK;
}

static void choose_place(
	const struct soak_model *m, struct soak_random *r, uint8_t *dir, uint8_t *name)
{
	do {
		*dir = (uint8_t)(1 + soak_random_below(r, SOAK_NODES - 1));
	} while (m->node[*dir].type != SOAK_DIR);
	*name = (uint8_t)soak_random_below(r, SOAK_NAMES);
}

/* At a file that is pinned, if there is one: seldom by chance. */
static void aim_at_pin(const struct soak_model *m, struct soak_random *r, struct soak_step *s)
{
	unsigned int node = m->pin[soak_random_below(r, SOAK_PINS)].node;

	if (node)
		soak_model_find_name(m, node, &s->dir, &s->name);
}

void soak_choose(const struct soak_model *m, struct soak_random *r, struct soak_step *out)
{
	do {
		*out = (struct soak_step){
			.number = m->nr_steps + 1, .seed = soak_random_next(r), .kind = kind_of(r)
		};
		choose_place(m, r, &out->dir, &out->name);
		if (soak_random_below(r, 6) == 0)
			aim_at_pin(m, r, out);
		if (takes_two(out->kind))
			choose_place(m, r, &out->dir2, &out->name2);
		choose_rest(m, r, out, m->node[m->child[out->dir][out->name]].size);
	} while (!soak_model_allows(m, out));
}
