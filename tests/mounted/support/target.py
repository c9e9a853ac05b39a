# SPDX-License-Identifier: BSD-3-Clause
"""A devdaxfs under test: its source, its daemon and its mount point.

    target = Target.of_environment()
    target.mkfs()
    with target.mounted("noatime"):
        ...

Everything lies below one directory of its own, so that whatever a case leaves behind can be found
and ended: tidy() does that, by the path and by the process id, and touches nothing else.
"""

import contextlib
import functools
import os
import re
import signal
import subprocess
import tempfile
import time

from check import scale

MIB = 1 << 20

# What a daemon never says when all is well.
DAMAGE = re.compile(r"Structure needs cleaning|damaged|given back while|Sanitizer|runtime error",
                    re.IGNORECASE)


def patience(seconds):
    """A time to wait at most, longer on slow machines (DDFS_PATIENCE)."""
    return seconds * float(os.environ.get("DDFS_PATIENCE") or "1")


def wait_for(condition, seconds, what):
    end = time.monotonic() + patience(seconds)
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience(seconds):.0f} s for {what}")
        time.sleep(0.01)


def mount_line(path):
    """Source, type and options of the mount at path, or None."""
    found = None
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            source, where, kind, options = line.split()[:4]
            if where == path:
                found = (source, kind, options.split(","))
    return found


def mounts_below(directory):
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
        where = [line.split()[1] for line in mounts]
    return [path for path in reversed(where) if path.startswith(directory + "/")]


def daemons_below(directory, program):
    """Processes of the program that were given a path below the directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.path.realpath(f"/proc/{pid}/exe") != os.path.realpath(program):
                continue
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                arguments = file.read().split(b"\0")
        except OSError:
            continue
        if any(word.startswith(os.fsencode(directory) + b"/") for word in arguments):
            found.append(int(pid))
    return found


def is_alive(pid):
    """Whether the process runs; one that has ended and waits for its parent does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Target:
    def __init__(self, build, directory, source=None, options="", size=1024 * MIB):
        self.build = build
        self.directory = directory
        self.image = source is None
        self.source = source or os.path.join(directory, "image")
        self.options = options
        self.size = size
        self.where = os.path.join(directory, "mnt")
        self.log_path = os.path.join(directory, "daemon.log")
        self.process = None
        self.environment = None  # of the daemon; None: as here
        os.makedirs(self.where, exist_ok=True)

    @staticmethod
    def of_environment(size=None):
        """The target that tests/mounted/run started this case for."""
        env = os.environ
        return Target(env["DDFS_BUILD"], env["DDFS_WORK"], env.get("DDFS_SOURCE") or None,
            env.get("DDFS_OPTIONS", ""), (size or int(env.get("DDFS_SIZE", "1024"))) * MIB)

    def program(self, name):
        places = {"devdaxfs": "src/daemon/devdaxfs", "mkfs.devdaxfs": "tools/mkfs.devdaxfs",
            "fsck.devdaxfs": "tools/fsck.devdaxfs"}
        return os.path.join(self.build, places[name])

    # ---- making -------------------------------------------------------------------------

    def make_image(self):
        if self.image:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.source)
            with open(self.source, "xb") as file:
                file.truncate(self.size)

    def mkfs(self, *options):
        self.make_image()
        result = self.run_mkfs("-q", "-f", *options, self.source)
        if result.returncode != 0:
            raise AssertionError(f"mkfs.devdaxfs: status {result.returncode}: {result.stderr}")

    def run_mkfs(self, *arguments):
        return subprocess.run([self.program("mkfs.devdaxfs"), *arguments], capture_output=True,
            text=True, errors="replace", timeout=patience(60), check=False)

    # ---- mounting -----------------------------------------------------------------------

    def all_options(self, options):
        return ",".join(word for word in ("allow_other", self.options, options) if word)

    def command(self, options="", where=None, source=None):
        return [self.program("devdaxfs"), "-f", "-o", self.all_options(options),
            source or self.source, where or self.where]

    def mount(self, options="", seconds=20):
        """Start a daemon in the foreground and wait until its mount can be used."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(options), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, env=self.environment)
        try:
            wait_for(self.is_settled, seconds, f"the mount at {self.where}")
        except AssertionError:
            self.end()
            raise
        if not mount_line(self.where):
            status = self.process.wait()
            self.process = None
            raise AssertionError(f"devdaxfs ended with status {status}:\n{self.log()}")

    def is_settled(self):
        return mount_line(self.where) or self.process.poll() is not None

    def try_mount(self, options="", where=None, source=None):
        """A mount that may fail: (status, what it said). It is undone where it works."""
        where = where or self.where
        before = mount_line(where)
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(self.command(options, where, source), stdout=log, stderr=log,
                                       stdin=subprocess.DEVNULL, start_new_session=True,
                                       env=self.environment)
            try:
                wait_for(lambda: process.poll() is not None or mount_line(where) != before, 30,
                         "devdaxfs to mount or to end")
                if process.poll() is None:
                    subprocess.run(["umount", where], check=True)
                status = process.wait(patience(30))
            except BaseException:
                self.end()
                raise
            finally:
                process.kill()
                process.wait()
            log.seek(0)
            text = log.read().decode(errors="replace")
        if status < 0 or re.search("Sanitizer|runtime error", text):
            raise AssertionError(f"devdaxfs crashed, status {status}: {text}")
        return status, text

    def refused(self, *words, options="", where=None, source=None):
        """The mount must fail, with a message that has each of the words."""
        status, text = self.try_mount(options, where, source)
        if status == 0:
            raise AssertionError("the mount worked")
        for word in words:
            if str(word).lower() not in text.lower():
                raise AssertionError(f"the message does not say {word!r}: {text}")
        return text

    def unmount(self):
        """umount(8); the daemon must end by itself and without complaint."""
        result = subprocess.run(["umount", self.where], capture_output=True, text=True, check=False,
            timeout=patience(60))
        if result.returncode != 0:
            raise AssertionError(f"umount: {result.stderr.strip()}")
        self.wait_end(0)

    def wait_end(self, wanted=None):
        """Wait for the daemon; its exit status, or minus the signal that ended it."""
        try:
            status = self.process.wait(patience(60))
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(f"devdaxfs did not end:\n{self.log()}") from None
        self.process = None
        if wanted is not None and status != wanted:
            raise AssertionError(f"devdaxfs ended with status {status}, want {wanted}:\n"
                                 f"{self.log()}")
        return status

    def kill(self, number=signal.SIGKILL):
        """End the daemon by a signal, and take away what is then a dead mount."""
        self.process.send_signal(number)
        status = self.wait_end()
        if mount_line(self.where):
            subprocess.run(["umount", "-l", self.where], check=True)
        return status

    @contextlib.contextmanager
    def mounted(self, options=""):
        self.mount(options)
        try:
            yield self.where
        except BaseException:
            self.end()
            raise
        self.unmount()

    def log(self):
        with contextlib.suppress(OSError):
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        return ""

    # ---- ending -------------------------------------------------------------------------

    def end(self):
        """End whatever runs or is mounted below the directory."""
        tidy(self.directory, self.program("devdaxfs"))
        if self.process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            self.process = None


def on_target(test):
    """A test that is given a filesystem just made, and whose mounts end with it. The daemon must
    not speak of damage."""
    @functools.wraps(test)
    def run():
        target = Target.of_environment()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target.log_path)
        target.mkfs()
        try:
            test(target)
        finally:
            target.end()
        if DAMAGE.search(target.log()):
            raise AssertionError(f"the daemon said:\n{target.log()}")

    return run


def tidy(directory, program):
    """End daemons and mounts below the directory; True if there were any."""
    mounts, pids = mounts_below(directory), daemons_below(directory, program)
    for path in mounts:
        subprocess.run(["umount", "-l", path], stderr=subprocess.DEVNULL, check=False)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        end = time.monotonic() + 5
        while any(is_alive(pid) for pid in pids) and time.monotonic() < end:
            time.sleep(0.02)
    return bool(mounts or pids)


def space(path):
    """Free blocks, available blocks and free inodes, once what was closed is gone."""
    os.sync()
    stat = os.statvfs(path)
    return stat.f_bfree, stat.f_bavail, stat.f_ffree


def pattern(seed, length):
    """Bytes that tell where they come from: eight at a time."""
    words = (length + 7) // 8
    return b"".join((seed * 0x9e3779b97f4a7c15 + i & (1 << 64) - 1).to_bytes(8, "little")
        for i in range(words))[:length]


__all__ = ["DAMAGE", "MIB", "Target", "daemons_below", "is_alive", "mount_line", "mounts_below",
    "on_target", "patience", "pattern", "scale", "space", "tidy", "wait_for"]
