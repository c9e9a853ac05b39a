/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/serve.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/signalfd.h>
#include <syslog.h>
#include <unistd.h>

#include "layout/holder.h"
#include "src/daemon/bad.h"
#include "src/daemon/clock.h"
#include "src/daemon/daemon.h"
#include "src/daemon/job.h"
#include "src/daemon/loop.h"
#include "src/daemon/session.h"
#include "src/device/device.h"

/* How often timestamps that are due are written, leases looked at, and clients of earlier mounts.
 */
#define TICK_MSEC 1000
/* How often it is looked whether the pins have gone, at the end. */
#define DRAIN_MSEC 20
/* For those that are killed when the lease runs out to be gone. */
#define KILLED_MSEC 5000
/* For the locks of those to go who closed their files when we could not be told any more. */
#define CLOSING_MSEC 1000

enum { EVENT_SIGNAL, EVENT_END, EVENT_HOLDERS, EVENT_READY, NR_EVENTS };

struct serve {
	struct ddfs_daemon *d;
	struct ddfs_layouts *layouts;
	struct pollfd events[NR_EVENTS];
	int64_t next_tick;
	bool connected;	 /* the kernel still tells us what becomes of files */
	int64_t closing; /* until when pins of open files may go, at the end */
};

/* Waits for something to happen, at most max_msec, and does what is always to be done. */
static void serve_once(struct serve *s, int max_msec)
{
	int64_t left = s->next_tick - ddfs_now_msec();

	if (left > max_msec)
		left = max_msec;
	for (int i = 0; i < NR_EVENTS; i++)
		s->events[i].revents = 0;
	poll(s->events, NR_EVENTS, left > 0 ? (int)left : 0);
	if (s->events[EVENT_HOLDERS].revents)
		ddfs_pins_collect(s->d->fs);
	/* The kernel's notice interrupts the wait: at once, before a block is handed out. */
	ddfs_bad_take(s->d);
	if (ddfs_now_msec() < s->next_tick)
		return;
	s->next_tick = ddfs_now_msec() + TICK_MSEC;
	ddfs_fs_writeback(s->d->fs);
	ddfs_pins_tick(s->d->fs);
	ddfs_estale_tick(&s->d->estale);
}

static bool serve_take_signal(struct serve *s)
{
	struct signalfd_siginfo info;

	if (!s->events[EVENT_SIGNAL].revents)
		return false;
	if (read(s->events[EVENT_SIGNAL].fd, &info, sizeof(info)) == sizeof(info))
		ddfs_log_printf(&s->d->log, LOG_INFO, "%s: ending on signal %u (%s)", s->d->source,
			info.ssi_signo, strsignal((int)info.ssi_signo));
	return true;
}

/* ---- the end -------------------------------------------------------------------------------- */

/* Pins of this mount that may still go. */
static uint64_t nr_going(struct serve *s)
{
	struct ddfs_pin_info pins[16];
	uint64_t nr = 0, after = 0;
	size_t got;

	do {
		got = ddfs_layouts_list(s->layouts, NULL, after, pins, 16);
		for (size_t i = 0; i < got; i++)
			nr += !pins[i].earlier &&
			      (pins[i].lingering || ddfs_now_msec() < s->closing);
		if (got)
			after = pins[got - 1].id;
	} while (got == 16);
	return nr;
}

/* Without a connection files are closed without our being told, and if it was aborted they may be
 * open still: then it is the client's lock that says whether pins matter. It may take a moment to
 * go with its process. */
static void serve_disconnected(struct serve *s)
{
	if (s->connected)
		s->closing = ddfs_now_msec() + CLOSING_MSEC;
	s->connected = false;
	s->events[EVENT_END].fd = -1;
	if (!ddfs_device_clients_alive(s->d->device, ddfs_fs_epoch(s->d->fs)))
		ddfs_handles_release(&s->d->handles);
}

static int64_t drain_msec(struct ddfs_daemon *d)
{
	int64_t msec;

	pthread_mutex_lock(&d->remount_lock);
	msec = (int64_t)d->options.fs.lease_time * 1000;
	if (d->options.fs.lease_expire == DDFS_LEASE_KILL)
		msec += KILLED_MSEC;
	pthread_mutex_unlock(&d->remount_lock);
	return msec;
}

/* All pins are recalled, and none is made any more. Those who hold some have the lease's time to
 * let go, unless a signal comes. */
static void serve_drain(struct serve *s)
{
	int64_t msec = drain_msec(s->d), end = ddfs_now_msec() + msec;
	bool said = false;
	uint64_t nr;

	s->closing = end;
	ddfs_layouts_kill(s->layouts, 0);
	while (ddfs_now_msec() < end) {
		if (!s->connected || s->events[EVENT_END].revents)
			serve_disconnected(s);
		nr = nr_going(s);
		if (!nr)
			break;
		if (!said)
			ddfs_log_printf(&s->d->log, LOG_NOTICE,
				"%s: waiting for %llu pins to be let go, for up to %lld s",
				s->d->source, (unsigned long long)nr, (long long)msec / 1000);
		said = true;
		serve_once(s, DRAIN_MSEC);
		if (serve_take_signal(s))
			break;
	}
}

/* The kernel writes what programs have stored through mappings; of a file whose truncate waits it
 * writes nothing, so that nothing may wait any more. */
static void serve_sync(int root_fd)
{
	if (root_fd < 0)
		return;
	syncfs(root_fd);
	close(root_fd);
}

static void serve_end(struct serve *s)
{
	int root_fd = s->events[EVENT_END].revents ? -1 : ddfs_session_open_root(s->d->session);

	ddfs_session_detach(s->d->session);
	serve_drain(s);
	ddfs_jobs_cancel(s->d->jobs);
	serve_sync(root_fd);
}

/* ---- serving -------------------------------------------------------------------------------- */

/* Until a signal comes or the workers end by themselves. */
static void serve_wait(struct serve *s, void (*ready)(void *arg), void *ready_arg)
{
	for (;;) {
		serve_once(s, TICK_MSEC);
		if (s->events[EVENT_READY].revents) {
			s->events[EVENT_READY].fd = -1;
			if (ready)
				ready(ready_arg);
		}
		if (serve_take_signal(s) || s->events[EVENT_END].revents)
			return;
	}
}

void ddfs_serve(struct ddfs_daemon *d, int signal_fd, void (*ready)(void *arg), void *ready_arg)
{
	struct ddfs_layouts *layouts = ddfs_fs_layouts(d->fs);
	struct serve s = {
		.d = d,
		.layouts = layouts,
		.events = {
			[EVENT_SIGNAL] = { .fd = signal_fd, .events = POLLIN },
			[EVENT_END] = { .fd = ddfs_loop_fd(d->loop), .events = POLLIN },
			[EVENT_HOLDERS] = { .fd = ddfs_holders_fd(ddfs_layouts_holders(layouts)),
				.events = POLLIN },
			[EVENT_READY] = { .fd = d->ready_fd, .events = POLLIN },
		},
		.next_tick = ddfs_now_msec() + TICK_MSEC,
		.connected = true,
	};

	ddfs_log_printf(&d->log, LOG_INFO, "%s: mounted on %s, %u workers", d->source,
		ddfs_session_mountpoint(d->session), ddfs_loop_threads(d->loop));
	serve_wait(&s, ready, ready_arg);
	serve_end(&s);
}
