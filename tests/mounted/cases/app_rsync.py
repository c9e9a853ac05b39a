# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 240
# rsync of a large tree; after a remount every byte and every attribute is there.

import hashlib
import os
import subprocess

from check import check, main, same, scale
from target import Target

SOURCE = "/usr/include"


def sources():
    """The whole tree, or a part of it on a slow machine."""
    if scale(100) >= 100:
        return SOURCE
    return f"{SOURCE}/linux" if os.path.isdir(f"{SOURCE}/linux") else SOURCE


def rsync(*arguments):
    result = subprocess.run(["rsync", "-aHAX", *arguments], capture_output=True, text=True,
                            check=False)
    check(result.returncode == 0, result.stderr)
    return result.stdout


def digest(directory):
    """One line for each file: its path, kind, mode, owner, time and contents."""
    lines = []
    for root, directories, files in os.walk(directory):
        for name in directories + files:
            path = os.path.join(root, name)
            status = os.lstat(path)
            line = f"{os.path.relpath(path, directory)} {status.st_mode:o} {status.st_uid}"
            line += f" {status.st_gid} {status.st_mtime_ns}"
            if os.path.islink(path):
                line += os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    line += f" {status.st_size} {hashlib.sha256(file.read()).hexdigest()}"
            lines.append(line)
    return sorted(lines)


def test_tree():
    target = Target.of_environment()
    target.mkfs()
    wanted = digest(sources())
    check(len(wanted) > 100, f"only {len(wanted)} files in {sources()}")
    with target.mounted() as where:
        rsync(f"{sources()}/", f"{where}/tree/")
        same(digest(f"{where}/tree"), wanted, "before the remount")
    for options in ("", "ro"):
        with target.mounted(options) as where:
            same(digest(f"{where}/tree"), wanted, f"after a remount ({options or 'rw'})")
            left = rsync("-n", "--checksum", "--itemize-changes", f"{sources()}/", f"{where}/tree/")
            same(left, "", "what rsync would still change")


main()
