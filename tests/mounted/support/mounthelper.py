# SPDX-License-Identifier: BSD-3-Clause
"""mount(8) looks for its helpers in /sbin alone."""

import contextlib
import os

from check import Skip

HELPER = "/sbin/mount.fuse.devdaxfs"


@contextlib.contextmanager
def helper(target):
    """The target's daemon is there for as long as the block runs."""
    if os.path.lexists(HELPER):
        if os.path.realpath(HELPER) != os.path.realpath(target.program("devdaxfs")):
            raise Skip(f"{HELPER} is another devdaxfs")
        yield
        return
    os.symlink(target.program("devdaxfs"), HELPER)
    try:
        yield
    finally:
        os.unlink(HELPER)
