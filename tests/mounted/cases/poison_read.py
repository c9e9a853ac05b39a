# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# size: 64
# timeout: 120
# Poisoned memory under file data: what readers get, by every way to read, and what programs say.

import errno
import mmap
import os
import signal
import sqlite3
import subprocess

from check import check, expect, main, opened, read_file, same, write_file
from pins import PAGE, make_file, pin_range
from poison import block_at, drop_cache, lives, on_poisoned, read_at
from syscalls import copy_range
from target import patience, pattern

SIZE = 2 << 20
BAD = 300 * PAGE  # of a file of SIZE
DATA = pattern(7, SIZE)


def make(target, kind):
    """A DAX or an ordinary file of DATA; its block at BAD cannot be read."""
    path = f"{target.where}/{kind}"
    if kind == "dax":
        make_file(path)
    write_file(path, DATA)
    spoil(target, path, BAD)
    return path


def spoil(target, path, off):
    target.poison(block_at(path, off))
    drop_cache(path)


def check_reads(path):
    """To the byte; each twice, for the first may find what the second knows."""
    for off, length, want in (
            (BAD, PAGE, "EIO"), (BAD + PAGE - 1, 1, "EIO"), (BAD + 100, SIZE, "EIO"),
            (BAD - PAGE, PAGE, PAGE), (BAD + PAGE, PAGE, PAGE), (BAD - 1, 1, 1),
            (BAD - 1, 2, 1), (BAD - PAGE, 1 << 20, PAGE), (BAD - 5000, 6000, 5000),
            (BAD - (1 << 20), (1 << 20) + PAGE, 1 << 20), (0, SIZE, BAD),
            (BAD + PAGE, SIZE, SIZE - BAD - PAGE), (0, 1 << 20, 1 << 20)):
        for _ in range(2):
            got = read_at(path, off, length)
            if want != "EIO" and got != "EIO":
                check(got == DATA[off:off + len(got)], f"other bytes at {off}, {length}")
                got = len(got)
            same(got, want, f"{length} bytes at {off}")


@on_poisoned
def test_dax(target):
    with target.mounted():
        path = make(target, "dax")
        check_reads(path)
        same(os.stat(path).st_size, SIZE)
        lives(target)


@on_poisoned
def test_page_cache(target):
    with target.mounted():
        path = make(target, "ordinary")
        check_reads(path)
        same(os.stat(path).st_size, SIZE)
        lives(target)


@on_poisoned
def test_direct(target):
    """O_DIRECT on an ordinary file."""
    with target.mounted():
        path = make(target, "ordinary")
        with opened(path, os.O_RDONLY | os.O_DIRECT) as fd, mmap.mmap(-1, 1 << 20) as memory:
            same(os.preadv(fd, [memory], BAD - (1 << 19)), 1 << 19)
            same(memory[:1 << 19], DATA[BAD - (1 << 19):BAD])
            expect(errno.EIO, os.preadv, fd, [memory], BAD)
            same(os.preadv(fd, [memory], BAD + PAGE), min(1 << 20, SIZE - BAD - PAGE))
        lives(target)


@on_poisoned
def test_several(target):
    """Bad blocks next to each other, apart, the first one and the last one."""
    with target.mounted():
        path = make(target, "dax")
        for block in (0, 100, 101, 103, SIZE // PAGE - 1):
            target.poison(block_at(path, block * PAGE))
        last = SIZE // PAGE - 1
        for at, want in ((0, "EIO"), (1, 99), (100, "EIO"), (101, "EIO"), (102, 1), (103, "EIO"),
                         (104, BAD // PAGE - 104), (last - 1, 1), (last, "EIO")):
            got = read_at(path, at * PAGE, SIZE)
            same(got if got == "EIO" else len(got) // PAGE, want, f"from block {at}")
        lives(target)


def touch(path, off):
    """The byte there through a mapping, or the signal that came of it."""
    pid = os.fork()
    if pid == 0:
        fd = os.open(path, os.O_RDONLY)
        with mmap.mmap(fd, SIZE, mmap.MAP_PRIVATE, mmap.PROT_READ) as mapping:
            os._exit(0 if mapping[off] == DATA[off] else 1)
    return os.waitpid(pid, 0)[1]


@on_poisoned
def test_mmap(target):
    with target.mounted():
        for kind in ("ordinary", "dax"):
            path = make(target, kind)
            for off, want in ((BAD - 1, 0), (BAD, signal.SIGBUS), (BAD + PAGE, 0), (0, 0),
                              (BAD + PAGE - 1, signal.SIGBUS)):
                same(touch(path, off) & 0x7f, want, f"{kind}, byte {off}")
        lives(target)


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, errors="replace", check=False,
        timeout=patience(30), env={**os.environ, "LC_ALL": "C"})


@on_poisoned
def test_programs(target):
    with target.mounted() as where:
        for kind in ("ordinary", "dax"):
            path = make(target, kind)
            result = run("cp", path, f"{where}/copy")
            check(result.returncode == 1 and "Input/output error" in result.stderr, f"cp: {result}")
            result = run("dd", f"if={path}", f"of={where}/copy", "bs=4k", "conv=noerror,sync")
            check("511+1 records in" in result.stderr, f"dd: {result}")
            check(read_file(f"{where}/copy") == DATA[:BAD] + bytes(PAGE) + DATA[BAD + PAGE:],
                f"dd of {kind}: the good blocks")
            result = run("sh", "-c", f"cat {path} >{where}/copy")
            check(result.returncode == 1, f"cat: {result}")
            check(read_file(f"{where}/copy") == DATA[:BAD], f"cat of {kind}: what comes before")
        lives(target)


@on_poisoned
def test_copy_range(target):
    with target.mounted() as where:
        path = make(target, "dax")
        with opened(path) as fd, opened(f"{where}/copy", os.O_RDWR | os.O_CREAT) as to:
            done = 0
            while done < BAD:
                done += copy_range(fd, done, to, done, BAD - done)
            same(done, BAD)
            check(error_of_copy(fd, to, BAD) == errno.EIO, "the bad block was copied")
            same(copy_range(fd, BAD + PAGE, to, 0, PAGE), PAGE)
            check(os.pread(to, PAGE, PAGE) == DATA[PAGE:2 * PAGE], "what was copied")
        lives(target)


def error_of_copy(fd, to, off):
    try:
        copy_range(fd, off, to, off, PAGE)
    except OSError as error:
        return error.errno
    return 0


@on_poisoned
def test_sqlite(target):
    """An error where it reads the bad page, and all else as ever."""
    with target.mounted() as where:
        path = f"{where}/base"
        base = sqlite3.connect(path)
        base.execute("create table large (id integer primary key, data blob)")
        base.executemany("insert into large values (?, ?)", ((i, bytes(3000)) for i in range(300)))
        base.execute("create table small (word text)")
        base.execute("insert into small values ('kept')")
        base.commit()
        base.close()
        spoil(target, path, 200 * PAGE)
        base = sqlite3.connect(path)
        same(base.execute("select word from small").fetchall(), [("kept",)])
        try:
            base.execute("select count(*), sum(length(data)) from large").fetchall()
            raise AssertionError("sqlite read what cannot be read")
        except sqlite3.DatabaseError as error:  # it takes EIO for a sign of damage
            check("malformed" in str(error) or "disk I/O error" in str(error), error)
        same(base.execute("select length(data) from large where id = 1").fetchall(), [(3000,)])
        base.close()
        lives(target)


@on_poisoned
def test_pin(target):
    """A client may have what is good of a file, if it says so."""
    with target.mounted():
        path = make(target, "dax")
        same(read_at(path, BAD, PAGE), "EIO")
        with opened(path) as fd:
            expect(errno.EIO, pin_range, fd, 0, SIZE)
            expect(errno.EIO, pin_range, fd, BAD, 1)
            pin_range(fd, 0, BAD)
            pin = pin_range(fd, 0, SIZE, flags=16)
            same([(e.off, e.len) for e in pin.extents if e.flags & 4], [(BAD, PAGE)])
            same(sum(e.len for e in pin.extents if not e.flags), SIZE - PAGE)
        lives(target)


main()
