# SPDX-License-Identifier: BSD-3-Clause
"""The processes of a load, and what they say afterwards.

    load = Load(program, where, state, workers, random)
    load.start()
    ...                 # the daemon is killed
    load.wait()
    words, sums = load.check()

Beside the workers there are holders, SOAK_PINS for each: clients that keep files of theirs mapped,
and live on when the daemon dies.
"""

import collections
import contextlib

import os
import signal
import subprocess
import time

from outcome import Failure
from target import patience


PINS = 2  # as SOAK_PINS


def first_line(process):
    """No byte of what follows, which communicate() is to have."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(process.stdout.fileno(), 1)
        if not byte:
            break
        line += byte
    return line.decode(errors="replace")


def kernel_stack(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/stack", encoding="ascii", errors="replace") as file:
            return file.read()
    return "a place that is not to be had"


class Load:
    def __init__(self, program, where, state, sockets, workers, random):
        self.program = program
        self.sockets = sockets
        self.where = where
        self.state = state
        self.workers = [str(who) for who in range(workers)]
        self.random = random
        self.processes = []
        self.holders = {}  # by socket
        os.makedirs(state, exist_ok=True)
        os.makedirs(sockets, exist_ok=True)

    def start(self, full=False):
        """All of them have begun when it returns, or the filesystem was gone before. Full: behind
        one that takes all the room there is."""
        self.hold()
        if full:
            self.launch("fill", self.where, str(self.random.getrandbits(50)))
            self.wait_ready()
        for who in self.workers:
            self.launch("work", self.where, self.state, self.sockets, who, str(int(full)),
                str(self.random.getrandbits(60)))
        self.launch("share", self.where, str(int(full)), str(self.random.getrandbits(50)))
        self.wait_ready()

    def wait_ready(self):
        for process in self.processes:
            if process.said is None:
                line = first_line(process)
                process.said = "" if line == "ready\n" else line

    def popen(self, *arguments):
        return subprocess.Popen([self.program, *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")

    def launch(self, *arguments):
        process = self.popen(*arguments)
        process.said = None
        self.processes.append(process)

    def give_back(self):
        """What kept the device full, in calls that must work without a free block."""
        ballast = os.path.join(self.where, "ballast")
        with contextlib.suppress(FileNotFoundError):
            if self.random.random() < 0.5:
                os.truncate(ballast, os.stat(ballast).st_size // 2)
            os.unlink(ballast)

    # ---- holders ------------------------------------------------------------------------------

    def hold(self):
        """Holders in place of those that were killed."""
        for name in (f"{who}.{pin}" for who in self.workers for pin in range(PINS)):
            if name in self.holders:
                continue
            holder = self.popen("hold", os.path.join(self.sockets, name))
            self.holders[name] = holder
            line = first_line(holder)
            if line != "ready\n":
                raise Failure(f"holder {name}: {line}")

    def tell(self, name, what):
        subprocess.run([self.program, "tell", os.path.join(self.sockets, name), what],
            stdin=subprocess.DEVNULL, timeout=patience(60), check=True)

    def disturb(self):
        """Some holders let go, and some die."""
        self.check_holders()
        for name in sorted(self.holders):
            chance = self.random.random()
            if chance < 0.4:
                self.tell(name, "unpin")
            elif chance < 0.5:
                self.tell(name, "die")
                self.end_holder(name)

    def leave(self):
        """Holders let go of what lies in a mount that lives."""
        for name in self.holders:
            self.tell(name, "leave")

    def check_holders(self):
        for name, holder in self.holders.items():
            if holder.poll() is not None:
                raise Failure(f"holder {name}: status {holder.returncode}: {holder.stdout.read()}")

    def end_holder(self, name):
        holder = self.holders.pop(name)
        holder.kill()
        holder.wait()
        holder.stdout.close()

    def end_holders(self):
        for name in list(self.holders):
            self.end_holder(name)

    # ---- the others ---------------------------------------------------------------------------

    def stop(self):
        """The filesystem is to stay: end after the step that each is in. They are told again and
        again: a signal just before a step begins to wait for a holder does not interrupt that."""
        end = time.monotonic() + patience(30)
        while any(process.poll() is None for process in self.processes) and time.monotonic() < end:
            for process in self.processes:
                process.send_signal(signal.SIGTERM)
            time.sleep(0.01)

    def wait(self):
        """Each ends by itself, since the filesystem is gone or it was told to."""
        said, end = [], time.monotonic() + patience(30)
        for process in self.processes:
            try:
                text = process.said + process.communicate(
                    timeout=max(0.1, end - time.monotonic()))[0]
            except subprocess.TimeoutExpired:
                text = f"it did not end, and is in\n{kernel_stack(process.pid)}"
                process.kill()
                process.communicate()
            if process.returncode != 0:
                said.append(f"{' '.join(process.args[1:])}: status {process.returncode}: {text}")
        self.processes = []
        if said:
            raise Failure("a call failed that must not:\n" + "\n".join(said))

    def kill(self):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdout.close()
        self.processes = []
        self.end_holders()

    def check(self):
        """What became of the step that each worker was in; and sums: how many were acknowledged,
        how many of these found no room, how many pins are held, how many of the steps that were
        cut short waited for one."""
        words, sums, wrong = [], collections.Counter(), []
        self.check_holders()
        for who in self.workers:
            text = self.judge("check", self.where, self.state, self.sockets, who)
            word, *numbers = text.split("\n")[0].split() or [""]
            if word not in ("none", "before", "after", "between"):
                wrong.append(f"worker {who}:\n{text}")
                continue
            words.append(word)
            for number in numbers:
                name, value = number.split("=")
                sums[name] += int(value)
        for what in ("check-shared", "check-fill"):
            text = self.judge(what, self.where)
            if text:
                wrong.append(text)
        if wrong:
            raise Failure("\n".join(wrong))
        return words, sums

    def judge(self, *arguments):
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True,
            errors="replace", timeout=patience(60), check=False, stdin=subprocess.DEVNULL)
        if done.returncode not in (0, 1):
            raise Failure(f"{' '.join(arguments)}: status {done.returncode}: {done.stderr}")
        return done.stdout if done.stdout else done.stderr if done.returncode else ""
