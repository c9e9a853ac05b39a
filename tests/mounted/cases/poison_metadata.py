# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# size: 64
# timeout: 120
# Poisoned memory under inodes, directories, trees, bitmaps and lanes of a mounted filesystem: an
# error for what lies there, and all else as ever.

import errno
import os
import signal

from check import check, error_of, expect, main, opened, read_file, same, write_file
from command import found
from media import BLOCK
from poison import block_at, drop_cache, lives, on_poisoned, read_at
from syscalls import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, fallocate

PAGE = BLOCK


def kept(target):
    """A file that is none of what is spoiled; check_kept looks whether it still is."""
    write_file(f"{target.where}/kept", b"kept" * 30000)


def check_kept(target):
    path = f"{target.where}/kept"
    drop_cache(path)
    check(read_file(path) == b"kept" * 30000, "another file")
    with opened(path) as fd:
        os.pwrite(fd, b"kept" * 1000, 40000)
    lives(target)


def look(path):
    """The error of looking the path up and at its data, or 0."""
    return error_of(os.stat, path) or error_of(os.close, os.open(path, os.O_RDONLY))


def number_in_use(target, name):
    return os.stat(f"{target.where}/{name}").st_ino


# ---- inodes -------------------------------------------------------------------------------------


def make_many(where, count):
    os.mkdir(f"{where}/many")
    for i in range(count):
        write_file(f"{where}/many/f{i}", b"%d" % i)


@on_poisoned
def test_inode(target):
    """The inodes of one block of the table, not in memory yet."""
    with target.mounted() as where:
        kept(target)
        make_many(where, 200)
        numbers = {name: os.stat(f"{where}/many/{name}").st_ino
            for name in os.listdir(f"{where}/many")}
    bad = target.media().inode_block(numbers["f100"])
    lost = {name for name, ino in numbers.items() if target.media().inode_block(ino) == bad}
    check(8 < len(lost) < 17 and numbers["f100"] // 16 > 2, f"{lost}")
    with target.mounted() as where:
        target.poison(bad)
        for name in numbers:
            want = errno.EIO if name in lost else 0
            same(look(f"{where}/many/{name}"), want, f"{name} is {numbers[name]}")
        same(set(os.listdir(f"{where}/many")), set(numbers), "names")
        expect(errno.EIO, os.unlink, f"{where}/many/f100")
        expect(errno.EIO, os.chmod, f"{where}/many/f100", 0o600)
        make_more(target, "new")
        check_kept(target)
        target.heal(bad)
        for name in lost:
            same(read_file(f"{where}/many/{name}"), name[1:].encode())
    with target.mounted() as where:
        for name in lost:
            same(read_file(f"{where}/many/{name}"), name[1:].encode())


def make_more(target, name):
    """More files than there are free inodes in blocks that are in use."""
    os.mkdir(f"{target.where}/{name}")
    for i in range(300):
        write_file(f"{target.where}/{name}/{i}", b"x")
    for i in range(300):
        os.unlink(f"{target.where}/{name}/{i}")
    os.rmdir(f"{target.where}/{name}")


@on_poisoned
def test_inode_in_use(target):
    """It is in memory: what can be done without a look at media is, and no more."""
    with target.mounted() as where:
        kept(target)
        make_many(where, 200)
        path = f"{where}/many/f100"
        with opened(path) as fd:
            target.poison(target.media().inode_block(os.fstat(fd).st_ino))
            for change in (lambda: os.pwrite(fd, b"changed", 0), lambda: os.fchmod(fd, 0o640),
                           lambda: os.ftruncate(fd, 100000), lambda: os.fsync(fd),
                           lambda: os.utime(fd), lambda: os.ftruncate(fd, 0)):
                check(error_of(change) in (0, errno.EIO), "another error")
        check(error_of(os.unlink, path) in (0, errno.EIO), "another error of unlink")
        check_kept(target)


# ---- directories --------------------------------------------------------------------------------


@on_poisoned
def test_directory(target):
    with target.mounted() as where:
        kept(target)
        os.mkdir(f"{where}/d")
        os.mkdir(f"{where}/e")
        for name in ("a", "b", "c"):
            write_file(f"{where}/d/{name}", b"x")
        ino = number_in_use(target, "d")
    bad, = target.media().name_nodes(ino)
    with target.mounted() as where:
        target.poison(bad)
        for _ in range(2):
            expect(errno.EIO, os.stat, f"{where}/d/a")
            expect(errno.EIO, os.stat, f"{where}/d/none")
            expect(errno.EIO, os.listdir, f"{where}/d")
            expect(errno.EIO, os.mkdir, f"{where}/d/new")
            expect(errno.EIO, os.unlink, f"{where}/d/b")
            expect(errno.EIO, os.rename, f"{where}/kept", f"{where}/d/kept")
            expect(errno.EIO, os.rename, f"{where}/d/c", f"{where}/e/c")
            expect((errno.EIO, errno.ENOTEMPTY), os.rmdir, f"{where}/d")
        same(os.listdir(f"{where}/e"), [])
        same(os.stat(f"{where}/d").st_ino, ino)
        check_kept(target)
        target.heal(bad)
        same(sorted(os.listdir(f"{where}/d")), ["a", "b", "c"])


@on_poisoned
def test_large_directory(target):
    """One leaf of many: the names elsewhere are found."""
    with target.mounted() as where:
        kept(target)
        os.mkdir(f"{where}/d")
        for i in range(1000):
            os.mknod(f"{where}/d/name-{i}")
        ino = number_in_use(target, "d")
    nodes = target.media().name_nodes(ino)
    check(len(nodes) > 5, f"{len(nodes)} nodes")
    with target.mounted() as where:
        target.poison(nodes[3])
        errors = [error_of(os.stat, f"{where}/d/name-{i}") for i in range(1000)]
        same(set(errors), {0, errno.EIO})
        check(errors.count(errno.EIO) < 500, f"{errors.count(errno.EIO)} of 1000 names are lost")
        expect(errno.EIO, os.listdir, f"{where}/d")
        check_kept(target)
    with target.mounted() as where:
        target.poison(nodes[0])
        expect(errno.EIO, os.stat, f"{where}/d/name-1")
        check_kept(target)


@on_poisoned
def test_root(target):
    """The root directory itself: there is not much left, but an unmount."""
    with target.mounted() as where:
        kept(target)
    bad, = target.media().name_nodes(1)
    with target.mounted() as where:
        target.poison(bad)
        expect(errno.EIO, os.stat, f"{where}/kept")
        expect(errno.EIO, os.listdir, where)
        check(os.statvfs(where).f_bfree > 0, "statfs")
    with target.mounted():
        check_kept(target)


# ---- trees --------------------------------------------------------------------------------------


def fragment(path, count):
    """A file of so many extents: every other block is a hole."""
    with opened(path, os.O_RDWR | os.O_CREAT) as fd:
        for i in range(count):
            os.pwrite(fd, b"%08d" % i * 512, i * 2 * PAGE)


@on_poisoned
def test_extent_node(target):
    with target.mounted() as where:
        kept(target)
        fragment(f"{where}/f", 600)
        ino = number_in_use(target, "f")
    root, first, *others = target.media().extent_nodes(ino)
    check(others, "one leaf only")
    with target.mounted() as where:
        path = f"{where}/f"
        target.poison(first)
        same(read_at(path, 0, PAGE), "EIO")
        same(read_at(path, 599 * 2 * PAGE, PAGE), b"%08d" % 599 * 512)
        same(os.stat(path).st_size, 599 * 2 * PAGE + PAGE)
        with opened(path) as fd:
            expect(errno.EIO, os.pwrite, fd, b"N" * PAGE, PAGE)
            same(os.pwrite(fd, b"N" * PAGE, 599 * 2 * PAGE), PAGE)
            expect(errno.EIO, fallocate, fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 0, PAGE)
        check_kept(target)
        target.heal(first)
        drop_cache(path)
        same(read_at(path, 0, PAGE), b"%08d" % 0 * 512)
        target.poison(root)
        drop_cache(path)
        for i in (0, 300, 599):
            same(read_at(path, i * 2 * PAGE, PAGE), "EIO")
        expect(errno.EIO, os.truncate, path, PAGE)
        check(error_of(os.unlink, path) in (0, errno.EIO), "another error of unlink")
        check_kept(target)
    with target.mounted():
        check_kept(target)


@on_poisoned
def test_xattr(target):
    with target.mounted() as where:
        kept(target)
        for name in ("f", "g"):
            write_file(f"{where}/{name}", name.encode())
            os.setxattr(f"{where}/{name}", "user.large", b"v" * 3000)
        ino = number_in_use(target, "f")
    bad = target.media().xattr_root(ino)
    with target.mounted() as where:
        target.poison(bad)
        expect(errno.EIO, os.getxattr, f"{where}/f", "user.large")
        expect(errno.EIO, os.listxattr, f"{where}/f")
        same(os.getxattr(f"{where}/g", "user.large"), b"v" * 3000)
        same(read_file(f"{where}/f"), b"f")
        check_kept(target)


@on_poisoned
def test_symlink(target):
    """A target too long for the inode."""
    with target.mounted() as where:
        kept(target)
        os.symlink("x" * 500, f"{where}/s")
        ino = os.lstat(f"{where}/s").st_ino
    with target.mounted() as where:
        target.poison(target.media().data_block(ino, 0))
        expect(errno.EIO, os.readlink, f"{where}/s")
        check_kept(target)
        os.unlink(f"{where}/s")


# ---- what belongs to no file --------------------------------------------------------------------


@on_poisoned
def test_bitmap(target):
    """Of a part of the device; there is room elsewhere."""
    with target.mounted() as where:
        kept(target)
        write_file(f"{where}/f", b"x" * 100000)
        target.poison(target.media().chunk_entry(block_at(f"{where}/f", 0)))
        check(error_of(os.unlink, f"{where}/f") in (0, errno.EIO), "another error of unlink")
        for i in range(20):
            check(error_of(write_file, f"{where}/g{i}", b"x" * 50000) in (0, errno.EIO,
                errno.ENOSPC), "another error")
        path = f"{where}/kept"
        drop_cache(path)
        check(read_file(path) == b"kept" * 30000, "another file")
        check(target.process.poll() is None, "the daemon is gone")


@on_poisoned
def test_lanes(target):
    """The log is only written to; and replayed, after a crash."""
    with target.mounted():
        kept(target)
        for lane in target.media().lanes:
            target.poison(lane, 2 * PAGE)
        check_kept(target)
        make_more(target, "new")
        check_kept(target)


# ---- errors= ------------------------------------------------------------------------------------


def hit(target, options):
    """Mounted so, with bad metadata met; where that is, and the error of meeting it."""
    with target.mounted() as where:
        kept(target)
        os.mkdir(f"{where}/d")
        write_file(f"{where}/d/f", b"x")
        ino = number_in_use(target, "d")
    bad, = target.media().name_nodes(ino)
    target.mount(options)
    target.poison(bad)
    return bad, error_of(os.stat, f"{target.where}/d/f")


@on_poisoned
def test_errors_continue(target):
    bad, error = hit(target, "errors=continue")
    same(error, errno.EIO)
    check_kept(target)
    same([(r["device_offset"], r["what"]) for r in found("badblocks", "badblocks", target.where)],
        [(bad, "metadata")])
    target.unmount()


@on_poisoned
def test_errors_remount_ro(target):
    _, error = hit(target, "errors=remount-ro")
    same(error, errno.EIO)
    expect(errno.EROFS, write_file, f"{target.where}/new", b"x")
    same(read_file(f"{target.where}/kept"), b"kept" * 30000)
    target.unmount()
    with target.mounted():
        check_kept(target)


@on_poisoned
def test_errors_abort(target):
    _, error = hit(target, "errors=abort")
    check(error, "no error")
    same(target.wait_end(), -signal.SIGABRT)
    target.end()
    with target.mounted():
        check_kept(target)


@on_poisoned
def test_data_is_no_matter_of_errors(target):
    """Poison under a file's data is that file's alone."""
    with target.mounted("errors=remount-ro") as where:
        kept(target)
        write_file(f"{where}/f", b"x" * 20000)
        target.poison(block_at(f"{where}/f", 0))
        drop_cache(f"{where}/f")
        same(read_at(f"{where}/f", 0, 100), "EIO")
        check_kept(target)


main()
