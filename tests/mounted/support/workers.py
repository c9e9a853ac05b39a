# SPDX-License-Identifier: BSD-3-Clause
"""Processes that do what they are told, so that a case may have several at once.

    with Worker() as holder, Worker() as other:
        fd = holder.call(os.open, "f", os.O_RDWR)
        pin = holder.call(pin_range, fd)
        other.start(os.truncate, "f", 0)
        ...
        other.finish()

They are forked, begin with no descriptor of their parent but the standard ones, and are killed at
the end of the block. SIGINT interrupts what they wait for, and is nothing else to them.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import time

from pins import pin_stats
from syscalls import checked, libc
from target import patience, wait_for

PTRACE_CONT, PTRACE_SEIZE = 7, 0x4206
PTRACE_O_TRACEEXIT, PTRACE_EVENT_EXIT = 0x40, 6
CLONE_NEWPID = 0x20000000

libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]


def ignore(number, frame):
    """A handler that is there so that the call it interrupts fails with EINTR."""


def close_all_but(*keep):
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(name))


def serve(pipe):
    """Carry out what comes through the pipe, until it ends."""
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            os._exit(0)
        try:
            result = (True, function(*arguments))
        except Exception as error:  # raised again by whoever asked
            result = (False, error)
        pipe.send(result)


class Worker:
    def __init__(self):
        self.pipe, theirs = multiprocessing.Pipe()
        sys.stdout.flush()
        self.pid = self.fork()
        if self.pid == 0:
            try:
                signal.signal(signal.SIGINT, ignore)
                close_all_but(theirs.fileno())
                serve(theirs)
            finally:
                os._exit(1)
        theirs.close()
        self.status = None

    def fork(self):
        return os.fork()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    # ---- what it does -------------------------------------------------------------------

    def start(self, function, *arguments):
        """Have it call the function, which this process finds by name, and do not wait."""
        self.pipe.send((function, arguments))

    def is_done(self):
        return self.pipe.poll(0)

    def finish(self, seconds=20):
        """What the function that was started returns or raises."""
        if not self.pipe.poll(patience(seconds)):
            raise AssertionError(f"process {self.pid} is not done after {patience(seconds):.0f} s")
        good, value = self.pipe.recv()
        if not good:
            raise value
        return value

    def call(self, function, *arguments):
        self.start(function, *arguments)
        return self.finish()

    # ---- how it ends --------------------------------------------------------------------

    def kill(self, number=signal.SIGKILL):
        os.kill(self.pid, number)

    def wait(self, seconds=20):
        """Its status as os.waitstatus_to_exitcode gives it."""
        def ended():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return pid and (status,)

        if self.status is None:
            self.status = wait_for(ended, seconds, f"process {self.pid} to end")[0]
        return os.waitstatus_to_exitcode(self.status)

    def is_zombie_or_gone(self):
        return state_of(self.pid) in (None, "Z", "X")

    def exit(self):
        """Have it end by itself."""
        self.start(os._exit, 0)

    def end(self):
        """Kill it, unless it has ended, and wait until it is gone."""
        if self.status is None:
            self.kill()
            self.wait()
        self.pipe.close()


def state_of(pid):
    """R, S, D, Z, ... of a process; None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


class HeldWorker(Worker):
    """One that stops in the kernel as soon as it begins to exit, with all its files still open,
    until let_go()."""

    def __init__(self):
        super().__init__()
        self.held = True
        checked(libc.ptrace(PTRACE_SEIZE, self.pid, None, PTRACE_O_TRACEEXIT))

    def wait_held(self):
        def stopped():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return pid and (status,)

        status = wait_for(stopped, 20, f"process {self.pid} to stop in its exit")[0]
        if not os.WIFSTOPPED(status) or status >> 16 != PTRACE_EVENT_EXIT:
            raise AssertionError(f"process {self.pid}: status {status:#x}, not the exit stop")

    def let_go(self):
        self.held = False
        checked(libc.ptrace(PTRACE_CONT, self.pid, None, None))

    def end(self):
        if self.status is None and self.held:
            with contextlib.suppress(OSError):
                self.let_go()
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                self.kill()
            self.drain()
        super().end()

    def drain(self):
        """Past a stop in its exit, if it comes to one."""
        deadline = time.monotonic() + patience(20)
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid and not os.WIFSTOPPED(status):
                self.status = status
                return
            if pid:
                with contextlib.suppress(OSError):
                    libc.ptrace(PTRACE_CONT, self.pid, None, None)
            time.sleep(0.01)


class LingeringWorker(Worker):
    """One that is not wholly gone, with all its files closed already, until let_go().

    It is the first process of a pid namespace, which the kernel does not let go before all others
    in it are reaped; one of them is our child, and waits for us to do so."""

    def fork(self):
        ours = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        try:
            checked(libc.unshare(CLONE_NEWPID))
            pid = os.fork()
            if pid == 0:
                return 0
            self.anchor = os.fork()
            if self.anchor == 0:
                close_all_but()
                while True:
                    signal.pause()
            checked(libc.setns(ours, CLONE_NEWPID))
        finally:
            os.close(ours)
        return pid

    def wait_lingering(self):
        """Until its files are closed: it waits for the other process then, which it has killed."""
        wait_for(lambda: state_of(self.anchor) == "Z", 20, "the namespace to end")
        if self.is_zombie_or_gone():
            raise AssertionError(f"process {self.pid} is gone already")

    def let_go(self):
        if self.anchor:
            os.waitpid(self.anchor, 0)
        self.anchor = 0

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            if self.status is None:
                self.kill()
        self.let_go()
        super().end()


# ---- what waits --------------------------------------------------------------------------------


def wait_breaks(fd, count=1):
    """Until that many changes of the file (or mount) wait for pins."""
    wait_for(lambda: pin_stats(fd).breaks == count, 20,
        f"{count} changes to wait: {pin_stats(fd)}")


def wait_queued(fd, count=1):
    """Until that many pins of the file (or mount) are queued."""
    wait_for(lambda: pin_stats(fd).queued == count, 20, f"{count} pins to queue: {pin_stats(fd)}")


def wait_pins(fd, count=0):
    wait_for(lambda: pin_stats(fd).pins == count, 20, f"{count} pins: {pin_stats(fd)}")


def truncate_once(fd, size):
    """ftruncate(2) itself, which a signal may interrupt; os.ftruncate would begin again."""
    checked(libc.ftruncate(fd, ctypes.c_int64(size)))
