"""Arrays beside Dask's threads and NumPy: indexing, order, counting, transforms and linear algebra."""

import dask.array as dda
import numpy as np
import oxidask.array as da
from harness import compare

N = 6000
CHUNKS = (1000, 1000)
ROWS = (1000, N)


def smoothed(block: np.ndarray) -> np.ndarray:
    """The mean of every element and its four neighbours."""
    around = np.roll(block, 1, 0) + np.roll(block, -1, 0) + np.roll(block, 1, 1) + np.roll(block, -1, 1)
    return (block + around) / 5


def main() -> None:
    """Prints all comparisons."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(N, N))
    rows = rng.permutation(N)
    tall = rng.normal(size=(400_000, 50))

    def of(module: object, values: np.ndarray, chunks: object) -> object:
        return values if module is np else module.from_array(values, chunks=chunks, name=f"{values.shape}{chunks}")

    workloads = {
        "cumsum(axis=0)": lambda m: of(m, data, CHUNKS).cumsum(axis=0),
        "x[x > 0].sum()": lambda m: (lambda x: x[x > 0].sum())(of(m, data, CHUNKS)),
        "x[rows]": lambda m: of(m, data, CHUNKS)[rows],
        "histogram, 100 bins": lambda m: m.histogram(of(m, data, CHUNKS), bins=100, range=(-4, 4))[0],
        "median(axis=1)": lambda m: m.median(of(m, data, ROWS), axis=1),
        "x.max(axis=0)": lambda m: of(m, data, CHUNKS).max(axis=0),
        "rechunk rows to columns": lambda m: data + 1 if m is np else (of(m, data, ROWS) + 1).rechunk((N, 1000)),
        "exp(x)": lambda m: m.exp(of(m, data, CHUNKS)),
        "x ** 1.7": lambda m: abs(of(m, data, CHUNKS)) ** 1.7,
        "fft along rows": lambda m: m.fft.fft(of(m, data, ROWS), axis=1),
        "map_overlap smoothing": lambda m: (
            smoothed(data) if m is np else m.map_overlap(smoothed, of(m, data, CHUNKS), depth=1, boundary="reflect")
        ),
        "qr of 400,000 x 50": lambda m: m.linalg.qr(of(m, tall, (50_000, 50)))[1],
        "singular values of 400,000 x 50": lambda m: (
            np.linalg.svd(tall, full_matrices=False)[1] if m is np else m.linalg.svd(of(m, tall, (50_000, 50)))[1]
        ),
        "einsum ij,jk->ik of 3000": lambda m: m.einsum(
            "ij,jk->ik", of(m, data[:3000, :3000], CHUNKS), of(m, data[3000:, 3000:], CHUNKS)
        ),
        "matmul of 4000 x 4000": lambda m: of(m, data[:4000, :4000], CHUNKS) @ of(m, data[:4000, :4000], CHUNKS),
    }
    for title, work in workloads.items():
        compare(
            title,
            {
                "oxidask": lambda work=work: work(da).compute(),
                "dask threads": lambda work=work: work(dda).compute(),
                "numpy": lambda work=work: work(np),
            },
            rounds=3,
        )


if __name__ == "__main__":
    main()
