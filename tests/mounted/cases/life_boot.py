# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# size: 64
# timeout: 200
# A line of fstab(5) under systemd, with udev and the rule that is installed, in a virtual machine:
# a systemd that thinks it boots, in namespaces of its own.

import contextlib
import os
import shutil
import signal
import subprocess

from check import Skip, check, main, read_file, same, write_file
from mounthelper import helper
from target import Target, daemons_below, patience, wait_for

SYSTEMD = os.path.realpath("/lib/systemd/systemd")
RULE = os.path.join(os.path.dirname(os.environ["DDFS_CASES"]),
                    "../../src/daemon/60-devdaxfs.rules")
BOOT = """\
[Unit]
Wants=local-fs.target systemd-udevd.service systemd-udev-trigger.service
"""
# What it finds is put into its own mount namespace, behind which it becomes process 1.
START = """\
set -e
mount -t tmpfs tmpfs /run/systemd
mount -t tmpfs tmpfs /run/udev
mount -t tmpfs tmpfs /etc/systemd/system
mkdir /run/systemd/system /run/udev/rules.d
if ! mountpoint -q /sys/fs/cgroup; then mount -t cgroup2 cgroup2 /sys/fs/cgroup; fi
cp "$0/boot.target" /etc/systemd/system
cp "$0/60-devdaxfs.rules" /run/udev/rules.d
mount --bind "$0/fstab" /etc/fstab
exec unshare --pid --fork --mount-proc --kill-child /lib/systemd/systemd --unit=boot.target
"""


def needed():
    if not os.environ.get("DDFS_VM") or not os.environ.get("DDFS_SOURCE"):
        raise Skip("it boots: for tests/vm/run, on a device")
    for program in (SYSTEMD, "/lib/systemd/systemd-udevd"):
        if not os.path.exists(program):
            raise Skip(f"no {program}")


class Boot:
    """systemd as process 1, with udev, until the end of the block."""

    def __init__(self, target):
        self.target = target
        directory = os.path.join(target.directory, "boot")
        os.mkdir(directory)
        write_file(f"{directory}/boot.target", BOOT.encode())
        write_file(f"{directory}/fstab", f"{target.source} {target.where} fuse.devdaxfs "
            f"defaults,nofail,x-systemd.device-timeout={patience(20):.0f} 0 0\n".encode())
        shutil.copy(RULE, directory)
        for place in ("/run/systemd", "/run/udev", "/etc/systemd/system"):
            os.makedirs(place, exist_ok=True)
        if not os.path.exists("/etc/fstab"):
            write_file("/etc/fstab")
        self.directory = directory

    def __enter__(self):
        # pylint: disable=consider-using-with # ended in __exit__
        self.outer = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", START, self.directory],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = wait_for(self.find, 20, "systemd to start")
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        self.outer.wait()
        shutil.rmtree(self.directory)

    def find(self):
        """Process 1 of the new namespace: the child that is systemd; others come and go before."""
        check(self.outer.poll() is None, "it could not begin")
        with open(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children",
                  encoding="ascii") as file:
            children = file.read().split()
        for child in children:
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{child}/exe") == SYSTEMD:
                    return int(child)
        return None

    def run(self, *command):
        return subprocess.run(["nsenter", f"--target={self.pid}", "--mount", "--pid", *command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience(20),
            check=False)

    def state(self, unit):
        return self.run("systemctl", "show", "--property=ActiveState", "--value",
                        unit).stdout.strip()

    def unit(self):
        return self.run("systemd-escape", "--path", "--suffix=mount",
                        self.target.where).stdout.strip()


def fresh():
    needed()
    target = Target.of_environment()
    target.mkfs()
    return target


def test_fstab():
    target = fresh()
    with helper(target), Boot(target) as boot:
        unit = boot.unit()
        wait_for(lambda: boot.state(unit) == "active", 30, f"{unit} to be active")
        inside = f"/proc/{boot.pid}/root{target.where}"
        write_file(f"{inside}/f", b"x")
        same(read_file(f"{inside}/f"), b"x")
        result = boot.run("systemctl", "stop", unit)
        same(result.returncode, 0, result.stderr)
        same(boot.state(unit), "inactive")
        wait_for(lambda: not daemons_below(target.directory, target.program("devdaxfs")), 20,
                 "the daemon to end")
    result = subprocess.run([target.program("fsck.devdaxfs"), "-n", target.source],
                            capture_output=True, text=True, check=False)
    same(result.returncode, 0, result.stdout)


main()
