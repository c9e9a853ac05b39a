# SPDX-License-Identifier: BSD-3-Clause
"""QEMU killed under a load, and booted again on the same persistent memory.

Outside, run_machine boots a machine for each kill and one more to look at what the last one left.
Inside, run_inside mounts, compares with what the load of the machine before had been told, and
starts the load again, on a full device or not. Clients that hold files end with the machine, so
nothing is pinned in the next one. The journal is on the outside's disk before a step begins and
before the next one does: the directory that holds it comes over 9p, uncached.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from daemon import between
from load import Load
from outcome import Failure, keep
from target import DAMAGE, Target, patience, space, wait_for

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "../.."))
SIZE_MIB = 256
STARTED, REPORT, FREE = "started", "report", "free"


# ---- outside ----------------------------------------------------------------------------------


class Machine:
    """One boot: a state directory goes in, what became of it comes out."""

    def __init__(self, arguments, work, state, seed, last):
        self.out = os.path.join(work, f"out{seed}")
        self.log_path = os.path.join(work, "machine.log")
        self.work = work
        command = [os.path.join(ROOT, "tests/vm/run"), f"--size={SIZE_MIB}", "--align=4k",
            f"--nvdimm={os.path.join(work, 'nvdimm')}", f"--out={self.out}", "--",
            os.path.join(ROOT, "tests/soak/run"), f"--build={arguments.build}",
            f"--inside={state}", f"--seed={seed}", f"--workers={arguments.workers}"]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command + (["--last"] if last else []), stdout=log,
                stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, "DDFS_TMP": work,
                "DDFS_BUILD": os.environ.get("DDFS_BUILD") or os.path.dirname(arguments.build)})

    def inside(self, name):
        """A file that the machine has written to its DDFS_OUT, once it is there."""
        for directory in os.listdir(self.work):
            path = os.path.join(self.work, directory, "share/out", name)
            if directory.startswith("ddfs-vm.") and os.path.exists(path):
                return path
        return None

    def is_settled(self):
        return self.inside(STARTED) or self.process.poll() is not None

    def kill(self):
        """SIGKILL for QEMU itself, which is a grandchild."""
        pids = [pid for pid in descendants(self.process.pid) if is_qemu(pid)]
        if not pids:
            raise Failure(f"no QEMU to kill:\n{self.log()}")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(patience(60))

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


def descendants(pid):
    parents = {}
    for word in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{word}/stat", encoding="ascii", errors="replace") as file:
                parents[int(word)] = int(file.read().rsplit(")", 1)[1].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def is_qemu(pid):
    with contextlib.suppress(OSError):
        return "qemu" in os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    return False


class Machines:
    def __init__(self, arguments, outcome, work):
        self.arguments, self.outcome, self.work = arguments, outcome, work
        self.random = random.Random(arguments.seed)
        self.state = os.path.join(work, "state")
        self.machine = None
        os.makedirs(self.state)

    def boot(self, last):
        self.machine = Machine(self.arguments, self.work, self.state,
            self.random.getrandbits(40), last)

    def report(self):
        """What the machine said of the kill before it; it becomes the next one's state."""
        with contextlib.suppress(OSError):
            with open(os.path.join(self.machine.out, REPORT), encoding="utf-8") as file:
                text = file.read()
            shutil.rmtree(self.state)
            shutil.copytree(self.machine.out, self.state)
            shutil.rmtree(self.machine.out)
            return text
        raise Failure(f"the machine said nothing:\n{self.machine.log()}")

    def kill_once(self):
        self.boot(False)
        wait_for(self.machine.is_settled, 120, "the machine to begin its load")
        if not self.machine.inside(STARTED):
            raise Failure(f"the machine ended by itself:\n{self.machine.log()}")
        after = between(self.random, 0.5, 8)
        time.sleep(patience(after))
        self.machine.kill()
        return f"QEMU killed after {after:.3f} s", self.report()

    def run(self):
        text = ""
        for number in range(1, self.arguments.kills + 2):
            name = f"soak.machine.{number - 1}"
            last = number > self.arguments.kills
            try:
                if last:
                    self.boot(True)
                    self.machine.process.wait(patience(180))
                    now, report = "", self.report()
                else:
                    now, report = self.kill_once()
                if not report.startswith("ok"):
                    raise Failure(f"{report}\n{self.machine.log()}")
            except (AssertionError, Failure, OSError, subprocess.SubprocessError) as error:
                self.failed(name, error)
                return
            if number > 1:
                self.outcome.result("ok", name, f"{text}; {report[3:].strip()}")
            text = now

    def failed(self, name, error):
        self.machine.end()
        place = keep(self.arguments.keep, self.arguments.seed, os.path.join(self.work, "nvdimm"),
            self.state, self.machine.out, self.machine.log_path)
        self.outcome.result("not ok", name, "", f"{error}\n"
            f"kept in {place}: the persistent memory (nvdimm, for --nvdimm of tests/vm/run), the\n"
            "journals and models that the machine was to compare it with (state), and what it said")

    def end(self):
        if self.machine:
            self.machine.end()


def run_machine(arguments, outcome):
    # On a disk: the machine has a /dev/shm of its own, and must see the journals.
    work = tempfile.mkdtemp(prefix="ddfs-soak.", dir=os.path.dirname(arguments.build))
    machines = Machines(arguments, outcome, work)
    try:
        machines.run()
    finally:
        machines.end()
        shutil.rmtree(work, ignore_errors=True)


# ---- inside -----------------------------------------------------------------------------------


class Inside:
    def __init__(self, arguments):
        self.arguments = arguments
        self.out = os.environ["DDFS_OUT"]
        self.first = not os.path.exists(os.path.join(arguments.inside, FREE))
        work = tempfile.mkdtemp(prefix="ddfs-soak.", dir="/dev/shm")
        self.target = Target(arguments.build, work, os.environ["DDFS_SOURCE"])
        self.load = Load(os.path.join(arguments.build, "tests/soak/soak_load"), self.target.where,
            self.out, os.path.join(work, "hold"), arguments.workers,
            random.Random(arguments.seed))
        if not self.first:
            shutil.copytree(arguments.inside, self.out, dirs_exist_ok=True,
                ignore=shutil.ignore_patterns(REPORT, STARTED))

    def put(self, name, text):
        with open(os.path.join(self.out, name + ".next"), "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(file.name, os.path.join(self.out, name))

    def mount(self):
        if self.first:
            self.target.mkfs()
        self.target.mount()
        if self.first:
            self.put(FREE, repr(space(self.target.where)))

    def compare(self):
        words, sums = self.load.check()
        if DAMAGE.search(self.target.log()):
            raise Failure(f"the daemon said:\n{self.target.log()}")
        return (f"{sums['steps']} steps, {sums['lacked']} found no room, cut short: "
            f"{' '.join(words)}")

    def empty(self):
        where = self.target.where
        self.load.give_back()
        for name in os.listdir(where):
            shutil.rmtree(os.path.join(where, name))
        with open(os.path.join(self.out, FREE), encoding="utf-8") as file:
            free = file.read()
        wait_for(lambda: repr(space(where)) == free, 20, "every block to be free again: "
                 f"{space(where)}, before {free} (blocks, available, inodes)")
        self.target.unmount()

    def run(self):
        self.mount()
        text = self.compare()
        if self.arguments.last:
            self.empty()
        self.put(REPORT, f"ok {text}\n")
        if self.arguments.last:
            return
        full = self.load.random.random() < 0.5
        if not full:
            self.load.give_back()
        self.load.start(full)
        self.put(STARTED, "")
        for process in self.load.processes:
            process.wait()
        raise Failure(f"the load ended by itself:\n"
                      f"{[process.stdout.read() for process in self.load.processes]}")


def run_inside(arguments):
    inside = Inside(arguments)
    try:
        inside.run()
    except (AssertionError, Failure, OSError, subprocess.SubprocessError) as error:
        inside.put(REPORT, f"{error}\n{inside.target.log()}\n")
        print(error, file=sys.stderr)
        return 1
    return 0
