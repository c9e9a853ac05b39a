# SPDX-License-Identifier: BSD-3-Clause
# needs: image
# timeout: 300
# size: 64
# ddfs metadump and metarestore: all but the contents of files comes back, and checks clean; names
# that are scrambled are not in the file; damage is kept; a file that is not whole is refused.

import contextlib
import json
import os
import random
import re
import subprocess

from check import check, main, same, write_file
from command import complaint, ddfs
from lane import commit
from media import BLOCK, Media
from target import Target, on_target

SECRET = b"Geheimnis"  # in all that is not to be in a scrambled dump
CONTENT = b"file content: "


def make_names(where, rng):
    os.mkdir(f"{where}/dir")
    for i in range(700):
        write_file(f"{where}/dir/{SECRET.decode()} {i}", b"")
    for i in range(0, 700, 3):
        os.unlink(f"{where}/dir/{SECRET.decode()} {i}")
    os.mkdir(f"{where}/short")
    for letter in "abcdefghijklmnopqrstuvwxyz":
        write_file(f"{where}/short/{letter}", b"")
        for other in "abcdefghij":
            write_file(f"{where}/short/{letter}{other}", b"")
    for i in range(40):
        names = [f"{SECRET.decode()}{i}{j}" for j in range(i % 5 + 1)]
        os.makedirs(os.path.join(where, "deep", *names))
    for i in range(60):
        name = SECRET.decode() + "x" * rng.randrange(200)
        os.link(f"{where}/dir/{SECRET.decode()} 1", f"{where}/dir/{i}{name}")


def make_others(where):
    os.symlink(SECRET, f"{where}/link")
    os.symlink(SECRET * 30, f"{where}/long link")
    os.mkfifo(f"{where}/{SECRET.decode()}.pipe")
    with open(f"{where}/file", "wb") as file:
        for i in range(700):
            file.seek(2 * i * BLOCK)
            file.write(CONTENT * 20)
    for i in range(60):
        os.setxattr(f"{where}/file", b"user." + SECRET + b"%d" % i, SECRET * (1 + i))
    os.setxattr(f"{where}/file", "user.large", SECRET * 2000)
    os.setxattr(f"{where}/link", b"trusted." + SECRET, SECRET, follow_symlinks=False)
    os.setxattr(f"{where}/dir", b"user.a", SECRET)
    os.setxattr(f"{where}/dir", b"user.b", b"")
    subprocess.run(["setfacl", "-m", "u:77:rw", f"{where}/file"], check=True)
    os.symlink(SECRET, f"{where}/removed")
    os.unlink(f"{where}/removed")


def populate(where):
    make_names(where, random.Random(1))
    make_others(where)


def tree(where, names=True):
    """What can be seen of each inode but the contents of files; without names, by inode number."""
    found = {}
    for directory, dirs, files in os.walk(os.fsencode(where)):
        for path in [os.path.join(directory, name) for name in dirs + files]:
            st = os.lstat(path)
            key = os.path.relpath(path, os.fsencode(where)) if names else st.st_ino
            attrs = (st.st_ino, st.st_mode, st.st_nlink, st.st_uid, st.st_size, st.st_blocks,
                     st.st_mtime_ns, st.st_ctime_ns)
            found[key] = attrs + (secrets(path, st) if names else ())
    return found


def secrets(path, st):
    xattrs = {n: os.getxattr(path, n, follow_symlinks=False)
              for n in os.listxattr(path, follow_symlinks=False)}
    return os.readlink(path) if os.path.islink(path) else None, sorted(xattrs.items())


@contextlib.contextmanager
def restored(target, *options, says=""):
    """The image dumped and restored, and the file that was between."""
    dump, image = target.source + ".dump", target.source + ".restored"
    try:
        text = ddfs("metadump", *options, target.source, dump)[1]
        check(says in text if says else not text, f"metadump says {text!r}")
        ddfs("metarestore", dump, image)
        yield dump, image
    finally:
        for path in dump, image:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


@contextlib.contextmanager
def mounted(target, image):
    other = Target(target.build, target.directory, image, target.options)
    try:
        with other.mounted() as where:
            yield where
    finally:
        other.end()


def fsck(target, image, status=0):
    program = os.path.join(target.build, "tools/fsck.devdaxfs")
    result = subprocess.run([program, "-n", "-f", image], capture_output=True, text=True,
        check=False, errors="replace", timeout=120)
    same(result.returncode, status, f"fsck: {result.stdout} {result.stderr}")
    return result.stdout


def contents(dump):
    """The runs' bytes, decompressed by another program."""
    with open(dump, "rb") as file:
        file.seek(64)
        return subprocess.run(["zstd", "-dc"], stdin=file, capture_output=True, check=True).stdout


def made(target):
    with target.mounted() as where:
        populate(where)
        return tree(where), tree(where, names=False)


@on_target
def test_all_but_contents(target):
    want, _ = made(target)
    with restored(target) as (dump, image):
        same(os.path.getsize(image), os.path.getsize(target.source))
        check(os.stat(image).st_blocks * 512 < os.stat(target.source).st_blocks * 512 - 700 * BLOCK,
              "the image is sparse")
        check(CONTENT not in contents(dump), "contents of files in the dump")
        check(SECRET in contents(dump), "names in the dump")
        fsck(target, image)
        with mounted(target, image) as where:
            same(tree(where), want)
            with open(f"{where}/file", "rb") as file:
                check(not file.read().strip(b"\0"), "data reads as zeroes")
            write_file(f"{where}/more", b"x" * 100000)
        fsck(target, image)


@on_target
def test_scrambled(target):
    named, want = made(target)
    with restored(target, "--scramble-names") as (dump, image):
        data = contents(dump)
        for secret in SECRET, CONTENT, b"long link", b"large", b"deep":
            check(secret not in data, f"{secret} in the dump")
        fsck(target, image)
        with mounted(target, image) as where:
            same(tree(where, names=False), want)
            found = tree(where)
            same(len(found), len(named))
            check(not set(found) & set(named), "a name is as it was")
            acls = [x for f in found.values() for x in f[-1] if x[0] == "system.posix_acl_access"]
            same(len(acls), 1)
            for path in list(found)[::7]:
                os.rename(os.path.join(os.fsencode(where), path), os.fsencode(where) + b"/moved")
                os.rename(os.fsencode(where) + b"/moved", os.path.join(os.fsencode(where), path))
        fsck(target, image)


@on_target
def test_label(target):
    target.mkfs("-L", SECRET.decode())
    with restored(target, "-s") as (dump, image):
        check(SECRET not in contents(dump), "the label")
        same(json.loads(ddfs("dump", "-J", image)[0])["label"], "x" * len(SECRET))
        fsck(target, image)


@on_target
def test_committed_lane(target):
    """Kept as it is; scrambled, it is as if it had been replayed."""
    made(target)
    commit(target.source, Media(target.source).pins_off + 128, SECRET[:4])
    with restored(target) as (_, image):
        lanes = json.loads(ddfs("dump", "-J", image, "lanes")[0])
        same([lane["state"] for lane in lanes["lanes"]].count("committed"), 1)
    with restored(target, "-s") as (dump, image):
        lanes = json.loads(ddfs("dump", "-J", image, "lanes")[0])
        same({lane["state"] for lane in lanes["lanes"]}, {"empty"})
        check(SECRET[:4] not in contents(dump), "what the lane held")


def damage(path, off):
    with open(path, "r+b") as file:
        file.seek(off)
        byte = file.read(1)
        file.seek(off)
        file.write(bytes([byte[0] ^ 1]))


@on_target
def test_damaged(target):
    """Damage is what bug reports are about: it is the same in the restored image."""
    made(target)
    media = Media(target.source)
    numbers = {n: json.loads(ddfs("dump", "-J", target.source, "inode", f"/{n}")[0])
               for n in ("dir", "file", "link", "short")}
    damage(target.source, media.extent_nodes(numbers["file"]["inode"])[1] + 1000)
    damage(target.source, numbers["dir"]["root"] * BLOCK + 60)
    damage(target.source, numbers["link"]["offset"] + 130)
    damage(target.source, media.root_blocks[0] + 20)
    damage(target.source, media.supers[1] + 500)
    before = {what: ddfs("dump", "-J", target.source, *what.split())[0] for what in [
        "superblock", "extents /file", "directory /dir", "inode /link", "xattrs /file"]}
    with restored(target) as (_, image):
        for what, text in before.items():
            same(ddfs("dump", "-J", image, *what.split())[0], text, what)
        same(fsck(target, image, 4).replace(image, ""),
             fsck(target, target.source, 4).replace(target.source, ""))
    with restored(target, "-s", says="damaged structures are left out") as (dump, image):
        check(SECRET not in contents(dump), "names")
        fsck(target, image, 4)


@on_target
def test_refused(target):
    """Nothing is left of a dump that is not whole."""
    made(target)
    with restored(target) as (dump, image):
        os.unlink(image)
        with open(dump, "rb") as file:
            whole = file.read()

        def refused(data, *words):
            with open(dump, "wb") as file:
                file.write(data)
            text = complaint("metarestore", dump, image)
            check(any(word in text for word in words), f"{words}: {text}")
            check(not os.path.exists(image), "an image is left")
            same([n for n in os.listdir(target.directory) if re.search("tmp|part", n)], [])

        for length in [0, 1, 63]:
            refused(whole[:length], "no metadump")
        for length in [64, 65, 100, len(whole) // 2, len(whole) - 10, len(whole) - 1]:
            refused(whole[:length], "cut short")
        refused(whole + b"x", "damaged")
        rng = random.Random(1)
        places = [0, 4, 8, 16, 20, 24, 40, 64, 70]
        for at in places + [rng.randrange(64, len(whole)) for _ in range(40)]:
            changed = bytearray(whole)
            changed[at] ^= 1 + rng.randrange(255)
            refused(bytes(changed), "damaged", "no metadump", "another version", "cut short")
        with open(dump, "wb") as file:
            file.write(whole)
        ddfs("metarestore", dump, image)
        check("exists" in complaint("metarestore", dump, image), "an image in the way")
        check("exists" in complaint("metadump", target.source, dump), "a file in the way")


@on_target
def test_complaints(target):
    nothing = target.source + ".nothing"
    try:
        with open(nothing, "wb") as file:
            file.truncate(64 << 20)
        for words, arguments in [
                ("usage:", ["metadump", target.source]),
                ("usage:", ["metarestore", target.source]),
                ("no superblock", ["metadump", nothing, nothing + ".dump"]),
                ("no such file", ["metadump", nothing + "x", nothing + ".dump"]),
                ("No such file", ["metadump", target.source, nothing + "/x/y"]),
                ("cannot open", ["metarestore", nothing + "x", nothing + ".image"]),
                ("no metadump", ["metarestore", nothing, nothing + ".image"]),
        ]:
            text = complaint(*arguments)
            check(words in text or "Not a directory" in text, f"{words}: {text}")
        same([n for n in os.listdir(target.directory) if "nothing." in n], [])
        for command in "metadump", "metarestore":
            check(f"usage: ddfs {command}" in ddfs(command, "-h")[0], "help")
    finally:
        os.unlink(nothing)


main()
