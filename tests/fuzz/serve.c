/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/serve.h"

#include <fcntl.h>
#include <string.h>

#include "fs/fs.h"
#include "tests/fuzz/clean.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/kernel.h"
#include "tests/fuzz/stage.h"

#define MAX_REQUESTS 100

static void look_up(struct kernel *k, const char *name)
{
	kernel_begin(k, FUSE_LOOKUP, FUSE_ROOT_ID);
	kernel_put(k, name, strlen(name) + 1);
	kernel_send(k);
}

/* Node 1 is the root; those that have been looked up follow. */
static void open_node(struct kernel *k, uint32_t opcode, unsigned int node, uint32_t flags)
{
	struct fuse_open_in arg = { .flags = flags };

	if (node >= k->nr_nodes)
		return;
	kernel_begin(k, opcode, k->nodes[node]);
	kernel_put(k, &arg, sizeof(arg));
	kernel_send_for(k, KERNEL_MAX, flags);
}

/* So that short inputs find something. */
static void open_some(struct kernel *k)
{
	look_up(k, "dax");
	look_up(k, "file");
	open_node(k, FUSE_OPENDIR, 0, O_RDONLY);
	open_node(k, FUSE_OPEN, 1, O_RDWR);
	open_node(k, FUSE_OPEN, 1, O_RDWR);
	open_node(k, FUSE_OPEN, 2, O_RDWR);
}

void serve(const uint8_t *data, size_t size, void (*request)(struct kernel *k, struct input *in))
{
	static const char *const options[] = { "rw", "dax=always", "strictatime", "lazytime,noacl",
		"lease_expire=fail", "dax=never", "map=mem", "ro" };
	struct input in = { data, size };
	unsigned int first = input_8(&in);
	struct stage *s = stage_get(first & 1 ? STAGE_MAP_DEV : STAGE_POPULATED);
	struct kernel *k = calloc(1, sizeof(*k));

	fuzz_want(k);
	kernel_mount(k, s, options[first >> 1 & 7]);
	open_some(k);
	for (unsigned int i = 0; i < MAX_REQUESTS && !input_is_empty(&in); i++)
		request(k, &in);
	kernel_unmount(k);
	free(k);
	clean_check(s, "unmounted");
	stage_mend(s);
}
