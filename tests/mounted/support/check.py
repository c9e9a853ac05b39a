# SPDX-License-Identifier: BSD-3-Clause
"""What a case written in Python is made of.

    from check import expect, main, same

    def test_exclusive():
        open("f", "w").close()
        expect(errno.EEXIST, os.open, "f", os.O_CREAT | os.O_EXCL)

    main()

Every test_ function runs in an empty directory of its own, and is one line of the result.
"""

import contextlib
import errno
import os
import pickle
import shutil
import sys
import time
import traceback

NOBODY = 65534
DEVDAXFS = os.environ.get("DDFS_MOUNTED") == "1"


class Skip(Exception):
    """The test cannot run here; the message says why."""


def scale(full, least=1):
    """A number of things to do, as DDFS_SCALE (1 unless set) wants it."""
    return max(least, int(full * float(os.environ.get("DDFS_SCALE") or "1")))


def same(got, want, what=""):
    if got != want:
        text = f"{what}: " if what else ""
        raise AssertionError(f"{text}got {short(got)}, want {short(want)}")


def short(value):
    text = repr(value)
    return text if len(text) < 200 else f"{text[:120]}... ({len(text)} characters)"


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def error_of(function, *args, **kwargs):
    """The errno that the call fails with, or 0."""
    try:
        result = function(*args, **kwargs)
    except OSError as error:
        return error.errno
    if function is os.open:
        os.close(result)
    return 0


def expect(wanted, function, *args, **kwargs):
    """The call must fail with this errno, or one of a tuple of them."""
    allowed = wanted if isinstance(wanted, tuple) else (wanted,)
    got = error_of(function, *args, **kwargs)
    if got not in allowed:
        names = " or ".join(errno.errorcode.get(number, "success") for number in allowed)
        name = getattr(function, "__name__", str(function))
        raise AssertionError(f"{name}{short(args)}: got {errno.errorcode.get(got, 'success')}, "
            f"want {names}")


def as_user(function, *args, uid=NOBODY, gid=NOBODY, groups=()):
    """What the function returns, or the OSError it raises, when another user calls it."""
    def become():
        os.setgroups(list(groups))
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        return function(*args)

    return in_child(become)


def in_child(function, *args):
    """What the function returns or raises in a forked process."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            result = (True, function(*args))
        except BaseException as error:  # handed to the parent, which raises it
            result = (False, error)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(pickle.dumps(result))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    status = os.waitpid(pid, 0)[1]
    if not data:
        raise AssertionError(f"the child ended with status {status:#x}")
    good, value = pickle.loads(data)
    if not good:
        raise value
    return value


def write_file(path, data=b"", mode=0o644):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view):]
    finally:
        os.close(fd)


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


@contextlib.contextmanager
def opened(path, flags=os.O_RDWR, mode=0o644):
    fd = os.open(path, flags, mode)
    try:
        yield fd
    finally:
        os.close(fd)


def run_one(name, function):
    home = os.getcwd()
    directory = os.path.join(home, f"in-{name}")
    os.mkdir(directory)
    os.chdir(directory)
    try:
        function()
    except Skip as reason:
        return "skip", str(reason)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return "not ok", traceback.format_exc()
    finally:
        os.chdir(home)
    shutil.rmtree(directory, ignore_errors=True)
    return "ok", ""


def tests_of(module):
    """Its test_ functions, in the order they are written, or those named on the command line."""
    tests = {name.removeprefix("test_"): function for name, function in vars(module).items()
             if name.startswith("test_")}
    for name in sys.argv[1:]:
        if name not in tests:
            sys.exit(f"no test is named {name}; there are: {', '.join(tests)}")
    return {name: tests[name] for name in sys.argv[1:] or tests}


def main():
    """Run the tests of the calling module."""
    os.umask(0o022)
    case = os.path.basename(sys.argv[0]).rsplit(".", 1)[0]
    failed = 0
    for name, function in tests_of(sys.modules["__main__"]).items():
        began = time.monotonic()
        result, text = run_one(name, function)
        reason = f" # {text}" if result == "skip" else f" # {time.monotonic() - began:.1f} s"
        print(f"{result} {case}.{name}{reason}", flush=True)
        if result == "not ok":
            failed += 1
            print("\n".join(f"    {line}" for line in text.rstrip().split("\n")), flush=True)
    sys.exit(1 if failed else 0)
