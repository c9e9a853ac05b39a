# SPDX-License-Identifier: BSD-3-Clause
# needs: devdaxfs
# timeout: 300
# size: 192
# Pinned pages of files that are no more are given to nobody before the pin is gone, also when the
# filesystem is full; and come back then.

import os

from check import Skip, check, main, opened, same
from fill import empty_fill, filled_and_spared
from pins import PAGE, letters, make_dax, pin_range, pin_stats, runs, unit_of, unpin
from pins import write_units
from target import space, wait_for
from workers import LingeringWorker, Worker, wait_pins

UNIT = unit_of()
ROOT = os.getcwd()


def prepare(units=8):
    make_dax()
    before = space(".")
    write_units("f", units)
    return before


def comes_back(before):
    wait_for(lambda: space(".") == before, 10,
        f"the space: {space('.')}, before {before} (blocks, available, inodes)")


def kept(remove):
    """remove() takes the file's last name away, while half of it is pinned and it is open."""
    before = prepare()
    with opened("f") as fd:
        pin = pin_range(fd, 2 * UNIT, 4 * UNIT)
        pinned = runs(pin.extents)
        remove()
        filled_and_spared(ROOT, pinned)
        same(letters(fd, UNIT), "ABCDEFGH")
        same(runs(pin.extents), pinned)
        empty_fill(ROOT)
        unpin(fd, pin.id)
    comes_back(before)


def test_unlink():
    kept(lambda: os.unlink("f"))


def rename_over():
    with opened("g", os.O_RDWR | os.O_CREAT):
        pass
    os.rename("g", "f")
    os.unlink("f")


def test_rename_over():
    kept(rename_over)


def test_closed_by_the_pin():
    """The pin goes with the descriptor: only then, and at once."""
    before = prepare()
    with Worker() as holder:
        fd = holder.call(os.open, "f", os.O_RDWR)
        holder.call(pin_range, fd)
        os.unlink("f")
        check(before[0] - space(".")[0] >= 8 * UNIT // PAGE, "freed while it is pinned")
        holder.exit()
        comes_back(before)


def lingering(remove):
    """Nobody has the file open, it has no name, and its pages are still somebody's."""
    before = prepare()
    with LingeringWorker() as holder, opened(ROOT, os.O_RDONLY) as root:
        fd = holder.call(os.open, "f", os.O_RDWR)
        pinned = runs(holder.call(pin_range, fd, 2 * UNIT, 4 * UNIT).extents)
        remove()
        holder.kill()
        holder.wait_lingering()
        filled_and_spared(ROOT, pinned)
        empty_fill(ROOT)
        same(pin_stats(root).pins, 1)
        holder.let_go()
        comes_back(before)
        wait_pins(root)


def test_lingering_unlinked():
    lingering(lambda: os.unlink("f"))


def test_lingering_renamed_over():
    lingering(rename_over)


def test_unlink_of_a_lingering_one():
    """The name goes when the file is closed already."""
    before = prepare()
    with LingeringWorker() as holder:
        fd = holder.call(os.open, "f", os.O_RDWR)
        pinned = runs(holder.call(pin_range, fd, 2 * UNIT, 4 * UNIT).extents)
        holder.kill()
        holder.wait_lingering()
        os.unlink("f")
        filled_and_spared(ROOT, pinned)
        empty_fill(ROOT)
        holder.let_go()
        comes_back(before)


def write_alternately(count):
    """Two files whose pages alternate on the device."""
    with opened("f", os.O_RDWR | os.O_CREAT) as one, opened("g", os.O_RDWR | os.O_CREAT) as other:
        for at in range(0, count * PAGE, PAGE):
            os.pwrite(one, b"A" * PAGE, at)
            os.pwrite(other, b"B" * PAGE, at)


def test_one_page_of_many_extents():
    """Freed in many steps, with one page in the middle that stays."""
    if UNIT > PAGE:
        raise Skip("allocation units are larger than a page")
    make_dax()
    before = space(".")
    with LingeringWorker() as holder:
        write_alternately(400)
        fd = holder.call(os.open, "f", os.O_RDWR)
        pinned = runs(holder.call(pin_range, fd, 200 * PAGE, PAGE).extents)
        os.unlink("f")
        os.unlink("g")
        holder.kill()
        holder.wait_lingering()
        filled_and_spared(ROOT, pinned)
        empty_fill(ROOT)
        holder.let_go()
        comes_back(before)


def test_pin_outlives_truncates():
    """Truncated up to the pin, then unlinked: what is in front of it has gone, it has not."""
    before = prepare()
    with opened("f") as fd:
        pin = pin_range(fd, 0, 2 * UNIT)
        os.ftruncate(fd, 2 * UNIT)
        os.unlink("f")
        filled_and_spared(ROOT, runs(pin.extents))
        same(letters(fd, UNIT), "AB")
        empty_fill(ROOT)
    comes_back(before)


main()
