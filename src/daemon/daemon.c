/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/media.h"
#include "fs/used.h"
#include "src/daemon/bad.h"
#include "src/daemon/clock.h"
#include "src/daemon/job.h"
#include "src/daemon/loop.h"
#include "src/daemon/ops.h"
#include "src/daemon/serve.h"
#include "src/daemon/session.h"
#include "src/daemon/target.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

static double now_msec(void)
{
	return (double)ddfs_now_usec() / 1e3;
}

/* ---- device and filesystem ------------------------------------------------------------------ */

static int daemon_open_device(struct ddfs_daemon *d)
{
	const struct ddfs_device_options opt = {
		.persistence = d->options.persistence,
		.with_clients = true, /* the filesystem keeps what they pinned */
		.log = ddfs_log_line,
		.log_arg = &d->log,
	};
	double start = now_msec();
	int ret = ddfs_device_open(d->source, &opt, &d->device);

	if (ret)
		return ret;
	if (ddfs_bad_listen())
		ddfs_log_printf(&d->log, LOG_INFO,
			"%s: the kernel does not tell of memory errors before they are read",
			d->source);
	ddfs_log_printf(
		&d->log, LOG_INFO, "%s: device opened in %.1f ms", d->source, now_msec() - start);
	ddfs_log_printf(&d->log, LOG_INFO, "%s: persistence: %s", d->source,
		ddfs_device_persistence(d->device));
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
}

static bool daemon_clients_alive(void *arg, uint32_t epoch)
{
	const struct ddfs_daemon *d = arg;

	return ddfs_device_clients_alive(d->device, epoch);
}

static void daemon_used(void *arg, void (*found)(void *to, uint64_t off, uint64_t len), void *to)
{
	const struct ddfs_daemon *d = arg;

	ddfs_fs_used(d->fs, found, to);
}

static void daemon_health(const struct ddfs_daemon *d, struct ddfs_health *out)
{
	struct ddfs_device_health health;

	if (ddfs_device_health(d->device, &health))
		return;
	memcpy(out->id, health.id, strnlen(health.id, sizeof(out->id) - 1));
	out->unsafe_shutdowns = health.unsafe_shutdowns;
}

static int daemon_open_fs(struct ddfs_daemon *d)
{
	struct ddfs_fs_options opt = d->options.fs;
	double start = now_msec();
	int ret;

	opt.nr_cpus = d->options.nr_threads;
	opt.log = ddfs_log_line;
	opt.log_arg = &d->log;
	opt.memory = ddfs_device_source(d->device)->kind == DDFS_SOURCE_DEVDAX ? DDFS_MEMORY_FS_DAX
									       : DDFS_MEMORY_HOST;
	opt.clients_alive = daemon_clients_alive;
	opt.clients_arg = d;
	daemon_health(d, &opt.health);
	ret = ddfs_fs_open(ddfs_device_media(d->device), &opt, &d->fs);
	if (ret)
		return ret;
	ddfs_device_set_used(d->device, daemon_used, d);
	daemon_log_recovery(d, now_msec() - start);
	return 0;
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
	int ret = ddfs_jobs_new(ddfs_fs_layouts(d->fs), d->session, &d->jobs);

	if (!ret)
		ret = ddfs_loop_start(d->session, d->options.nr_threads, &d->loop);
	if (ret)
		ddfs_log_printf(&d->log, LOG_ERR, "cannot start threads: %s", strerror(-ret));
	return ret;
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

/* Whatever there is, in reverse. */
static int daemon_stop(struct ddfs_daemon *d)
{
	double start = now_msec();
	int ret = 0;

	if (d->session)
		ddfs_session_detach(d->session);
	if (d->loop)
		ddfs_loop_stop(d->loop);
	ddfs_jobs_delete(d->jobs);
	if (d->session)
		ddfs_session_delete(d->session);
	ddfs_estale_fini(&d->estale);
	if (d->fs) {
		ddfs_device_set_used(d->device, NULL, NULL);
		ret = ddfs_fs_close(d->fs);
	}
	ddfs_handles_fini(&d->handles);
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

/* To be asked when the workers have ended: the one that answered INIT may say so late. */
static int daemon_was_ready(struct ddfs_daemon *d)
{
	eventfd_t value;

	if (eventfd_read(d->ready_fd, &value) == 0)
		return 0;
	ddfs_log_printf(
		&d->log, LOG_ERR, "%s: ended before the kernel could use the mount", d->source);
	return -EPROTO;
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
	ddfs_handles_init(&d->handles);
	ddfs_estale_init(&d->estale);
	ret = daemon_start(d);
	if (!ret)
		ddfs_serve(d, signal_fd, ready, ready_arg);
	err = daemon_stop(d);
	if (!ret)
		ret = daemon_was_ready(d);
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
	/* While it can still be written to: who is read-only frees nothing. */
	ddfs_estale_let_go(&d->estale);
	if (!ret)
		ret = ddfs_fs_remount(d->fs, &wanted.fs);
	if (ret)
		return ret;
	ddfs_layouts_set_lease(
		ddfs_fs_layouts(d->fs), wanted.fs.lease_time, wanted.fs.lease_expire);
	d->options.mount_flags = wanted.mount_flags;
	d->options.fs.readonly = wanted.fs.readonly;
	d->options.fs.lazytime = wanted.fs.lazytime;
	d->options.fs.atime = wanted.fs.atime;
	d->options.fs.errors = wanted.fs.errors;
	d->options.fs.lease_time = wanted.fs.lease_time;
	d->options.fs.lease_expire = wanted.fs.lease_expire;
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

/* ---- settings ------------------------------------------------------------------------------- */

int ddfs_daemon_set_persistence(struct ddfs_daemon *d, enum ddfs_persistence wanted)
{
	double start = now_msec();
	int ret;

	pthread_mutex_lock(&d->remount_lock);
	ret = ddfs_device_set_persistence(d->device, wanted, ddfs_log_line, &d->log);
	if (!ret) {
		d->options.persistence = wanted;
		ddfs_log_printf(&d->log, LOG_NOTICE, "%s: persistence: %s (changed in %.1f ms)",
			d->source, ddfs_device_persistence(d->device), now_msec() - start);
	}
	pthread_mutex_unlock(&d->remount_lock);
	return ret;
}
