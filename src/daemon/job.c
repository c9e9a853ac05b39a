/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/job.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "src/daemon/request.h"
#include "src/daemon/session.h"

/*
 * The lock is a leaf: it is taken with layouts->lock held, when something is woken.
 */
struct ddfs_jobs {
	struct ddfs_layouts *layouts;
	struct ddfs_session *session;
	pthread_t thread; /* runs what was woken */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* for the thread */
	pthread_cond_t ended;	/* nr_asking is 0 */
	/* protected by lock */
	STAILQ_HEAD(, ddfs_job) queue;
	TAILQ_HEAD(, ddfs_job) parked; /* removed from by the thread alone */
	unsigned int nr_asking;	       /* jobs that ask the kernel, from start to answer */
	bool cancelled;
	bool swept; /* what was parked when cancelled was set has been cancelled */
	bool stop;
};

/* ---- one job -------------------------------------------------------------------------------- */

static void jobs_push(struct ddfs_jobs *jobs, struct ddfs_job *job)
{
	pthread_mutex_lock(&jobs->lock);
	STAILQ_INSERT_TAIL(&jobs->queue, job, queued);
	pthread_cond_signal(&jobs->changed);
	pthread_mutex_unlock(&jobs->lock);
}

/* Until both were here the job is not run again, hence not answered nor freed. */
static void job_meet(struct ddfs_job *job)
{
	if (atomic_fetch_add(&job->met, 1) == 1)
		jobs_push(job->jobs, job);
}

static void job_wake(struct ddfs_wait *w, int err)
{
	struct ddfs_job *job = (struct ddfs_job *)((char *)w - offsetof(struct ddfs_job, wait));

	job->woken = err;
	job_meet(job);
}

/* With the request's lock held, perhaps by the thread that has just set this function: the request
 * cannot be answered here, so that it is left to whoever is woken. */
static void job_interrupt(fuse_req_t req, void *data)
{
	struct ddfs_job *job = data;

	(void)req;
	ddfs_wait_cancel(job->jobs->layouts, &job->wait, -EINTR);
}

static void job_park(struct ddfs_job *job)
{
	struct ddfs_jobs *jobs = job->jobs;
	bool cancelled;

	if (!job->waited)
		ddfs_session_park(jobs->session, job->channel);
	job->waited = true;
	pthread_mutex_lock(&jobs->lock);
	TAILQ_INSERT_TAIL(&jobs->parked, job, parked);
	cancelled = jobs->cancelled;
	pthread_mutex_unlock(&jobs->lock);
	/* Calls it at once if the request has been interrupted. */
	fuse_req_interrupt_func(job->req, job_interrupt, job);
	if (cancelled)
		ddfs_wait_cancel(jobs->layouts, &job->wait, -ENODEV);
	job_meet(job);
}

static void jobs_end_asking(struct ddfs_jobs *jobs)
{
	pthread_mutex_lock(&jobs->lock);
	if (!--jobs->nr_asking)
		pthread_cond_broadcast(&jobs->ended);
	pthread_mutex_unlock(&jobs->lock);
}

static void job_finish(struct ddfs_job *job, int ret)
{
	struct ddfs_jobs *jobs = job->jobs;
	bool asks = job->kind->asks_kernel;

	if (job->waited) {
		/* Waits for an interrupt that is being delivered; none comes behind it. */
		fuse_req_interrupt_func(job->req, NULL, NULL);
		ddfs_wait_end(jobs->layouts, &job->wait);
		ddfs_session_unpark(jobs->session, job->channel);
	}
	ddfs_request_set_channel(job->channel);
	job->kind->answer(job, ret);
	free(job);
	if (asks)
		jobs_end_asking(jobs);
}

static void job_run(struct ddfs_job *job)
{
	int ret;

	atomic_store(&job->met, 0);
	ret = job->kind->run(job);
	if (ret == -EINPROGRESS)
		job_park(job);
	else
		job_finish(job, ret);
}

void *ddfs_job_new(
	struct ddfs_jobs *jobs, fuse_req_t req, size_t size, const struct ddfs_job_kind *kind)
{
	struct ddfs_job *job = calloc(1, size);

	if (!job) {
		fuse_reply_err(req, ENOMEM);
		return NULL;
	}
	job->wait.wake = job_wake;
	job->wait.pid = fuse_req_ctx(req)->pid;
	job->req = req;
	job->kind = kind;
	job->jobs = jobs;
	job->channel = ddfs_request_channel();
	return job;
}

void ddfs_job_delete(struct ddfs_job *job)
{
	free(job);
}

void ddfs_job_start(struct ddfs_job *job)
{
	struct ddfs_jobs *jobs = job->jobs;
	bool cancelled;

	if (!job->kind->asks_kernel) {
		job_run(job);
		return;
	}
	pthread_mutex_lock(&jobs->lock);
	cancelled = jobs->cancelled;
	jobs->nr_asking++;
	pthread_mutex_unlock(&jobs->lock);
	if (cancelled)
		job_finish(job, -ENODEV);
	else
		jobs_push(jobs, job);
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void *asking_main(void *arg)
{
	job_run(arg);
	return NULL;
}

/* Made here and not by a worker, which would hand its CPU down to it. */
static void job_spawn(struct ddfs_job *job)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, asking_main, job);

	if (err)
		job_finish(job, -err);
	else
		pthread_detach(thread);
}

static void job_resume(struct ddfs_job *job)
{
	if (job->woken)
		job_finish(job, job->woken);
	else if (job->kind->asks_kernel)
		job_spawn(job);
	else
		job_run(job);
}

/* Jobs are freed by this thread, or by one that it makes, so that those parked stay meanwhile. */
static void jobs_sweep(struct ddfs_jobs *jobs)
{
	struct ddfs_job *job;

	pthread_mutex_lock(&jobs->lock);
	jobs->swept = true;
	TAILQ_FOREACH(job, &jobs->parked, parked) {
		pthread_mutex_unlock(&jobs->lock);
		ddfs_wait_cancel(jobs->layouts, &job->wait, -ENODEV);
		pthread_mutex_lock(&jobs->lock);
	}
	pthread_mutex_unlock(&jobs->lock);
}

/* The next job, waited for; NULL: to be swept, or the end. */
static struct ddfs_job *jobs_next(struct ddfs_jobs *jobs, bool *end)
{
	struct ddfs_job *job;

	pthread_mutex_lock(&jobs->lock);
	while (STAILQ_EMPTY(&jobs->queue) && !jobs->stop && jobs->cancelled == jobs->swept)
		pthread_cond_wait(&jobs->changed, &jobs->lock);
	job = STAILQ_FIRST(&jobs->queue);
	if (job)
		STAILQ_REMOVE_HEAD(&jobs->queue, queued);
	if (job && job->waited)
		TAILQ_REMOVE(&jobs->parked, job, parked);
	*end = jobs->stop && TAILQ_EMPTY(&jobs->parked);
	pthread_mutex_unlock(&jobs->lock);
	return job;
}

static void *jobs_main(void *arg)
{
	struct ddfs_jobs *jobs = arg;
	struct ddfs_job *job;
	bool end = false;

	for (;;) {
		job = jobs_next(jobs, &end);
		if (job)
			job_resume(job);
		else if (end)
			break;
		else
			jobs_sweep(jobs);
	}
	return NULL;
}

int ddfs_jobs_new(struct ddfs_layouts *ls, struct ddfs_session *s, struct ddfs_jobs **out)
{
	struct ddfs_jobs *jobs = calloc(1, sizeof(*jobs));
	int err;

	if (!jobs)
		return -ENOMEM;
	jobs->layouts = ls;
	jobs->session = s;
	STAILQ_INIT(&jobs->queue);
	TAILQ_INIT(&jobs->parked);
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->changed, NULL);
	pthread_cond_init(&jobs->ended, NULL);
	err = pthread_create(&jobs->thread, NULL, jobs_main, jobs);
	if (err) {
		free(jobs);
		return -err;
	}
	*out = jobs;
	return 0;
}

void ddfs_jobs_cancel(struct ddfs_jobs *jobs)
{
	pthread_mutex_lock(&jobs->lock);
	jobs->cancelled = true;
	pthread_cond_signal(&jobs->changed);
	while (jobs->nr_asking)
		pthread_cond_wait(&jobs->ended, &jobs->lock);
	pthread_mutex_unlock(&jobs->lock);
}

void ddfs_jobs_delete(struct ddfs_jobs *jobs)
{
	if (!jobs)
		return;
	pthread_mutex_lock(&jobs->lock);
	jobs->stop = true;
	pthread_cond_signal(&jobs->changed);
	pthread_mutex_unlock(&jobs->lock);
	pthread_join(jobs->thread, NULL);
	pthread_cond_destroy(&jobs->ended);
	pthread_cond_destroy(&jobs->changed);
	pthread_mutex_destroy(&jobs->lock);
	free(jobs);
}
