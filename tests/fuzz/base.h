/* SPDX-License-Identifier: BSD-3-Clause */
/* The images that fuzzing starts from. */
#ifndef DDFS_FUZZ_BASE_H
#define DDFS_FUZZ_BASE_H

#include "tests/fuzz/stage.h"

/* Initializes r. */
void base_build(struct ram *r, enum stage_base which);

#endif
