# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 180
# Every kind of sync makes a deep flush, whatever is elided, and is counted by its cause; those that
# meet share one.

import fcntl
import os
import struct
import threading

from check import check, main, opened, same, scale, write_file
from persist import Counted, SYNC
from syscalls import FS_XFLAG_DAX, set_xflags
from target import on_target

CAUSES = ("file", "fs", "write", "range", "mount")
PERSISTENCE = ("auto", "cpu_cache", "memory_controller")
THREADS = 16


def assert_synced(counted, what, **wanted):
    """Deep flushes by cause, and as many made: nobody else asked."""
    gain = counted.gained()
    same({cause: gain[f"syncs_{cause}"] for cause in CAUSES},
         {cause: wanted.get(cause, 0) for cause in CAUSES}, what)
    same(gain["deep_flushes"], sum(wanted.values()), what)


def make(where, name, dax):
    path = f"{where}/{name}"
    write_file(path)
    if dax:
        with opened(path) as fd:
            set_xflags(fd, FS_XFLAG_DAX)
    with opened(path) as fd:
        os.pwrite(fd, b"x" * 8192, 0)
    return path


def sync_file(path, counted, what):
    with opened(path) as fd:
        os.pwrite(fd, b"a" * 100, 10)
        assert_synced(counted, f"{what}: a write")
        os.fsync(fd)
        assert_synced(counted, f"{what}: fsync", file=1)
        os.fdatasync(fd)
        os.fdatasync(fd)
        assert_synced(counted, f"{what}: fdatasync twice", file=2)
        fcntl.ioctl(fd, SYNC, struct.pack("QQ", 0, 0))
        assert_synced(counted, f"{what}: DDFS_IOC_SYNC", range=1)


def write_through(path, counted, what, flags):
    with opened(path, os.O_RDWR | flags) as fd:
        assert_synced(counted, f"{what}: open")
        for i in range(3):
            os.pwrite(fd, b"b" * 100, 10 * i)
        assert_synced(counted, f"{what}: three writes", write=3)
        os.write(fd, b"b" * 5000)
        assert_synced(counted, f"{what}: a longer one", write=1)
        os.pread(fd, 100, 0)
    assert_synced(counted, f"{what}: close")


@on_target
def test_causes(target):
    for persistence in PERSISTENCE:
        with target.mounted(f"persistence={persistence}") as where:
            for dax in (False, True):
                path = make(where, f"f{dax}", dax)
                counted = Counted(where)
                what = f"{persistence}, {'DAX' if dax else 'ordinary'}"
                sync_file(path, counted, what)
                for name, flags in (("O_SYNC", os.O_SYNC), ("O_DSYNC", os.O_DSYNC)):
                    write_through(path, counted, f"{what}, {name}", flags)


@on_target
def test_directory(target):
    with target.mounted() as where:
        os.mkdir(f"{where}/d")
        counted = Counted(where)
        with opened(f"{where}/d", os.O_RDONLY) as fd:
            os.fsync(fd)
        assert_synced(counted, "fsync of a directory", file=1)


@on_target
def test_mount_sync(target):
    """With -o sync each write is one with O_SYNC, on inodes of either kind."""
    with target.mounted("sync") as where:
        for dax in (False, True):
            path = make(where, f"f{dax}", dax)
            counted = Counted(where)
            with opened(path) as fd:
                for i in range(5):
                    os.pwrite(fd, b"c", i)
            gain = counted.gained()
            asked = gain["syncs_write"] + gain["syncs_file"]
            same((asked, gain["deep_flushes"]), (5, 5), f"DAX {dax}: {gain}")


@on_target
def test_shared(target):
    rounds = scale(50, 10)
    with target.mounted() as where:
        paths = [make(where, f"f{i}", False) for i in range(THREADS)]
        counted = Counted(where)

        def run(path):
            with opened(path) as fd:
                for i in range(rounds):
                    os.pwrite(fd, b"d", i)
                    os.fsync(fd)

        threads = [threading.Thread(target=run, args=(path,)) for path in paths]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gain = counted.gained()
        same(gain["syncs_file"], THREADS * rounds, "calls")
        check(0 < gain["deep_flushes"] <= gain["syncs_file"], f"{gain}")
        most = counted.before["most_shared"]
        check(1 <= most <= THREADS, f"at most {most} shared one")
        check((most > 1) == (gain["deep_flushes"] < gain["syncs_file"]), f"{most} shared, {gain}")


main()
