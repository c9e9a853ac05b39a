# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 120
# size: 64
# ddfs badblocks: what it lists, how the files are called, and what it says when it cannot.

import os
import subprocess
import time

from badtable import SINCE, mark_bad
from check import NOBODY, check, main, same, write_file
from command import complaint, ddfs, ddfs_as_nobody, found, rows
from media import BLOCK, Media
from poison import block_at, drop_cache, on_poisoned, read_at
from target import on_target


def made_with(target, make):
    """What make gives, that was called in the mount; it is unmounted again."""
    with target.mounted() as where:
        result = make(where)
    return result


def bad(*arguments):
    return found("badblocks", "badblocks", *arguments)


def places(*arguments):
    """(what, file, offset in it, length) each."""
    return [(r["what"], r["file"], r["offset"], r["length"]) for r in bad(*arguments)]


def make_file(path, blocks=8):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_file(path, b"x" * (blocks * BLOCK))
    return os.stat(path).st_ino


def block_of(target, ino, lblk):
    return Media(target.source).data_block(ino, lblk)


@on_target
def test_nothing(target):
    with target.mounted() as where:
        make_file(f"{where}/f")
        for path in (where, f"{where}/f"):
            same(bad(path), [])
            out, text = ddfs("badblocks", path)
            same((out, text), (f"0 bad blocks of 4096 bytes on {target.source}\n", ""))


@on_target
def test_a_file(target):
    ino = made_with(target, lambda where: make_file(f"{where}/a/b/f"))
    place = block_of(target, ino, 3)
    mark_bad(target.source, (place, 2 * BLOCK))
    with target.mounted() as where:
        make_file(f"{where}/other")
        path = f"{where}/a/b/f"
        for asked in (where, path):
            one, = bad(asked)
            since = time.strptime(one.pop("since")[:19], "%Y-%m-%dT%H:%M:%S")
            same(time.mktime(since), float(SINCE))
            same(one, {"device_offset": place, "length": 2 * BLOCK, "what": "data", "file": path,
                "inode": ino, "unlinked": False, "offset": 3 * BLOCK})
            row, total = rows("badblocks", asked)
            same(row[:5], [str(place), str(2 * BLOCK), "data", path, str(3 * BLOCK)])
            same(total[:3], ["2", "bad", "blocks"])
        same(bad(f"{where}/other"), [])
        same(bad(f"{where}/a"), [])


@on_target
def test_relative(target):
    """However the file is named; also where the root directory is out of sight."""
    ino = made_with(target, lambda where: make_file(f"{where}/a/b/f"))
    mark_bad(target.source, (block_of(target, ino, 0), BLOCK))
    with target.mounted() as where:
        part = os.path.join(target.directory, "part")
        os.mkdir(part)
        subprocess.run(["mount", "--bind", f"{where}/a", part], check=True)
        os.symlink(f"{where}/a/b/f", f"{target.directory}/link")
        try:
            for path in (f"{part}/b/f", f"{target.directory}/link"):
                same([r["offset"] for r in bad(path)], [0], path)
            before = os.getcwd()
            os.chdir(f"{where}/a")
            try:
                same([r["file"] for r in bad("b/f")], [f"{where}/a/b/f"])
            finally:
                os.chdir(before)
        finally:
            subprocess.run(["umount", part], check=True)


@on_target
def test_names(target):
    """One of several names; none; a name in which there is anything."""
    def make(where):
        inos = [make_file(f"{where}/{name}") for name in ("two", "none", "odd\n\xff name")]
        os.link(f"{where}/two", f"{where}/three")
        return inos

    inos = made_with(target, make)
    mark_bad(target.source, *[(block_of(target, ino, 1), BLOCK) for ino in inos])
    with target.mounted() as where, open(f"{where}/none", "rb"):
        os.unlink(f"{where}/none")
        names = {r["inode"]: (r["file"], r["unlinked"]) for r in bad(where)}
        check(names[inos[0]][0] in (f"{where}/two", f"{where}/three"), f"{names}")
        same(names[inos[1]], (f"{where}/none", True))
        same(names[inos[2]], (f"{where}/odd\n\xff name", False))
        check("(unlinked)" in ddfs("badblocks", where)[0], "the table")


@on_target
def test_another_mount_below(target):
    """Its inodes have the same numbers, and are other files."""
    ino = made_with(target, lambda where: make_file(f"{where}/z/f"))
    mark_bad(target.source, (block_of(target, ino, 1), BLOCK))
    with target.mounted() as where:
        os.mkdir(f"{where}/below")
        subprocess.run(["mount", "-t", "tmpfs", "none", f"{where}/below"], check=True)
        try:
            for number in range(2 * ino):
                write_file(f"{where}/below/{number}")
            numbers = [os.stat(f"{where}/below/{i}").st_ino for i in range(2 * ino)]
            check(ino in numbers, f"no file of tmpfs has number {ino}")
            same([r["file"] for r in bad(where)], [f"{where}/z/f"])
        finally:
            subprocess.run(["umount", f"{where}/below"], check=True)


@on_target
def test_kinds(target):
    def make(where):
        inos = [make_file(f"{where}/f{number}") for number in range(40)]
        os.setxattr(f"{where}/f3", "user.large", b"v" * 9000)
        return inos

    inos = made_with(target, make)
    media = Media(target.source)
    free, xattrs = media.data_block(inos[30], 0), media.xattr_root(inos[3])
    inodes, table = media.inode_block(inos[39]), media.bad_off + 15 * BLOCK
    with target.mounted() as where:
        os.unlink(f"{where}/f30")
    mark_bad(target.source, (table, BLOCK), (free, 2 * BLOCK), (xattrs, BLOCK), (inodes, BLOCK))
    with target.mounted() as where:
        want = [(table, "fixed", None, BLOCK), (xattrs, "metadata", f"{where}/f3", BLOCK),
            (inodes, "inodes", None, BLOCK)]
        if not target.image:  # else it is cleared at once
            want.append((free, "free", None, 2 * BLOCK))
        same([(r["device_offset"], r["what"], r["file"], r["length"]) for r in bad(where)],
            sorted(want))


@on_target
def test_many(target):
    """More than one call tells."""
    count = 150
    ino = made_with(target, lambda where: make_file(f"{where}/f", 2 * count))
    media = Media(target.source)
    runs = [(media.data_block(ino, 2 * i), BLOCK) for i in range(count)]
    mark_bad(target.source, *runs)
    with target.mounted() as where:
        for asked in (where, f"{where}/f"):
            same([(r["offset"], r["device_offset"]) for r in bad(asked)],
                [(2 * i * BLOCK, off) for i, (off, _) in enumerate(runs)])
            same(rows("badblocks", asked)[-1][0], str(count))


@on_poisoned
def test_hit(target):
    """What a read has met is listed from then on."""
    with target.mounted() as where:
        path = f"{where}/f"
        make_file(path)
        place = block_at(path, 5 * BLOCK)
        target.poison(place)
        drop_cache(path)
        same(bad(where), [])
        same(read_at(path, 5 * BLOCK, 100), "EIO")
        for asked in (where, path):
            one, = bad(asked)
            same([one[key] for key in ("device_offset", "length", "file", "offset")],
                [place, BLOCK, path, 5 * BLOCK])
            since = time.strptime(one["since"][:19], "%Y-%m-%dT%H:%M:%S")
            check(abs(time.mktime(since) - time.time()) < 60, f"since {one['since']}")


@on_target
def test_who_may(target):
    ino = made_with(target, lambda where: make_file(f"{where}/f"))
    mark_bad(target.source, (block_of(target, ino, 0), BLOCK))
    os.chmod(target.directory, 0o755)
    with target.mounted() as where:
        for path in (where, f"{where}/f"):
            status, out, text = ddfs_as_nobody("badblocks", path)
            same((status, out), (1, ""))
            check("run it as root" in text, text)
        if target.image:
            os.chown(target.source, NOBODY, NOBODY)
            status, out, text = ddfs_as_nobody("badblocks", where)
            same((status, f"{where}/f" in out), (0, True), text)
            os.chown(target.source, 0, 0)


@on_target
def test_complaints(target):
    with target.mounted() as where:
        os.mkfifo(f"{where}/fifo")
        check("neither" in complaint("badblocks", f"{where}/fifo"), "of a FIFO")
        check("No such" in complaint("badblocks", f"{where}/nothing"), "of nothing")
    check("not on a mounted devdaxfs" in complaint("badblocks", "/proc/version"), "of another")
    for arguments in ((), ("a", "b"), ("--nonsense", "a")):
        check(complaint("badblocks", *arguments), f"nothing is said of {arguments}")
    check(ddfs("badblocks", "--help")[0].startswith("usage: ddfs badblocks"), "its help")


main()
