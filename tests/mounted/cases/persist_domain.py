# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 240
# What a persist is, as the platform says, as an option says, and as it is changed while mounted;
# and by the counters that nothing is flushed where that is elided, and all of it where it is not.

import errno
import fcntl
import os
import re
import struct
import subprocess
import tempfile

from check import Skip, as_user, check, expect, main, opened, read_file, same, write_file
from persist import Counted, SET_PERSISTENCE, announced, ddfs, domain, set_persistence, stats
from target import Target, mount_line, on_target, pattern

MIB = 1 << 20
DATA = pattern(3, 3 * MIB + 77)
WORDS = ("cpu_cache", "memory_controller", "none")


def assert_counted(where, flushed):
    """What a write adds to one counter, and not to the other."""
    counted = Counted(where)
    write_file(f"{where}/counted", DATA)
    gain = counted.gained()
    lines = len(DATA) // 64
    wanted, other = ("lines_flushed", "lines_elided") if flushed else ("lines_elided",
                                                                       "lines_flushed")
    check(lines <= gain[wanted] < lines + lines // 10 + 1000, f"{lines} lines, but {gain}")
    same(gain[other], 0, other)
    check(gain["fences"] > 0 and gain["bytes_stored"] >= len(DATA), f"{gain}")
    check(read_file(f"{where}/counted") == DATA, "the data")


@on_target
def test_detected(target):
    wanted = {None: ("volatile", "page"), "cpu_cache": ("cpu_cache",),
              "memory_controller": ("memory_controller",), "unknown": ("memory_controller",)}
    found = domain()
    with target.mounted() as where:
        (word, flush), = announced(target)
        check(word in wanted[found], f"the platform says {found}, the mount {word}")
        same(flush == "elided", word in ("volatile", "cpu_cache"), flush)
        check(stats(where)["persistence"].startswith(f"{word}, flush: "), "not in ddfs stats")
        same(len(re.findall("does not say how far", target.log())), int(found == "unknown"))
        assert_counted(where, word == "memory_controller")


@on_target
def test_option(target):
    for word in WORDS:
        with target.mounted(f"persistence={word}") as where:
            same(announced(target)[-1][0], word)
            check("does not say how far" not in target.log(), "the platform was asked")
            assert_counted(where, word == "memory_controller")


@on_target
def test_set(target):
    with target.mounted("persistence=cpu_cache") as where:
        write_file(f"{where}/f", DATA)
        for word in ("memory_controller", "cpu_cache", "memory_controller", "none",
                     "memory_controller"):
            counted = Counted(where)
            set_persistence(where, word)
            gain = counted.gained()
            check(stats(where)["persistence"].startswith(f"{word}, "), "not what was set")
            # What was stored before, for the first time or again.
            check(gain["lines_flushed"] >= len(DATA) // 64 if word == "memory_controller"
                  else not gain["lines_flushed"], f"{word}: {gain}")
            assert_counted(where, word == "memory_controller")
        counted = Counted(where)
        set_persistence(where, "memory_controller")
        # Little more than timestamps that happen to be due.
        check(counted.gained()["lines_flushed"] < 1000, "set to what it was")
        same([word for word, _ in announced(target)], ["cpu_cache", "memory_controller",
             "cpu_cache", "memory_controller", "none", "memory_controller", "memory_controller"])
        check(read_file(f"{where}/f") == DATA, "the data")
    with target.mounted() as where:
        check(read_file(f"{where}/f") == DATA, "the data, later")


@on_target
def test_set_auto(target):
    with target.mounted() as where:
        first = stats(where)["persistence"]
        set_persistence(where, "none")
        set_persistence(where, "auto")
        same(stats(where)["persistence"], first)


def complaint(*words):
    status, out, text = ddfs(*words)
    same((status, out), (1, ""), f"{words}: {text}")
    same(text.count("\n"), 1, text)
    return text


@on_target
def test_set_wrong(target):
    with target.mounted() as where:
        write_file(f"{where}/f", b"x")
        check("not one of" in complaint("set", where, "persistence=x"), "a value")
        check("no setting" in complaint("set", where, "colour=x"), "a name")
        check("no setting" in complaint("set", where, "persistence"), "no value")
        check("mount point" in complaint("set", f"{where}/f", "persistence=none"), "a file")
        same(ddfs("set", where)[0], 1)
        check("devdaxfs" in complaint("set", "/proc", "persistence=none"), "no devdaxfs")
        check("whole mounts" in complaint("stats", f"{where}/f"), "stats of a file")
        check(ddfs("set", "--help")[1].startswith("usage: ddfs set"), "help")


@on_target
def test_set_ioctl(target):
    def change(path, wanted, pad=0):
        with opened(path, os.O_RDONLY) as fd:
            fcntl.ioctl(fd, SET_PERSISTENCE, struct.pack("II", wanted, pad))

    with target.mounted() as where:
        os.mkdir(f"{where}/d")
        os.chmod(where, 0o777)
        change(where, 3)
        expect(errno.EINVAL, change, where, 4)
        expect(errno.EINVAL, change, where, 1, 1)
        expect(errno.ENOTTY, change, f"{where}/d", 1)
        as_user(expect, errno.EPERM, change, where, 1)
        check(stats(where)["persistence"].startswith("none"), "changed")


@on_target
def test_remount(target):
    """mount(8) is told where to go."""
    with target.mounted() as where:
        result = subprocess.run([target.program("devdaxfs"), "-o", "remount,persistence=none",
                                 target.source, where], capture_output=True, text=True,
                                check=False)
        check(result.returncode, "a remount changed it")
        check("ddfs set" in target.log(), target.log())


def test_disk():
    """The page cache of an image on a disk is what it is."""
    with tempfile.TemporaryDirectory(prefix="ddfs-persist.", dir="/var/tmp") as directory:
        kind = subprocess.run(["stat", "-f", "-c", "%T", directory], capture_output=True,
                              text=True, check=True).stdout.strip()
        if kind in ("tmpfs", "ramfs", "overlayfs"):
            raise Skip(f"/var/tmp is {kind}")
        target = Target(os.environ["DDFS_BUILD"], directory, size=64 << 20)
        try:
            target.mkfs()
            with target.mounted() as where:
                same(announced(target), [("page", "fdatasync")])
                for word in ("cpu_cache", "memory_controller"):
                    check("on a disk" in complaint("set", where, f"persistence={word}"), word)
                set_persistence(where, "none")
                write_file(f"{where}/f", DATA)
                set_persistence(where, "auto")
                check(read_file(f"{where}/f") == DATA, "the data")
        finally:
            target.end()


def test_read_only():
    target = Target.of_environment()
    target.mkfs()
    if not target.image:
        raise Skip("a device that can't be written is wanted: an image is easier made so")
    os.chmod(target.source, 0o400)
    subprocess.run(["chattr", "+i", target.source], check=False, stderr=subprocess.DEVNULL)
    try:
        with target.mounted("ro") as where:
            check("ro" in mount_line(where)[2], "not read-only")
            if stats(where)["persistence"] != "read-only":
                raise Skip("root may write it all the same")
            check("read" in complaint("set", where, "persistence=none"), "it was set")
    finally:
        subprocess.run(["chattr", "-i", target.source], check=False, stderr=subprocess.DEVNULL)


main()
