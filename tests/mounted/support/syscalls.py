# SPDX-License-Identifier: BSD-3-Clause
"""System calls that Python's os module lacks. Each raises OSError as os does."""

import ctypes
import fcntl
import os
import struct

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4

FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE = 1, 2
FALLOC_COLLAPSE, FALLOC_ZERO, FALLOC_INSERT, FALLOC_UNSHARE = 8, 0x10, 0x20, 0x40

O_TMPFILE = 0o20000000 | os.O_DIRECTORY

FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602
FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR = 0x801c581f, 0x401c5820
FS_IMMUTABLE_FL, FS_APPEND_FL, FS_NOATIME_FL = 0x10, 0x20, 0x80
FS_DAX_FL = 0x02000000
FS_XFLAG_IMMUTABLE, FS_XFLAG_APPEND, FS_XFLAG_NOATIME = 0x8, 0x10, 0x40
FS_XFLAG_DAX = 0x8000

DDFS_IOC_FALLOCATE = 1 << 30 | 24 << 16 | 0xdd << 8 | 1  # src/devdaxfs_ioctl.h

libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
libc.open_by_handle_at.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
libc.name_to_handle_at.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p,
    ctypes.c_void_p, ctypes.c_int]
libc.copy_file_range.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p,
    ctypes.c_size_t, ctypes.c_uint]
libc.copy_file_range.restype = ctypes.c_ssize_t
libc.opendir.restype = ctypes.c_void_p
libc.readdir64.restype = ctypes.c_void_p
for _name in ("readdir64", "telldir", "rewinddir", "closedir", "seekdir"):
    getattr(libc, _name).argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
libc.telldir.restype = ctypes.c_long


def checked(result, path=None):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result


def renameat2(old, new, flags):
    checked(libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags), old)


def link_descriptor(fd, new):
    """linkat(2) with AT_EMPTY_PATH: a new name for an open file."""
    checked(libc.linkat(fd, b"", AT_FDCWD, os.fsencode(new), AT_EMPTY_PATH), new)


def fallocate(fd, mode, offset, length):
    checked(libc.fallocate(fd, mode, offset, length))


def ioctl_fallocate(fd, mode, offset, length):
    """fallocate(2) by devdaxfs's ioctl, with the modes that the kernel's FUSE refuses."""
    fcntl.ioctl(fd, DDFS_IOC_FALLOCATE, struct.pack("IIQQ", mode, 0, offset, length))


def copy_range(fd_in, off_in, fd_out, off_out, length):
    """copy_file_range(2); returns the bytes copied by one call."""
    a, b = ctypes.c_int64(off_in), ctypes.c_int64(off_out)
    return checked(libc.copy_file_range(fd_in, ctypes.byref(a), fd_out, ctypes.byref(b), length, 0))


class Handle:
    """A file handle as name_to_handle_at(2) gives it."""

    def __init__(self, path):
        self.buffer = ctypes.create_string_buffer(8 + 128)
        struct.pack_into("Ii", self.buffer, 0, 128, 0)
        mount = ctypes.c_int()
        checked(libc.name_to_handle_at(AT_FDCWD, os.fsencode(path), self.buffer,
            ctypes.byref(mount), 0), path)

    def open(self, directory, flags):
        return checked(libc.open_by_handle_at(directory, self.buffer, flags))

    def bytes(self):
        length = struct.unpack_from("I", self.buffer)[0]
        return self.buffer.raw[:8 + length]


class Directory:
    """opendir(3) and its kin, with their cookies."""

    def __init__(self, path):
        self.stream = libc.opendir(os.fsencode(path))
        if not self.stream:
            checked(-1, path)

    def read(self):
        """The next name, or None at the end."""
        ctypes.set_errno(0)
        entry = libc.readdir64(self.stream)
        if not entry:
            if ctypes.get_errno():
                checked(-1)
            return None
        return os.fsdecode(ctypes.string_at(entry + 19))

    def tell(self):
        return libc.telldir(self.stream)

    def seek(self, cookie):
        libc.seekdir(self.stream, cookie)

    def rewind(self):
        libc.rewinddir(self.stream)

    def close(self):
        libc.closedir(self.stream)


def get_flags(fd):
    return struct.unpack("l", fcntl.ioctl(fd, FS_IOC_GETFLAGS, b"\0" * 8))[0] & 0xffffffff


def set_flags(fd, flags):
    fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack("l", flags))


def get_xflags(fd):
    return struct.unpack_from("I", fcntl.ioctl(fd, FS_IOC_FSGETXATTR, b"\0" * 28))[0]


def set_xflags(fd, flags):
    fcntl.ioctl(fd, FS_IOC_FSSETXATTR, struct.pack("I", flags) + b"\0" * 24)
