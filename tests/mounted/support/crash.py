# SPDX-License-Identifier: BSD-3-Clause
"""Mounts whose daemon was killed or left while processes map the device, and what follows.

    with gives_all_back(target), Client() as client:
        where, pinned = killed_over(target, client)
        inherited(where, pinned)
        spared_while_held(where, pinned, client)
"""

import contextlib
import errno
import os

from check import opened, same
from clients import hold_range
from fill import empty_fill, filled_and_spared
from pins import EARLIER, list_pins, write_units
from target import space, wait_for

# What a call on a mount fails with whose daemon is gone.
GONE = (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ENODEV)


def mount(target):
    target.mount()
    return target.where


def mount_again(target):
    target.kill()
    return mount(target)


def pins_of(where):
    with opened(where, os.O_RDONLY) as root:
        return list_pins(root)


def wait_no_pins(where, what="the pin of a client that is gone to end"):
    wait_for(lambda: not pins_of(where), 15, what)


def comes_back(where, before):
    wait_for(lambda: space(where) == before, 15,
        f"the space: {space(where)}, before {before} (blocks, available, inodes)")


@contextlib.contextmanager
def gives_all_back(target):
    """In the end the mount has the space that it has now, and is unmounted."""
    with target.mounted() as where:
        before = space(where)
    yield
    comes_back(target.where, before)
    target.unmount()


def inherited(where, runs_of_client):
    """The mount knows of one pin that is not its own, of all those pages."""
    found = pins_of(where)
    same([pin.flags & EARLIER for pin in found], [EARLIER], "flags of the pins")
    same(found[0].nr_pages * 4096, sum(end - first for first, end in runs_of_client), "bytes held")


def held(target, client, locked=True):
    """Mount, and have the client hold a file that has no name any more; its pages."""
    where = mount(target)
    write_units(f"{where}/f", 6)
    pinned = client.call(hold_range, f"{where}/f", 0, 0, locked)
    os.unlink(f"{where}/f")
    return pinned


def killed_over(target, client, locked=True):
    """As held; then the daemon is killed, and another one mounts."""
    pinned = held(target, client, locked)
    return mount_again(target), pinned


def spared_while_held(where, pinned, client):
    """The full filesystem has none of those pages, and is emptied again."""
    filled_and_spared(where, pinned)
    client.still_there()
    empty_fill(where)
