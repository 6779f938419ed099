"""Merges by the engine have pandas' columns and rows, whatever the names on both sides."""

import numpy as np
import oxidask.dataframe as dd
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

# Names that suffixes make of others are among them.
NAMES = ["a", "b", "c", "a_x", "b_y"]
SIDES = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)


def rows(names: list[str], n: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame({name: random.integers(0, 3, n) for name in names})


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(list(frame.columns)).reset_index(drop=True).astype(float)


@settings(deadline=None, max_examples=60)
@given(
    SIDES,
    SIDES,
    st.sampled_from(["inner", "left", "right", "outer"]),
    st.sampled_from([("_x", "_y"), ("", "_r"), ("_l", "")]),
    st.data(),
)
def test_names_and_rows_are_those_of_pandas(left, right, how, suffixes, data):
    n_keys = data.draw(st.integers(1, min(2, len(left), len(right))))
    left_on = data.draw(st.permutations(left))[:n_keys]
    same = set(left_on) <= set(right) and data.draw(st.booleans())
    right_on = left_on if same else data.draw(st.permutations(right))[:n_keys]
    a, b = rows(left, 6, 1), rows(right, 5, 2)
    arguments = {"left_on": left_on, "right_on": right_on, "how": how, "suffixes": suffixes}
    lazy = dd.from_pandas(a, npartitions=2), dd.from_pandas(b, npartitions=2)
    try:
        wanted = a.merge(b, **arguments)
    except pd.errors.MergeError as error:
        with np.testing.assert_raises(type(error)):
            lazy[0].merge(lazy[1], **arguments).compute()
        return
    merged = lazy[0].merge(lazy[1], **arguments)
    assert list(merged.columns) == list(wanted.columns)
    pd.testing.assert_frame_equal(ordered(merged.compute()), ordered(wanted))
