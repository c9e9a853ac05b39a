# SPDX-License-Identifier: BSD-3-Clause
# needs: devdaxfs
# timeout: 120
# Whatever takes pages away from a file waits for the pins on them, and for nothing else.

import errno
import os

from check import Skip, check, expect, main, opened, same, scale
from pins import EXPIRED, FAULT, HOLE, LINGERING, READ, RECALLED, WHOLE_UNITS, list_pins, layout
from pins import letters, make_dax, pin_range, pin_stats, unit_of, unpin, write_units
from syscalls import FALLOC_COLLAPSE, FALLOC_INSERT, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE
from syscalls import FALLOC_ZERO, copy_range, fallocate, ioctl_fallocate
from workers import Worker, wait_breaks

UNIT = unit_of()
PUNCH = FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE


# ---- changes of "f", which has six units, as processes make them -----------------------------


def open_with(flags):
    os.close(os.open("f", flags))


def by_descriptor(change, *arguments):
    with opened("f") as fd:
        change(fd, *arguments)


def copy_onto(first, count):
    with opened("f") as fd, opened("source", os.O_RDONLY) as source:
        same(copy_range(source, 0, fd, first * UNIT, count * UNIT), count * UNIT, "copied")


def punch(first, count):
    by_descriptor(fallocate, PUNCH, first * UNIT, count * UNIT)


def changed_by(change, *arguments, pinned, wanted):
    """The change of "ABCDEF" waits while the units [first, end) are pinned, and does all of it when
    they are not."""
    make_dax()
    write_units("f", 6)
    write_units("source", 3)
    first, end = pinned
    with Worker() as holder, Worker() as other, opened("f") as look:
        fd = holder.call(os.open, "f", os.O_RDWR)
        pin = holder.call(pin_range, fd, first * UNIT, (end - first) * UNIT)
        other.start(change, *arguments)
        wait_breaks(look)
        check(not other.is_done(), "it did not wait")
        same(pin_stats(look).recalled, 1, "recalled")
        holder.call(unpin, fd, pin.id)
        other.finish()
        same(letters(look, UNIT), wanted)
        same(tuple(pin_stats(look)), (0, 0, 0, 0, 0), "what is left")
    os.unlink("f")


def test_truncate():
    changed_by(os.truncate, "f", 0, pinned=(0, 6), wanted="")
    changed_by(os.truncate, "f", 0, pinned=(5, 6), wanted="")
    changed_by(os.truncate, "f", 3 * UNIT, pinned=(3, 4), wanted="ABC")
    changed_by(by_descriptor, os.ftruncate, 2 * UNIT, pinned=(1, 3), wanted="AB")


def test_o_trunc():
    changed_by(open_with, os.O_WRONLY | os.O_TRUNC, pinned=(0, 1), wanted="")
    changed_by(open_with, os.O_RDWR | os.O_CREAT | os.O_TRUNC, pinned=(4, 5), wanted="")


def test_punch():
    changed_by(punch, 2, 2, pinned=(2, 4), wanted="AB..EF")
    changed_by(punch, 0, 6, pinned=(3, 4), wanted="......")
    changed_by(by_descriptor, ioctl_fallocate, PUNCH, 5 * UNIT, UNIT, pinned=(5, 6),
        wanted="ABCDE.")


def test_zero():
    changed_by(by_descriptor, fallocate, FALLOC_ZERO, UNIT, 2 * UNIT, pinned=(2, 5),
        wanted="A..DEF")
    changed_by(by_descriptor, ioctl_fallocate, FALLOC_ZERO, 0, UNIT, pinned=(0, 1),
        wanted=".BCDEF")


def test_collapse():
    """Also what is behind the range moves, to other offsets."""
    changed_by(by_descriptor, ioctl_fallocate, FALLOC_COLLAPSE, UNIT, UNIT, pinned=(1, 2),
        wanted="ACDEF")
    changed_by(by_descriptor, ioctl_fallocate, FALLOC_COLLAPSE, UNIT, UNIT, pinned=(4, 5),
        wanted="ACDEF")


def test_insert():
    changed_by(by_descriptor, ioctl_fallocate, FALLOC_INSERT, UNIT, UNIT, pinned=(1, 2),
        wanted="A.BCDEF")
    changed_by(by_descriptor, ioctl_fallocate, FALLOC_INSERT, 4 * UNIT, UNIT, pinned=(5, 6),
        wanted="ABCD.EF")


def test_copy_onto():
    changed_by(copy_onto, 3, 2, pinned=(4, 5), wanted="ABCABF")


# ---- what takes no page away ------------------------------------------------------------------


def harmless(fd):
    """Everything here must return at once; the whole file is pinned."""
    os.pwrite(fd, b"x" * UNIT, UNIT)
    os.pread(fd, UNIT, 0)
    os.fsync(fd)
    fallocate(fd, 0, 0, 8 * UNIT)
    os.ftruncate(fd, 9 * UNIT)
    punch(7, 1)
    os.truncate("f", 7 * UNIT)
    os.truncate("f", 6 * UNIT)
    os.chmod("f", 0o600)
    os.chown("f", 1, 1)
    os.utime("f", (1, 1))
    os.setxattr("f", "user.a", b"1" * 5000)
    os.link("f", "g")
    os.unlink("f")
    os.rename("g", "f")
    with opened("source", os.O_RDWR | os.O_CREAT) as out:
        copy_range(fd, 0, out, 0, UNIT)
    open_with(os.O_RDWR | os.O_APPEND)


def test_harmless():
    make_dax()
    write_units("f", 6)
    with Worker() as other, opened("f") as fd:
        pin = pin_range(fd, 0, 6 * UNIT)
        number = other.call(os.open, "f", os.O_RDWR)
        other.call(harmless, number)
        stats = pin_stats(fd)
        same((stats.pins, stats.recalled, stats.breaks), (1, 0, 0))
        same(letters(fd, UNIT), "AxCDEF")
        same(list_pins(fd)[0].flags & (RECALLED | EXPIRED | LINGERING), 0)
        unpin(fd, pin.id)


def test_other_ranges():
    make_dax()
    write_units("f", 6)
    with Worker() as other, opened("f") as fd:
        pin_range(fd, 2 * UNIT, UNIT)
        other.call(punch, 0, 2)
        other.call(punch, 3, 1)
        other.call(os.truncate, "f", 3 * UNIT)
        same(letters(fd, UNIT), "..C")


def test_snapshot_of_a_hole():
    """A pin that holds no pages is in nobody's way."""
    make_dax()
    with Worker() as other, opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, 4 * UNIT)
        os.pwrite(fd, b"A" * UNIT, 3 * UNIT)
        pin = pin_range(fd, 0, 3 * UNIT, READ)
        check(all(e.flags & HOLE for e in pin.extents), f"not a hole: {pin.extents}")
        same(pin_stats(fd).pages, 0)
        other.call(punch, 0, 4)
        other.call(os.truncate, "f", 0)
        unpin(fd, pin.id)


# ---- when the wait ends -----------------------------------------------------------------------


def test_at_once():
    """It ends with the unpin, and not at some tick: many times in a row."""
    rounds = scale(200, 20)
    make_dax()
    with Worker() as holder, Worker() as other, opened("f", os.O_RDWR | os.O_CREAT) as look:
        fd = holder.call(os.open, "f", os.O_RDWR)
        mine = other.call(os.open, "f", os.O_RDWR)
        for _ in range(rounds):
            os.ftruncate(look, UNIT)
            pin = holder.call(pin_range, fd, 0, 0, 3, FAULT)
            other.start(os.ftruncate, mine, 0)
            wait_breaks(look)
            holder.call(unpin, fd, pin.id)
            other.finish(10)
            same(os.fstat(look).st_size, 0)


def test_race():
    """A pin that goes while the truncate comes: no wake-up is lost."""
    rounds = scale(2000, 200)
    make_dax()
    with Worker() as holder, Worker() as other, opened("f", os.O_RDWR | os.O_CREAT) as look:
        fd = holder.call(os.open, "f", os.O_RDWR)
        mine = other.call(os.open, "f", os.O_RDWR)
        for i in range(rounds):
            os.ftruncate(look, UNIT)
            pin = holder.call(pin_range, fd, 0, 0, 3, FAULT)
            first, second = (holder, unpin, fd, pin.id), (other, os.ftruncate, mine, 0)
            for worker, function, *arguments in (first, second) if i % 2 else (second, first):
                worker.start(function, *arguments)
            other.finish(30)
            holder.finish(30)
            same(os.fstat(look).st_size, 0)


def test_two_holders():
    """The last one of a page counts, in whichever order they go."""
    for order in ((0, 1), (1, 0)):
        make_dax()
        write_units("f", 4)
        with Worker() as a, Worker() as b, Worker() as other, opened("f") as look:
            holders = []
            for worker, first in ((a, 0), (b, 1)):
                fd = worker.call(os.open, "f", os.O_RDWR)
                pin = worker.call(pin_range, fd, first * UNIT, 2 * UNIT)
                holders.append((worker, fd, pin))
            other.start(punch, 1, 1)
            wait_breaks(look)
            worker, fd, pin = holders[order[0]]
            worker.call(unpin, fd, pin.id)
            wait_breaks(look)
            check(not other.is_done(), "it did not wait for the second")
            worker, fd, pin = holders[order[1]]
            worker.call(unpin, fd, pin.id)
            other.finish()
            same(letters(look, UNIT), "A.CD")


def test_one_holder_twice():
    make_dax()
    write_units("f", 2)
    with Worker() as other, opened("f") as fd:
        pins = [pin_range(fd, 0, UNIT) for _ in range(3)]
        check(len({pin.id for pin in pins}) == 3, "ids are not unique")
        same([pin.extents for pin in pins], [pins[0].extents] * 3)
        other.start(punch, 0, 1)
        wait_breaks(fd)
        for pin in pins:
            check(not other.is_done(), "it did not wait for all")
            unpin(fd, pin.id)
        other.finish()
        expect(errno.ENOENT, unpin, fd, pins[0].id)


# ---- whole units of 2 MiB --------------------------------------------------------------------

BIG = 2 << 20


def find_big(fd):
    """File offset of 2 MiB that lie in one piece and aligned on the device."""
    for e in layout(fd):
        start = e.off + -e.device_off % BIG
        if start + BIG <= e.off + e.len:
            return start
    raise AssertionError(f"no aligned 2 MiB: {layout(fd)}")


def punch_bytes(first, length):
    by_descriptor(fallocate, PUNCH, first, length)


def test_page_in_a_unit():
    """A page and the 2 MiB around it, each pinned: a change waits for those that it touches."""
    make_dax()
    write_units("f", 8, max(UNIT, BIG))
    with Worker() as other, opened("f") as fd:
        start = find_big(fd)
        page = start + 128 * 4096
        for last in ("page", "whole"):
            pins = {"page": pin_range(fd, page, 4096), "whole": pin_range(fd, start, BIG)}
            same(pin_stats(fd).pages, 513)
            other.start(punch_bytes, start, BIG)
            wait_breaks(fd)
            first = "whole" if last == "page" else "page"
            unpin(fd, pins[first].id)
            check(not other.is_done(), f"it did not wait for the {last}")
            wait_breaks(fd)
            unpin(fd, pins[last].id)
            other.finish()
            os.pwrite(fd, b"Z" * BIG, start)
            start = find_big(fd)
            page = start + 128 * 4096


def test_pages_beside_the_page():
    if UNIT > 4096:
        raise Skip("allocation units are larger than a page")
    make_dax()
    write_units("f", 8, BIG)
    with Worker() as other, opened("f") as fd:
        start = find_big(fd)
        page = start + 128 * 4096
        held = pin_range(fd, page, 4096)
        other.call(punch_bytes, page - 4096, 4096)
        other.call(punch_bytes, page + 4096, 4096)
        other.start(punch_bytes, page - 4096, 3 * 4096)
        wait_breaks(fd)
        unpin(fd, held.id)
        other.finish()


def test_whole_units():
    make_dax()
    write_units("f", 4)
    with Worker() as other, opened("f") as fd:
        pin = pin_range(fd, UNIT + 1, 1, READ, WHOLE_UNITS)
        same((pin.off, pin.len), (UNIT, UNIT))
        other.call(punch, 0, 1)
        other.start(punch, 1, 1)
        wait_breaks(fd)
        unpin(fd, pin.id)
        other.finish()
        same(letters(fd, UNIT), "..CD")


main()
