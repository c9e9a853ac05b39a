# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 120
# Read-only mounts, remount, and the access-time options.

import errno
import os
import subprocess
import time

from check import check, expect, main, opened, read_file, same, write_file
from mounthelper import helper
from target import Target, mount_line

DAY = 86400


def fresh():
    target = Target.of_environment()
    target.mkfs()
    return target


def remount(target, options):
    with helper(target):
        return subprocess.run(["mount", "-o", f"remount,{options}", target.where], text=True,
                              capture_output=True, check=False)


def test_read_only():
    target = fresh()
    with target.mounted() as where:
        write_file(f"{where}/f", b"data")
        os.mkdir(f"{where}/d")
    with target.mounted("ro") as where:
        check("ro" in mount_line(where)[2], "not shown in /proc/mounts")
        same(read_file(f"{where}/f"), b"data")
        for call, arguments in ((os.open, ("f", os.O_WRONLY)), (os.mkdir, ("e",)),
                                (os.open, ("g", os.O_CREAT | os.O_WRONLY)), (os.unlink, ("f",)),
                                (os.rmdir, ("d",)), (os.chmod, ("f", 0o600)),
                                (os.chown, ("f", 1, 1)), (os.utime, ("f", (1, 1))),
                                (os.truncate, ("f", 0)), (os.setxattr, ("f", "user.a", b"b"))):
            expect(errno.EROFS, call, f"{where}/{arguments[0]}", *arguments[1:])
        for call in (os.link, os.rename, os.symlink):
            expect(errno.EROFS, call, f"{where}/f", f"{where}/g")
        os.statvfs(where)


def test_read_only_changes_nothing():
    target = fresh()
    if not target.image:
        raise Skip("compares the image file")
    with target.mounted() as where:
        write_file(f"{where}/f", b"data" * 10_000)
    with open(target.source, "rb") as file:
        before = file.read(64 << 20)
    with target.mounted("ro,strictatime") as where:
        read_file(f"{where}/f")
        os.listdir(where)
    with open(target.source, "rb") as file:
        check(file.read(64 << 20) == before, "a read-only mount wrote to the image")


def test_remount_read_only_and_back():
    target = fresh()
    with target.mounted() as where:
        write_file(f"{where}/f", b"one")
        for _ in range(3):
            result = remount(target, "ro")
            same(result.returncode, 0, result.stderr)
            check("ro" in mount_line(where)[2], "still rw in /proc/mounts")
            expect(errno.EROFS, write_file, f"{where}/g")
            expect(errno.EROFS, os.unlink, f"{where}/f")
            same(read_file(f"{where}/f"), b"one")
            result = remount(target, "rw")
            same(result.returncode, 0, result.stderr)
            check("rw" in mount_line(where)[2], "still ro in /proc/mounts")
            write_file(f"{where}/g", b"two")
            os.unlink(f"{where}/g")
        same(mount_line(where)[:2], (target.source, "fuse.devdaxfs"), "after remounts")


def test_remount_busy():
    target = fresh()
    with target.mounted() as where:
        with opened(f"{where}/f", os.O_RDWR | os.O_CREAT) as fd:
            result = remount(target, "ro")
            check(result.returncode != 0, "a file is open for writing")
            os.write(fd, b"still writable")
        write_file(f"{where}/g")


def test_remount_refused():
    target = fresh()
    with target.mounted() as where:
        result = remount(target, "nonsense")
        check(result.returncode != 0, "an unknown option was taken")
        write_file(f"{where}/f")


def set_back(path):
    """atime two days ago, mtime and ctime after it."""
    os.utime(path, (time.time() - 2 * DAY, time.time() - 2 * DAY - 100))
    return os.stat(path).st_atime


def read_moves_atime(path):
    before = os.stat(path).st_atime_ns
    time.sleep(0.02)
    with opened(path, os.O_RDONLY) as fd:
        os.pread(fd, 10, 0)
    return os.stat(path).st_atime_ns > before


def atime_after(target, path, action):
    action()
    target.unmount()
    target.mount("noatime")
    result = os.stat(path).st_atime
    target.unmount()
    return result


def test_noatime():
    target = fresh()
    with target.mounted("noatime") as where:
        write_file(f"{where}/f", b"data")
        os.utime(f"{where}/f", (1, 1))
        check(not read_moves_atime(f"{where}/f"), "atime moved")
        os.mkdir(f"{where}/d")
        os.utime(f"{where}/d", (1, 1))
        os.listdir(f"{where}/d")
        same(os.stat(f"{where}/d").st_atime, 1)
    check("noatime" in str(mount_options(target, "noatime")), "not shown")


def mount_options(target, options):
    with target.mounted(options) as where:
        return mount_line(where)[2]


def test_strictatime():
    target = fresh()
    with target.mounted("strictatime") as where:
        write_file(f"{where}/f", b"data")
        for _ in range(3):
            check(read_moves_atime(f"{where}/f"), "atime did not move")


def test_relatime():
    target = fresh()
    with target.mounted("relatime") as where:
        path = f"{where}/f"
        write_file(path, b"data")
        set_back(path)
        check(read_moves_atime(path), "older than a day: it moves")
        check(not read_moves_atime(path), "newer than mtime and ctime: it stays")
        time.sleep(0.02)
        with opened(path) as fd:
            os.pwrite(fd, b"DATA", 0)
        check(read_moves_atime(path), "older than mtime: it moves")
        check(not read_moves_atime(path), "and stays")


def atime_reaches_media(options):
    target = fresh()
    target.mount(options)
    path = f"{target.where}/f"
    write_file(path, b"data")
    os.utime(path, (1000, 1000))
    now = time.time()
    result = atime_after(target, path, lambda: read_moves_atime(path))
    check(now - 5 < result < now + 60, f"atime on media is {result}, read at {now}")


def test_atime_is_kept():
    atime_reaches_media("strictatime")


def test_lazytime():
    atime_reaches_media("lazytime,strictatime")


def test_inode_flag_against_strictatime():
    from syscalls import FS_NOATIME_FL, set_flags
    target = fresh()
    with target.mounted("strictatime") as where:
        write_file(f"{where}/f", b"data")
        with opened(f"{where}/f", os.O_RDONLY) as fd:
            set_flags(fd, FS_NOATIME_FL)
        check(not read_moves_atime(f"{where}/f"), "atime moved in spite of chattr +A")


main()
