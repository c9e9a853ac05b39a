# SPDX-License-Identifier: BSD-3-Clause
"""A daemon whose memory can be poisoned.

    target = PoisonTarget.of_environment()
    target.mkfs()
    with target.mounted():
        target.poison(offset)
        expect(errno.EIO, os.pread, fd, 4096, 0)
        target.heal(offset)

Offsets are bytes of the device. tests/poison/poison.c, preloaded into the daemon, does it to the
daemon's own view, until the daemon ends. machine_check() is for the real device of a virtual
machine: the machine tells the kernel, which tells whoever maps the page, and lists it for good.
"""

import contextlib
import errno
import functools
import os
import re
import socket
import subprocess

from check import Skip, check, opened, read_file, write_file
from media import BLOCK, Media
from pins import HOLE, layout
from target import Target, patience, wait_for

PORT = os.environ.get("DDFS_VM_MACHINE_CHECKS")
CRASH = re.compile("Sanitizer|runtime error|given back while|Structure needs cleaning")
RUNTIME = re.compile(r"=> (\S*lib[at]san\S*)")


class PoisonTarget(Target):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.socket = os.path.join(self.directory, "poison")
        self.environment = {**os.environ, "DDFS_POISON_SOCKET": self.socket,
            "DDFS_POISON_FILE": self.source, "LD_PRELOAD": ":".join(self.libraries())}
        if not self.image and alignment(self.source) > BLOCK:
            self.environment = None

    @staticmethod
    def of_environment(size=None):
        env = os.environ
        target = PoisonTarget(env["DDFS_BUILD"], env["DDFS_WORK"], env.get("DDFS_SOURCE") or None,
            env.get("DDFS_OPTIONS", ""), (size or int(env.get("DDFS_SIZE", "1024"))) << 20)
        return target

    def libraries(self):
        """What to preload; the run-time library of a sanitizer wants to be the first."""
        needed = subprocess.run(["ldd", self.program("devdaxfs")], capture_output=True, text=True,
            check=True).stdout
        return [*RUNTIME.findall(needed), os.path.join(self.build, "tests/poison/libpoison.so")]

    def poison_from_the_start(self, *offsets):
        """What the next daemons find poisoned when they map the device; none without arguments."""
        self.needs_agent()
        self.environment["DDFS_POISON_AT"] = " ".join(f"{off} {BLOCK}" for off in offsets)

    def set_clears(self, clears):
        """Whether the device of the next daemons can be told to clear poison."""
        self.needs_agent()
        self.environment.pop("DDFS_POISON_CLEARS", None)
        if clears:
            self.environment["DDFS_POISON_CLEARS"] = "1"

    def clears(self):
        return self.image and "DDFS_POISON_CLEARS" in self.environment

    def needs_agent(self):
        if not self.environment:
            raise Skip("part of a larger page cannot be poisoned in a mapping of this device")

    def order(self, text):
        self.needs_agent()
        with socket.socket(socket.AF_UNIX) as to:
            to.settimeout(patience(20))
            to.connect(self.socket)
            to.sendall(text.encode())
            answer = to.recv(200).decode().strip()
        check(answer == "ok", f"{text}: {answer}")

    def poison(self, off, length=BLOCK):
        self.order(f"poison {off} {length}")

    def heal(self, off, length=BLOCK):
        self.order(f"heal {off} {length}")

    def media(self):
        return Media(self.source)

    def ddfs(self, *arguments):
        return subprocess.run([os.path.join(self.build, "tools/ddfs"), *arguments], text=True,
            capture_output=True, timeout=patience(30), check=False)


def alignment(device):
    with open(f"/sys/bus/dax/devices/{os.path.basename(device)}/align", encoding="ascii") as file:
        return int(file.read())


def on_poisoned(test):
    """As on_target, with a target that can be poisoned."""
    @functools.wraps(test)
    def run():
        run_on(test, PoisonTarget.of_environment())

    return run


def either_way(test):
    """The same twice: on a device that cannot clear poison, and on one that can; a real one is as
    it is."""
    @functools.wraps(test)
    def run():
        for clears in (False,) if os.environ.get("DDFS_SOURCE") else (False, True):
            target = PoisonTarget.of_environment()
            target.set_clears(clears)
            run_on(test, target)

    return run


def on_device(test):
    """As on_poisoned, on a device of tests/vm/run, for machine checks."""
    @functools.wraps(test)
    def run():
        if not PORT or not os.environ.get("DDFS_SOURCE"):
            raise Skip("for a device of tests/vm/run")
        target = PoisonTarget.of_environment()
        target.environment = None
        run_on(test, target)

    return run


def run_on(test, target):
    """The daemon must live to the end. It may well speak of what is damaged."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target.log_path)
    target.mkfs()
    try:
        test(target)
    finally:
        target.end()
    check(not CRASH.search(target.log()), f"the daemon said:\n{target.log()}")


# ---- machine checks -----------------------------------------------------------------------------


def region_of(device):
    """The directory in /sys of the region that the device lies in."""
    at = os.path.realpath(f"/sys/bus/dax/devices/{os.path.basename(device)}")
    while not os.path.basename(at).startswith("region"):
        at = os.path.dirname(at)
        check(at != "/", f"{device} is in no region")
    return at


def region_badblocks(device):
    """(first, end) in bytes of the device, as the kernel lists them for its region."""
    region = region_of(device)
    with open(f"{region}/badblocks", encoding="ascii") as file:
        lines = [tuple(map(int, line.split())) for line in file]
    base = physical(device) - number_in(f"{region}/resource")
    return [(first * 512 - base, (first + count) * 512 - base) for first, count in lines]


def number_in(path):
    with open(path, encoding="ascii") as file:
        return int(file.read(), 0)


def physical(device):
    """Where in the machine's memory the device begins."""
    return number_in(f"/sys/bus/dax/devices/{os.path.basename(device)}/resource")


def machine_check(target, off):
    """The machine reports that the block is bad; returns once the kernel lists it."""
    with open(PORT, "w", encoding="ascii") as port:
        port.write(f"{physical(target.source) + off:#x} 12\n")

    def is_listed():
        return any(first <= off < end for first, end in region_badblocks(target.source))

    wait_for(is_listed, 20, f"the kernel to list {off} among {region_badblocks(target.source)}")


# ---- files --------------------------------------------------------------------------------------


def block_at(path, off):
    """Where on the device the byte of the file lies."""
    with opened(path, os.O_RDONLY) as fd:
        for extent in layout(fd):
            if extent.off <= off < extent.off + extent.len and not extent.flags & HOLE:
                return extent.device_off + off - extent.off
    raise AssertionError(f"{path} has nothing at {off}")


def drop_cache(path):
    """What the kernel keeps of the file's data."""
    with opened(path, os.O_RDONLY) as fd:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def read_at(path, off, length):
    """What one read(2) gives, or the name of its error."""
    with opened(path, os.O_RDONLY) as fd:
        try:
            return os.pread(fd, length, off)
        except OSError as error:
            return errno.errorcode[error.errno]


def lives(target):
    """The daemon does, and other files work."""
    check(target.process.poll() is None, f"the daemon is gone:\n{target.log()}")
    path = f"{target.where}/other"
    write_file(path, b"other" * 5000)
    check(read_file(path) == b"other" * 5000, "another file")
    os.rename(path, path + "2")
    os.unlink(path + "2")


__all__ = ["PoisonTarget", "block_at", "drop_cache", "either_way", "lives", "machine_check",
    "on_device", "on_poisoned", "read_at", "region_badblocks", "run_on"]
