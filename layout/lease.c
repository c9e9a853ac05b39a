/* SPDX-License-Identifier: BSD-3-Clause */
/* Recall: holders are asked to let go, and what happens if they do not. */
#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "layout/holder.h"
#include "layout/layout_priv.h"

void ddfs_pin_recall(struct ddfs_pin *pin)
{
	struct ddfs_layouts *ls = pin->layout->layouts;

	if (pin->recalled)
		return;
	pin->recalled = true;
	pin->expired = false;
	pin->deadline = ddfs_layouts_now() + (time_t)ls->params.lease_time;
	ls->stats.nr_recalled++;
	if (pin->owner && !pin->owner->nr_recalled++ && pin->owner->recall)
		pin->owner->recall(pin->owner, true);
	if (pin->holder)
		(*ddfs_holder_nr_recalled(pin->holder))++;
	/* Who is to let go does not wait for others meanwhile: it might wait for itself. */
	if (pin->holder || pin->owner)
		ddfs_queued_fail(ls, pin->holder, pin->owner, -EDEADLK);
}

void ddfs_pin_unrecall(struct ddfs_pin *pin)
{
	struct ddfs_layouts *ls = pin->layout->layouts;

	if (!pin->recalled)
		return;
	pin->recalled = false;
	pin->expired = false;
	ls->stats.nr_recalled--;
	if (pin->holder)
		(*ddfs_holder_nr_recalled(pin->holder))--;
	if (pin->owner && !--pin->owner->nr_recalled && pin->owner->recall)
		pin->owner->recall(pin->owner, false);
}

bool ddfs_pin_owner_is_recalled(struct ddfs_layouts *ls, struct ddfs_pin_owner *o)
{
	bool recalled;

	pthread_mutex_lock(&ls->lock);
	recalled = o->nr_recalled;
	pthread_mutex_unlock(&ls->lock);
	return recalled;
}

/* ---- expiry --------------------------------------------------------------------------------- */

static void log_expired(struct ddfs_layouts *ls, const struct ddfs_pin *pin, const char *what)
{
	if (pin->holder)
		ddfs_layouts_log(ls, LOG_WARNING,
			"the lease of pid %d (%s) on inode %u has run out: %s",
			(int)ddfs_holder_pid(pin->holder), ddfs_holder_comm(pin->holder),
			(unsigned int)pin->layout->id, what);
	else
		ddfs_layouts_log(ls, LOG_WARNING,
			"the lease of a client of an earlier mount on inode %u has run out: %s",
			(unsigned int)pin->layout->id, what);
}

static void expire_kill(struct ddfs_layouts *ls, const struct ddfs_pin *pin)
{
	int err = pin->holder ? ddfs_holder_kill(pin->holder) : -ESRCH;

	if (!err)
		log_expired(ls, pin, "killed");
	else
		log_expired(ls, pin,
			err == -ESRCH ? "its process is gone, and its file still open elsewhere"
				      : strerror(-err));
}

static void expire(struct ddfs_layouts *ls, struct ddfs_pin *pin)
{
	pin->expired = true;
	switch (ls->params.lease_expire) {
	case DDFS_LEASE_WAIT:
		log_expired(ls, pin, "waiting on");
		break;
	case DDFS_LEASE_FAIL:
		log_expired(ls, pin, "what waits for it fails");
		ddfs_breaks_fail(pin, -EBUSY);
		break;
	case DDFS_LEASE_KILL:
		expire_kill(ls, pin);
		break;
	}
}

void ddfs_layouts_tick(struct ddfs_layouts *ls, time_t now)
{
	struct ddfs_pin *pin;
	uint64_t id = 0;

	pthread_mutex_lock(&ls->lock);
	while (ls->stats.nr_recalled && (pin = ddfs_pin_next(ls, id))) {
		id = pin->id;
		if (pin->recalled && !pin->expired && now >= pin->deadline)
			expire(ls, pin);
	}
	pthread_mutex_unlock(&ls->lock);
}

void ddfs_layouts_set_lease(
	struct ddfs_layouts *ls, unsigned int lease_time, enum ddfs_lease_expire lease_expire)
{
	struct ddfs_pin *pin;
	uint64_t id = 0;

	pthread_mutex_lock(&ls->lock);
	ls->params.lease_time = lease_time;
	ls->params.lease_expire = lease_expire;
	/* What has run out under the old rule runs out under the new one. */
	while (ls->stats.nr_recalled && (pin = ddfs_pin_next(ls, id))) {
		id = pin->id;
		pin->expired = false;
	}
	pthread_mutex_unlock(&ls->lock);
}
