# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# size: 64
# timeout: 120
# Real machine checks on the real device of a virtual machine: the kernel's list of bad blocks
# grows, for good, and whoever maps them is told.

import ctypes
import mmap
import os

from check import check, main, opened, same, write_file
from command import found
from fill import FILLER, empty_fill, fill
from pins import PAGE, make_file, overlap, runs_of_all_files
from poison import block_at, drop_cache, lives, machine_check, on_device, read_at, region_badblocks
from target import pattern, wait_for

SIZE = 2 << 20
BAD = 300 * PAGE  # of a file of SIZE
DATA = pattern(7, SIZE)
KINDS = ("dax", "ordinary")
MADV_HWPOISON = 100


def make(target, kind):
    path = f"{target.where}/{kind}"
    if kind == "dax":
        make_file(path)
    write_file(path, DATA)
    drop_cache(path)
    return path


def check_bad(path):
    """The one block cannot be read, and all others can."""
    same(read_at(path, BAD, PAGE), "EIO", path)
    same(read_at(path, BAD + 1000, 10), "EIO", path)
    start = BAD - (1 << 19)
    check(read_at(path, start, 1 << 20) == DATA[start:BAD], f"{path}: up to the bad block")
    check(read_at(path, 0, start) == DATA[:start], f"{path}: before it")
    check(read_at(path, BAD + PAGE, 1 << 20) == DATA[BAD + PAGE:], f"{path}: behind it")


def check_good(path, data):
    drop_cache(path)
    for off in range(0, SIZE, 1 << 20):
        check(read_at(path, off, 1 << 20) == data[off:off + (1 << 20)], f"{path}: at {off}")


def listed(where):
    return [(r["file"], r["offset"], r["length"]) for r in found("badblocks", "badblocks", where)]


@on_device
def test_known_at_mount(target):
    with target.mounted():
        bad = [block_at(make(target, kind), BAD) for kind in KINDS]
    for off in bad:
        machine_check(target, off)
    for _ in range(2):
        with target.mounted() as where:
            same(sorted(listed(where)), [(f"{where}/{kind}", BAD, PAGE) for kind in KINDS])
            for kind in KINDS:
                check_bad(f"{where}/{kind}")
            lives(target)


@on_device
def test_while_mounted(target):
    """The kernel's notice is enough: nobody has read it."""
    with target.mounted():
        for kind in KINDS:
            path = make(target, kind)
            machine_check(target, block_at(path, BAD))
            # Not by reading: this kernel does not survive it before the daemon knows.
            wait_for(lambda path=path: (path, BAD, PAGE) in listed(target.where), 10,
                     f"{path} among {listed(target.where)}")
            check_bad(path)
        lives(target)
    with target.mounted() as where:
        for kind in KINDS:
            check_bad(f"{where}/{kind}")


@on_device
def test_overwrite(target):
    """This device cannot clear poison: the data moves, and stays where it went."""
    with target.mounted():
        bad = [block_at(make(target, kind), BAD) for kind in KINDS]
    for off in bad:
        machine_check(target, off)
    new = DATA[:BAD] + b"N" * PAGE + DATA[BAD + PAGE:]
    with target.mounted() as where:
        for kind in KINDS:
            with opened(f"{where}/{kind}") as fd:
                same(os.pwrite(fd, b"N" * PAGE, BAD), PAGE)
            check_good(f"{where}/{kind}", new)
        lives(target)
    with target.mounted() as where:
        for kind, off in zip(KINDS, bad):
            check_good(f"{where}/{kind}", new)
            check(block_at(f"{where}/{kind}", BAD) != off, "the data did not move")


@on_device
def test_never_used_again(target):
    """Neither by this filesystem, nor by the next one that is made."""
    with target.mounted() as where:
        paths = [make(target, kind) for kind in KINDS]
        bad = [block_at(path, BAD) for path in paths]
    for off in bad:
        machine_check(target, off)
    with target.mounted() as where:
        for kind in KINDS:
            os.unlink(f"{where}/{kind}")
        fill_with_good(target)
    target.mkfs()
    with target.mounted():
        fill_with_good(target)


def fill_with_good(target):
    fill(target.where)
    large = f"{target.where}/fill/large"
    drop_cache(large)
    with open(large, "rb") as file:
        data = file.read()
    check(data.count(FILLER) == len(data), "bytes of what fills it")
    found = overlap(runs_of_all_files(target.where), sorted(region_badblocks(target.source)))
    check(not found, f"a file has a bad block: {found}")
    empty_fill(target.where)


def poison_mapping(device, off):
    """As memory failure in the kernel: what is mapped there is taken away, and who maps it told."""
    start = off >> 21 << 21
    with opened(device) as fd, mmap.mmap(fd, 2 << 20, offset=start) as mapping:
        byte = ctypes.c_char.from_buffer(mapping, off - start)
        address = ctypes.addressof(byte)
        libc = ctypes.CDLL(None, use_errno=True)
        ctypes.c_char.from_address(address).value  # touched, so that it is mapped
        os._exit(libc.madvise(ctypes.c_void_p(address), PAGE, MADV_HWPOISON))


@on_device
def test_hwpoison(target):
    """By a process beside, which is killed by it. The kernel keeps no list of that, and what is
    there can still be read: at most the one block is given up."""
    with target.mounted():
        path = make(target, "ordinary")
        off = block_at(path, BAD)
        pid = os.fork()
        if pid == 0:
            poison_mapping(target.source, off)
        check(os.waitpid(pid, 0)[1], "the process that poisoned it lived")
        drop_cache(path)
        check(read_at(path, BAD, PAGE) in ("EIO", DATA[BAD:BAD + PAGE]), "the block")
        for at in (0, BAD - PAGE, BAD + PAGE, SIZE - PAGE):
            check(read_at(path, at, PAGE) == DATA[at:at + PAGE], f"the block at {at}")
        lives(target)


main()
