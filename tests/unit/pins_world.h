/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A filesystem under random schedules of pins and changes, and the books that are kept of it: which
 * file's which block every pinned block of the device is, by whom, and what every file holds. One
 * thread does all: a call that has to wait is parked, and is run again when it was woken and its
 * turn comes. What each call returns is known before it is made, but for ENOSPC.
 *
 * Contents are counted in halves of a block: a half holds one number, at its start and at its end,
 * or is all zeroes. No offset or size cuts a half.
 */
#ifndef DDFS_TEST_PINS_WORLD_H
#define DDFS_TEST_PINS_WORLD_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/fs.h"
#include "layout/holder.h"
#include "tests/unit/ram.h"
#include "tests/unit/rng.h"

#define BLK	     UINT64_C(4096)
#define HALF	     (BLK / 2)
#define MIB	     (UINT64_C(1) << 20)
#define NR_NAMES     8u
#define NR_FILES     14u /* with those that have no name any more */
#define NR_HANDLES   20u
#define NR_HOLDERS   4u
#define NR_OPS	     12u  /* that are parked, at most */
#define NR_PINS	     120u /* that are made, at most */
#define NR_PINS_KEPT 4096u

struct wfile {
	struct ddfs_inode *ip;
	ddfs_id id;
	int name; /* -1: unlinked */
	unsigned int nr_opens, nr_pins, nr_parked;
	bool gone;     /* and freed */
	uint64_t size; /* halves */
	uint64_t *val; /* [max_halves], 0 from size on */
};

enum wholder_state { HOLDER_LIVES, HOLDER_DYING, HOLDER_GONE };

/* A process; it does nothing itself. */
struct wholder {
	pid_t pid;
	enum wholder_state state;
	struct ddfs_holder *h; /* NULL: not known to this mount */
	uint32_t epoch;	       /* of the mount that it has locked the device for; 0: none */
	unsigned int nr_pins, nr_handles;
};

/* An open file. */
struct whandle {
	struct ddfs_pin_owner owner; /* first: recall is given this */
	bool used;
	struct wfile *f;
	struct wholder *who;
	bool recalled; /* what recall was told */
	unsigned int nr_parked;
};

struct wpin {
	uint64_t id;
	struct wfile *f;
	struct whandle *h; /* NULL: it lingers, or is of an earlier mount */
	struct wholder *who;
	uint32_t epoch; /* of the mount that it was made in */
	bool old;	/* not of this mount */
	bool expired;
	enum ddfs_pin_mode mode;
	uint64_t first, last; /* blocks */
	size_t nr_runs;
	struct ddfs_page_run *runs;
};

/* A block of the device that is pinned. */
struct wpage {
	unsigned int nr;
	const struct wfile *f;
	uint64_t block; /* of the file */
};

enum wop_kind {
	OP_TRUNCATE,
	OP_OPEN_TRUNC,
	OP_PUNCH,
	OP_ZERO,
	OP_COLLAPSE,
	OP_INSERT,
	OP_COPY,
	OP_PIN,
	NR_OP_KINDS
};

/* A call that may wait. */
struct wop {
	struct ddfs_wait wait; /* first: wake is given this */
	bool used, parked, woken;
	int err;       /* it was woken with */
	int cancelled; /* it was told to end with */
	enum wop_kind kind;
	struct wfile *f, *from; /* from: COPY */
	struct whandle *h;	/* PIN */
	struct wholder *who;
	uint64_t off, off_from, len; /* halves */
	bool keep_size, nowait;
	unsigned int flags, mode; /* PIN */
};

struct world {
	struct rng rng;
	uint64_t seed, step;
	int nr;		   /* of the case */
	const char *trace; /* DDFS_TRACE */
	struct ram ram;
	struct ddfs_fs_options opt;
	struct ddfs_fs *fs;
	struct ddfs_inode *root;
	uint64_t unit;	     /* halves */
	uint64_t max_halves; /* of a file */
	uint64_t nr_blocks;
	uint64_t last_val;
	struct wfile *files[NR_FILES];
	struct wholder holders[NR_HOLDERS];
	struct whandle handles[NR_HANDLES];
	struct wpin *pins[NR_PINS_KEPT];
	unsigned int nr_pins, nr_files;
	struct wop ops[NR_OPS];
	struct wpage *pages;
	struct ddfs_inode *ballast;
	uint64_t ballast_size; /* bytes */
	uint64_t free_at_start;
	/* how much was done */
	uint64_t nr_parked, nr_woken, nr_pinned, nr_killed, nr_crashes, nr_full;
};

#define must(w, what, ...)                                                                         \
	do {                                                                                       \
		if (!(what))                                                                       \
			world_fail(w, #what, __VA_ARGS__);                                         \
	} while (0)
__attribute__((format(printf, 3, 4), noreturn)) void world_fail(
	const struct world *w, const char *what, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void world_trace(const struct world *w, const char *fmt, ...);

/* ---- books (pins_books.c) ---- */

void book_pin(struct world *w, struct wpin *pin); /* takes it over */
void book_unpin(struct world *w, struct wpin *pin);
struct wpin *book_find(struct world *w, uint64_t id);
/* Whether the pin has pages in blocks [first, last) of its file. */
bool book_covers(const struct wpin *pin, uint64_t first, uint64_t last);
bool book_is_pinned(const struct world *w, const struct wfile *f, uint64_t first, uint64_t last);
/* A change of it waits, or stands. */
bool book_is_breaking(const struct world *w, const struct wfile *f, uint64_t first, uint64_t last);
bool book_is_recalled(const struct world *w, const struct wpin *pin);
/* The holder that wants a pin, or the open file it wants it through, is to let go of some. */
bool book_is_asked(const struct world *w, const struct wop *op);
/* What files have is freed when nobody has them open or pinned. */
void book_file_unused(struct world *w, struct wfile *f);

/* Whether fs agrees: with counts and waits; with what one pin holds; with what is new in blocks of
 * a file; with everything. */
void check_counts(struct world *w);
void check_pin(struct world *w, const struct wpin *pin);
void check_pins_of(struct world *w, const struct wfile *f);
void check_blocks(struct world *w, const struct wfile *f, uint64_t first, uint64_t last);
void check_half(struct world *w, const struct wfile *f, uint64_t half);
void check_all(struct world *w);

/* ---- files (pins_files.c) ---- */

struct wfile *file_any(struct world *w);   /* that has a name or is open; NULL */
struct wfile *file_named(struct world *w); /* NULL: none */
void file_delete(struct world *w, struct wfile *f);
void do_create(struct world *w);
void do_unlink(struct world *w);
void do_rename_over(struct world *w);
void do_write(struct world *w);
void do_allocate(struct world *w);
void do_fill(struct world *w);

/* ---- calls that wait (pins_ops.c, pins_changes.c) ---- */

void do_change(struct world *w);
void do_pin(struct world *w);
void do_later(struct world *w); /* one that was woken is run again, or ends */
void do_cancel(struct world *w);
void op_cancel(struct world *w, struct wop *op, int err);
/* Runs or ends all that were woken. */
void ops_settle(struct world *w);
bool op_is_ready(const struct wop *op);

/* The call itself, once, with what it does to the books; -EINPROGRESS. */
int change_run(struct world *w, struct wop *op);
int pin_run(struct world *w, struct wop *op);
/* Blocks that it takes away or would; an empty range if it takes none. */
void change_range(const struct world *w, const struct wop *op, uint64_t *first, uint64_t *last);

/* ---- holders and what they hold (pins_hold.c) ---- */

struct wholder *holder_any(struct world *w); /* that lives and is of this mount; NULL */
struct whandle *handle_any(struct world *w); /* whose process lives; NULL */
struct whandle *handle_new(struct world *w, struct wfile *f, struct wholder *who); /* opened */
struct ddfs_holder *holder_get(struct world *w, struct wholder *who);
void holder_start(struct world *w, struct wholder *who);
void holder_kill(struct world *w, struct wholder *who); /* it is stopped as it dies */
void holder_dies(struct world *w, struct wholder *who); /* it was killed by somebody */
void holder_ends(struct world *w, struct wholder *who);
void handle_release(struct world *w, struct whandle *h);
void do_open(struct world *w);
void do_unpin(struct world *w);
void do_store(struct world *w);
void do_release(struct world *w);
void do_death(struct world *w);
void do_collect(struct world *w);
void do_lease(struct world *w);
void do_let_go(struct world *w); /* a client of an earlier mount */

/* ---- first and last (pins_world.c) ---- */

/* nr: of the case. map_dev: the pagemap is kept on the device. */
void world_init(
	struct world *w, uint64_t seed, int nr, uint64_t size, uint64_t align, bool map_dev);
/* Everything ends, and all is free again. */
void world_fini(struct world *w);
void world_mount(struct world *w);
/* Of the mount with that epoch: what ddfs_fs_options.clients_alive asks. arg is the world. */
bool world_has_clients(void *arg, uint32_t epoch);

/* ---- mounts (pins_mounts.c) ---- */

void do_crash(struct world *w);	  /* the daemon is killed, perhaps in the middle of a call */
void do_remount(struct world *w); /* it ends, whatever is pinned */
void do_tick(struct world *w);

#endif
