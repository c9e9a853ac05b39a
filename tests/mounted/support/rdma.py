# SPDX-License-Identifier: BSD-3-Clause
"""RDMA under test: a device, and agents (tests/rdma/agent.c) that use it."""

import contextlib
import os
import subprocess

from check import Skip

DEVICES = "/sys/class/infiniband"
LINK, ADDRESS = "ddfs-rdma", "192.0.2.1/24"  # of the addresses for documentation: nobody's


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise AssertionError(f"{' '.join(command)}: {result.stderr.strip()}")


@contextlib.contextmanager
def device():
    """Soft-RoCE in the virtual machine; elsewhere what is there."""
    if not os.environ.get("DDFS_VM"):
        if not os.path.isdir(DEVICES) or not os.listdir(DEVICES):
            raise Skip("no RDMA device")
        yield
        return
    run("modprobe", "-a", "dummy", "rdma_rxe")
    run("ip", "link", "add", LINK, "type", "dummy")
    try:
        run("ip", "address", "add", ADDRESS, "dev", LINK)
        run("ip", "link", "set", LINK, "up")
        run("rdma", "link", "add", "ddfs_rxe", "type", "rxe", "netdev", LINK)
        yield
    finally:
        run("ip", "link", "delete", LINK)


class Failure(Exception):
    """What an agent answered: a negative errno, or the status of a completion."""

    def __init__(self, line):
        _, number, text = line.rstrip().split(maxsplit=2)
        super().__init__(f"{text} ({number})")
        self.number = int(number)


class Agent:
    """A process that is one end of a connection; it ends with the with-block."""

    def __init__(self):
        program = os.path.join(os.environ["DDFS_BUILD"], "tests/rdma/rdma_agent")
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)
        self.pid = self.process.pid
        self.qpn = self.gid = self.remote = None

    def __enter__(self):
        self.qpn, self.gid = self.ask("open")
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, *words):
        """The values of its answer; raises Failure."""
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        line = self.process.stdout.readline()
        if line.startswith("error"):
            raise Failure(line)
        if not line.startswith("ok"):
            raise AssertionError(f"the agent ended at {words}: {self.process.poll()}")
        return line.split()[1:]

    def connect(self, other):
        self.ask("connect", other.qpn, other.gid)
        other.ask("connect", self.qpn, self.gid)

    def register(self):
        address, key = self.ask("register")
        self.remote = int(address), key

    def write(self, other, offset, text):
        """RDMA WRITE to the region that the other has registered."""
        self.ask("write", other.remote[0] + offset, other.remote[1], text)

    def is_recalled(self):
        return self.ask("recalled") == ["1"]
