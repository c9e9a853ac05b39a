# SPDX-License-Identifier: BSD-3-Clause
# needs: devdaxfs
# The example program.

import os
import subprocess

from check import check, main, same
from hold import hold_and_let_go

HOLD = os.path.join(os.environ["DDFS_BUILD"], "examples/hold")


def test_hold():
    hold_and_let_go(HOLD, "f")
    hold_and_let_go(HOLD, "f")


def test_says_why_not():
    result = subprocess.run([HOLD, "ordinary", "x"], capture_output=True, text=True, check=False)
    same(result.returncode, 1)
    check("ordinary: not a DAX file" in result.stderr, result.stderr)
    result = subprocess.run([HOLD, "f"], capture_output=True, text=True, check=False)
    same(result.returncode, 2)


main()
