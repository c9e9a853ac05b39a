/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies in which each instruction that may meet poison is known to the signal handler, with the
 * place to go on from. What has been copied is then in registers, for a fault leaves them as they
 * were before the instruction.
 *
 * Both fast loops end in a careful one, which goes a byte at a time to the very byte that can't be
 * read: a fault tells neither how far into its vector a load came, nor, of poison, more than the
 * page.
 */
#include <cpuid.h>

#include "src/device/mc.h"
#include "src/device/mc_see.h"
#include "src/device/mc_signal.h"

/* ---- faults --------------------------------------------------------------------------------- */

/* An instruction that may fault and where to go on then, each relative to itself. */
struct fixup {
	int32_t load, next;
};

#define FIXUP(load, next)                                                                          \
	"	.pushsection ddfs_mc_fixups, \"a\"\n"                                                    \
	"	.balign	4\n"                                                                             \
	"	.long	" load " - .\n"                                                            \
	"	.long	" next " - .\n"                                                            \
	"	.popsection\n"

/* All of them; the linker names them after their section. */
extern const struct fixup __start_ddfs_mc_fixups[] __attribute__((visibility("hidden")));
extern const struct fixup __stop_ddfs_mc_fixups[] __attribute__((visibility("hidden")));

static greg_t address_of(const int32_t *relative)
{
	return (greg_t)(intptr_t)relative + *relative;
}

bool ddfs_mc_recover(const siginfo_t *info, ucontext_t *context)
{
	greg_t *rip = &context->uc_mcontext.gregs[REG_RIP];
	const struct fixup *f;

	(void)info;
	for (f = __start_ddfs_mc_fixups; f < __stop_ddfs_mc_fixups; f++) {
		if (address_of(&f->load) == *rip) {
			*rip = address_of(&f->next);
			return true;
		}
	}
	return false;
}

#define TRAP_PAGE_FAULT	 14
#define PAGE_FAULT_WRITE 2
#define PAGE_SHIFT	 12

/* The registers are those of the thread's last page fault, which this need not be. */
bool ddfs_mc_is_store(const siginfo_t *info, const ucontext_t *context)
{
	const greg_t *regs = context->uc_mcontext.gregs;
	greg_t addr = (greg_t)(intptr_t)info->si_addr;

	return regs[REG_TRAPNO] == TRAP_PAGE_FAULT && regs[REG_ERR] & PAGE_FAULT_WRITE &&
	       regs[REG_CR2] >> PAGE_SHIFT == addr >> PAGE_SHIFT;
}

/* ---- copies --------------------------------------------------------------------------------- */

#define LEAF_7_EBX_ERMS (1U << 9)

/* Of the processor, set before main. */
static bool has_erms, has_avx;

__attribute__((constructor)) static void look_at_processor(void)
{
	unsigned int a, b, c, d;

	has_erms = __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & LEAF_7_EBX_ERMS;
	has_avx = __builtin_cpu_supports("avx");
}

/* Goes on from rsi to rdi, for rcx bytes; uses rax. */
#define CAREFULLY                                                                                  \
	"30:	jrcxz	32f\n"                                                                          \
	"31:	movb	(%%rsi), %%al\n"                                                                 \
	"	movb	%%al, (%%rdi)\n"                                                                    \
	"	inc	%%rsi\n"                                                                             \
	"	inc	%%rdi\n"                                                                             \
	"	dec	%%rcx\n"                                                                             \
	"	jnz	31b\n"                                                                               \
	"32:\n" FIXUP("31b", "32b")

static size_t copy_by_string(void *dst, const void *src, size_t len)
{
	__asm__ volatile("10:	rep movsb\n"
			 "	jmp	32f\n" CAREFULLY FIXUP("10b", "30b")
			 : "+D"(dst), "+S"(src), "+c"(len)
			 :
			 : "rax", "cc", "memory");
	return len;
}

/* Loads first: the processor then need not guess whether they read what was just stored. */
static size_t copy_by_vectors(void *dst, const void *src, size_t len)
{
	__asm__ volatile("	sub	$128, %%rcx\n"
			 "	jb	15f\n"
			 "	.p2align 5\n"
			 "10:	vmovdqu	(%%rsi), %%ymm0\n"
			 "11:	vmovdqu	32(%%rsi), %%ymm1\n"
			 "12:	vmovdqu	64(%%rsi), %%ymm2\n"
			 "13:	vmovdqu	96(%%rsi), %%ymm3\n"
			 "	vmovdqu	%%ymm0, (%%rdi)\n"
			 "	vmovdqu	%%ymm1, 32(%%rdi)\n"
			 "	vmovdqu	%%ymm2, 64(%%rdi)\n"
			 "	vmovdqu	%%ymm3, 96(%%rdi)\n"
			 "	sub	$-128, %%rsi\n"
			 "	sub	$-128, %%rdi\n"
			 "	sub	$128, %%rcx\n"
			 "	jae	10b\n"
			 "14:	vzeroupper\n"
			 "15:	sub	$-128, %%rcx\n" CAREFULLY FIXUP("10b", "14b")
				 FIXUP("11b", "14b") FIXUP("12b", "14b") FIXUP("13b", "14b")
			 : "+D"(dst), "+S"(src), "+c"(len)
			 :
			 : "rax", "xmm0", "xmm1", "xmm2", "xmm3", "cc", "memory");
	return len;
}

/* What glibc's memcpy is made of on a processor with ERMS. It crawls where dst is less than a
 * vector behind src within their pages: on Zen 4 at 3.5 bytes a ns instead of 100, and memcpy with
 * it. */
static bool is_for_string(const void *dst, const void *src)
{
	uintptr_t behind = ((uintptr_t)dst - (uintptr_t)src) % 4096;

	return has_erms && (behind == 0 || behind >= 32);
}

size_t ddfs_copy_mc(void *dst, const void *src, size_t len)
{
	SEE_READ(src, len);
	SEE_WRITE(dst, len);
	if (has_avx && !is_for_string(dst, src))
		return copy_by_vectors(dst, src, len);
	return copy_by_string(dst, src, len);
}

/* ---- probing -------------------------------------------------------------------------------- */

/* A load in each line: enough to have the processor look at all of it. */
size_t ddfs_probe_mc(const void *src, size_t len)
{
	const char *at = src, *end = at + len;

	if (!len)
		return 0;
	SEE_READ(src, len);
	__asm__ volatile("1:	movzbl	(%[at]), %%eax\n"
			 "	and	$-64, %[at]\n"
			 "	jmp	3f\n"
			 "2:	movzbl	(%[at]), %%eax\n"
			 "3:	add	$64, %[at]\n"
			 "	cmp	%[end], %[at]\n"
			 "	jb	2b\n"
			 "	mov	%[end], %[at]\n"
			 "4:\n" FIXUP("1b", "4b") FIXUP("2b", "4b")
			 : [at] "+r"(at)
			 : [end] "r"(end)
			 : "rax", "cc", "memory");
	return (size_t)(end - at);
}
