# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
# Hard links, files without a name, special files.

import errno
import os
import socket
import stat

from check import check, expect, main, opened, read_file, same, scale, write_file
from syscalls import link_descriptor


def test_link():
    write_file("a", b"data")
    os.utime("a", (1, 1))
    before = os.stat("a").st_ctime_ns
    os.link("a", "b")
    same(os.stat("a").st_ino, os.stat("b").st_ino)
    same((os.stat("a").st_nlink, os.stat("b").st_nlink), (2, 2))
    check(os.stat("a").st_ctime_ns >= before, "ctime")
    with opened("a", os.O_WRONLY) as fd:
        os.pwrite(fd, b"DATA", 0)
    same(read_file("b"), b"DATA")
    os.unlink("a")
    same((os.stat("b").st_nlink, read_file("b")), (1, b"DATA"))


def test_link_errors():
    write_file("f")
    os.mkdir("d")
    os.symlink("f", "l")
    expect(errno.EPERM, os.link, "d", "d2")
    expect(errno.EEXIST, os.link, "f", "d")
    expect(errno.EEXIST, os.link, "f", "f")
    expect(errno.ENOENT, os.link, "missing", "x")
    expect(errno.ENOENT, os.link, "f", "missing/x")
    expect(errno.ENOTDIR, os.link, "f", "f/x")
    os.link("l", "l2", follow_symlinks=False)
    same((os.readlink("l2"), os.lstat("l").st_nlink), ("f", 2), "a link to a symlink")


def test_most_links():
    most = 65000
    if scale(most) < most:
        full = scale(2000)
        write_file("f")
        for number in range(full):
            os.link("f", f"l{number}")
        same(os.stat("f").st_nlink, full + 1)
        return
    write_file("f")
    reached = 1
    try:
        for number in range(most + 1):
            os.link("f", f"l{number}")
            reached += 1
    except OSError as error:
        same(error.errno, errno.EMLINK)
        same(os.stat("f").st_nlink, reached, "a refused link counts nothing")
        check(reached in (most, 32000), f"{reached} links")
    check(reached >= 32000, f"only {reached} links")
    os.unlink("l0")
    os.link("f", "again")


def test_unlinked_open():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, b"x" * 300000)
        os.unlink("f")
        expect(errno.ENOENT, os.stat, "f")
        status = os.fstat(fd)
        same((status.st_nlink, status.st_size), (0, 300000))
        os.pwrite(fd, b"more", 400000)
        os.fchmod(fd, 0o600)
        os.ftruncate(fd, 400002)
        same(os.pread(fd, 10, 400000), b"mo")
        same(os.pread(fd, 10, 350000), b"\0" * 10)
        os.setxattr(fd, "user.x", b"y")
        same(os.getxattr(fd, "user.x"), b"y")
        expect(errno.ENOENT, link_descriptor, fd, "back")
        write_file("f", b"another")
        check(os.stat("f").st_ino != status.st_ino, "the number is in use twice")
        os.fsync(fd)


def test_unlinked_mapped():
    import mmap
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, 8192)
        mapping = mmap.mmap(fd, 8192)
    os.unlink("f")
    mapping[0:3] = b"abc"
    mapping[8189:8192] = b"xyz"
    mapping.flush()
    same((mapping[0:3], mapping[8189:8192]), (b"abc", b"xyz"))
    mapping.close()


def test_many_unlinked():
    fds = []
    for number in range(scale(300, 50)):
        fds.append(os.open("f", os.O_RDWR | os.O_CREAT | os.O_EXCL))
        os.write(fds[-1], str(number).encode() * 500)
        os.unlink("f")
    for number, fd in enumerate(fds):
        same(os.pread(fd, 5000, 0), str(number).encode() * 500)
        os.close(fd)


def test_fifo():
    os.mkfifo("p", 0o640)
    status = os.stat("p")
    check(stat.S_ISFIFO(status.st_mode), "not a fifo")
    same((stat.S_IMODE(status.st_mode), status.st_size), (0o640, 0))
    reader = os.open("p", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open("p", os.O_WRONLY)
    os.write(writer, b"through")
    same(os.read(reader, 10), b"through")
    os.close(reader)
    os.close(writer)
    expect(errno.ENXIO, os.open, "p", os.O_WRONLY | os.O_NONBLOCK)


def test_socket():
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("s")
        check(stat.S_ISSOCK(os.stat("s").st_mode), "not a socket")
        server.listen()
        client.connect("s")
        peer = server.accept()[0]
        client.send(b"hello")
        same(peer.recv(10), b"hello")
        peer.close()
    expect(errno.ENXIO, os.open, "s", os.O_RDONLY)


def test_devices():
    for name, kind, major, minor in (("null", stat.S_IFCHR, 1, 3), ("b", stat.S_IFBLK, 259, 70000),
                                     ("c", stat.S_IFCHR, 4095, 1048575), ("z", stat.S_IFBLK, 0, 0)):
        os.mknod(name, kind | 0o600, os.makedev(major, minor))
        status = os.lstat(name)
        same((stat.S_IFMT(status.st_mode), os.major(status.st_rdev), os.minor(status.st_rdev)),
             (kind, major, minor), name)


def test_mknod():
    os.mknod("f", stat.S_IFREG | 0o600)
    check(stat.S_ISREG(os.stat("f").st_mode), "not a regular file")
    expect(errno.EEXIST, os.mknod, "f", stat.S_IFIFO | 0o600)
    expect((errno.EPERM, errno.EINVAL), os.mknod, "d", stat.S_IFDIR | 0o700)
    expect(errno.ENOENT, os.mknod, "missing/f", stat.S_IFREG | 0o600)
    expect(errno.EINVAL, os.mknod, "x", 0o170000)


def test_special_files_have_no_data():
    os.mkfifo("p")
    expect(errno.EINVAL, os.truncate, "p", 0)
    os.symlink("x", "l")
    expect(errno.ENOENT, os.truncate, "l", 0)
    expect(errno.EISDIR, os.truncate, ".", 0)


main()
