# SPDX-License-Identifier: BSD-3-Clause
# needs: image
# timeout: 120
# mkfs.devdaxfs: its options, what it prints, what it refuses, how long it takes.

import os
import subprocess
import time

from check import check, main, same, write_file
from super import Supers
from target import MIB, Target, patience

UUID = "2b1d4a6e-9c0f-4e55-8a77-0d1c2b3a4f5e"


def image(size=64 * MIB):
    target = Target.of_environment()
    target.size = size
    target.make_image()
    return target


def good(target, *arguments):
    result = target.run_mkfs(*arguments, target.source)
    same(result.returncode, 0, result.stderr)
    return result.stdout


def bad(target, word, *arguments):
    result = target.run_mkfs(*arguments)
    check(result.returncode > 0, f"{arguments}: it worked")
    check(word.lower() in result.stderr.lower(), f"{arguments}: no {word!r} in {result.stderr}")


def test_label_and_uuid():
    target = image()
    output = good(target, "-L", "a label", "-U", UUID)
    check("a label" in output and UUID in output, output)
    block = Supers(target.source).read(0)
    same(bytes(block[40:56]).hex(), UUID.replace("-", ""))
    same(bytes(block[56:120]).rstrip(b"\0"), b"a label")


def test_prints_geometry():
    target = image()
    output = good(target)
    for word in ("bsize=4096", "blocks=", "uuid="):
        check(word in output, f"no {word} in {output}")
    same(good(target, "-f", "-q"), "", "quiet")


def test_longest_label():
    target = image()
    good(target, "-q", "-L", "x" * 64)
    bad(target, "label", "-f", "-L", "x" * 65, target.source)
    good(target, "-q", "-f", "-L", "ä" * 32)


def test_dry_run():
    target = image()
    output = good(target, "-n")
    check("blocks=" in output, output)
    with open(target.source, "rb") as file:
        check(not any(file.read()), "a dry run wrote")
    status, _ = target.try_mount()
    check(status != 0, "it mounts")


def test_existing():
    target = image()
    good(target, "-q", "-L", "first")
    bad(target, "devdaxfs", "-q", target.source)
    bad(target, "-f", "-q", target.source)
    good(target, "-q", "-f")


def test_bad_arguments():
    target = image()
    bad(target, "uuid", "-U", "nonsense", target.source)
    bad(target, "map", "--map=tape", target.source)
    bad(target, "missing", "/nonexistent/missing")
    bad(target, "", "-Z", target.source)
    bad(target, "", target.source, "second")
    bad(target, "")
    bad(target, "", "-L")


def test_pagemap_on_device():
    sizes = {}
    for where in ("mem", "dev"):
        target = image(256 * MIB)
        good(target, "-q", f"--map={where}")
        with target.mounted() as path:
            write_file(f"{path}/f", b"x" * MIB)
            sizes[where] = os.statvfs(path).f_blocks
    check(sizes["dev"] <= sizes["mem"], f"{sizes}")


def test_sizes():
    for size in (16 * MIB, 17 * MIB + 4096, 100 * MIB + 1, 1 << 30, 1 << 40, 16 << 40):
        target = image(size)
        started = time.monotonic()
        good(target, "-q")
        took = time.monotonic() - started
        check(took < patience(2), f"{size}: {took:.1f} s")
        with target.mounted() as where:
            stat = os.statvfs(where)
            used = stat.f_blocks * stat.f_frsize
            check(size * 0.5 < used <= size, f"{used} of {size} bytes are usable")
            write_file(f"{where}/f", b"x" * MIB)
    target = image((16 << 40) + (1 << 30))
    result = target.run_mkfs("-q", target.source)
    check(result.returncode == 0 or "large" in result.stderr, result.stderr)


def test_not_for_everybody():
    target = image()
    os.chmod(target.source, 0o600)
    result = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                             target.program("mkfs.devdaxfs"), target.source], capture_output=True,
                            text=True, check=False)
    check(result.returncode != 0 and result.stderr, "somebody else may write to it")


def test_help():
    target = image()
    for option in ("--help", "--version"):
        result = target.run_mkfs(option)
        check(result.returncode == 0 and result.stdout, f"{option}: {result}")


main()
