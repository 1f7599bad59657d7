"""``python -m convolt info``."""

from __future__ import annotations

import argparse

import convolt
from convolt._cli.options import Commands


def add_to(commands: Commands) -> None:
    """Add the command."""
    what = "say how convolt was built and what it runs on"
    commands.add_parser("info", help=what, description=f"{what.capitalize()}.").set_defaults(
        run=run
    )


def run(_: argparse.Namespace) -> None:
    """Print what `convolt.build_info` returns."""
    lines = convolt.build_info()
    width = max(map(len, lines))
    for name, value in lines.items():
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        print(f"{name:{width}}  {shown}")
