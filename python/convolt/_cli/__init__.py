"""The command line, a module for each command: its options, and what it does."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import convolt
from convolt._cli import bench, evaluate, info, summary, train, visualize

_COMMANDS = (train, evaluate, summary, visualize, info, bench)

_ERRORS = (ArithmeticError, ImportError, MemoryError, OSError, RuntimeError, TypeError, ValueError)

_EPILOG = """\
"python -m convolt COMMAND --help" has the options of a command.

exit status: 0 after success, 1 after an error, 2 for a wrong option, 130 after Ctrl-C
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except KeyboardInterrupt:
        print("\nconvolt: interrupted", file=sys.stderr)
        return 130
    except _ERRORS as error:
        print(f"convolt: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m convolt",
        description="Fast 2-D convolution and pooling for NumPy arrays.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        *("-V", "--version"), action="version", version=f"convolt {convolt.__version__}"
    )
    commands = parser.add_subparsers(required=True, title="commands", metavar="COMMAND")
    for command in _COMMANDS:
        command.add_to(commands)
    return parser
