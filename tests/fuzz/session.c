/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon that a struct kernel talks to, from mount to unmount, without its threads but one: the
 * worker's part is kernel.c's. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "src/daemon/job.h"
#include "src/daemon/loop.h"
#include "src/daemon/ops.h"
#include "src/daemon/session.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/kernel.h"
#include "tests/fuzz/stage.h"

#define SOCKET_BYTES (8 << 20)
/* What libfuse reads at once, and more. */
#define BUF_BYTES (2u << 20)

unsigned int __wrap_ddfs_loop_threads(const struct ddfs_loop *loop);
void __wrap_ddfs_loop_requests(const struct ddfs_loop *loop, uint64_t out[DDFS_LOOP_OPCODES]);

/* There is no loop. */
unsigned int __wrap_ddfs_loop_threads(const struct ddfs_loop *loop)
{
	(void)loop;
	return 1;
}

void __wrap_ddfs_loop_requests(const struct ddfs_loop *loop, uint64_t out[DDFS_LOOP_OPCODES])
{
	(void)loop;
	(void)out;
}

/* A process that does nothing, for as long as this one lives. */
static pid_t other_process(void)
{
	static pid_t pid;
	pid_t parent = getpid();

	if (pid)
		return pid;
	pid = fork();
	fuzz_want(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		sleep(1);
	_exit(0);
}

static void connect_pair(struct kernel *k)
{
	int fd[2], bytes = SOCKET_BYTES;

	fuzz_want(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd));
	for (int i = 0; i < 2; i++)
		if (setsockopt(fd[i], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
			setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	k->fd = fd[0];
	snprintf(k->target, sizeof(k->target), "%d", fd[1]);
}

/* Reused from one input to the next. */
static void take_buffers(struct kernel *k)
{
	static struct fuse_buf buf;
	static uint8_t *message, *answer;

	if (!message) {
		buf.mem = malloc(BUF_BYTES);
		message = malloc(KERNEL_MAX_BYTES);
		answer = malloc(2 * KERNEL_MAX_BYTES);
		fuzz_want(buf.mem && message && answer);
	}
	k->buf = &buf;
	k->message = message;
	k->answer = answer;
}

static void start_fs(struct kernel *k, const char *options)
{
	struct ddfs_daemon *d = &k->daemon;
	struct ddfs_fs_options opt;

	d->log.max_priority = -1;
	ddfs_options_init(&d->options);
	fuzz_want(!ddfs_options_parse(&d->options, options, &d->log));
	opt = d->options.fs;
	opt.nr_cpus = 1;
	opt.log = ddfs_log_line;
	opt.log_arg = &d->log;
	fuzz_want(!ddfs_fs_open(&k->stage->ram.media, &opt, &d->fs));
}

static void start_session(struct kernel *k)
{
	struct ddfs_daemon *d = &k->daemon;
	struct ddfs_session_params params = {
		.mount = { .source = "fuzz", .target = k->target, .allow_other = true },
		.no_acl = d->options.fs.no_acl,
	};

	fuzz_want(!ddfs_session_new(&ddfs_ops, sizeof(ddfs_ops), d, &params, &d->session));
	fuzz_want(!ddfs_session_mount(d->session));
	fuzz_want(!ddfs_jobs_new(ddfs_fs_layouts(d->fs), d->session, &d->jobs));
}

static void say_hello(struct kernel *k)
{
	struct fuse_init_in init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 1 << 17,
		.flags = ~0u,
		.flags2 = ~0u,
	};

	kernel_begin(k, FUSE_INIT, 0);
	kernel_put(k, &init, sizeof(init));
	kernel_send(k);
}

void kernel_mount(struct kernel *k, struct stage *s, const char *options)
{
	memset(k, 0, sizeof(*k));
	k->stage = s;
	k->nodes[k->nr_nodes++] = FUSE_ROOT_ID;
	k->other_pid = other_process();
	k->daemon.source = "fuzz";
	k->daemon.device = fuzz_device_init(&k->device, &s->ram.media);
	pthread_mutex_init(&k->daemon.remount_lock, NULL);
	ddfs_handles_init(&k->daemon.handles);
	ddfs_estale_init(&k->daemon.estale);
	take_buffers(k);
	connect_pair(k);
	start_fs(k, options);
	start_session(k);
	say_hello(k);
}

void kernel_unmount(struct kernel *k)
{
	struct ddfs_daemon *d = &k->daemon;
	struct ddfs_layouts_stats held;

	kernel_end(k);
	ddfs_layouts_stats(ddfs_fs_layouts(d->fs), NULL, &held);
	if (held.nr_pins || held.nr_breaks || held.nr_queued)
		fuzz_fail("left: %llu pins, %llu changes that wait, %llu pins that wait",
			(unsigned long long)held.nr_pins, (unsigned long long)held.nr_breaks,
			(unsigned long long)held.nr_queued);
	ddfs_jobs_cancel(d->jobs);
	ddfs_jobs_delete(d->jobs);
	ddfs_session_delete(d->session);
	ddfs_estale_fini(&d->estale);
	fuzz_want(!ddfs_fs_close(d->fs));
	ddfs_handles_fini(&d->handles);
	pthread_mutex_destroy(&d->remount_lock);
	close(k->fd);
}
