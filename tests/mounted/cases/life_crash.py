# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 400
# SIGTERM and SIGKILL of the daemon under load: what was synced is there, nothing is half there,
# and every block can be given back.

import errno
import hashlib
import os
import random
import shutil
import signal
import subprocess
import time

from check import check, error_of, main, opened, read_file, same, scale, write_file
from target import Target, mount_line, patience, pattern, space, wait_for

GONE = (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ENODEV, errno.ENOENT, errno.EBADF,
        errno.EROFS)


class Load:
    """Processes that write, sync and note down, outside of the filesystem, what they synced."""

    def __init__(self, target, count=3):
        self.notes = os.path.join(target.directory, "notes")
        shutil.rmtree(self.notes, ignore_errors=True)
        os.makedirs(self.notes)
        self.pids = [self.start(target.where, who) for who in range(count)]

    def start(self, where, who):
        pid = os.fork()
        if pid:
            return pid
        status = 0
        try:
            os.chdir(where)
            self.work(who, random.Random(who))
        except OSError as error:
            if error.errno not in GONE:
                print(f"    writer {who}: {error}", flush=True)
                status = 1
        except BaseException as error:
            print(f"    writer {who}: {error!r}", flush=True)
            status = 1
        os._exit(status)

    def work(self, who, source):
        directory = f"w{who}"
        os.makedirs(directory, exist_ok=True)
        with open(f"{self.notes}/{who}", "a", encoding="ascii") as notes:
            for number in range(1_000_000):
                self.step(directory, number, source, notes)

    def step(self, directory, number, source, notes):
        path = f"{directory}/{number}"
        data = source.randbytes(source.choice((10, 4096, 30_000, 200_000)))
        write_synced(path + ".tmp", data)
        os.rename(path + ".tmp", path)
        sync_directory(directory)
        note(notes, "has", path, hashlib.sha256(data).hexdigest())
        if number % 3 == 2:
            note(notes, "removes", f"{directory}/{number - 1}", "-")
            os.unlink(f"{directory}/{number - 1}")
            sync_directory(directory)
            note(notes, "removed", f"{directory}/{number - 1}", "-")
        if number % 5 == 4:
            note(notes, "changes", path, "-")
            with opened(path) as fd:
                os.pwrite(fd, b"changed", 0)
                os.fsync(fd)
            data = b"changed" + data[7:]
            note(notes, "has", path, hashlib.sha256(data).hexdigest())

    def wait(self):
        """All must have ended, for no other reason than that the filesystem was gone."""
        def ended(pid):
            return os.waitpid(pid, os.WNOHANG) if pid else None

        states = {}
        def all_ended():
            for pid in self.pids:
                if pid not in states:
                    found, status = ended(pid)
                    if found:
                        states[pid] = status
            return len(states) == len(self.pids)

        try:
            wait_for(all_ended, 30, "the writers to notice")
        finally:
            for pid in self.pids:
                if pid not in states:
                    os.kill(pid, signal.SIGKILL)
        same(list(states.values()), [0] * len(self.pids), "the writers' statuses")

    def expected(self):
        """What must be there, what must not, and what may be either."""
        state = {}
        for name in os.listdir(self.notes):
            with open(f"{self.notes}/{name}", encoding="ascii") as notes:
                for line in notes:
                    if line.endswith("\n"):
                        word, path, digest = line.split()
                        state[path] = (word, digest)
        return state


def note(notes, word, path, digest):
    notes.write(f"{word} {path} {digest}\n")
    notes.flush()


def write_synced(path, data):
    with opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as fd:
        os.write(fd, data)
        os.fsync(fd)


def sync_directory(path):
    with opened(path, os.O_RDONLY) as fd:
        os.fsync(fd)


def verify(where, state):
    """Whatever was synced is there; all that is not is named."""
    wrong = []
    for path, (word, digest) in state.items():
        full = os.path.join(where, path)
        result = error_of(os.lstat, full)
        if word == "has" and result:
            wrong.append(f"{path}: synced, now {errno.errorcode[result]}")
        elif word == "has":
            check_contents(full, digest)
        elif word == "removed" and result != errno.ENOENT:
            wrong.append(f"{path}: removed, now {errno.errorcode.get(result, 'there')}")
    check(not wrong, f"{len(wrong)} of {len(state)} are wrong: {wrong[:20]}")


def check_contents(path, digest):
    data = read_file(path)
    if hashlib.sha256(data).hexdigest() != digest:
        zeroes = [start for start in range(0, len(data), 4096) if not any(data[start:start + 4096])]
        raise AssertionError(f"{path} is not what was synced: {len(data)} bytes, begins with "
                             f"{data[:16]!r}, blocks of zeroes at {zeroes[:20]}")


def walk(where):
    """Everything can be read."""
    for root, _, files in os.walk(where, onerror=raise_it):
        for name in files:
            read_file(os.path.join(root, name))


def raise_it(error):
    raise error


def remove_all(where, before):
    for name in os.listdir(where):
        shutil.rmtree(os.path.join(where, name))
    wait_for(lambda: space(where) == before, 10,
             f"every block: now {space(where)}, before {before} (blocks, available, inodes)")


def empty_space(target):
    with target.mounted() as where:
        return space(where)


def crash_loop(rounds, end):
    target = Target.of_environment()
    target.mkfs()
    before = empty_space(target)
    for number in range(rounds):
        target.mount()
        for name in os.listdir(target.where):
            shutil.rmtree(os.path.join(target.where, name))
        load = Load(target)
        time.sleep(patience(0.3) + number % 5 * 0.11)
        end(target)
        load.wait()
        state = load.expected()
        check(state, "the writers did nothing")
        with target.mounted() as where:
            verify(where, state)
            walk(where)
    with target.mounted() as where:
        remove_all(where, before)


def test_killed():
    crash_loop(scale(12, 2), lambda target: target.kill(signal.SIGKILL))


def test_terminated():
    def end(target):
        same(target.kill(signal.SIGTERM), 0, "status after SIGTERM")
        check(not mount_line(target.where), "the mount is still there")

    crash_loop(scale(6, 1), end)


def test_unmounted_lazily():
    def end(target):
        subprocess.run(["umount", "-l", target.where], check=True)
        time.sleep(0.2)
        same(target.kill(signal.SIGTERM), 0)

    crash_loop(scale(3, 1), end)


def test_killed_twice():
    """Killed again while, or just after, it recovers."""
    target = Target.of_environment()
    target.mkfs()
    before = empty_space(target)
    target.mount()
    load = Load(target)
    time.sleep(patience(0.5))
    target.kill()
    load.wait()
    for number in range(scale(10, 2)):
        target.process = subprocess.Popen(target.command(), stdin=subprocess.DEVNULL,
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                          start_new_session=True)
        time.sleep(number * 0.004)
        target.kill()
    with target.mounted() as where:
        verify(where, load.expected())
        remove_all(where, before)


def test_orphans():
    """Unlinked files that were open are gone after a crash, and so are their blocks."""
    target = Target.of_environment()
    target.mkfs()
    before = empty_space(target)
    target.mount()
    fds = []
    for number in range(50):
        path = f"{target.where}/f{number}"
        fds.append(os.open(path, os.O_RDWR | os.O_CREAT))
        os.write(fds[-1], pattern(number, 100_000))
        os.fsync(fds[-1])
        os.unlink(path)
    os.mkdir(f"{target.where}/d")
    fds.append(os.open(f"{target.where}/d", os.O_RDONLY))
    os.rmdir(f"{target.where}/d")
    target.kill()
    for fd in fds:
        os.close(fd)
    with target.mounted() as where:
        same(os.listdir(where), [])
        wait_for(lambda: space(where) == before, 10, f"every block: {space(where)}, {before}")


def test_half_removed_large_file():
    """A kill while a large file goes away: afterwards it is whole or gone."""
    target = Target.of_environment()
    target.mkfs()
    before = empty_space(target)
    for number in range(scale(8, 2)):
        target.mount()
        path = f"{target.where}/large"
        if not os.path.exists(path):
            with opened(path, os.O_RDWR | os.O_CREAT) as fd:
                for step in range(0, 3000, 2):
                    os.pwrite(fd, pattern(step, 4096), step * 4096)
                os.fsync(fd)
        pid = os.fork()
        if pid == 0:
            try:
                (os.unlink if number % 2 else lambda path: os.truncate(path, 5000))(path)
            finally:
                os._exit(0)
        time.sleep(number * 0.002)
        target.kill()
        os.waitpid(pid, 0)
        with target.mounted() as where:
            check_large(f"{where}/large")
    with target.mounted() as where:
        for name in os.listdir(where):
            os.unlink(f"{where}/{name}")
        wait_for(lambda: space(where) == before, 10, f"every block: {space(where)}, {before}")


def check_large(path):
    if not os.path.exists(path):
        return
    size = os.stat(path).st_size
    check(size in (2999 * 4096 - 4096 + 4096, 5000), f"size {size}")
    with opened(path, os.O_RDONLY) as fd:
        for step in range(0, 2999):
            want = pattern(step, 4096) if step % 2 == 0 else b"\0" * 4096
            data = os.pread(fd, 4096, step * 4096)
            check(data == want[:len(data)], f"block {step}")


def test_unsynced_is_never_foreign():
    """Bytes of a removed file do not show in a file that a crash caught half-written."""
    target = Target.of_environment()
    target.mkfs()
    for number in range(scale(6, 1)):
        target.mount()
        secret = os.path.join(target.where, "secret")
        write_file(secret, b"\xee" * (8 << 20))
        with opened(secret) as fd:
            os.fsync(fd)
        os.unlink(secret)
        pid = os.fork()
        if pid == 0:
            try:
                for step in range(100_000):
                    with opened(f"{target.where}/n{step}", os.O_RDWR | os.O_CREAT) as fd:
                        os.ftruncate(fd, 100_000)
                        os.pwrite(fd, b"w" * 5000, 37_001)
            except OSError:
                os._exit(0)
        time.sleep(patience(0.15) + number * 0.03)
        target.kill()
        os.waitpid(pid, 0)
        with target.mounted() as where:
            for name in os.listdir(where):
                check(b"\xee" not in read_file(f"{where}/{name}"), f"{name} shows what was removed")
                os.unlink(f"{where}/{name}")


def test_mount_over_a_dead_one():
    """After a kill the same command line mounts again, with the dead mount still there."""
    target = Target.of_environment()
    target.mkfs()
    target.mount()
    write_file(f"{target.where}/f", b"kept")
    target.process.send_signal(signal.SIGKILL)
    target.wait_end()
    check(mount_line(target.where), "the dead mount went by itself")
    status, text = 1, ""
    process = subprocess.Popen(target.command(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    target.process = process

    def usable():
        try:
            return os.listdir(target.where) == ["f"]
        except OSError:
            return process.poll() is not None

    wait_for(usable, 20, "the mount")
    if process.poll() is not None:
        status, text = process.returncode, process.stderr.read().decode()
        raise AssertionError(f"devdaxfs ended with status {status}: {text}")
    same(read_file(f"{target.where}/f"), b"kept")
    target.end()


main()
