# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 400
# size: 192
# The daemon is killed while several processes map the device, or in the middle of their calls.

import os
import random
import time

from check import check, error_of, main, opened, same, scale
from clients import Client
from crash import GONE, gives_all_back, mount, mount_again, pins_of, wait_no_pins
from fill import empty_fill, filled_and_spared, holds, spared
from pins import READ, WRITE, device_info, layout, lock_device, pin_range, pin_stats, runs
from pins import unit_of, unpin, write_units
from target import on_target, patience, space, wait_for
from workers import Worker, wait_breaks


# ---- several ----------------------------------------------------------------------------------


@on_target
def test_old_and_new(target):
    """The old client's end gives its space back, although a new one still holds the device."""
    with gives_all_back(target), Client() as old, Client() as new:
        where = mount(target)
        unit = unit_of(where)
        write_units(f"{where}/f", 8, unit)
        pinned = old.hold(f"{where}/f")
        os.unlink(f"{where}/f")
        where = mount_again(target)
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


@on_target
def test_two_of_one_mount(target):
    """As long as either of two clients of the dead mount is there, nobody can tell whose it was."""
    with gives_all_back(target), Client() as a, Client() as b:
        where = mount(target)
        write_units(f"{where}/f", 4)
        write_units(f"{where}/g", 4)
        pinned = a.hold(f"{where}/f") + b.hold(f"{where}/g")
        os.unlink(f"{where}/f")
        os.unlink(f"{where}/g")
        where = mount_again(target)
        filled_and_spared(where, pinned)
        a.end()
        time.sleep(max(2, patience(2)))
        spared(where, pinned)
        b.still_there()
        b.end()
        empty_fill(where)


# ---- at any moment ----------------------------------------------------------------------------


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


def merged(found):
    """The same bytes as runs that neither touch nor overlap."""
    result = []
    for first, end in sorted(found):
        if result and first <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((first, end))
    return result


def killed_round(target, clients, number, pause):
    """Kill the daemon while all the clients pin and unpin; what was theirs then is spared."""
    where = mount(target)
    unit = unit_of(where)
    for i, client in enumerate(clients):
        write_units(f"{where}/f{i}", 8, unit)
        client.start(churn, f"{where}/f{i}", number * 10 + i, unit, 8)
    wait_for(lambda: pins_of(where), 20, "pins")
    time.sleep(pause)
    for i in range(len(clients)):
        os.unlink(f"{where}/f{i}")
    target.kill()
    pinned = [run for client in clients for run in client.finish()]
    where = mount(target)
    filled_and_spared(where, merged(pinned))
    for client in clients:
        client.end()
    empty_fill(where)


@on_target
def test_killed_at_any_moment(target):
    """Whatever a pin was answered for is kept, and nothing but what was asked for."""
    source = random.Random(1)
    for number in range(scale(15, 2)):
        with gives_all_back(target), Client() as a, Client() as b, Client() as c:
            killed_round(target, (a, b, c), number, patience(0.05) + source.random() * 0.2)


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
        wait_no_pins(where, "the pin to end")
        target.unmount()


main()
