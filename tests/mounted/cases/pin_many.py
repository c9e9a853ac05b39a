# SPDX-License-Identifier: BSD-3-Clause
# needs: devdaxfs
# timeout: 400
# Ten thousand truncates wait at once: no thread of the daemon waits with them, and everything else
# goes on.

import errno
import os
import resource
import signal
import threading

from check import check, error_of, main, opened, same, scale, write_file
from pins import FAULT, NOWAIT, READ, WRITE, make_dax, pin_range, pin_stats, unit_of, unpin
from target import daemons_below, wait_for
from workers import Worker, wait_pins

UNIT = unit_of()
ROOT = os.getcwd()
PER_PROCESS = 500


def daemon_pid():
    program = os.path.join(os.environ["DDFS_BUILD"], "src/daemon/devdaxfs")
    found = daemons_below(os.environ["DDFS_WORK"], program)
    same(len(found), 1, "daemons")
    return found[0]


def status_of(pid, word):
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(word + ":"):
                return int(line.split()[1])
    raise AssertionError(f"no {word} in the status of {pid}")


def how_many():
    """As many files as asked for and as there is room for, with one unit each."""
    stat = os.statvfs(".")
    room = stat.f_bavail * stat.f_frsize // UNIT * 3 // 4
    count = min(scale(10000, 100), room) // 10 * 10
    check(count >= 20, f"room for {count} files only")
    return count


# ---- what the processes do --------------------------------------------------------------------

PINNED = []  # (descriptor, pin) of a holder


def raise_limits():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    threading.stack_size(64 << 10)


def pin_files(first, end):
    raise_limits()
    for number in range(first, end):
        fd = os.open(f"{number}", os.O_RDWR)
        PINNED.append((fd, pin_range(fd, 0, 0, READ | WRITE).id))


def unpin_all():
    while PINNED:
        fd, pin = PINNED.pop()
        unpin(fd, pin)


RESULTS = {}
THREADS = []


def truncate_number(number):
    RESULTS[number] = error_of(os.truncate, f"{number}", 0)


def start_truncates(first, end):
    """A thread for each, for each is a system call that waits."""
    raise_limits()
    for number in range(first, end):
        THREADS.append(threading.Thread(target=truncate_number, args=(number,)))
        THREADS[-1].start()


def join_truncates():
    for thread in THREADS:
        thread.join()
    return list(RESULTS.values())


def pins_come_and_go(path, rounds):
    with opened(path) as fd:
        for _ in range(rounds):
            unpin(fd, pin_range(fd, 0, UNIT, READ | WRITE, NOWAIT).id)


def ordinary_work(rounds):
    """What other users of the mount do meanwhile."""
    for number in range(rounds):
        write_file(f"w{number}", b"data" * 3000)
        with opened(f"w{number}") as fd:
            same(os.pread(fd, 4, 4096), b"data")
            os.ftruncate(fd, 100)
            os.fsync(fd)
        os.rename(f"w{number}", f"v{number}")
        os.unlink(f"v{number}")


def start_all(workers, function, count):
    """Divide the numbers [0, count) among the workers."""
    for i, worker in enumerate(workers):
        worker.start(function, i * count // len(workers), (i + 1) * count // len(workers))


def finish_all(workers):
    return [worker.finish(200) for worker in workers]


# ---- the test ---------------------------------------------------------------------------------


def end_holders(holders):
    """A third lets go by itself, a third exits, a third is killed."""
    for i, holder in enumerate(holders):
        if i % 3 == 0:
            holder.start(unpin_all)
        elif i % 3 == 1:
            holder.exit()
        else:
            holder.kill()


def test_truncates():
    count = how_many()
    make_dax()
    for number in range(count):
        write_file(f"{number}", b"x" * 100)
    write_file("other", b"x" * UNIT)
    daemon = daemon_pid()
    threads = status_of(daemon, "Threads")
    holders = [Worker() for _ in range(9)]
    waiters = [Worker() for _ in range((count + PER_PROCESS - 1) // PER_PROCESS)]
    try:
        with opened(ROOT, os.O_RDONLY) as root:
            start_all(holders, pin_files, count)
            finish_all(holders)
            start_all(waiters, start_truncates, count)
            finish_all(waiters)
            wait_for(lambda: pin_stats(root).breaks == count, 120,
                f"{count} truncates to wait: {pin_stats(root)}")
            meanwhile(root, count)
            same(status_of(daemon, "Threads"), threads, "threads of the daemon")
            end_holders(holders)
            results = [result for worker in start_joins(waiters) for result in worker]
            same(results, [0] * count, "results")
            wait_pins(root)
            same(tuple(pin_stats(root)), (0, 0, 0, 0, 0))
        same(status_of(daemon, "Threads"), threads, "threads of the daemon")
        check(all(os.stat(f"{number}").st_size == 0 for number in range(count)), "a size")
    finally:
        for worker in holders + waiters:
            worker.kill()
        for worker in holders + waiters:
            worker.end()


def start_joins(waiters):
    for waiter in waiters:
        waiter.start(join_truncates)
    return finish_all(waiters)


def meanwhile(root, count):
    """Pins that come and go elsewhere, and other work, while all of them wait."""
    stats = pin_stats(root)
    same((stats.pins, stats.recalled, stats.breaks), (count, count, count))
    with Worker() as pinner, Worker() as worker:
        pinner.start(pins_come_and_go, os.path.abspath("other"), scale(5000, 200))
        worker.start(ordinary_work, scale(500, 50))
        pinner.finish(120)
        worker.finish(120)
    for number in range(0, count, max(1, count // 50)):
        with opened(f"{number}") as fd:
            same(error_of(pin_range, fd, 0, 0, READ, NOWAIT), errno.EAGAIN)
    same(pin_stats(root).breaks, count)


def test_interrupted():
    """All of them at once are killed: nothing of them stays."""
    count = min(how_many(), scale(2000, 100))
    make_dax()
    for number in range(count):
        write_file(f"{number}", b"x" * 100)
    waiters = [Worker() for _ in range(max(1, count // PER_PROCESS))]
    try:
        with opened(ROOT, os.O_RDONLY) as root, Worker() as holder:
            holder.call(pin_files, 0, count)
            start_all(waiters, start_truncates, count)
            finish_all(waiters)
            wait_for(lambda: pin_stats(root).breaks == count, 60,
                f"{count} truncates to wait: {pin_stats(root)}")
            for waiter in waiters:
                waiter.kill(signal.SIGKILL)
            for waiter in waiters:
                waiter.wait(60)
            wait_for(lambda: pin_stats(root)[2:] == (0, 0, 0), 20, f"none: {pin_stats(root)}")
            same(pin_stats(root).pins, count)
        check(all(os.stat(f"{number}").st_size == 100 for number in range(count)), "a size")
    finally:
        for waiter in waiters:
            waiter.end()


def test_pins():
    """A process may hold as many pins as the table on media takes; each ends."""
    make_dax()
    with opened("f", os.O_RDWR | os.O_CREAT) as fd, opened("f") as other:
        pin_range(fd, 0, 100, READ | WRITE, FAULT | 2)
        pins, limit = [], scale(20000, 500)
        while len(pins) < limit:
            try:
                pins.append(pin_range(fd, 0, 1, READ).id)
            except OSError as error:
                same(error.errno, errno.ENOLCK, "how it ends")
                break
        check(len(pins) >= min(limit, 1000), f"{len(pins)} pins only")
        same(pin_stats(other).pins, len(pins) + 1)
        for pin in pins[::2]:
            unpin(fd, pin)
        pin_range(fd, 0, 1, READ)
        same(pin_stats(other).pins, len(pins) - len(pins[::2]) + 2)
    with opened("f") as fd:
        wait_pins(fd)


main()
