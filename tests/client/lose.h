/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that this process can't read any more, as if the machine had lost it. */
#ifndef DDFS_TESTS_LOSE_H
#define DDFS_TESTS_LOSE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Touching the page is a machine check from now on (BUS_MCEERR_AR), for this process alone:
 * UFFDIO_POISON. Where the kernel lacks that the page of a real device is given up, and the signal
 * comes at once (MADV_HWPOISON). Skips the test if there is neither.
 */
void lose_page(void *page);
/* What was lost in [addr, addr + len), whole pages, can be read again. For signal handlers too. */
void lose_nothing(void *addr, size_t len);

/* A page of no mapping of the library's that raises BUS_ADRERR: of a file that has been cut. */
void *lose_elsewhere(void);

#endif
