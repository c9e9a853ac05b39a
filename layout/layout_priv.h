/* SPDX-License-Identifier: BSD-3-Clause */
/* Between layout.c, pin.c, wait.c, lease.c and list.c. Every function here wants layouts->lock. */
#ifndef DDFS_LAYOUT_LAYOUT_PRIV_H
#define DDFS_LAYOUT_LAYOUT_PRIV_H

#include "layout/layout.h"

/* Where a pin is found by the upper half of its id; the lower tells one use of the slot from the
 * next. */
struct ddfs_pin_slot {
	struct ddfs_pin *pin; /* NULL: free */
	uint32_t generation;
	uint32_t next_free; /* while free; 0: the last */
};

LIST_HEAD(ddfs_pin_list, ddfs_pin);

struct ddfs_layouts {
	pthread_mutex_t lock;
	struct ddfs_layouts_params params; /* the lease's two protected by lock, the others fixed */
	struct ddfs_holders *holders;
	pthread_cond_t went; /* a pin of this mount ended */

	/* protected by lock */
	bool dying;
	struct ddfs_pin_slot *slots;  /* [0] is never used */
	uint32_t nr_slots;	      /* as allocated */
	uint32_t free_slot;	      /* 0: none */
	struct ddfs_wait_list queued; /* pins of all files that wait */
	uint64_t nr_here;	      /* pins of this mount */
	uint64_t nr_lingering;	      /* of these, without an open file */
	struct ddfs_layouts_stats stats;
};

__attribute__((format(printf, 3, 4))) void ddfs_layouts_log(
	struct ddfs_layouts *ls, int priority, const char *fmt, ...);

time_t ddfs_layouts_now(void); /* CLOCK_MONOTONIC seconds */

static inline bool ddfs_ranges_overlap(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end)
{
	return a < b_end && b < a_end;
}

/* ---- slots (list.c) ---- */

int ddfs_pin_slot_get(struct ddfs_layouts *ls, struct ddfs_pin *pin); /* sets pin->id; -ENOMEM */
void ddfs_pin_slot_put(struct ddfs_layouts *ls, struct ddfs_pin *pin);
/* The first pin whose id is above after. */
struct ddfs_pin *ddfs_pin_next(struct ddfs_layouts *ls, uint64_t after);
struct ddfs_pin *ddfs_pin_find(struct ddfs_layouts *ls, uint64_t id);

/* ---- pin.c ---- */

/* Whether the pin holds pages of the file's blocks [first, last): it may span holes that do not. */
bool ddfs_pin_covers(const struct ddfs_pin *pin, uint64_t first, uint64_t last);

/* Take the pin off: its record, its pages, its lists. It goes to the list `ended`, which is handed
 * to ddfs_pins_finish once the lock is dropped. */
void ddfs_pin_end(struct ddfs_pin *pin, bool erase, struct ddfs_pin_list *ended);
void ddfs_pins_finish(struct ddfs_layouts *ls, struct ddfs_pin_list *ended);

/* ---- waiting (wait.c) ---- */

/* A break that overlaps [first, last). */
bool ddfs_layout_is_breaking(const struct ddfs_layout *l, uint64_t first, uint64_t last);
/* Fail every break that waits and has the pin in its way. */
void ddfs_breaks_fail(const struct ddfs_pin *pin, int err);
/* Fail queued pins: those of the holder and those of the open file, each unless NULL; all, if both
 * are NULL. */
void ddfs_queued_fail(struct ddfs_layouts *ls, const struct ddfs_holder *h,
	const struct ddfs_pin_owner *o, int err);

/* ---- recall (lease.c) ---- */

void ddfs_pin_recall(struct ddfs_pin *pin);
/* Nobody waits for it any more, or it ends. */
void ddfs_pin_unrecall(struct ddfs_pin *pin);

#endif
