# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 300
# The daemon is killed between any two of its instructions: what was synced is there afterwards, in
# every way to persist and while that is changed.

import mmap
import os
import random
import signal
import struct
import time

from check import check, main, opened, same, scale, write_file
from persist import ddfs
from syscalls import FS_XFLAG_DAX, set_xflags
from target import on_target

RECORD = 100  # bytes, so that lines and pages hold parts of several
FILES = ("ordinary", "dax")


def record(number):
    return struct.pack("<Q", number) * (RECORD // 8) + b"." * (RECORD % 8)


def append(path, synced, slot):
    """Records, each synced before its number is told; until the daemon is gone."""
    fd = os.open(path, os.O_WRONLY)
    number = 0
    try:
        while True:
            os.pwrite(fd, record(number), number * RECORD)
            (os.fsync, os.fdatasync)[number % 2](fd)
            number += 1
            struct.pack_into("<Q", synced, slot * 8, number)
    except OSError:
        os._exit(0)


def start_writers(where, synced):
    children = []
    for slot, name in enumerate(FILES):
        pid = os.fork()
        if pid == 0:
            try:
                append(f"{where}/{name}", synced, slot)
            finally:
                os._exit(1)
        children.append(pid)
    return children


def end_writers(children):
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def assert_there(where, synced):
    for slot, name in enumerate(FILES):
        number = struct.unpack_from("<Q", synced, slot * 8)[0]
        with open(f"{where}/{name}", "rb") as file:
            data = file.read()
        check(len(data) >= number * RECORD, f"{name}: {number} records, {len(data)} bytes")
        for i in range(number):
            same(data[i * RECORD:(i + 1) * RECORD], record(i), f"{name}, record {i} of {number}")
        check(number, f"{name}: none was synced")


def prepare(target):
    with target.mounted() as where:
        for name in FILES:
            write_file(f"{where}/{name}")
        with opened(f"{where}/dax") as fd:
            set_xflags(fd, FS_XFLAG_DAX)


def crash_once(target, seed, persistence, change=()):
    choose = random.Random(seed)
    synced = mmap.mmap(-1, 4096)
    target.mkfs()
    prepare(target)
    target.mount(f"persistence={persistence}")
    children = start_writers(target.where, synced)
    try:
        while not all(struct.unpack_from("<2Q", synced)):
            time.sleep(0.001)
        for word in change:
            ddfs("set", target.where, f"persistence={word}")
        time.sleep(choose.random() * 0.1)
        target.kill()
    finally:
        end_writers(children)
    check("daemon ended" not in target.log(), "said too early")
    with target.mounted() as where:
        assert_there(where, synced)
        check("the daemon ended while it was mounted" in target.log(), target.log())
    os.unlink(target.log_path)


@on_target
def test_killed(target):
    for i in range(scale(6, 3)):
        crash_once(target, i, ("cpu_cache", "memory_controller", "none")[i % 3])


@on_target
def test_killed_while_changed(target):
    for i in range(scale(4, 2)):
        crash_once(target, i, "cpu_cache", ("memory_controller", "cpu_cache") * 3)


main()
