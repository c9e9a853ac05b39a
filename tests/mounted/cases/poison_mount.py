# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# size: 64
# timeout: 120
# A mount of a device with poison under its fixed structures: the other copy is used and this one
# repaired, or the mount is refused with a word on why; never more than that.

import os
import re
import struct
import subprocess

from check import check, main, read_file, same, write_file
from media import BLOCK, INODE_BYTES
from poison import either_way, lives, on_poisoned

DATA = b"kept" * 30000


def filled(target):
    """With a file; cleanly unmounted."""
    with target.mounted() as where:
        os.mkdir(f"{where}/d")
        write_file(f"{where}/d/kept", DATA)
    return target.media()


def check_filled(target):
    check(read_file(f"{target.where}/d/kept") == DATA, "a file from before")
    lives(target)


def both_supers(media):
    first, second = (media.read(off, BLOCK) for off in media.supers)
    same(struct.unpack_from("<Q", first, 256), struct.unpack_from("<Q", second, 256), "seq")
    check(first[8:] == second[8:], "the superblocks differ")


@either_way
def test_first_super(target):
    one_super(target, 0)


@either_way
def test_second_super(target):
    one_super(target, 1)


def one_super(target, which):
    """The other one is used; both are good afterwards."""
    media = filled(target)
    target.poison_from_the_start(media.supers[which])
    for _ in range(2):
        with target.mounted():
            check_filled(target)
    target.poison_from_the_start()
    both_supers(media)
    with target.mounted():
        check_filled(target)


@either_way
def test_first_super_after_a_crash(target):
    media = filled(target)
    target.mount()
    write_file(f"{target.where}/new", DATA)
    target.kill()
    target.poison_from_the_start(media.supers[0])
    with target.mounted() as where:
        check_filled(target)
        check(read_file(f"{where}/new") == DATA, "a file from before the crash")


@either_way
def test_mkfs(target):
    """Over a first superblock that cannot be read; where the device clears, that is good again."""
    media = filled(target)
    target.poison_from_the_start(media.supers[0])

    def mkfs(*arguments):
        return subprocess.run([target.program("mkfs.devdaxfs"), "-q", *arguments, target.source],
            env=target.environment, text=True, capture_output=True, check=False)

    refused = mkfs()
    check(refused.returncode == 1 and "use -f" in refused.stderr, f"{refused}")
    made = mkfs("-f")
    if target.clears():
        check(made.returncode == 0 and not made.stderr, f"{made}")
    else:
        check(made.returncode == 1 and "bad blocks" in made.stderr, f"{made}")
    target.poison_from_the_start()
    with target.mounted() as where:
        same(os.listdir(where), [], "what it holds")
        lives(target)


@on_poisoned
def test_both_supers(target):
    media = filled(target)
    target.poison_from_the_start(*media.supers)
    target.refused("superblock")
    target.poison_from_the_start()
    with target.mounted():
        check_filled(target)


@either_way
def test_super_in_use(target):
    """They go bad while mounted: an unmount writes them whole."""
    media = filled(target)
    with target.mounted():
        for off in media.supers:
            target.poison(off)
        check_filled(target)
    both_supers(media)
    with target.mounted():
        check_filled(target)


@either_way
def test_first_root_block(target):
    one_root_block(target, 0)


@either_way
def test_second_root_block(target):
    one_root_block(target, 1)


def one_root_block(target, which):
    """The other one is used, alone where this one can't be cleared; both are good in the end."""
    media = filled(target)
    target.poison_from_the_start(media.root_blocks[which])
    for i in range(2):
        with target.mounted():
            check_filled(target)
            fill_table(f"{target.where}/d/{i}")
    target.poison_from_the_start()
    with target.mounted():
        check_filled(target)
    first, second = (media.read(off, INODE_BYTES) for off in media.root_blocks)
    same(first[4:], second[4:], "the root blocks")


def fill_table(where):
    """With more inodes than it has room for."""
    os.mkdir(where)
    for i in range(600):
        write_file(f"{where}/{i}", b"")


def works_or_is_refused(target, what):
    """Whichever; but what is refused is so with a word on what cannot be read."""
    status, text = target.try_mount()
    check(status == 0 or re.search("cannot be read|poison|bad|Input/output error", text),
        f"{what}: status {status}: {text}")
    return status


@either_way
def test_fixed_structures(target):
    """Each of them, after a clean unmount and after a crash."""
    media = filled(target)
    places = {"group table": 8192, "chunk table": media.chunk_table_off,
        "pin table": media.pins_off, "bad table": media.bad_off,
        "first root block": media.root_blocks[0], "second root block": media.root_blocks[1],
        "first lane": media.lanes[0], "last lane": media.lanes[-1],
        "inode table": media.inode_block(1), "root directory": media.name_nodes(1)[0]}
    for crash in (False, True):
        for what, off in places.items():
            if crash:
                target.mount()
                os.mkdir(f"{target.where}/gone")
                os.rmdir(f"{target.where}/gone")
                target.kill()
            target.poison_from_the_start(off)
            works_or_is_refused(target, what)
            target.poison_from_the_start()
            with target.mounted():
                check_filled(target)


@either_way
def test_lane_after_a_crash(target):
    """What no transaction of was left to replay is no reason to refuse a mount for ever."""
    media = filled(target)
    target.mount()
    write_file(f"{target.where}/new", DATA)
    target.kill()
    target.poison_from_the_start(*media.lanes)
    status = works_or_is_refused(target, "lanes")
    target.poison_from_the_start()
    with target.mounted() as where:
        check_filled(target)
        check(read_file(f"{where}/new") == DATA, f"after a mount with status {status}")


main()
