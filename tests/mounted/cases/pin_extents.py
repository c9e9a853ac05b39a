# SPDX-License-Identifier: BSD-3-Clause
# needs: devdaxfs
# What a pin covers and holds: ranges, holes, unwritten pages, growth; and the layout without a pin.

import errno
import mmap
import os

from check import check, expect, in_child, main, opened, same, write_file
from pins import EXTENTS_MAX, FAULT, GROW, HOLE, MEMORY_FS_DAX, PAGE, READ, UNWRITTEN
from pins import WHOLE_UNITS, WRITE, device_info, device_opened, layout, layout_once, lock_device
from pins import make_dax, pin_extents_once, pin_range, pin_stats, runs, sync_range, unit_of
from pins import unpin, write_units
from syscalls import FALLOC_KEEP_SIZE, fallocate
from target import pattern

UNIT = unit_of()


def pages(length):
    return (length + PAGE - 1) // PAGE * PAGE


def covered(pin):
    """The extents lie one behind the other and make up what the pin covers."""
    at = pin.off
    for e in pin.extents:
        same(e.off, at, "extents with a gap")
        check(e.len > 0 and e.len % PAGE == 0 and e.device_off % PAGE == 0, f"no pages: {e}")
        at += e.len
    same(at, pin.off + pin.len, "end of the extents")


def test_to_the_end():
    """Length 0 is up to the end of the file, wherever that is."""
    make_dax()
    for size in (1, PAGE - 1, PAGE, PAGE + 1, UNIT, 2 * UNIT + 100):
        write_file("f", bytes(b"A" * size))
        with opened("f") as fd:
            for off in {0, size - 1, size // 2, (size - 1) // PAGE * PAGE}:
                pin = pin_range(fd, off, 0)
                same(pin.off, off // PAGE * PAGE, f"size {size}, from {off}")
                same(pin.off + pin.len, pages(size), f"end, size {size}, from {off}")
                covered(pin)
                same(pin_stats(fd).pages, pin.len // PAGE)
                unpin(fd, pin.id)
            for off in (size, size + 1, pages(size), size + 2 * UNIT, (1 << 63) - 1):
                expect(errno.ENXIO, pin_range, fd, off, 0)
    with opened("empty", os.O_RDWR | os.O_CREAT) as fd:
        expect(errno.ENXIO, pin_range, fd, 0, 0)
        expect(errno.ENXIO, pin_range, fd, 0, PAGE)


def test_rounding():
    make_dax()
    write_units("f", 3)
    with opened("f") as fd:
        for off, length in ((0, 1), (1, PAGE), (PAGE - 1, 2), (UNIT, UNIT), (UNIT - 1, 2)):
            pin = pin_range(fd, off, length)
            same((pin.off, pin.off + pin.len), (off // PAGE * PAGE, pages(off + length)))
            covered(pin)
            unpin(fd, pin.id)
            pin = pin_range(fd, off, length, READ, WHOLE_UNITS)
            same((pin.off, pin.off + pin.len), (off // UNIT * UNIT, (off + length + UNIT - 1)
                // UNIT * UNIT))
            covered(pin)
            unpin(fd, pin.id)


def test_past_the_end():
    """What lies behind the end of the file is not pinned."""
    make_dax()
    write_file("f", b"A" * (UNIT + 10))
    with opened("f") as fd:
        pin = pin_range(fd, 0, 16 * UNIT)
        check(pin.len <= 2 * UNIT, f"{pin.len} bytes of a file of {UNIT + 10}")
        covered(pin)


def test_holes():
    make_dax()
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, 6 * UNIT)
        os.pwrite(fd, b"B" * UNIT, UNIT)
        fallocate(fd, FALLOC_KEEP_SIZE, 3 * UNIT, UNIT)
        before = os.fstat(fd).st_blocks
        pin = pin_range(fd, 0, 6 * UNIT)
        covered(pin)
        kinds = {}
        for e in pin.extents:
            for at in range(e.off, e.off + e.len, UNIT):
                kinds[at // UNIT] = e.flags
        same(kinds, {0: HOLE, 1: 0, 2: HOLE, 3: UNWRITTEN, 4: HOLE, 5: HOLE})
        same(pin_stats(fd).pages, UNIT // PAGE, "pages held")
        same(os.fstat(fd).st_blocks, before, "a snapshot allocated")


def test_fault():
    """Holes and unwritten pages are made real, and zeroes."""
    make_dax()
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, 4 * UNIT)
        os.pwrite(fd, b"B" * UNIT, UNIT)
        fallocate(fd, FALLOC_KEEP_SIZE, 2 * UNIT, UNIT)
        pin = pin_range(fd, 0, 0, READ | WRITE, FAULT)
        covered(pin)
        check(all(e.flags == 0 for e in pin.extents), f"not all written: {pin.extents}")
        same(pin_stats(fd).pages, 4 * UNIT // PAGE)
        same(os.fstat(fd).st_blocks, 4 * UNIT // 512)
        data = os.pread(fd, 4 * UNIT, 0)
        check(data == bytes(UNIT) + b"B" * UNIT + bytes(2 * UNIT), "contents")


def test_grow():
    make_dax()
    with opened("f", os.O_RDWR | os.O_CREAT) as fd, opened("f", os.O_RDONLY) as other:
        pin = pin_range(fd, 0, 2 * UNIT, READ | WRITE, FAULT | GROW)
        same((pin.off, pin.len), (0, 2 * UNIT))
        same((os.fstat(fd).st_size, os.stat("f").st_size), (2 * UNIT, 2 * UNIT), "size")
        check(os.pread(other, 3 * UNIT, 0) == bytes(2 * UNIT), "contents")
        more = pin_range(fd, 3 * UNIT, 100, READ | WRITE, FAULT | GROW)
        same(os.fstat(other).st_size, 3 * UNIT + 100)
        same(os.lseek(other, 0, os.SEEK_END), 3 * UNIT + 100)
        covered(more)
        pin_range(fd, 0, PAGE, READ | WRITE, FAULT | GROW)
        same(os.fstat(fd).st_size, 3 * UNIT + 100, "it shrank")
        with opened("f", os.O_WRONLY | os.O_APPEND) as end:
            os.write(end, b"end")
        same(os.fstat(fd).st_size, 3 * UNIT + 103)


def fragment(fd, count):
    """From the last unit to the first, so that no two in a row are one on the device."""
    for i in reversed(range(count)):
        os.pwrite(fd, b"%08d" % i + bytes(UNIT - 8), i * UNIT)


def test_many_extents():
    """More than an answer holds; in the order of the file, and the same ones without a pin."""
    make_dax()
    count = 300 if UNIT == PAGE else 12
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        fragment(fd, count)
        pin = pin_range(fd)
        covered(pin)
        check(pin.nr_extents > 4, f"only {pin.nr_extents} extents")
        if UNIT == PAGE:
            check(pin.nr_extents > EXTENTS_MAX, f"only {pin.nr_extents} extents")
        same(runs(layout(fd)), runs(pin.extents), "layout and pin")
        same(pin_extents_once(fd, pin.id, pin.nr_extents), [])
        same(pin_extents_once(fd, pin.id, (1 << 32) - 1), [])
        same(pin_extents_once(fd, pin.id, 3), pin.extents[3:3 + EXTENTS_MAX])
        one = pin_range(fd, 5 * UNIT, UNIT)
        same(runs(one.extents), [run for run in [(e.device_off + 5 * UNIT - e.off,
            e.device_off + 6 * UNIT - e.off) for e in pin.extents
            if e.off <= 5 * UNIT < e.off + e.len]])


def test_layout():
    make_dax()
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        same(layout(fd), [])
        os.ftruncate(fd, 3 * UNIT)
        same([e.flags for e in layout(fd)], [HOLE])
        os.pwrite(fd, b"B" * UNIT, UNIT)
        same([(e.off, e.flags) for e in layout(fd)], [(0, HOLE), (UNIT, 0), (2 * UNIT, HOLE)])
        found, following = layout_once(fd, UNIT, UNIT)
        same(([(e.off, e.len, e.flags) for e in found], following), ([(UNIT, UNIT, 0)], 2 * UNIT))
        layout_once(fd, 0, 0, FAULT)
        check(all(e.flags == 0 for e in layout(fd)), f"not all written: {layout(fd)}")
        same(os.pread(fd, UNIT, 0), bytes(UNIT))
        same(pin_stats(fd).pins, 0)
    with opened("f", os.O_RDONLY) as fd:
        check(layout(fd), "no layout for a reader")
        expect(errno.EBADF, layout_once, fd, 0, 0, FAULT)


def test_layout_of_ordinary_files():
    write_file("f", b"A" * 10000)
    with opened("f") as fd:
        same(sum(e.len for e in layout(fd)) // PAGE * PAGE, 12288 if layout(fd)[-1].len % PAGE == 0
            else 8192)
        expect(errno.EOPNOTSUPP, layout_once, fd, 0, 0, FAULT)


# ---- the pages themselves ---------------------------------------------------------------------


def map_page(device, info, extent, protection):
    """A mapping of what holds the extent, and where in it the extent begins."""
    align = max(info.align_bytes, PAGE)
    start = extent.device_off // align * align
    end = (extent.device_off + extent.len + align - 1) // align * align
    mapping = mmap.mmap(device, end - start, mmap.MAP_SHARED, protection, offset=start)
    return mapping, extent.device_off - start


def load_and_store(path):
    """As a client does: through the device, seen by whoever reads the file, and back."""
    with opened(path) as fd:
        info = device_info(fd)
        with device_opened(info) as device:
            lock_device(device, info.epoch)
            pin = pin_range(fd, 0, 0, READ | WRITE, WHOLE_UNITS)
            mapping, at = map_page(device, info, pin.extents[0],
                mmap.PROT_READ | mmap.PROT_WRITE)
            check(mapping[at:at + 100] == pattern(1, 100), "loads see something else")
            mapping[at + PAGE:at + PAGE + 5] = b"store"
            sync_range(fd, 0, UNIT)
            same(os.pread(fd, 5, PAGE), b"store", "read(2) behind a store")
            os.pwrite(fd, b"write", 10)
            same(mapping[at + 10:at + 15], b"write", "a load behind write(2)")
            mapping.close()


def test_load_and_store():
    make_dax()
    write_file("f", pattern(1, 4 * PAGE))
    in_child(load_and_store, os.path.abspath("f"))


def test_sync():
    make_dax()
    write_units("f", 2)
    with opened("f") as fd:
        for off, length in ((0, 0), (0, 1), (UNIT, UNIT), (PAGE, 0), (0, 2 * UNIT)):
            sync_range(fd, off, length)
        expect(errno.EINVAL, sync_range, fd, 1 << 63, 1)
        expect(errno.EINVAL, sync_range, fd, PAGE, (1 << 64) - PAGE)
    with opened("f", os.O_RDONLY) as fd:
        sync_range(fd)


def test_info():
    with opened(".", os.O_RDONLY) as fd:
        info = device_info(fd)
        check(info.path.startswith("/") and os.path.exists(info.path), info.path)
        check(info.epoch > 0 and any(info.uuid), f"{info}")
        check(info.unit_bytes % info.align_bytes == 0 and info.unit_bytes >= PAGE, f"{info}")
        check(info.size_bytes <= (os.stat(info.path).st_size or 1 << 60), f"{info}")
        source = os.environ["DDFS_SOURCE"]
        same(info.memory == MEMORY_FS_DAX, bool(source) and not os.path.isfile(source))
    write_file("f")
    with opened("f", os.O_RDONLY) as fd:
        same(device_info(fd), info, "of a file")


main()
