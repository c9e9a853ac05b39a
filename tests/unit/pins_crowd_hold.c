/* SPDX-License-Identifier: BSD-3-Clause */
/* A thread for a process that pins, holds on until it is asked to let go, or longer, and is killed
 * now and then. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/pins_crowd.h"

#define PINS_MAX 3u

struct holding {
	struct ddfs_pin_owner owner; /* first: recall is given this */
	struct thread *t;
	struct ddfs_inode *ip;
	pid_t pid;
	struct ddfs_holder *h;
	_Atomic bool recalled;
	unsigned int nr;
	struct {
		uint64_t id, nr_pages;
		uint64_t block[FILE_MAX], page[FILE_MAX];
	} pin[PINS_MAX];
};

/* ---- the process ---------------------------------------------------------------------------- */

static void start_process(struct holding *h)
{
	h->pid = fork();
	ck_assert_int_ge(h->pid, 0);
	if (!h->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (ddfs_holders_get(ddfs_layouts_holders(h->t->crowd->ls), h->pid, &h->h))
		ck_abort_msg("no holder");
}

static void end_process(struct holding *h)
{
	kill(h->pid, SIGKILL);
	waitpid(h->pid, NULL, 0);
	ddfs_holder_put(h->h);
}

/* ---- books ---------------------------------------------------------------------------------- */

static void book(struct holding *h, unsigned int i)
{
	struct crowd *crowd = h->t->crowd;
	ddfs_id id = ddfs_inode_id(h->ip);

	pthread_mutex_lock(&crowd->books);
	for (uint64_t n = 0; n < h->pin[i].nr_pages; n++) {
		struct held_page *p = &crowd->held[h->pin[i].page[n]];

		if (p->nr && p->file != id)
			ck_abort_msg("block %llu is pinned as another file's",
				(unsigned long long)h->pin[i].page[n]);
		p->nr++;
		p->file = id;
	}
	pthread_mutex_unlock(&crowd->books);
}

static void unbook(struct holding *h, unsigned int i)
{
	struct crowd *crowd = h->t->crowd;

	pthread_mutex_lock(&crowd->books);
	for (uint64_t n = 0; n < h->pin[i].nr_pages; n++)
		crowd->held[h->pin[i].page[n]].nr--;
	pthread_mutex_unlock(&crowd->books);
}

/* ---- memory --------------------------------------------------------------------------------- */

/* Others store to the same page, and the filesystem does when the file is written to: as with real
 * mappings, nothing orders that. Each number tells whose file it was meant for. */
__attribute__((no_sanitize("thread"))) static void store_and_look(struct holding *h, unsigned int i)
{
	uint64_t mark = ddfs_inode_id(h->ip) << 8 | 1;

	for (uint64_t n = 0; n < h->pin[i].nr_pages; n++) {
		volatile uint64_t *p =
			(void *)(h->t->crowd->ram.writable + h->pin[i].page[n] * BLK);

		if (*p && *p != mark)
			ck_abort_msg("block %llu holds %llx, not of file %llx",
				(unsigned long long)h->pin[i].page[n], (unsigned long long)*p,
				(unsigned long long)(mark >> 8));
		*p = mark;
	}
}

static void check_mapped(struct holding *h, unsigned int i)
{
	struct ddfs_file_extent e;
	struct ddfs_attr a;
	uint64_t next;

	ddfs_getattr(h->ip, &a);
	for (uint64_t n = 0; n < h->pin[i].nr_pages; n++) {
		uint64_t off = h->pin[i].block[n] * BLK;

		if (off >= a.size)
			break;
		if (ddfs_layout_query(h->ip, off, 1, false, &e, 1, &next) != 1 || e.hole ||
			e.device_off != h->pin[i].page[n] * BLK)
			ck_abort_msg("pinned block %llu lies elsewhere",
				(unsigned long long)h->pin[i].block[n]);
	}
}

/* ---- pins ----------------------------------------------------------------------------------- */

struct pinning {
	struct holding *h;
	struct ddfs_pin_args args;
	struct ddfs_pinned out;
	struct ddfs_file_extent extents[FILE_MAX];
};

static int64_t call_pin(void *arg, struct ddfs_wait *w)
{
	struct pinning *p = arg;

	return ddfs_pin(p->h->ip, &p->args, w, &p->out, p->extents, FILE_MAX);
}

static void take(struct holding *h, const struct pinning *p)
{
	unsigned int at = h->nr++;

	h->pin[at].id = p->out.id;
	h->pin[at].nr_pages = 0;
	for (uint32_t i = 0; i < p->out.nr_extents; i++) {
		const struct ddfs_file_extent *e = &p->extents[i];

		for (uint64_t n = 0; n < e->len / BLK && !e->hole && !e->unwritten; n++) {
			h->pin[at].block[h->pin[at].nr_pages] = e->off / BLK + n;
			h->pin[at].page[h->pin[at].nr_pages++] = e->device_off / BLK + n;
		}
	}
	book(h, at);
	atomic_fetch_add(&h->t->crowd->nr_pins, 1);
}

static int64_t pin_some(struct holding *h)
{
	struct rng *r = &h->t->rng;
	struct pinning p = { .h = h };
	int64_t err;

	p.args.off = rng_below(r, FILE_MAX) * BLK;
	p.args.len = (1 + rng_below(r, FILE_MAX - p.args.off / BLK)) * BLK;
	p.args.mode = DDFS_PIN_MODE_READ | DDFS_PIN_MODE_WRITE;
	if (rng_below(r, 2))
		p.args.flags = DDFS_PIN_FAULT | DDFS_PIN_GROW;
	p.args.owner = &h->owner;
	p.args.holder = h->h;
	if (rng_below(r, 8) == 0)
		err = call_pin(&p, NULL);
	else
		err = crowd_wait(h->t, "pin", call_pin, &p);
	if (!err)
		take(h, &p);
	else if (err != -ENXIO && err != -ENOSPC && err != -EDEADLK && err != -EAGAIN &&
		 err != -EINTR)
		ck_abort_msg("pin: %s", strerror((int)-err));
	return err;
}

static void let_go(struct holding *h)
{
	unsigned int i = (unsigned int)rng_below(&h->t->rng, h->nr);
	uint64_t id = h->pin[i].id;

	check_mapped(h, i);
	store_and_look(h, i);
	unbook(h, i);
	h->pin[i] = h->pin[--h->nr];
	if (ddfs_unpin(h->t->crowd->fs, &h->owner, id))
		ck_abort_msg("unpin");
}

/* ---- holding on ----------------------------------------------------------------------------- */

static void note_recall(struct ddfs_pin_owner *o, bool pending)
{
	atomic_store(&((struct holding *)o)->recalled, pending);
}

/* Until it is asked, or for a while: a file without a name is changed by nobody. Against being
 * asked only if leases end. */
static void hold_on(struct holding *h)
{
	struct crowd *crowd = h->t->crowd;
	uint64_t how = rng_below(&h->t->rng, 4), n = rng_below(&h->t->rng, 64);
	bool against = how == 0 && crowd->lease_expire != DDFS_LEASE_WAIT;

	atomic_store(&h->t->doing, "holds on");
	while (how != 1 && n-- && !atomic_load(&crowd->hurry)) {
		if (against ? ddfs_holder_is_dying(h->h) : atomic_load(&h->recalled))
			break;
		usleep(50);
	}
	atomic_store(&h->t->doing, "lets go");
}

static void close_file(struct holding *h)
{
	for (unsigned int i = 0; i < h->nr; i++)
		unbook(h, i);
	h->nr = 0;
	ddfs_pins_release(h->t->crowd->fs, &h->owner);
	ddfs_release(h->ip);
	ddfs_inode_put(h->ip);
}

static void one_file(struct holding *h)
{
	struct rng *r = &h->t->rng;
	int err;

	h->ip = crowd_file(h->t, NULL);
	if (!h->ip)
		return;
	err = ddfs_open(h->ip, O_RDWR, false, NULL);
	if (err) {
		ddfs_inode_put(h->ip);
		return;
	}
	ddfs_pin_owner_init(&h->owner, note_recall);
	atomic_store(&h->recalled, false);
	for (unsigned int n = 0; n < 6 && !ddfs_holder_is_dying(h->h); n++) {
		if (h->nr < PINS_MAX && rng_below(r, 3) && pin_some(h) == -EDEADLK)
			break;
		for (unsigned int i = 0; i < h->nr; i++)
			store_and_look(h, i);
		if (rng_below(r, 2) == 0)
			hold_on(h);
		if (h->nr && rng_below(r, 2))
			let_go(h);
	}
	close_file(h);
}

void *crowd_hold(void *thread)
{
	struct holding h = { .t = thread };
	struct crowd *crowd = h.t->crowd;

	start_process(&h);
	for (uint64_t i = 0; !atomic_load(&crowd->hurry); i++) {
		one_file(&h);
		atomic_fetch_add(&h.t->progress, 1);
		if (!ddfs_holder_is_dying(h.h))
			continue;
		atomic_fetch_add(&crowd->nr_killed, 1);
		end_process(&h);
		start_process(&h);
	}
	end_process(&h);
	atomic_store(&h.t->progress, THREAD_ENDED);
	return NULL;
}
