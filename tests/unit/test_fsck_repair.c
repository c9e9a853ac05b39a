/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes of each kind of structure changed, with a checksum that fails and with one that fits; then
 * repaired. What the damage did not touch is still there, and nothing is left to repair.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/repair_parts.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"

static void treat(struct healed *h, const struct part *at, const char *what)
{
	struct harm harm = { .ino = { at->ino }, .paths = at->dir };

	healed_repair(h, what);
	healed_expect(h, &harm, what);
	healed_mend(h);
}

/* Each field, if not each byte of it. */
static uint32_t next_byte(uint32_t byte, uint32_t len)
{
	bool small = len <= 256 || byte < 96;

	if (env_number("DDFS_EVERY_BYTE", 0))
		return byte + 1;
	return byte + (!small ? 251 : byte >= 104 && byte < 136 ? 2 : 7);
}

START_TEST(damaged_byte)
{
	struct healed *h = malloc(sizeof(*h));
	struct part at;
	struct rng rng;
	char what[80];

	rng_seed(&rng, env_number("DDFS_SEED", 1));
	healed_begin(h);
	at = part_get(h, (unsigned int)_i);
	for (uint32_t byte = 0; byte < at.len; byte = next_byte(byte, at.len)) {
		for (unsigned int seal = 0; seal < 2; seal++) {
			snprintf(what, sizeof(what), "kind %d, byte %u, %s", _i, byte,
				seal ? "sealed" : "not sealed");
			part_change(h, &rng, &at, byte, seal, 1);
			treat(h, &at, what);
		}
	}
	healed_end(h);
	free(h);
}
END_TEST

START_TEST(damaged_run)
{
	struct healed *h = malloc(sizeof(*h));
	struct part at;
	struct rng rng;
	char what[80];

	healed_begin(h);
	at = part_get(h, (unsigned int)_i);
	for (uint64_t seed = 1; seed <= env_number("DDFS_SEEDS", 3); seed++) {
		rng_seed(&rng, seed);
		for (unsigned int seal = 0; seal < 2; seal++) {
			uint32_t byte = (uint32_t)rng_below(&rng, at.len);

			snprintf(what, sizeof(what), "kind %d, seed %lu, %s", _i, seed,
				seal ? "sealed" : "not sealed");
			part_change(h, &rng, &at, byte, seal, 1 + (uint32_t)rng_below(&rng, 200));
			treat(h, &at, what);
		}
	}
	healed_end(h);
	free(h);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "bytes", damaged_byte, NR_PARTS },
		{ "runs of bytes", damaged_run, NR_PARTS },
	};

	return suite_run("fsck_repair", cases, 2);
}
