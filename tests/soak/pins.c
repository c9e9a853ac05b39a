/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/soak/pins.h"

#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

/* ---- what a step takes ---------------------------------------------------------------------- */

/* Bytes of the file; a part of a unit at either end stays. */
static void taken_by(const struct soak_step *s, uint64_t *start, uint64_t *end)
{
	*start = s->kind == SOAK_TRUNCATE ? s->len : s->off;
	*end = UINT64_MAX;
	if (s->kind == SOAK_FALLOCATE && s->arg & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		*end = (uint64_t)s->off + s->len;
	else if (s->kind == SOAK_FALLOCATE && !(s->arg & FALLOC_FL_COLLAPSE_RANGE) &&
		 !(s->arg & FALLOC_FL_INSERT_RANGE))
		*end = 0;
}

bool soak_pin_is_taken(
	const struct soak_model *m, const struct soak_pin *pin, const struct soak_step *s)
{
	uint64_t unit = m->unit, pin_end = (uint64_t)pin->off + pin->len, start, end;

	if (!pin->is_there || !pin->node || m->child[s->dir][s->name] != pin->node ||
		(s->kind != SOAK_TRUNCATE && s->kind != SOAK_FALLOCATE))
		return false;
	taken_by(s, &start, &end);
	start = (start + unit - 1) / unit * unit;
	end = end / unit * unit;
	return start < end && start < (pin_end + unit - 1) / unit * unit &&
	       end > pin->off / unit * unit;
}

const uint8_t *soak_pin_bytes(const struct soak_model *m, const struct soak_pin *pin, uint32_t *len)
{
	uint32_t size;

	if (!pin->node) {
		*len = pin->len;
		return m->kept[pin - m->pin] + pin->off;
	}
	size = m->node[pin->node].size;
	*len = size <= pin->off ? 0 : size - pin->off < pin->len ? size - pin->off : pin->len;
	return m->data[pin->node] + pin->off;
}

bool soak_is_pinned(const struct soak_model *m, unsigned int node)
{
	bool found = false;

	for (unsigned int i = 0; i < SOAK_PINS; i++)
		found |= m->pin[i].is_there && m->pin[i].node == node;
	return found;
}

/* ---- steps ---------------------------------------------------------------------------------- */

void soak_pin_drop(struct soak_model *m, struct soak_pin *pin)
{
	uint8_t **kept = &m->kept[pin - m->pin];

	free(*kept);
	*kept = NULL;
	memset(pin, 0, sizeof(*pin));
}

void soak_pins_keep(struct soak_model *m, unsigned int node)
{
	for (unsigned int i = 0; i < SOAK_PINS; i++) {
		struct soak_pin *pin = &m->pin[i];

		if (!pin->is_there || pin->node != node)
			continue;
		soak_pin_bytes(m, pin, &pin->len);
		pin->node = 0;
		m->kept[i] = soak_model_room();
		memcpy(m->kept[i], m->data[node], m->node[node].size);
	}
}

void soak_pins_step(struct soak_model *m, const struct soak_step *s)
{
	unsigned int node = m->child[s->dir][s->name];

	for (unsigned int i = 0; i < SOAK_PINS; i++)
		if (soak_pin_is_taken(m, &m->pin[i], s))
			soak_pin_drop(m, &m->pin[i]);
	if (s->kind == SOAK_PIN)
		m->pin[s->arg] = (struct soak_pin){
			.is_there = 1, .node = (uint8_t)node, .off = s->off, .len = s->len
		};
	else if (s->kind == SOAK_UNPIN)
		soak_pin_drop(m, &m->pin[s->arg]);
}

bool soak_pin_allows(const struct soak_model *m, const struct soak_step *s)
{
	const struct soak_pin *pin = &m->pin[s->arg];
	const struct soak_node *n = &m->node[m->child[s->dir][s->name]];
	uint32_t len;

	if (s->kind == SOAK_UNPIN)
		return pin->is_there;
	if (n->type != SOAK_FILE || !s->len)
		return false;
	if (s->kind == SOAK_PIN)
		return !pin->is_there && s->off <= n->size && s->off + s->len <= SOAK_FILE_MAX;
	if (!pin->is_there || pin->node != m->child[s->dir][s->name])
		return false;
	soak_pin_bytes(m, pin, &len);
	return s->off >= pin->off && s->off + s->len <= pin->off + len;
}
