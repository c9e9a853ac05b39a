# SPDX-License-Identifier: BSD-3-Clause
"""A process that maps the device as libdevdaxfs does, without it.

    with Client() as client:
        runs = client.hold("/mnt/f")
        client.still_there()
"""

import mmap
import os

from check import check
from pins import PAGE, READ, WHOLE_UNITS, WRITE, device_info, lock_device, pin_range, runs
from workers import Worker

HELD = []  # in the client's process: (descriptor, device, mapping, where in it, bytes)


def hold_range(path, off, length, locked):
    """Lock the device, pin, map the first extent; what is pinned, as (first, end) on the device."""
    fd = os.open(path, os.O_RDWR)
    info = device_info(fd)
    device = os.open(info.path, os.O_RDWR)
    if locked:
        lock_device(device, info.epoch)
    pin = pin_range(fd, off, length, READ | WRITE, WHOLE_UNITS)
    first, align = pin.extents[0], max(info.align_bytes, PAGE)
    start = first.device_off // align * align
    end = (first.device_off + first.len + align - 1) // align * align
    mapping = mmap.mmap(device, end - start, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE,
        offset=start)
    at = first.device_off - start
    HELD.append((fd, device, mapping, at, mapping[at:at + first.len]))
    return runs(pin.extents)


def still_there():
    """Every byte of the mappings is what it was when they were made."""
    for _, _, mapping, at, data in HELD:
        check(mapping[at:at + len(data)] == data, "somebody else stored to mapped pages")


def let_go():
    """Unmap and close everything; the process lives on."""
    while HELD:
        fd, device, mapping, _, _ = HELD.pop()
        mapping.close()
        os.close(fd)
        os.close(device)


class Client(Worker):
    def hold(self, path, off=0, length=0, locked=True):
        return self.call(hold_range, path, off, length, locked)

    def still_there(self):
        self.call(still_there)

    def let_go(self):
        self.call(let_go)
