# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 240
# Mounting, unmounting, mounting again; one owner at a time; mount points that will not do.

import os
import re
import shutil
import signal
import stat
import subprocess
import time

from check import Skip, as_user, check, main, opened, read_file, same, scale, write_file
from syscalls import FALLOC_COLLAPSE, ioctl_fallocate
from target import Target, daemons_below, is_alive, mount_line, patience, pattern, wait_for


def fresh(*options):
    target = Target.of_environment()
    target.mkfs(*options)
    return target


def daemons(target):
    return daemons_below(target.directory, target.program("devdaxfs"))


def test_line_in_proc_mounts():
    target = fresh()
    with target.mounted() as where:
        source, kind, options = mount_line(where)
        same((source, kind), (target.source, "fuse.devdaxfs"))
        check("rw" in options, f"{options}")


def test_background():
    """Without -f it returns when the mount can be used, and not before."""
    target = fresh()
    for _ in range(5):
        command = [word for word in target.command() if word != "-f"]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=patience(30), check=False)
        same(result.returncode, 0, result.stderr)
        write_file(f"{target.where}/f", b"at once")
        same(read_file(f"{target.where}/f"), b"at once")
        pids = daemons(target)
        same(len(pids), 1, "daemons")
        same(os.readlink(f"/proc/{pids[0]}/cwd"), "/", "its working directory")
        check(os.getsid(pids[0]) != os.getsid(0), "it is in our session")
        subprocess.run(["umount", target.where], check=True)
        wait_for(lambda pid=pids[0]: not is_alive(pid), 20, "the daemon to end")


def test_background_holds_nothing_of_the_caller():
    """A shell that reads the command's output does not wait for the daemon."""
    target = fresh()
    command = [word for word in target.command() if word != "-f"]
    started = time.monotonic()
    output = subprocess.run(command, capture_output=True, input=b"", timeout=patience(30),
                            check=False)
    check(time.monotonic() - started < patience(10), "the output stayed open")
    same(output.returncode, 0, output.stderr.decode())
    target.end()


def test_unmount_then_mount():
    """The second mount waits for the first daemon to let go."""
    target = fresh()
    rounds = scale(20, 4)
    for step in range(rounds):
        target.mount()
        with opened(f"{target.where}/f{step}", os.O_WRONLY | os.O_CREAT) as fd:
            os.write(fd, pattern(step, 50_000))
        subprocess.run(["umount", target.where], check=True)
        first, target.process = target.process, None
        target.mount()
        check(read_file(f"{target.where}/f{step}") == pattern(step, 50_000), f"round {step}")
        same(first.wait(patience(20)), 0, "the first daemon's status")
        target.unmount()
    with target.mounted() as where:
        same(len(os.listdir(where)), rounds)


def test_lazy_unmount_then_mount():
    target = fresh()
    target.mount()
    fd = os.open(f"{target.where}/f", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"before")
    subprocess.run(["umount", "-l", target.where], check=True)
    first = target.process
    os.write(fd, b" after")
    os.close(fd)
    same(first.wait(patience(20)), 0)
    target.process = None
    with target.mounted() as where:
        same(read_file(f"{where}/f"), b"before after")


def test_busy():
    target = fresh()
    target.mount()
    with opened(f"{target.where}/f", os.O_RDWR | os.O_CREAT) as fd:
        result = subprocess.run(["umount", target.where], capture_output=True, text=True,
                                check=False)
        check(result.returncode != 0 and "busy" in result.stderr, result.stderr)
        os.write(fd, b"still works")
    target.unmount()


# The leak checker refuses to run below another tracer.
STRACE = ["strace", "-f", "-qq", "-E", "ASAN_OPTIONS=detect_leaks=0"]


def test_over_before_the_daemon_knows():
    """Mounted, used and unmounted while the worker that answered INIT has not gone on yet."""
    if not shutil.which("strace"):
        raise Skip("no strace, which delays the worker")
    target = fresh()
    command = target.command()
    slow = [*STRACE, "-o", "/dev/null", "-e", "trace=writev",
            "-e", "inject=writev:delay_exit=500000:when=1"]
    target.command = lambda *_: slow + command
    target.mount()
    write_file(f"{target.where}/f", b"one")
    target.unmount()
    check("before the kernel" not in target.log(), target.log())


def test_looks_at_its_own_mount_from_outside():
    """No thread of the daemon waits for the daemon's answer: killed then, it could never end."""
    if not shutil.which("strace"):
        raise Skip("no strace, which tells who looks")
    target = fresh()
    command, log = target.command(), os.path.join(target.directory, "calls")
    calls = "trace=open_by_handle_at,close_range"
    target.command = lambda *_: [*STRACE, "-o", log, "-e", calls, *command]
    target.mount()
    with opened(f"{target.where}/f", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, pattern(1, 65536))
        ioctl_fallocate(fd, FALLOC_COLLAPSE, 4096, 8192)
        same(os.fstat(fd).st_size, 65536 - 8192)
    target.unmount()
    text = read_file(log).decode()
    apart = set(re.findall(r"^(\d+) +close_range\(3, ", text, re.MULTILINE))
    callers = set(re.findall(r"^(\d+) +open_by_handle_at", text, re.MULTILINE))
    check(callers and callers <= apart, f"{callers} look; without the connection are {apart}")


def test_everything_survives():
    """Each kind of inode, and each attribute."""
    target = fresh()
    with target.mounted() as where:
        home = os.getcwd()
        os.chdir(where)
        write_file("small", b"data", 0o640)
        write_file("large", pattern(1, 3_000_000))
        os.truncate("large", 4_000_000)
        os.link("large", "linked")
        os.symlink("t" * 2000, "symlink")
        os.mkfifo("fifo")
        os.mknod("device", stat.S_IFCHR | 0o600, os.makedev(5, 77))
        os.makedirs("d/e/f")
        for number in range(500):
            write_file(f"d/e/{number}", str(number).encode())
        os.setxattr("small", "user.a", b"value" * 100)
        os.chown("small", 1000, 1001)
        os.utime("small", ns=(1_000_000_007, 2_000_000_009))
        os.chmod("d", 0o2771)
        wanted = [(name, os.lstat(name)) for name in sorted(os.listdir("."))]
        os.chdir(home)
    with target.mounted() as where:
        home = os.getcwd()
        os.chdir(where)
        for name, before in wanted:
            after = os.lstat(name)
            for field in ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size",
                          "st_mtime_ns", "st_ctime_ns", "st_rdev", "st_blocks"):
                same(getattr(after, field), getattr(before, field), f"{field} of {name}")
        check(read_file("linked") == pattern(1, 3_000_000) + b"\0" * 1_000_000, "contents")
        same(os.readlink("symlink"), "t" * 2000)
        same(os.getxattr("small", "user.a"), b"value" * 100)
        same(len(os.listdir("d/e")), 501)
        for number in range(500):
            same(read_file(f"d/e/{number}"), str(number).encode())
        os.chdir(home)


def test_second_mount_is_refused():
    target = fresh()
    target.mount()
    other = os.path.join(target.directory, "other")
    os.mkdir(other)
    for _ in range(3):
        target.refused(target.process.pid, where=other)
    check(not mount_line(other), "it is mounted twice")
    write_file(f"{target.where}/f", b"the first is unharmed")
    target.unmount()
    with target.mounted() as where:
        same(read_file(f"{where}/f"), b"the first is unharmed")


def test_mkfs_of_a_mounted_one_is_refused():
    target = fresh()
    with target.mounted() as where:
        write_file(f"{where}/f", b"precious")
        for options in ((), ("-f",)):
            result = target.run_mkfs("-q", *options, target.source)
            check(result.returncode != 0, "mkfs went over a mounted filesystem")
            check(str(target.process.pid) in result.stderr or "mounted" in result.stderr,
                  result.stderr)
        same(read_file(f"{where}/f"), b"precious")
    with target.mounted() as where:
        same(read_file(f"{where}/f"), b"precious")


def test_mount_points():
    target = fresh()
    path = os.path.join(target.directory, "file")
    write_file(path)
    target.refused(where=path)
    target.refused("missing", where=os.path.join(target.directory, "missing"))
    full = os.path.join(target.directory, "full")
    os.mkdir(full)
    write_file(f"{full}/in-the-way")
    target.refused("empty", where=full)
    same(os.listdir(full), ["in-the-way"])
    same(target.try_mount("nonempty", where=full)[0], 0, "nonempty")


def test_arguments():
    target = fresh()
    for arguments in ([], [target.source], [target.source, target.where, "third"],
                      ["--nonsense", target.source, target.where], ["-o"]):
        result = subprocess.run([target.program("devdaxfs"), *arguments], capture_output=True,
                                text=True, stdin=subprocess.DEVNULL, timeout=patience(20),
                                check=False)
        check(result.returncode > 0 and result.stderr, f"{arguments}: {result}")
    check(not mount_line(target.where), "it is mounted")


def test_odd_paths():
    """Spaces, a backslash and a newline in the mount point; a relative and a linked source."""
    target = fresh()
    for name in ("with space", "back\\slash", "new\nline", "comma,comma"):
        where = os.path.join(target.directory, name)
        os.mkdir(where)
        process = subprocess.Popen(target.command(where=where), stdin=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        wait_for(lambda path=where: os.path.ismount(path), 20, f"the mount at {where!r}")
        write_file(f"{where}/f", b"x")
        subprocess.run(["umount", where], check=True)
        same(process.wait(patience(20)), 0)
    if target.image:
        link = os.path.join(target.directory, "link")
        os.symlink(target.source, link)
        same(target.try_mount(source=link)[0], 0, "through a symlink")


def test_as_user():
    """Somebody who may not open the source is refused, in words."""
    target = fresh()
    os.chmod(target.source, 0o600)

    def attempt():
        result = subprocess.run(target.command(), capture_output=True, text=True, check=False,
                                stdin=subprocess.DEVNULL, timeout=patience(20))
        return result.returncode, result.stderr

    status, text = as_user(attempt)
    check(status > 0 and text, f"{status}: {text}")
    check(not mount_line(target.where), "it is mounted")


def test_terminated():
    """SIGTERM, SIGINT and SIGHUP end it as umount does."""
    target = fresh()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        target.mount()
        write_file(f"{target.where}/{number}", b"kept")
        target.process.send_signal(number)
        same(target.wait_end(), 0, f"status after signal {number}")
        check(not mount_line(target.where), "the mount is still there")
    with target.mounted() as where:
        same(len(os.listdir(where)), 3)
    check("recover" not in target.log().lower(), "a clean end left something to recover")


def test_no_descriptors_left():
    """Opening and closing many files leaves the daemon as it was."""
    target = fresh()
    with target.mounted() as where:
        def descriptors():
            return len(os.listdir(f"/proc/{target.process.pid}/fd"))

        write_file(f"{where}/first", b"x")
        before = descriptors()
        for number in range(300):
            write_file(f"{where}/f{number}", b"x")
            os.listdir(where)
        wait_for(lambda: descriptors() <= before + 2, 5,
                 f"{descriptors()} descriptors to be about {before} again")


def test_source_by_label_and_uuid():
    target = fresh("-L", "ddfs-test-label", "-U", "5f0c9b1e-7a33-4a0e-9d3c-3c8f2a6b1d11")
    if target.image:
        raise Skip("images are not found by label")
    for source in ("LABEL=ddfs-test-label", "UUID=5f0c9b1e-7a33-4a0e-9d3c-3c8f2a6b1d11",
                   os.path.basename(target.source), os.environ.get("DDFS_NAMESPACE")):
        if source:
            same(target.try_mount(source=source)[0], 0, source)
    target.refused("LABEL=no-such-label", source="LABEL=no-such-label")


main()
