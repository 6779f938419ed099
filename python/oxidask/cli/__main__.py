"""Runs the command as ``python -m oxidask.cli``."""

import sys

from oxidask.cli import main

sys.exit(main())
