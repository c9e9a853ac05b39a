# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 60
# What the daemon keeps for a moment for who lost a race for a file (src/daemon/estale.h) does not
# count as open where that would show.

import contextlib
import errno
import os
import subprocess

from check import expect, main, opened, same, write_file
from mounthelper import helper
from pins import pin_range, unpin
from syscalls import FS_DAX_FL, Handle, get_flags, set_flags
from target import Target, space, wait_for


@contextlib.contextmanager
def behind_a_lost_race():
    """A target that keeps what is looked up now, with a file that the kernel knows nothing of; and
    the space without that file."""
    target = Target.of_environment()
    target.mkfs()
    with target.mounted() as where:
        before = space(where)
        write_file(f"{where}/f", b"data" * 100_000)
    with target.mounted() as where, opened(where, os.O_RDONLY) as directory:
        write_file(f"{where}/gone")
        gone = Handle(f"{where}/gone")
        os.unlink(f"{where}/gone")
        expect(errno.ESTALE, gone.open, directory, os.O_RDONLY)
        yield target, where, before


def remount(target, options):
    with helper(target):
        subprocess.run(["mount", "-o", f"remount,{options}", target.where], check=True)


def test_removed_before_a_remount():
    with behind_a_lost_race() as (target, where, before):
        os.unlink(f"{where}/f")
        remount(target, "ro")
        remount(target, "rw")
        same(space(where), before)


def can_be_pinned(path):
    with opened(path, os.O_RDWR) as fd:
        try:
            unpin(fd, pin_range(fd).id)
        except OSError as error:
            same(error.errno, errno.EOPNOTSUPP)
            return False
    return True


def test_becomes_dax():
    with behind_a_lost_race() as (_, where, _):
        with opened(f"{where}/f", os.O_RDONLY) as fd:
            set_flags(fd, get_flags(fd) | FS_DAX_FL)
        # Once the kernel has released that descriptor; less than what is looked up is kept for.
        wait_for(lambda: can_be_pinned(f"{where}/f"), 0.5, "the file to be a DAX inode")


main()
