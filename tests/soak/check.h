/* SPDX-License-Identifier: BSD-3-Clause */
/* What is found after a crash, compared with what must be there. */
#ifndef DDFS_TEST_SOAK_CHECK_H
#define DDFS_TEST_SOAK_CHECK_H

#include "tests/soak/model.h"

enum soak_found { SOAK_WRONG, SOAK_BEFORE, SOAK_AFTER, SOAK_BETWEEN };

/* Compare all below the directory with the model and, if flying is a step that was begun and not
 * acknowledged, with what that may have made of it. Brings the model up to what was found, or
 * says why that is wrong. */
enum soak_found soak_check(
	struct soak_model *m, int root, const struct soak_step *flying, FILE *why);

/* Compare what the holders see with the model, which has been brought up to what was found, and
 * bring that up to what they hold: they are behind sockets of that name and a number. *waited:
 * flying takes away what one of them holds. */
bool soak_check_pins(struct soak_model *m, const char *holders, const struct soak_step *flying,
	unsigned int *nr_held, bool *waited, FILE *why);

#endif
