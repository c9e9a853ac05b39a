/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes that hold pins, and the files they have open. They are real, and slow to die: each is
 * stopped in its exit by its tracer, us, until it is let go. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/pins_world.h"

/* Longer than any run: leases end when the test says so. */
#define LEASE_TIME 1000000

/* ---- processes ------------------------------------------------------------------------------ */

void holder_start(struct world *w, struct wholder *who)
{
	memset(who, 0, sizeof(*who));
	who->pid = fork();
	must(w, who->pid >= 0, "fork: %s", strerror(errno));
	if (!who->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	must(w, !ptrace(PTRACE_SEIZE, who->pid, NULL, (void *)PTRACE_O_TRACEEXIT), "ptrace: %s",
		strerror(errno));
}

struct ddfs_holder *holder_get(struct world *w, struct wholder *who)
{
	struct ddfs_holders *hs = ddfs_layouts_holders(ddfs_fs_layouts(w->fs));
	struct ddfs_holder *h;
	int err;

	if (who->h)
		return who->h;
	err = ddfs_holders_get(hs, who->pid, &h);
	must(w, !err, "holder: %s", strerror(-err));
	who->h = h;
	return h;
}

struct wholder *holder_any(struct world *w)
{
	struct wholder *who = &w->holders[rng_below(&w->rng, NR_HOLDERS)];
	bool is_new = !who->epoch || who->epoch == ddfs_fs_epoch(w->fs);

	return who->state == HOLDER_LIVES && is_new ? who : NULL;
}

/* What it waits for in the filesystem is interrupted. */
void holder_dies(struct world *w, struct wholder *who)
{
	int status;

	must(w,
		waitpid(who->pid, &status, __WALL) == who->pid &&
			status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8),
		"status %x", (unsigned int)status);
	world_trace(w, "%d dies", (int)who->pid);
	who->state = HOLDER_DYING;
	w->nr_killed++;
	for (unsigned int i = 0; i < NR_OPS; i++)
		if (w->ops[i].used && w->ops[i].who == who)
			op_cancel(w, &w->ops[i], -EINTR);
}

void holder_kill(struct world *w, struct wholder *who)
{
	kill(who->pid, SIGKILL);
	holder_dies(w, who);
}

void holder_ends(struct world *w, struct wholder *who)
{
	who->epoch = 0;
	must(w, !ptrace(PTRACE_DETACH, who->pid, NULL, NULL), "ptrace: %s", strerror(errno));
	must(w, waitpid(who->pid, NULL, __WALL) == who->pid, "wait: %s", strerror(errno));
	who->state = HOLDER_GONE;
	world_trace(w, "%d is gone", (int)who->pid);
}

static bool has_calls(const struct world *w, const struct wholder *who)
{
	for (unsigned int i = 0; i < NR_OPS; i++)
		if (w->ops[i].used && w->ops[i].who == who)
			return true;
	return false;
}

void do_death(struct world *w)
{
	struct wholder *who = &w->holders[rng_below(&w->rng, NR_HOLDERS)];

	switch (who->state) {
	case HOLDER_LIVES:
		if (rng_below(&w->rng, 8) == 0)
			holder_kill(w, who);
		break;
	case HOLDER_DYING:
		/* Its device is closed before it is gone; its calls are answered before either. */
		if (who->epoch)
			who->epoch = 0;
		else if (!has_calls(w, who))
			holder_ends(w, who);
		break;
	case HOLDER_GONE:
		if (who->nr_pins || who->nr_handles)
			break;
		if (who->h)
			ddfs_holder_put(who->h);
		holder_start(w, who);
	}
}

/* ---- open files ----------------------------------------------------------------------------- */

static void note_recall(struct ddfs_pin_owner *o, bool pending)
{
	struct whandle *h = (struct whandle *)o;

	if (h->recalled == pending)
		ck_abort_msg("recall: told twice");
	h->recalled = pending;
}

struct whandle *handle_any(struct world *w)
{
	for (unsigned int n = 0; n < 8; n++) {
		struct whandle *h = &w->handles[rng_below(&w->rng, NR_HANDLES)];

		if (h->used && h->who->state == HOLDER_LIVES)
			return h;
	}
	return NULL;
}

struct whandle *handle_new(struct world *w, struct wfile *f, struct wholder *who)
{
	for (unsigned int i = 0; i < NR_HANDLES; i++) {
		struct whandle *h = &w->handles[i];
		int err;

		if (h->used)
			continue;
		err = ddfs_open(f->ip, O_RDWR, false, NULL);
		must(w, !err, "open: %s", strerror(-err));
		*h = (struct whandle){ .used = true, .f = f, .who = who };
		ddfs_pin_owner_init(&h->owner, note_recall);
		f->nr_opens++;
		who->nr_handles++;
		return h;
	}
	return NULL;
}

void do_open(struct world *w)
{
	struct wholder *who = holder_any(w);
	struct wfile *f = file_any(w);

	if (who && f)
		handle_new(w, f, who);
}

/* What lingers of a holder that is gone. */
static void book_collect(struct world *w, const struct wholder *who)
{
	for (unsigned int i = w->nr_pins; i--;) {
		struct wpin *pin = w->pins[i];

		if (!pin->h && !pin->old && pin->who == who)
			book_unpin(w, pin);
	}
}

/* Pins of a closed file end, or linger if their holder is dying. */
static void book_release(struct world *w, const struct whandle *h)
{
	bool collects[NR_HOLDERS] = { false };

	for (unsigned int i = w->nr_pins; i--;) {
		struct wpin *pin = w->pins[i];

		if (pin->h != h)
			continue;
		pin->h = NULL;
		collects[pin->who - w->holders] = pin->who->state == HOLDER_GONE;
		if (pin->who->state == HOLDER_LIVES)
			book_unpin(w, pin);
	}
	for (unsigned int i = 0; i < NR_HOLDERS; i++)
		if (collects[i])
			book_collect(w, &w->holders[i]);
}

void handle_release(struct world *w, struct whandle *h)
{
	struct wfile *f = h->f;

	world_trace(w, "release %llx by %d", (unsigned long long)f->id, (int)h->who->pid);
	ddfs_pins_release(w->fs, &h->owner);
	ddfs_release(f->ip);
	book_release(w, h);
	h->used = false;
	h->who->nr_handles--;
	f->nr_opens--;
	book_file_unused(w, f);
}

void do_collect(struct world *w)
{
	world_trace(w, "collect");
	ddfs_pins_collect(w->fs);
	for (unsigned int i = 0; i < NR_HOLDERS; i++)
		if (w->holders[i].state == HOLDER_GONE)
			book_collect(w, &w->holders[i]);
}

void do_release(struct world *w)
{
	struct whandle *h = &w->handles[rng_below(&w->rng, NR_HANDLES)];
	bool lives;

	if (!h->used || h->nr_parked)
		return;
	lives = h->who->state == HOLDER_LIVES;
	if (!lives || rng_below(&w->rng, 4) == 0)
		handle_release(w, h);
}

/* ---- leases --------------------------------------------------------------------------------- */

static void expire(struct world *w)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	world_trace(w, "leases end: %d", (int)w->opt.lease_expire);
	ddfs_layouts_tick(ddfs_fs_layouts(w->fs), now.tv_sec + LEASE_TIME + 1);
	for (unsigned int i = 0; i < w->nr_pins; i++) {
		struct wpin *pin = w->pins[i];

		if (!book_is_recalled(w, pin) || pin->expired)
			continue;
		pin->expired = true;
		if (w->opt.lease_expire == DDFS_LEASE_KILL && !pin->old &&
			pin->who->state == HOLDER_LIVES)
			holder_dies(w, pin->who);
	}
	for (unsigned int i = 0; i < NR_OPS; i++)
		must(w,
			w->opt.lease_expire != DDFS_LEASE_FAIL ||
				w->ops[i].wait.state != DDFS_WAIT_BREAK,
			"still waits");
}

void do_lease(struct world *w)
{
	if (rng_below(&w->rng, 3)) {
		expire(w);
		return;
	}
	w->opt.lease_expire = (enum ddfs_lease_expire)rng_below(&w->rng, 3);
	/* Rarely this: it takes a process each time. */
	if (w->opt.lease_expire == DDFS_LEASE_KILL && rng_below(&w->rng, 4))
		w->opt.lease_expire = DDFS_LEASE_WAIT;
	ddfs_layouts_set_lease(ddfs_fs_layouts(w->fs), LEASE_TIME, w->opt.lease_expire);
	for (unsigned int i = 0; i < w->nr_pins; i++)
		w->pins[i]->expired = false;
}

/* ---- clients of earlier mounts -------------------------------------------------------------- */

void do_let_go(struct world *w)
{
	struct wholder *who = &w->holders[rng_below(&w->rng, NR_HOLDERS)];

	if (who->state != HOLDER_LIVES || !who->epoch || who->epoch == ddfs_fs_epoch(w->fs))
		return;
	world_trace(w, "%d lets go of the device", (int)who->pid);
	who->epoch = 0;
}
