"""Check for the system tools that no Python package brings. Runs with the system's Python, without dependencies."""

import ctypes
import importlib.util
import os
import shutil
import sys
import sysconfig

MINIMUM = (3, 11)


def has_shared_python():
    """Return whether this Python's shared library can be loaded, as cocotb does inside the simulator."""
    name = sysconfig.get_config_var("INSTSONAME") or ""
    folder = sysconfig.get_config_var("LIBDIR") or ""
    for candidate in (name, os.path.join(folder, name)):
        try:
            ctypes.CDLL(candidate)
        except OSError:
            continue
        return ".so" in candidate
    return False


def missing_tools():
    """Return one line for each missing tool: what it is for, and the Debian package that has it."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if sys.version_info < MINIMUM:
        return [f"Python {MINIMUM[0]}.{MINIMUM[1]} or newer is needed, this is {version}: set PYTHON=python3.11"]
    checks = [
        (shutil.which("g++"), "a C++ compiler builds the simulator", "g++"),
        (shutil.which("make"), "make builds the simulator", "make"),
        (importlib.util.find_spec("ensurepip"), "Python's venv module creates .venv", f"python{version}-venv"),
        (has_shared_python(), "cocotb loads Python's shared library", f"libpython{version}"),
    ]
    return [f"{purpose}: apt install {package}" for found, purpose, package in checks if not found]


def main():
    """Print what is missing and return the exit status."""
    lines = missing_tools()
    for line in lines:
        print(f"error: {line}", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
