# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 400
# size: 192
# The daemon is killed while processes map the device: what they had pinned is given to nobody by
# the mounts that follow, until they are gone.

import errno
import os
import time

from check import check, error_of, main, opened, same, write_file
from clients import Client
from crash import gives_all_back, held, inherited, killed_over, mount, mount_again, pins_of
from crash import spared_while_held, wait_no_pins
from fill import empty_fill, filled_and_spared, spared
from pins import EARLIER, READ, device_info, pin_range, unit_of, write_units
from target import on_target, patience, wait_for
from workers import LingeringWorker, Worker, wait_breaks, wait_pins


def epoch_of(where):
    with opened(where, os.O_RDONLY) as root:
        return device_info(root).epoch


def crash_with_a_client(target, change):
    """change(path) before the kill takes the name away, or does not."""
    with gives_all_back(target), Client() as client:
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
        wait_no_pins(where)
        for name in os.listdir(where):
            os.unlink(f"{where}/{name}")


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
    with gives_all_back(target), Client() as client, Worker() as other:
        where = mount(target)
        unit = unit_of(where)
        write_units(f"{where}/f", 6, unit)
        write_units(f"{where}/g", 6, unit)
        pinned = client.hold(f"{where}/f", unit, unit) + client.hold(f"{where}/g")
        where = mount_again(target)
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


@on_target
def test_gone_with_the_daemon(target):
    """A client that dies while nothing is mounted leaves nothing behind."""
    with gives_all_back(target), Client() as client:
        held(target, client)
        target.kill()
        client.end()
        where = mount(target)
        same(pins_of(where), [])


@on_target
def test_lets_go_and_lives(target):
    """A client that unmaps and unlocks has let go, also if it goes on to do something else."""
    with gives_all_back(target), Client() as client:
        where, pinned = killed_over(target, client)
        inherited(where, pinned)
        client.let_go()
        wait_no_pins(where, "the pin of a client that let go to end")


@on_target
def test_dies_slowly(target):
    """Its locks go with its files, a moment before it is wholly gone; what it pinned then."""
    with gives_all_back(target), LingeringWorker() as client:
        where, pinned = killed_over(target, client)
        client.kill()
        client.wait_lingering()
        time.sleep(max(2, patience(2)))
        inherited(where, pinned)
        filled_and_spared(where, pinned)
        empty_fill(where)
        client.let_go()
        wait_no_pins(where)


@on_target
def test_without_locks(target):
    """Who does not lock the device keeps nothing beyond its end."""
    with gives_all_back(target), Client() as client:
        where, _ = killed_over(target, client, False)
        client.end()
        wait_no_pins(where, "the pin to end")


@on_target
def test_locks_of_another_mount(target):
    """Only the lock of the mount that the pin was made in keeps it."""
    with Client() as client, Client() as later:
        where = mount(target)
        write_units(f"{where}/f", 4)
        client.hold(f"{where}/f")
        epoch = epoch_of(where)
        where = mount_again(target)
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
        wait_no_pins(where, "the later client's pin to end")
        target.unmount()


@on_target
def test_stale_epoch(target):
    """A client that read the epoch before the crash cannot pin by it behind it."""
    where = mount(target)
    write_units(f"{where}/f", 1)
    epoch = epoch_of(where)
    where = mount_again(target)
    with opened(f"{where}/f") as fd:
        same(error_of(pin_range, fd, 0, 0, READ, 0, epoch), errno.ESTALE)
        pin_range(fd, 0, 0, READ, 0, epoch_of(where))
    target.unmount()


@on_target
def test_killed_again(target):
    """Over several mounts, of which none ended well."""
    with gives_all_back(target), Client() as client:
        pinned = held(target, client)
        for _ in range(4):
            where = mount_again(target)
            inherited(where, pinned)
        spared_while_held(where, pinned, client)
        target.unmount()
        where = mount(target)
        inherited(where, pinned)
        spared(where, pinned)
        client.end()


@on_target
def test_readonly(target):
    """A mount that may not write does not lose what it read."""
    with gives_all_back(target), Client() as client:
        pinned = held(target, client)
        target.kill()
        target.mount("ro")
        target.unmount()
        where = mount(target)
        inherited(where, pinned)
        spared_while_held(where, pinned, client)
        client.end()


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


main()
