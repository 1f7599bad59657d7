"""Prove that code compiled for one instruction set cannot reach a CPU that lacks it.

    check_symbols.py BUILD_FOLDER

The linker keeps one copy of a function that several objects share. Were that the copy of a kernel
object, compiled for AVX-512, the rest of the library would die on a lesser CPU. So a kernel object
must define nothing that can be shared, nothing outside its own namespace, and must call nothing but
the few functions of C that compilers insert; and no other object may hold AVX code.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

# What a compiler calls without being asked. The kernels need no allocation, exceptions, OpenMP.
ALLOWED_CALLS = {"memcpy", "memmove", "memset", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}
SHAREABLE = "WwVvu"  # weak functions, weak objects, unique globals
AVX_REGISTER = re.compile(r"%[yz]mm\d")


def output(*command: str | Path) -> str:
    """Return what a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def symbol_faults(path: Path, isa: str) -> list[str]:
    """Return what is wrong with the symbols of a kernel object."""
    faults = []
    for line in output("nm", "--demangle", path).splitlines():
        kind, name = re.fullmatch(r"[0-9a-f]* *(\w) (.*)", line).groups()
        if kind in SHAREABLE:
            faults.append(f"{name} can be shared with other objects")
        elif kind == "U" and name not in ALLOWED_CALLS:
            faults.append(f"{name} is called, and lies outside")
        elif kind.isupper() and kind != "U" and not name.startswith(f"convolt::{isa}::"):
            faults.append(f"{name} lies outside of namespace convolt::{isa}")
    return faults


def has_avx(path: Path) -> bool:
    """Tell whether an x86-64 object uses a vector register that the baseline lacks."""
    code = output("objdump", "--disassemble", "--no-show-raw-insn", path)
    return AVX_REGISTER.search(code) is not None


def main(build: Path) -> int:
    """Check all objects of a build; return the exit status."""
    objects = sorted(build.rglob("*.o"))
    kernels = {path: match[1] for path in objects if (match := kernel_isa(path))}
    if not kernels:
        print(f"no kernel object under {build}", file=sys.stderr)
        return 1
    faults = []
    for path, isa in kernels.items():
        faults += [f"{isa}: {fault}" for fault in symbol_faults(path, isa)]
    if "baseline" in kernels.values():
        wide = {path for path, isa in kernels.items() if isa.startswith("avx")}
        faults += [f"{path}: AVX code" for path in objects if path not in wide and has_avx(path)]
        # Otherwise the search itself is broken.
        faults += [f"{path}: no AVX code found" for path in wide if not has_avx(path)]
    others = len(objects) - len(kernels)
    print(f"kernel objects: {', '.join(sorted(kernels.values()))}; other objects: {others}")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def kernel_isa(path: Path) -> re.Match | None:
    """Match the name of the ISA that an object's folder gives."""
    return re.search(r"/convolt_kernels_(\w+)\.dir/", path.as_posix())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
