# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 120
# Pages that the kernel itself took for bad, of an image in the memory of a virtual machine: loads
# raise BUS_MCEERR_AR in every process and every mapping, stores too, until the page is punched out.

import ctypes
import errno
import mmap
import os

from check import Skip, check, error_of, expect, main, opened, read_file, same, write_file
from media import BLOCK
from poison import PoisonTarget, block_at, drop_cache, lives, read_at, run_on
from target import pattern, wait_for

PAGE = BLOCK
SIZE = 1 << 20
BAD = 100 * PAGE
DATA = pattern(7, SIZE)
MADV_HWPOISON = 100


def on_image(test):
    def run():
        if not os.environ.get("DDFS_VM"):
            raise Skip("it would take the pages away from this machine for good")
        target = PoisonTarget(os.environ["DDFS_BUILD"], os.environ["DDFS_WORK"], None, "", 64 << 20)
        target.environment = None
        run_on(test, target)

    return run


def poison(target, off):
    """The kernel may be busy with the page, or say so when it is done."""
    wait_for(lambda: poison_once(target.source, off) or is_bad(target, off), 20, "a bad page")


def poison_once(path, off):
    libc = ctypes.CDLL(None, use_errno=True)
    with opened(path) as fd, mmap.mmap(fd, PAGE, offset=off) as mapping:
        byte = ctypes.c_char.from_buffer(mapping)
        mapping[0] = mapping[0]  # touched, so that it is mapped
        result = libc.madvise(ctypes.c_void_p(ctypes.addressof(byte)), PAGE, MADV_HWPOISON)
        del byte
    return result == 0


def is_bad(target, off):
    with opened(target.source) as fd:
        return error_of(os.pread, fd, PAGE, off) == errno.EIO


@on_image
def test_data(target):
    with target.mounted() as where:
        path = f"{where}/f"
        write_file(path, DATA)
        at = block_at(path, BAD)
        poison(target, at)
        drop_cache(path)
        check(is_bad(target, at), "the kernel thinks well of the page")
        same(read_at(path, BAD, PAGE), "EIO")
        same(read_at(path, 0, SIZE), DATA[:BAD])
        same(read_at(path, BAD + PAGE, SIZE), DATA[BAD + PAGE:])
        lives(target)
    with target.mounted():
        same(read_at(path, BAD, PAGE), "EIO")
        with opened(path) as fd:
            same(os.pwrite(fd, DATA[BAD:BAD + PAGE], BAD), PAGE)
        drop_cache(path)
        check(read_file(path) == DATA, "what was written over it")
        check(not is_bad(target, at), "it was not cleared")
        lives(target)


@on_image
def test_metadata(target):
    with target.mounted() as where:
        for i in range(200):
            write_file(f"{where}/f{i}", b"%d" % i)
        os.mkdir(f"{where}/d")
        write_file(f"{where}/d/f", b"x")
        inode, names = os.stat(f"{where}/f100").st_ino, os.stat(f"{where}/d").st_ino
    bad = target.media().inode_block(inode), target.media().name_nodes(names)[0]
    with target.mounted() as where:
        for off in bad:
            poison(target, off)
        expect(errno.EIO, os.stat, f"{where}/f100")
        expect(errno.EIO, os.chmod, f"{where}/f100", 0o600)
        expect(errno.EIO, os.stat, f"{where}/d/f")
        expect(errno.EIO, os.mkdir, f"{where}/d/new")
        same(read_file(f"{where}/f1"), b"1")
        lives(target)
    with target.mounted():
        lives(target)


@on_image
def test_super(target):
    """Before anybody has it mapped."""
    with target.mounted() as where:
        write_file(f"{where}/f", DATA)
    for off in target.media().supers + target.media().root_blocks:
        poison(target, off)
        with target.mounted() as where:
            check(read_file(f"{where}/f") == DATA, "a file")
            lives(target)
        with target.mounted():
            check(not is_bad(target, off), f"{off} was not repaired")


main()
