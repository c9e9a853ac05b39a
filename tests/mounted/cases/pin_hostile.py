# SPDX-License-Identifier: BSD-3-Clause
# needs: devdaxfs
# timeout: 200
# Pin ioctls with whatever a caller may make up: an errno, and nothing else.

import ctypes
import errno
import fcntl
import mmap
import os
import random
import struct

import pins
from check import as_user, check, error_of, expect, main, opened, same, scale, write_file
from pins import FAULT, GROW, NOWAIT, PAGE, READ, WHOLE_UNITS, WRITE, layout_once, list_pins
from pins import make_dax, pin_extents_once, pin_range, pin_stats, sync_range, unit_of, unpin
from pins import write_units
from workers import wait_pins
from syscalls import FS_IMMUTABLE_FL, checked, get_flags, libc, set_flags

libc.ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

UNIT = unit_of()
TOP = 1 << 64
NOT_A_FILE = (errno.ENOTTY, errno.EISDIR, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)


def prepare(units=2):
    make_dax()
    write_units("f", units)


def nothing_is_left(fd):
    """Once what was closed is released, which close(2) does not wait for."""
    wait_pins(fd)
    same(tuple(pin_stats(fd)), (0, 0, 0, 0, 0))


# ---- every field ------------------------------------------------------------------------------


def test_undefined_flags():
    prepare()
    with opened("f") as fd:
        for bit in range(5, 32):
            expect(errno.EINVAL, pin_range, fd, 0, 0, READ, 1 << bit)
            expect(errno.EINVAL, pin_range, fd, 0, 0, READ, FAULT | 1 << bit)
        for bit in range(32):
            if 1 << bit != FAULT:
                expect(errno.EINVAL, layout_once, fd, 0, 0, 1 << bit)
        nothing_is_left(fd)


def test_modes():
    prepare()
    with opened("f") as fd:
        expect(errno.EINVAL, pin_range, fd, 0, 0, 0)
        for bit in range(2, 32):
            expect(errno.EINVAL, pin_range, fd, 0, 0, READ | 1 << bit)
        for mode in (READ, WRITE, READ | WRITE):
            unpin(fd, pin_range(fd, 0, 0, mode).id)
        nothing_is_left(fd)


def test_grow_without_fault():
    prepare()
    with opened("f") as fd:
        expect(errno.EINVAL, pin_range, fd, 0, 4 * UNIT, READ | WRITE, GROW)
        same(os.fstat(fd).st_size, 2 * UNIT)


def test_ranges():
    """Ends that are not there, or behind all numbers."""
    prepare()
    with opened("f") as fd:
        for off, length in ((0, TOP - 1), (1, TOP - 1), (TOP - 1, 1), (TOP - 1, TOP - 1),
                            (TOP - PAGE, PAGE), (PAGE, TOP - PAGE), (1 << 63, 0), (1 << 63, 1),
                            ((1 << 63) - 1, 1), ((1 << 63) - 1, (1 << 63) - 1), (TOP - 1, 0),
                            (UNIT, TOP - UNIT), (2 * UNIT, 1), (1 << 44, 1), (1 << 44, 0)):
            for flags in (0, WHOLE_UNITS, FAULT, FAULT | WHOLE_UNITS):
                if 0 < off + length < 1 << 63 and off < 2 * UNIT:
                    continue
                expect((errno.EINVAL, errno.ENXIO, errno.EFBIG), pin_range, fd, off, length,
                    READ | WRITE, flags)
            for call in (layout_once, sync_range):
                error = error_of(call, fd, off, length)
                check(error in (0, errno.EINVAL, errno.ENXIO, errno.EFBIG), f"{call}: {error}")
        nothing_is_left(fd)
        same(os.fstat(fd).st_size, 2 * UNIT)


def test_growing_too_far():
    prepare()
    with opened("f") as fd:
        blocks = os.fstat(fd).st_blocks
        for off, length in ((0, 1 << 62), ((1 << 63) - PAGE, PAGE - 1), (1 << 44, PAGE),
                            (1 << 43, 1 << 42), (TOP - PAGE, PAGE), (0, 1 << 42)):
            expect((errno.EINVAL, errno.EFBIG, errno.ENOSPC, errno.ENXIO), pin_range, fd, off,
                length, READ | WRITE, FAULT | GROW)
            same((os.fstat(fd).st_size, os.fstat(fd).st_blocks), (2 * UNIT, blocks))
        nothing_is_left(fd)


def test_epochs():
    prepare()
    with opened("f") as fd:
        epoch = pins.device_info(fd).epoch
        unpin(fd, pin_range(fd, 0, 0, READ, 0, epoch).id)
        for wrong in {epoch + 1, epoch - 1, (1 << 32) - 1} - {0}:
            expect(errno.ESTALE, pin_range, fd, 0, 0, READ, 0, wrong)
        nothing_is_left(fd)


def test_ids():
    """Pins are the open file's: no other may end or read them, nor guess."""
    prepare()
    with opened("f") as fd, opened("f") as other:
        mine = pin_range(fd).id
        theirs = pin_range(other).id
        for wrong in (0, theirs, mine + theirs + 1, mine - 1, TOP - 1, 1 << 63):
            if wrong != mine:
                expect(errno.ENOENT, unpin, fd, wrong)
                expect(errno.ENOENT, pin_extents_once, fd, wrong, 0)
        same(pin_stats(fd).pins, 2)
        unpin(fd, mine)
        expect(errno.ENOENT, unpin, fd, mine)
        expect(errno.ENOENT, pin_extents_once, fd, mine, 0)
        same([pin.id for pin in list_pins(fd)], [theirs])
        same(pins.pins_once(fd, TOP - 1), [])


def test_padding():
    """Fields that are output are not looked at; those that must be zero are."""
    prepare()
    with opened("f") as fd:
        data = bytearray(pins.pin_bytes(0, 0, READ))
        struct.pack_into("=IQ", data, 28, 0xffffffff, TOP - 1)
        data[pins.PIN.size:] = b"\xff" * (len(data) - pins.PIN.size)
        fcntl.ioctl(fd, pins.IOC_PIN, data, True)
        unpin(fd, struct.unpack_from("=Q", data, 32)[0])
        nothing_is_left(fd)


# ---- what it is called on ---------------------------------------------------------------------


def all_calls(fd):
    """The errno of each ioctl on the descriptor, with decent arguments."""
    return {call.__name__: error_of(call, fd, *arguments) for call, *arguments in (
        (pin_range, 0, 0, READ), (unpin, 1), (pin_extents_once, 1, 0), (layout_once,),
        (sync_range,))}


def test_directories():
    prepare()
    os.mkdir("d")
    for path in ("d", "."):
        with opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
            for name, error in all_calls(fd).items():
                check(error in NOT_A_FILE, f"{name} of a directory: {error}")
            check(error_of(list_pins, fd) in NOT_A_FILE, "pins of a directory below the root")
            check(error_of(pin_stats, fd) in NOT_A_FILE, "statistics of such a directory")


def test_path_descriptors():
    prepare()
    with opened("f", os.O_PATH) as fd:
        same(set(all_calls(fd).values()), {errno.EBADF})


def test_special_files():
    make_dax()
    os.mkfifo("fifo")
    with opened("fifo", os.O_RDWR | os.O_NONBLOCK) as fd:
        check(0 not in all_calls(fd).values(), "a FIFO has pins")


def test_ordinary_files():
    write_file("f", b"x" * 10000)
    with opened("f") as fd:
        for flags in (0, FAULT, WHOLE_UNITS, NOWAIT):
            expect(errno.EOPNOTSUPP, pin_range, fd, 0, 0, READ, flags)
        same(pin_stats(fd).pins, 0)
        same(list_pins(fd), [])


def test_how_it_is_open():
    prepare()
    cases = ((os.O_RDONLY, (READ,)), (os.O_WRONLY, (WRITE,)), (os.O_RDWR, (READ, WRITE, 3)))
    for flags, allowed in cases:
        with opened("f", flags) as fd:
            for mode in (READ, WRITE, READ | WRITE):
                error = error_of(pin_range, fd, 0, UNIT, mode)
                same(error == 0, mode in allowed, f"open {flags}, mode {mode}: {error}")
                check(error in (0, errno.EBADF), f"open {flags}, mode {mode}: {error}")
    with opened("f", os.O_RDONLY) as fd:
        for flags in (FAULT, FAULT | GROW):
            expect(errno.EBADF, pin_range, fd, 0, 0, READ, flags)
        expect(errno.EBADF, layout_once, fd, 0, 0, FAULT)
        expect(errno.EBADF, fcntl.ioctl, fd, pins.IOC_PIN, pins.pin_bytes(0, 0, 3))
        nothing_is_left(fd)


def test_immutable():
    """What cannot change need not be recalled, but may be held for reading."""
    prepare()
    with opened("f") as fd:
        set_flags(fd, get_flags(fd) | FS_IMMUTABLE_FL)
        try:
            expect(errno.EPERM, pin_range, fd, 0, 0, READ | WRITE, FAULT)
            with opened("f", os.O_RDONLY) as reader:
                check(error_of(pin_range, reader, 0, 0, READ) in (0, errno.EPERM), "a reader")
        finally:
            set_flags(fd, get_flags(fd) & ~FS_IMMUTABLE_FL)


def test_not_for_others():
    """Whose pins may be seen by whom."""
    prepare()
    os.chmod("f", 0o666)
    with opened("f") as fd:
        pin_range(fd)
        expect(errno.EPERM, as_user, list_file, os.path.abspath("f"))
        os.chown("f", 65534, 65534)
        same(as_user(list_file, os.path.abspath("f")), 1)
        root = os.environ["DDFS_WORK"] + "/mnt"
        expect(errno.EPERM, as_user, list_file, root)
    with opened("f") as fd:
        as_user(pin_and_unpin, os.path.abspath("f"))
        nothing_is_left(fd)


def list_file(path):
    with opened(path, os.O_RDONLY) as fd:
        return len(list_pins(fd))


def pin_and_unpin(path):
    with opened(path) as fd:
        unpin(fd, pin_range(fd).id)


# ---- numbers and memory -----------------------------------------------------------------------


NUMBERS = (pins.IOC_INFO, pins.IOC_PIN, pins.IOC_UNPIN, pins.IOC_PIN_EXTENTS, pins.IOC_LAYOUT,
           pins.IOC_SYNC, pins.IOC_PIN_STATS, pins.IOC_PINS)


def test_other_sizes():
    """The size and the direction are part of the number: another one is no ioctl of ours."""
    prepare()
    with opened("f") as fd:
        for number in NUMBERS:
            size = number >> 16 & 0x3fff
            for wrong in {0, 1, 4, size - 1, size + 1, size + 8, 0x3fff} - {size}:
                other = number & ~(0x3fff << 16) | wrong << 16
                expect((errno.ENOTTY, errno.EINVAL), fcntl.ioctl, fd, other, bytearray(0x4000))
            for direction in range(4):
                if direction != number >> 30:
                    other = number & 0x3fffffff | direction << 30
                    expect((errno.ENOTTY, errno.EINVAL), fcntl.ioctl, fd, other, bytearray(0x4000))
        for which in (0, 12, 13, 100, 255):
            expect(errno.ENOTTY, fcntl.ioctl, fd, pins.number(3, which, 64), bytearray(64))
        nothing_is_left(fd)


def test_bad_memory():
    """An argument that cannot be read, or not be written."""
    prepare()
    with opened("f") as fd:
        for number in NUMBERS:
            for address in (0, 1, 4096, 1 << 47, TOP // 2, (1 << 63) + 4096):
                expect((errno.EFAULT, errno.EINVAL), raw_ioctl, fd, number, address)
        nothing_is_left(fd)


def raw_ioctl(fd, number, address):
    checked(libc.ioctl(fd, number, address))


def test_answer_that_cannot_be_written():
    """The pin is made and cannot be told: it ends with the file at the latest."""
    prepare()
    with opened("f") as fd:
        area = mmap.mmap(-1, PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ
            | mmap.PROT_WRITE)
        area[:pins.PIN_BYTES] = pins.pin_bytes(0, 0, READ)
        address = ctypes.addressof(ctypes.c_char.from_buffer(area))
        checked(libc.mprotect(address, PAGE, mmap.PROT_READ))
        expect(errno.EFAULT, raw_ioctl, fd, pins.IOC_PIN, address)
    with opened("f") as fd:
        nothing_is_left(fd)


def random_argument(source, size):
    """Bytes that look like a pin's, more or less."""
    small = (0, 1, READ | WRITE, 4095, PAGE, UNIT, UNIT + 1, TOP - 1, 1 << 63,
        source.getrandbits(64))
    words = b"".join(struct.pack("=Q", source.choice(small)) for _ in range(size // 8 + 1))
    return bytearray(words[:size] if source.random() < 0.7 else source.randbytes(size))


def test_random():
    """Anything at all; afterwards everything works, and nothing is left."""
    seed = int(os.environ.get("DDFS_SEED") or random.randrange(1 << 32))
    print(f"DDFS_SEED={seed}")
    source = random.Random(seed)
    write_file("ordinary", b"x" * 10000)
    prepare()
    with opened("f") as a, opened("f", os.O_RDONLY) as b, opened("ordinary") as c, \
            opened(".", os.O_RDONLY) as d:
        for _ in range(scale(20000, 1000)):
            number = source.choice(NUMBERS)
            error_of(fcntl.ioctl, source.choice((a, a, b, c, d)), number,
                random_argument(source, number >> 16 & 0x3fff))
            if os.fstat(a).st_size > 64 * UNIT:
                break
    with opened("f") as fd:
        nothing_is_left(fd)
        os.ftruncate(fd, 0)


main()
