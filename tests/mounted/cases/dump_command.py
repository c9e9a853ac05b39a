# SPDX-License-Identifier: BSD-3-Clause
# needs: image
# timeout: 120
# size: 64
# ddfs dump: what it prints is what was stored, of images mounted or not, whole or damaged.

import json
import os

from check import check, main, same, write_file
from command import complaint, ddfs
from lane import commit
from media import BLOCK, Media
from target import on_target


STRANGE = b"not \xff utf-8 \x01\n\"\\ \xe2\x82\xac"


def dump(target, *arguments):
    return json.loads(ddfs("dump", "--json", target.source, *arguments)[0])


def populate(where):
    os.makedirs(f"{where}/dir/sub")
    for i in range(500):
        write_file(f"{where}/dir/file {i}", b"")
    write_file(os.path.join(os.fsencode(where), b"dir", STRANGE), b"")
    os.symlink("short", f"{where}/short")
    os.symlink("long" * 500, f"{where}/long")
    os.mkfifo(f"{where}/pipe")
    with open(f"{where}/holes", "wb") as file:
        for i in range(600):
            file.seek(2 * i * BLOCK)
            file.write(b"x" * BLOCK)
    os.setxattr(f"{where}/holes", "user.small", b"value")
    os.setxattr(f"{where}/holes", "user.large", bytes(range(256)) * 100)
    os.setxattr(f"{where}/holes", "user.middle", b"y" * 900)


def listing(where):
    """What the mount says of each path below the root."""
    found = {}
    for directory, names, files in os.walk(os.fsencode(where)):
        for name in names + files:
            path = os.path.join(directory, name)
            found["/" + os.fsdecode(os.path.relpath(path, os.fsencode(where)))] = os.lstat(path)
    return found


def made(target):
    with target.mounted() as where:
        populate(where)
        return listing(where)


def name_of(entry):
    return bytes.fromhex(entry["name_hex"]) if "name_hex" in entry else entry["name"].encode()


@on_target
def test_tree(target):
    """The whole tree, by directories and inodes alone."""
    want = made(target)
    found, todo = {}, [("", 1)]
    while todo:
        path, ino = todo.pop()
        for entry in dump(target, "directory", str(ino))["entries"]:
            name = f"{path}/{os.fsdecode(name_of(entry))}"
            found[name] = entry["inode"]
            if entry["type"] == "directory":
                todo.append((name, entry["inode"]))
    same(set(found), set(want), "paths")
    for path, st in want.items():
        same(found[path], st.st_ino, path)
    for path in ["/dir", "/dir/file 7", "/short", "/long", "/pipe", "/holes"]:
        st, inode = want[path], dump(target, "inode", path)
        same((inode["inode"], inode["mode"], inode["nlink"], inode["size"], inode["blocks"] * 8),
             (st.st_ino, st.st_mode, st.st_nlink, st.st_size, st.st_blocks), path)
        same((inode["checksum"], inode["free"]), ("good", False), path)
    same(dump(target, "inode", "/short")["target"], "short")
    same(dump(target, "inode", "/long")["target"], "long" * 500)


@on_target
def test_any_bytes(target):
    made(target)
    strange = [e for e in dump(target, "directory", "/dir")["entries"] if "name_hex" in e]
    same([name_of(e) for e in strange], [STRANGE])
    same(strange[0]["name"], "not ? utf-8 \x01\n\"\\ \u20ac")
    text = ddfs("dump", target.source, "directory", "/dir")[0]
    check("not \\xff utf-8 \\x01\\x0a\"\\x5c \u20ac\n" in text, "the name, escaped")
    xattrs = {x["name"]: x for x in dump(target, "xattrs", "/holes")["xattrs"]}
    same(sorted(xattrs), ["user.large", "user.middle", "user.small"])
    same(bytes.fromhex(xattrs["user.large"]["value_hex"]), bytes(range(256)) * 100)
    same(xattrs["user.middle"]["value"], "y" * 900)
    same(xattrs["user.small"]["value"], "value")
    same([xattrs[n]["place"] for n in sorted(xattrs)], ["blocks", "tree", "inode"])


@on_target
def test_extents(target):
    made(target)
    extents = dump(target, "extents", "/holes")["extents"]
    same([(e["file_block"], e["blocks"], e["unwritten"]) for e in extents],
         [(2 * i, 1, False) for i in range(600)])
    with open(target.source, "rb") as file:
        for extent in extents[::50]:
            file.seek(extent["block"] * BLOCK)
            same(file.read(BLOCK), b"x" * BLOCK, f"block {extent['block']}")
    lines = ddfs("dump", target.source, "extents", "/holes")[0].splitlines()
    same(lines[3].split(), ["FILE-BLOCK", "BLOCKS", "BLOCK", "UNWRITTEN"])
    same(lines[5].split(), ["2", "1", str(extents[1]["block"]), "no"])


@on_target
def test_fixed(target):
    made(target)
    superblock = dump(target)
    same(superblock, dump(target, "superblock"))
    same((superblock["state"], superblock["first_copy"], superblock["second_root_block"]),
         ("clean", "good", "good"))
    same(superblock["device_bytes"], os.path.getsize(target.source) >> 21 << 21)
    lanes = dump(target, "lanes")
    same({lane["state"] for lane in lanes["lanes"]}, {"empty"})
    same((len(lanes["lanes"]), lanes["records"]), (superblock["lanes"], []))
    groups = dump(target, "groups")["groups"]
    same(sum(g["chunks"] for g in groups) << 21, superblock["device_bytes"])
    table = dump(target, "group", "0")["table"]
    same(len(table), groups[0]["initialized"])
    free = groups[0]["chunks"] * 512 - sum(c["used_blocks"] for c in table)
    same({c["checksum"] for c in table}, {"good"})
    same(free, groups[0]["free_blocks"], "free blocks")


@on_target
def test_mounted(target):
    """A mounted one, for writing with a word of warning."""
    with target.mounted() as where:
        write_file(f"{where}/file", b"x")
        out, text = ddfs("dump", "-J", target.source, "inode", "/file")
        same(json.loads(out)["size"], 1)
        check("may change while it is read" in text, text)
    with target.mounted("ro") as where:
        out, text = ddfs("dump", "-J", target.source, "inode", "/file")
        same((json.loads(out)["size"], text), (1, ""))
        same(os.listdir(where), ["file"])


@on_target
def test_committed_lane(target):
    """What a lane holds counts as done, unless asked otherwise."""
    with target.mounted() as where:
        write_file(f"{where}/file", b"x")
    inode = dump(target, "inode", "/file")
    commit(target.source, inode["offset"] + 16, (4711).to_bytes(4, "little"))
    same(dump(target, "inode", "/file")["uid"], 4711)
    same(dump(target, "--raw", "inode", "/file")["uid"], 0)
    lanes = dump(target, "lanes")
    same([lane["state"] for lane in lanes["lanes"]].count("committed"), 1)
    same(lanes["records"], [{"lane": 0, "offset": inode["offset"] + 16, "length": 4}])


@on_target
def test_damaged(target):
    made(target)
    inode = dump(target, "inode", "/dir")
    healthy = dump(target, "directory", "/dir")
    check("faults" not in healthy, "faults of a healthy one")
    with open(target.source, "r+b") as file:
        file.seek(inode["root"] * BLOCK + 100)
        file.write(b"damage")
    broken = dump(target, "directory", "/dir")
    check(("node", inode["root"]) in [(f["fault"], f["block"]) for f in broken["faults"]],
          broken["faults"])
    kept = broken["entries"]  # what proves itself: all but what one reference led to
    check(0 < len(kept) < len(healthy["entries"]), f"{len(kept)} entries")
    check(all(entry in healthy["entries"] for entry in kept), "an entry that was not there")
    with open(target.source, "r+b") as file:
        file.seek(inode["offset"] + 200)
        file.write(b"damage")
        file.seek(0)
        file.write(b"\0" * BLOCK)
    same(dump(target, "inode", str(inode["inode"]))["checksum"], "bad")
    same(dump(target)["first_copy"], "bad")
    with open(target.source, "r+b") as file:
        file.seek(os.path.getsize(target.source) - BLOCK + 100)
        file.write(b"damage")
    same(dump(target)["problem"][:20], "this superblock does")
    check("no superblock that holds" in complaint("dump", target.source, "lanes"), "lanes")
    with open(target.source, "r+b") as file:
        file.write(b"\0" * os.path.getsize(target.source))
    check("no devdaxfs here" in complaint("dump", target.source), "nothing")


@on_target
def test_cut_short(target):
    made(target)
    whole = os.path.getsize(target.source)
    os.truncate(target.source, whole // 2)
    check("cut short" in dump(target)["problem"], "no word of it")
    for words in (["dump", target.source, "lanes"],
                  ["metadump", target.source, target.source + ".dump"]):
        check(f"is {whole} bytes and the device only {whole // 2}" in complaint(*words), words)
    os.truncate(target.source, whole)
    same((dump(target)["first_copy"], dump(target)["second_copy"]), ("good", "bad"))


@on_target
def test_complaints(target):
    made(target)
    for words, arguments in [
            ("no structure", [target.source, "inodes"]),
            ("which?", [target.source, "inode"]),
            ("is too much", [target.source, "lanes", "3"]),
            ("is no inode", [target.source, "inode", "dir"]),
            ("is no inode", [target.source, "inode", "1x"]),
            ("inode table ends before", [target.source, "inode", "4000000000"]),
            ("No such file", [target.source, "inode", "/dir/none"]),
            ("Not a directory", [target.source, "inode", "/short/x"]),
            ("no directory", [target.source, "directory", "/short"]),
            ("is a directory", [target.source, "extents", "/dir"]),
            ("no group 99", [target.source, "group", "99"]),
            ("no number", [target.source, "group", "x"]),
            ("usage:", []),
            ("no such file", [target.source + "-none"]),
    ]:
        text = complaint("dump", *arguments)
        check(words in text, f"{words}: {text}")
    out = ddfs("dump", "--help")[0]
    check("usage: ddfs dump" in out, out)


main()
