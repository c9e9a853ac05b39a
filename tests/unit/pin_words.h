/* SPDX-License-Identifier: BSD-3-Clause */
/* Short names of what the tables of the pin tests are full of. */
#ifndef DDFS_TEST_PIN_WORDS_H
#define DDFS_TEST_PIN_WORDS_H

#include <linux/falloc.h>

#include "fs/fs.h"

#define READ  DDFS_PIN_MODE_READ
#define WRITE DDFS_PIN_MODE_WRITE
#define RW    (READ | WRITE)
#define FAULT DDFS_PIN_FAULT
#define GROW  (DDFS_PIN_FAULT | DDFS_PIN_GROW)
#define UNITS DDFS_PIN_WHOLE_UNITS
#define KEEP  FALLOC_FL_KEEP_SIZE
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

#define NR(a) (sizeof(a) / sizeof((a)[0]))

#endif
