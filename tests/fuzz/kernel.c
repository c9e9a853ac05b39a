/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/kernel.h"

#include <errno.h>
#include <poll.h>
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "src/daemon/ops.h"
#include "src/daemon/session.h"
#include "tests/fuzz/input.h"

/* What a request that waits may take to end when it is told to, however busy the machine: less than
 * the minute after which tests/fuzz/run gives an input up. */
#define PATIENCE_MSEC 50000

/* ---- answers -------------------------------------------------------------------------------- */

static struct kernel_request *find_request(struct kernel *k, uint64_t unique)
{
	for (unsigned int i = 0; i < KERNEL_MAX; i++)
		if (k->requests[i].unique == unique)
			return &k->requests[i];
	return NULL;
}

static void learn_node(struct kernel *k, uint64_t node)
{
	for (unsigned int i = 0; i < k->nr_nodes; i++)
		if (k->nodes[i] == node)
			return;
	if (node && k->nr_nodes < KERNEL_MAX)
		k->nodes[k->nr_nodes++] = node;
}

static void learn_file(struct kernel *k, const struct kernel_request *r, uint64_t node, uint64_t fh)
{
	for (unsigned int i = 0; i < KERNEL_MAX; i++) {
		if (k->files[i].is_open)
			continue;
		k->files[i] = (struct kernel_file){ .fh = fh,
			.node = node,
			.flags = r->open_flags,
			.is_open = true,
			.is_dir = r->opcode == FUSE_OPENDIR };
		return;
	}
	fuzz_fail("too many open files");
}

static void learn(struct kernel *k, const struct kernel_request *r)
{
	const struct fuse_entry_out *entry =
		(const void *)(k->answer + sizeof(struct fuse_out_header));
	const struct fuse_open_out *open = (const void *)entry;

	switch (r->opcode) {
	case FUSE_CREATE:
		learn_node(k, entry->nodeid);
		learn_file(k, r, entry->nodeid, ((const struct fuse_open_out *)(entry + 1))->fh);
		break;
	case FUSE_LOOKUP:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_LINK:
		learn_node(k, entry->nodeid);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		learn_file(k, r, r->node, open->fh);
		break;
	default:
		break;
	}
}

/* Notifications have no number; an INTERRUPT that came too late has an odd one. */
static void take_answer(struct kernel *k)
{
	const struct fuse_out_header *head = (const void *)k->answer;
	struct kernel_request *r;

	fuzz_want(k->answer_len >= sizeof(*head) && head->len == k->answer_len);
	if (!head->unique || head->unique & 1)
		return;
	fuzz_want(head->error <= 0 && head->error > -512);
	r = find_request(k, head->unique);
	if (!r)
		fuzz_fail("an answer to no request, or a second one: %llu",
			(unsigned long long)head->unique);
	if (!head->error)
		learn(k, r);
	r->unique = 0;
}

static int64_t now_msec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* libFuzzer's timer may interrupt at any moment. */
static bool wait_answer(const struct kernel *k, int msec)
{
	struct pollfd p = { .fd = k->fd, .events = POLLIN };
	int64_t end = now_msec() + msec, left = msec;
	int ret;

	do {
		ret = poll(&p, 1, (int)left);
		left = end - now_msec();
	} while (ret < 0 && errno == EINTR && left > 0);
	return ret > 0;
}

static bool receive(struct kernel *k, int msec)
{
	ssize_t n;

	if (msec && !wait_answer(k, msec))
		return false;
	n = recv(k->fd, k->answer, 2 * KERNEL_MAX_BYTES, MSG_DONTWAIT);
	if (n <= 0)
		return false;
	k->answer_len = (size_t)n;
	take_answer(k);
	return true;
}

/* ---- requests ------------------------------------------------------------------------------- */

struct fuse_in_header *kernel_head(struct kernel *k)
{
	return (struct fuse_in_header *)k->message;
}

void kernel_begin(struct kernel *k, uint32_t opcode, uint64_t node)
{
	k->unique += 2;
	k->len = 0;
	k->also = KERNEL_MAX;
	kernel_put(k,
		&(struct fuse_in_header){ .opcode = opcode,
			.unique = k->unique,
			.nodeid = node,
			.pid = (uint32_t)getpid() },
		sizeof(struct fuse_in_header));
}

void kernel_put(struct kernel *k, const void *bytes, size_t len)
{
	fuzz_want(len <= KERNEL_MAX_BYTES - k->len);
	if (bytes)
		memcpy(k->message + k->len, bytes, len);
	else
		memset(k->message + k->len, 0, len);
	k->len += len;
}

/* Who waits for pins waits in a job. */
static bool may_wait(const struct kernel_request *r)
{
	switch (r->opcode) {
	case FUSE_SETATTR:
	case FUSE_OPEN:
	case FUSE_IOCTL:
	case FUSE_FALLOCATE:
	case FUSE_COPY_FILE_RANGE:
		return true;
	default:
		return false;
	}
}

/* The daemon's worker, here. What lies behind the request is not the request's. */
static void serve_one(struct kernel *k)
{
	struct fuse_session *fuse = ddfs_session_fuse(k->daemon.session);
	int n;

	fuzz_want(send(k->fd, k->message, k->len, 0) == (ssize_t)k->len);
	n = fuse_session_receive_buf(fuse, k->buf);
	fuzz_want(n == (int)k->len);
	ASAN_POISON_MEMORY_REGION((char *)k->buf->mem + n, KERNEL_MAX_BYTES - (size_t)n);
	fuse_session_process_buf(fuse, k->buf);
	ASAN_UNPOISON_MEMORY_REGION(k->buf->mem, KERNEL_MAX_BYTES);
}

void kernel_send_for(struct kernel *k, unsigned int file, uint32_t open_flags)
{
	struct fuse_in_header *head = kernel_head(k);
	struct kernel_request *r = find_request(k, 0);
	bool has_answer = head->opcode != FUSE_FORGET && head->opcode != FUSE_BATCH_FORGET &&
			  head->opcode != FUSE_INTERRUPT;

	head->len = (uint32_t)k->len;
	if (has_answer) {
		fuzz_want(r);
		*r = (struct kernel_request){ .unique = head->unique,
			.node = head->nodeid,
			.opcode = head->opcode,
			.open_flags = open_flags,
			.file = file,
			.also = k->also };
	}
	serve_one(k);
	while (receive(k, 0))
		;
	if (has_answer && r->unique == head->unique && !may_wait(r))
		fuzz_fail("opcode %u is not answered", head->opcode);
}

void kernel_send(struct kernel *k)
{
	kernel_send_for(k, KERNEL_MAX, 0);
}

bool kernel_is_used(const struct kernel *k, unsigned int file)
{
	for (unsigned int i = 0; i < KERNEL_MAX; i++)
		if (k->requests[i].unique &&
			(k->requests[i].file == file || k->requests[i].also == file))
			return true;
	return false;
}

unsigned int kernel_find_file(const struct kernel *k, unsigned int index, bool is_dir)
{
	for (unsigned int i = 0; i < KERNEL_MAX; i++) {
		unsigned int at = (index + i) % KERNEL_MAX;

		if (k->files[at].is_open && k->files[at].is_dir == is_dir)
			return at;
	}
	return KERNEL_MAX;
}

void kernel_release(struct kernel *k, unsigned int file)
{
	struct kernel_file *f = &k->files[file];
	struct fuse_release_in in = { .fh = f->fh, .flags = f->flags };

	f->is_open = false;
	kernel_begin(k, f->is_dir ? FUSE_RELEASEDIR : FUSE_RELEASE, f->node);
	kernel_put(k, &in, sizeof(in));
	kernel_send(k);
}

void kernel_interrupt(struct kernel *k, uint64_t unique)
{
	struct fuse_interrupt_in in = { .unique = unique };

	k->nr_interrupts++;
	kernel_begin(k, FUSE_INTERRUPT, 0);
	kernel_head(k)->unique = unique | 1;
	kernel_put(k, &in, sizeof(in));
	kernel_send(k);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void release_all(struct kernel *k)
{
	for (unsigned int i = 0; i < KERNEL_MAX; i++)
		if (k->files[i].is_open && !kernel_is_used(k, i))
			kernel_release(k, i);
}

static struct kernel_request *any_request(struct kernel *k)
{
	for (unsigned int i = 0; i < KERNEL_MAX; i++)
		if (k->requests[i].unique)
			return &k->requests[i];
	return NULL;
}

/* What waits for pins that have gone goes on by itself; all others are interrupted. */
static void end_requests(struct kernel *k)
{
	struct kernel_request *r;

	while (any_request(k) && receive(k, 2))
		;
	for (unsigned int i = 0; i < KERNEL_MAX; i++)
		if (k->requests[i].unique)
			kernel_interrupt(k, k->requests[i].unique);
	while ((r = any_request(k)))
		if (!receive(k, PATIENCE_MSEC))
			fuzz_fail("opcode %u is interrupted, and never ends", r->opcode);
}

static void forget_all(struct kernel *k)
{
	struct fuse_forget_in in = { .nlookup = 1 };

	for (unsigned int i = 0; i < k->nr_nodes; i++) {
		if (k->nodes[i] == FUSE_ROOT_ID)
			continue;
		kernel_begin(k, FUSE_FORGET, k->nodes[i]);
		kernel_put(k, &in, sizeof(in));
		kernel_send(k);
	}
}

/* libfuse keeps an INTERRUPT that came too late until the next request, and one for each. */
static void forget_interrupts(struct kernel *k)
{
	for (; k->nr_interrupts; k->nr_interrupts--) {
		kernel_begin(k, FUSE_STATFS, FUSE_ROOT_ID);
		kernel_send(k);
	}
}

void kernel_end(struct kernel *k)
{
	release_all(k);
	end_requests(k);
	release_all(k);
	forget_interrupts(k);
	forget_all(k);
}
