# SPDX-License-Identifier: BSD-3-Clause
# needs: devdaxfs
# timeout: 120
# A pin ends with the open file that it was made through; if its holder is dying, not before that is
# wholly gone.

import array
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from check import check, main, opened, same, scale
from pins import LINGERING, list_pins, make_dax, pin_range, pin_stats, unit_of, unpin, write_units
from syscalls import checked, libc
from workers import HeldWorker, LingeringWorker, Worker, state_of, wait_breaks, wait_pins

CLONE_FILES = 0x400

UNIT = unit_of()


def hold(worker, path="f", flags=os.O_RDWR):
    """Have it open and pin the file; the descriptor."""
    fd = worker.call(os.open, path, flags)
    worker.call(pin_range, fd, 0, 0, 1)
    return fd


def prepare():
    make_dax()
    write_units("f", 2)


def ends_by(end, kind=Worker):
    """A truncate waits for the worker's pin, and returns when end(worker, fd) was called."""
    prepare()
    with kind() as holder, Worker() as other, opened("f") as look:
        fd = hold(holder)
        other.start(os.truncate, "f", 0)
        wait_breaks(look)
        check(not other.is_done(), "it did not wait")
        end(holder, fd)
        other.finish()
        same(os.fstat(look).st_size, 0)
        same(tuple(pin_stats(look)), (0, 0, 0, 0, 0))


def test_close():
    ends_by(lambda holder, fd: holder.call(os.close, fd))


def test_exit():
    ends_by(lambda holder, fd: holder.exit())


def test_killed():
    ends_by(lambda holder, fd: holder.kill())


def test_killed_by_others():
    for number in (signal.SIGTERM, signal.SIGSEGV):
        ends_by(lambda holder, fd, number=number: holder.kill(number))


def test_exec():
    """exec closes what is marked for that, and the process lives on."""
    ends_by(lambda holder, fd: holder.start(os.execv, sys.executable,
        [sys.executable, "-c", "import time; time.sleep(100)"]))


def test_exec_keeps():
    """A descriptor that is passed on through exec keeps its pins."""
    prepare()
    with Worker() as holder, Worker() as other, opened("f") as look:
        fd = hold(holder)
        holder.call(os.set_inheritable, fd, True)
        holder.start(os.execv, "/bin/sleep", ["sleep", "100"])
        other.start(os.truncate, "f", 0)
        wait_breaks(look)
        time.sleep(0.2)
        check(not other.is_done(), "it did not wait for the program")
        same(list_pins(look)[0].pid, holder.pid)
        holder.kill()
        other.finish()


def test_last_descriptor():
    prepare()
    with Worker() as holder, Worker() as other, opened("f") as look:
        fd = hold(holder)
        copy = holder.call(os.dup, fd)
        other.start(os.truncate, "f", 0)
        wait_breaks(look)
        holder.call(os.close, fd)
        time.sleep(0.1)
        same(pin_stats(look).pins, 1, "pins while a copy is open")
        check(not other.is_done(), "the first close ended it")
        holder.call(os.close, copy)
        other.finish()


def test_other_open_files():
    """Closing another open file of the same process changes nothing."""
    prepare()
    with Worker() as holder, opened("f") as look:
        fd = hold(holder)
        for _ in range(3):
            holder.call(os.close, holder.call(os.open, "f", os.O_RDWR))
        same(pin_stats(look).pins, 1)
        holder.call(os.close, fd)
        wait_pins(look)


def fork_keeper(fd):
    """A child that keeps the descriptor until it is killed; its pid."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pause()
        os._exit(0)
    return pid


def test_fork():
    """A child has the open file too: the parent's end is not the pin's."""
    prepare()
    with Worker() as holder, Worker() as other, opened("f") as look:
        fd = hold(holder)
        child = holder.call(fork_keeper, fd)
        try:
            other.start(os.truncate, "f", 0)
            wait_breaks(look)
            holder.kill()
            holder.wait()
            time.sleep(0.2)
            check(not other.is_done() and pin_stats(look).pins == 1, "the parent's end ended it")
            same(list_pins(look)[0].pid, holder.pid, "the holder")
        finally:
            os.kill(child, signal.SIGKILL)
        other.finish()


def send_descriptor(path, fd):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))], 0, path)


def receive_descriptor(number):
    with socket.socket(fileno=os.dup(number)) as s:
        _, found, _, _ = s.recvmsg(1, socket.CMSG_LEN(4))
    return array.array("i", found[0][2])[0]


def open_socket(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        return s.detach()


def test_passed_on():
    """Neither is it while the descriptor is with another process."""
    prepare()
    with Worker() as holder, Worker() as keeper, Worker() as other, opened("f") as look:
        fd = hold(holder)
        number = keeper.call(open_socket, f"\0ddfs-{os.getpid()}")
        holder.call(send_descriptor, f"\0ddfs-{os.getpid()}", fd)
        copy = keeper.call(receive_descriptor, number)
        other.start(os.truncate, "f", 0)
        wait_breaks(look)
        holder.exit()
        holder.wait()
        time.sleep(0.1)
        check(not other.is_done(), "the holder's end ended it")
        keeper.call(os.close, copy)
        other.finish()


def test_many_that_die():
    """Holders that are killed while the truncate comes: none is forgotten."""
    prepare()
    for _ in range(scale(50, 5)):
        with Worker() as a, Worker() as b, Worker() as other, opened("f") as look:
            os.ftruncate(look, 2 * UNIT)
            os.pwrite(look, b"A" * 2 * UNIT, 0)
            hold(a)
            hold(b)
            other.start(os.truncate, "f", 0)
            a.kill()
            b.exit()
            other.finish()
            wait_pins(look)


# ---- slow to die ------------------------------------------------------------------------------


def held_in_exit(end):
    """Its files are still open while it stands at the beginning of its exit."""
    prepare()
    with HeldWorker() as holder, Worker() as other, opened("f") as look:
        hold(holder)
        end(holder)
        holder.wait_held()
        other.start(os.truncate, "f", 0)
        wait_breaks(look)
        time.sleep(0.2)
        check(not other.is_done(), "it did not wait for the process")
        holder.let_go()
        other.finish()
        holder.wait()


def test_held_in_exit():
    held_in_exit(lambda holder: holder.exit())


def test_held_in_sigkill():
    held_in_exit(lambda holder: holder.kill())


def lingers(end):
    """Its files are closed, but it is not gone: what it gave to a device may still be in use."""
    prepare()
    with LingeringWorker() as holder, Worker() as other, opened("f") as look:
        hold(holder)
        same(list_pins(look)[0].pid, holder.pid, "the holder")
        other.start(os.truncate, "f", 0)
        wait_breaks(look)
        end(holder)
        holder.wait_lingering()
        time.sleep(0.3)
        check(not other.is_done(), "it did not wait for the process")
        found = list_pins(look)
        same([(pin.pid, pin.flags & LINGERING) for pin in found], [(holder.pid, LINGERING)])
        holder.let_go()
        other.finish()
        same(pin_stats(look).pins, 0)


def test_lingers_behind_exit():
    lingers(lambda holder: holder.exit())


def test_lingers_behind_sigkill():
    lingers(lambda holder: holder.kill())


def test_lingers_with_nobody_waiting():
    prepare()
    with LingeringWorker() as holder, opened("f") as look:
        hold(holder)
        holder.kill()
        holder.wait_lingering()
        time.sleep(0.2)
        same(pin_stats(look).pins, 1)
        holder.let_go()
        wait_pins(look)


def test_close_is_not_dying():
    """A process that lives ends its pins by close at once, also if it dies a moment later."""
    prepare()
    with LingeringWorker() as holder, opened("f") as look:
        fd = hold(holder)
        holder.call(os.close, fd)
        wait_pins(look)
        fd = hold(holder)
        pin = holder.call(pin_range, fd, 0, UNIT)
        holder.call(unpin, fd, pin.id)
        same(pin_stats(look).pins, 1)
        holder.kill()
        holder.wait_lingering()
        same(pin_stats(look).pins, 1)


def pin_in_thread(path, ready, proceed):
    """With a descriptor table of its own, which is closed when the thread ends."""
    checked(libc.unshare(CLONE_FILES))
    pin_range(os.open(path, os.O_RDWR))
    ready.set()
    proceed.wait()


def start_thread(path):
    """A thread that has the pin; the process's own table has not even the file."""
    ready, proceed = threading.Event(), threading.Event()
    thread = threading.Thread(target=pin_in_thread, args=(path, ready, proceed), daemon=True)
    thread.start()
    ready.wait()
    STARTED.append((thread, proceed))


STARTED = []


def end_thread():
    thread, proceed = STARTED.pop()
    proceed.set()
    thread.join()


def test_thread_that_ends():
    """A thread's end is not the process's: its pins end at once."""
    prepare()
    with Worker() as holder, opened("f") as look:
        holder.call(start_thread, "f")
        same([pin.pid for pin in list_pins(look)], [holder.pid], "the holder")
        holder.call(end_thread)
        wait_pins(look)
        check(state_of(holder.pid) not in (None, "Z"), "the process ended")


def test_thread_of_a_process_that_is_killed():
    """The files are closed by the thread that had them; another one is still there."""
    prepare()
    with HeldWorker() as holder, Worker() as other, opened("f") as look:
        holder.call(start_thread, "f")
        other.start(os.truncate, "f", 0)
        wait_breaks(look)
        holder.kill()
        holder.wait_held()
        time.sleep(0.3)
        check(not other.is_done(), "it did not wait for the process")
        holder.let_go()
        other.finish()


def test_programs():
    """From the outside: dd holds nothing, and truncate(1) works when the holder has gone."""
    prepare()
    with Worker() as holder, opened("f") as look:
        hold(holder)
        process = subprocess.Popen(["truncate", "-s", "0", "f"])
        try:
            wait_breaks(look)
            same(process.poll(), None)
            holder.exit()
            same(process.wait(20), 0)
        finally:
            process.kill()
            process.wait()
        same(os.stat("f").st_size, 0)


main()
