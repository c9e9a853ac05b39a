# SPDX-License-Identifier: BSD-3-Clause
# needs: image
# timeout: 180
# libdevdaxfs as others build with it: installed, by pkg-config and by find_package.

import os
import re
import shutil
import subprocess

from check import Skip, check, main, same
from hold import hold_and_let_go
from target import Target, patience

BUILD = os.environ["DDFS_BUILD"]
EXAMPLE = os.path.join(os.path.dirname(os.environ["DDFS_CASES"]), "../../examples/hold.c")
PROJECT = """\
cmake_minimum_required(VERSION 3.25)
project(client VERSION 1.0 LANGUAGES C)
find_package(devdaxfs 0.1 REQUIRED)
add_executable(shared hold.c)
target_link_libraries(shared PRIVATE devdaxfs::devdaxfs)
add_executable(static hold.c)
target_link_libraries(static PRIVATE devdaxfs::devdaxfs_static)
"""


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, check=False,
                            timeout=patience(120), stdin=subprocess.DEVNULL, **options)
    check(result.returncode == 0, f"{command}:\n{result.stdout}{result.stderr}")
    return result.stdout


def installed():
    """The prefix, below the current directory."""
    with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as cache:
        if re.search("^DDFS_SANITIZE:[A-Z]*=.", cache.read(), re.MULTILINE):
            raise Skip("a sanitizer's library wants a sanitizer's program")
    prefix = os.path.realpath("prefix")
    run("cmake", "--install", BUILD, "--component", "library", "--prefix", prefix)
    return prefix


def find(prefix, name):
    for directory, _, names in os.walk(prefix):
        if name in names:
            return directory
    raise AssertionError(f"no {name} below {prefix}")


def flags(prefix, *options):
    environment = {**os.environ, "PKG_CONFIG_PATH": find(prefix, "libdevdaxfs.pc")}
    return run("pkg-config", *options, "libdevdaxfs", env=environment).split()


def works(program, prefix):
    """On a filesystem that lies elsewhere, for one that did not build it."""
    target = Target.of_environment()
    target.mkfs()
    with target.mounted() as where:
        hold_and_let_go(os.path.realpath(program), f"{where}/f", find(prefix, "libdevdaxfs.so"))


def declared(prefix):
    header = os.path.join(find(prefix, "devdaxfs.h"), "devdaxfs.h")
    with open(header, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
    return set(re.findall(r"\b(ddfs_\w+)\(", text))


def test_symbols():
    """What the header declares, and nothing else."""
    prefix = installed()
    library = os.path.join(find(prefix, "libdevdaxfs.so"), "libdevdaxfs.so")
    lines = run("nm", "-D", "--defined-only", library).splitlines()
    same({line.split()[2].split("@")[0] for line in lines if " T " in line}, declared(prefix))
    check(all(" T " in line or line.endswith(" A DEVDAXFS_0") for line in lines), lines)
    check("libdevdaxfs.so.0]" in run("readelf", "-d", library), "no SONAME libdevdaxfs.so.0")


def test_pages():
    """Each function has a page by its name, which tells of it."""
    prefix = installed()
    pages = find(prefix, "ddfs_lease_new.3")
    for name in sorted(declared(prefix)):
        page = f"man3/{name}.3"
        text = page_text(pages, page)
        if text.startswith(".so "):
            page = text.split()[1]
            text = page_text(pages, page)
        check(re.search(rf"^\.Nm {name}\b", text, re.MULTILINE), f"{page} does not name {name}")
        check(re.search(rf"^\.F[no] {name}\b", text, re.MULTILINE), f"{page}: no {name}() in it")
    check(os.path.exists(f"{pages}/../man7/libdevdaxfs.7"), "no libdevdaxfs(7)")


def page_text(pages, page):
    with open(os.path.join(pages, "..", page), encoding="utf-8") as file:
        return file.read()


def test_headers():
    """In any C, and in C++, alone."""
    include = find(installed(), "devdaxfs.h")
    for name in ("devdaxfs.h", "devdaxfs_ioctl.h"):
        for number, options in enumerate((("c", "-std=c99"), ("c", "-std=gnu17"),
                                          ("c++", "-std=c++11"))):
            if options[0] == "c++" and not shutil.which("c++"):
                continue
            source = f"{name}.{number}"
            with open(source, "w", encoding="ascii") as file:
                file.write(f"#include <{name}>\n")
            run("cc" if options[0] == "c" else "c++", "-x", *options, "-Wall", "-Wextra",
                "-pedantic", "-Werror", "-fsyntax-only", "-I", include, source)


def test_pkg_config():
    prefix = installed()
    run("cc", "-o", "hold", EXAMPLE, *flags(prefix, "--cflags", "--libs"))
    works("hold", prefix)
    same(flags(prefix, "--modversion"), [version()])


def version():
    with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as cache:
        return re.search("^CMAKE_PROJECT_VERSION:STATIC=(.*)$", cache.read(), re.MULTILINE)[1]


def test_static():
    prefix = installed()
    words = [word for word in flags(prefix, "--static", "--cflags", "--libs")
             if word != "-ldevdaxfs"]
    archive = os.path.join(find(prefix, "libdevdaxfs.a"), "libdevdaxfs.a")
    run("cc", "-o", "hold", EXAMPLE, archive, *words)
    check("devdaxfs" not in run("ldd", "hold"), "not the archive")
    works("hold", prefix)


def test_find_package():
    prefix = installed()
    shutil.copy(EXAMPLE, "hold.c")
    with open("CMakeLists.txt", "w", encoding="ascii") as file:
        file.write(PROJECT)
    run("cmake", "-S", ".", "-B", "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", "build")
    works("build/shared", prefix)
    works("build/static", prefix)


main()
