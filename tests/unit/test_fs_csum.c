/* SPDX-License-Identifier: BSD-3-Clause */
/* CRC32C against its published check value and a slow one of our own. */
#include <check.h>

#include "fs/csum.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"

static uint32_t slow(uint32_t crc, const uint8_t *p, size_t len)
{
	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

START_TEST(check_value)
{
	ck_assert_uint_eq(~ddfs_crc32c(UINT32_MAX, "123456789", 9), 0xe3069283u);
}
END_TEST

START_TEST(every_length)
{
	uint8_t buf[600];
	struct rng rng;

	rng_seed(&rng, 5);
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)rng_next(&rng);
	for (size_t len = 0; len < 512; len++)
		for (size_t at = 0; at < 9; at++)
			ck_assert_uint_eq(ddfs_crc32c((uint32_t)len, buf + at, len),
				slow((uint32_t)len, buf + at, len));
}
END_TEST

START_TEST(bound_to_place)
{
	uint8_t buf[64] = { 0, 0, 0, 0, 1, 2, 3 };

	ddfs_csum_seal(7, 4096, buf, sizeof(buf));
	ck_assert(ddfs_csum_holds(7, 4096, buf, sizeof(buf)));
	ck_assert(!ddfs_csum_holds(8, 4096, buf, sizeof(buf)));
	/* Every place of a 64-byte structure in a terabyte's first and last ones. */
	for (uint64_t off = 0; off < 1 << 20; off += 64)
		ck_assert(off == 4096 || !ddfs_csum_holds(7, off, buf, sizeof(buf)));
	for (unsigned int bit = 0; bit < 64 * 8; bit++) {
		buf[bit / 8] ^= 1 << bit % 8;
		ck_assert(!ddfs_csum_holds(7, 4096, buf, sizeof(buf)));
		buf[bit / 8] ^= 1 << bit % 8;
	}
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "check value", check_value, 0 },
		{ "every length", every_length, 0 },
		{ "bound to place", bound_to_place, 0 },
	};

	return suite_run("fs_csum", cases, 3);
}
