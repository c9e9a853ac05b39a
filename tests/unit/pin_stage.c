/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/pin_stage.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "tests/unit/tree.h"

static void note_wake(struct ddfs_wait *w, int err)
{
	struct pin_waiter *p = (struct pin_waiter *)w;

	p->nr_wakes++;
	p->err = err;
}

void pin_waiter_init(struct pin_waiter *w)
{
	memset(w, 0, sizeof(*w));
	w->wait.wake = note_wake;
}

static void stage_log(void *arg, int priority, const char *line)
{
	struct pin_stage *s = arg;

	s->nr_crit += priority <= LOG_CRIT;
	if (priority <= LOG_NOTICE || strstr(line, "pin"))
		snprintf(s->said[s->nr_said++ % 8], sizeof(s->said[0]), "%s", line);
}

bool stage_said(struct pin_stage *s, const char *what)
{
	bool said = false;

	for (unsigned int i = 0; i < 8; i++)
		said |= strstr(s->said[i], what) != NULL;
	memset(s->said, 0, sizeof(s->said));
	return said;
}

bool stage_is_alive(void *arg, uint32_t epoch)
{
	const struct pin_stage *s = arg;

	return epoch && epoch == s->alive_epoch;
}

static pid_t client_start(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static void client_end(struct pin_stage *s, unsigned int i)
{
	if (!s->client[i])
		return;
	kill(s->client[i], SIGKILL);
	waitpid(s->client[i], NULL, 0);
	s->client[i] = 0;
}

void stage_end_clients(struct pin_stage *s, uint32_t but)
{
	for (unsigned int i = 1; i < s->nr_mounts; i++)
		if (i != but)
			client_end(s, i);
}

void stage_mount(struct pin_stage *s)
{
	s->fs = ram_mount(&s->ram, &s->opt);
	s->root = ram_root(s->fs);
	s->client[++s->nr_mounts] = client_start();
	ck_assert_int_eq(ddfs_holders_get(ddfs_layouts_holders(ddfs_fs_layouts(s->fs)),
				 s->client[s->nr_mounts], &s->holder),
		0);
	ddfs_pin_owner_init(&s->owner, NULL);
}

void stage_unmount(struct pin_stage *s)
{
	ddfs_pins_release(s->fs, &s->owner);
	ddfs_holder_put(s->holder);
	ddfs_inode_put(s->root);
	ck_assert_int_eq(ddfs_fs_close(s->fs), 0);
	ck_assert_uint_eq(s->nr_crit, 0);
}

void stage_init(
	struct pin_stage *s, uint64_t size, uint64_t align, const struct ddfs_fs_options *opt)
{
	memset(s, 0, sizeof(*s));
	ram_mkfs(&s->ram, size, align);
	if (opt)
		s->opt = *opt;
	else
		s->opt.dax = DDFS_DAX_ALWAYS;
	s->opt.log = stage_log;
	s->opt.log_arg = s;
	s->opt.clients_alive = stage_is_alive;
	s->opt.clients_arg = s;
	stage_mount(s);
}

void stage_fini(struct pin_stage *s)
{
	stage_unmount(s);
	ram_fini(&s->ram);
	s->nr_mounts++;
	stage_end_clients(s, 0);
}

void stage_crash(struct pin_stage *s, uint32_t epoch)
{
	struct ram copy;

	ram_copy_image(&copy, &s->ram);
	stage_unmount(s);
	ram_fini(&s->ram);
	s->nr_mounts++;
	stage_end_clients(s, epoch);
	s->nr_mounts--;
	s->ram = copy;
	s->alive_epoch = epoch;
	memset(s->said, 0, sizeof(s->said));
	stage_mount(s);
}

int stage_pin_args(struct pin_stage *s, struct ddfs_inode *ip, struct ddfs_pin_args args,
	struct ddfs_pinned *out, struct ddfs_file_extent *extents, uint32_t max)
{
	args.owner = &s->owner;
	args.holder = s->holder;
	return ddfs_pin(ip, &args, NULL, out, extents, max);
}

uint64_t stage_pin(
	struct pin_stage *s, struct ddfs_inode *ip, uint64_t off, uint64_t len, unsigned int flags)
{
	struct ddfs_pin_args args = { .off = off,
		.len = len,
		.mode = DDFS_PIN_MODE_READ | DDFS_PIN_MODE_WRITE,
		.flags = flags };
	struct ddfs_pinned out;
	int err = stage_pin_args(s, ip, args, &out, NULL, 0);

	ck_assert_msg(!err, "pin: %s", strerror(-err));
	return out.id;
}

void stage_unpin(struct pin_stage *s, uint64_t id)
{
	ck_assert_int_eq(ddfs_unpin(s->fs, &s->owner, id), 0);
}

int stage_try_pin(struct pin_stage *s, struct ddfs_inode *ip, uint64_t off, uint64_t len,
	unsigned int mode, unsigned int flags)
{
	struct ddfs_pinned out;
	int err = stage_pin_args(s, ip,
		(struct ddfs_pin_args){ .off = off, .len = len, .mode = mode, .flags = flags },
		&out, NULL, 0);

	if (!err)
		stage_unpin(s, out.id);
	return err;
}

struct ddfs_layouts_stats stage_stats(struct pin_stage *s)
{
	struct ddfs_layouts_stats st;

	ddfs_layouts_stats(ddfs_fs_layouts(s->fs), NULL, &st);
	return st;
}

uint64_t stage_free(struct pin_stage *s)
{
	struct ddfs_statfs st;

	ddfs_fs_statfs(s->fs, &st);
	return st.nr_free;
}

struct ddfs_recovery stage_recovery(struct pin_stage *s)
{
	struct ddfs_recovery r;

	ddfs_fs_recovery(s->fs, &r);
	return r;
}

void stage_tick_gone(struct pin_stage *s)
{
	s->alive_epoch = 0;
	stage_end_clients(s, 0);
	ddfs_pins_tick(s->fs);
}

struct ddfs_inode *stage_init_pinned(struct pin_stage *s, uint64_t nr, uint64_t *off)
{
	stage_init(s, 32 * MIB, BLK, NULL);
	return stage_pinned_file(s, "file", nr, off);
}

void stage_init_crashed(struct pin_stage *s, uint32_t epoch)
{
	uint64_t off;

	ddfs_inode_put(stage_init_pinned(s, 10, &off));
	stage_crash(s, epoch);
}
