# SPDX-License-Identifier: BSD-3-Clause
"""The command ddfs: what it prints, and what it complains of.

    rows("pins", "f")              # of the table, as lists of words
    found("pins", "pins", "f")     # the same as JSON
    complaint("pins", "/proc")
"""

import json
import os
import shutil
import subprocess
import tempfile

from check import NOBODY, check, same
from target import patience

DDFS = os.path.join(os.environ["DDFS_BUILD"], "tools/ddfs")


def ddfs(*arguments, status=0, **kwargs):
    """What it prints, and what it complains of."""
    result = subprocess.run([DDFS, *arguments], capture_output=True, text=True, check=False,
        timeout=patience(30), **kwargs)
    same(result.returncode, status, f"status of ddfs {arguments}, {result.stderr}")
    check("Sanitizer" not in result.stderr, result.stderr)
    return result.stdout, result.stderr


def rows(command, *arguments):
    """The rows of the table as lists of words, without the title."""
    lines = ddfs(command, *arguments)[0].splitlines()
    return [line.split() for line in lines[1:]]


def found(what, command, *arguments):
    return json.loads(ddfs(command, "--json", *arguments)[0])[what]


def complaint(*arguments, **kwargs):
    out, text = ddfs(*arguments, status=1, **kwargs)
    same(out, "", "output of a command that failed")
    return text


def become_nobody():
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def ddfs_as_nobody(*arguments):
    """(status, output, complaint) where another user runs it, from a place that it can reach."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        os.chmod(directory, 0o755)
        program = shutil.copy(DDFS, directory)
        result = subprocess.run([program, *arguments], preexec_fn=become_nobody, check=False,
            capture_output=True, text=True, timeout=patience(30))
    return result.returncode, result.stdout, result.stderr


__all__ = ["DDFS", "complaint", "ddfs", "ddfs_as_nobody", "found", "rows"]
