/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a worker's model knows of the ranges that clients have mapped for it.
 *
 * A holder lets go by itself when it is asked to, and is not asked before a step waits for it. So a
 * pin of the model may have ended, but one that the model has not is held by nobody: a step that
 * takes its pages and was acknowledged has waited for its end.
 */
#ifndef DDFS_TEST_SOAK_PINS_H
#define DDFS_TEST_SOAK_PINS_H

#include "tests/soak/model.h"

/* Whether the step takes pages from the file that the pin is of, so that it has to wait. */
bool soak_pin_is_taken(
	const struct soak_model *m, const struct soak_pin *pin, const struct soak_step *s);
/* What its holder sees: *len bytes. */
const uint8_t *soak_pin_bytes(
	const struct soak_model *m, const struct soak_pin *pin, uint32_t *len);
/* Whether somebody may have the file mapped. */
bool soak_is_pinned(const struct soak_model *m, unsigned int node);
bool soak_pin_allows(const struct soak_model *m, const struct soak_step *s);

/* What the step makes of the pins; to be called before it changes anything else. */
void soak_pins_step(struct soak_model *m, const struct soak_step *s);
void soak_pin_drop(struct soak_model *m, struct soak_pin *pin);
/* The file loses its last name, and its holders go on seeing what it holds. */
void soak_pins_keep(struct soak_model *m, unsigned int node);

#endif
