/* SPDX-License-Identifier: BSD-3-Clause */
/* Random operations, on the names of the stage and a few more. */
#include <stdio.h>

#include "tests/crash/workload.h"

static const char *any(struct rng *r, const char *const *of, size_t nr)
{
	return of[rng_below(r, nr)];
}
#define ANY(r, of) any(r, of, sizeof(of) / sizeof((of)[0]))

static const char *name(struct rng *r)
{
	static const char *const names[] = { "a", "b", "c", "l", "d/x", "d/c", "d/y~200", "e/x",
		"e/y~250" };

	return ANY(r, names);
}

static const char *dir(struct rng *r)
{
	static const char *const names[] = { "d", "e", "d/f", "e/f", "f" };

	return ANY(r, names);
}

/* Around blocks and the ends of what the files hold. */
static unsigned int offset(struct rng *r)
{
	static const unsigned int at[] = { 0, 4096, 5000, 8192, 9000, 20480, 65536, 300000 };
	unsigned int off = at[rng_below(r, sizeof(at) / sizeof(at[0]))];

	if (rng_below(r, 2))
		return off;
	return off + (unsigned int)rng_below(r, 3000);
}

static unsigned int length(struct rng *r)
{
	static const unsigned int most[] = { 16, 5000, 20000, 70000 };

	return 1 + (unsigned int)rng_below(r, most[rng_below(r, 4)]);
}

static unsigned int blocks(struct rng *r, unsigned int most)
{
	return (unsigned int)rng_below(r, most) * 4096;
}

static void random_name(struct rng *r, char out[256])
{
	static const char *const one[] = { "create %s", "mkdir %s", "unlink %s", "rmdir %s",
		"mknod %s sock", "symlink %s 70" };
	static const char *const two[] = { "link %s %s", "rename %s %s", "rename %s %s",
		"exchange %s %s" };
	bool is_dir = rng_below(r, 4) == 0;

	if (rng_below(r, 2)) {
		snprintf(out, 256, ANY(r, one), is_dir ? dir(r) : name(r));
		return;
	}
	snprintf(out, 256, ANY(r, two), is_dir ? dir(r) : name(r), is_dir ? dir(r) : name(r));
}

static void random_data(struct rng *r, char out[256])
{
	static const char *const modes[] = { "alloc", "keep", "punch", "zero", "zerokeep" };

	switch (rng_below(r, 7)) {
	case 0:
	case 1:
		snprintf(out, 256, "write %s %u %u", name(r), offset(r), length(r));
		break;
	case 2:
		snprintf(out, 256, "append %s %u", name(r), length(r));
		break;
	case 3:
		snprintf(out, 256, "truncate %s %u", name(r), offset(r));
		break;
	case 4:
		snprintf(out, 256, "fallocate %s %s %u %u", name(r), ANY(r, modes), offset(r),
			length(r));
		break;
	case 5:
		snprintf(out, 256, "fallocate %s %s %u %u", name(r),
			rng_below(r, 2) ? "collapse" : "insert", blocks(r, 4), 4096 + blocks(r, 3));
		break;
	default:
		snprintf(out, 256, "copy %s %s %u %u %u", name(r), name(r), offset(r), offset(r),
			length(r));
	}
}

static void random_attr(struct rng *r, char out[256])
{
	const char *n = rng_below(r, 4) ? name(r) : dir(r);
	unsigned int i = (unsigned int)rng_below(r, 4);

	switch (rng_below(r, 8)) {
	case 0:
		snprintf(out, 256, "chmod %s 0%o", n, (unsigned int)rng_below(r, 010000));
		break;
	case 1:
		snprintf(out, 256, "chown %s %u %u", n, i, i + 1);
		break;
	case 2:
		snprintf(out, 256, "utimes %s %u %u 0", n, 1000 + i, 2000 + i);
		break;
	case 3:
		snprintf(out, 256, "acl %s %s 07%u0", n, rng_below(r, 2) ? "access" : "default", i);
		break;
	case 4:
		snprintf(out, 256, "removexattr %s user.n%u", n, i);
		break;
	default:
		snprintf(out, 256, "setxattr %s user.n%u %u", n, i, length(r));
	}
}

static void random_open(struct rng *r, char out[256])
{
	static const char *const texts[] = { "open %s", "open %s trunc", "release %s", "release %s",
		"write @%s 4000 9000", "truncate @%s 77", "fsync %s" };

	snprintf(out, 256, ANY(r, texts), name(r));
}

void workload_random_step(struct rng *r, char out[256])
{
	switch (rng_below(r, 8)) {
	case 0:
	case 1:
	case 2:
		random_name(r, out);
		break;
	case 3:
	case 4:
	case 5:
		random_data(r, out);
		break;
	case 6:
		random_attr(r, out);
		break;
	default:
		random_open(r, out);
	}
}
