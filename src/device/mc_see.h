/* SPDX-License-Identifier: BSD-3-Clause */
/* Tells the sanitizers of memory that assembly reads or writes: they see only the compiler's. */
#ifndef DDFS_DEVICE_MC_SEE_H
#define DDFS_DEVICE_MC_SEE_H

#include <stdint.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

/* Their runtime's functions, which the compiler calls for a range. */
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
void __tsan_read_range(void *addr, long len);
void __tsan_write_range(void *addr, long len);
#define SEE_READ(addr, len)  __tsan_read_range((void *)(uintptr_t)(addr), (long)(len))
#define SEE_WRITE(addr, len) __tsan_write_range(addr, (long)(len))
#elif defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
void __asan_loadN(void *addr, long len);
void __asan_storeN(void *addr, long len);
#define SEE_READ(addr, len)  __asan_loadN((void *)(uintptr_t)(addr), (long)(len))
#define SEE_WRITE(addr, len) __asan_storeN(addr, (long)(len))
#else
#define SEE_READ(addr, len)  ((void)0)
#define SEE_WRITE(addr, len) ((void)0)
#endif

#endif
