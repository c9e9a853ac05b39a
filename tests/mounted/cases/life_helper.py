# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 90
# mount -t fuse.devdaxfs, and a line of fstab.

import os
import subprocess

from check import check, main, read_file, same, write_file
from mounthelper import helper
from target import Target, daemons_below, mount_line, patience, wait_for


def fresh():
    target = Target.of_environment()
    target.mkfs()
    return target


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=patience(30), check=False)


def unmount(target):
    same(run("umount", target.where).returncode, 0)
    wait_for(lambda: not daemons_below(target.directory, target.program("devdaxfs")), 20,
             "the daemon to end")


def test_mount():
    target = fresh()
    with helper(target):
        result = run("mount", "-t", "fuse.devdaxfs", target.source, target.where)
        same(result.returncode, 0, result.stderr)
        same(mount_line(target.where)[:2], (target.source, "fuse.devdaxfs"))
        write_file(f"{target.where}/f", b"x")
        unmount(target)


def test_options():
    target = fresh()
    with helper(target):
        result = run("mount", "-t", "fuse.devdaxfs", "-o",
                     "noatime,nosuid,nodev,noexec,allow_other,errors=remount-ro,x-test.word=5",
                     target.source, target.where)
        same(result.returncode, 0, result.stderr)
        options = mount_line(target.where)[2]
        for word in ("noatime", "nosuid", "nodev", "noexec", "allow_other"):
            check(word in options, f"{word} is not in {options}")
        unmount(target)
        result = run("mount", "-r", "-t", "fuse.devdaxfs", target.source, target.where)
        same(result.returncode, 0, result.stderr)
        check("ro" in mount_line(target.where)[2], "mount -r")
        unmount(target)


def test_refused():
    target = fresh()
    with helper(target):
        result = run("mount", "-t", "fuse.devdaxfs", "-o", "nonsense", target.source, target.where)
        check(result.returncode != 0 and "nonsense" in result.stderr, result.stderr)
        result = run("mount", "-t", "fuse.devdaxfs", f"{target.source}.missing", target.where)
        check(result.returncode != 0 and result.stderr, "a missing source")
        check(not mount_line(target.where), "mounted")


def test_fstab():
    target = fresh()
    table = os.path.join(target.directory, "fstab")
    with open(table, "w", encoding="ascii") as file:
        file.write(f"{target.source} {target.where} fuse.devdaxfs "
                   "defaults,nofail,noatime,allow_other,x-systemd.device-timeout=5 0 0\n")
    with helper(target):
        for command in (("mount", "-T", table, target.where), ("mount", "-T", table, "-a")):
            result = run(*command)
            same(result.returncode, 0, result.stderr)
            same(mount_line(target.where)[:2], (target.source, "fuse.devdaxfs"))
            write_file(f"{target.where}/f", b"x")
            same(read_file(f"{target.where}/f"), b"x")
            unmount(target)


def test_mount_all_twice():
    """mount -a leaves alone what is mounted already."""
    target = fresh()
    table = os.path.join(target.directory, "fstab")
    with open(table, "w", encoding="ascii") as file:
        file.write(f"{target.source} {target.where} fuse.devdaxfs defaults 0 0\n")
    with helper(target):
        for _ in range(2):
            result = run("mount", "-T", table, "-a")
            same(result.returncode, 0, result.stderr)
        with open("/proc/self/mounts", encoding="utf-8") as file:
            same(sum(target.where in line for line in file), 1, "mounts")
        unmount(target)


main()
