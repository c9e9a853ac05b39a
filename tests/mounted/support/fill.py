# SPDX-License-Identifier: BSD-3-Clause
"""Filling a filesystem to the last block, and whether pinned pages were spared."""

import errno
import os

from check import check, scale
from pins import UNITS, overlap, runs_of_all_files

FULL = (errno.ENOSPC,)
FILLER = b"\xee"
WRITTEN = scale(200 << 20, 24 << 20)  # bytes of a full filesystem that are really written


def write_until_full(path):
    """An ordinary file of FILLER bytes, as large as there is room for."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        for size in (4 << 20, 64 << 10, 4 << 10):
            data = FILLER * size
            try:
                while True:
                    os.write(fd, data)
            except OSError as error:
                if error.errno not in FULL:
                    raise
    finally:
        os.close(fd)


def reserve_all_but(path, least):
    """A file of blocks that are not written, which is quick, until only so many bytes are free."""
    with open(path, "wb") as file:
        size = 1 << 40
        while size >= 4 << 20:
            stat = os.statvfs(path)
            if stat.f_bavail * stat.f_frsize < least + size:
                size //= 2
            else:
                end = os.fstat(file.fileno()).st_size
                os.posix_fallocate(file.fileno(), end, size)


def fill(where):
    """Files in a directory "fill" until not even an empty one, or a name, fits."""
    directory = os.path.join(where, "fill")
    os.mkdir(directory)
    reserve_all_but(os.path.join(directory, "reserved"), WRITTEN)
    write_until_full(os.path.join(directory, "large"))
    for number in range(300):
        try:
            fd = os.open(os.path.join(directory, f"small{number}"), os.O_WRONLY | os.O_CREAT, 0o644)
        except OSError as error:
            if error.errno not in FULL:
                raise
            return
        try:
            os.write(fd, FILLER * 5000)
        except OSError as error:
            if error.errno not in FULL:
                raise
        finally:
            os.close(fd)


def empty_fill(where):
    directory = os.path.join(where, "fill")
    for name in os.listdir(directory):
        os.unlink(os.path.join(directory, name))
    os.rmdir(directory)


def spared(where, pinned):
    """No file of the mount has any of the (first, end) on the device."""
    found = overlap(runs_of_all_files(where), sorted(pinned))
    check(not found, f"a file has {found[0] if found else ''}, pinned is {found and found[1]}")


def filled_and_spared(where, pinned):
    """Fill it up: the pinned pages are in no file."""
    fill(where)
    free = os.statvfs(where).f_bavail
    check(free < 64, f"{free} blocks were left free")
    spared(where, pinned)


def holds(data, unit):
    """Whether the bytes are still those of write_units, unit by unit, from the first on."""
    return all(data[at:at + unit] == UNITS[at // unit:at // unit + 1] * unit
        for at in range(0, len(data), unit))


__all__ = ["empty_fill", "fill", "filled_and_spared", "holds", "spared"]
