"""Runs every benchmark of this folder, each in a process of its own, and prints their reports."""

import subprocess
import sys
from pathlib import Path

HELPERS = {"run.py", "harness.py"}


def main() -> int:
    """Runs the benchmarks named on the command line, or all; answers the number that failed."""
    folder = Path(__file__).resolve().parent
    wanted = sys.argv[1:]
    failures = 0
    for script in sorted(folder.glob("*.py")):
        if script.name in HELPERS or (wanted and script.stem not in wanted):
            continue
        print(f"=== {script.stem}", flush=True)
        failures += subprocess.run([sys.executable, str(script)], check=False).returncode != 0
    return failures


if __name__ == "__main__":
    sys.exit(main())
