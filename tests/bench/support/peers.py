# SPDX-License-Identifier: BSD-3-Clause
"""The filesystems that are compared: each on memory of its own, mounted, and taken away again."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time

MIB = 1 << 20
GIB = 1 << 30


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds} s for {what}")
        time.sleep(0.005)


def is_mounted(path):
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
        return any(line.split()[1] == path for line in mounts)


def command(*words):
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(words)}: status {result.returncode}: "
                           f"{result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


class Place:
    """Where everything of a run lies, and on which CPU it runs; ends and removes it all."""

    def __init__(self, build):
        self.build = build
        self.directory = tempfile.mkdtemp(prefix="ddfs-bench.", dir="/dev/shm")
        self.peers = []
        self.cpu = None

    def program(self, path):
        return os.path.join(self.build, path)

    def prefix(self):
        return [] if self.cpu is None else ["taskset", "-c", str(self.cpu)]

    def client(self, *words):
        """One call of the client, on the CPU that is set: its lines of JSON."""
        return command(*self.prefix(), self.program("tests/bench/ddfs_bench_client"),
                       *map(str, words)).splitlines()

    @contextlib.contextmanager
    def mounted(self, *peers):
        try:
            for peer in peers:
                self.peers.append(peer)
                peer.start()
            yield peers
        finally:
            self.end()

    def end(self):
        while self.peers:
            self.peers.pop().end()

    def remove(self):
        self.end()
        shutil.rmtree(self.directory, ignore_errors=True)


class Peer:
    """One mounted filesystem. A subclass says how its image is made and what serves it."""

    name = ""
    daemon_options = ()

    def __init__(self, place, image_bytes=2 * GIB):
        self.place = place
        self.image_bytes = image_bytes
        self.directory = tempfile.mkdtemp(prefix=f"{self.name}.", dir=place.directory)
        self.where = os.path.join(self.directory, "mnt")
        self.image = os.path.join(self.directory, "image")
        self.log = os.path.join(self.directory, "log")
        self.process = None
        os.mkdir(self.where)

    def path(self, name):
        return os.path.join(self.where, name)

    def make_image(self):
        with open(self.image, "wb") as file:
            file.truncate(self.image_bytes)

    def make(self):
        """The filesystem in its image."""

    def daemon(self):
        raise NotImplementedError

    def start(self):
        self.make_image()
        self.make()
        self.mount()

    def mount(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.place.prefix(), *self.daemon()], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL,
                                            start_new_session=True)
        wait_for(lambda: is_mounted(self.where) or self.process.poll() is not None, 30,
                 f"{self.name} to mount")
        if self.process.poll() is not None:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                raise RuntimeError(f"{self.name} ended: {log.read().strip()}")
        os.statvfs(self.where)

    def unmount(self):
        command("umount", self.where)
        self.process.wait(60)
        self.process = None

    def kill(self):
        """As a crash leaves it: the image stays."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)
        self.process = None
        command("umount", "-l", self.where)

    def end(self):
        if is_mounted(self.where):
            subprocess.run(["umount", "-l", self.where], check=False)
        if self.process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.process.kill()
            self.process.wait()
            self.process = None
        shutil.rmtree(self.directory, ignore_errors=True)


class Devdaxfs(Peer):
    name = "devdaxfs"

    def make(self):
        command(self.place.program("tools/mkfs.devdaxfs"), "-q", "-f", self.image)

    def daemon(self):
        return [self.place.program("src/daemon/devdaxfs"), "-f", *self.daemon_options, self.image,
                self.where]

    def resident(self):
        """Bytes of anonymous memory: the daemon's own, without the mapping of the image."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        raise RuntimeError("no RssAnon in /proc")


class DevdaxfsDax(Devdaxfs):
    """Files bypass the page cache."""

    name = "devdaxfs-dax"
    daemon_options = ("-o", "dax=always")


class Floor(Peer):
    """Does nothing but reply."""

    name = "floor"
    flags = ()
    file_mib = 256

    def make_image(self):
        pass

    def daemon(self):
        return [self.place.program("tests/bench/ddfs_floor"), *self.flags, str(self.file_mib),
                self.where]


class FloorDax(Floor):
    name = "floor-dax"
    flags = ("-d",)


class Memory(Floor):
    """Replies, and copies the bytes from and to plain memory."""

    name = "memory"
    flags = ("-m",)


class Fuse2fs(Peer):
    name = "fuse2fs"

    def make(self):
        command("mkfs.ext4", "-q", "-F", self.image)

    def daemon(self):
        return ["fuse2fs", "-f", self.image, self.where]


class Ext4(Peer):
    """The kernel's, on a loop device."""

    name = "ext4"

    def make(self):
        command("mkfs.ext4", "-q", "-F", self.image)

    def mount(self):
        command("mount", "-o", "loop", self.image, self.where)
