/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/client/devdaxfs.h"
#include "src/client/device.h"
#include "src/client/error.h"
#include "src/client/lease.h"
#include "src/client/persist.h"
#include "src/client/place.h"
#include "src/client/view.h"
#include "src/devdaxfs_ioctl.h"

#define PAGE_BYTES UINT64_C(4096)

struct ddfs_mapping {
	struct ddfs_lease *lease;
	const struct ddfs_client_persist *persist;
	bool is_page_granular;
	unsigned int flags; /* DDFS_MAP_* */
	uint64_t off;	    /* in the file */
	size_t len;
	char *address;			 /* of off */
	struct ddfs_client_view view;	 /* of the whole units that it lies in */
	struct ddfs_client_place *place; /* the view's */
	atomic_int failed;		 /* -errno that ddfs_mapping_persist had no way to return */
};

/* ---- making one ----------------------------------------------------------------------------- */

static int prot_of(unsigned int flags)
{
	return (flags & DDFS_MAP_READ ? PROT_READ : 0) | (flags & DDFS_MAP_WRITE ? PROT_WRITE : 0);
}

static int say_too_short(uint64_t size)
{
	return ddfs_client_error(-ENXIO,
		"the file ends at byte %" PRIu64 ", before the range does; DDFS_MAP_GROW makes it "
		"longer",
		size);
}

/* How many bytes of the pinned range from off on to hand out, for len asked for. */
static int settle_len(const struct ddfs_lease *lease, uint64_t off, uint64_t len, size_t *out)
{
	const uint64_t end = lease->pin.off + lease->pin.len;
	struct stat st;
	uint64_t size;

	if (fstat(lease->fd, &st))
		return ddfs_client_error(-errno, "fstat: %s", strerror(errno));
	size = (uint64_t)st.st_size;
	if (!len)
		len = (size < end ? size : end) - off;
	/* As with mmap(2), the last page may be used to its end. */
	else if (off + len > end || off + len > ((size + PAGE_BYTES - 1) & -PAGE_BYTES))
		return say_too_short(size);
	*out = len;
	return ddfs_client_pin_check(&lease->pin, off, len, 0);
}

static int fill(struct ddfs_mapping *m, int fd, uint64_t len)
{
	uint32_t granularity;
	int ret = ddfs_client_lease_new(
		fd, m->off, len, m->flags, DDFS_IOC_PIN_WHOLE_UNITS, &m->lease);

	if (ret)
		return ret;
	granularity = m->lease->granularity;
	m->is_page_granular = granularity == DDFS_IOC_GRANULARITY_PAGE;
	ret = settle_len(m->lease, m->off, len, &m->len);
	if (!ret)
		ret = ddfs_client_persist_get(granularity, &m->persist);
	if (!ret)
		ret = ddfs_client_view_new(
			&m->view, m->lease->device, &m->lease->pin, prot_of(m->flags));
	if (!ret)
		ret = ddfs_client_place_new(
			m, m->lease->fd, &m->view, m->lease->pin.off, &m->place);
	if (ret)
		return ret;
	m->address = m->view.base + (m->off - m->lease->pin.off);
	ddfs_client_place_enter(m->place);
	return 0;
}

int ddfs_mapping_new(
	int fd, uint64_t off, uint64_t len, unsigned int flags, struct ddfs_mapping **out)
{
	struct ddfs_mapping *m;
	int ret;

	if (off % PAGE_BYTES)
		return ddfs_client_error(-EINVAL,
			"a mapping begins at a multiple of the page size, and %" PRIu64 " is none",
			off);
	if (flags & (DDFS_MAP_SNAPSHOT | DDFS_MAP_BAD_HOLES))
		return ddfs_client_error(-EINVAL,
			"DDFS_MAP_SNAPSHOT and DDFS_MAP_BAD_HOLES are for leases alone: a mapping "
			"has no holes");
	m = calloc(1, sizeof(*m));
	if (!m)
		return ddfs_client_error(-ENOMEM, "no memory for a mapping");
	m->off = off;
	m->flags = flags;
	ret = fill(m, fd, len);
	if (ret)
		ddfs_mapping_delete(m);
	else
		*out = m;
	return ret;
}

static bool is_orphan(const struct ddfs_mapping *m)
{
	return m->lease->fd < 0;
}

static void unmap(struct ddfs_mapping *m)
{
	/* a callback may be using it */
	ddfs_lease_on_recall(m->lease, NULL, NULL);
	if (m->place)
		ddfs_client_place_leave(m->place);
	ddfs_client_view_delete(&m->view);
}

void ddfs_mapping_delete(struct ddfs_mapping *m)
{
	if (!m)
		return;
	/* In a forked child others may be where the view was. */
	if (m->view.base && !is_orphan(m))
		unmap(m);
	else
		free(m->place);
	ddfs_lease_delete(m->lease);
	free(m);
}

void *ddfs_mapping_address(const struct ddfs_mapping *m)
{
	return ddfs_client_lease_check(m->lease) ? NULL : m->address;
}

size_t ddfs_mapping_len(const struct ddfs_mapping *m)
{
	return ddfs_client_lease_check(m->lease) ? 0 : m->len;
}

struct ddfs_lease *ddfs_mapping_lease(const struct ddfs_mapping *m)
{
	return m->lease;
}

/* ---- growing -------------------------------------------------------------------------------- */

/* A pin and a view of all of it, beside those that there are: their pages stay where they are, so
 * the file's bytes are at both addresses until the old ones end. */
static int grow(struct ddfs_mapping *m, size_t len)
{
	struct ddfs_client_place *place;
	struct ddfs_client_view view;
	struct ddfs_client_pin pin;
	int ret = ddfs_client_lease_pin(
		m->lease, m->off, len, m->flags | DDFS_MAP_GROW, DDFS_IOC_PIN_WHOLE_UNITS, &pin);

	if (ret)
		return ret;
	ret = ddfs_client_view_new(&view, m->lease->device, &pin, prot_of(m->flags));
	if (ret)
		goto err_pin;
	ret = ddfs_client_place_new(m, m->lease->fd, &view, pin.off, &place);
	if (ret)
		goto err_view;
	ret = ddfs_client_lease_replace(m->lease, &pin);
	if (ret)
		goto err_place;
	ddfs_client_place_enter(place);
	ddfs_client_place_leave(m->place);
	ddfs_client_view_delete(&m->view);
	m->place = place;
	m->view = view;
	m->address = view.base + (m->off - m->lease->pin.off);
	m->len = len;
	return 0;

err_place:
	free(place);
err_view:
	ddfs_client_view_delete(&view);
err_pin:
	ddfs_client_pin_delete(m->lease->fd, &pin);
	return ret;
}

int ddfs_mapping_grow(struct ddfs_mapping *m, size_t len)
{
	int ret = ddfs_client_lease_check(m->lease);

	if (ret)
		return ret;
	if (len < m->len || len > INT64_MAX - m->off)
		return ddfs_client_error(
			-EINVAL, "a mapping of %zu bytes does not grow to %zu", m->len, len);
	return len == m->len ? 0 : grow(m, len);
}

/* ---- persistence ---------------------------------------------------------------------------- */

/*
 * The granularity of pages: an image file on a disk. msync(2) rather than DDFS_IOC_SYNC: it works
 * without the daemon, as storing does, and writes the range alone. Nor libpmem2's functions, which
 * end the process where this fails; it is told by the next sync.
 */
static void sync_pages(const struct ddfs_mapping *m, const void *addr, size_t len)
{
	uintptr_t start = (uintptr_t)addr & -PAGE_BYTES;
	uintptr_t end = (uintptr_t)addr + len;

	if (len && msync((void *)start, end - start, MS_SYNC))
		atomic_store(&((struct ddfs_mapping *)m)->failed, -errno);
}

void ddfs_mapping_persist(const struct ddfs_mapping *m, const void *addr, size_t len)
{
	if (m->is_page_granular)
		sync_pages(m, addr, len);
	else
		m->persist->persist(addr, len);
}

void ddfs_mapping_flush(const struct ddfs_mapping *m, const void *addr, size_t len)
{
	if (m->is_page_granular)
		sync_pages(m, addr, len);
	else
		m->persist->flush(addr, len);
}

void ddfs_mapping_drain(const struct ddfs_mapping *m)
{
	m->persist->drain();
}

void *ddfs_mapping_memcpy(const struct ddfs_mapping *m, void *dst, const void *src, size_t len)
{
	m->persist->memcpy(dst, src, len, 0);
	if (m->is_page_granular)
		sync_pages(m, dst, len);
	return dst;
}

void *ddfs_mapping_memset(const struct ddfs_mapping *m, void *dst, int c, size_t len)
{
	m->persist->memset(dst, c, len, 0);
	if (m->is_page_granular)
		sync_pages(m, dst, len);
	return dst;
}

int ddfs_mapping_sync(struct ddfs_mapping *m, size_t off, size_t len)
{
	int ret = ddfs_client_lease_check(m->lease), failed;

	if (ret)
		return ret;
	if (off > m->len || len > m->len - off)
		return ddfs_client_error(
			-EINVAL, "the range is not one of the mapping's %zu bytes", m->len);
	if (!len)
		len = m->len - off;
	failed = atomic_exchange(&m->failed, 0);
	ret = len ? ddfs_lease_sync(m->lease, m->off + off, len) : 0;
	if (!ret && failed)
		ret = ddfs_client_error(failed,
			"what was stored since the last sync could not be made durable: %s",
			strerror(-failed));
	return ret;
}
