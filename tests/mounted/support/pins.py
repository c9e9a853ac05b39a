# SPDX-License-Identifier: BSD-3-Clause
"""The pin ioctls of src/devdaxfs_ioctl.h, field by field.

    with opened("f") as fd:
        pin = pin_range(fd, 0, 0)
        ...
        unpin(fd, pin.id)

Each raises OSError as os does, and waits as the ioctl does.
"""

import collections
import contextlib
import fcntl
import os
import struct
import tempfile

from check import check
from syscalls import FS_DAX_FL, get_flags, set_flags

PAGE = 4096

READ, WRITE = 1, 2
FAULT, GROW, WHOLE_UNITS, NOWAIT, BAD_HOLES = 1, 2, 4, 8, 16
HOLE, UNWRITTEN, BAD = 1, 2, 4
RECALLED, EXPIRED, LINGERING, EARLIER = 1, 2, 4, 8
MEMORY_FS_DAX = 0
LOCK_CLIENTS, LOCK_EPOCH = 1, 1 << 32
EXTENTS_MAX, PINS_MAX = 128, 64

EXTENT = struct.Struct("=QQQII")
INFO = struct.Struct("=16sIIIIQQQQQ4096s")
PIN = struct.Struct("=QQIIIIQ")
PIN_EXTENTS = struct.Struct("=QII")
LAYOUT = struct.Struct("=QQIIQ")
SYNC = struct.Struct("=QQ")
STATS = struct.Struct("=QQQQQ")
PINS = struct.Struct("=QII")
PIN_INFO = struct.Struct("=QQQQQqIIiIIIiI16s")

PIN_BYTES = PIN.size + 4 * EXTENT.size
PIN_EXTENTS_BYTES = PIN_EXTENTS.size + EXTENTS_MAX * EXTENT.size
LAYOUT_BYTES = LAYOUT.size + EXTENTS_MAX * EXTENT.size
PINS_BYTES = PINS.size + PINS_MAX * PIN_INFO.size


def number(direction, which, size):
    """An ioctl number: direction 1 is in, 2 is out."""
    return direction << 30 | size << 16 | 0xdd << 8 | which


IOC_INFO = number(2, 4, INFO.size)
IOC_PIN = number(3, 5, PIN_BYTES)
IOC_UNPIN = number(1, 6, 8)
IOC_PIN_EXTENTS = number(3, 7, PIN_EXTENTS_BYTES)
IOC_LAYOUT = number(3, 8, LAYOUT_BYTES)
IOC_SYNC = number(1, 9, SYNC.size)
IOC_PIN_STATS = number(2, 10, STATS.size)
IOC_PINS = number(3, 11, PINS_BYTES)

Extent = collections.namedtuple("Extent", "off len device_off flags")
Info = collections.namedtuple("Info", "uuid epoch memory flags granularity device inode size_bytes "
    "align_bytes unit_bytes path")
Pin = collections.namedtuple("Pin", "id off len nr_extents extents")
Stats = collections.namedtuple("Stats", "pins pages recalled breaks queued")
PinInfo = collections.namedtuple("PinInfo", "id node off len nr_pages since_sec since_nsec mode "
    "pid flags seconds_left nr_waiting waiting_pid pad comm")


def call(fd, request, data):
    """The ioctl with that many bytes in and out; what came out."""
    buffer = bytearray(data)
    fcntl.ioctl(fd, request, buffer, True)
    return buffer


def extents_at(buffer, offset, count):
    return [Extent(*EXTENT.unpack_from(buffer, offset + i * EXTENT.size)[:4]) for i in range(count)]


def device_info(fd):
    fields = list(INFO.unpack(call(fd, IOC_INFO, bytes(INFO.size))))
    fields[-1] = os.fsdecode(fields[-1].split(b"\0", 1)[0])
    return Info(*fields)


def pin_bytes(off=0, length=0, mode=READ | WRITE, flags=0, epoch=0):
    """The argument of DDFS_IOC_PIN."""
    return PIN.pack(off, length, mode, flags, epoch, 0, 0) + bytes(4 * EXTENT.size)


def pin_range(fd, off=0, length=0, mode=READ | WRITE, flags=0, epoch=0):
    """Pin it; the Pin, with all of its extents."""
    buffer = call(fd, IOC_PIN, pin_bytes(off, length, mode, flags, epoch))
    off, length, _, _, _, count, number_of_pin = PIN.unpack_from(buffer)
    extents = extents_at(buffer, PIN.size, min(count, 4))
    if count > 4:
        extents = pin_extents(fd, number_of_pin)
    check(len(extents) == count, f"{count} extents were promised, {len(extents)} came")
    return Pin(number_of_pin, off, length, count, extents)


def unpin(fd, which):
    fcntl.ioctl(fd, IOC_UNPIN, struct.pack("=Q", which))


def pin_extents_once(fd, which, first):
    buffer = call(fd, IOC_PIN_EXTENTS, PIN_EXTENTS.pack(which, first, 0)
        + bytes(EXTENTS_MAX * EXTENT.size))
    return extents_at(buffer, PIN_EXTENTS.size, PIN_EXTENTS.unpack_from(buffer)[2])


def pin_extents(fd, which):
    found = []
    while True:
        more = pin_extents_once(fd, which, len(found))
        if not more:
            return found
        found += more


def layout_once(fd, off=0, length=0, flags=0):
    """Extents, and the offset to go on at."""
    buffer = call(fd, IOC_LAYOUT, LAYOUT.pack(off, length, flags, 0, 0)
        + bytes(EXTENTS_MAX * EXTENT.size))
    _, _, _, count, following = LAYOUT.unpack_from(buffer)
    return extents_at(buffer, LAYOUT.size, count), following


def layout(fd, flags=0):
    """All extents of the file."""
    found, at, size = [], 0, os.fstat(fd).st_size
    while at < size:
        extents, following = layout_once(fd, at, 0, flags)
        check(following > at, f"the layout does not get past {at}")
        found += extents
        at = following
    return found


def sync_range(fd, off=0, length=0):
    fcntl.ioctl(fd, IOC_SYNC, SYNC.pack(off, length))


def pin_stats(fd):
    return Stats(*STATS.unpack(call(fd, IOC_PIN_STATS, bytes(STATS.size))))


def pins_once(fd, after=0):
    buffer = call(fd, IOC_PINS, PINS.pack(after, 0, 0) + bytes(PINS_MAX * PIN_INFO.size))
    found = []
    for i in range(PINS.unpack_from(buffer)[1]):
        fields = list(PIN_INFO.unpack_from(buffer, PINS.size + i * PIN_INFO.size))
        fields[-1] = os.fsdecode(fields[-1].split(b"\0", 1)[0])
        found.append(PinInfo(*fields))
    return found


def list_pins(fd):
    """All pins of the file or, on the root directory, of the mount."""
    found = []
    while True:
        more = pins_once(fd, found[-1].id if found else 0)
        found += more
        if len(more) < PINS_MAX:
            return found


# ---- files ----------------------------------------------------------------------------------


def make_dax(directory="."):
    """What is created in the directory from now on is a DAX inode."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        set_flags(fd, get_flags(fd) | FS_DAX_FL)
    finally:
        os.close(fd)


def unit_of(path="."):
    """Allocation unit of DAX inodes; never less than a page."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return device_info(fd).unit_bytes
    finally:
        os.close(fd)


UNITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def make_file(path):
    """An empty DAX inode, wherever it is, in place of what was there. It inherits that from a
    directory: a flag of its own would count only once the kernel has released its descriptor."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path) or ".") as directory:
        make_dax(directory)
        new = os.path.join(directory, "new")
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT, 0o644))
        os.rename(new, path)


def write_units(path, count, unit=None):
    """A DAX inode whose every allocation unit is full of a letter of its own."""
    unit = unit or unit_of(os.path.dirname(path) or ".")
    make_file(path)
    fd = os.open(path, os.O_WRONLY)
    try:
        for i in range(count):
            check(os.pwrite(fd, UNITS[i:i + 1] * unit, i * unit) == unit, "a short write")
    finally:
        os.close(fd)


def letters(fd, unit):
    """What write_units wrote and others moved: a letter a unit, "." for zeroes, "?" for a mix."""
    found = ""
    for at in range(0, os.fstat(fd).st_size, unit):
        data = os.pread(fd, unit, at)
        if data.count(data[0]) == len(data):
            found += chr(data[0]) if data[0] else "."
        else:
            found += "?"
    return found


# ---- pages of the device --------------------------------------------------------------------


def runs(extents):
    """(first, end) on the device of what has pages, sorted."""
    return sorted((e.device_off, e.device_off + e.len) for e in extents if not e.flags & HOLE)


def overlap(one, other):
    """The first two runs of the lists that share a byte, or None."""
    i = j = 0
    while i < len(one) and j < len(other):
        if one[i][0] < other[j][1] and other[j][0] < one[i][1]:
            return one[i], other[j]
        if one[i][1] <= other[j][1]:
            i += 1
        else:
            j += 1
    return None


def runs_of_all_files(where):
    """(first, end) on the device of every regular file of the mount, sorted."""
    found = []
    for root, _, names in os.walk(where):
        for name in names:
            fd = os.open(os.path.join(root, name), os.O_RDONLY | os.O_NOFOLLOW)
            try:
                found += runs(layout(fd))
            finally:
                os.close(fd)
    return sorted(found)


@contextlib.contextmanager
def device_opened(info, flags=os.O_RDWR):
    """The device or image that the mount lies on, as a client opens it."""
    fd = os.open(info.path, flags)
    try:
        stat = os.fstat(fd)
        found = (stat.st_rdev, 0) if info.memory == MEMORY_FS_DAX else (stat.st_dev, stat.st_ino)
        check(found == (info.device, info.inode), f"{info.path} is another device: {found}")
        yield fd
    finally:
        os.close(fd)


def lock_byte(fd, byte, kind=fcntl.F_RDLCK):
    """An open-file-description lock of one byte, or BlockingIOError."""
    F_OFD_SETLK = 37
    fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0))


def lock_device(fd, epoch):
    """The two locks that a client holds while it maps the device."""
    lock_byte(fd, LOCK_CLIENTS)
    lock_byte(fd, LOCK_EPOCH + epoch)
