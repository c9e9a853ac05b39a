# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
# Several processes and threads at once: on one file, on many, on the same names. No one ever sees
# bytes that were not written to the file he reads.

import errno
import os
import random
import threading

from check import check, main, opened, read_file, same, scale, write_file
from syscalls import RENAME_EXCHANGE, renameat2
from target import pattern

BLOCK = 4096


def processes(count, work):
    """Run work(number) in so many processes; each must end with status 0."""
    pids = []
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                work(number)
                status = 0
            except BaseException as error:
                print(f"    process {number}: {type(error).__name__}: {error}", flush=True)
            os._exit(status)
        pids.append(pid)
    states = [os.waitpid(pid, 0)[1] for pid in pids]
    same(states, [0] * count, "exit statuses")


def threads(count, work):
    errors = []

    def guarded(number):
        try:
            work(number)
        except BaseException as error:
            errors.append(f"thread {number}: {type(error).__name__}: {error}")

    running = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    same(errors, [])


def test_own_files():
    def work(number):
        for step in range(scale(100, 10)):
            name = f"p{number}-{step % 7}"
            data = pattern(number * 1000 + step, 1 + step * 997 % 150_000)
            write_file(name, data)
            check(read_file(name) == data, f"{name} changed")
            if step % 3 == 0:
                os.unlink(name)

    processes(8, work)


def test_own_blocks_of_one_file():
    write_file("f")
    count = scale(400, 40)

    def work(number):
        with opened("f") as fd:
            blocks = list(range(number, count * 4, 4))
            random.Random(number).shuffle(blocks)
            for block in blocks:
                os.pwrite(fd, pattern(block, BLOCK), block * BLOCK)
                check(os.pread(fd, BLOCK, block * BLOCK) == pattern(block, BLOCK), f"block {block}")

    processes(4, work)
    data = read_file("f")
    for block in range(count * 4):
        check(data[block * BLOCK:(block + 1) * BLOCK] == pattern(block, BLOCK), f"block {block}")


def test_parts_of_one_block():
    """Writers that share a block do not undo each other's bytes."""
    write_file("f")

    def work(number):
        with opened("f") as fd:
            for step in range(scale(600, 60)):
                os.pwrite(fd, bytes([number + 1]) * 100, step * 400 + number * 100)

    processes(4, work)
    data = read_file("f")
    check(data == b"".join(bytes([number + 1]) * 100 for number in range(4)) * (len(data) // 400),
          "a writer's bytes are lost")


def test_appenders():
    write_file("f")
    count = scale(500, 50)

    def work(number):
        with opened("f", os.O_WRONLY | os.O_APPEND) as fd:
            for step in range(count):
                os.write(fd, f"{number}:{step:06};".encode() * 10)

    processes(4, work)
    data = read_file("f")
    same(len(data), 4 * count * 90)
    seen = {str(number): 0 for number in range(4)}
    for start in range(0, len(data), 90):
        record = data[start:start + 90]
        check(record == record[:9] * 10, f"a torn record at {start}")
        number, step = record[:8].decode().split(":")
        same(int(step), seen[number], "the order of one writer's records")
        seen[number] += 1


def test_overwritten_while_read():
    """A reader of a block that is overwritten never finds it short."""
    write_file("f", b"\x01" * BLOCK)
    done = threading.Event()

    def work(number):
        with opened("f") as fd:
            if number < 2:
                for step in range(scale(2000, 200)):
                    os.pwrite(fd, bytes([1 + (step + number) % 250]) * BLOCK, 0)
                done.set()
                return
            while not done.is_set():
                data = os.pread(fd, BLOCK, 0)
                check(len(data) == BLOCK, f"{len(data)} bytes")

    threads(4, work)


def test_no_stale_bytes():
    """Blocks of removed files never show in other files: not in holes, not behind a write."""
    def work(number):
        secret = bytes([0x80 + number]) * 40_000
        for step in range(scale(150, 15)):
            name = f"p{number}"
            if step % 2:
                write_file(name, secret)
                os.truncate(name, 0)
                os.unlink(name)
                continue
            with opened(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC) as fd:
                os.ftruncate(fd, 100_000)
                os.pwrite(fd, b"x", 50_001)
                os.pwrite(fd, b"y", 99_999)
                data = os.pread(fd, 100_001, 0)
                check(data == b"\0" * 50_001 + b"x" + b"\0" * 49_997 + b"y", "foreign bytes")
                os.posix_fallocate(fd, 0, 200_000)
                check(not any(os.pread(fd, 200_000, 100_000)), "foreign bytes in new blocks")

    processes(6, work)


def test_reader_of_a_growing_file():
    """What lies below the size that a reader sees was written, never zeroes or another's bytes."""
    write_file("f")
    count = scale(1500, 150)

    def work(number):
        with opened("f") as fd:
            if number == 0:
                for step in range(count):
                    os.pwrite(fd, b"w" * 1500, step * 1500)
                return
            size = 0
            while size < count * 1500:
                size = os.fstat(fd).st_size
                start = max(0, size - 3000)
                data = os.pread(fd, size - start, start)
                check(data == b"w" * len(data), f"at {start}: not what was written")

    processes(3, work)


def test_same_names():
    """Creating, linking, renaming and removing the same few names: only expected errors."""
    names = [f"n{number}" for number in range(6)]
    allowed = (errno.ENOENT, errno.EEXIST, errno.EINVAL, errno.ENOTEMPTY, errno.EISDIR,
               errno.ENOTDIR, errno.EPERM)

    def work(number):
        source = random.Random(number)
        calls = (write_file, os.unlink, os.mkdir, os.rmdir,
                 lambda name: os.rename(name, source.choice(names)),
                 lambda name: os.link(name, source.choice(names)),
                 lambda name: renameat2(name, source.choice(names), RENAME_EXCHANGE),
                 lambda name: os.symlink("n0", name), os.listdir, os.stat)
        for _ in range(scale(3000, 300)):
            try:
                source.choice(calls)(source.choice(names))
            except OSError as error:
                check(error.errno in (*allowed, errno.ELOOP), str(error))

    processes(4, work)
    for name in os.listdir("."):
        path = os.lstat(name)
        (os.rmdir if os.path.isdir(name) and not os.path.islink(name) else os.unlink)(name)
        check(path.st_nlink >= 1, name)
    same(os.listdir("."), [])


def test_directories_moved_into_each_other():
    """No order of renames makes a loop or loses a directory."""
    for name in "abcd":
        os.mkdir(name)

    def work(number):
        source = random.Random(number)
        for _ in range(scale(1500, 150)):
            paths = [os.path.join(root, name) for root, names, _ in os.walk(".") for name in names]
            if len(paths) < 2:
                continue
            moved, into = source.choice(paths), source.choice([*paths, "."])
            try:
                os.rename(moved, os.path.join(into, os.path.basename(moved)))
            except OSError as error:
                check(error.errno in (errno.ENOENT, errno.EINVAL, errno.EEXIST, errno.ENOTEMPTY,
                                      errno.EBUSY), str(error))

    processes(4, work)
    found = sorted(name for _, names, _ in os.walk(".") for name in names)
    same(found, list("abcd"))


def test_one_directory():
    """Many names made and removed in one directory by all at once."""
    os.mkdir("d")
    count = scale(2000, 200)

    def work(number):
        for step in range(count):
            write_file(f"d/{number}-{step}")
        for step in range(0, count, 2):
            os.unlink(f"d/{number}-{step}")

    processes(4, work)
    same(sorted(os.listdir("d")), sorted(f"{number}-{step}" for number in range(4)
                                         for step in range(1, count, 2)))


def test_open_and_unlink():
    """A file that was opened stays whole, whoever removes it."""
    done = threading.Event()

    def work(number):
        if number == 0:
            for step in range(scale(1000, 100)):
                write_file("f", pattern(step, 9000))
                os.unlink("f")
            done.set()
            return
        while not done.is_set():
            try:
                fd = os.open("f", os.O_RDONLY)
            except FileNotFoundError:
                continue
            first = os.pread(fd, 9000, 0)
            again = os.pread(fd, 9000, 0)
            check(again[:len(first)] == first, "it changed under its reader")
            os.close(fd)

    threads(3, work)


def test_replaced():
    """A name is always found while its file is replaced, whatever is asked of it."""
    write_file("f", b"x" * 100)
    os.symlink("target", "s")
    write_file("going")

    def replace(number):
        for _ in range(scale(4000, 100)):
            write_file(f"f{number}", b"x" * 100)
            os.rename(f"f{number}", "f")
            os.symlink("target", f"s{number}")
            os.rename(f"s{number}", "s")
        if number == 0:
            os.unlink("going")

    def look(_):
        while os.path.exists("going"):
            same(read_file("f"), b"x" * 100)
            same(os.stat("f").st_size, 100)
            same(os.readlink("s"), "target")
            os.chmod("f", 0o600)
            os.utime("f")
            os.setxattr("f", "user.seen", b"yes")

    processes(4, lambda number: (replace if number < 2 else look)(number))


def test_mapped_and_written():
    import mmap
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, 64 * BLOCK)

    def work(number):
        with opened("f") as fd, mmap.mmap(fd, 64 * BLOCK) as mapping:
            for step in range(scale(300, 30)):
                start = (step * 4 + number) % 64 * BLOCK
                mark = pattern(number * 10_000 + step, 64)
                if step % 2:
                    mapping[start:start + 64] = mark
                else:
                    os.pwrite(fd, mark, start)
                check(mapping[start:start + 64] == mark, "the mapping is behind")
                check(os.pread(fd, 64, start) == mark, "the read is behind")

    processes(4, work)


def test_xattrs():
    write_file("f")

    def work(number):
        for step in range(scale(300, 30)):
            os.setxattr("f", f"user.p{number}", pattern(step, 50 + step * 3 % 200))
            same(os.getxattr("f", f"user.p{number}"), pattern(step, 50 + step * 3 % 200))

    processes(4, work)
    same(sorted(os.listxattr("f")), [f"user.p{number}" for number in range(4)])


main()
