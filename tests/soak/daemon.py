# SPDX-License-Identifier: BSD-3-Clause
"""The daemon killed under a load, on an image or a device."""

import collections
import contextlib
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from load import Load
from outcome import Failure, keep
from target import DAMAGE, MIB, Target, mount_line, patience, space, wait_for

IMAGE = 256 * MIB

# Mount options of one mount after another.
OPTIONS = ("", "", "", "lazytime", "noatime", "strictatime", "dax=always", "dax=never",
    "nr_threads=8", "nr_threads=1", "persistence=memory_controller", "persistence=cpu_cache",
    "map=mem", "lazytime,dax=always", "errors=remount-ro",
    "lease_time=1,lease_expire=fail")

# What so many kills of a load never lack, or it is not what it should be.
KILLS_TELLING, WANTED = 50, ("steps", "lacked", "held")

# What a daemon says of a pin whose file has not got the blocks: no crash leaves any.
STRAY = re.compile(r"metadata error")

# In which rounds the device becomes full, for how many at most, and more stores than that takes.
FULL_EVERY, FULL_FIRST, FULL_MOST, FULL_STORES = 5, 3, 2, 5000

# What a kill in the midst of writing one leaves, and the next mount writes anew.
TORN = re.compile(r"the (first|second) superblock fails its checksum\.")


def between(source, least, most):
    """Log-uniform: as many short times as long ones."""
    return math.exp(source.uniform(math.log(least), math.log(most)))


class Soak:
    def __init__(self, arguments, outcome, work):
        self.arguments, self.outcome, self.work = arguments, outcome, work
        self.random = random.Random(arguments.seed)
        self.target = Target(arguments.build, work, arguments.source, size=IMAGE)
        self.load = Load(os.path.join(arguments.build, "tests/soak/soak_load"), self.target.where,
            os.path.join(work, "state"), os.path.join(work, "hold"), arguments.workers,
            self.random)
        self.crashed = os.path.join(work, "crashed")
        self.state_then = os.path.join(work, "state-then")
        self.number = 0  # of the round
        self.nr_kills = 0
        self.cut = 0  # store in which the daemon is to die
        self.full = 0  # rounds for which the device is to be so
        self.totals = dict.fromkeys(("steps", "lacked", "held", "waited", "before", "after",
            "between", "none", "replayed", "orphans"), 0)

    def take_away_mount(self):
        if mount_line(self.target.where):
            subprocess.run(["umount", "-l", self.target.where], check=True)

    # ---- one round ----------------------------------------------------------------------------

    def kill(self):
        """SIGKILL, and the dead mount away once nobody is in it."""
        self.target.process.kill()
        self.target.wait_end()
        self.load.wait()
        self.take_away_mount()

    def kill_under_load(self):
        after = between(self.random, 0.001, 1)
        disturbed = self.random.random() * after
        time.sleep(patience(disturbed))
        self.load.disturb()
        time.sleep(patience(after - disturbed))
        self.kill()
        return f"killed after {after:.3f} s"

    def kill_in_store(self):
        """By the library that is preloaded, or else now."""
        self.load.disturb()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.target.process.wait(patience(1))
        by_itself = self.target.process.poll() is not None
        self.kill()
        return f"killed in store {self.cut}" if by_itself else "killed before its store"

    def kill_in_unmount(self):
        """Of a mount that nobody has files open in; or, by SIGTERM, one whose pins are recalled."""
        time.sleep(between(self.random, 0.001, 0.3))
        self.load.stop()
        self.load.wait()
        after = between(self.random, 0.0001, 0.02)
        if self.random.random() < 0.5:
            self.load.leave()
            unmount = subprocess.Popen(["umount", self.target.where], stderr=subprocess.DEVNULL)
        else:
            unmount = self.target.process
            unmount.terminate()
        time.sleep(patience(after))
        self.target.process.kill()
        unmount.wait(patience(30))
        self.target.wait_end()
        self.take_away_mount()
        return f"killed {after * 1000:.1f} ms into its unmount"

    def unmount(self):
        time.sleep(between(self.random, 0.001, 0.5))
        self.load.stop()
        self.load.wait()
        self.load.leave()
        self.target.unmount()
        return "unmounted"

    def mount(self, options):
        """Half of the daemons are to die in a store, of recovery or later: True if it still lives
        once it is mounted."""
        least = FULL_STORES if self.fills(self.number + 1) else 1
        self.cut = int(between(self.random, least, 30000)) if self.random.random() < 0.5 else 0
        self.target.environment = None
        if self.cut:
            options = f"{options},persistence=memory_controller".lstrip(",")
            self.target.environment = {**os.environ, "DDFS_SOAK_CUT": str(self.cut),
                "LD_PRELOAD": os.path.join(self.arguments.build, "tests/soak/libsoak_cut.so")}
        try:
            self.target.mount(options)
        except AssertionError:
            if not self.cut or f"status {-signal.SIGKILL}" not in str(sys.exc_info()[1]):
                raise
            return False
        return True

    def recover(self, options):
        """Mount and compare, as often as the daemon dies of it; what there is to say of it."""
        times = 0
        while True:
            try:
                if self.mount(options):
                    words, sums = self.load.check()
                    return words, sums, f", {times} times in recovery" if times else ""
            except Failure:
                if not self.cut or self.target.process.poll() != -signal.SIGKILL:
                    raise
            self.target.process = None
            self.take_away_mount()
            self.remember()
            self.fsck()
            self.nr_kills += 1
            times += 1

    def fsck(self):
        program = os.path.join(self.arguments.build, "tools/fsck.devdaxfs")
        if not os.path.exists(program):
            return
        done = subprocess.run([program, "-n", self.target.source], capture_output=True, text=True,
            errors="replace", timeout=patience(60), check=False, stdin=subprocess.DEVNULL)
        problems = [line for line in done.stdout.split("\n")
                    if line and not line.startswith(self.target.source)]
        if done.returncode == 4 and len(problems) == 1 and TORN.fullmatch(problems[0]):
            return
        if done.returncode != 0:
            raise Failure(f"fsck.devdaxfs -n: status {done.returncode}:\n"
                          f"{done.stdout}{done.stderr}")

    def remember(self):
        """As it was left, for whoever has to find out why it does not hold."""
        shutil.rmtree(self.state_then, ignore_errors=True)
        shutil.copytree(self.load.state, self.state_then)
        if not self.arguments.source:
            subprocess.run(["cp", "--sparse=always", self.target.source, self.crashed], check=True)

    def said(self):
        log = self.target.log()
        for done, freed in re.findall(r"(\d+) transactions finished, (\d+) unlinked", log):
            self.totals["replayed"] += int(done)
            self.totals["orphans"] += int(freed)
        if DAMAGE.search(log) or STRAY.search(log):
            raise Failure(f"the daemon said:\n{log}")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.target.log_path)

    def end_somehow(self):
        if self.cut:
            return self.kill_in_store()
        chance = self.random.random()
        if chance < 0.08:
            return self.unmount()
        return self.kill_in_unmount() if chance < 0.16 else self.kill_under_load()

    @staticmethod
    def fills(number):
        return number % FULL_EVERY == FULL_FIRST

    def fill_or_empty(self):
        """The device becomes full now and then, and stays so for some rounds."""
        if self.fills(self.number):
            self.full = self.random.randint(1, FULL_MOST)
        elif self.full:
            self.full -= 1
        if not self.full:
            with self.unless_cut():
                self.load.give_back()

    @contextlib.contextmanager
    def unless_cut(self):
        """Calls fail where the daemon has come to its store."""
        try:
            yield
        except OSError:
            if not self.cut:
                raise
            self.target.process.wait(patience(10))

    def round(self, options):
        """Load, end, recover, compare; what there is to say of it."""
        self.fill_or_empty()
        self.load.start(self.full > 0)
        text = self.end_somehow()
        self.nr_kills += text != "unmounted"
        if self.random.random() < 0.2:
            self.load.disturb()
        self.remember()
        self.fsck()
        words, sums, again = self.recover(options)
        text += again
        self.said()
        for name, value in (collections.Counter(words) + sums).items():
            self.totals[name] += value
        if self.full:
            text += f"; full, {sums['lacked']} found no room"
        return (f"{text}; {sums['steps']} steps, cut short: {' '.join(words)}; pins held "
            f"{sums['held']}, waited for {sums['waited']}; now {options or 'defaults'}")

    # ---- all of them --------------------------------------------------------------------------

    def rounds(self):
        while self.nr_kills < self.arguments.kills:
            self.number += 1
            name = f"soak.round.{self.number}"
            try:
                text = self.round(self.random.choice(OPTIONS))
            except (AssertionError, Failure, OSError, subprocess.SubprocessError) as error:
                self.failed(name, error)
                return False
            self.outcome.result("ok", name, text)
        return True

    def failed(self, name, error):
        place = keep(self.arguments.keep, self.arguments.seed, self.crashed, self.state_then,
            self.load.state, self.target.log_path)
        program = self.load.program
        self.outcome.result("not ok", name, "", f"{error}\n"
            f"kept in {place}: the image as it was left (crashed), journals and models\n"
            f"(state-then). To look at it: mount a copy of the image at DIR, then\n"
            f"{program} check DIR {place}/state-then NOWHERE WHO")

    def empty(self):
        """Everything given back, once nobody holds it: what the many crashes leaked would show."""
        where = self.target.where
        self.target.environment = None
        self.target.kill()
        self.target.mount()
        self.load.give_back()
        for name in os.listdir(where):
            shutil.rmtree(os.path.join(where, name))
        self.load.end_holders()
        wait_for(lambda: space(where) == self.free, 10, "every block to be free again: "
                 f"{space(where)}, before {self.free} (blocks, available, inodes)")
        self.target.unmount()
        self.fsck()
        self.said()

    def run(self):
        self.target.mkfs()
        self.target.mount()
        self.free = space(self.target.where)
        if not self.rounds():
            return
        try:
            self.empty()
        except (AssertionError, Failure, OSError, subprocess.SubprocessError) as error:
            self.failed("soak.empty", error)
            return
        if self.nr_kills >= KILLS_TELLING and not all(self.totals[name] for name in WANTED):
            self.outcome.result("not ok", "soak.load", f"there was none of these: {self.totals}")
        self.outcome.result("ok", "soak.empty", f"{self.nr_kills} kills, " + ", ".join(
            f"{number} {word}" for word, number in self.totals.items()))


def run_daemon(arguments, outcome):
    work = tempfile.mkdtemp(prefix="ddfs-soak.", dir=os.environ.get("DDFS_TMP") or "/dev/shm")
    soak = Soak(arguments, outcome, work)
    try:
        soak.run()
    finally:
        # By force: requests of a daemon that hangs are given up, or nobody could be ended.
        subprocess.run(["umount", "-f", soak.target.where], stderr=subprocess.DEVNULL, check=False)
        soak.load.kill()
        soak.target.end()
        shutil.rmtree(work, ignore_errors=True)
