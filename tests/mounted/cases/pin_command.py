# SPDX-License-Identifier: BSD-3-Clause
# needs: devdaxfs
# timeout: 120
# ddfs pins and ddfs map: what they print, and what they say when they cannot.

import json
import os
import re
import subprocess
import time

from check import NOBODY, check, main, opened, same, write_file
from command import DDFS, complaint, ddfs, ddfs_as_nobody, found, rows
from pins import FAULT, PAGE, READ, WRITE, device_info, layout, list_pins, make_dax, pin_range
from pins import unit_of, unpin, write_units
from syscalls import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, fallocate, ioctl_fallocate
from target import patience, wait_for
from workers import LingeringWorker, Worker, wait_breaks

UNIT = unit_of()
ROOT = os.getcwd()
PUNCH = FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE


def prepare(units=4):
    make_dax()
    write_units("f", units)


# ---- pins -------------------------------------------------------------------------------------


def test_no_pins():
    prepare()
    for path in (ROOT, "f", "."):
        if path == ".":
            continue
        same(ddfs("pins", path), ("", ""), path)
        same(found("pins", "pins", path), [])


def test_a_pin():
    prepare()
    with Worker() as holder:
        fd = holder.call(os.open, "f", os.O_RDWR)
        before = time.time()
        holder.call(pin_range, fd, UNIT, UNIT, READ | WRITE)
        for path in ("f", ROOT):
            pin, = found("pins", "pins", path)
            since = time.strptime(re.sub(r"[+-]\d{4}$", "", pin["since"]), "%Y-%m-%dT%H:%M:%S")
            check(abs(time.mktime(since) - before) < 60 + patience(1), f"since {pin['since']}")
            with opened("f") as look:
                same(pin["id"], list_pins(look)[0].id)
            same({key: pin[key] for key in pin if key not in ("id", "since")}, {
                "pid": holder.pid, "program": program_of(holder.pid),
                "file": os.path.abspath("f"), "inode": os.stat("f").st_ino, "unlinked": False,
                "offset": UNIT, "length": UNIT, "pages": UNIT // PAGE, "mode": "rw",
                "recalled": False, "expired": False, "lingering": False, "earlier_mount": False,
                "seconds_left": None, "waiting": 0, "waiting_pid": None, "waiting_program": None})
            row, = rows("pins", path)
            same(row[:6], [str(holder.pid), program_of(holder.pid), os.path.abspath("f"),
                str(UNIT), str(UNIT), "rw"])
            same(row[7:], ["held"])
        holder.exit()
        holder.wait()
        wait_for(lambda: not found("pins", "pins", ROOT), 10, "no pins")


def program_of(pid):
    with open(f"/proc/{pid}/comm", encoding="ascii") as file:
        return file.read().strip()


def punch(path, first, count):
    with opened(path) as fd:
        ioctl_fallocate(fd, PUNCH, first * UNIT, count * UNIT)


def test_who_waits():
    prepare()
    with Worker() as holder, Worker() as a, Worker() as b, opened("f") as look:
        fd = holder.call(os.open, "f", os.O_RDONLY)
        pin = holder.call(pin_range, fd, 0, 2 * UNIT, READ)
        a.start(punch, "f", 0, 1)
        wait_breaks(look)
        pin_found, = found("pins", "pins", "f")
        same([pin_found[key] for key in ("mode", "recalled", "expired", "waiting", "waiting_pid",
            "waiting_program")], ["r", True, False, 1, a.pid, program_of(a.pid)])
        check(0 < pin_found["seconds_left"] <= 45, f"{pin_found}")
        row, = rows("pins", "f")
        same(row[7:8] + row[9:], ["recalled", str(a.pid), program_of(a.pid)])
        b.start(punch, "f", 1, 1)
        wait_breaks(look, 2)
        row, = rows("pins", "f")
        same(row[-3:], ["and", "1", "more"])
        same(found("pins", "pins", "f")[0]["waiting"], 2)
        holder.call(unpin, fd, pin.id)
        a.finish()
        b.finish()


def test_many_pins():
    """More than one ioctl answers, in the order of their ids, each once."""
    prepare()
    with opened("f") as fd:
        ids = [pin_range(fd, 0, PAGE, WRITE).id for _ in range(200)]
        listed = found("pins", "pins", ROOT)
        same([pin["id"] for pin in listed], sorted(ids))
        same({(pin["mode"], pin["pages"]) for pin in listed}, {("w", 1)})
        same(len(rows("pins", "f")), 200)


def test_names():
    """Wherever the file is by now, and whatever it is called."""
    prepare()
    os.mkdir("d")
    with opened("f") as fd:
        pin_range(fd, 0, PAGE)
        for name in ("d/g", "with space", "ünïcode", 'quo"te\\', "x (deleted)"):
            os.rename(os.path.realpath(f"/proc/self/fd/{fd}"), name)
            pin, = found("pins", "pins", ROOT)
            same((pin["file"], pin["unlinked"]), (os.path.abspath(name), False))
        os.rename("x (deleted)", b"\xff\xe0\x80x\xc3\xa4\xf4\x90\x80\x80\xed\xa0\x80")
        pin, = found("pins", "pins", ROOT)
        same(os.path.basename(pin["file"]), "???xä???????")
        os.rename(b"\xff\xe0\x80x\xc3\xa4\xf4\x90\x80\x80\xed\xa0\x80", "x (deleted)")
        os.link("x (deleted)", "other")
        os.unlink("x (deleted)")
        pin, = found("pins", "pins", ROOT)
        check(pin["file"] in (os.path.abspath("other"), f"inode {os.fstat(fd).st_ino}"), f"{pin}")
        same(pin["unlinked"], False)
        same(found("pins", "pins", "other")[0]["file"], os.path.abspath("other"))
        os.unlink("other")
        pin, = found("pins", "pins", ROOT)
        same((pin["unlinked"], pin["inode"]), (True, os.fstat(fd).st_ino))
        check("(unlinked)" in ddfs("pins", ROOT)[0], "the table does not say so")


def test_lingering():
    prepare()
    with LingeringWorker() as holder:
        fd = holder.call(os.open, "f", os.O_RDWR)
        holder.call(pin_range, fd)
        holder.kill()
        holder.wait_lingering()
        wait_for(lambda: found("pins", "pins", "f")[0]["lingering"], 10, "the pin to linger")
        row, = rows("pins", "f")
        same(row[7], "lingering")


# ---- map --------------------------------------------------------------------------------------


def test_map():
    make_dax()
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, 6 * UNIT)
        os.pwrite(fd, b"B" * UNIT, UNIT)
        fallocate(fd, FALLOC_KEEP_SIZE, 3 * UNIT, UNIT)
        wanted = [{"offset": e.off, "length": e.len, "device_offset": None if e.flags & 1
            else e.device_off, "hole": bool(e.flags & 1), "unwritten": bool(e.flags & 2),
            "bad": False}
            for e in layout(fd)]
        same(len(wanted), 5)
        same(found("extents", "map", "f"), wanted)
        *table, last = rows("map", "f")
        same([row[0] for row in table], [str(e["offset"]) for e in wanted])
        same([row[-1] for row in table], ["hole", table[1][-1], "hole", "unwritten", "hole"])
        same(last, f"2 extents on {device_info(fd).path}, {UNIT} bytes written, {UNIT} unwritten, "
            f"{4 * UNIT} of holes".split())


def test_map_of_nothing():
    write_file("f")
    same(found("extents", "map", "f"), [])
    check(ddfs("map", "f")[0].startswith("0 extents"), "the sum")


def test_map_of_many():
    make_dax()
    count = 400 if UNIT == PAGE else 20
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        for number in range(count):
            os.pwrite(fd, b"x" * UNIT, 2 * number * UNIT)
        same([e["offset"] for e in found("extents", "map", "f")],
            [number * UNIT for number in range(2 * count - 1)])


def test_map_of_ordinary_files():
    write_file("f", b"x" * 100_000)
    check(sum(e["length"] for e in found("extents", "map", "f")) >= 100_000, "its extents")


# ---- when it cannot ---------------------------------------------------------------------------


def test_help():
    for arguments in (("--help",), ("-h",), ("pins", "--help"), ("map", "-h")):
        check(ddfs(*arguments)[0].startswith("usage: ddfs"), f"{arguments}")
    check(ddfs("--version")[0].startswith("ddfs "), "its version")


def test_usage():
    for arguments in ((), ("pins",), ("map",), ("pins", "a", "b"), ("map", "--nonsense", "f"),
                      ("--nonsense",), ("pins", "-x")):
        check(complaint(*arguments), f"nothing is said of {arguments}")
    check("no command" in complaint("nonsense", "f"), "an unknown command")


def test_complaints():
    prepare()
    os.mkdir("d")
    os.mkfifo("fifo")
    check("No such file" in complaint("pins", "nothing"), "a file that is not there")
    check("mount point" in complaint("pins", "d"), "a directory below the root")
    check("regular file" in complaint("map", "d"), "the map of a directory")
    check("regular file" in complaint("pins", "fifo"), "the pins of a FIFO")
    for path in ("/", "/proc/version", "/dev/shm"):
        for command in ("pins", "map"):
            if command == "pins" or path == "/proc/version":
                check("not on a mounted devdaxfs" in complaint(command, path), f"{command} {path}")
    check("neither" in complaint("map", "/dev/null"), "a device")


def test_other_users():
    """Root sees all, an owner its own files; nobody else does."""
    prepare()
    write_units("g", 1)
    os.chown("g", NOBODY, NOBODY)
    with opened("g") as fd, opened("f") as other:
        pin_range(fd, 0, 0, READ | WRITE, FAULT)
        pin_range(other)
        status, out, text = ddfs_as_nobody("pins", "-J", "g")
        same((status, len(json.loads(out)["pins"])), (0, 1), text)
        for path in ("f", ROOT):
            status, out, text = ddfs_as_nobody("pins", path)
            same((status, out), (1, ""))
            check("root" in text, text)
        same(ddfs_as_nobody("map", "f")[0], 0)


def test_full_output():
    prepare()
    with open("/dev/full", "w", encoding="ascii") as full:
        result = subprocess.run([DDFS, "map", "f"], stdout=full, stderr=subprocess.PIPE, text=True,
            check=False)
    same(result.returncode, 1)
    check("cannot write" in result.stderr, result.stderr)


main()
