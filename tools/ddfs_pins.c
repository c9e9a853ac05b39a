/* SPDX-License-Identifier: BSD-3-Clause */
/* ddfs pins: who holds pages of files, and what waits for it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "tools/ddfs.h"
#include "tools/ddfs_table.h"
#include "tools/ddfs_target.h"

enum {
	COLUMN_ID,
	COLUMN_PID,
	COLUMN_PROGRAM,
	COLUMN_FILE,
	COLUMN_FILE_JSON,
	COLUMN_INODE,
	COLUMN_UNLINKED,
	COLUMN_OFFSET,
	COLUMN_LENGTH,
	COLUMN_PAGES,
	COLUMN_MODE,
	COLUMN_SINCE,
	COLUMN_STATE,
	COLUMN_RECALLED,
	COLUMN_EXPIRED,
	COLUMN_LINGERING,
	COLUMN_EARLIER,
	COLUMN_LEFT,
	COLUMN_WAITING,
	COLUMN_NR_WAITING,
	COLUMN_WAITING_PID,
	COLUMN_WAITING_PROGRAM,
	NR_COLUMNS
};

static const struct ddfs_column columns[NR_COLUMNS] = {
	[COLUMN_ID] = { NULL, "id", DDFS_COLUMN_NUMBER },
	[COLUMN_PID] = { "PID", "pid", DDFS_COLUMN_NUMBER },
	[COLUMN_PROGRAM] = { "PROGRAM", "program", DDFS_COLUMN_TEXT },
	[COLUMN_FILE] = { "FILE", NULL, DDFS_COLUMN_TEXT },
	[COLUMN_FILE_JSON] = { NULL, "file", DDFS_COLUMN_TEXT },
	[COLUMN_INODE] = { NULL, "inode", DDFS_COLUMN_NUMBER },
	[COLUMN_UNLINKED] = { NULL, "unlinked", DDFS_COLUMN_BOOLEAN },
	[COLUMN_OFFSET] = { "OFFSET", "offset", DDFS_COLUMN_NUMBER },
	[COLUMN_LENGTH] = { "LENGTH", "length", DDFS_COLUMN_NUMBER },
	[COLUMN_PAGES] = { NULL, "pages", DDFS_COLUMN_NUMBER },
	[COLUMN_MODE] = { "MODE", "mode", DDFS_COLUMN_TEXT },
	[COLUMN_SINCE] = { "SINCE", "since", DDFS_COLUMN_TEXT },
	[COLUMN_STATE] = { "STATE", NULL, DDFS_COLUMN_TEXT },
	[COLUMN_RECALLED] = { NULL, "recalled", DDFS_COLUMN_BOOLEAN },
	[COLUMN_EXPIRED] = { NULL, "expired", DDFS_COLUMN_BOOLEAN },
	[COLUMN_LINGERING] = { NULL, "lingering", DDFS_COLUMN_BOOLEAN },
	[COLUMN_EARLIER] = { NULL, "earlier_mount", DDFS_COLUMN_BOOLEAN },
	[COLUMN_LEFT] = { "LEFT", "seconds_left", DDFS_COLUMN_NUMBER },
	[COLUMN_WAITING] = { "WAITING", NULL, DDFS_COLUMN_TEXT },
	[COLUMN_NR_WAITING] = { NULL, "waiting", DDFS_COLUMN_NUMBER },
	[COLUMN_WAITING_PID] = { NULL, "waiting_pid", DDFS_COLUMN_NUMBER },
	[COLUMN_WAITING_PROGRAM] = { NULL, "waiting_program", DDFS_COLUMN_TEXT },
};

/* ---- cells ---------------------------------------------------------------------------------- */

static void set_holder(struct ddfs_table *t, const struct ddfs_ioc_pin_info *p)
{
	if (!p->pid)
		return;
	ddfs_table_set(t, COLUMN_PID, "%d", p->pid);
	if (p->comm[0])
		ddfs_table_set(t, COLUMN_PROGRAM, "%.*s", (int)sizeof(p->comm), p->comm);
}

static void set_file(struct ddfs_table *t, const struct ddfs_target *target, uint64_t node)
{
	struct ddfs_node_name name;

	ddfs_target_name(target, node, &name);
	ddfs_table_set(t, COLUMN_FILE, "%s%s", name.text, name.unlinked ? " (unlinked)" : "");
	ddfs_table_set(t, COLUMN_FILE_JSON, "%s", name.text);
	ddfs_table_set(t, COLUMN_INODE, "%" PRIu32, (uint32_t)node);
	ddfs_table_set_flag(t, COLUMN_UNLINKED, name.unlinked);
}

static const char *mode_name(uint32_t mode)
{
	if (mode == (DDFS_IOC_PIN_READ | DDFS_IOC_PIN_WRITE))
		return "rw";
	return mode == DDFS_IOC_PIN_WRITE ? "w" : "r";
}

static void set_state(struct ddfs_table *t, const struct ddfs_ioc_pin_info *p)
{
	bool recalled = p->flags & DDFS_IOC_PINNED_RECALLED;
	bool expired = p->flags & DDFS_IOC_PINNED_EXPIRED;
	bool lingering = p->flags & DDFS_IOC_PINNED_LINGERING;
	bool earlier = p->flags & DDFS_IOC_PINNED_EARLIER;
	const char *asked = expired ? "expired" : recalled ? "recalled" : "";
	const char *kind = earlier ? "earlier mount" : lingering ? "lingering" : "";

	if (*asked || *kind)
		ddfs_table_set(t, COLUMN_STATE, "%s%s%s", asked, *asked && *kind ? ", " : "", kind);
	else
		ddfs_table_set(t, COLUMN_STATE, "held");
	ddfs_table_set_flag(t, COLUMN_RECALLED, recalled);
	ddfs_table_set_flag(t, COLUMN_EXPIRED, expired);
	ddfs_table_set_flag(t, COLUMN_LINGERING, lingering);
	ddfs_table_set_flag(t, COLUMN_EARLIER, earlier);
	if (recalled)
		ddfs_table_set(t, COLUMN_LEFT, "%u", p->seconds_left);
}

/* What the process, or thread, is called now; empty if it is gone or not ours to see. */
static void find_program(pid_t pid, char *out, size_t size)
{
	char path[32];
	FILE *file;

	out[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(out, (int)size, file))
		out[strcspn(out, "\n")] = '\0';
	else
		out[0] = '\0';
	fclose(file);
}

static void set_waiting(struct ddfs_table *t, const struct ddfs_ioc_pin_info *p)
{
	char program[32], more[32] = "";

	ddfs_table_set(t, COLUMN_NR_WAITING, "%u", p->nr_waiting);
	if (!p->nr_waiting)
		return;
	if (p->nr_waiting > 1)
		snprintf(more, sizeof(more), " and %u more", p->nr_waiting - 1);
	if (!p->waiting_pid) {
		ddfs_table_set(t, COLUMN_WAITING, "the filesystem%s", more);
		return;
	}
	find_program(p->waiting_pid, program, sizeof(program));
	ddfs_table_set(
		t, COLUMN_WAITING, "%d%s%s%s", p->waiting_pid, *program ? " " : "", program, more);
	ddfs_table_set(t, COLUMN_WAITING_PID, "%d", p->waiting_pid);
	if (*program)
		ddfs_table_set(t, COLUMN_WAITING_PROGRAM, "%s", program);
}

static void add_pin(
	struct ddfs_table *t, const struct ddfs_target *target, const struct ddfs_ioc_pin_info *p)
{
	ddfs_table_line(t);
	ddfs_table_set(t, COLUMN_ID, "%" PRIu64, (uint64_t)p->id);
	set_holder(t, p);
	set_file(t, target, p->node);
	ddfs_table_set(t, COLUMN_OFFSET, "%" PRIu64, (uint64_t)p->off);
	ddfs_table_set(t, COLUMN_LENGTH, "%" PRIu64, (uint64_t)p->len);
	ddfs_table_set(t, COLUMN_PAGES, "%" PRIu64, (uint64_t)p->nr_pages);
	ddfs_table_set(t, COLUMN_MODE, "%s", mode_name(p->mode));
	ddfs_table_set_time(t, COLUMN_SINCE, p->since_sec);
	set_state(t, p);
	set_waiting(t, p);
}

/* ---- all of them ---------------------------------------------------------------------------- */

static int add_pins(struct ddfs_table *t, const struct ddfs_target *target)
{
	struct ddfs_ioc_pins arg;
	uint64_t after = 0;
	int ret;

	do {
		memset(&arg, 0, sizeof(arg));
		arg.after = after;
		ret = ddfs_target_ioctl(target, DDFS_IOC_PINS, &arg);
		if (ret)
			return ret;
		for (uint32_t i = 0; i < arg.nr && i < DDFS_IOC_PINS_MAX; i++) {
			add_pin(t, target, &arg.pins[i]);
			after = arg.pins[i].id;
		}
	} while (arg.nr >= DDFS_IOC_PINS_MAX);
	return 0;
}

static void complain(const struct ddfs_target *t, int err)
{
	bool is_dir = S_ISDIR(t->st.st_mode);

	if ((err == -EPERM || err == -EACCES) && is_dir)
		ddfs_target_complain(t, "only root may see all pins of a mount; run it as root, or "
					"name a file that is yours");
	else if (err == -EPERM || err == -EACCES)
		ddfs_target_complain(
			t, "only its owner and root may see a file's pins; run it as root");
	else if (is_dir)
		ddfs_target_complain(
			t, "a directory, but not the mount point; name that, or a file");
	else
		ddfs_target_complain(t, strerror(-err));
}

static int print_pins(const struct ddfs_target *target, bool json)
{
	struct ddfs_table *t;
	int ret = ddfs_table_new("pins", columns, NR_COLUMNS, json, &t);

	if (ret) {
		ddfs_target_complain(target, strerror(-ret));
		return ret;
	}
	ret = add_pins(t, target);
	if (ret)
		complain(target, ret);
	else
		ret = ddfs_table_print(t);
	ddfs_table_delete(t);
	return ret;
}

static int pins_run(int argc, char **argv)
{
	struct ddfs_arguments a;
	struct ddfs_target t;
	int ret = ddfs_arguments_parse(&ddfs_command_pins, argc, argv, &a);

	if (ret || a.done)
		return ret;
	ret = ddfs_target_open(a.path, &t);
	if (ret)
		return ret;
	ret = print_pins(&t, a.json);
	ddfs_target_close(&t);
	return ret;
}

const struct ddfs_command ddfs_command_pins = {
	.name = "pins",
	.synopsis = "MOUNTPOINT|FILE",
	.summary = "Show who holds pages of a mount or file, and what waits for it",
	.run = pins_run,
};
