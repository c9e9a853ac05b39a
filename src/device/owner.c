/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "fs/mkfs.h"
#include "src/device/map.h"
#include "src/device/owner.h"
#include "src/device/source.h"

#define MOUNT_TYPE "fuse.devdaxfs"

static bool is_this_boot(const uint8_t boot_id[16])
{
	char text[37] = "";
	uuid_t now;
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	int got;

	if (!f)
		return false;
	got = fscanf(f, "%36s", text);
	fclose(f);
	return got == 1 && uuid_parse(text, now) == 0 && uuid_compare(now, boot_id) == 0;
}

/* mountinfo writes space, tab, newline and backslash as three octal digits. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool names_device(const char *name, const struct ddfs_source *src)
{
	struct ddfs_source other;

	if (strcmp(name, src->path) == 0)
		return true;
	if (ddfs_source_find(name, &other, NULL, NULL) == 0)
		return ddfs_source_is_same(&other, src);
	/* a relative path, of which only the owner knew the directory */
	return name[0] != '/' && !strchr(name, '=') &&
	       strcmp(basename_of(name), basename_of(src->path)) == 0;
}

/* "36 35 98:0 /root /mountpoint options tags... - type source superoptions" */
static bool line_matches(char *line, const struct ddfs_source *src, char mountpoint[PATH_MAX])
{
	char *tail = strstr(line, " - "), *save, *word;
	int i;

	if (!tail)
		return false;
	*tail = '\0';
	word = strtok_r(tail + 3, " ", &save);
	if (!word || strcmp(word, MOUNT_TYPE) != 0)
		return false;
	word = strtok_r(NULL, " ", &save);
	if (!word)
		return false;
	unescape(word);
	if (!names_device(word, src))
		return false;
	word = strtok_r(line, " ", &save);
	for (i = 1; word && i < 5; i++)
		word = strtok_r(NULL, " ", &save);
	if (!word)
		return false;
	unescape(word);
	return snprintf(mountpoint, PATH_MAX, "%s", word) < PATH_MAX;
}

bool ddfs_owner_find_mount(
	const char *file, const struct ddfs_source *src, char mountpoint[PATH_MAX])
{
	FILE *f = fopen(file, "re");
	bool found = false;
	char *line = NULL;
	size_t size = 0;

	if (!f)
		return false;
	while (!found && getline(&line, &size, f) > 0)
		found = line_matches(line, src, mountpoint);
	free(line);
	fclose(f);
	return found;
}

void ddfs_owner_find(int fd, const struct ddfs_source *src, struct ddfs_owner *out)
{
	uint8_t head[DDFS_HEAD_BYTES];
	struct ddfs_probe probe;
	char file[64];

	out->pid = 0;
	out->mountpoint[0] = '\0';
	if (ddfs_map_read_head(fd, src, head) || !ddfs_probe_super(head, &probe))
		return;
	if (!probe.mounted || !probe.owner_pid || !is_this_boot(probe.boot_id))
		return;
	if (kill((pid_t)probe.owner_pid, 0) && errno == ESRCH)
		return;
	out->pid = (pid_t)probe.owner_pid;
	snprintf(file, sizeof(file), "/proc/%d/mountinfo", (int)out->pid);
	if (!ddfs_owner_find_mount(file, src, out->mountpoint))
		out->mountpoint[0] = '\0';
}
