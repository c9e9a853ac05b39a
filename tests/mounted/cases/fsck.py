# SPDX-License-Identifier: BSD-3-Clause
# needs: image
# timeout: 180
# fsck.devdaxfs: its options, its exit codes, what it asks and tells, mounted and interrupted.

import contextlib
import fcntl
import hashlib
import os
import pty
import re
import select
import signal
import stat
import subprocess

from check import check, main, same, write_file
from media import Media
from super import Supers
from target import MIB, Target, patience, wait_for

OK, FIXED, LEFT, FAILED, USAGE, CANCELLED = 0, 1, 4, 8, 16, 32
SUMMARY = re.compile(r"^(.*): (\d+)/(\d+) files \((\d+\.\d)% non-contiguous\), (\d+)/(\d+) blocks$",
                     re.MULTILINE)


def fresh(*options, size=64 * MIB):
    target = Target.of_environment()
    target.size = size
    target.mkfs(*options)
    return target


def fsck(target, *arguments, **kwargs):
    """(exit code, all that it said)"""
    result = subprocess.run([target.program("fsck.devdaxfs"), *arguments], check=False, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        errors="replace", timeout=patience(60), **kwargs)
    return result.returncode, result.stdout


def wanted(code, target, *arguments, word=""):
    got, text = fsck(target, *arguments, target.source)
    same(got, code, f"{arguments}: {text}")
    check(word in text, f"{arguments}: no {word!r} in: {text}")
    return text


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def populate(target):
    """Files, a directory, a symlink, a fifo; the inode number of a file."""
    with target.mounted():
        os.mkdir(f"{target.where}/d")
        for number in range(20):
            write_file(f"{target.where}/d/{number}", b"x" * 5000)
        os.symlink("target", f"{target.where}/link")
        os.mkfifo(f"{target.where}/fifo")
        return os.stat(f"{target.where}/d/7").st_ino


def damage_inode(target, number):
    """One bit of an inode, so that its checksum fails."""
    offset = Media(target.source).inode_block(number) + number % 16 * 256
    with open(target.source, "r+b") as file:
        byte, = os.pread(file.fileno(), 1, offset + 17)
        os.pwrite(file.fileno(), bytes([byte ^ 1]), offset + 17)


# ---- options ------------------------------------------------------------------------------------


def test_clean():
    target = fresh("-L", "a name")
    populate(target)
    before = digest(target.source)
    for mode in ("-n", "-y", "--no", "--yes"):
        found = SUMMARY.search(wanted(OK, target, mode))
        check(found, f"{mode}: no summary")
        same(found[1], "a name")
        same(int(found[2]), 23)
        same(int(found[6]), 64 * MIB // 4096)
    for mode in ("-p", "-a", "--preen"):
        wanted(OK, target, mode, word="a name: clean, 23/")
        check(SUMMARY.search(wanted(OK, target, mode, "-f")), "no closer look")
    same(digest(target.source), before, "a clean image, checked")


def test_verbose():
    target = fresh()
    populate(target)
    text = wanted(OK, target, "-n", "-v")
    for count, what in ((20, "regular files"), (2, "directories"), (1, "symbolic links"),
                        (1, "devices, fifos and sockets"), (24, "files"), (0, "bad blocks")):
        check(re.search(rf"^ *{count} {what}$", text, re.MULTILINE), f"no {count} {what}: {text}")


def test_label_of_second():
    """The first superblock is gone: it is called by its name all the same."""
    target = fresh("-L", "a name")
    with open(target.source, "r+b") as file:
        os.pwrite(file.fileno(), bytes(4096), 0)
    wanted(LEFT, target, "-n", word="\na name: ")


def test_full_output():
    target = fresh()
    for arguments in (("-n", target.source), ("-h",)):
        with open("/dev/full", "w", encoding="ascii") as full:
            result = subprocess.run([target.program("fsck.devdaxfs"), *arguments], stdout=full,
                stderr=subprocess.PIPE, text=True, check=False, timeout=patience(60))
        same(result.returncode, FAILED)
        check("cannot write" in result.stderr, result.stderr)


def test_usage():
    target = fresh()
    for arguments in (("-n", "-p"), ("-y", "-a"), ("-n", "-y"), ("--nonsense",), ("-C", "x", "-n")):
        wanted(USAGE, target, *arguments)
    for arguments in ((), ("-n",), ("-n", target.source, target.source)):
        same(fsck(target, *arguments)[0], USAGE, arguments)
    same(fsck(target, "-V")[0], OK)
    check(fsck(target, "-V")[1].startswith("fsck.devdaxfs "), "no version")
    check("-p, --preen" in fsck(target, "-h")[1], "no usage")


def test_no_terminal():
    wanted(FAILED, fresh(), word="there is no terminal to ask at")


def test_no_filesystem():
    target = fresh()
    with open(target.source, "r+b") as file:
        file.write(bytes(4096))
        file.seek(-4096, os.SEEK_END)
        file.write(bytes(4096))
    for mode in ("-n", "-p", "-y"):
        text = wanted(FAILED, target, mode, word="no superblock")
        check(f"{target.source}: it could not be" in text, text)
    code, text = fsck(target, "-n", target.source + ".not")
    same(code, FAILED, text)
    check("no such file" in text, text)


def test_cut_short():
    """Nothing is lost if it gets its size back."""
    target = fresh()
    populate(target)
    os.truncate(target.source, 32 * MIB)
    for mode in ("-n", "-p", "-y"):
        wanted(FAILED, target, mode, word=f"is {64 * MIB} bytes and the device only {32 * MIB}")
    os.truncate(target.source, 64 * MIB)
    wanted(FIXED, target, "-y")
    wanted(OK, target, "-n")


# ---- damage -------------------------------------------------------------------------------------


def test_safe():
    target = fresh()
    populate(target)
    Supers(target.source).flip(1, 56)
    before = digest(target.source)
    wanted(LEFT, target, "-n", word="1 PROBLEM IS LEFT")
    same(digest(target.source), before, "checked with -n")
    text = wanted(FIXED, target, "-p", word="FIXED")
    check(f"{target.source}: the second superblock" in text, text)
    check("FILE SYSTEM WAS MODIFIED" in text, text)
    wanted(OK, target, "-n")


def test_unsafe():
    target = fresh()
    number = populate(target)
    damage_inode(target, number)
    before = digest(target.source)
    wanted(LEFT, target, "-n", word=f"inode {number} fails its checksum")
    same(digest(target.source), before, "checked with -n")
    wanted(LEFT, target, "-p", "-f", word="without -p")
    wanted(FIXED, target, "-y", word="FIXED")
    wanted(OK, target, "-n")
    with target.mounted():
        same(len(os.listdir(f"{target.where}/d")), 20)


# ---- mounted, crashed ---------------------------------------------------------------------------


def test_mounted():
    target = fresh()
    with target.mounted():
        for mode in ("-p", "-y"):
            wanted(FAILED, target, mode, word=f"mounted by pid {target.process.pid}")
        wanted(OK, target, "-n", word="is mounted, and may change")
    with target.mounted("ro"):
        wanted(FAILED, target, "-y", word="in use")
        text = wanted(OK, target, "-n")
        check("may change" not in text, text)
    wanted(OK, target, "-p", word="clean")


def test_mounts_while_checked():
    """A check takes nothing from anybody."""
    target = fresh()
    with held_up(target, "-n") as (process, let_go):
        target.mount()
        target.unmount()
        let_go()
        same(process.wait(patience(30)), OK)


def test_crash():
    target = fresh()
    populate(target)
    target.mount()
    write_file(f"{target.where}/new", b"y" * 10000)
    target.kill()
    before = digest(target.source)
    wanted(OK, target, "-n", word="marked as mounted")
    same(digest(target.source), before, "checked with -n")
    wanted(FIXED, target, "-p", word="not cleanly unmounted")
    wanted(OK, target, "-p", word="clean")
    with target.mounted():
        same(os.stat(f"{target.where}/new").st_size, 10000)


def test_read_only_file():
    target = fresh()
    os.chmod(target.source, stat.S_IRUSR)
    wanted(OK, target, "-n")


# ---- progress, questions, signals ---------------------------------------------------------------


def test_progress():
    target = fresh()
    populate(target)
    for words in (("-C", "{}"), ("-C{}",)):
        reader, writer = os.pipe()
        words = [word.format(writer) for word in words]
        code, text = fsck(target, "-n", *words, target.source, pass_fds=(writer,))
        os.close(writer)
        same(code, OK, text)
        with os.fdopen(reader) as lines:
            seen = [line.split() for line in lines]
        same(sorted({int(line[0]) for line in seen}), [1, 2, 3, 4, 5])
        same([int(line[0]) for line in seen], sorted(int(line[0]) for line in seen))
        for number, done, total, name in seen:
            check(0 < int(done) <= int(total), f"pass {number}: {done} of {total}")
            same(name, target.source)
    check("|" not in wanted(OK, target, "-n", "-C"), "a bar without a terminal")


class Terminal:
    """fsck.devdaxfs at a terminal."""

    def __init__(self, target, *arguments):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen([target.program("fsck.devdaxfs"), *arguments,
            target.source], stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.text = ""

    def read(self):
        """Whether there is more to come."""
        if select.select([self.master], [], [], 0.1)[0]:
            try:
                self.text += os.read(self.master, 4096).decode(errors="replace")
            except OSError:
                return False
        return True

    def wait_word(self, word):
        wait_for(lambda: not self.read() or word in self.text, 20, f"{word!r} in {self.text!r}")
        check(word in self.text, f"no {word!r}: {self.text}")

    def answer(self, word):
        os.write(self.master, word.encode() + b"\n")

    def end(self):
        """The exit code."""
        try:
            wait_for(lambda: not self.read(), 20, f"the end of {self.text!r}")
            return self.process.wait(patience(20))
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self.master)


def test_bar():
    target = fresh()
    for words in (("-C",), ("-C0",), ("-C", "0")):
        terminal = Terminal(target, "-n", *words)
        same(terminal.end(), OK, terminal.text)
        check("|=" in terminal.text and "%" in terminal.text, terminal.text)


def asked(answer):
    target = fresh()
    damage_inode(target, populate(target))
    terminal = Terminal(target)
    terminal.wait_word("[yes] ")
    answer(terminal)
    return target, terminal


def test_ask_yes():
    target, terminal = asked(lambda terminal: terminal.answer("all"))
    same(terminal.end(), FIXED, terminal.text)
    wanted(OK, target, "-n")


def test_ask_no():
    def refuse(terminal):
        while terminal.process.poll() is None:
            seen = terminal.text.count("[yes] ")
            terminal.answer("no")
            while terminal.read() and terminal.text.count("[yes] ") == seen:
                if terminal.process.poll() is not None:
                    return

    target, terminal = asked(refuse)
    same(terminal.end(), LEFT, terminal.text)
    wanted(LEFT, target, "-n")


def test_ask_interrupt():
    target, terminal = asked(lambda terminal: terminal.process.send_signal(signal.SIGINT))
    same(terminal.end(), CANCELLED, terminal.text)
    check("interrupted" in terminal.text and "changed" not in terminal.text, terminal.text)
    wanted(LEFT, target, "-n")


def test_ask_interrupt_later():
    """What was granted before is said to be done, by the exit code too."""
    target = fresh()
    damage_inode(target, populate(target))
    media = Media(target.source)
    with open(target.source, "r+b") as file:
        for place in (media.lanes[1], media.root_blocks[1]):
            file.seek(place)
            file.write(b"x" * 64)
    terminal = Terminal(target)
    terminal.wait_word("[yes] ")
    terminal.answer("yes")
    terminal.wait_word("Write both superblocks")
    terminal.process.send_signal(signal.SIGINT)
    same(terminal.end(), CANCELLED | FIXED, terminal.text)
    check("interrupted, and changed so far" in terminal.text, terminal.text)
    check("?" in terminal.text and "??" not in terminal.text, terminal.text)


@contextlib.contextmanager
def held_up(target, *arguments):
    """A run that waits for somebody to read its progress; let_go reads it."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"\n" * 4096)
    process = subprocess.Popen([target.program("fsck.devdaxfs"), "-C", str(writer), *arguments,
        target.source], pass_fds=(writer,), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True)
    os.close(writer)

    def let_go():
        while os.read(reader, 65536):
            pass

    def waits():
        with open(f"/proc/{process.pid}/wchan", encoding="ascii") as file:
            return "pipe" in file.read()

    try:
        wait_for(waits, 20, "fsck to write to a full pipe")
        yield process, let_go
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        os.close(reader)


def test_interrupt():
    for mode in ("-n", "-y"):
        for number in (signal.SIGINT, signal.SIGTERM):
            target = fresh()
            populate(target)
            before = digest(target.source)
            with held_up(target, mode) as (process, let_go):
                process.send_signal(number)
                let_go()
                text = process.stdout.read()
                same(process.wait(patience(30)), CANCELLED, text)
                check("interrupted" in text, text)
            same(digest(target.source), before, "interrupted")
            wanted(OK, target, "-n")


def test_driver():
    """fsck(8) finds it, and gives it -a and -C."""
    target = fresh()
    path = os.path.dirname(target.program("fsck.devdaxfs")) + ":" + os.environ["PATH"]
    result = subprocess.run(["fsck", "-t", "devdaxfs", "-T", target.source, "--", "-a"],
        env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
        timeout=patience(60))
    same(result.returncode, OK, result.stdout + result.stderr)
    check(": clean, " in result.stdout, result.stdout + result.stderr)


main()
