/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests that may have to wait for pins, without a thread to wait in: a job holds what is needed
 * to carry the request out, again and again until it need not wait, and to answer it.
 *
 *	struct op_truncate { struct ddfs_job job; struct ddfs_inode *ip; uint64_t size; } *t;
 *
 *	t = ddfs_job_new(d->jobs, req, sizeof(*t), &truncate_kind);	NULL: has been answered
 *	t->ip = ip;
 *	ddfs_job_start(&t->job);				frees t, sooner or later
 *
 * A worker runs the job and, if that gives -EINPROGRESS, leaves it *parked*. Whatever it waits for
 * wakes it; one thread, the same for all, then runs it again. A signal to the waiting process
 * ends the wait with -EINTR. The request's own memory is the worker's: what run and answer need of
 * it is copied, and what ddfs_request_* says is asked before.
 */
#ifndef DDFS_DAEMON_JOB_H
#define DDFS_DAEMON_JOB_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "layout/layout.h"

struct ddfs_job;
struct ddfs_jobs;
struct ddfs_session;

struct ddfs_job_kind {
	/* Does it. -EINPROGRESS: job->wait is registered, nothing is held. Any thread. */
	int (*run)(struct ddfs_job *job);
	/* Answers the request with what run returned, or why it was not run or waited no longer;
	 * lets go of what the job holds. Called once. */
	void (*answer)(struct ddfs_job *job, int ret);
	/* run asks the kernel for what workers must answer: each has a thread of its own, for as
	 * long as it runs. */
	bool asks_kernel;
};

struct ddfs_job {
	struct ddfs_wait wait; /* for run to pass on */
	fuse_req_t req;

	const struct ddfs_job_kind *kind;
	struct ddfs_jobs *jobs;
	unsigned int channel; /* that the request came from */
	bool waited;	      /* at least once */
	int woken;	      /* what for: 0, run again; else the end */
	/* The one that parks it and the one that wakes it: who is second queues it. */
	atomic_uint met;
	/* protected by jobs->lock */
	STAILQ_ENTRY(ddfs_job) queued;
	TAILQ_ENTRY(ddfs_job) parked;
};

int ddfs_jobs_new(struct ddfs_layouts *ls, struct ddfs_session *s, struct ddfs_jobs **out);
/* Jobs that are parked, and that would from now on, end with -ENODEV, and those that ask the kernel
 * are not begun. Returns when no job asks the kernel any more: the workers may stop then. */
void ddfs_jobs_cancel(struct ddfs_jobs *jobs);
/* Behind ddfs_jobs_cancel, and when no worker is left. NULL is allowed. */
void ddfs_jobs_delete(struct ddfs_jobs *jobs);

/* size bytes, the job first, the rest zeroed. NULL: no memory; the request is answered. */
void *ddfs_job_new(
	struct ddfs_jobs *jobs, fuse_req_t req, size_t size, const struct ddfs_job_kind *kind);
/* One that was not started, without an answer. */
void ddfs_job_delete(struct ddfs_job *job);
/* Job and request may be gone when it returns. */
void ddfs_job_start(struct ddfs_job *job);

#endif
