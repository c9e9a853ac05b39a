/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For processors that have no copies of their own: memcpy, left by a jump where it meets poison.
 * It does not say how far it came, so all is copied again then, a byte at a time, up to the very
 * byte that can't be read.
 */
#include <setjmp.h>
#include <string.h>

#include "src/device/mc.h"
#include "src/device/mc_signal.h"

#define LINE_BYTES 64
#define PAGE_BYTES UINT64_C(4096)

struct attempt {
	jmp_buf env;
	volatile int faults;  /* so far */
	volatile size_t done; /* bytes */
	const void *dst;      /* faults there are somebody else's */
	size_t dst_len;
	struct attempt *outer; /* that a signal interrupted */
};

/* The one of this thread; a signal handler is told nothing else. It may not allocate either. */
static _Thread_local struct attempt *volatile current __attribute__((tls_model("initial-exec")));

static void begin(struct attempt *a, const void *dst, size_t dst_len)
{
	a->faults = 0;
	a->done = 0;
	a->dst = dst;
	a->dst_len = dst_len;
	a->outer = current;
	current = a;
}

static size_t end(const struct attempt *a, size_t len)
{
	current = a->outer;
	return len - a->done;
}

/* si_addr may be as coarse as a page. */
static bool is_in_dst(const struct attempt *a, const void *addr)
{
	uintptr_t first = (uintptr_t)a->dst & ~(PAGE_BYTES - 1);

	return a->dst_len && (uintptr_t)addr - first < (uintptr_t)a->dst + a->dst_len - first;
}

bool ddfs_mc_recover(const siginfo_t *info, ucontext_t *context)
{
	struct attempt *a = current;

	(void)context;
	if (!a || is_in_dst(a, info->si_addr))
		return false;
	a->faults++;
	longjmp(a->env, 1); /* not _longjmp: ThreadSanitizer doesn't know it */
}

bool ddfs_mc_is_store(const siginfo_t *info, const ucontext_t *context)
{
	(void)info;
	(void)context;
	return false;
}

static void copy_carefully(struct attempt *a, uint8_t *dst, const volatile uint8_t *src, size_t len)
{
	for (; a->done < len; a->done++)
		dst[a->done] = src[a->done];
}

size_t ddfs_copy_mc(void *dst, const void *src, size_t len)
{
	struct attempt a;

	begin(&a, dst, len);
	_setjmp(a.env); /* comes back with one more fault */
	if (a.faults == 0) {
		memcpy(dst, src, len);
		a.done = len;
	} else if (a.faults == 1) {
		copy_carefully(&a, dst, src, len);
	}
	return end(&a, len);
}

/* The start of the line behind the one that has the byte at off, or the end. */
static size_t next_line(const uint8_t *src, size_t off, size_t len)
{
	size_t next = off + LINE_BYTES - (uintptr_t)(src + off) % LINE_BYTES;

	return next < len ? next : len;
}

size_t ddfs_probe_mc(const void *src, size_t len)
{
	const uint8_t *bytes = src;
	struct attempt a;

	begin(&a, NULL, 0);
	_setjmp(a.env);
	if (a.faults == 0)
		for (; a.done < len; a.done = next_line(bytes, a.done, len))
			(void)*(const volatile uint8_t *)(bytes + a.done);
	return end(&a, len);
}
