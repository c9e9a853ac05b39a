# SPDX-License-Identifier: BSD-3-Clause
# timeout: 900
# size: 4096
# A million files in one directory: made, listed, looked up, renamed, removed.

import errno
import os
import random
import time

from check import Skip, check, expect, main, same, scale
from syscalls import Directory


def name_of(number):
    return f"file-{number:07}"


def test_million():
    count = scale(1_000_000)
    if count < 100_000:
        count //= 5  # a machine as slow as that makes some hundred files a second
    if os.statvfs(".").f_ffree < count * 1.1:
        raise Skip(f"no room for {count} inodes")
    os.mkdir("d")
    started = time.monotonic()
    for number in range(count):
        os.close(os.open(f"d/{name_of(number)}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    print(f"# made {count} files in {time.monotonic() - started:.1f} s")
    look(count)
    listed(count)
    change(count)
    remove(count)


def look(count):
    source = random.Random(1)
    for _ in range(min(count, 20_000)):
        os.stat(f"d/{name_of(source.randrange(count))}")
    for number in (count, count + 1, 10_000_000):
        expect(errno.ENOENT, os.stat, f"d/{name_of(number)}")
    expect(errno.EEXIST, os.open, f"d/{name_of(count // 2)}", os.O_CREAT | os.O_EXCL)


def listed(count):
    seen = bytearray(count)
    directory = Directory("d")
    while (name := directory.read()) is not None:
        if name.startswith("file-"):
            number = int(name[5:])
            check(not seen[number], f"{name} came twice")
            seen[number] = 1
    directory.close()
    same(sum(seen), count, "files listed")


def change(count):
    for number in range(0, count, max(count // 1000, 1)):
        os.rename(f"d/{name_of(number)}", f"d/moved-{number}")
    for number in range(0, count, max(count // 1000, 1)):
        os.rename(f"d/moved-{number}", f"d/{name_of(number)}")


def remove(count):
    expect(errno.ENOTEMPTY, os.rmdir, "d")
    started = time.monotonic()
    for number in range(count):
        os.unlink(f"d/{name_of(number)}")
    print(f"# removed them in {time.monotonic() - started:.1f} s")
    same(os.listdir("d"), [])
    os.rmdir("d")


main()
