/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>

#include "src/client/device.h"
#include "src/client/error.h"
#include "src/client/lease.h"
#include "src/client/place.h"
#include "src/client/process.h"
#include "src/client/readers.h"
#include "src/client/recall.h"

/* The one global of the library: descriptors are the process's, and fork hands no argument on. */
static struct ddfs_client_process process;
static pthread_mutex_t process_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t process_woken = PTHREAD_COND_INITIALIZER;

struct ddfs_client_process *ddfs_client_process_lock(void)
{
	pthread_mutex_lock(&process_lock);
	return &process;
}

void ddfs_client_process_unlock(void)
{
	pthread_mutex_unlock(&process_lock);
}

void ddfs_client_process_wait(void)
{
	pthread_cond_wait(&process_woken, &process_lock);
}

void ddfs_client_process_wake(void)
{
	pthread_cond_broadcast(&process_woken);
}

static void fork_begin(void)
{
	pthread_mutex_lock(&process_lock);
}

static void fork_in_parent(void)
{
	pthread_mutex_unlock(&process_lock);
}

/* Only what may be done between fork and exec in a process that had threads: it closes and
 * stores. */
static void fork_in_child(void)
{
	struct ddfs_client_device *device;
	struct ddfs_lease *lease;

	LIST_FOREACH(lease, &process.leases, of_process)
		ddfs_client_lease_orphan(lease);
	LIST_FOREACH(device, &process.devices, of_process)
		ddfs_client_device_orphan(device);
	LIST_INIT(&process.leases);
	LIST_INIT(&process.devices);
	ddfs_client_recall_orphan();
	ddfs_client_place_orphan();
	ddfs_client_readers_orphan();
	/* who waited is not here */
	process_woken = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	pthread_mutex_unlock(&process_lock);
}

static int init_result;

static void init(void)
{
	init_result = -pthread_atfork(fork_begin, fork_in_parent, fork_in_child);
}

int ddfs_client_process_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init);
	if (init_result)
		return ddfs_client_error(init_result, "no memory for the fork handler");
	return 0;
}
