# SPDX-License-Identifier: BSD-3-Clause
# statfs(2): what it says, and that it moves with what is used.

import os

from check import DEVDAXFS, check, main, opened, same, write_file
from target import wait_for

MIB = 1 << 20


def test_fields():
    stat = os.statvfs(".")
    same(stat.f_namemax, 255)
    check(stat.f_bsize >= 512 and stat.f_frsize >= 512, "block size")
    check(0 < stat.f_bavail <= stat.f_bfree <= stat.f_blocks, "blocks")
    check(0 < stat.f_ffree <= stat.f_files, "inodes")
    if DEVDAXFS:
        same((stat.f_bsize, stat.f_frsize), (4096, 4096))


def test_same_everywhere():
    write_file("f")
    os.mkdir("d")
    with opened("f") as fd:
        whole = os.statvfs(".")
        for place in ("f", "d", fd):
            same(os.statvfs(place)[:5], whole[:5])


def test_blocks_move():
    before = os.statvfs(".")
    write_file("f", b"x" * 8 * MIB)
    os.sync()
    used = (before.f_bfree - os.statvfs(".").f_bfree) * before.f_frsize
    check(8 * MIB <= used <= 9 * MIB, f"{used} bytes for 8 MiB")
    os.unlink("f")
    wait_for(lambda: abs(os.statvfs(".").f_bfree - before.f_bfree) < 64, 10, "the blocks back")


def test_inodes_move():
    before = os.statvfs(".").f_ffree
    for number in range(100):
        write_file(f"f{number}")
    used = before - os.statvfs(".").f_ffree
    check(100 <= used <= 200, f"{used} for 100 files; what they take of the free space counts too")
    for number in range(100):
        os.unlink(f"f{number}")
    wait_for(lambda: os.statvfs(".").f_ffree == before, 10, "the inodes back")


main()
