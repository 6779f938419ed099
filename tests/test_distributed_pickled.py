"""What a function refers to is what it was when it was submitted, however often its pickled form is used again."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import math
from oxidask.distributed import Client

SCALE = 1
TABLE = {"x": 1}

def scaled(x, by=10):
    return SCALE * x * by

def helped(x):
    return helper(x)

def helper(x):
    return -x

def looked_up(name):
    return TABLE[name]

def rooted(x):
    return math.isqrt(x)

def made(step):
    return lambda x: x + step

if __name__ == "__main__":
    with Client(n_workers=1, threads_per_worker=1) as client:
        def run(function, *args):
            return client.submit(function, *args, pure=False).result()

        assert [run(scaled, 2) for _ in range(3)] == [20, 20, 20]
        SCALE = 5
        assert run(scaled, 2) == 100
        scaled.__defaults__ = (1,)
        assert run(scaled, 2) == 10
        scaled.__code__ = (lambda x, by: by - x).__code__
        assert run(scaled, 2) == -1

        assert [run(helped, 1), run(helped, 1)] == [-1, -1]
        def helper(x):
            return 7 * x
        assert run(helped, 1) == 7

        assert run(looked_up, "x") == 1
        TABLE["x"] = 2
        assert run(looked_up, "x") == 2

        assert [run(rooted, 17), run(rooted, 26)] == [4, 5]
        class math:
            isqrt = str
        assert run(rooted, 17) == "17"

        assert [run(made(1), 1), run(made(2), 1)] == [2, 3]
        numbers = [run(lambda x, n=n: x * n, 2) for n in range(5)]
        assert numbers == [0, 2, 4, 6, 8], numbers
    print("as they were")
"""


def test_functions_of_a_script_are_what_they_are_when_submitted(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(PROGRAM)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "as they were\n"
