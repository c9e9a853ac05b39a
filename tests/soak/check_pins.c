/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "tests/soak/check.h"
#include "tests/soak/holder.h"
#include "tests/soak/perform.h"
#include "tests/soak/pins.h"

static bool is_pin_of(const struct soak_step *s, unsigned int i)
{
	return s && s->kind == SOAK_PIN && s->arg == i;
}

static bool same_bytes(
	const struct soak_model *m, unsigned int i, const uint8_t *got, uint32_t got_len, FILE *why)
{
	uint32_t len, at = 0;
	const uint8_t *want = soak_pin_bytes(m, &m->pin[i], &len);

	if (len > got_len) {
		fprintf(why, "  pin %u: its holder sees %u bytes of %u\n", i, got_len, len);
		return false;
	}
	while (at < len && got[at] == want[at])
		at++;
	if (at < len)
		fprintf(why, "  pin %u, of %s: byte %u of %u is %#x to its holder, want %#x\n", i,
			m->pin[i].node ? "a file" : "what was a file", at, len, got[at], want[at]);
	return at == len;
}

/* One that holds something. */
static bool check_held(struct soak_model *m, unsigned int i, const struct soak_step *flying,
	const uint8_t *got, uint32_t len, FILE *why)
{
	if (!m->pin[i].is_there && is_pin_of(flying, i))
		soak_model_step(m, flying);
	if (m->pin[i].is_there)
		return same_bytes(m, i, got, len, why);
	fprintf(why, "  pin %u: its holder has not let go, and its pages were taken\n", i);
	return false;
}

bool soak_check_pins(struct soak_model *m, const char *holders, const struct soak_step *flying,
	unsigned int *nr_held, bool *waited, FILE *why)
{
	const struct soak_ask look = { .what = SOAK_ASK_LOOK };
	uint8_t *got = soak_model_room();
	bool good = true;

	*nr_held = 0;
	*waited = false;
	for (unsigned int i = 0; i < SOAK_PINS && good; i++) {
		struct soak_answer answer;
		char path[128];

		soak_holder_path(holders, i, path);
		if (!soak_ask(path, &look, &answer, got) || answer.error) {
			soak_pin_drop(m, &m->pin[i]);
			continue;
		}
		good = check_held(m, i, flying, got, answer.len, why);
		*waited |= flying && soak_pin_is_taken(m, &m->pin[i], flying);
		++*nr_held;
	}
	free(got);
	return good;
}
