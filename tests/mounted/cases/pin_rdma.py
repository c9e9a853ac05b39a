# SPDX-License-Identifier: BSD-3-Clause
# needs: devdaxfs
# timeout: 120
# A file's pages given to a NIC: registered through libdevdaxfs, written to by the queue pair of
# another process, and not taken away while the region lives.

import contextlib
import errno
import os
import signal
import sys
import time

from check import Skip, check, main, opened, read_file, same
from pins import LINGERING, PAGE, list_pins, make_dax, pin_stats, unit_of
from rdma import Agent, Failure, device, run
from target import wait_for
from workers import Worker, wait_breaks, wait_pins

LENGTH = 4 << 20
UNIT = unit_of()


def prepare():
    make_dax()
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.posix_fallocate(fd, 0, LENGTH)


def hold(holder, peer):
    """The holder's region is the file, and the peer can write to it."""
    holder.connect(peer)
    holder.ask("map", os.path.abspath("f"), LENGTH)
    holder.register()


def bytes_at(fd, offset, text):
    return os.pread(fd, len(text), offset).decode(errors="replace")


def lands(peer, holder, fd, offset, text):
    peer.write(holder, offset, text)
    same(bytes_at(fd, offset, text), text, "what read(2) finds")


def fails(status, peer, holder):
    """The peer's queue pair is of no use afterwards."""
    try:
        peer.write(holder, 0, "too-late")
    except Failure as failure:
        check(failure.number in status, f"the write failed otherwise: {failure}")
        return
    raise AssertionError("a region that is gone was written to")


REMOTE_ACCESS, RETRIES_EXCEEDED = 10, 12  # enum ibv_wc_status


def test_write():
    """RDMA WRITE to the first byte, across a page, an allocation unit, and to the last byte."""
    prepare()
    with Agent() as holder, Agent() as peer, opened("f") as look:
        hold(holder, peer)
        offsets = {0, PAGE - 3, UNIT - 3, LENGTH - 6}
        for offset in offsets:
            lands(peer, holder, look, offset, "landed")
        same(sum(map(bool, read_file("f"))), 6 * len(offsets), "bytes that are not zero")
        holder.ask("deregister")
        fails([REMOTE_ACCESS], peer, holder)
        holder.ask("unmap")
        wait_pins(look)


def test_truncate_waits():
    prepare()
    with Agent() as holder, Agent() as peer, Worker() as other, opened("f") as look:
        hold(holder, peer)
        check(not holder.is_recalled(), "it was recalled before anything waited")
        other.start(os.truncate, "f", 0)
        wait_breaks(look)
        wait_for(holder.is_recalled, 20, "the recall")
        lands(peer, holder, look, UNIT, "still-the-file's")
        holder.ask("deregister")
        check(not other.is_done(), "it did not wait for the mapping")
        same(os.fstat(look).st_size, LENGTH)
        holder.ask("unmap")
        other.finish()
        same(os.fstat(look).st_size, 0)
        fails([REMOTE_ACCESS], peer, holder)


def test_unlink():
    """The pages of a file without a name are nobody else's either."""
    prepare()
    with Agent() as holder, Agent() as peer:
        with opened("f") as look:
            free = os.statvfs(".").f_bfree
            hold(holder, peer)
            os.unlink("f")
            lands(peer, holder, look, 0, "nameless")
        peer.write(holder, 0, "unheard")
        same(os.statvfs(".").f_bfree, free, "free blocks while it is registered")
        holder.ask("deregister")
        holder.ask("unmap")
        wait_for(lambda: os.statvfs(".").f_bfree >= free + LENGTH // 4096, 20, "the blocks")


# ---- the end of a process -----------------------------------------------------------------------


@contextlib.contextmanager
def ext4(image, where):
    run("truncate", "-s", "16M", image)
    run("mkfs.ext4", "-q", image)
    os.mkdir(where)
    run("mount", "-o", "loop", image, where)
    try:
        yield where
    finally:
        run("umount", where)
        os.rmdir(where)
        os.unlink(image)


@contextlib.contextmanager
def frozen(where):
    """Who closes the last descriptor of a nameless file there stays in the kernel meanwhile."""
    run("fsfreeze", "-f", where)
    try:
        yield
    finally:
        run("fsfreeze", "-u", where)


def scratch(name):
    """A path outside of the mount, in the directory that the suite removes."""
    return os.path.join(os.environ["DDFS_WORK"], name)


def test_killed():
    prepare()
    with Agent() as peer, Worker() as other, opened("f") as look, Agent() as holder:
        hold(holder, peer)
        other.start(os.truncate, "f", 0)
        wait_breaks(look)
        os.kill(holder.pid, signal.SIGKILL)
        other.finish()
        same(holder.process.poll(), -signal.SIGKILL, "the holder when the truncate is done")
        fails([RETRIES_EXCEEDED], peer, holder)


def test_killed_slowly():
    """A process that is killed closes the file first and the NIC last (files are closed from the
    last opened to the first). In between it is held: the file is released, the region is alive."""
    prepare()
    with ext4(scratch("image.ext4"), scratch("ext4")) as where, Agent() as peer, \
            Worker() as other, opened("f") as look, Agent() as holder:
        holder.ask("hold", f"{where}/nameless")
        hold(holder, peer)
        other.start(os.truncate, "f", 0)
        wait_breaks(look)
        with frozen(where):
            os.kill(holder.pid, signal.SIGKILL)
            wait_for(lambda: [pin.flags & LINGERING for pin in list_pins(look)] == [LINGERING], 20,
                     "the file to be released")
            time.sleep(0.3)
            check(not other.is_done(), "the truncate did not wait for the region")
            lands(peer, holder, look, UNIT, "from-the-grave")
        other.finish()
        fails([RETRIES_EXCEEDED], peer, holder)
        same(os.fstat(look).st_size, 0)


def test_child_keeps_the_region():
    """A forked child has the NIC's descriptor too, and the region with it, when the parent dies."""
    prepare()
    with Agent() as peer, Worker() as other, opened("f") as look, Agent() as holder:
        hold(holder, peer)
        child = int(holder.ask("fork")[0])
        try:
            other.start(os.truncate, "f", 0)
            wait_breaks(look)
            os.kill(holder.pid, signal.SIGKILL)
            holder.process.wait()
            time.sleep(0.3)
            if other.is_done():
                peer.write(holder, UNIT, "by-the-child")
                raise AssertionError("written to pages that the file no longer has")
            lands(peer, holder, look, UNIT, "by-the-child")
        finally:
            os.kill(child, signal.SIGKILL)
        other.finish()
        fails([RETRIES_EXCEEDED], peer, holder)


# ---- elsewhere ----------------------------------------------------------------------------------


def test_ext4_refuses():
    """What the same program gets of a file on ext4 -o dax."""
    source = os.environ.get("DDFS_FSDAX")
    if not source:
        raise Skip("no block device with DAX (tests/vm/run --fsdax)")
    where = scratch("ext4dax")
    os.mkdir(where)
    run("mkfs.ext4", "-q", "-F", "-b", "4096", source)
    run("mount", "-o", "dax", source, where)
    try:
        with opened(f"{where}/f", os.O_RDWR | os.O_CREAT) as fd:
            os.posix_fallocate(fd, 0, LENGTH)
        with Agent() as agent:
            agent.ask("map-plain", f"{where}/f", LENGTH)
            try:
                agent.register()
            except Failure as failure:
                same(failure.number, -errno.EOPNOTSUPP)
            else:
                raise AssertionError("it was registered")
    finally:
        run("umount", where)


try:
    with device():
        main()
except Skip as reason:
    print(reason)
    sys.exit(77)
