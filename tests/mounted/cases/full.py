# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 300
# size: 48
# A full filesystem: exact ENOSPC, nothing half done left behind, everything given back.

import errno
import mmap
import os
import shutil
import stat

from check import check, error_of, expect, main, opened, read_file, same, scale, write_file
from syscalls import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, fallocate
from target import MIB, Target, pattern, space, wait_for

LEAVE = 6 * MIB  # what a ballast file leaves free on a large device


def on_target(work):
    """Run it in the root of a new filesystem; afterwards every block must come back."""
    target = Target.of_environment()
    target.mkfs()
    home = os.getcwd()
    with target.mounted() as where:
        before = space(where)
        os.chdir(where)
        try:
            work(where)
        finally:
            os.chdir(home)
        remove_all(where)
        wait_for(lambda: space(where) == before, 10,
                 f"every block: now {space(where)}, before {before} (blocks, available, inodes)")


def remove_all(where):
    for name in os.listdir(where):
        path = os.path.join(where, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def ballast():
    """Take most of a large device at once, so that filling it does not take for ever."""
    stat = os.statvfs(".")
    room = stat.f_bavail * stat.f_frsize - LEAVE
    if room > 64 * MIB:
        with opened("ballast", os.O_RDWR | os.O_CREAT) as fd:
            fallocate(fd, 0, 0, room)


def fill(name="filler", unit=65536):
    """Write to a file until ENOSPC; its size."""
    with opened(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND) as fd:
        data = pattern(1, unit)
        while True:
            try:
                if os.write(fd, data) < unit:
                    continue
            except OSError as error:
                same(error.errno, errno.ENOSPC)
                break
        return os.fstat(fd).st_size


def brim():
    """Fill it until no file of one block can be written."""
    ballast()
    fill()
    fill("filler", 4096)


def test_write():
    def work(_):
        ballast()
        size = fill()
        check(size >= 4 * MIB, f"only {size} bytes fitted")
        check(os.statvfs(".").f_bavail < 64, f"{os.statvfs('.').f_bavail} blocks are left")
        with opened("filler", os.O_RDONLY) as fd:
            for start in range(0, size, 65536):
                data = os.pread(fd, 65536, start)
                check(data == pattern(1, 65536)[:len(data)], f"changed at {start}")
        expect(errno.ENOSPC, write_file, "another", b"x" * 65536)

    on_target(work)


def test_direct_write():
    """An O_DIRECT write for which there is half the room. What it says is what it did."""
    def work(_):
        write_file("f", b"a" * 5000)
        with opened("filler", os.O_RDWR | os.O_CREAT) as fd:
            os.posix_fallocate(fd, 0, (os.statvfs(".").f_bavail - 4) * 4096)
        data = mmap.mmap(-1, 65536)
        data[:] = b"z" * 65536
        with opened("f", os.O_RDWR | os.O_DIRECT) as fd:
            try:
                written = os.pwrite(fd, data, 8192)
            except OSError as error:
                same(error.errno, errno.ENOSPC)
                same(os.fstat(fd).st_size, 5000)
            else:
                check(0 < written < 65536, f"{written} bytes")
                same(os.fstat(fd).st_size, 8192 + written)
        same(read_file("f")[:5000], b"a" * 5000)

    on_target(work)


def test_again_and_again():
    """The same room each time: nothing is lost by filling and removing."""
    def work(_):
        ballast()
        sizes = []
        for _ in range(4):
            sizes.append(fill())
            os.unlink("filler")
            os.sync()
            if os.path.exists("another"):
                os.unlink("another")
        check(max(sizes) - min(sizes) <= 65536, f"room: {sizes}")

    on_target(work)


def test_what_still_works():
    def work(_):
        ballast()
        write_file("victim", b"x" * 100_000)
        os.makedirs("d/e")
        os.symlink("x", "l")
        os.setxattr("victim", "user.a", b"y" * 3000)
        brim()
        with opened("filler") as fd:
            os.pwrite(fd, b"in place", 0)
            same(os.pread(fd, 8, 0), b"in place")
            os.fsync(fd)
        os.rename("l", "d/l")
        os.utime("victim", (1, 1))
        os.chmod("victim", 0o600)
        os.removexattr("victim", "user.a")
        os.truncate("victim", 10)
        os.rmdir("d/e")
        os.unlink("d/l")
        os.unlink("victim")
        with opened("filler") as fd:
            fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 0, 2 * MIB)
        wait_for(lambda: os.statvfs(".").f_bavail > 256, 10, "room after a punch")
        write_file("after", b"x" * 500_000)

    on_target(work)


def until_full(make):
    """Call make(0), make(1), ... until ENOSPC; the number that failed."""
    number = 0
    while True:
        result = error_of(make, number)
        if result:
            same(errno.errorcode[result], "ENOSPC")
            return number
        number += 1
        check(number < 1_000_000, "it is never full")


def nothing_left(make, exists):
    """What make() does not finish for want of space is not there, and can be tried again."""
    def work(_):
        os.mkdir("d")
        brim()
        failed = until_full(make)
        check(not exists(failed), "what failed is there")
        for _ in range(3):
            expect(errno.ENOSPC, make, failed)
        if failed:
            check(exists(failed - 1), "what worked is gone")

    on_target(work)


def named(number):
    return f"d/{number}" + "n" * 200


def there(number):
    return os.path.lexists(named(number)) or os.path.basename(named(number)) in os.listdir("d")


def test_create():
    nothing_left(lambda number: os.close(os.open(named(number), os.O_CREAT | os.O_EXCL)), there)


def test_mkdir():
    nothing_left(lambda number: os.mkdir(named(number)), there)


def test_symlink():
    nothing_left(lambda number: os.symlink("t" * 4000, named(number)), there)


def test_mknod():
    nothing_left(lambda number: os.mknod(named(number), stat.S_IFIFO | 0o600), there)


def test_link():
    nothing_left(lambda number: os.link("filler", named(number)), there)


def test_rename():
    """Into a directory that has no room for another name."""
    def make(number):
        if not os.path.lexists("source"):
            os.mkdir("source")
        os.rename("source", named(number))

    nothing_left(make, there)


def test_setxattr():
    def make(number):
        os.setxattr("filler", f"user.a{number}", b"x" * 3000)

    nothing_left(make, lambda number: f"user.a{number}" in os.listxattr("filler"))


def test_large_setxattr():
    def work(_):
        ballast()
        write_file("f")
        os.setxattr("f", "user.a", b"old" * 1000)
        brim()
        before = space(".")
        expect(errno.ENOSPC, os.setxattr, "f", "user.a", b"n" * 65536)
        expect(errno.ENOSPC, os.setxattr, "f", "user.b", b"n" * 65536)
        same(os.getxattr("f", "user.a"), b"old" * 1000)
        same(os.listxattr("f"), ["user.a"])
        same(space("."), before)

    on_target(work)


def test_fallocate():
    def work(_):
        ballast()
        room = os.statvfs(".").f_bavail * 4096
        before = space(".")
        with opened("f", os.O_RDWR | os.O_CREAT) as fd:
            start = space(".")
            expect(errno.ENOSPC, fallocate, fd, 0, 0, room * 2)
            same((os.fstat(fd).st_size, os.fstat(fd).st_blocks), (0, 0))
            same(space("."), start)
        os.unlink("f")
        wait_for(lambda: space(".") == before, 10, "the blocks")

    on_target(work)


def test_many_small_files():
    def work(_):
        ballast()
        os.mkdir("d")
        count = until_full(lambda number: write_file(f"d/{number}", b"x" * 3000))
        check(count > 200, f"only {count} files")
        for number in range(0, count, 37):
            same(read_file(f"d/{number}"), b"x" * 3000)
        for number in range(0, count, 2):
            os.unlink(f"d/{number}")
        for number in range(count // 3):
            write_file(f"d/again{number}", b"y" * 3000)

    on_target(work)


def test_deep_directories():
    def work(_):
        ballast()
        made = 0
        while True:
            result = error_of(os.mkdir, "d")
            if result:
                same(errno.errorcode[result], "ENOSPC")
                break
            os.chdir("d")
            made += 1
            if made % 8 == 0:
                result = error_of(write_file, "f", b"x" * 500_000)
                if result:
                    break
        check(made > 20, f"only {made} levels")
        check(result == errno.ENOSPC, f"{result}")

    on_target(work)


def test_remount():
    target = Target.of_environment()
    target.mkfs()
    home = os.getcwd()
    with target.mounted() as where:
        before = space(where)
        os.chdir(where)
        brim()
        size = os.stat("filler").st_size
        os.chdir(home)
    with target.mounted() as where:
        same(os.stat(f"{where}/filler").st_size, size)
        expect(errno.ENOSPC, write_file, f"{where}/more", b"x" * 200_000)
        remove_all(where)
        wait_for(lambda: space(where) == before, 10, f"every block: {space(where)}, {before}")


def test_mapped_store():
    """A store into a hole that finds no room: an error or a signal, never silent loss."""
    import mmap

    def store():
        with opened("sparse") as fd:
            mapping = mmap.mmap(fd, 32 * MIB)
            for start in range(0, 32 * MIB, 4096):
                mapping[start] = 1
            result = error_of(mapping.flush)
            os._exit(0 if result in (errno.ENOSPC, errno.EIO) or error_of(os.fsync, fd) else 1)

    def work(_):
        ballast()
        write_file("sparse")
        os.truncate("sparse", 32 * MIB)
        fill()
        pid = os.fork()
        if pid == 0:
            store()
        status = os.waitpid(pid, 0)[1]
        check(os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "msync and fsync said nothing")

    on_target(work)


def test_open_and_unlinked():
    """What an unlinked file held is free once it is closed, not before."""
    def work(_):
        ballast()
        with opened("held", os.O_RDWR | os.O_CREAT) as fd:
            os.write(fd, b"x" * 2 * MIB)
            os.unlink("held")
            held = space(".")[0]
            fill("filler")
            same(os.pread(fd, 10, MIB), b"x" * 10)
        wait_for(lambda: space(".")[0] >= 512, 10, f"2 MiB; there were {held} blocks before")

    on_target(work)


def test_concurrent():
    """Several fill it at once; each gets ENOSPC or success, and all files hold what was written."""
    def work(_):
        ballast()
        pids = []
        for who in range(4):
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    status = writer(who)
                finally:
                    os._exit(status)
            pids.append(pid)
        same([os.waitpid(pid, 0)[1] for pid in pids], [0] * 4)

    def writer(who):
        for number in range(scale(3000, 1000)):
            name = f"w{who}-{number}"
            data = pattern(who * 10_000 + number, 20_000)
            result = error_of(write_file, name, data)
            if result == errno.ENOSPC:
                return 0
            check(result == 0 and read_file(name) == data, f"{name}: {result}")
        return 0

    on_target(work)


main()
