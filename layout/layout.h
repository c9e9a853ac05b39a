/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Layouts: the pins of a file, and the changes of it that wait for them.
 *
 * A pin is a lease on pages. Whatever would take pages away from a file *breaks* the file's layout
 * first: it looks for a busy page and, if there is one, has the pins in its way recalled and waits
 * until they are gone. Nothing here sleeps, takes a lock of its caller or knows what a file is: who
 * must wait registers a struct ddfs_wait, lets go of everything, and is woken to look again.
 *
 * To change a file (with its lock held exclusive all the time between the look and the change):
 *
 *	if (ddfs_layout_is_pinned(l) && (a page of the range is busy))
 *		return ddfs_layout_wait(l, first, last, page, wait);	-EINPROGRESS: unlock, return
 *	...change...
 *	ddfs_wait_end(wait);						new pins may come in
 *
 * To pin (with its lock held, shared will do, from admit to add):
 *
 *	err = ddfs_pin_admit(l, owner, holder, first, last, wait);
 *	if (!err)
 *		err = ddfs_pin_add(l, owner, holder, ..., runs, nr_runs, &pin);
 *
 * The protocol is checked by layout.pml, whose names are these. Its rules:
 *
 *  1. A break that has once registered stays *standing* until ddfs_wait_end, also while it has been
 *     woken and not looked again: no new pin of its range comes in before it (no starvation).
 *  2. Registering and looking at the page once more is one step against the put of the page (no
 *     wake-up is lost).
 *  3. Who is asked to let go never queues itself: queued pins of a holder, or of an open file, that
 *     has pins recalled fail with -EDEADLK, and so do new ones that would have to queue (no circle
 *     of pins; a holder that changes a file it has pinned waits, for another of its threads may let
 *     go).
 *  4. A wait is woken exactly once for each time it was registered: by the page, by cancel, by the
 *     lease's end. A cancel that comes while it is not registered keeps it from registering again.
 *  5. Once a call has returned -EINPROGRESS its caller touches nothing of the request any more: it
 *     may have been woken, run again, answered and freed by then.
 *
 * One mutex, layouts->lock, protects all of it: what is done under it is short, pins are rarely
 * made next to what they are used for, and one lock makes the above easy to see. It is a leaf, but
 * for the pagemap, which has none.
 */
#ifndef DDFS_LAYOUT_LAYOUT_H
#define DDFS_LAYOUT_LAYOUT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <time.h>

#include "layout/pagemap.h"

struct ddfs_holder;
struct ddfs_layout;
struct ddfs_layouts;
struct ddfs_pin;

/* ---- waiting -------------------------------------------------------------------------------- */

enum ddfs_wait_state {
	DDFS_WAIT_NONE,	    /* not registered */
	DDFS_WAIT_BREAK,    /* a change, waiting for a page to go idle */
	DDFS_WAIT_STANDING, /* a change that was woken: it has not looked again, or is at it */
	DDFS_WAIT_PIN,	    /* a new pin, queued behind changes */
};

/* Zeroed but for wake before it is first used; must not move or go while registered. */
struct ddfs_wait {
	/* The wait is over: err 0, look again; -EBUSY, the lease ended and lease_expire=fail;
	 * -EDEADLK, rule 3; -ENODEV, the filesystem is being unmounted; or what cancel was given.
	 * Called once for each -EINPROGRESS, by any thread, perhaps before the call that returned
	 * that has returned; with layouts->lock held: it must only note it, and not call back. */
	void (*wake)(struct ddfs_wait *w, int err);
	pid_t pid; /* who waits, for people; 0: the filesystem itself */

	/* protected by layouts->lock */
	enum ddfs_wait_state state;
	struct ddfs_layout *layout;
	uint64_t first, last;	       /* blocks of the file: [first, last) */
	uint64_t page;		       /* BREAK: the page it waits for */
	int cancelled;		       /* what it was cancelled with, if it was */
	struct ddfs_holder *holder;    /* PIN: who wants it; the caller's reference */
	struct ddfs_pin_owner *owner;  /* PIN: and for which open file */
	TAILQ_ENTRY(ddfs_wait) link;   /* of the layout's breaks or queue */
	TAILQ_ENTRY(ddfs_wait) queued; /* PIN: of those of all files */
};
TAILQ_HEAD(ddfs_wait_list, ddfs_wait);

/* The change is done, or given up: pins behind it may come in. No-op if it never had to wait.
 * Not for a wait that is still to be woken: cancel that. */
void ddfs_wait_end(struct ddfs_layouts *ls, struct ddfs_wait *w);
/* If it waits, take it off and wake it with err: true. If it does not, because it is woken already
 * or has not registered yet: it will not wait any more, but get err instead; false. Safe against a
 * wake at the same time. */
bool ddfs_wait_cancel(struct ddfs_layouts *ls, struct ddfs_wait *w, int err);

/* ---- one file ------------------------------------------------------------------------------- */

/* Part of whatever stands for a file in memory, which must outlive its pins and waits. */
struct ddfs_layout {
	uint64_t id; /* of the file, for people */
	struct ddfs_layouts *layouts;
	/* protected by layouts->lock */
	LIST_HEAD(, ddfs_pin) pins;
	struct ddfs_wait_list breaks; /* BREAK and STANDING, oldest first */
	struct ddfs_wait_list queue;  /* PIN, oldest first */
	_Atomic uint32_t nr_pins;     /* changed under the lock, read without */
};

void ddfs_layout_init(struct ddfs_layout *l, struct ddfs_layouts *ls, uint64_t id);
/* Asserts that nothing is left. */
void ddfs_layout_fini(struct ddfs_layout *l);

/* Whether it has pins. With the file's lock held exclusive a false stays false: new pins need it.
 */
static inline bool ddfs_layout_is_pinned(const struct ddfs_layout *l)
{
	return atomic_load(&l->nr_pins) != 0;
}

/* A page of the file's blocks [first, last) is busy, so that a change has to wait. last UINT64_MAX:
 * to the end, whatever that is. Registers w as a break, has the pins that overlap the range
 * recalled, and returns -EINPROGRESS. -EAGAIN: the page has gone idle meanwhile: look again.
 * -EBUSY: w is NULL, or a lease in
 * the way has run out and lease_expire=fail. What w was cancelled with. The file's lock is held
 * exclusive. */
int ddfs_layout_wait(
	struct ddfs_layout *l, uint64_t first, uint64_t last, uint64_t page, struct ddfs_wait *w);

/* ---- pins ----------------------------------------------------------------------------------- */

enum ddfs_pin_mode {
	DDFS_PIN_MODE_READ = 1,
	DDFS_PIN_MODE_WRITE = 2, /* stores too */
};

/* Pages that lie in a row on the device and in the file. */
struct ddfs_page_run {
	uint64_t block; /* of the file */
	uint64_t page;	/* of the device */
	uint64_t nr;
};

/* What pins belong to: an open file. Part of the caller's handle. */
struct ddfs_pin_owner {
	/* Something is to be let go, or (pending false) no longer. Called with layouts->lock held;
	 * must not block or call back. May be NULL. */
	void (*recall)(struct ddfs_pin_owner *o, bool pending);
	/* protected by layouts->lock */
	LIST_HEAD(, ddfs_pin) pins;
	uint32_t nr_pins;
	uint32_t nr_recalled; /* of its pins, those that are asked to go */
};
void ddfs_pin_owner_init(
	struct ddfs_pin_owner *o, void (*recall)(struct ddfs_pin_owner *o, bool pending));
bool ddfs_pin_owner_is_recalled(struct ddfs_layouts *ls, struct ddfs_pin_owner *o);

struct ddfs_pin {
	struct ddfs_layout *layout;   /* fixed, like all up to runs */
	struct ddfs_holder *holder;   /* a reference; NULL: of an earlier mount */
	struct ddfs_pagemap *pagemap; /* a live reference; NULL without runs */
	uint64_t pagemap_first;	      /* the filesystem's number of its page 0 */
	uint64_t id;		      /* never used twice */
	uint64_t first, last;	      /* blocks of the file that were asked for */
	enum ddfs_pin_mode mode;
	uint32_t epoch;	       /* of the mount that it was made in; see ddfs_pin_params */
	pid_t pid;	       /* of the holder; 0: not known */
	struct timespec since; /* CLOCK_REALTIME */
	void *priv;	       /* the maker's */

	/* protected by layouts->lock */
	struct ddfs_pin_owner *owner; /* NULL: it lingers until its holder is gone */
	bool recalled;
	bool expired;
	time_t deadline; /* CLOCK_MONOTONIC seconds; while recalled */
	LIST_ENTRY(ddfs_pin) of_file;
	LIST_ENTRY(ddfs_pin) of_owner;

	size_t nr_runs;
	struct ddfs_page_run runs[]; /* fixed */
};

/* Whether a new pin of [first, last) may be made now: 0. A break stands in its way: w is queued and
 * -EINPROGRESS returned, or -EAGAIN with w NULL. -EDEADLK: rule 3. -ENODEV: unmounting. */
int ddfs_pin_admit(struct ddfs_layout *l, struct ddfs_pin_owner *owner, struct ddfs_holder *holder,
	uint64_t first, uint64_t last, struct ddfs_wait *w);

struct ddfs_pin_params {
	struct ddfs_pin_owner *owner; /* NULL: of an earlier mount */
	struct ddfs_holder *holder;   /* another reference is taken; NULL likewise */
	uint64_t first, last;
	enum ddfs_pin_mode mode;
	uint32_t epoch;
	const struct ddfs_page_run *runs; /* copied; none is empty */
	size_t nr_runs;
	pid_t pid;    /* of an earlier mount: the holder's then, 0 if not known */
	time_t since; /* likewise: when it was made, CLOCK_REALTIME seconds */
	void *priv;   /* the pin's, if it is made */
	/* Called without locks before any page is held: the place to record it. May be NULL. When
	 * it has succeeded and the pin can't be made all the same, erase is called, but not ended:
	 * the file's lock is held, and the maker knows. */
	int (*record)(struct ddfs_pin *pin, void *arg);
	void *arg;
};
/* The file's lock is held since ddfs_pin_admit. -EUSERS: too many hold a page. -ENODEV: unmounting.
 * -ENOMEM. What record returned. Another thread may end *out at once, by a guess of its id: who
 * looks at it further has `ended` wait for the file's lock. */
int ddfs_pin_add(
	struct ddfs_layout *l, const struct ddfs_pin_params *params, struct ddfs_pin **out);

/* Let go of the owner's pin id: the pages are put, who waits for them is woken. -ENOENT: not one of
 * the owner's pins. ddfs_layouts_params.ended is called before it returns. */
int ddfs_pin_remove(struct ddfs_layouts *ls, struct ddfs_pin_owner *o, uint64_t id);
/* Calls fn with layouts->lock held for the owner's pin id. -ENOENT, or what fn returned. */
int ddfs_pin_visit(struct ddfs_layouts *ls, struct ddfs_pin_owner *o, uint64_t id,
	int (*fn)(const struct ddfs_pin *pin, void *arg), void *arg);

/* The open file is closed: its pins end, but for those whose holder is dying, which end when it is
 * wholly gone (ddfs_layouts_collect). No wait is registered by it any more. */
void ddfs_pin_owner_release(struct ddfs_layouts *ls, struct ddfs_pin_owner *o);

/* ---- all of them ---------------------------------------------------------------------------- */

/* What happens to a change when the lease of a pin in its way has run out. */
enum ddfs_lease_expire {
	DDFS_LEASE_WAIT, /* it goes on waiting, as in the kernel */
	DDFS_LEASE_FAIL, /* it fails with -EBUSY */
	DDFS_LEASE_KILL, /* the holder is killed */
};

struct ddfs_layouts_params {
	const struct ddfs_pagemaps *pagemaps; /* the caller's */
	unsigned int lease_time;	      /* seconds */
	enum ddfs_lease_expire lease_expire;
	/* The pin is about to let its pages go: with layouts->lock held. The place to take its
	 * record back. May be NULL. */
	void (*erase)(void *arg, struct ddfs_pin *pin);
	/* The pin is off; called without locks just before its memory goes. May be NULL. */
	void (*ended)(void *arg, struct ddfs_pin *pin);
	/* One line for a person, as ddfs_log_fn. May be NULL. With layouts->lock held. */
	void (*log)(void *arg, int priority, const char *line);
	void *arg;
};
int ddfs_layouts_new(const struct ddfs_layouts_params *params, struct ddfs_layouts **out);
/* No pin or wait is left. */
void ddfs_layouts_delete(struct ddfs_layouts *ls);

/* To be given as ddfs_pagemap_params.idle to every pagemap of the set. */
void ddfs_layouts_page_idle(void *arg, uint64_t page, uint64_t nr);

struct ddfs_holders *ddfs_layouts_holders(struct ddfs_layouts *ls);

void ddfs_layouts_set_lease(
	struct ddfs_layouts *ls, unsigned int lease_time, enum ddfs_lease_expire expire);

/* To be called when ddfs_holders_fd is readable: ends the lingering pins of holders that are gone.
 */
void ddfs_layouts_collect(struct ddfs_layouts *ls);
/* To be called about once a second: deals with leases that have run out. now is CLOCK_MONOTONIC
 * seconds. */
void ddfs_layouts_tick(struct ddfs_layouts *ls, time_t now);
/* End the pins of earlier mounts for which gone(arg, epoch) is true, because no client holds the
 * device any more, unless the holder is dying and not wholly gone: it lets go of the device before.
 * Returns how many. gone is called with layouts->lock held. */
uint64_t ddfs_layouts_end_epochs(
	struct ddfs_layouts *ls, bool (*gone)(void *arg, uint32_t epoch), void *arg);

/* Unmount: no new pins (-ENODEV), queued ones fail, all pins are recalled. Waits for those of this
 * mount to go, at most timeout_msec (-1: for ever); may be called again to wait on. Changes that
 * wait go on waiting: who made them cancels them. Another thread must go on releasing files,
 * collecting and ticking meanwhile, or nothing ends. Returns how many pins are left, with those of
 * earlier mounts. */
uint64_t ddfs_layouts_kill(struct ddfs_layouts *ls, int timeout_msec);
/* End all pins that are left without erasing them: the next mount takes them over. ended is called
 * for each. */
void ddfs_layouts_abandon(struct ddfs_layouts *ls);

struct ddfs_layouts_stats {
	uint64_t nr_pins;
	uint64_t nr_pages; /* held, a page as often as it is pinned */
	uint64_t nr_recalled;
	uint64_t nr_breaks; /* changes that wait */
	uint64_t nr_queued; /* pins that wait */
};
/* l NULL: all files. */
void ddfs_layouts_stats(
	struct ddfs_layouts *ls, struct ddfs_layout *l, struct ddfs_layouts_stats *out);

/* What a person wants to know of a pin. */
struct ddfs_pin_info {
	uint64_t id;
	uint64_t file; /* ddfs_layout.id */
	uint64_t first, last;
	uint64_t nr_pages;
	enum ddfs_pin_mode mode;
	struct timespec since;
	pid_t pid;     /* of the holder */
	char comm[16]; /* its program; "" for a pin of an earlier mount */
	bool earlier;  /* of an earlier mount */
	bool recalled, expired, lingering;
	unsigned int seconds_left; /* of the lease, while recalled */
	uint32_t nr_waiting;	   /* changes that wait for it */
	pid_t waiting;		   /* one of them; 0: none */
};
/* Pins in the order of their ids behind `after`, at most max; l NULL: of all files. Returns how
 * many were filled in. */
size_t ddfs_layouts_list(struct ddfs_layouts *ls, struct ddfs_layout *l, uint64_t after,
	struct ddfs_pin_info *out, size_t max);

#endif
