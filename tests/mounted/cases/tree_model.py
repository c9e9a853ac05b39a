# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
# Random operations on names against a model of the tree. DDFS_SEED repeats a run.

import errno
import os
import random
import shutil
import stat
import time

from check import main, same, scale
from syscalls import RENAME_EXCHANGE, RENAME_NOREPLACE, renameat2


class Node:
    """A file, a symlink or a directory as it should be."""

    def __init__(self, kind, content=None):
        self.kind = kind
        self.content = content
        self.entries = {}
        self.links = 1


class Tree:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.root = Node("d")

    def name(self):
        long = "" if self.random.random() < 0.8 else "x" * self.random.randrange(200)
        return f"{self.random.choice('abcdefgh')}{long}"

    def directories(self, node=None, path="."):
        node = node or self.root
        yield path, node
        for name, child in node.entries.items():
            if child.kind == "d":
                yield from self.directories(child, f"{path}/{name}")

    def spot(self):
        path, node = self.random.choice(list(self.directories()))
        return path, node, self.name()

    def holds(self, ancestor, node):
        return any(each is node for _, each in self.directories(ancestor)) if ancestor.kind == "d" \
            else False

    # ---- each returns the errno that the call must give ------------------------------------

    def do_create(self):
        path, node, name = self.spot()
        data = self.random.randbytes(self.random.choice((0, 5, 5000)))
        old = node.entries.get(name)
        result = attempt(lambda: write(f"{path}/{name}", data))
        if old:
            return result, errno.EEXIST
        node.entries[name] = Node("f", data)
        return result, 0

    def do_mkdir(self):
        path, node, name = self.spot()
        result = attempt(lambda: os.mkdir(f"{path}/{name}"))
        if name in node.entries:
            return result, errno.EEXIST
        node.entries[name] = Node("d")
        return result, 0

    def do_symlink(self):
        path, node, name = self.spot()
        target = "t" * self.random.choice((3, 70, 3000))
        result = attempt(lambda: os.symlink(target, f"{path}/{name}"))
        if name in node.entries:
            return result, errno.EEXIST
        node.entries[name] = Node("l", target)
        return result, 0

    def do_unlink(self):
        path, node, name = self.spot()
        old = node.entries.get(name)
        result = attempt(lambda: os.unlink(f"{path}/{name}"))
        if not old:
            return result, errno.ENOENT
        if old.kind == "d":
            return result, errno.EISDIR
        old.links -= 1
        del node.entries[name]
        return result, 0

    def do_rmdir(self):
        path, node, name = self.spot()
        old = node.entries.get(name)
        result = attempt(lambda: os.rmdir(f"{path}/{name}"))
        if not old:
            return result, errno.ENOENT
        if old.kind != "d":
            return result, errno.ENOTDIR
        if old.entries:
            return result, errno.ENOTEMPTY
        del node.entries[name]
        return result, 0

    def do_link(self):
        path, node, name = self.spot()
        to_path, to, to_name = self.spot()
        old = node.entries.get(name)
        result = attempt(lambda: os.link(f"{path}/{name}", f"{to_path}/{to_name}",
                                         follow_symlinks=False))
        if not old:
            return result, errno.ENOENT
        if to_name in to.entries:
            return result, errno.EEXIST
        if old.kind == "d":
            return result, errno.EPERM
        old.links += 1
        to.entries[to_name] = old
        return result, 0

    def do_rename(self):
        path, node, name = self.spot()
        to_path, to, to_name = self.spot()
        flags = self.random.choice((0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE))
        result = attempt(lambda: renameat2(f"{path}/{name}", f"{to_path}/{to_name}", flags))
        moved, over = node.entries.get(name), to.entries.get(to_name)
        wanted = self.rename_error(node, moved, to, over, flags)
        if wanted == 0 and moved is not over:
            if flags == RENAME_EXCHANGE:
                node.entries[name], to.entries[to_name] = over, moved
            else:
                if over:
                    over.links -= 1
                del node.entries[name]
                to.entries[to_name] = moved
        return result, wanted

    def rename_error(self, node, moved, to, over, flags):
        if not moved or (flags == RENAME_EXCHANGE and not over):
            return errno.ENOENT
        if flags == RENAME_NOREPLACE and over:
            return errno.EEXIST
        if self.holds(moved, to):
            return errno.EINVAL
        if over and self.holds(over, node):
            return errno.EINVAL if flags == RENAME_EXCHANGE else errno.ENOTEMPTY
        if not over or moved is over or flags == RENAME_EXCHANGE:
            return 0
        if over.kind == "d" and moved.kind != "d":
            return errno.EISDIR
        if over.kind != "d" and moved.kind == "d":
            return errno.ENOTDIR
        return errno.ENOTEMPTY if over.entries else 0

    # ---- comparison ------------------------------------------------------------------------

    def compare(self, node, path):
        same(sorted(os.listdir(path)), sorted(node.entries), path)
        subdirectories = sum(1 for child in node.entries.values() if child.kind == "d")
        links = os.stat(path).st_nlink
        same(links, 2 + subdirectories if links != 1 else 1, f"links of {path}")
        for name, child in node.entries.items():
            self.compare_entry(child, f"{path}/{name}")

    def compare_entry(self, node, path):
        status = os.lstat(path)
        kind = {stat.S_IFDIR: "d", stat.S_IFREG: "f", stat.S_IFLNK: "l"}
        same(kind[stat.S_IFMT(status.st_mode)], node.kind, path)
        if node.kind == "d":
            self.compare(node, path)
            return
        same(status.st_nlink, node.links, f"links of {path}")
        if node.kind == "l":
            same(os.readlink(path), node.content)
        else:
            with open(path, "rb") as file:
                same(file.read(), node.content)


def write(path, data):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.write(fd, data)
    os.close(fd)


def attempt(call):
    try:
        call()
    except OSError as error:
        return error.errno
    return 0


STEPS = [Tree.do_create, Tree.do_create, Tree.do_mkdir, Tree.do_mkdir, Tree.do_symlink,
         Tree.do_unlink, Tree.do_rmdir, Tree.do_link, Tree.do_rename, Tree.do_rename]


def drive(seed, steps):
    tree = Tree(seed)
    for number in range(steps):
        step = tree.random.choice(STEPS)
        got, wanted = step(tree)
        same(errno.errorcode.get(got, 0), errno.errorcode.get(wanted, 0),
             f"DDFS_SEED={seed}, step {number}, {step.__name__}")
        if number % 200 == 0:
            tree.compare(tree.root, ".")
    tree.compare(tree.root, ".")


def test_any():
    drive(int(os.environ.get("DDFS_SEED") or time.time()), scale(10000, 500))


def test_fixed():
    home = os.getcwd()
    for seed in range(scale(10, 2)):
        os.mkdir(f"{home}/run")
        os.chdir(f"{home}/run")
        drive(seed, scale(1000, 200))
        os.chdir(home)
        shutil.rmtree("run")


main()
