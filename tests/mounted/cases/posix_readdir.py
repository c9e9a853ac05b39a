# SPDX-License-Identifier: BSD-3-Clause
# timeout: 120
# Reading directories: each entry once, whatever happens meanwhile; stable cookies.

import errno
import os
import stat
import threading

from check import check, expect, main, same, scale, write_file
from syscalls import Directory


def names_of(path="."):
    directory = Directory(path)
    found = []
    while (name := directory.read()) is not None:
        found.append(name)
    directory.close()
    return found


def make(names):
    for name in names:
        write_file(name)


def test_empty():
    os.mkdir("d")
    same(sorted(names_of("d")), [".", ".."])


def test_dots():
    os.makedirs("d/e")
    make(f"d/e/f{number}" for number in range(10))
    inodes = {}
    with os.scandir("d/e") as entries:
        for entry in entries:
            inodes[entry.name] = entry.inode()
    for name, number in inodes.items():
        same(number, os.lstat(f"d/e/{name}").st_ino)
    names = names_of("d/e")
    same((names.count("."), names.count("..")), (1, 1))


def test_types():
    write_file("f")
    os.mkdir("d")
    os.symlink("x", "l")
    os.mkfifo("p")
    os.mknod("c", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    with os.scandir(".") as entries:
        kinds = {entry.name: (entry.is_file(follow_symlinks=False),
                              entry.is_dir(follow_symlinks=False), entry.is_symlink())
                 for entry in entries}
    same(kinds, {"f": (True, False, False), "d": (False, True, False), "l": (False, False, True),
                 "p": (False, False, False), "c": (False, False, False)})


def test_sizes():
    count = 0
    for size in (1, 2, 9, 10, 11, 50, 100, 500, scale(1000, 600), scale(5000, 700)):
        make(f"file-{number}" for number in range(count, size))
        count = size
        names = [name for name in names_of() if name not in (".", "..")]
        same((len(names), len(set(names))), (size, size), f"{size} entries")


def test_insert_while_reading():
    count = scale(2000, 400)
    old = {f"old{number}" for number in range(count)}
    make(old)
    directory = Directory(".")
    found = []
    for step in range(count):
        found.append(directory.read())
        write_file(f"new{step}")
    while (name := directory.read()) is not None:
        found.append(name)
    directory.close()
    same(len(found), len(set(found)), "an entry came twice")
    same(old - set(found), set(), "entries that were there throughout are missing")


def test_remove_while_reading():
    count = scale(3000, 600)
    names = [f"f{number}" for number in range(count)]
    make(names)
    stay = set(names[::3])
    gone = [name for name in names if name not in stay]
    directory = Directory(".")
    found = []
    for step in range(count // 3):
        found.append(directory.read())
        os.unlink(gone.pop())
    while (name := directory.read()) is not None:
        found.append(name)
    directory.close()
    same(len(found), len(set(found)), "an entry came twice")
    same(stay - set(found), set(), "entries that were there throughout are missing")


def test_remove_what_was_read():
    """rm -r does this."""
    make(f"f{number}" for number in range(scale(3000, 600)))
    directory = Directory(".")
    while (name := directory.read()) is not None:
        if name not in (".", ".."):
            os.unlink(name)
    directory.close()
    same(os.listdir("."), [])


def test_tell_and_seek():
    make(f"f{number}" for number in range(1200))
    directory = Directory(".")
    order, cookies = [], []
    while True:
        cookies.append(directory.tell())
        name = directory.read()
        if name is None:
            break
        order.append(name)
    same(len(set(cookies)), len(cookies), "two entries have one cookie")
    for index in (0, 1, 2, 3, 17, 500, 777, 1100, len(order) - 1):
        directory.seek(cookies[index])
        same(directory.read(), order[index], f"seek to entry {index}")
    directory.seek(cookies[-1])
    same(directory.read(), None)
    directory.rewind()
    same(directory.read(), order[0])
    directory.close()


def test_cookies_survive_changes():
    make(f"f{number}" for number in range(1500))
    directory = Directory(".")
    for _ in range(700):
        directory.read()
    cookie = directory.tell()
    rest = []
    while (name := directory.read()) is not None:
        rest.append(name)
    make(f"other{number}" for number in range(1500))
    for number in range(0, 1500, 2):
        if f"f{number}" not in rest:
            os.unlink(f"f{number}")
    again = Directory(".")
    again.seek(cookie)
    found = []
    while (name := again.read()) is not None:
        found.append(name)
    same([name for name in found if name.startswith("f")], rest, "from the same cookie")
    same(len(found), len(set(found)), "an entry came twice")
    directory.close()
    again.close()


def test_rewind_sees_changes():
    make(["a", "b"])
    directory = Directory(".")
    while directory.read() is not None:
        pass
    make(["c"])
    os.unlink("a")
    directory.rewind()
    names = []
    while (name := directory.read()) is not None:
        names.append(name)
    same(sorted(names), [".", "..", "b", "c"])
    directory.close()


def test_while_others_change():
    """Readers see what stays exactly once while two threads insert and remove."""
    stay = {f"stay{number}" for number in range(500)}
    make(stay)
    done = threading.Event()
    errors = []

    def churn(mark):
        number = 0
        while not done.is_set():
            write_file(f"{mark}{number % 300}")
            number += 1
            if number % 300 == 0:
                for name in [f"{mark}{step}" for step in range(300)]:
                    os.unlink(name)

    def guarded(mark):
        try:
            churn(mark)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(mark,)) for mark in "xy"]
    for thread in threads:
        thread.start()
    try:
        for _ in range(scale(40, 5)):
            found = [name for name in os.listdir(".") if name.startswith("stay")]
            same((len(found), len(set(found))), (500, 500))
    finally:
        done.set()
        for thread in threads:
            thread.join()
    same(errors, [])


def test_not_a_directory():
    write_file("f")
    expect(errno.ENOTDIR, os.listdir, "f")
    expect(errno.ENOENT, os.listdir, "missing")


def test_listing_shows_new_size():
    """Attributes that came with the listing are as fresh as stat's."""
    for number in range(50):
        write_file(f"f{number}", b"x" * number)
    with os.scandir(".") as entries:
        sizes = {entry.name: entry.stat().st_size for entry in entries}
    check(all(sizes[f"f{number}"] == number for number in range(50)), "sizes")
    write_file("f7", b"x" * 1000)
    with os.scandir(".") as entries:
        sizes = {entry.name: entry.stat().st_size for entry in entries}
    same(sizes["f7"], 1000)


main()
