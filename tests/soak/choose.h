/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker does next. */
#ifndef DDFS_TEST_SOAK_CHOOSE_H
#define DDFS_TEST_SOAK_CHOOSE_H

#include "tests/soak/model.h"

struct soak_random {
	uint64_t state;
};

uint64_t soak_random_next(struct soak_random *r);
uint32_t soak_random_below(struct soak_random *r, uint32_t n);

/* A step that the model allows. */
void soak_choose(const struct soak_model *m, struct soak_random *r, struct soak_step *out);

#endif
