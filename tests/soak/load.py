# SPDX-License-Identifier: BSD-3-Clause
"""The processes of a load, and what they say afterwards.

    load = Load(program, where, state, workers, random)
    load.start()
    ...                 # the daemon is killed
    load.wait()
    words, steps = load.check()
"""

import os
import signal
import subprocess
import time

from outcome import Failure
from target import patience


def first_line(process):
    """No byte of what follows, which communicate() is to have."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(process.stdout.fileno(), 1)
        if not byte:
            break
        line += byte
    return line.decode(errors="replace")


class Load:
    def __init__(self, program, where, state, workers, random):
        self.program = program
        self.where = where
        self.state = state
        self.workers = [str(who) for who in range(workers)]
        self.random = random
        self.processes = []
        os.makedirs(state, exist_ok=True)

    def start(self):
        """All of them have begun when it returns, or the filesystem was gone before."""
        for who in self.workers:
            self.launch("work", self.where, self.state, who, str(self.random.getrandbits(60)))
        self.launch("share", self.where, str(self.random.getrandbits(50)))
        for process in self.processes:
            line = first_line(process)
            process.said = "" if line == "ready\n" else line

    def launch(self, *arguments):
        self.processes.append(subprocess.Popen(
            [self.program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace"))

    def stop(self):
        """The filesystem is to stay: end after the step that each is in."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)

    def wait(self):
        """Each ends by itself, since the filesystem is gone or it was told to."""
        said, end = [], time.monotonic() + patience(30)
        for process in self.processes:
            try:
                text = process.said + process.communicate(
                    timeout=max(0.1, end - time.monotonic()))[0]
            except subprocess.TimeoutExpired:
                text = "it did not end"
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

    def check(self):
        """What became of the step that each worker was in, and how many were acknowledged."""
        words, steps, wrong = [], 0, []
        for who in self.workers:
            text = self.judge("check", self.where, self.state, who)
            word, number = (text.split("\n")[0].split() + ["", ""])[:2]
            if word not in ("none", "before", "after", "between"):
                wrong.append(f"worker {who}:\n{text}")
                continue
            words.append(word)
            steps += int(number)
        text = self.judge("check-shared", self.where)
        if text:
            wrong.append(text)
        if wrong:
            raise Failure("\n".join(wrong))
        return words, steps

    def judge(self, *arguments):
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True,
            errors="replace", timeout=patience(60), check=False, stdin=subprocess.DEVNULL)
        if done.returncode not in (0, 1):
            raise Failure(f"{' '.join(arguments)}: status {done.returncode}: {done.stderr}")
        return done.stdout if done.stdout else done.stderr if done.returncode else ""
