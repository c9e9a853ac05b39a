# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 300
# size: 192
# Unmounting while there are pins: nobody's pages are given away by it, neither then nor later.

import contextlib
import os
import select
import signal
import subprocess
import time

from check import check, error_of, main, opened, same
from clients import Client
from crash import GONE, pins_of
from fill import empty_fill, filled_and_spared
from pins import EARLIER, pin_range, pin_stats, unit_of, unpin, write_units
from target import mount_line, on_target, patience, space, wait_for
from workers import LingeringWorker, Worker, wait_breaks


def prepare(target):
    target.mount()
    write_units(f"{target.where}/f", 6)


def umount(where):
    return subprocess.run(["umount", where], capture_output=True, text=True, check=False)


@contextlib.contextmanager
def pinned_file(target, holder_of=Worker):
    """Mounted, with a process that has the file open and pinned: it, its descriptor, the pin."""
    prepare(target)
    with holder_of() as holder:
        fd = holder.call(os.open, f"{target.where}/f", os.O_RDWR)
        yield holder, fd, holder.call(pin_range, fd).id


def clean_again(target):
    """The next mount knows of no pin."""
    target.mount()
    same(pins_of(target.where), [])
    target.unmount()


@on_target
def test_busy(target):
    """umount(8) refuses while a holder has the file open, and all goes on."""
    with pinned_file(target) as (holder, fd, pin):
        result = umount(target.where)
        check(result.returncode != 0 and "busy" in result.stderr, f"umount: {result}")
        same(holder.call(pin_stats, fd).pins, 1)
        same(holder.call(pin_stats, fd).recalled, 0)
        holder.call(unpin, fd, pin)
        holder.call(pin_range, fd)
        holder.call(os.close, fd)
    target.unmount()


@on_target
def test_behind_a_holder(target):
    """Right behind the end of its holders it unmounts cleanly."""
    prepare(target)
    for _ in range(5):
        with Worker() as holder:
            fd = holder.call(os.open, f"{target.where}/f", os.O_RDWR)
            holder.call(pin_range, fd)
            holder.end()
        wait_for(lambda: umount(target.where).returncode == 0, 20, "the unmount")
        same(target.wait_end(), 0)
        target.mount()
        same(pins_of(target.where), [])
    target.unmount()


@on_target
def test_lingering(target):
    """The files are closed, so umount(8) works; the daemon stays until the holder has gone."""
    with pinned_file(target, LingeringWorker) as (holder, _, _):
        holder.kill()
        holder.wait_lingering()
        wait_for(lambda: umount(target.where).returncode == 0, 20, "the unmount")
        time.sleep(0.5)
        same(target.process.poll(), None, "the daemon's status")
        holder.end()
        same(target.wait_end(), 0)
    clean_again(target)


# ---- SIGTERM ----------------------------------------------------------------------------------


def answer_recall(fd, pin, seconds):
    """As a holder should: whether it was recalled in time; then it lets go."""
    poll = select.poll()
    poll.register(fd, select.POLLPRI)
    found = poll.poll(patience(seconds) * 1000)
    if found:
        unpin(fd, pin)
    return bool(found)


@on_target
def test_terminated(target):
    """The holder is asked to let go, does so, and the daemon ends as if nothing had been."""
    with pinned_file(target) as (holder, fd, pin):
        holder.start(answer_recall, fd, pin, 30)
        time.sleep(0.2)
        target.process.send_signal(signal.SIGTERM)
        same(holder.finish(40), True, "recalled")
        same(target.wait_end(), 0)
    check(not mount_line(target.where), "the mount is still there")
    clean_again(target)


def pin_and_unpin(fd):
    unpin(fd, pin_range(fd).id)


@on_target
def test_terminated_waits(target):
    """It waits for a holder that takes its time, and makes no new pins meanwhile."""
    with pinned_file(target) as (holder, fd, pin), Worker() as new:
        mine = new.call(os.open, f"{target.where}/f", os.O_RDWR)
        target.process.send_signal(signal.SIGTERM)
        wait_for(lambda: new.call(error_of, pin_and_unpin, mine), 20, "new pins to be refused")
        check(new.call(error_of, pin_and_unpin, mine) in GONE, "they fail with something else")
        check(target.process.poll() is None, "it did not wait")
        wait_for(lambda: "waiting for 1 pins" in target.log(), 10, "the log to say that it waits")
        holder.call(error_of, unpin, fd, pin)
        same(target.wait_end(), 0)
    clean_again(target)


@on_target
def test_terminated_with_a_change_waiting(target):
    """Whoever waited is answered; it happened or it did not."""
    path = f"{target.where}/f"
    with pinned_file(target) as (holder, fd, pin), Worker() as other, opened(path) as look:
        unit = unit_of(target.where)
        other.start(error_of, os.truncate, path, 0)
        wait_breaks(look)
        target.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        holder.call(error_of, unpin, fd, pin)
        result = other.finish(40)
        check(result in (0,) + GONE, f"errno {result}")
        same(target.wait_end(), 0)
    target.mount()
    same(os.stat(path).st_size, 6 * unit if result else 0)
    target.unmount()


def end_by_all_means(target):
    """SIGTERM, again, SIGKILL; and what is then left of the mount is taken away."""
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if target.process.poll() is None:
            target.process.send_signal(number)
            time.sleep(patience(1))
    target.wait_end()
    if mount_line(target.where):
        subprocess.run(["umount", "-l", target.where], check=True)


@on_target
def test_stubborn(target):
    """Who does not let go keeps its pages, whatever becomes of the mount."""
    prepare(target)
    path = f"{target.where}/f"
    unit = unit_of(target.where)
    os.unlink(path)
    before = space(target.where)
    with Client() as client:
        write_units(path, 6, unit)
        pinned = client.hold(path, unit, 2 * unit)
        os.unlink(path)
        end_by_all_means(target)
        client.still_there()
        target.mount()
        same([pin.flags for pin in pins_of(target.where)], [EARLIER])
        filled_and_spared(target.where, pinned)
        client.still_there()
        empty_fill(target.where)
        client.end()
        wait_for(lambda: space(target.where) == before, 15, "the space to come back")
    target.unmount()


@on_target
def test_lazily(target):
    """umount -l: the holder still has its file and its pins, and the daemon ends behind it."""
    with pinned_file(target) as (holder, fd, pin):
        subprocess.run(["umount", "-l", target.where], check=True)
        time.sleep(0.3)
        check(target.process.poll() is None, "the daemon ended")
        same(holder.call(pin_stats, fd).pins, 1)
        holder.call(unpin, fd, pin)
        holder.call(pin_range, fd)
        holder.call(os.close, fd)
        same(target.wait_end(), 0)


main()
