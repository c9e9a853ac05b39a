# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# size: 64
# timeout: 120
# Memory that goes bad while several use it: each gets its bytes or EIO, and the daemon lives.

import errno
import os
import random
import time

from check import check, error_of, main, opened, read_file, same, scale, write_file
from pins import PAGE, make_file
from poison import block_at, lives, on_poisoned, read_at

SECONDS = scale(2, 1)
USERS, BLOCKS = 4, 16


def content(user, block, turn):
    return b"%04d %04d %06d\n" % (user, block, turn) * (PAGE // 17) + bytes(PAGE % 17)


def use(path, user, end):
    """Blocks are read and overwritten: one that was found bad is good then, until it goes bad
    again."""
    turns, source = [0] * BLOCKS, random.Random(user)
    with opened(path) as fd:
        while time.monotonic() < end:
            block = source.randrange(BLOCKS)
            try:
                got = os.pread(fd, PAGE, block * PAGE)
                check(got == content(user, block, turns[block]), f"block {block} of {user}")
            except OSError as error:
                same(error.errno, errno.EIO)
            if source.random() < 0.3:
                turns[block] += 1
                same(os.pwrite(fd, content(user, block, turns[block]), block * PAGE), PAGE)
            if source.random() < 0.1:
                os.stat(f"{os.path.dirname(path)}/d{user}")


def names(directory, end):
    """Made and removed; where the directory cannot be read, that is all that happens."""
    number = 0
    while time.monotonic() < end:
        number += 1
        for call, name in ((os.mkdir, number), (os.rmdir, number - 20)):
            error = error_of(call, f"{directory}/{name}") if name > 0 else 0
            check(error in (0, errno.EIO, errno.ENOENT), errno.errorcode.get(error))


def start(function, *arguments):
    pid = os.fork()
    if pid == 0:
        try:
            function(*arguments)
            os._exit(0)
        except BaseException as error:
            print(f"{function.__name__}: {error!r}", flush=True)
            os._exit(1)
    return pid


@on_poisoned
def test_all_at_once(target):
    with target.mounted() as where:
        paths = [f"{where}/f{user}" for user in range(USERS)]
        for user, path in enumerate(paths):
            make_file(path)
            write_file(path, b"".join(content(user, block, 0) for block in range(BLOCKS)))
            os.mkdir(f"{where}/d{user}")
        os.mkdir(f"{where}/names")
        for number in range(500):
            os.mkdir(f"{where}/names/kept{number}")
        leaves = target.media().name_nodes(os.stat(f"{where}/names").st_ino)
        end = time.monotonic() + SECONDS
        pids = [start(use, path, user, end) for user, path in enumerate(paths)]
        pids.append(start(names, f"{where}/names", end))
        count = spoil(target, paths, leaves, end)
        same([os.waitpid(pid, 0)[1] for pid in pids], [0] * len(pids))
        check(count > 0, "nothing was spoiled")
        for user, path in enumerate(paths):
            data = b"".join(content(user, block, 0) for block in range(BLOCKS))
            for block in range(BLOCKS):
                read_at(path, block * PAGE, PAGE)  # only what is known to be bad is healed
            with opened(path) as fd:
                same(os.pwrite(fd, data, 0), len(data))
            check(read_file(path) == data, f"{path} in the end")
        lives(target)


def spoil(target, paths, leaves, end):
    """Blocks of the files go bad for good, and leaves of the directory now and then."""
    source, count = random.Random(1), 0
    while time.monotonic() < end - 0.1:
        target.poison(block_at(source.choice(paths), source.randrange(BLOCKS) * PAGE))
        leaf = source.choice(leaves)
        target.poison(leaf)
        time.sleep(0.01)
        target.heal(leaf)
        count += 1
    return count


main()
