# SPDX-License-Identifier: BSD-3-Clause
# needs: devdaxfs
# What DDFS_IOC_PIN_STATS and DDFS_IOC_PINS say of a file and of the mount.

import os
import time

from check import check, main, opened, same, write_file
from pins import FAULT, PAGE, PINS_MAX, READ, RECALLED, Stats, WRITE, list_pins, make_dax
from pins import pin_range, pin_stats, pins_once, unit_of, unpin, write_units
from syscalls import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, ioctl_fallocate
from target import patience
from workers import Worker, wait_breaks, wait_pins, wait_queued

UNIT = unit_of()
ROOT = os.getcwd()
PUNCH = FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE
PAGES = UNIT // PAGE


def prepare(*names, units=4):
    make_dax()
    for name in names:
        write_units(name, units)


def test_none():
    prepare("f")
    write_file("g", b"x")
    for path in ("f", "g", ROOT):
        with opened(path, os.O_RDONLY) as fd:
            same(pin_stats(fd), Stats(0, 0, 0, 0, 0), path)
            same(list_pins(fd), [], path)


def test_counts():
    """Pages count as often as they are pinned; the mount's numbers are the files' together."""
    prepare("f", "g")
    with opened("f") as f, opened("f") as again, opened("g") as g, \
            opened(ROOT, os.O_RDONLY) as root:
        first = pin_range(f, 0, 2 * UNIT)
        same((pin_stats(f), pin_stats(g)), (Stats(1, 2 * PAGES, 0, 0, 0), Stats(0, 0, 0, 0, 0)))
        pin_range(again, UNIT, UNIT)
        pin_range(g, 0, 1)
        same(pin_stats(f), Stats(2, 3 * PAGES, 0, 0, 0))
        same(pin_stats(again), pin_stats(f))
        same(pin_stats(g), Stats(1, 1, 0, 0, 0))
        same(pin_stats(root), Stats(3, 3 * PAGES + 1, 0, 0, 0))
        unpin(f, first.id)
        same(pin_stats(root), Stats(2, PAGES + 1, 0, 0, 0))
    with opened(ROOT, os.O_RDONLY) as root:
        wait_pins(root)
        same(pin_stats(root), Stats(0, 0, 0, 0, 0))


def test_waiting():
    prepare("f", "g")
    with Worker() as a, Worker() as b, Worker() as c, opened("f") as f, opened("g") as g, \
            opened(ROOT, os.O_RDONLY) as root:
        one, two = pin_range(f, 0, UNIT), pin_range(f, 2 * UNIT, UNIT)
        pin_range(g)
        fds = [worker.call(os.open, "f", os.O_RDWR) for worker in (a, b, c)]
        a.start(ioctl_fallocate, fds[0], PUNCH, 0, UNIT)
        wait_breaks(f)
        same(pin_stats(f), Stats(2, 2 * PAGES, 1, 1, 0))
        b.start(ioctl_fallocate, fds[1], PUNCH, 2 * UNIT, UNIT)
        wait_breaks(f, 2)
        c.start(pin_range, fds[2], 0, UNIT, READ | WRITE, FAULT)
        wait_queued(f)
        same(pin_stats(f), Stats(2, 2 * PAGES, 2, 2, 1))
        same(pin_stats(g), Stats(1, 4 * PAGES, 0, 0, 0))
        same(pin_stats(root), Stats(3, 6 * PAGES, 2, 2, 1))
        unpin(f, one.id)
        a.finish()
        c.finish()
        same(pin_stats(f), Stats(2, 2 * PAGES, 1, 1, 0))
        unpin(f, two.id)
        b.finish()
        same(pin_stats(f), Stats(1, PAGES, 0, 0, 0))


def test_fields():
    prepare("f")
    now = time.time()
    with Worker() as holder, Worker() as breaker, opened("f") as look:
        fd = holder.call(os.open, "f", os.O_RDWR)
        pin = holder.call(pin_range, fd, UNIT, 2 * UNIT, WRITE)
        stat = os.stat("f")
        info, = list_pins(look)
        same((info.id, info.node & 0xffffffff, info.off, info.len, info.nr_pages, info.mode),
            (pin.id, stat.st_ino, UNIT, 2 * UNIT, 2 * PAGES, WRITE))
        same((info.pid, info.flags, info.seconds_left, info.nr_waiting, info.waiting_pid, info.pad),
            (holder.pid, 0, 0, 0, 0, 0))
        check(abs(info.since_sec + info.since_nsec / 1e9 - now) < patience(30), f"{info} at {now}")
        with open(f"/proc/{holder.pid}/comm", encoding="ascii") as file:
            same(info.comm, file.read().strip())
        breaker.start(os.truncate, "f", 0)
        wait_breaks(look)
        info, = list_pins(look)
        same((info.flags, info.nr_waiting, info.waiting_pid), (RECALLED, 1, breaker.pid))
        check(0 < info.seconds_left <= 45, f"{info.seconds_left} seconds left")
        holder.call(unpin, fd, pin.id)
        breaker.finish()


def test_pages():
    """A long list comes in parts, by id; pins that come and go do not upset it."""
    prepare("f", "g")
    with opened("f") as f, opened("g") as g, opened(ROOT, os.O_RDONLY) as root:
        made = {pin_range(fd, 0, 1, READ).id: fd for _ in range(PINS_MAX) for fd in (f, g)}
        ids = sorted(made)
        same(len(ids), 2 * PINS_MAX, "ids that are not used twice")
        same([pin.id for pin in list_pins(root)], ids)
        same([pin.id for pin in list_pins(f)], [which for which in ids if made[which] == f])
        part = pins_once(root)
        same([pin.id for pin in part], ids[:PINS_MAX])
        for which in (ids[PINS_MAX - 1], ids[PINS_MAX]):
            unpin(made[which], which)
        same([pin.id for pin in pins_once(root, part[-1].id)], ids[PINS_MAX + 1:])
        same(pins_once(root, ids[-1]), [])


main()
