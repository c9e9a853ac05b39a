/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pagemap of one mapped device: who holds which of its pages, and for how long the device
 * itself must stay. The kernel's struct dev_pagemap (mm/memremap.c), for user space.
 *
 *	ddfs_pagemap_new(&params, &pm);
 *	if (ddfs_pagemap_tryget_live(pm)) {
 *		ddfs_pagemap_get_pages(pm, page, nr);		the pages are busy
 *		...
 *		ddfs_pagemap_put_pages(pm, page, nr, arg);	idle: the callback, if anybody waits
 *		ddfs_pagemap_put_live(pm);
 *	}
 *	ddfs_pagemap_kill(pm);
 *	ddfs_pagemap_drain(pm, -1);
 *
 * A page is 4 KiB; pages are numbered from the start of the device. A page's count is 1 when it
 * is idle, as in the kernel; what is stored is the count less 1, so that zeroed storage says
 * idle and nothing is initialised.
 *
 * Whole units of 512 pages (2 MiB) and whole giants of 262144 (1 GiB), aligned to their size on
 * the device, are counted once, so that holding them costs one addition each. A page's count is
 * what is held of it alone, of its unit as a whole and of its giant as a whole. The storage:
 *
 *	64 bits a giant		upper 16: holders of all of it; lower 48: holders of parts of it
 *	64 bits a unit		the same
 *	16 bits a page		holders of it alone
 *
 * A giant or unit whose word is 0 is idle, so that looking for a busy page skips idle gigabytes,
 * and the words of the units of a gigabyte lie side by side: a range that is one giant long but
 * not aligned to one costs 32 cache lines. All functions may be called by any thread; none takes
 * a lock.
 */
#ifndef DDFS_LAYOUT_PAGEMAP_H
#define DDFS_LAYOUT_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DDFS_PAGE_SHIFT	 12
#define DDFS_UNIT_PAGES	 512u
#define DDFS_GIANT_PAGES 262144u
/* Holders of one page alone, of one unit as a whole, or of one giant as a whole; more get -EUSERS.
 */
#define DDFS_PAGE_HOLDS_MAX 65535u

/* What kind of memory a pagemap describes (the kernel's enum memory_type). */
enum ddfs_memory_type {
	DDFS_MEMORY_FS_DAX,  /* device-dax: load, store, DMA */
	DDFS_MEMORY_HOST,    /* an image file: load and store */
	DDFS_MEMORY_PRIVATE, /* not addressable by load and store: a cold tier */
};
const char *ddfs_memory_type_name(enum ddfs_memory_type type);

/* Pages [page, page + nr) went idle by a put that was given arg. Called only while somebody
 * waits (ddfs_pagemap_wait_begin); perhaps in parts. Must not put or get. */
typedef void (*ddfs_page_idle_fn)(void *arg, uint64_t page, uint64_t nr);

struct ddfs_pagemap_params {
	uint64_t nr_pages;
	enum ddfs_memory_type type;
	/* Storage of ddfs_pagemap_bytes(nr_pages) bytes, zeroed or as an earlier pagemap left it
	 * when all its pages were idle; 8-byte aligned; the caller's. NULL: in DRAM, which costs
	 * nothing until a page is held. The kernel's altmap. */
	void *altmap;
	ddfs_page_idle_fn idle; /* may be NULL */
};

struct ddfs_pagemap;

size_t ddfs_pagemap_bytes(uint64_t nr_pages);

/* -ENOMEM; -EINVAL: no pages, or altmap misaligned. */
int ddfs_pagemap_new(const struct ddfs_pagemap_params *params, struct ddfs_pagemap **out);
/* No live reference is left. NULL is allowed. */
void ddfs_pagemap_delete(struct ddfs_pagemap *pm);

uint64_t ddfs_pagemap_nr_pages(const struct ddfs_pagemap *pm);
enum ddfs_memory_type ddfs_pagemap_type(const struct ddfs_pagemap *pm);

/* ---- lifetime (percpu_ref of the kernel's dev_pagemap) --------------------------------------- */

/* A reference that keeps the device: false once it is dying. */
bool ddfs_pagemap_tryget_live(struct ddfs_pagemap *pm);
void ddfs_pagemap_put_live(struct ddfs_pagemap *pm);
/* No new live reference from now on. May be called twice. */
void ddfs_pagemap_kill(struct ddfs_pagemap *pm);
bool ddfs_pagemap_is_dying(const struct ddfs_pagemap *pm);
/* Behind kill: wait until the last live reference is put; timeout_msec -1: for ever.
 * -ETIMEDOUT. */
int ddfs_pagemap_drain(struct ddfs_pagemap *pm, int timeout_msec);

/* ---- pages ---------------------------------------------------------------------------------- */

/* Hold [page, page + nr), which lies inside the device. -EUSERS: a count is at its limit, and
 * nothing is held. The caller has a live reference, and keeps those who look at these pages from
 * looking meanwhile: a get that fails makes them busy for a moment, without a word to `idle`. */
int ddfs_pagemap_get_pages(struct ddfs_pagemap *pm, uint64_t page, uint64_t nr);
/* The same range as was got, not a part of it. */
void ddfs_pagemap_put_pages(struct ddfs_pagemap *pm, uint64_t page, uint64_t nr, void *arg);

/* The count of one page, with the units it lies in: 1 if idle. */
uint32_t ddfs_pagemap_count(const struct ddfs_pagemap *pm, uint64_t page);
/* The first busy page of [page, page + nr), page + nr if all are idle. */
uint64_t ddfs_pagemap_busy_page(const struct ddfs_pagemap *pm, uint64_t page, uint64_t nr);

/* Somebody is about to look for a busy page and to sleep if there is one: from begin to end, puts
 * call `idle`. Who looks behind begin either sees a page idle or is called when it gets so. */
void ddfs_pagemap_wait_begin(struct ddfs_pagemap *pm);
void ddfs_pagemap_wait_end(struct ddfs_pagemap *pm);

/* ---- look-up over several ------------------------------------------------------------------- */

/* The pagemaps behind one filesystem, each for a range of its pages. Filled before anybody looks.
 */
#define DDFS_PAGEMAPS_MAX 8
struct ddfs_pagemaps {
	unsigned int nr;
	struct {
		struct ddfs_pagemap *pm;
		uint64_t first; /* the filesystem's page that is page 0 of pm */
	} range[DDFS_PAGEMAPS_MAX];
};

/* Ranges must not overlap: -EEXIST; -ENOSPC: too many. */
int ddfs_pagemaps_add(struct ddfs_pagemaps *set, struct ddfs_pagemap *pm, uint64_t first);

/* The pagemap that describes the filesystem's page, with a live reference, and in *off that
 * pagemap's own number of the page. cached, if not NULL, is one that the caller has a live
 * reference to: if it covers the page it is returned as it is, without another reference; else
 * its reference is put. NULL: nobody covers the page, or it is dying; cached is put. As
 * get_dev_pagemap(). */
struct ddfs_pagemap *ddfs_pagemap_get(
	const struct ddfs_pagemaps *set, uint64_t page, struct ddfs_pagemap *cached, uint64_t *off);

#endif
