# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
# SQLite: each journal mode, several writers at once, a writer killed half-way, integrity_check.

import os
import random
import signal
import sqlite3
import subprocess
import time

from check import check, main, same, scale
from target import patience


def shell(statement):
    result = subprocess.run(["sqlite3", "db", statement], capture_output=True, text=True,
                            check=False)
    check(result.returncode == 0, result.stderr)
    return result.stdout.strip()


def fill(mode, rows):
    base = sqlite3.connect("db")
    same(base.execute(f"pragma journal_mode={mode}").fetchone()[0], mode)
    base.execute("create table t (id integer primary key, word text, data blob)")
    source = random.Random(mode)
    for number in range(rows):
        base.execute("insert into t values (?, ?, ?)",
                     (number, f"word{number % 97}", source.randbytes(source.randrange(3000))))
        if number % 50 == 0:
            base.commit()
    base.commit()
    base.execute("create index w on t (word)")
    base.execute("delete from t where id % 3 = 0")
    base.execute("update t set word = 'changed' where id % 3 = 1")
    base.commit()
    base.close()


def run(mode):
    rows = scale(3000, 150)
    fill(mode, rows)
    same(shell("pragma integrity_check"), "ok")
    same(int(shell("select count(*) from t")), rows - (rows + 2) // 3)
    same(int(shell("select count(*) from t where word = 'changed'")), (rows + 1) // 3)
    shell("vacuum")
    same(shell("pragma integrity_check"), "ok")


def test_delete():
    run("delete")


def test_truncate():
    run("truncate")


def test_persist():
    run("persist")


def test_wal():
    run("wal")


def writers(mode, count, rows):
    base = sqlite3.connect("db")
    base.execute(f"pragma journal_mode={mode}")
    base.execute("create table t (who integer, number integer)")
    base.commit()
    base.close()
    pids = []
    for who in range(count):
        pid = os.fork()
        if pid == 0:
            mine = sqlite3.connect("db", timeout=patience(60))
            for number in range(rows):
                with mine:
                    mine.execute("insert into t values (?, ?)", (who, number))
            mine.close()
            os._exit(0)
        pids.append(pid)
    same([os.waitpid(pid, 0)[1] for pid in pids], [0] * count)
    same(shell("pragma integrity_check"), "ok")
    same(int(shell("select count(distinct who * 100000 + number) from t")), count * rows)


def test_several_writers():
    writers("delete", 3, scale(100, 10))


def test_several_writers_wal():
    writers("wal", 3, scale(200, 10))


def test_killed_writer():
    for mode in ("delete", "wal"):
        base = sqlite3.connect("db")
        base.execute(f"pragma journal_mode={mode}")
        base.execute("create table if not exists t (a integer, b blob)")
        base.commit()
        base.close()
        for step in range(scale(6, 2)):
            pid = os.fork()
            if pid == 0:
                mine = sqlite3.connect("db")
                while True:
                    with mine:
                        for number in range(20):
                            mine.execute("insert into t values (?, ?)", (number, os.urandom(2000)))
            time.sleep(0.2 + step * 0.05)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            same(shell("pragma integrity_check"), "ok", f"{mode}, kill {step}")
            same(int(shell("select count(*) % 20 from t")), 0, "a transaction was cut in two")


main()
