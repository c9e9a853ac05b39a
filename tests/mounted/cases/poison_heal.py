# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# size: 64
# timeout: 120
# What ends poison under file data, and what is remembered of it.

import errno
import os

from check import check, error_of, expect, main, opened, read_file, same, write_file
from fill import FILLER, empty_fill, fill
from pins import PAGE, make_file, overlap, runs_of_all_files
from poison import block_at, drop_cache, either_way, lives, on_poisoned, read_at
from syscalls import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO, fallocate
from target import pattern

SIZE = 2 << 20
BAD = 300 * PAGE  # of a file of SIZE
DATA = pattern(7, SIZE)
KINDS = ("dax", "ordinary")


def make(target, kind):
    """A DAX or an ordinary file of DATA; its block at BAD is known to be bad. Where that lies."""
    path = f"{target.where}/{kind}"
    if kind == "dax":
        make_file(path)
    write_file(path, DATA)
    at = block_at(path, BAD)
    target.poison(at)
    drop_cache(path)
    same(read_at(path, BAD, PAGE), "EIO")
    return path, at


def holds(path, data):
    """By what the kernel keeps, and anew."""
    check(read_file(path) == data, f"{path}: bytes of it")
    drop_cache(path)
    check(read_file(path) == data, f"{path}: bytes of it, read again")


def changed(off, new):
    return DATA[:off] + new + DATA[off + len(new):]


@either_way
def test_overwrite(target):
    """A whole block, exactly; the file holds that from then on, after a remount too."""
    with target.mounted():
        for kind in KINDS:
            path, at = make(target, kind)
            with opened(path) as fd:
                same(os.pwrite(fd, b"N" * PAGE, BAD), PAGE)
                os.fsync(fd)
            same(block_at(path, BAD) == at, target.clears(), "the block stayed where it was")
            holds(path, changed(BAD, b"N" * PAGE))
        lives(target)
    with target.mounted() as where:
        for kind in KINDS:
            holds(f"{where}/{kind}", changed(BAD, b"N" * PAGE))


@either_way
def test_overwrite_more(target):
    """More than the bad block, that begins and ends amid others."""
    with target.mounted():
        for kind in KINDS:
            path, _ = make(target, kind)
            new = b"N" * (PAGE * 9 + 200)
            with opened(path) as fd:
                same(os.pwrite(fd, new, BAD - 4 * PAGE - 100), len(new))
            holds(path, changed(BAD - 4 * PAGE - 100, new))
        lives(target)


@on_poisoned
def test_part(target):
    """Part of a block is no cure: the rest would be invented."""
    with target.mounted():
        for kind in KINDS:
            path, _ = make(target, kind)
            with opened(path) as fd:
                for off, length in ((BAD, 100), (BAD + 100, 200), (BAD + PAGE - 1, 1)):
                    expect(errno.EIO, os.pwrite, fd, b"N" * length, off)
            same(read_at(path, BAD, PAGE), "EIO")
            same(read_at(path, BAD + PAGE, PAGE), DATA[BAD + PAGE:BAD + 2 * PAGE])
            same(read_at(path, BAD - PAGE, PAGE), DATA[BAD - PAGE:BAD])
        lives(target)


@either_way
def test_punch(target):
    with target.mounted():
        for kind in KINDS:
            for mode in (FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, FALLOC_ZERO):
                path, _ = make(target, kind)
                with opened(path) as fd:
                    fallocate(fd, mode, BAD, PAGE)
                holds(path, changed(BAD, bytes(PAGE)))
                with opened(path) as fd:
                    os.pwrite(fd, b"N" * PAGE, BAD)
                holds(path, changed(BAD, b"N" * PAGE))
                os.unlink(path)
        lives(target)


@either_way
def test_truncate(target):
    with target.mounted():
        for kind in KINDS:
            path, _ = make(target, kind)
            os.truncate(path, BAD)
            os.truncate(path, SIZE)
            holds(path, DATA[:BAD] + bytes(SIZE - BAD))
            path, _ = make(target, kind)
            write_file(path, DATA)  # with O_TRUNC
            holds(path, DATA)
        lives(target)


@either_way
def test_removed(target):
    """A bad block whose file is gone is in no other file, in this mount and the next."""
    with target.mounted():
        bad = []
        for kind in KINDS:
            path, at = make(target, kind)
            bad.append((at, at + PAGE))
            os.unlink(path)
        lives(target)
        full_of_good(target, bad)
    if not target.clears():
        target.poison_from_the_start(*(first for first, _ in bad))
    with target.mounted():
        full_of_good(target, bad)


def full_of_good(target, bad):
    """Fill it up: all that is written is read back."""
    fill(target.where)
    fill_dir = f"{target.where}/fill"
    for name in os.listdir(fill_dir):
        if name == "reserved":
            continue
        drop_cache(f"{fill_dir}/{name}")
        data = read_file(f"{fill_dir}/{name}")
        check(data.count(FILLER) == len(data), f"{name}: bytes of it")
    found = overlap(runs_of_all_files(target.where), sorted(bad))
    check(target.clears() or not found, f"a file has a bad block: {found}")
    empty_fill(target.where)


@either_way
def test_remembered(target):
    """The next mount knows, though nothing shows it any more; and the one after a crash."""
    with target.mounted():
        for kind in KINDS:
            make(target, kind)
    for end in (target.unmount, target.kill, target.unmount):
        target.mount()
        for kind in KINDS:
            same(read_at(f"{target.where}/{kind}", BAD, PAGE), "EIO", kind)
            same(read_at(f"{target.where}/{kind}", BAD - PAGE, SIZE), DATA[BAD - PAGE:BAD])
        lives(target)
        end()
    with target.mounted() as where:
        for kind in KINDS:
            with opened(f"{where}/{kind}") as fd:
                os.pwrite(fd, DATA[BAD:BAD + PAGE], BAD)
    with target.mounted() as where:
        for kind in KINDS:
            holds(f"{where}/{kind}", DATA)


@on_poisoned
def test_read_only(target):
    """A read-only mount can tell, and keeps nothing."""
    with target.mounted() as where:
        write_file(f"{where}/f", DATA)
        at = block_at(f"{where}/f", BAD)
    target.poison_from_the_start(at)
    with target.mounted("ro") as where:
        same(len(read_at(f"{where}/f", 0, SIZE)), BAD)
        same(read_at(f"{where}/f", BAD, PAGE), "EIO")
    target.poison_from_the_start()
    with target.mounted() as where:
        check(read_file(f"{where}/f") == DATA, "f")


@either_way
def test_again(target):
    """It was cured, and goes bad again; over and over."""
    with target.mounted():
        path, _ = make(target, "dax")
        for turn in range(20):
            new = bytes([turn]) * PAGE
            with opened(path) as fd:
                os.pwrite(fd, new, BAD)
            same(read_at(path, BAD, PAGE), new, f"turn {turn}")
            target.poison(block_at(path, BAD))
            same(read_at(path, BAD, PAGE), "EIO", f"turn {turn}")
        lives(target)


@either_way
def test_all_bad(target):
    """Every block of a file: each is told, none is read, and removing it works."""
    with target.mounted():
        for kind in KINDS:
            path = f"{target.where}/{kind}"
            write_file(path, DATA[:64 * PAGE])
            target.poison(block_at(path, 0), 64 * PAGE)
            drop_cache(path)
            same([read_at(path, i * PAGE, 2 * PAGE) for i in range(64)], ["EIO"] * 64)
            same(error_of(os.unlink, path), 0)
        lives(target)


main()
