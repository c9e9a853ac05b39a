# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 240
# libdevdaxfs on mounts of every kind: what persists, what cannot be mapped and why.

import contextlib
import os
import shutil
import subprocess
import tempfile

from check import Skip, check, main, read_file, same, write_file
from syscalls import FS_XFLAG_DAX, set_xflags
from target import Target, patience, pattern

DATA = pattern(1, 20000)


def program(name):
    return os.path.join(os.environ["DDFS_BUILD"], "tests/client", name)


def probe(what, path):
    """The name of the errno, or ok, and the sentence."""
    result = subprocess.run([program("client_probe"), what, path], capture_output=True, text=True,
                            timeout=patience(30), check=True)
    word, sentence = result.stdout.rstrip("\n").split(" ", 1)
    return word, sentence


def expect_probe(what, path, word, *parts):
    got, sentence = probe(what, path)
    same(got, word, f"{what} {path}: {sentence}")
    for part in parts:
        check(part in sentence, f"{what} {path}: no {part!r} in: {sentence}")


def run_tests(name, where, *tests):
    result = subprocess.run([program(name), *tests], cwd=where, capture_output=True, text=True,
                            timeout=patience(120), check=False)
    check(result.returncode == 0 and "ok " in result.stdout, result.stdout + result.stderr)


def fresh():
    target = Target.of_environment()
    target.mkfs()
    return target


def make_dax(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    set_xflags(fd, FS_XFLAG_DAX)
    os.close(fd)


@contextlib.contextmanager
def on_disk():
    """A target whose image is not in memory, so that what persists is pages."""
    directory = tempfile.mkdtemp(prefix="ddfs-client.", dir="/var/tmp")
    try:
        kind = subprocess.run(["stat", "-f", "-c", "%T", directory], capture_output=True,
                              text=True, check=True).stdout.strip()
        if kind in ("tmpfs", "ramfs", "overlayfs"):
            raise Skip(f"/var/tmp is {kind}")
        target = Target(os.environ["DDFS_BUILD"], directory, size=256 << 20)
        try:
            yield target
        finally:
            target.end()
    finally:
        shutil.rmtree(directory)


def test_pages():
    with on_disk() as target:
        target.mkfs()
        with target.mounted() as where:
            run_tests("test_client_map", where, "store", "grow", "persist", "overlap", "sync")
            check("page" in target.log(), target.log())


def test_persistence():
    for word in ("memory_controller", "cpu_cache", "none"):
        target = fresh()
        with target.mounted(f"persistence={word}") as where:
            run_tests("test_client_map", where, "store", "part", "grow", "persist", "overlap")


def test_always():
    target = fresh()
    with target.mounted("dax=always") as where:
        write_file(f"{where}/f", DATA)
        expect_probe("write", f"{where}/f", "ok")


def test_inode():
    target = fresh()
    with target.mounted() as where:
        write_file(f"{where}/f", DATA)
        expect_probe("write", f"{where}/f", "EOPNOTSUPP", "chattr +x", "dax=always")
        expect_probe("read", f"{where}/f", "EOPNOTSUPP", "chattr +x")
        make_dax(f"{where}/dax")
        write_file(f"{where}/dax", DATA)
        expect_probe("write", f"{where}/dax", "ok")


def test_never():
    target = fresh()
    with target.mounted("dax=never") as where:
        make_dax(f"{where}/f")
        write_file(f"{where}/f", DATA)
        expect_probe("write", f"{where}/f", "EOPNOTSUPP", "dax=never")


def test_readonly():
    target = fresh()
    with target.mounted() as where:
        make_dax(f"{where}/f")
        write_file(f"{where}/f", DATA)
    with target.mounted("ro") as where:
        expect_probe("read", f"{where}/f", "ok")
        expect_probe("write", f"{where}/f", "EROFS", "open")


def test_crash():
    """The daemon dies under a mapping, which goes on; the filesystem is mounted again."""
    target = fresh()
    target.mount()
    path = f"{target.where}/f"
    make_dax(path)
    write_file(path, DATA)
    with subprocess.Popen([program("client_probe"), "crash", path], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            same(process.stdout.readline(), "ready\n")
            target.kill()
            said = process.communicate("\n", timeout=patience(30))[0]
        except BaseException:
            process.kill()
            raise
    same(process.returncode, 0, said)
    same(said.split(" ")[0], "ok", said)
    with target.mounted():
        same(len(read_file(path)), len(DATA))
        check(read_file(path) != DATA, "what was stored after the daemon's end is not there")


main()
