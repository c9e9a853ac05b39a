# SPDX-License-Identifier: BSD-3-Clause
# needs: devdaxfs
# timeout: 120
# Signals end what waits, and leave everything as it was; poll(2) tells the holder of a recall, and
# of its end.

import errno
import os
import select
import signal
import subprocess
import time

from check import check, error_of, main, opened, same, scale
from pins import RECALLED, list_pins, make_dax, pin_range, pin_stats, unit_of, unpin, write_units
from pins import letters
from syscalls import FALLOC_COLLAPSE, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, ioctl_fallocate
from target import patience
from workers import Worker, truncate_once, wait_breaks, wait_pins, wait_queued

UNIT = unit_of()
PUNCH = FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE


def prepare(units=4):
    make_dax()
    write_units("f", units)


def recalled(fd, milliseconds=0):
    """Whether poll(2) says that a recall is pending, within that time."""
    poll = select.poll()
    poll.register(fd, select.POLLPRI)
    found = poll.poll(patience(milliseconds))
    check(not found or found == [(fd, select.POLLPRI)], f"poll says {found}")
    return bool(found)


def is_unchanged(look):
    same(letters(look, UNIT), "ABCD", "the file")


# ---- signals ----------------------------------------------------------------------------------


def interrupts(function, *arguments):
    """The function, called with a descriptor first, waits, fails with EINTR, changes nothing."""
    prepare()
    with Worker() as other, opened("f") as look:
        pin = pin_range(look)
        fd = other.call(os.open, "f", os.O_RDWR)
        for _ in range(3):
            other.start(error_of, function, fd, *arguments)
            wait_breaks(look)
            other.kill(signal.SIGINT)
            same(other.finish(), errno.EINTR, "the errno")
            wait_breaks(look, 0)
            is_unchanged(look)
            same(pin_stats(look).pins, 1, "pins")
        other.start(function, fd, *arguments)
        wait_breaks(look)
        unpin(look, pin.id)
        other.finish()


def test_truncate():
    interrupts(truncate_once, 0)


def test_punch():
    interrupts(ioctl_fallocate, PUNCH, UNIT, UNIT)


def test_collapse():
    interrupts(ioctl_fallocate, FALLOC_COLLAPSE, UNIT, UNIT)


def test_ctrl_c():
    """truncate(1), with what SIGINT does by default."""
    prepare()
    with opened("f") as look:
        pin_range(look)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            process = subprocess.Popen(["truncate", "-s", "0", "f"], preexec_fn=default_signals)
            try:
                wait_breaks(look)
                process.send_signal(number)
                same(process.wait(patience(20)), -number, "status")
            finally:
                process.kill()
                process.wait()
            wait_breaks(look, 0)
            is_unchanged(look)


def default_signals():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_signal_and_unpin():
    """Both at once: it happened or it did not, and the caller knows which."""
    seen = set()
    prepare()
    with Worker() as holder, Worker() as other, opened("f") as look:
        fd, mine = holder.call(os.open, "f", os.O_RDWR), other.call(os.open, "f", os.O_RDWR)
        for i in range(scale(300, 30)):
            os.pwrite(look, b"A" * UNIT, 0)
            pin = holder.call(pin_range, fd, 0, UNIT)
            other.start(error_of, truncate_once, mine, 0)
            wait_breaks(look)
            holder.start(unpin, fd, pin.id)
            if i % 3:
                time.sleep(i % 7 * 0.0001)
            other.kill(signal.SIGINT)
            result = other.finish()
            holder.finish()
            same(os.fstat(look).st_size == 0, result == 0, f"truncated, with errno {result}")
            seen.add(result)
            os.ftruncate(look, UNIT)
        check(seen <= {0, errno.EINTR}, f"errnos {seen}")
        same(tuple(pin_stats(look)), (0, 0, 0, 0, 0))


def test_queued_pin():
    prepare()
    with Worker() as breaker, Worker() as other, opened("f") as look:
        pin = pin_range(look, 0, UNIT)
        fd = breaker.call(os.open, "f", os.O_RDWR)
        mine = other.call(os.open, "f", os.O_RDWR)
        breaker.start(ioctl_fallocate, fd, PUNCH, 0, UNIT)
        wait_breaks(look)
        for _ in range(3):
            other.start(error_of, pin_range, mine, 0, UNIT)
            wait_queued(look)
            other.kill(signal.SIGINT)
            same(other.finish(), errno.EINTR)
            wait_queued(look, 0)
        same(pin_stats(look).pins, 1)
        unpin(look, pin.id)
        breaker.finish()


def test_one_of_many():
    """Of ten that wait for one pin some are interrupted; the others still wait, then go on."""
    prepare(12)
    workers = [Worker() for _ in range(10)]
    try:
        with opened("f") as look:
            pin = pin_range(look, 0, 10 * UNIT)
            for i, worker in enumerate(workers):
                fd = worker.call(os.open, "f", os.O_RDWR)
                worker.start(error_of, ioctl_fallocate, fd, PUNCH, i * UNIT, UNIT)
            wait_breaks(look, 10)
            for worker in workers[::2]:
                worker.kill(signal.SIGINT)
            same([worker.finish() for worker in workers[::2]], [errno.EINTR] * 5)
            wait_breaks(look, 5)
            check(not any(worker.is_done() for worker in workers[1::2]), "others ended too")
            check(recalled(look), "the recall ended")
            unpin(look, pin.id)
            same([worker.finish() for worker in workers[1::2]], [0] * 5)
            same(letters(look, UNIT), "A.C.E.G.I.KL")
    finally:
        for worker in workers:
            worker.end()


def test_waiter_is_killed():
    prepare()
    with Worker() as other, opened("f") as look:
        pin = pin_range(look)
        other.start(os.truncate, "f", 0)
        wait_breaks(look)
        other.kill()
        other.wait()
        wait_breaks(look, 0)
        is_unchanged(look)
        unpin(look, pin.id)


# ---- recalls ----------------------------------------------------------------------------------


def test_recall():
    prepare()
    with Worker() as other, opened("f") as look:
        check(not recalled(look), "recalled with no pin")
        pin = pin_range(look)
        check(not recalled(look, 100), "recalled with nobody waiting")
        other.start(os.truncate, "f", 0)
        check(recalled(look, 20000), "not told of the recall")
        same(list_pins(look)[0].flags & RECALLED, RECALLED)
        check(recalled(look), "told once only")
        unpin(look, pin.id)
        other.finish()
        check(not recalled(look), "recalled with no pin")


def poll_once(fd, milliseconds):
    return recalled(fd, milliseconds)


def test_recall_wakes():
    """Who sleeps in poll(2) is woken."""
    prepare()
    with Worker() as holder, Worker() as other, opened("f") as look:
        fd = holder.call(os.open, "f", os.O_RDWR)
        for _ in range(scale(50, 5)):
            pin = holder.call(pin_range, fd)
            holder.start(poll_once, fd, 30000)
            other.start(os.truncate, "f", 0)
            same(holder.finish(40), True, "woken")
            holder.call(unpin, fd, pin.id)
            other.finish()
            os.ftruncate(look, UNIT)
            os.pwrite(look, b"A" * UNIT, 0)


def epoll_of(fd):
    epoll = select.epoll()
    epoll.register(fd, select.EPOLLPRI | select.EPOLLET)
    return epoll


def test_recall_by_epoll():
    prepare()
    with Worker() as other, opened("f") as look, epoll_of(look) as epoll:
        for _ in range(3):
            pin = pin_range(look)
            epoll.poll(0)
            other.start(os.truncate, "f", 0)
            same(epoll.poll(patience(20)), [(look, select.EPOLLPRI)])
            unpin(look, pin.id)
            other.finish()
            os.ftruncate(look, UNIT)
            os.pwrite(look, b"A" * UNIT, 0)


def test_recall_is_withdrawn():
    """When the truncate is interrupted nobody wants the pin to go any more."""
    prepare()
    with Worker() as other, opened("f") as look:
        pin_range(look)
        fd = other.call(os.open, "f", os.O_RDWR)
        for _ in range(3):
            other.start(error_of, truncate_once, fd, 0)
            check(recalled(look, 20000), "not told of the recall")
            other.kill(signal.SIGINT)
            same(other.finish(), errno.EINTR)
            wait_breaks(look, 0)
            check(not recalled(look), "the recall stays")
            info = list_pins(look)[0]
            same((info.flags & RECALLED, info.seconds_left, info.nr_waiting), (0, 0, 0))


def test_recall_of_the_right_one():
    """Only the open files whose pins are in the way are told."""
    prepare()
    with Worker() as other, opened("f") as a, opened("f") as b, opened("f") as look:
        pin_range(a, 0, UNIT)
        pin = pin_range(b, 2 * UNIT, UNIT)
        pin_range(b, UNIT, UNIT)
        other.start(os.truncate, "f", 2 * UNIT)
        check(recalled(b, 20000), "not told")
        check(not recalled(a), "told for nothing")
        check(not recalled(look), "told without a pin")
        same([bool(p.flags & RECALLED) for p in list_pins(look)], [False, True, False])
        unpin(b, pin.id)
        other.finish()
        check(not recalled(b), "the other pin is not recalled")


def test_poll_of_files_without_pins():
    """Reading and writing is always possible, as for any regular file."""
    prepare()
    with opened("f") as fd:
        poll = select.poll()
        poll.register(fd, select.POLLIN | select.POLLOUT)
        same(poll.poll(0), [(fd, select.POLLIN | select.POLLOUT)])
        pin_range(fd)
        same(poll.poll(0), [(fd, select.POLLIN | select.POLLOUT)])
    with opened(".", os.O_RDONLY) as fd:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        same(len(poll.poll(0)), 1)


def test_nonblocking_descriptor():
    """O_NONBLOCK changes nothing: it is no promise that ftruncate(2) knows."""
    prepare()
    with Worker() as other, opened("f") as look:
        pin = pin_range(look)
        fd = other.call(os.open, "f", os.O_RDWR | os.O_NONBLOCK)
        other.start(os.ftruncate, fd, 0)
        wait_breaks(look)
        unpin(look, pin.id)
        other.finish()


def pin_until_recalled(path):
    """A well-behaved holder, to the end of its days."""
    with opened(path) as fd:
        while True:
            pin = pin_range(fd, 0, UNIT)
            recalled(fd, 60000)
            unpin(fd, pin.id)


def test_well_behaved_holders():
    """Several that let go when asked and pin again: whoever truncates gets its turn."""
    prepare()
    holders = [Worker() for _ in range(4)]
    try:
        for holder in holders:
            holder.start(pin_until_recalled, os.path.abspath("f"))
        with Worker() as other, opened("f") as look:
            wait_pins(look, 4)
            fd = other.call(os.open, "f", os.O_RDWR)
            for _ in range(scale(200, 20)):
                other.start(ioctl_fallocate, fd, PUNCH, 0, UNIT)
                other.finish(30)
                os.pwrite(look, b"A" * UNIT, 0)
    finally:
        for holder in holders:
            holder.end()


main()
