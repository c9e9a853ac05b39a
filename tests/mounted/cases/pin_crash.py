# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 400
# size: 192
# The daemon is killed while processes map the device: what they had pinned is given to nobody by
# the mounts that follow, until they are gone.

import errno
import os
import random
import time

from check import check, error_of, main, opened, same, scale, write_file
from clients import Client, hold_range
from fill import empty_fill, filled_and_spared, holds, spared
from pins import EARLIER, READ, WRITE, device_info, layout, list_pins, lock_device, pin_range
from pins import pin_stats, runs, unit_of, unpin, write_units
from target import on_target, patience, space, wait_for
from workers import LingeringWorker, Worker, wait_breaks, wait_pins



def mount(target):
    target.mount()
    return target.where


def empty_space(target):
    with target.mounted() as where:
        return space(where)


def pins_of(where):
    with opened(where, os.O_RDONLY) as root:
        return list_pins(root)


def epoch_of(where):
    with opened(where, os.O_RDONLY) as root:
        return device_info(root).epoch


def comes_back(where, before):
    wait_for(lambda: space(where) == before, 15,
        f"the space: {space(where)}, before {before} (blocks, available, inodes)")


def inherited(where, runs_of_client):
    """The mount knows of one pin that is not its own, of all those pages."""
    found = pins_of(where)
    same([pin.flags & EARLIER for pin in found], [EARLIER], "flags of the pins")
    same(found[0].nr_pages * 4096, sum(end - first for first, end in runs_of_client), "bytes held")


# ---- one client -------------------------------------------------------------------------------


def crash_with_a_client(target, change):
    """change(path) before the kill takes the name away, or does not."""
    before = empty_space(target)
    with Client() as client:
        where = mount(target)
        unit = unit_of(where)
        write_units(f"{where}/f", 6, unit)
        pinned = client.hold(f"{where}/f", 2 * unit, 3 * unit)
        change(f"{where}/f")
        target.kill()
        client.still_there()
        where = mount(target)
        inherited(where, pinned)
        filled_and_spared(where, pinned if not os.path.exists(f"{where}/f") else [])
        client.still_there()
        empty_fill(where)
        client.end()
        wait_for(lambda: not pins_of(where), 15, "the pin of a client that is gone to end")
        for name in os.listdir(where):
            os.unlink(f"{where}/{name}")
        comes_back(where, before)
        target.unmount()


@on_target
def test_unlinked(target):
    crash_with_a_client(target, os.unlink)


@on_target
def test_renamed_over(target):
    def rename_over(path):
        write_file(path + "2")
        os.rename(path + "2", path)
        os.unlink(path)

    crash_with_a_client(target, rename_over)


@on_target
def test_named(target):
    crash_with_a_client(target, lambda path: None)


@on_target
def test_removed_after_the_crash(target):
    """By the next mount, as a file that nobody has open: it waits all the same."""
    before = empty_space(target)
    with Client() as client, Worker() as other:
        where = mount(target)
        unit = unit_of(where)
        write_units(f"{where}/f", 6, unit)
        write_units(f"{where}/g", 6, unit)
        pinned = client.hold(f"{where}/f", unit, unit) + client.hold(f"{where}/g")
        target.kill()
        where = mount(target)
        same(len(pins_of(where)), 2)
        os.unlink(f"{where}/f")
        other.start(os.truncate, f"{where}/g", 0)
        with opened(f"{where}/g", os.O_RDONLY) as look:
            wait_breaks(look)
            filled_and_spared(where, pinned[:1])
            check(not other.is_done(), "it did not wait")
            client.still_there()
            client.end()
            other.finish()
            wait_pins(look)
        os.unlink(f"{where}/g")
        empty_fill(where)
        comes_back(where, before)
        target.unmount()


@on_target
def test_gone_with_the_daemon(target):
    """A client that dies while nothing is mounted leaves nothing behind."""
    before = empty_space(target)
    with Client() as client:
        where = mount(target)
        write_units(f"{where}/f", 6)
        client.hold(f"{where}/f")
        os.unlink(f"{where}/f")
        target.kill()
        client.end()
        where = mount(target)
        same(pins_of(where), [])
        comes_back(where, before)
        target.unmount()


@on_target
def test_lets_go_and_lives(target):
    """A client that unmaps and unlocks has let go, also if it goes on to do something else."""
    before = empty_space(target)
    with Client() as client:
        where = mount(target)
        write_units(f"{where}/f", 6)
        pinned = client.hold(f"{where}/f")
        os.unlink(f"{where}/f")
        target.kill()
        where = mount(target)
        inherited(where, pinned)
        client.let_go()
        wait_for(lambda: not pins_of(where), 15, "the pin of a client that let go to end")
        comes_back(where, before)
        target.unmount()


@on_target
def test_dies_slowly(target):
    """Its locks go with its files, a moment before it is wholly gone; what it pinned then."""
    before = empty_space(target)
    with LingeringWorker() as client:
        where = mount(target)
        write_units(f"{where}/f", 6)
        pinned = client.call(hold_range, f"{where}/f", 0, 0, True)
        os.unlink(f"{where}/f")
        target.kill()
        where = mount(target)
        client.kill()
        client.wait_lingering()
        time.sleep(max(2, patience(2)))
        inherited(where, pinned)
        filled_and_spared(where, pinned)
        empty_fill(where)
        client.let_go()
        wait_for(lambda: not pins_of(where), 15, "the pin of a client that is gone to end")
        comes_back(where, before)
        target.unmount()


@on_target
def test_without_locks(target):
    """Who does not lock the device keeps nothing beyond its end."""
    before = empty_space(target)
    with Client() as client:
        where = mount(target)
        write_units(f"{where}/f", 6)
        client.hold(f"{where}/f", 0, 0, False)
        os.unlink(f"{where}/f")
        target.kill()
        where = mount(target)
        client.end()
        wait_for(lambda: not pins_of(where), 15, "the pin to end")
        comes_back(where, before)
        target.unmount()


@on_target
def test_locks_of_another_mount(target):
    """Only the lock of the mount that the pin was made in keeps it."""
    with Client() as client, Client() as later:
        where = mount(target)
        write_units(f"{where}/f", 4)
        client.hold(f"{where}/f")
        epoch = epoch_of(where)
        target.kill()
        where = mount(target)
        check(epoch_of(where) != epoch, "the epoch is the same")
        write_units(f"{where}/g", 4)
        later.hold(f"{where}/g")
        target.kill()
        client.end()
        where = mount(target)
        found = pins_of(where)
        same([(pin.flags, pin.node & 0xffffffff) for pin in found],
            [(EARLIER, os.stat(f"{where}/g").st_ino)])
        later.end()
        wait_for(lambda: not pins_of(where), 15, "the later client's pin to end")
        target.unmount()


@on_target
def test_stale_epoch(target):
    """A client that read the epoch before the crash cannot pin by it behind it."""
    where = mount(target)
    write_units(f"{where}/f", 1)
    epoch = epoch_of(where)
    target.kill()
    where = mount(target)
    with opened(f"{where}/f") as fd:
        same(error_of(pin_range, fd, 0, 0, READ, 0, epoch), errno.ESTALE)
        pin_range(fd, 0, 0, READ, 0, epoch_of(where))
    target.unmount()


# ---- several ----------------------------------------------------------------------------------


@on_target
def test_old_and_new(target):
    """The old client's end gives its space back, although a new one still holds the device."""
    before = empty_space(target)
    with Client() as old, Client() as new:
        where = mount(target)
        unit = unit_of(where)
        write_units(f"{where}/f", 8, unit)
        pinned = old.hold(f"{where}/f")
        os.unlink(f"{where}/f")
        target.kill()
        where = mount(target)
        write_units(f"{where}/g", 4, unit)
        pinned_too = new.hold(f"{where}/g")
        spared(where, pinned)
        with_both = space(where)
        old.end()
        wait_for(lambda: space(where)[0] >= with_both[0] + 8 * unit // 4096, 15,
            f"the old client's blocks, behind {with_both}")
        same([(pin.pid, pin.flags, pin.nr_pages) for pin in pins_of(where)],
            [(new.pid, 0, 4 * unit // 4096)])
        os.unlink(f"{where}/g")
        filled_and_spared(where, pinned_too)
        new.still_there()
        empty_fill(where)
        new.end()
        comes_back(where, before)
        target.unmount()


@on_target
def test_two_of_one_mount(target):
    """As long as either of two clients of the dead mount is there, nobody can tell whose it was."""
    before = empty_space(target)
    with Client() as a, Client() as b:
        where = mount(target)
        write_units(f"{where}/f", 4)
        write_units(f"{where}/g", 4)
        pinned = a.hold(f"{where}/f") + b.hold(f"{where}/g")
        os.unlink(f"{where}/f")
        os.unlink(f"{where}/g")
        target.kill()
        where = mount(target)
        filled_and_spared(where, pinned)
        a.end()
        time.sleep(max(2, patience(2)))
        spared(where, pinned)
        b.still_there()
        b.end()
        empty_fill(where)
        comes_back(where, before)
        target.unmount()


@on_target
def test_killed_again(target):
    """Over several mounts, of which none ended well."""
    before = empty_space(target)
    with Client() as client:
        where = mount(target)
        write_units(f"{where}/f", 6)
        pinned = client.hold(f"{where}/f")
        os.unlink(f"{where}/f")
        for _ in range(4):
            target.kill()
            where = mount(target)
            inherited(where, pinned)
        filled_and_spared(where, pinned)
        client.still_there()
        empty_fill(where)
        target.unmount()
        where = mount(target)
        inherited(where, pinned)
        spared(where, pinned)
        client.end()
        comes_back(where, before)
        target.unmount()


@on_target
def test_readonly(target):
    """A mount that may not write does not lose what it read."""
    before = empty_space(target)
    with Client() as client:
        where = mount(target)
        write_units(f"{where}/f", 6)
        pinned = client.hold(f"{where}/f")
        os.unlink(f"{where}/f")
        target.kill()
        target.mount("ro")
        target.unmount()
        where = mount(target)
        inherited(where, pinned)
        filled_and_spared(where, pinned)
        client.still_there()
        empty_fill(where)
        client.end()
        comes_back(where, before)
        target.unmount()


@on_target
def test_the_log_tells(target):
    with Client() as client:
        where = mount(target)
        write_units(f"{where}/f", 2)
        client.hold(f"{where}/f")
        target.kill()
        seen = len(target.log())
        where = mount(target)
        text = target.log()[seen:]
        check("earlier mount still hold 1 " in text, f"the log does not say it: {text}")
        seen = len(target.log())
        client.end()
        wait_for(lambda: "are gone" in target.log()[seen:], 15, "the log to say that they are gone")
        target.unmount()


# ---- at any moment ----------------------------------------------------------------------------


GONE = (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ENODEV)


def churn(path, seed, unit, units):
    """Pin and unpin until the daemon is gone. What is surely pinned then: (first, end)s."""
    source = random.Random(seed)
    fd = os.open(path, os.O_RDWR)
    info = device_info(fd)
    lock_device(os.open(info.path, os.O_RDWR), info.epoch)
    held, going = {}, None
    try:
        while True:
            if len(held) > 20 or (held and source.random() < 0.4):
                going = source.choice(sorted(held))
                unpin(fd, going)
                del held[going]
            else:
                first = source.randrange(units)
                pin = pin_range(fd, first * unit, source.randrange(1, 4) * unit, READ | WRITE)
                held[pin.id] = runs(pin.extents)
    except OSError as error:
        if error.errno not in GONE:
            raise
    return [run for which, found in held.items() if which != going for run in found]


@on_target
def test_killed_at_any_moment(target):
    """Whatever a pin was answered for is kept, and nothing but what was asked for."""
    before = empty_space(target)
    source = random.Random(1)
    for number in range(scale(15, 2)):
        clients = [Client() for _ in range(3)]
        try:
            where = mount(target)
            unit = unit_of(where)
            for i, client in enumerate(clients):
                write_units(f"{where}/f{i}", 8, unit)
                client.start(churn, f"{where}/f{i}", number * 10 + i, unit, 8)
            wait_for(lambda: pins_of(where), 20, "pins")
            time.sleep(patience(0.05) + source.random() * 0.2)
            for i in range(3):
                os.unlink(f"{where}/f{i}")
            target.kill()
            pinned = [run for client in clients for run in client.finish()]
            where = mount(target)
            filled_and_spared(where, merged(pinned))
            for client in clients:
                client.end()
            empty_fill(where)
            comes_back(where, before)
            target.unmount()
        finally:
            for client in clients:
                client.end()


def merged(found):
    """The same bytes as runs that neither touch nor overlap."""
    result = []
    for first, end in sorted(found):
        if result and first <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((first, end))
    return result


@on_target
def test_killed_while_one_waits(target):
    """The truncate fails, the file is as it was, and the pin is kept."""
    with Client() as client, Worker() as other:
        where = mount(target)
        unit = unit_of(where)
        write_units(f"{where}/f", 4, unit)
        client.hold(f"{where}/f")
        with opened(f"{where}/f") as look:
            other.start(error_of, os.truncate, f"{where}/f", 0)
            wait_breaks(look)
            target.kill()
        check(other.finish() in GONE, "the truncate did not fail")
        where = mount(target)
        with opened(f"{where}/f", os.O_RDONLY) as fd:
            same(os.fstat(fd).st_size, 4 * unit)
            check(holds(os.pread(fd, 4 * unit, 0), unit), "the file changed")
            same(len(runs(layout(fd))) > 0, True)
            same(pin_stats(fd).pins, 1)
        client.end()
        wait_for(lambda: not pins_of(where), 15, "the pin to end")
        target.unmount()


main()
