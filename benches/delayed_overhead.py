"""What a delayed call of a Python function costs, built and run on threads.

Contenders are the standard library's pool of threads and Dask, which at 10,000 tasks already takes as long as we do
for millions; larger graphs are therefore left to the other two.
"""

from concurrent.futures import ThreadPoolExecutor

import oxidask
from harness import compare, format_time


def inc(x):
    return x + 1


def add(x, y):
    return x + y


def ours(n):
    call = oxidask.delayed(inc)
    assert oxidask.compute(*[call(i) for i in range(n)], scheduler="threads")[-1] == n


def pool(n):
    with ThreadPoolExecutor() as executor:
        futures = [executor.submit(inc, i) for i in range(n)]
        assert [future.result() for future in futures][-1] == n


def dask_delayed(n):
    import dask

    call = dask.delayed(inc)
    assert dask.compute(*[call(i) for i in range(n)], scheduler="threads")[-1] == n


def chain(module, n):
    value = module.delayed(0)
    step = module.delayed(inc)
    for _ in range(n):
        value = step(value)
    assert value.compute(scheduler="threads") == n


def tree(module, n):
    plus = module.delayed(add)
    layer = [module.delayed(inc)(i) for i in range(n)]
    while len(layer) > 1:
        layer = [plus(a, b) for a, b in zip(layer[::2], layer[1::2], strict=True)]
    assert layer[0].compute(scheduler="threads") == n * (n + 1) // 2


def report(title, n_tasks, contenders, rounds):
    medians = compare(title, contenders, rounds)
    print("    a task: " + ", ".join(f"{name} {format_time(time / n_tasks)}" for name, time in medians.items()) + "\n")


def main():
    report(
        "10,000 independent delayed calls",
        10_000,
        {
            "oxidask": lambda: ours(10_000),
            "ThreadPoolExecutor": lambda: pool(10_000),
            "Dask": lambda: dask_delayed(10_000),
        },
        rounds=3,
    )
    report(
        "100,000 independent delayed calls",
        100_000,
        {"oxidask": lambda: ours(100_000), "ThreadPoolExecutor": lambda: pool(100_000)},
        rounds=3,
    )
    report("1,000,000 independent delayed calls", 1_000_000, {"oxidask": lambda: ours(1_000_000)}, rounds=2)
    report("chain of 20,000", 20_000, {"oxidask": lambda: chain(oxidask, 20_000)}, rounds=3)
    report("tree over 32,768 leaves (65,535 calls)", 65_535, {"oxidask": lambda: tree(oxidask, 32_768)}, rounds=3)


if __name__ == "__main__":
    main()
