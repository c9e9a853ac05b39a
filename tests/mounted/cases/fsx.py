# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
# Random operations on one file against a model of it in memory, as fsx does. DDFS_SEED repeats
# a run.

import errno
import mmap
import os
import random
import time

from check import DEVDAXFS, Skip, check, error_of, main, same, scale
from syscalls import FALLOC_COLLAPSE, FALLOC_INSERT, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE
from syscalls import FALLOC_ZERO, FS_DAX_FL, copy_range, fallocate, ioctl_fallocate, set_flags

MOST = 600_000  # bytes of the file


class Run:
    def __init__(self, seed, name="f"):
        self.random = random.Random(seed)
        self.name = name
        self.fd = os.open(name, os.O_RDWR | os.O_CREAT)
        self.model = bytearray()
        self.history = []

    def place(self):
        """An offset and a length, often at the edges of blocks."""
        def near(value):
            if self.random.random() < 0.4:
                value = value // 4096 * 4096 + self.random.choice((-1, 0, 0, 1))
            return min(max(value, 0), MOST - 1)

        start = near(self.random.randrange(MOST))
        length = self.random.choice((1, 100, 4096, 8192, 65536, self.random.randrange(1, 200_000)))
        return start, min(length, MOST - start)

    def bytes(self, length):
        return self.random.randbytes(length)

    def put(self, start, data):
        if start > len(self.model):
            self.model += bytes(start - len(self.model))
        self.model[start:start + len(data)] = data

    def grow(self, size):
        if size > len(self.model):
            self.model += bytes(size - len(self.model))

    # ---- operations ----------------------------------------------------------------------

    def do_write(self):
        start, length = self.place()
        data = self.bytes(length)
        same(os.pwrite(self.fd, data, start), length)
        self.put(start, data)
        return start, length

    def do_read(self):
        start, length = self.place()
        check(os.pread(self.fd, length, start) == self.model[start:start + length], "read")
        return start, length

    def do_truncate(self):
        size = self.place()[0]
        os.ftruncate(self.fd, size)
        del self.model[size:]
        self.grow(size)
        return (size,)

    def do_allocate(self):
        start, length = self.place()
        fallocate(self.fd, 0, start, length)
        self.grow(start + length)
        return start, length

    def do_keep_size(self):
        start, length = self.place()
        fallocate(self.fd, FALLOC_KEEP_SIZE, start, length)
        return start, length

    def do_punch(self):
        start, length = self.place()
        fallocate(self.fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, start, length)
        end = min(start + length, len(self.model))
        self.model[start:end] = bytes(max(end - start, 0))
        return start, length

    def do_zero(self):
        start, length = self.place()
        keep = self.random.choice((0, FALLOC_KEEP_SIZE))
        fallocate(self.fd, FALLOC_ZERO | keep, start, length)
        if not keep:
            self.grow(start + length)
        end = min(start + length, len(self.model))
        self.model[start:end] = bytes(max(end - start, 0))
        return start, length, keep

    def do_collapse(self):
        start, length = (value // 4096 * 4096 for value in self.place())
        if length == 0 or start + length >= len(self.model):
            return ()
        ioctl_fallocate(self.fd, FALLOC_COLLAPSE, start, length)
        del self.model[start:start + length]
        return start, length

    def do_insert(self):
        start, length = (value // 4096 * 4096 for value in self.place())
        if length == 0 or start >= len(self.model) or len(self.model) + length > MOST:
            return ()
        ioctl_fallocate(self.fd, FALLOC_INSERT, start, length)
        self.model[start:start] = bytes(length)
        return start, length

    def do_copy(self):
        source, length = self.place()
        target = self.place()[0]
        length = min(length, max(len(self.model) - source, 0), MOST - target)
        if length <= 0 or abs(source - target) < length:
            return ()
        done = 0
        while done < length:
            done += copy_range(self.fd, source + done, self.fd, target + done, length - done)
        self.put(target, bytes(self.model[source:source + length]))
        return source, target, length

    def do_store(self):
        start, length = self.place()
        length = min(length, len(self.model) - start)
        if length <= 0:
            return ()
        data = self.bytes(length)
        with mmap.mmap(self.fd, len(self.model)) as mapping:
            mapping[start:start + length] = data
        self.put(start, data)
        return start, length

    def do_load(self):
        if self.model:
            with mmap.mmap(self.fd, 0, prot=mmap.PROT_READ) as mapping:
                check(mapping[:] == self.model, "load")
        return ()

    def do_reopen(self):
        os.close(self.fd)
        self.fd = os.open(self.name, os.O_RDWR)
        return ()

    def do_sync(self):
        (os.fsync if self.random.random() < 0.5 else os.fdatasync)(self.fd)
        return ()

    def do_seek(self):
        """What SEEK_HOLE and SEEK_DATA say may be coarse, but data is never called a hole."""
        start = self.random.randrange(MOST)
        try:
            data = os.lseek(self.fd, start, os.SEEK_DATA)
        except OSError as error:
            same(error.errno, errno.ENXIO)
            data = len(self.model)
        check(not any(self.model[start:data]), "SEEK_DATA went over data")
        return (start,)

    # ---- the run -------------------------------------------------------------------------

    def step(self, operations):
        operation = self.random.choice(operations)
        result = operation(self)
        self.history.append((operation.__name__, result))
        size = os.fstat(self.fd).st_size
        same(size, len(self.model), "size")

    def verify(self):
        data = os.pread(self.fd, MOST + 1, 0)
        if data != self.model:
            at = next(index for index in range(len(data)) if data[index] != self.model[index])
            raise AssertionError(f"the first wrong byte is {at}")


def usable(operations):
    """Those that this filesystem knows."""
    if DEVDAXFS:
        return [*operations, Run.do_collapse, Run.do_insert]
    good = []
    for operation in operations:
        run = Run(1, "probe")
        if error_of(operation, run) != errno.EOPNOTSUPP:
            good.append(operation)
        os.unlink("probe")
        os.close(run.fd)
    return good


EVERY = [Run.do_write, Run.do_write, Run.do_write, Run.do_read, Run.do_read, Run.do_truncate,
         Run.do_allocate, Run.do_keep_size, Run.do_punch, Run.do_zero, Run.do_copy, Run.do_store,
         Run.do_load, Run.do_reopen, Run.do_sync, Run.do_seek]


def drive(operations, seed, steps):
    run = Run(seed)
    try:
        for number in range(steps):
            run.step(operations)
            if number % 50 == 0:
                run.verify()
        run.verify()
        run.do_reopen()
        run.verify()
    except AssertionError as error:
        last = "\n".join(f"{name} {result}" for name, result in run.history[-15:])
        raise AssertionError(f"DDFS_SEED={seed}, step {len(run.history)}: {error}; the last "
                             f"good ones:\n{last}") from error
    finally:
        os.close(run.fd)


def seed():
    return int(os.environ.get("DDFS_SEED") or time.time())


def test_everything():
    drive(usable(EVERY), seed(), scale(5000, 300))


def test_without_mapping():
    plain = [operation for operation in EVERY if operation not in (Run.do_store, Run.do_load)]
    drive(usable(plain), seed() + 1, scale(5000, 300))


def test_fixed():
    """The same operations in every run."""
    for number in range(scale(20, 2)):
        drive(usable(EVERY), number, scale(200, 50))
        os.unlink("f")


def test_dax():
    """A DAX file; collapse and insert go by its allocation unit, which is larger than this file."""
    if not DEVDAXFS:
        raise Skip("not every filesystem has the DAX flag")
    fd = os.open(".", os.O_RDONLY)
    set_flags(fd, FS_DAX_FL)
    os.close(fd)
    drive([operation for operation in EVERY if operation not in (Run.do_store, Run.do_load)],
          seed() + 2, scale(3000, 200))


main()
