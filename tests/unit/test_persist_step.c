/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the processor executes: a child is traced through the door's operations, one instruction
 * after the other, and what flushes or streams a line is counted. Where flushes are elided there is
 * none; where lines are flushed, as many as are counted.
 */
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "src/device/device.h"
#include "tests/unit/suite.h"
#include "tests/unit/test_device_image.h"

#define IMAGE_BYTES (32 * MIB)

/* What was executed. */
struct executed {
	uint64_t steps;
	uint64_t flushes; /* clwb, clflushopt, clflush */
	uint64_t streams; /* stores past the cache */
	uint64_t fences;
};

static struct ddfs_device *dev;
static struct image image;

static void open_image(enum ddfs_persistence persistence)
{
	const struct ddfs_device_options opt = { .persistence = persistence };

	image_make(&image, IN_MEMORY, IMAGE_BYTES);
	ck_assert_int_eq(ddfs_device_open(image.path, &opt, &dev), 0);
	image_remove(&image);
}

#ifdef __x86_64__

/* ---- decoding ------------------------------------------------------------------------------- */

static bool is_prefix(uint8_t b)
{
	static const uint8_t prefixes[] = { 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65,
		0x66, 0x67 };

	return memchr(prefixes, b, sizeof(prefixes)) || (b & 0xf0) == 0x40;
}

/* 0F AE: which of its many instructions, by the register field; on registers they are fences. */
static void see_group_15(struct executed *x, bool has_66, uint8_t modrm)
{
	unsigned int reg = modrm >> 3 & 7;
	bool memory = modrm < 0xc0;

	if (memory && (reg == 7 || (reg == 6 && has_66)))
		x->flushes++;
	else if (!memory && reg >= 5)
		x->fences++;
}

/* code: the bytes at the instruction pointer. */
static void see(struct executed *x, const uint8_t *code)
{
	const uint8_t *p = code;
	bool has_66 = false;

	while (p < code + 8 && is_prefix(*p))
		has_66 |= *p++ == 0x66;
	if (p[0] == 0x0f && p[1] == 0xae)
		see_group_15(x, has_66, p[2]);
	else if (p[0] == 0x0f && (p[1] == 0xe7 || p[1] == 0x2b || p[1] == 0xc3))
		x->streams++; /* movntdq, movntps, movnti */
	else if ((p[0] == 0xc5 && p[2] == 0xe7) || (p[0] == 0xc4 && p[3] == 0xe7) ||
		 (p[0] == 0x62 && p[4] == 0xe7))
		x->streams++; /* vmovntdq */
}

START_TEST(test_decoder)
{
	static const struct {
		uint8_t code[16];
		struct executed want;
	} cases[] = {
		{ { 0x66, 0x0f, 0xae, 0x30 }, { .flushes = 1 } },	/* clwb (%rax) */
		{ { 0x66, 0x41, 0x0f, 0xae, 0x30 }, { .flushes = 1 } }, /* clwb (%r8) */
		{ { 0x66, 0x0f, 0xae, 0x38 }, { .flushes = 1 } },	/* clflushopt */
		{ { 0x0f, 0xae, 0x7f, 0x40 }, { .flushes = 1 } },	/* clflush 64(%rdi) */
		{ { 0x0f, 0xae, 0xf8 }, { .fences = 1 } },		/* sfence */
		{ { 0x0f, 0xae, 0x30 }, { .flushes = 0 } },		/* xsaveopt */
		{ { 0x66, 0x0f, 0xe7, 0x07 }, { .streams = 1 } },	/* movntdq */
		{ { 0xc5, 0xfd, 0xe7, 0x07 }, { .streams = 1 } },	/* vmovntdq */
		{ { 0x62, 0xf1, 0x7d, 0x48, 0xe7, 0x07 }, { .streams = 1 } },
		{ { 0x48, 0x89, 0x07 }, { .streams = 0 } }, /* mov */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct executed x = { 0 };

		see(&x, cases[i].code);
		ck_assert_mem_eq(&x, &cases[i].want, sizeof(x));
	}
}
END_TEST

/* ---- tracing -------------------------------------------------------------------------------- */

/* Counts a child's instructions from its first stop until its second. */
static void trace(pid_t child, struct executed *x)
{
	struct user_regs_struct regs;
	uint8_t code[16];
	int status;

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	for (;;) {
		ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFSTOPPED(status));
		if (WSTOPSIG(status) == SIGSTOP)
			break;
		ck_assert_int_eq(ptrace(PTRACE_GETREGS, child, NULL, &regs), 0);
		for (int i = 0; i < 2; i++) {
			long word = ptrace(PTRACE_PEEKTEXT, child, regs.rip + 8 * (unsigned)i, 0);

			memcpy(code + 8 * i, &word, 8);
		}
		see(x, code);
		x->steps++;
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
}

static void operations(struct ddfs_media *m)
{
	static const size_t lens[] = { 1, 8, 63, 64, 100, 255, 256, 1000, 4096, 70001 };
	static uint8_t bytes[70001];

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		m->ops->copy(m, 4096 + i, bytes, lens[i]);
		m->ops->set(m, MIB + i, 0, lens[i]);
		m->ops->drain(m);
	}
	m->ops->flush(m, 8192, 100);
	m->ops->drain(m);
	m->ops->deep_flush(m, DDFS_SYNC_FILE);
}

static void run_traced(struct executed *x)
{
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(1);
		raise(SIGSTOP);
		operations(ddfs_device_media(dev));
		raise(SIGSTOP);
		_exit(0);
	}
	trace(child, x);
}

/* The lines that the same operations are counted as. */
static uint64_t count_lines(bool flushed)
{
	const struct ddfs_media_stats *stats = ddfs_device_stats(dev);
	const atomic_ullong *lines = flushed ? &stats->lines_flushed : &stats->lines_elided;
	uint64_t before = *lines;

	operations(ddfs_device_media(dev));
	ddfs_device_stats(dev);
	return *lines - before;
}

START_TEST(test_elided)
{
	struct executed x = { 0 };

	open_image(_i ? DDFS_PERSISTENCE_CPU_CACHE : DDFS_PERSISTENCE_AUTO);
	run_traced(&x);
	ck_assert_uint_gt(x.steps, 1000);
	ck_assert_uint_eq(x.flushes, 0);
	ck_assert_uint_ge(x.fences, 11);
	ck_assert_uint_gt(count_lines(false), 2000);
	ddfs_device_close(dev);
}
END_TEST

/* The same detector finds them where they are wanted: together with what is streamed, in pieces of
 * 8 to 64 bytes, they cover each line. */
START_TEST(test_flushed)
{
	struct executed x = { 0 };
	uint64_t lines;

	open_image(DDFS_PERSISTENCE_MEMORY_CONTROLLER);
	lines = count_lines(true);
	run_traced(&x);
	ck_assert_uint_gt(x.flushes, 30);
	ck_assert_uint_le(x.flushes, lines);
	ck_assert_uint_ge(x.flushes + x.streams, lines);
	ck_assert_uint_ge(x.fences, 11);
	ddfs_device_close(dev);
}
END_TEST

/* After a switch, the other set. */
START_TEST(test_switched)
{
	struct executed x = { 0 }, y = { 0 };

	open_image(DDFS_PERSISTENCE_MEMORY_CONTROLLER);
	ck_assert_int_eq(
		ddfs_device_set_persistence(dev, DDFS_PERSISTENCE_CPU_CACHE, NULL, NULL), 0);
	run_traced(&x);
	ck_assert_uint_eq(x.flushes, 0);
	ck_assert_int_eq(
		ddfs_device_set_persistence(dev, DDFS_PERSISTENCE_MEMORY_CONTROLLER, NULL, NULL),
		0);
	run_traced(&y);
	ck_assert_uint_gt(y.flushes, 30);
	ddfs_device_close(dev);
}
END_TEST

static bool can_trace(void)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) ? 1 : 0);
	return waitpid(child, &status, 0) == child && WIFEXITED(status) && !WEXITSTATUS(status);
}

int main(void)
{
	const struct suite_case cases[] = {
		{ "decoder", test_decoder, 0 },
		{ "elided", test_elided, 2 },
		{ "flushed", test_flushed, 0 },
		{ "switched", test_switched, 0 },
	};

	if (!can_trace()) {
		fputs("no process may be traced here\n", stderr);
		return 77;
	}
	return run_suite(suite_make("persist step", cases, sizeof(cases) / sizeof(cases[0])));
}

#else

int main(void)
{
	fputs("knows the instructions of x86 only\n", stderr);
	return 77;
}

#endif
