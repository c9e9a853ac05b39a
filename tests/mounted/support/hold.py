# SPDX-License-Identifier: BSD-3-Clause
"""examples/hold, wherever it was built."""

import os
import subprocess

from check import check, read_file, same
from syscalls import FS_XFLAG_DAX, set_xflags
from target import patience


def hold_and_let_go(program, path, library_path=None):
    """It must store its text, hold the file against a truncate, and let go when that waits."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    set_xflags(fd, FS_XFLAG_DAX)
    os.close(fd)
    environment = dict(os.environ)
    if library_path:
        environment["LD_LIBRARY_PATH"] = library_path
    with subprocess.Popen([program, path, "hello"], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, env=environment) as process:
        try:
            line = process.stdout.readline()
            check(line.startswith(f"{path}: 5 bytes stored at "), line)
            same(read_file(path), b"hello")
            subprocess.run(["truncate", "-s", "0", path], check=True, timeout=patience(20))
            same(process.communicate(timeout=patience(20))[0], f"{path}: recalled, letting go\n")
        except BaseException:
            process.kill()
            raise
    same(process.returncode, 0)
    same(read_file(path), b"")
