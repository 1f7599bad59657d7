"""The command line: ``python -m convolt --help`` says what it can do."""

from __future__ import annotations

import sys

from convolt._cli import main

if __name__ == "__main__":
    sys.exit(main())
