# SPDX-License-Identifier: BSD-3-Clause
# needs: devdaxfs
# Who may pin: root, the file's owner, who may change the file, and who may read the device.

import contextlib
import errno
import os

from check import expect, main, opened
from pins import READ, device_info, make_dax, pin_range, unpin, write_units

NOBODY = 65534


@contextlib.contextmanager
def as_nobody():
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@contextlib.contextmanager
def device_mode(mode):
    with opened(".", os.O_RDONLY) as fd:
        path = device_info(fd).path
    before = os.stat(path).st_mode & 0o7777
    os.chmod(path, mode)
    try:
        yield
    finally:
        os.chmod(path, before)


def prepare(mode, owner=0):
    make_dax()
    write_units("f", 1)
    os.chmod("f", mode)
    os.chown("f", owner, owner)


def pin_as_nobody(flags):
    with as_nobody(), opened("f", flags) as fd:
        unpin(fd, pin_range(fd, mode=READ).id)


def test_reader():
    prepare(0o644)
    with device_mode(0o600):
        expect(errno.EACCES, pin_as_nobody, os.O_RDONLY)
    pin = os.open("f", os.O_RDONLY)
    try:
        unpin(pin, pin_range(pin, mode=READ).id)
    finally:
        os.close(pin)


def test_reader_of_the_device():
    prepare(0o644)
    with device_mode(0o644):
        pin_as_nobody(os.O_RDONLY)


def test_owner():
    prepare(0o400, NOBODY)
    with device_mode(0o600):
        pin_as_nobody(os.O_RDONLY)


def test_writer():
    prepare(0o666)
    with device_mode(0o600):
        pin_as_nobody(os.O_RDWR)


main()
