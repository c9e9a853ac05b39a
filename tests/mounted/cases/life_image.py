# SPDX-License-Identifier: BSD-3-Clause
# needs: image
# timeout: 600
# size: 32
# Sources that are no good: wrong, cut off, damaged, not ours to open. A clear error, never a crash.

import os
import random
import shutil
import struct
import subprocess

from check import Skip, check, main, read_file, same, scale, write_file
from super import COMPAT, CSUM_SEED, INCOMPAT, RO_COMPAT, USED_BYTES, VERSION, Supers
from target import MIB, Target, patience


def fresh():
    target = Target.of_environment()
    target.mkfs()
    return target


def with_files(target):
    with target.mounted() as where:
        write_file(f"{where}/f", b"data" * 1000)
        os.mkdir(f"{where}/d")
    return target


def test_missing():
    target = fresh()
    os.unlink(target.source)
    target.refused(target.source)


def test_not_ours():
    target = fresh()
    for content in (b"", b"\0", b"text" * 1000):
        with open(target.source, "wb") as file:
            file.write(content)
        target.refused(target.source)
    with open(target.source, "wb") as file:
        file.truncate(32 * MIB)
    target.refused(target.source)
    with open(target.source, "wb") as file:
        file.write(random.Random(1).randbytes(20 * MIB))
    target.refused(target.source)


def test_other_filesystems():
    target = fresh()
    for command in (["mkfs.ext4", "-q", "-F"], ["mkfs.xfs", "-q", "-f"]):
        if not shutil.which(command[0]):
            continue
        target.size = 400 * MIB
        target.make_image()
        subprocess.run([*command, target.source], check=True, capture_output=True)
        target.refused(target.source)
        result = target.run_mkfs("-q", target.source)
        check(result.returncode != 0, f"mkfs.devdaxfs overwrote what {command[0]} made")
        check(command[0].split(".")[1] in result.stderr, f"it does not say what: {result.stderr}")
        subprocess.run([*command, target.source], check=True, capture_output=True)
        same(target.run_mkfs("-q", "-f", target.source).returncode, 0)
        same(target.try_mount()[0], 0)


def test_kinds_of_file():
    target = fresh()
    target.refused(source=target.directory)
    target.refused(source="/dev/null")
    fifo = os.path.join(target.directory, "fifo")
    os.mkfifo(fifo)
    target.refused(source=fifo)
    for name in ("UUID=00000000-0000-0000-0000-000000000001", "LABEL=nothing-has-this", "dax99.9",
                 "namespace99.9", "UUID=nonsense", "LABEL="):
        target.refused(name.split("=")[0], source=name)


def test_truncated():
    target = with_files(fresh())
    size = os.stat(target.source).st_size
    for cut in (size - 1, size - 4096, size // 2, 2 * MIB, 8192, 4096, 4095, 100, 1):
        os.truncate(target.source, cut)
        target.refused(target.source)
    os.truncate(target.source, 0)
    target.refused(target.source)


def test_grown():
    target = with_files(fresh())
    os.truncate(target.source, os.stat(target.source).st_size + 10 * MIB + 5)
    with target.mounted() as where:
        same(read_file(f"{where}/f"), b"data" * 1000)


def test_read_only_file():
    """An image that may not be written mounts read-only, or says why not."""
    target = with_files(fresh())
    if subprocess.run(["chattr", "+i", target.source], check=False, capture_output=True).returncode:
        raise Skip("files here cannot be made immutable")
    try:
        status, text = target.try_mount("ro")
        same(status, 0, text)
        status, text = target.try_mount()
        check(text, "a writable mount of what cannot be written says nothing")
    finally:
        subprocess.run(["chattr", "-i", target.source], check=True)


def test_each_byte_of_the_first_superblock():
    """Damage is noticed, and the second superblock stands in; never a crash."""
    target = with_files(fresh())
    supers = Supers(target.source)
    positions = [*range(USED_BYTES), *range(USED_BYTES, 4096, 61), 4095]
    for position in positions[::max(1, int(1 / float(os.environ.get("DDFS_SCALE") or 1)))]:
        supers.restore()
        supers.flip(0, position)
        target.mount()
        try:
            same(read_file(f"{target.where}/f"), b"data" * 1000, f"byte {position}")
        finally:
            target.unmount()
    check("backup" in target.log() or "second" in target.log(), "nobody was told of the damage")


def test_each_byte_of_both_superblocks():
    target = with_files(fresh())
    supers = Supers(target.source)
    positions = [*range(USED_BYTES), *range(USED_BYTES, 4096, 61), 4095]
    for position in positions[::max(1, int(1 / float(os.environ.get("DDFS_SCALE") or 1)))]:
        supers.restore()
        for which in (0, 1):
            supers.flip(which, position, 1 << position % 8)
        target.refused(target.source)
    supers.restore()
    same(target.try_mount()[0], 0)


def test_second_superblock_alone():
    target = with_files(fresh())
    supers = Supers(target.source)
    supers.write(0, bytes(4096))
    with target.mounted() as where:
        same(read_file(f"{where}/f"), b"data" * 1000)
    check(supers.read(0) != bytes(4096), "the first superblock was not written again")
    same(target.try_mount()[0], 0)
    supers.write(supers.offsets[1], bytes(4096))
    with target.mounted() as where:
        same(read_file(f"{where}/f"), b"data" * 1000)


def test_version_and_features():
    target = with_files(fresh())
    supers = Supers(target.source)
    supers.set_field(VERSION, "<I", 99)
    target.refused("version")
    for bit in (0, 5, 63):
        supers.restore()
        supers.set_field(INCOMPAT, "<Q", 1 << bit)
        target.refused("feature")
        target.refused("feature", options="ro")
    supers.restore()
    supers.set_field(RO_COMPAT, "<Q", 1 << 40)
    target.refused("feature")
    same(target.try_mount("ro")[0], 0, "an unknown read-only-compatible bit, mounted read-only")
    supers.restore()
    supers.set_field(COMPAT, "<Q", 1 << 40)
    same(target.try_mount()[0], 0, "an unknown compatible bit")


def test_senseless_fields():
    """With right checksums: what is read from media is checked all the same."""
    target = with_files(fresh())
    supers = Supers(target.source)
    for position in range(120, 224, 4):
        if position == CSUM_SEED:
            continue
        for value in (0, 1, 0x7fffffff, 0xffffffff):
            if struct.unpack_from("<I", supers.saved[0], position)[0] == value:
                continue
            supers.restore()
            supers.set_field(position, "<I", value)
            target.try_mount()
            # What that mount wrote does not matter: the next one starts from a new filesystem.
            if os.environ.get("DDFS_SCALE", "1") != "1" and value == 1:
                break


def test_random_damage():
    """Bytes changed anywhere in the metadata: mounting, walking and removing come to an end."""
    target = with_files(fresh())
    with target.mounted() as where:
        for number in range(200):
            write_file(f"{where}/d/{number}", b"x" * (number * 50))
            os.setxattr(f"{where}/d/{number}", "user.a", b"y" * number)
    with open(target.source, "rb") as file:
        good = file.read()
    used = [start for start in range(0, len(good), 4096) if any(good[start:start + 4096])]
    source = random.Random(int(os.environ.get("DDFS_SEED") or 7))
    for _ in range(scale(150, 10)):
        damaged = bytearray(good)
        for _ in range(source.choice((1, 1, 3, 20))):
            start = source.choice(used)
            damaged[start + source.randrange(4096)] ^= 1 << source.randrange(8)
        with open(target.source, "wb") as file:
            file.write(damaged)
        walk_damaged(target)


def walk_damaged(target):
    try:
        target.mount()
    except AssertionError:
        return
    script = "find . -ls; cat d/* f; rm -rf d f; echo x > new; true"
    subprocess.run(["sh", "-c", script], cwd=target.where, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=patience(60), check=False)
    check(target.process.poll() is None, f"the daemon died: {target.log()[-2000:]}")
    subprocess.run(["umount", target.where], check=True)
    status = target.wait_end()
    check(status >= 0, f"the daemon ended by signal {-status}: {target.log()[-2000:]}")


def test_not_an_image_of_this_size():
    """mkfs says what is too small."""
    target = fresh()
    for size in (0, 4096, MIB, 16 * MIB - 1):
        with open(target.source, "wb") as file:
            file.truncate(size)
        result = target.run_mkfs("-q", "-f", target.source)
        check(result.returncode != 0 and "small" in result.stderr, f"{size}: {result.stderr}")
    with open(target.source, "wb") as file:
        file.truncate(16 * MIB)
    same(target.run_mkfs("-q", "-f", target.source).returncode, 0, "16 MiB")
    same(target.try_mount()[0], 0)


main()
