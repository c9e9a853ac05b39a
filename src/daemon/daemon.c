/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/daemon.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "fs/media.h"
#include "src/daemon/loop.h"
#include "src/daemon/ops.h"
#include "src/daemon/session.h"
#include "src/daemon/shift.h"
#include "src/daemon/target.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

/* How often timestamps that are due are written. */
#define TICK_MSEC 1000

static double now_msec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- device and filesystem ------------------------------------------------------------------ */

static int daemon_open_device(struct ddfs_daemon *d)
{
	const struct ddfs_device_options opt = {
		.persistence = d->options.persistence,
		.log = ddfs_log_line,
		.log_arg = &d->log,
	};
	double start = now_msec();
	int ret = ddfs_device_open(d->source, &opt, &d->device);

	if (ret)
		return ret;
	ddfs_log_printf(&d->log, LOG_INFO, "%s: device opened in %.1f ms, %s", d->source,
		now_msec() - start, ddfs_device_persistence(d->device));
	if (ddfs_device_media(d->device)->readonly) {
		d->options.fs.readonly = true;
		d->options.mount_flags |= MS_RDONLY;
	}
	return 0;
}

static void daemon_log_recovery(struct ddfs_daemon *d, double msec)
{
	struct ddfs_recovery r;

	ddfs_fs_recovery(d->fs, &r);
	ddfs_log_printf(&d->log, LOG_INFO,
		"%s: filesystem opened in %.1f ms (superblock %.1f, lanes %.1f, counts %.1f, "
		"orphans %.1f)",
		d->source, msec, (double)r.usec_super / 1e3, (double)r.usec_lanes / 1e3,
		(double)r.usec_count / 1e3, (double)r.usec_orphans / 1e3);
	if (!r.was_clean)
		ddfs_log_printf(&d->log, LOG_NOTICE,
			"%s: was not unmounted; recovered: %u transactions finished, %llu unlinked "
			"files freed",
			d->source, r.nr_lanes_replayed, (unsigned long long)r.nr_orphans_freed);
}

static int daemon_open_fs(struct ddfs_daemon *d)
{
	struct ddfs_fs_options opt = d->options.fs;
	double start = now_msec();
	int ret;

	opt.nr_cpus = d->options.nr_threads;
	opt.log = ddfs_log_line;
	opt.log_arg = &d->log;
	ret = ddfs_fs_open(ddfs_device_media(d->device), &opt, &d->fs);
	if (!ret)
		daemon_log_recovery(d, now_msec() - start);
	return ret;
}

/* ---- session -------------------------------------------------------------------------------- */

/* Called by a worker. */
static void daemon_note_ready(void *arg)
{
	const struct ddfs_daemon *d = arg;

	eventfd_write(d->ready_fd, 1);
}

static const char *mount_hint(int ret)
{
	switch (ret) {
	case -ENOENT:
	case -ENODEV:
		return "; has the kernel FUSE? (modprobe fuse)";
	case -EPERM:
	case -EACCES:
		return "; only root can mount here";
	default:
		return "";
	}
}

static int daemon_mount(struct ddfs_daemon *d)
{
	const struct ddfs_session_params params = {
		.mount = {
			.source = d->source,
			.target = d->target,
			.flags = d->options.mount_flags,
			.extra_data = d->options.context[0] ? d->options.context : NULL,
			.allow_other = d->options.allow_other,
		},
		.no_acl = d->options.fs.no_acl,
		.debug = d->debug,
		.ready = daemon_note_ready,
		.ready_arg = d,
	};
	int ret = ddfs_session_new(&ddfs_ops, sizeof(ddfs_ops), d, &params, &d->session);

	if (!ret)
		ret = ddfs_session_mount(d->session);
	if (ret)
		ddfs_log_printf(&d->log, LOG_ERR, "cannot mount on %s: %s%s", d->target,
			strerror(-ret), mount_hint(ret));
	return ret;
}

static int daemon_start_threads(struct ddfs_daemon *d)
{
	int ret = ddfs_shift_new(d->session, &d->shift);

	if (!ret)
		ret = ddfs_loop_start(d->session, d->options.nr_threads, &d->loop);
	if (ret)
		ddfs_log_printf(&d->log, LOG_ERR, "cannot start threads: %s", strerror(-ret));
	return ret;
}

/* ---- serving -------------------------------------------------------------------------------- */

enum { EVENT_SIGNAL, EVENT_END, EVENT_READY, NR_EVENTS };

static void daemon_log_signal(struct ddfs_daemon *d, int signal_fd)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) == sizeof(info))
		ddfs_log_printf(&d->log, LOG_INFO, "%s: ending on signal %u (%s)", d->source,
			info.ssi_signo, strsignal((int)info.ssi_signo));
}

/* Until a signal comes (true) or the workers end by themselves. */
static bool daemon_wait(
	struct ddfs_daemon *d, int signal_fd, void (*ready)(void *arg), void *ready_arg)
{
	struct pollfd events[NR_EVENTS] = {
		[EVENT_SIGNAL] = { .fd = signal_fd, .events = POLLIN },
		[EVENT_END] = { .fd = ddfs_loop_fd(d->loop), .events = POLLIN },
		[EVENT_READY] = { .fd = d->ready_fd, .events = POLLIN },
	};

	for (;;) {
		if (poll(events, NR_EVENTS, TICK_MSEC) == 0)
			ddfs_fs_writeback(d->fs);
		if (events[EVENT_READY].revents) {
			events[EVENT_READY].fd = -1;
			if (ready)
				ready(ready_arg);
		}
		if (events[EVENT_SIGNAL].revents || events[EVENT_END].revents)
			break;
		for (int i = 0; i < NR_EVENTS; i++)
			events[i].revents = 0;
	}
	if (events[EVENT_SIGNAL].revents)
		daemon_log_signal(d, signal_fd);
	return events[EVENT_SIGNAL].revents;
}

static int daemon_serve(
	struct ddfs_daemon *d, int signal_fd, void (*ready)(void *arg), void *ready_arg)
{
	eventfd_t value;

	ddfs_log_printf(&d->log, LOG_INFO, "%s: mounted on %s, %u workers", d->source,
		ddfs_session_mountpoint(d->session), ddfs_loop_threads(d->loop));
	if (daemon_wait(d, signal_fd, ready, ready_arg))
		ddfs_session_sync(d->session);
	/* Never read: still there if INIT was answered. */
	if (eventfd_read(d->ready_fd, &value) == 0)
		return 0;
	ddfs_log_printf(
		&d->log, LOG_ERR, "%s: ended before the kernel could use the mount", d->source);
	return -EPROTO;
}

/* ---- from start to end ---------------------------------------------------------------------- */

static int daemon_start(struct ddfs_daemon *d)
{
	int ret = ddfs_target_check(d->target, d->source, d->options.nonempty, &d->log);

	if (!ret)
		ret = daemon_open_device(d);
	if (!ret)
		ret = daemon_open_fs(d);
	if (!ret)
		ret = daemon_mount(d);
	if (!ret)
		ret = daemon_start_threads(d);
	return ret;
}

/* Whatever there is, in reverse; the workers serve until nothing of ours needs them. */
static int daemon_stop(struct ddfs_daemon *d)
{
	double start = now_msec();
	int ret = 0;

	if (d->session)
		ddfs_session_detach(d->session);
	if (d->shift)
		ddfs_shift_delete(d->shift);
	if (d->loop)
		ddfs_loop_stop(d->loop);
	if (d->session)
		ddfs_session_delete(d->session);
	if (d->fs)
		ret = ddfs_fs_close(d->fs);
	if (d->device)
		ddfs_device_close(d->device);
	if (ret)
		ddfs_log_printf(&d->log, LOG_ERR, "%s: closing: %s", d->source, strerror(-ret));
	else if (d->fs)
		ddfs_log_printf(
			&d->log, LOG_INFO, "%s: closed in %.1f ms", d->source, now_msec() - start);
	return ret;
}

static int daemon_signals(void)
{
	sigset_t mask;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	return signalfd(-1, &mask, SFD_CLOEXEC);
}

int ddfs_daemon_run(struct ddfs_daemon *d, void (*ready)(void *arg), void *ready_arg)
{
	int signal_fd = daemon_signals();
	int ret, err;

	/* Memory that we allocate must not wait for the kernel to write dirty pages to us. */
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	d->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (signal_fd < 0 || d->ready_fd < 0)
		return -errno;
	pthread_mutex_init(&d->remount_lock, NULL);
	ret = daemon_start(d);
	if (!ret)
		ret = daemon_serve(d, signal_fd, ready, ready_arg);
	err = daemon_stop(d);
	pthread_mutex_destroy(&d->remount_lock);
	close(d->ready_fd);
	close(signal_fd);
	return ret ? ret : err;
}

/* ---- remount -------------------------------------------------------------------------------- */

static int daemon_remount_locked(struct ddfs_daemon *d, const char *options)
{
	struct ddfs_options wanted = d->options;
	int ret;

	wanted.remount = true;
	ret = ddfs_options_parse(&wanted, options, &d->log);
	if (!ret)
		ret = ddfs_options_check_remount(&d->options, &wanted, &d->log);
	if (!ret)
		ret = ddfs_fs_remount(d->fs, &wanted.fs);
	if (ret)
		return ret;
	d->options.mount_flags = wanted.mount_flags;
	d->options.fs.readonly = wanted.fs.readonly;
	d->options.fs.lazytime = wanted.fs.lazytime;
	d->options.fs.atime = wanted.fs.atime;
	d->options.fs.errors = wanted.fs.errors;
	ddfs_log_printf(&d->log, LOG_INFO, "%s: remounted, %s", d->source, options);
	return 0;
}

int ddfs_daemon_remount(struct ddfs_daemon *d, const char *options)
{
	int ret;

	pthread_mutex_lock(&d->remount_lock);
	ret = daemon_remount_locked(d, options);
	pthread_mutex_unlock(&d->remount_lock);
	return ret;
}
