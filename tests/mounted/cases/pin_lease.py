# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 200
# What happens when a holder does not let go in time: lease_time= and lease_expire=.

import contextlib
import errno
import os
import signal
import time

from check import check, error_of, main, opened, same
from pins import EXPIRED, RECALLED, letters, list_pins, make_dax, pin_range, pin_stats, unit_of
from pins import unpin, write_units
from syscalls import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, ioctl_fallocate
from target import Target, on_target, patience, wait_for
from workers import LingeringWorker, Worker, wait_breaks, wait_pins

PUNCH = FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE


@contextlib.contextmanager
def mounted(options):
    """A mount with "f" of four units in its root; the file, open, and its unit."""
    target = Target.of_environment()
    target.mkfs()
    with target.mounted(options) as where:
        make_dax(where)
        unit = unit_of(where)
        write_units(f"{where}/f", 4, unit)
        with opened(f"{where}/f") as look:
            yield f"{where}/f", look, unit


def hold(worker, path, off=0, length=0):
    fd = worker.call(os.open, path, os.O_RDWR)
    return fd, worker.call(pin_range, fd, off, length)


def wait_expired(look):
    wait_for(lambda: any(pin.flags & EXPIRED for pin in list_pins(look)), 20, "the lease to end")


# ---- wait -------------------------------------------------------------------------------------


def waits(options):
    with mounted(options) as (path, look, _), Worker() as holder, Worker() as other:
        fd, pin = hold(holder, path)
        other.start(os.truncate, path, 0)
        wait_expired(look)
        same(list_pins(look)[0].seconds_left, 0)
        time.sleep(1.5)
        check(not other.is_done(), "it did not wait for ever")
        wait_breaks(look)
        holder.call(unpin, fd, pin.id)
        other.finish()


def test_wait():
    waits("lease_time=1,lease_expire=wait")


def test_wait_is_the_default():
    waits("lease_time=1")


def test_default_time():
    """45 seconds, counted down while the pin is recalled."""
    with mounted("") as (path, look, _), Worker() as other:
        pin = pin_range(look)
        same(list_pins(look)[0].seconds_left, 0)
        other.start(os.truncate, path, 0)
        wait_breaks(look)
        left = list_pins(look)[0].seconds_left
        check(45 - patience(5) <= left <= 45, f"{left} seconds left")
        wait_for(lambda: list_pins(look)[0].seconds_left < left, 10, "fewer seconds")
        same(list_pins(look)[0].flags, RECALLED)
        unpin(look, pin.id)
        other.finish()


def test_lease_begins_anew():
    """Each recall has the whole time: it does not go on from an earlier one."""
    with mounted("lease_time=2,lease_expire=fail") as (path, look, _), Worker() as other:
        pin = pin_range(look)
        for _ in range(3):
            other.start(error_of, ioctl_punch, path, 0, 4096)
            wait_breaks(look)
            time.sleep(0.7)
            other.kill(signal.SIGINT)
            same(other.finish(), errno.EINTR)
            wait_breaks(look, 0)
        same(list_pins(look)[0].flags, 0)
        unpin(look, pin.id)


def ioctl_punch(path, off, length):
    with opened(path) as fd:
        ioctl_fallocate(fd, PUNCH, off, length)


# ---- fail -------------------------------------------------------------------------------------


def test_fail():
    """The change fails with EBUSY, the pin stays, and so does the file."""
    with mounted("lease_time=1,lease_expire=fail") as (path, look, unit), Worker() as holder, \
            Worker() as other:
        fd, pin = hold(holder, path)
        for change, *arguments in ((os.truncate, path, 0), (ioctl_punch, path, 0, unit),
                (os.truncate, path, unit)):
            other.start(error_of, change, *arguments)
            same(other.finish(), errno.EBUSY)
            same(letters(look, unit), "ABCD")
            same((pin_stats(look).pins, pin_stats(look).breaks), (1, 0))
        os.pwrite(look, b"A" * 10, 0)
        holder.call(unpin, fd, pin.id)
        other.call(os.truncate, path, unit)
        same(letters(look, unit), "A")


def test_fail_lets_pins_in():
    """A change that has failed does not stand in anybody's way."""
    with mounted("lease_time=1,lease_expire=fail") as (path, look, unit), Worker() as other, \
            Worker() as new:
        pin_range(look, 0, unit)
        other.start(error_of, ioctl_punch, path, 0, unit)
        wait_breaks(look)
        fd = new.call(os.open, path, os.O_RDWR)
        new.start(pin_range, fd, 0, unit)
        same(other.finish(), errno.EBUSY)
        new.finish()
        same(pin_stats(look).pins, 2)


def test_in_time():
    """A holder that lets go in time never notices."""
    for policy in ("fail", "kill"):
        with mounted(f"lease_time=30,lease_expire={policy}") as (path, _, unit), \
                Worker() as holder, Worker() as other:
            fd, pin = hold(holder, path, 0, unit)
            other.start(os.truncate, path, 0)
            wait_for(lambda: holder.call(is_recalled, path), 20, "the recall")
            holder.call(unpin, fd, pin.id)
            other.finish()
            same(holder.call(os.getpid), holder.pid)


def is_recalled(path):
    with opened(path) as fd:
        return any(pin.flags & RECALLED for pin in list_pins(fd))


# ---- kill -------------------------------------------------------------------------------------


def test_kill():
    """The holder is killed, and nobody else; the change is made."""
    with mounted("lease_time=1,lease_expire=kill") as (path, look, unit), Worker() as holder, \
            Worker() as bystander, Worker() as other:
        hold(holder, path, 0, unit)
        hold(bystander, path, 3 * unit, unit)
        other.start(ioctl_punch, path, 0, unit)
        other.finish(30)
        same(holder.wait(), -signal.SIGKILL)
        same(letters(look, unit), ".BCD")
        same([pin.pid for pin in list_pins(look)], [bystander.pid])
        same(bystander.call(os.getpid), bystander.pid)


def test_kill_several():
    with mounted("lease_time=1,lease_expire=kill") as (path, look, _):
        holders = [Worker() for _ in range(5)]
        try:
            for holder in holders:
                hold(holder, path)
            with Worker() as other:
                other.start(os.truncate, path, 0)
                other.finish(40)
            same([holder.wait() for holder in holders], [-signal.SIGKILL] * 5)
            same(os.fstat(look).st_size, 0)
        finally:
            for holder in holders:
                holder.end()


def test_kill_waits_for_the_end():
    """Killed is not gone: the change waits until it is."""
    with mounted("lease_time=1,lease_expire=kill") as (path, look, _), \
            LingeringWorker() as holder, Worker() as other:
        hold(holder, path)
        other.start(os.truncate, path, 0)
        holder.wait_lingering()
        time.sleep(0.5)
        check(not other.is_done(), "it did not wait for the process")
        holder.let_go()
        other.finish()
        wait_pins(look)


def test_kill_oneself():
    """A process may truncate what it has pinned, and is then in its own way."""
    with mounted("lease_time=1,lease_expire=kill") as (path, look, _), Worker() as holder:
        fd, _ = hold(holder, path)
        holder.start(os.ftruncate, fd, 0)
        same(holder.wait(), -signal.SIGKILL)
        wait_pins(look)


def test_unlinked_files_wait():
    """The end of a file that nobody can open is nobody's change: its holder is left alone."""
    for policy in ("fail", "kill"):
        with mounted(f"lease_time=1,lease_expire={policy}") as (path, look, unit), \
                Worker() as holder:
            fd, pin = hold(holder, path)
            os.unlink(path)
            time.sleep(2.5)
            same(holder.call(os.getpid), holder.pid)
            same(letters(look, unit), "ABCD")
            holder.call(unpin, fd, pin.id)


# ---- options ----------------------------------------------------------------------------------


@on_target
def test_wrong_options(target):
    for words in ("lease_time=x", "lease_time=-1", "lease_time=", "lease_time=99999999999",
                  "lease_expire=never", "lease_expire="):
        target.refused(words.split("=")[0], options=words)


main()
