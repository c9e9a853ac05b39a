/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The protocol of layout.h for Spin, with the names of the code. tests/model/run checks every
 * scenario below exhaustively, and that every mutant is refuted.
 *
 * What is one d_step here is done under layouts->lock there; everything else interleaves. The one
 * thing under that lock of which others see the middle is the end of a pin, for a change looks at
 * nr_pins and at the pages without it: ddfs_pin_end is in steps, with ls_lock held. Taking a lock
 * is one step with what follows, dropping it one with what precedes; that hides no order.
 *
 * A page is a bit; a file has FILE_PAGES of them; a range is a set of bits of one file. A change
 * takes the pages of its range away, and they are another file's at once: take_pages() asserts that
 * nobody uses, holds or has recorded them. That the file gets other pages later is left out.
 *
 * Who waits: changers are 0 to NR_CHANGERS - 1, holders follow. Each goes on by itself when it is
 * woken, as the daemon's later thread does for all of them: that gives more orders, not fewer. A
 * holder is sequential, which is the worst case: while it is queued it answers no recall.
 */

/* ---- scenarios ------------------------------------------------------------------------------ */

/* ROUNDS: pins that each holder makes. */

#if defined(PINS) /* two holders, two changes of one file */
#define ROUNDS(h) (2 - (h))

#elif defined(CIRCLE) /* two files: who holds one wants the other */
#define TWO_FILES
#define ROUNDS(h) 2

#elif defined(CHAIN) /* the same, but the second file's holder does not answer recalls */
#define TWO_FILES
#define ROUNDS(h) (2 - (h))

#elif defined(SMALLER) /* what the change takes away has become less when it is woken */
#define NR_CHANGERS 1
#define ROUNDS(h) (2 - (h))

#elif defined(HEIR) /* the open file is shared: who pinned exits, and another has it still */

#elif defined(SIGNALS) /* holders may never let go, but the change is interrupted once */
#define STUBBORN
#define NR_CHANGERS 1

#elif defined(EXPIRE_FAIL) /* holders may never let go; lease_expire=fail */
#define STUBBORN
#define LEASES

#elif defined(EXPIRE_KILL) /* the same; lease_expire=kill, or the change is interrupted first */
#define STUBBORN
#define LEASES
#define DEATHS

#elif defined(DEATH) /* holders end or are killed at any moment; the file is unlinked */
#define DEATHS
#define UNLINKED

#elif defined(CRASH) /* the daemon is killed at any moment and comes back; so may clients be */
#define MOUNTS

#elif defined(UNMOUNT) /* the daemon ends, with pins or without, and mounts again */
#define MOUNTS

#elif defined(STARVE) /* new pins keep coming, for ever */
#define FOREVER
#endif

#if defined(DEATHS) || defined(MOUNTS) || defined(FOREVER)
#define NR_CHANGERS 1
#endif
#if defined(DEATHS) || defined(TWO_FILES) || defined(FOREVER)
#define FILE_PAGES 1
#endif
#ifdef TWO_FILES
#define NR_FILES    2
#define HOLDER_PINS 2
#else
#define NR_FILES    1
#define HOLDER_PINS 1
#endif
#ifndef NR_CHANGERS
#define NR_CHANGERS 2
#endif
#ifndef FILE_PAGES
#define FILE_PAGES 2
#endif
#ifndef ROUNDS
#define ROUNDS(h) 1
#endif

#define NR_HOLDERS 2
#define NR_PAGES (NR_FILES * FILE_PAGES)
#define NR_WAITS (NR_CHANGERS + NR_HOLDERS)
#define NR_NEW	 (NR_HOLDERS * HOLDER_PINS)
#ifdef MOUNTS
#define NR_PINS (2 * NR_NEW) /* the upper half: those of the earlier mount */
#else
#define NR_PINS NR_NEW
#endif

#define bit_of(page) (1 << (page))
#define wait_of(h)   (NR_CHANGERS + (h))
#define holder_of(s) (((s) % NR_NEW) / HOLDER_PINS)
#ifdef TWO_FILES
#define file_of(range) ((range) >> 1)
#else
#define file_of(range) 0
#endif
#define first_page(range) (file_of(range) * FILE_PAGES)
#define last_page(range)  (first_page(range) + FILE_PAGES - 1)
#ifdef HEIR
#define has_open(h, s) true /* one open file for all */
#else
#define has_open(h, s) (holder_of(s) == (h))
#endif

#define OK	    0
#define EAGAIN	    1
#define EINPROGRESS 2
#define EBUSY	    3
#define EINTR	    4
#define EDEADLK	    5
#define ENODEV	    6

/* enum ddfs_wait_state */
#define NONE	 0
#define BREAK	 1
#define STANDING 2
#define PIN	 3

/* ---- state ---------------------------------------------------------------------------------- */

typedef file {
	bit exclusive; /* its lock */
	byte shared;
	bit writer; /* waits for it: readers wait behind */
	byte nr_pins;
};
typedef wait {
	byte state;
	byte range;
	byte page;
	byte err;
	bit registered; /* wake is still to be called */
	bit running;	/* the request is not answered yet */
	byte cancelled;
};
typedef pin {
	bit held;
	bit owned; /* its open file is not closed */
	bit recalled;
	bit expired;
	byte range;
	byte record; /* on media: the epoch that it was made in; 0: none */
};

file files[NR_FILES];
wait waits[NR_WAITS];
pin pins[NR_PINS];
byte count[NR_PAGES]; /* of the pagemap, less one */
bit ls_lock;
byte uses[NR_PINS]; /* pages that the holder may store to at any moment, by a NIC for one */
byte nr_changed;    /* changers that are through */
byte nr_done;	    /* processes that are through */

#ifdef MOUNTS
byte mount = 1;	       /* the epoch */
byte lock[NR_HOLDERS]; /* the epoch that the client has locked the device with */
bit dying;	       /* ddfs_layouts_kill was called */
bit session_over;      /* no request comes in */
#else
#define mount 0
#define dying false
#endif
#if defined(DEATHS) || defined(MOUNTS)
bit is_dying[NR_HOLDERS]; /* past the point of return: ddfs_holder_is_dying */
bit is_gone[NR_HOLDERS];  /* wholly: ddfs_holder_is_gone */
#endif
#ifdef DEATHS
bit closed[NR_HOLDERS]; /* its file: RELEASE is on its way */
#define is_killed(h) is_dying[h]
#else
#define is_killed(h) false
#endif
#ifdef UNLINKED
byte nr_opens = NR_HOLDERS;
bit freed;
#endif

/* Scratch of one step. */
hidden byte a_, b_, c_, d_, found_, found2_;

/* ---- what must never be --------------------------------------------------------------------- */

/* These pages are another file's from now on. */
inline take_pages(taken)
{
	for (a_ : 0 .. NR_PINS - 1) {
		assert(!(uses[a_] & taken));
		assert(!pins[a_].record || !(pins[a_].range & taken))
	}
	for (a_ : 0 .. NR_PAGES - 1) {
		assert(!(taken & bit_of(a_)) || !count[a_])
	}
}

inline everything_is_idle()
{
	for (a_ : 0 .. NR_PAGES - 1) {
		assert(!count[a_])
	}
	for (a_ : 0 .. NR_FILES - 1) {
		assert(!files[a_].nr_pins && !files[a_].exclusive && !files[a_].shared)
	}
	for (a_ : 0 .. NR_WAITS - 1) {
		assert(waits[a_].state == NONE && !waits[a_].registered)
	}
	for (a_ : 0 .. NR_PINS - 1) {
		assert(!pins[a_].held && !pins[a_].record && !uses[a_])
	}
}

/* ---- waiting: parts of a step --------------------------------------------------------------- */

inline wait_register(w, new_state, pages)
{
	assert(!waits[w].registered);
	waits[w].state = new_state;
	waits[w].range = pages;
	waits[w].registered = 1
}

inline wake(w, error)
{
	assert(waits[w].registered); /* rule 4 */
	waits[w].registered = 0;
	waits[w].err = error
}

inline wait_remove(w)
{
	waits[w].state = NONE;
	waits[w].range = 0;
	waits[w].page = 0
}

inline ddfs_layout_is_breaking(pages, result)
{
	result = false;
	for (a_ : 0 .. NR_CHANGERS - 1) {
		if
#ifdef MUTANT_NO_STANDING
		:: waits[a_].range & pages && waits[a_].state == BREAK -> result = true
#else
		:: waits[a_].range & pages && waits[a_].state != NONE -> result = true
#endif
		:: else
		fi
	}
}

/* Queued pins of the holder of pin s, and those of its open file. */
inline ddfs_queued_fail(all, s, error)
{
	for (a_ : 0 .. NR_HOLDERS - 1) {
		if
#ifdef MUTANT_HOLDER_ALONE
		:: waits[wait_of(a_)].state == PIN && (all || holder_of(s) == a_) ->
#else
		:: waits[wait_of(a_)].state == PIN && (all || has_open(a_, s)) ->
#endif
			wait_remove(wait_of(a_));
			wake(wait_of(a_), error)
		:: else
		fi
	}
}

inline ddfs_pin_recall(s)
{
	if
	:: pins[s].held && !pins[s].recalled ->
		pins[s].recalled = 1;
#ifndef MUTANT_QUEUED_STAYS
		if
		:: s < NR_NEW -> ddfs_queued_fail(false, s, EDEADLK)
		:: else
		fi
#endif
	:: else
	fi
}

inline ddfs_pin_unrecall(s)
{
	pins[s].recalled = 0;
	pins[s].expired = 0
}

inline queue_admit()
{
	for (b_ : 0 .. NR_HOLDERS - 1) {
		if
		:: waits[wait_of(b_)].state == PIN ->
			ddfs_layout_is_breaking(waits[wait_of(b_)].range, found_);
			if
			:: !found_ ->
				wait_remove(wait_of(b_));
				wake(wait_of(b_), OK)
			:: else
			fi
		:: else
		fi
	}
}

/* Breaks have gone, or become smaller. */
inline break_left()
{
#ifndef MUTANT_RECALL_STAYS
	for (b_ : 0 .. NR_PINS - 1) {
		if
		:: pins[b_].recalled && !dying ->
			ddfs_layout_is_breaking(pins[b_].range, found_);
			if
			:: !found_ -> ddfs_pin_unrecall(b_)
			:: else
			fi
		:: else
		fi
	}
#endif
#ifndef MUTANT_QUEUE_STAYS
	queue_admit()
#endif
}

inline break_remove(w)
{
	wait_remove(w);
	break_left()
}

inline break_fail(w, error)
{
	break_remove(w);
	wake(w, error)
}

inline ddfs_breaks_fail(pages, error)
{
	for (d_ : 0 .. NR_CHANGERS - 1) {
		if
		:: waits[d_].state == BREAK && waits[d_].range & pages -> break_fail(d_, error)
		:: else
		fi
	}
}

/* A put of this page was its last. */
inline ddfs_layouts_page_idle(idle)
{
	for (a_ : 0 .. NR_CHANGERS - 1) {
		if
		:: waits[a_].state == BREAK && waits[a_].page == idle ->
			waits[a_].state = STANDING;
			wake(a_, OK)
		:: else
		fi
	}
}

/* What is not registered now will not be again: the canceller comes once. */
inline cancel(w, error)
{
#ifndef MUTANT_CANCEL_FORGOTTEN
	waits[w].cancelled = error;
#endif
	if
	:: waits[w].state == BREAK -> break_fail(w, error)
	:: waits[w].state == PIN ->
		wait_remove(w);
		wake(w, error)
	:: else
	fi
}

inline break_register(w, pages, busy)
{
	wait_register(w, BREAK, pages);
	waits[w].page = busy;
#ifndef MUTANT_NO_RECALL
	for (b_ : 0 .. NR_PINS - 1) {
		if
		:: pins[b_].range & pages -> ddfs_pin_recall(b_)
		:: else
		fi
	}
#endif
#ifndef MUTANT_SMALLER_UNSEEN
	break_left()
#endif
}

/* ---- waiting: steps ------------------------------------------------------------------------- */

/* A change has found this page busy. But for -EAGAIN its file is unlocked. */
inline ddfs_layout_wait(w, pages, busy, result)
{
	d_step { !ls_lock ->
		found_ = false;
		for (b_ : 0 .. NR_PINS - 1) {
			if
			:: pins[b_].range & pages && pins[b_].expired -> found_ = true
			:: else
			fi
		}
		result = waits[w].cancelled;
#if defined(EXPIRE_FAIL) && !defined(MUTANT_EXPIRED_ONCE)
		if
		:: found_ && !result -> result = EBUSY
		:: else
		fi;
#endif
#ifndef MUTANT_NO_RELOOK
		if
		:: !count[busy] -> result = EAGAIN
		:: else
		fi;
#endif
		if
		:: result != EAGAIN -> files[file_of(pages)].exclusive = 0
		:: else
		fi;
		if
		:: result == OK ->
			break_register(w, pages, busy);
			result = EINPROGRESS
		:: else
		fi
	}
}

/* The request's answer. */
inline ddfs_wait_end(w)
{
	d_step { !ls_lock ->
		assert(waits[w].state == NONE || waits[w].state == STANDING);
		if
		:: waits[w].state == STANDING -> break_remove(w)
		:: else
		fi;
		waits[w].running = 0;
		waits[w].cancelled = 0
	}
}

/* -EINPROGRESS: the request is parked until it is woken. */
inline park(w, result)
{
	d_step { !waits[w].registered ->
		result = waits[w].err;
		waits[w].err = OK
	}
}

/* ---- pins ----------------------------------------------------------------------------------- */

/* 0: its file is locked. */
inline ddfs_pin_admit(h, pages, result)
{
	d_step { !ls_lock && !files[file_of(pages)].exclusive && !files[file_of(pages)].writer ->
		ddfs_layout_is_breaking(pages, found_);
		found2_ = false;
		for (b_ : 0 .. NR_NEW - 1) {
			if
#ifdef MUTANT_HOLDER_ALONE
			:: pins[b_].recalled && holder_of(b_) == h -> found2_ = true
#else
			:: pins[b_].recalled && has_open(h, b_) -> found2_ = true
#endif
			:: else
			fi
		}
		if
		:: dying -> result = ENODEV
		:: !dying && !found_ ->
#ifndef MUTANT_ADD_UNLOCKED
			files[file_of(pages)].shared++;
#endif
			result = OK
		:: !dying && found_ ->
			result = waits[wait_of(h)].cancelled;
#ifndef MUTANT_RECALLED_QUEUES
			if
			:: found2_ -> result = EDEADLK
			:: else
			fi;
#endif
			if
			:: result == OK ->
				wait_register(wait_of(h), PIN, pages);
				result = EINPROGRESS
			:: else
			fi
		fi
	}
}

inline store_record(s, pages)
{
	d_step {
		pins[s].range = pages;
		pins[s].record = mount
	}
}

/* The file is unlocked. */
inline ddfs_pin_add(s, pages, result)
{
#if !defined(MUTANT_RECORD_LATE) && defined(MOUNTS)
	store_record(s, pages);
#endif
	d_step { !ls_lock ->
		if
		:: dying ->
			result = ENODEV;
			pins[s].record = 0;
			pins[s].range = 0
		:: else ->
			pins[s].held = 1;
			pins[s].owned = 1;
			pins[s].range = pages;
			files[file_of(pages)].nr_pins++;
			for (a_ : 0 .. NR_PAGES - 1) {
				if
				:: pages & bit_of(a_) -> count[a_]++
				:: else
				fi
			}
#ifndef MOUNTS
			uses[s] = pages;
#endif
			result = OK
		fi;
#ifndef MUTANT_ADD_UNLOCKED
		files[file_of(pages)].shared--
#endif
	}
#ifdef MOUNTS
	if
	:: result == OK -> uses[s] = pages /* the answer has arrived */
	:: else
	fi
#endif
}

inline put_page(s, page_)
{
	if
	:: pins[s].range & bit_of(page_) ->
		count[page_]--;
		if
		:: !count[page_] -> ddfs_layouts_page_idle(page_)
		:: else
		fi
	:: else
	fi
}

inline uncount(s)
{
	files[file_of(pins[s].range)].nr_pins--
}

/* Each step is seen by who looks without the lock, and may be the daemon's last. It begins with
 * ls_lock free and `when` true. */
inline ddfs_pin_end(s, when, erase)
{
	d_step { !ls_lock && when ->
		ls_lock = 1;
#ifndef MUTANT_ERASE_LATE
		if
		:: erase -> pins[s].record = 0
		:: else
		fi;
#endif
#ifdef MUTANT_UNCOUNT_EARLY
		uncount(s);
	}
	d_step {
#endif
		pins[s].owned = 0;
		ddfs_pin_unrecall(s);
		put_page(s, first_page(pins[s].range))
	}
#if FILE_PAGES > 1
	d_step { put_page(s, last_page(pins[s].range)) }
#endif
	d_step {
#ifdef MUTANT_ERASE_LATE
		if
		:: erase -> pins[s].record = 0
		:: else
		fi;
#endif
#ifndef MUTANT_UNCOUNT_EARLY
		uncount(s);
#endif
		pins[s].held = 0;
		if
		:: !pins[s].record -> pins[s].range = 0
		:: else
		fi;
		ls_lock = 0
	}
}

inline ddfs_pin_remove(s)
{
#ifdef FOREVER
	atomic { ddfs_pin_end(s, true, true) } /* weak fairness is for steps that stay possible */
#else
	ddfs_pin_end(s, true, true)
#endif
}

#ifdef UNLINKED
/* An unlinked file that nobody has open or pinned is freed: looked at by each close, when it is no
 * longer counted, and whenever a pin has ended. */
inline ddfs_orphan_reap()
{
	d_step { !files[0].exclusive && !files[0].shared ->
		if
		:: !nr_opens && !files[0].nr_pins && !freed ->
			take_pages(1);
			freed = 1
		:: else
		fi
	}
}
#endif
inline ended()
{
#if defined(UNLINKED) && !defined(MUTANT_ENDED_FREES_NOTHING)
	ddfs_orphan_reap()
#else
	skip
#endif
}

/* ---- holders that end ----------------------------------------------------------------------- */

#ifdef DEATHS
#define lingers(s) (pins[s].held && !pins[s].owned)

/* End what lingers of a holder that is gone. */
inline collect(s)
{
	if
	:: ddfs_pin_end(s, lingers(s), true);
		ended()
	:: !ls_lock && !lingers(s)
	fi
}

/* RELEASE, by some worker. */
proctype ddfs_pin_owner_release(byte h)
{
	bit looks_dying;

end:
	d_step { closed[h] ->
#ifdef MUTANT_RELEASE_WHILE_DYING
		looks_dying = false
#else
		looks_dying = is_dying[h]
#endif
	};
	if
	:: d_step { !ls_lock && pins[h].held && looks_dying -> pins[h].owned = 0 }
	:: ddfs_pin_end(h, (pins[h].held && !looks_dying), true);
		ended()
	:: !ls_lock && !pins[h].held
	fi;
#ifndef MUTANT_LINGER_UNSEEN
	/* It may have been collected between the look and now. */
	if
	:: looks_dying && is_gone[h] -> collect(h)
	:: else
	fi;
#endif
#ifdef UNLINKED
	nr_opens--;
	ddfs_orphan_reap()
#endif
}

/* Each holder is given once. */
proctype ddfs_layouts_collect(byte h)
{
end:
	is_gone[h];
	collect(h)
}
#endif

#ifdef LEASES
/* Time may be up at any moment. */
proctype ddfs_layouts_tick(byte s)
{
end:
	do
	:: atomic { !ls_lock && pins[s].recalled && !pins[s].expired ->
		pins[s].expired = 1;
#ifdef EXPIRE_FAIL
		ddfs_breaks_fail(pins[s].range, EBUSY)
#else
		assert(waits[0].state != NONE); /* nobody is killed for nothing */
		is_dying[holder_of(s)] = 1;
		cancel(wait_of(holder_of(s)), EINTR)
#endif
	}
	od
}
#endif

/* ---- mounts --------------------------------------------------------------------------------- */

#ifdef MOUNTS
/* The daemon is no more: only what is on media is left, and what clients use. */
inline daemon_ends()
{
	files[0].exclusive = 0;
	files[0].shared = 0;
	files[0].nr_pins = 0;
	for (a_ : 0 .. NR_WAITS - 1) {
		wait_remove(a_);
		waits[a_].err = 0;
		waits[a_].registered = 0;
		waits[a_].running = 0;
		waits[a_].cancelled = 0
	}
	for (a_ : 0 .. NR_PAGES - 1) {
		count[a_] = 0
	}
	for (a_ : 0 .. NR_NEW - 1) {
		uses[a_ + NR_NEW] = uses[a_];
		pins[a_ + NR_NEW].record = pins[a_].record;
		pins[a_ + NR_NEW].range = (pins[a_].record -> pins[a_].range : 0);
		uses[a_] = 0;
		pins[a_].held = 0;
		pins[a_].owned = 0;
		pins[a_].recalled = 0;
		pins[a_].record = 0;
		pins[a_].range = 0
	}
	ls_lock = 0;
	dying = 0;
	session_over = 1;
	mount++
}

/* The client has let go of the device, but not because it is dying and not yet wholly gone. */
#define has_lock(s)    (lock[holder_of(s)] == pins[s].record)
#define still_dying(s) (is_dying[holder_of(s)] && !is_gone[holder_of(s)])

/* Records of clients that are there become pins. */
inline ddfs_pins_recover()
{
	for (b_ : NR_NEW .. NR_PINS - 1) {
		if
		:: pins[b_].record && (has_lock(b_) || still_dying(b_)) ->
			pins[b_].held = 1;
			files[0].nr_pins++;
			for (a_ : 0 .. NR_PAGES - 1) {
				if
				:: pins[b_].range & bit_of(a_) -> count[a_]++
				:: else
				fi
			}
		:: else ->
			pins[b_].record = 0;
			pins[b_].range = 0
		fi
	}
	session_over = 0
}

proctype ddfs_layouts_end_epochs(byte s)
{
end:
	do
#ifdef MUTANT_DYING_FIRST
	:: pins[s].held && !still_dying(s) ->
		if
		:: has_lock(s)
		:: else -> break
		fi
#else
	:: pins[s].held && !has_lock(s) ->
#ifdef MUTANT_LOCK_ALONE
		break
#else
		!still_dying(s) -> break
#endif
#endif
	od;
	ddfs_pin_end(s, true, true)
}

#ifdef CRASH
proctype crash()
{
	d_step { daemon_ends() };
	d_step { ddfs_pins_recover() }
}
#endif

#ifdef UNMOUNT
inline ddfs_layouts_kill()
{
	d_step { !ls_lock ->
		dying = 1;
		ddfs_queued_fail(true, 0, ENODEV);
		for (b_ : 0 .. NR_PINS - 1) {
			ddfs_pin_recall(b_)
		}
	};
	if
	:: !pins[0].held && !pins[1].held
	:: true /* time is up */
	fi
}

#ifdef MUTANT_ABANDON_ERASES
#define ABANDON_ERASES true
#else
#define ABANDON_ERASES false
#endif

proctype unmount()
{
	byte s;

	ddfs_layouts_kill();
	/* No request comes in any more, and those that are parked are cancelled. */
	d_step { !ls_lock ->
		session_over = 1;
		for (c_ : 0 .. NR_WAITS - 1) {
			cancel(c_, ENODEV)
		}
	};
	!waits[0].running && !waits[1].running && !waits[2].running;
	/* ddfs_layouts_abandon */
	for (s : 0 .. NR_NEW - 1) {
		if
		:: pins[s].held -> ddfs_pin_end(s, true, ABANDON_ERASES)
		:: else
		fi
	}
	atomic {
		daemon_ends();
		ddfs_pins_recover()
	}
}
#endif
#endif

/* ---- changes -------------------------------------------------------------------------------- */

/* Lock the file, and the first look: at nr_pins. */
inline lock_and_look(pages, page)
{
#ifdef FOREVER
	files[file_of(pages)].writer = 1;
#endif
	d_step { !files[file_of(pages)].exclusive && !files[file_of(pages)].shared ->
		files[file_of(pages)].writer = 0;
		files[file_of(pages)].exclusive = 1;
		page = first_page(pages) + (files[file_of(pages)].nr_pins -> 0 : FILE_PAGES)
	}
}

#define is_idle(pages, page) (!(pages & bit_of(page)) || !count[page])

/* A request that takes pages away: truncate, or another one of those. */
inline change(c, pages, page, err)
{
	lock_and_look(pages, page);
	do
	:: atomic { page <= last_page(pages) && is_idle(pages, page) -> page++ }
	:: page <= last_page(pages) && !is_idle(pages, page) ->
		ddfs_layout_wait(c, pages, page, err);
		if
		:: err == EAGAIN
		:: err == EINPROGRESS ->
			park(c, err);
			if
			:: err == OK ->
#ifdef SMALLER
				pages = 2;
#endif
				lock_and_look(pages, page)
			:: else -> goto given_up
			fi;
#ifdef MUTANT_NO_RERUN
			page = last_page(pages) + 1
#endif
		:: else -> goto given_up
		fi
	:: page > last_page(pages) -> break
	od;
	atomic {
		take_pages(pages);
		files[file_of(pages)].exclusive = 0
	};
given_up:
	page = 0;
	err = OK;
	ddfs_wait_end(c)
}

#ifdef FOREVER
proctype changer(byte c, pages)
{
	byte page, err;

	do
	:: change(c, pages, page, err)
	od
}
#else
proctype changer(byte c, pages)
{
	byte page, err;
#ifdef MOUNTS
	byte seen;

	{
		d_step { !session_over ->
			waits[c].running = 1;
			seen = mount
		};
		change(c, pages, page, err)
	} unless { seen && seen != mount }
#else
	waits[c].running = 1;
	change(c, pages, page, err)
#endif
	d_step {
		page = 0;
		err = OK;
		nr_changed++;
		nr_done++
	}
}
#endif

#if defined(SIGNALS) || defined(EXPIRE_KILL)
proctype signal(byte c)
{
end:
	d_step { waits[c].running && !ls_lock -> cancel(c, EINTR) }
}
#endif

/* ---- holders -------------------------------------------------------------------------------- */

#ifdef TWO_FILES
#define any_recalled(h) (pins[2 * (h)].recalled || pins[2 * (h) + 1].recalled)
#define any_used(h)	(uses[2 * (h)] || uses[2 * (h) + 1])
#define all_used(h)	(uses[2 * (h)] && uses[2 * (h) + 1])
#elif defined(HEIR)
#define any_recalled(h) (pins[0].recalled || pins[1].recalled)
#define any_used(h)	(uses[0] || uses[1])
#define all_used(h)	uses[h]
#else
#define any_recalled(h) pins[h].recalled
#define any_used(h)	uses[h]
#define all_used(h)	uses[h]
#endif

/* How long a holder keeps its pins if it may: nobody outlasts the changes. */
#define AS_IT_LIKES	0
#define UNTIL_RECALLED	1
#define AGAINST_RECALLS 2
#if defined(CHAIN)
#define outlasted (nr_changed > 0)
#elif defined(SMALLER)
#define outlasted (nr_done > 0 || waits[0].range == 3)
#else
#define outlasted (nr_changed == NR_CHANGERS)
#endif
#define lets_go(h, keep)                                                                           \
	(any_used(h) && (keep == AS_IT_LIKES || outlasted ||                                       \
				(keep == UNTIL_RECALLED && any_recalled(h))))

inline choose(h, pages, keep)
{
	if
#if defined(CHAIN)
	:: h == 0 -> pages = 1
	:: pages = 2
#elif defined(SMALLER)
	:: h == 0 -> pages = 1
	:: h == 1 -> pages = 2
#else
	:: pages = 1
#if NR_PAGES > 1
	:: pages = 2
#endif
#if FILE_PAGES > 1
	:: pages = 3
#endif
#endif
	fi;
	if
#if defined(CHAIN)
	:: h == 0 -> keep = UNTIL_RECALLED
	:: h == 1 -> keep = AGAINST_RECALLS
#elif defined(SMALLER)
	:: h == 0 -> keep = AS_IT_LIKES
	:: h == 1 -> keep = AGAINST_RECALLS
#else
#if !defined(TWO_FILES)
	:: keep = AS_IT_LIKES
#endif
#if defined(PINS) || defined(TWO_FILES) || defined(HEIR)
	:: keep = UNTIL_RECALLED
#endif
#ifdef STUBBORN
	:: keep = AGAINST_RECALLS
#endif
#endif
	fi
}

inline ddfs_pin(client, slot, pages, err)
{
	do
	:: ddfs_pin_admit(client, pages, err);
		if
		:: err == OK ->
			ddfs_pin_add(slot, pages, err);
			break
		:: err == EINPROGRESS ->
			park(wait_of(client), err);
			if
			:: err == OK
			:: else -> break
			fi
		:: else -> break
		fi
	od;
#ifdef MUTANT_RECORD_LATE
	if
	:: err == OK -> store_record(slot, pages)
	:: else
	fi;
#endif
	err = OK
}

/* One of the pins that are its to let go. */
inline choose_used(h, s)
{
	if
#ifdef HEIR
	:: uses[0] -> s = 0
	:: uses[1] -> s = 1
#else
	:: uses[HOLDER_PINS * (h)] -> s = HOLDER_PINS * (h)
#ifdef TWO_FILES
	:: uses[2 * (h) + 1] -> s = 2 * (h) + 1
#endif
#endif
	fi
}

#if defined(FOREVER)
/* Holders let go of what they have, sooner or later, and come back at once. */
proctype holder(byte h)
{
	byte err;

	do
	:: ddfs_pin(h, h, 1, err);
		if
		:: uses[h] ->
			uses[h] = 0;
			ddfs_pin_remove(h)
		:: else
		fi
	od
}
#elif defined(MOUNTS)
#ifdef UNMOUNT
inline call_begin(h) { d_step { !session_over -> waits[wait_of(h)].running = 1 } }
inline call_end(h) { waits[wait_of(h)].running = 0 }
#else
inline call_begin(h) { skip }
inline call_end(h) { skip }
#endif

proctype holder(byte h, pages)
{
	byte err, seen, left = ROUNDS(h);

connected:
	seen = 0;
	{
		do
		:: left && !uses[h] ->
			d_step { !session_over ->
				left--;
				seen = mount
			};
#ifndef MUTANT_LOCK_LATE
			lock[h] = seen;
#endif
			call_begin(h);
			ddfs_pin(h, h, pages, err);
			call_end(h);
#ifdef MUTANT_LOCK_LATE
			lock[h] = seen
#endif
		:: uses[h] ->
			uses[h] = 0;
			call_begin(h);
			ddfs_pin_remove(h);
			call_end(h);
			lock[h] = 0
		:: !uses[h] && !left -> goto finished
		od
	} unless { seen && seen != mount };
	/* The connection is dead. What it had it has, until it lets go of the device or is gone. */
	d_step {
		seen = 0;
		err = OK
	};
	if
	:: true ->
#ifdef MUTANT_UNLOCK_EARLY
		lock[h] = 0;
		uses[h + NR_NEW] = 0
#else
		uses[h + NR_NEW] = 0;
		lock[h] = 0
#endif
#ifdef CRASH
	:: uses[h + NR_NEW] ->
		is_dying[h] = 1;
		lock[h] = 0; /* the device is closed, and some registration is not yet */
		d_step {
			uses[h + NR_NEW] = 0;
			is_gone[h] = 1
		};
		goto finished
#endif
	fi;
	goto connected;
finished:
	lock[h] = 0;
	nr_done++
}
#else
proctype holder(byte h)
{
	byte s, pages, err, keep, left = ROUNDS(h);

	do
	:: is_killed(h) -> break
	:: left && !all_used(h) && !any_recalled(h) && !is_killed(h) ->
		atomic {
			left--;
			choose(h, pages, keep);
			s = HOLDER_PINS * h + (uses[HOLDER_PINS * h] -> 1 : 0)
		};
		ddfs_pin(h, s, pages, err);
#ifdef HEIR
		if
		:: h == 0 -> break
		:: else
		fi
#endif
#ifdef HEIR
	:: lets_go(h, keep) && h == 1 ->
#else
	:: lets_go(h, keep) && !is_killed(h) ->
#endif
		atomic {
			choose_used(h, s);
			uses[s] = 0
		};
		ddfs_pin_remove(s)
#ifdef DEATHS
	:: any_used(h) && !is_killed(h) -> /* close(2) */
		d_step {
			uses[h] = 0;
			closed[h] = 1
		};
		break
#endif
#ifdef HEIR
	:: !left && !any_used(h) && nr_done == NR_CHANGERS + 1 -> break
#else
	:: !left && !any_used(h) -> break
#endif
	od;
#ifdef DEATHS
	atomic {
		is_dying[h] = 1;
		closed[h] = 1
	};
	d_step {
		uses[h] = 0;
		is_gone[h] = 1
	};
#endif
	atomic {
		s = 0;
		pages = 0;
		keep = 0;
		left = 0;
		nr_done++
	}
}
#endif

#ifdef DEATH
/* SIGKILL: what it waits for in the filesystem is interrupted. */
proctype killer(byte h)
{
	d_step { !ls_lock ->
		is_dying[h] = 1;
		cancel(wait_of(h), EINTR)
	}
}
#endif

/* ---- all ------------------------------------------------------------------------------------ */

#if NR_FILES > 1
#define nothing_is_pinned (!files[0].nr_pins && !files[1].nr_pins)
#elif defined(MOUNTS)
#define nothing_is_pinned (!files[0].nr_pins && !session_over)
#else
#define nothing_is_pinned (!files[0].nr_pins)
#endif

init
{
	byte i, pages = 1;

	atomic {
		for (i : 0 .. NR_CHANGERS - 1) {
#if defined(CHAIN)
			pages = i + 1;
#elif defined(SMALLER)
			pages = 3;
#else
			/* In one order of the two. */
			if
			:: true
			:: NR_PAGES > 1 && pages < 2 -> pages = 2
			:: FILE_PAGES > 1 && pages < 3 -> pages = 3
			fi;
#endif
			run changer(i, pages);
#if defined(SIGNALS) || defined(EXPIRE_KILL)
			run signal(i)
#endif
		}
#ifdef MOUNTS
		pages = 1;
#endif
		for (i : 0 .. NR_HOLDERS - 1) {
#ifdef MOUNTS
			if
			:: true
			:: pages < 2 -> pages = 2
			:: pages < 3 -> pages = 3
			fi;
			run holder(i, pages);
#else
			run holder(i);
#endif
#ifdef DEATHS
			run ddfs_pin_owner_release(i);
			run ddfs_layouts_collect(i);
#endif
		}
#ifdef DEATH
		run killer(0);
#endif
#if defined(LEASES) || defined(MOUNTS)
		for (i : 0 .. NR_NEW - 1) {
#ifdef LEASES
			run ddfs_layouts_tick(i)
#else
			run ddfs_layouts_end_epochs(NR_NEW + i)
#endif
		}
#endif
#ifdef CRASH
		run crash();
#endif
#ifdef UNMOUNT
		run unmount();
#endif
		i = 0;
		pages = 0
	};
#ifndef FOREVER
	/* All end: who does not is an invalid end state. */
	nr_done == NR_WAITS;
#ifdef UNLINKED
	freed;
#endif
	d_step { nothing_is_pinned && !ls_lock -> everything_is_idle() }
#endif
}

#ifdef FOREVER
ltl ends { [] (waits[0].state != NONE -> <> (waits[0].state == NONE)) }
#endif
