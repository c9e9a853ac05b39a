# SPDX-License-Identifier: BSD-3-Clause
# needs: devdaxfs
# timeout: 120
# New pins behind a change that waits: they queue, or fail; and nobody waits in a circle.

import errno
import os
import time

from check import check, error_of, expect, main, opened, same, scale
from pins import FAULT, NOWAIT, PAGE, READ, WRITE, letters, make_dax, pin_range, pin_stats, unit_of
from pins import unpin, write_units
from syscalls import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, ioctl_fallocate
from workers import Worker, wait_breaks, wait_queued

UNIT = unit_of()
PUNCH = FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE


def prepare(units=6):
    make_dax()
    write_units("f", units)


def open_in(*workers, path="f"):
    return [worker.call(os.open, path, os.O_RDWR) for worker in workers]


def start_punch(worker, fd, first, count=1):
    worker.start(ioctl_fallocate, fd, PUNCH, first * UNIT, count * UNIT)


def test_queues_behind():
    """A new pin of the range comes in when the change is done, and sees what it did."""
    prepare()
    with Worker() as breaker, Worker() as new, opened("f") as look:
        pin = pin_range(look, 0, UNIT)
        theirs, mine = open_in(breaker, new)
        start_punch(breaker, theirs, 0)
        wait_breaks(look)
        new.start(pin_range, mine, 0, UNIT, READ | WRITE, FAULT)
        wait_queued(look)
        same(pin_stats(look)[:1] + pin_stats(look)[3:], (1, 1, 1))
        time.sleep(0.1)
        check(not new.is_done(), "the new pin went ahead")
        unpin(look, pin.id)
        breaker.finish()
        got = new.finish()
        check(got.extents[0].flags == 0, f"not faulted in: {got}")
        same(letters(look, UNIT), ".BCDEF")
        same(pin_stats(look).pins, 1)


def test_queue_keeps_its_order():
    """Many pins queue; the change comes before all of them."""
    prepare()
    workers = [Worker() for _ in range(8)]
    try:
        with Worker() as breaker, opened("f") as look:
            pin = pin_range(look, 0, UNIT)
            theirs, *fds = open_in(breaker, *workers)
            start_punch(breaker, theirs, 0)
            wait_breaks(look)
            for worker, fd in zip(workers, fds):
                worker.start(pin_range, fd, 0, UNIT, READ | WRITE, FAULT)
            wait_queued(look, len(workers))
            unpin(look, pin.id)
            breaker.finish()
            extents = [worker.finish().extents for worker in workers]
            same(extents, [extents[0]] * len(workers), "they all pin the same pages")
            same(pin_stats(look)[:1] + pin_stats(look)[3:], (len(workers), 0, 0))
    finally:
        for worker in workers:
            worker.end()


def test_queue_when_interrupted():
    """The change gives up: pins behind it come in."""
    prepare()
    with Worker() as breaker, Worker() as new, opened("f") as look:
        pin_range(look, 0, UNIT)
        theirs, mine = open_in(breaker, new)
        breaker.start(error_of, ioctl_fallocate, theirs, PUNCH, 0, UNIT)
        wait_breaks(look)
        new.start(pin_range, mine, 0, UNIT)
        wait_queued(look)
        breaker.kill(2)
        same(breaker.finish(), errno.EINTR)
        new.finish()
        same(pin_stats(look)[:1] + pin_stats(look)[3:], (2, 0, 0))
        same(letters(look, UNIT), "ABCDEF")


def test_nowait():
    prepare()
    with Worker() as breaker, Worker() as new, opened("f") as look:
        pin = pin_range(look, 0, UNIT)
        theirs, mine = open_in(breaker, new)
        unpin(look, pin_range(look, 0, UNIT, READ, NOWAIT).id)
        start_punch(breaker, theirs, 0)
        wait_breaks(look)
        for off, length in ((0, UNIT), (0, 1), (UNIT - 1, 2), (0, 0)):
            same(new.call(error_of, pin_range, mine, off, length, READ, NOWAIT), errno.EAGAIN)
        same(pin_stats(look).queued, 0)
        unpin(look, pin.id)
        breaker.finish()
        new.call(pin_range, mine, 0, UNIT, READ | WRITE, FAULT | NOWAIT)


def test_other_ranges():
    """Only the range that the change wants is closed."""
    prepare()
    with Worker() as breaker, Worker() as new, opened("f") as look:
        pin = pin_range(look, 0, UNIT)
        theirs, mine = open_in(breaker, new)
        start_punch(breaker, theirs, 0, 2)
        wait_breaks(look)
        new.call(pin_range, mine, 2 * UNIT, UNIT)
        same(new.call(error_of, pin_range, mine, 2 * UNIT - 1, 2, READ, NOWAIT), errno.EAGAIN)
        unpin(look, pin.id)
        breaker.finish()


def test_truncate_closes_the_end():
    """All behind the new size, wherever the end is."""
    prepare()
    with Worker() as breaker, Worker() as new, opened("f") as look:
        pin = pin_range(look, 5 * UNIT, UNIT)
        mine, = open_in(new)
        breaker.start(os.truncate, "f", 2 * UNIT)
        wait_breaks(look)
        same(new.call(error_of, pin_range, mine, 3 * UNIT, PAGE, READ, NOWAIT), errno.EAGAIN)
        new.call(pin_range, mine, UNIT, PAGE, READ, NOWAIT)
        new.start(error_of, pin_range, mine, 4 * UNIT, PAGE)
        wait_queued(look)
        unpin(look, pin.id)
        breaker.finish()
        same(new.finish(), errno.ENXIO, "the range is gone")


def test_no_starvation():
    """Pins that come one before the other goes do not keep a change waiting."""
    prepare()
    with Worker() as breaker, Worker() as a, Worker() as b, opened("f") as look:
        theirs, first, second = open_in(breaker, a, b)
        pin = a.call(pin_range, first, 0, UNIT)
        start_punch(breaker, theirs, 0)
        wait_breaks(look)
        b.start(pin_range, second, 0, UNIT, READ | WRITE, FAULT)
        wait_queued(look)
        a.call(unpin, first, pin.id)
        breaker.finish()
        b.finish()
        same(letters(look, UNIT), ".BCDEF", "the change came first")


def overlapping_pins(path, rounds):
    """Never without one: the next is there before the last goes, unless told to wait."""
    with opened(path) as fd:
        last = None
        for _ in range(rounds):
            try:
                pin = pin_range(fd, 0, UNIT, READ, NOWAIT)
            except BlockingIOError:
                pin = None
            if last:
                unpin(fd, last.id)
            last = pin


def test_no_starvation_under_load():
    prepare()
    holders = [Worker() for _ in range(3)]
    try:
        with Worker() as breaker, opened("f") as look:
            theirs, = open_in(breaker)
            for holder in holders:
                holder.start(overlapping_pins, os.path.abspath("f"), 1 << 30)
            for _ in range(scale(200, 20)):
                start_punch(breaker, theirs, 0)
                breaker.finish(30)
                os.pwrite(look, b"A" * UNIT, 0)
    finally:
        for holder in holders:
            holder.end()


# ---- circles ----------------------------------------------------------------------------------


def test_holder_that_is_asked_to_go():
    """It would wait for a change that waits for it."""
    prepare()
    with Worker() as breaker, Worker() as holder, opened("f") as look:
        theirs, fd = open_in(breaker, holder)
        pin = holder.call(pin_range, fd, 0, UNIT)
        again = holder.call(os.open, "f", os.O_RDWR)
        start_punch(breaker, theirs, 0)
        wait_breaks(look)
        for number in (fd, again):
            same(holder.call(error_of, pin_range, number, 0, UNIT), errno.EDEADLK)
        same(holder.call(error_of, pin_range, again, 0, UNIT, READ, NOWAIT) in (errno.EDEADLK,
            errno.EAGAIN), True)
        holder.call(pin_range, again, 3 * UNIT, UNIT)
        holder.call(unpin, fd, pin.id)
        breaker.finish()
        holder.call(pin_range, fd, 0, UNIT, READ | WRITE, FAULT)


def test_queued_holder_is_asked_to_go():
    """It waits already when a change comes that wants what it has: it is told."""
    prepare()
    with Worker() as a, Worker() as b, Worker() as holder, opened("f") as look:
        one, two, fd = open_in(a, b, holder)
        mine = pin_range(look, 0, UNIT)
        theirs = holder.call(pin_range, fd, 2 * UNIT, UNIT)
        start_punch(a, one, 0)
        wait_breaks(look)
        holder.start(error_of, pin_range, fd, 0, UNIT)
        wait_queued(look)
        start_punch(b, two, 2)
        same(holder.finish(), errno.EDEADLK)
        wait_breaks(look, 2)
        holder.call(unpin, fd, theirs.id)
        b.finish()
        unpin(look, mine.id)
        a.finish()


def test_circle_over_two_files():
    """Two holders, each queued behind a change that waits for the other's pin."""
    prepare()
    write_units("g", 2)
    with Worker() as a, Worker() as b, Worker() as x, Worker() as y, opened("f") as f, \
            opened("g") as g:
        a_f, b_f = open_in(a, b)
        a_g, b_g = open_in(a, b, path="g")
        pin_a = a.call(pin_range, a_f, 0, UNIT)
        pin_b = b.call(pin_range, b_g, 0, UNIT)
        x_f, = open_in(x)
        y_g, = open_in(y, path="g")
        start_punch(x, x_f, 0)
        start_punch(y, y_g, 0)
        wait_breaks(f)
        wait_breaks(g)
        same(a.call(error_of, pin_range, a_g, 0, UNIT), errno.EDEADLK)
        same(b.call(error_of, pin_range, b_f, 0, UNIT), errno.EDEADLK)
        a.call(unpin, a_f, pin_a.id)
        b.call(unpin, b_g, pin_b.id)
        x.finish()
        y.finish()


def test_several_changes():
    """Changes of one file wait beside each other, each for its own range."""
    prepare()
    with Worker() as a, Worker() as b, opened("f") as look:
        one, two = open_in(a, b)
        low, high = pin_range(look, 0, UNIT), pin_range(look, 3 * UNIT, UNIT)
        start_punch(a, one, 0)
        start_punch(b, two, 3)
        wait_breaks(look, 2)
        unpin(look, high.id)
        b.finish()
        check(not a.is_done(), "it did not wait")
        unpin(look, low.id)
        a.finish()
        same(letters(look, UNIT), ".BC.EF")
        expect(errno.ENOENT, unpin, look, low.id)


main()
