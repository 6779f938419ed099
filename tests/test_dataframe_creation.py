"""Frames of delayed values, functions and bags."""

from __future__ import annotations

import oxidask
import oxidask.bag as db
import oxidask.dataframe as dd
import pandas as pd
import pytest


@oxidask.delayed
def load(i):
    return pd.DataFrame({"x": [i, i + 1], "k": ["a", "b"]}, index=[2 * i, 2 * i + 1])


def test_delayed_frames_are_partitions(scheduler):
    df = dd.from_delayed([load(0), load(1)], divisions=(0, 2, 3))
    with oxidask.config.set(scheduler=scheduler):
        pd.testing.assert_frame_equal(df.compute(), pd.concat([load(0).compute(), load(1).compute()]))
        assert df.divisions == (0, 2, 3)
        assert df.groupby("k").x.sum().compute().to_dict() == {"a": 1, "b": 3}


def test_delayed_frames_must_be_what_their_meta_says():
    df = dd.from_delayed([load(0)], meta={"x": "int64", "y": "str"})
    with pytest.raises(ValueError, match="other columns or types than its meta"):
        df.compute()
    with pytest.raises(TypeError, match="takes delayed values, not a DataFrame"):
        dd.from_delayed([pd.DataFrame()])
    with pytest.raises(ValueError, match="divisions of 1 partitions are 2 values"):
        dd.from_delayed([load(0)], divisions=(0, 1, 2))


def test_partitions_come_out_as_delayed_values(scheduler):
    pdf = pd.DataFrame({"x": range(10)})
    df = dd.from_pandas(pdf, npartitions=3)
    parts = (df + 1).to_delayed()
    with oxidask.config.set(scheduler=scheduler):
        pd.testing.assert_frame_equal(pd.concat(oxidask.compute(*parts)), pdf + 1)
        back = dd.from_delayed(parts, meta=df._meta)
        pd.testing.assert_frame_equal(back.compute(), pdf + 1)


def test_a_function_of_values_makes_partitions(scheduler):
    df = dd.from_map(lambda i, j, by: pd.DataFrame({"x": [i * by + j]}), [1, 2], [3, 4], by=10)
    assert df.compute(scheduler=scheduler).x.tolist() == [13, 24]
    with pytest.raises(ValueError, match="same length"):
        dd.from_map(lambda i, j: None, [1], [1, 2])


def test_bags_become_frames(scheduler):
    rows = [{"x": i, "name": f"n{i}"} for i in range(7)]
    df = db.from_sequence(rows, npartitions=3).to_dataframe()
    with oxidask.config.set(scheduler=scheduler):
        pd.testing.assert_frame_equal(df.compute().reset_index(drop=True), pd.DataFrame(rows))
        assert df.to_bag(format="dict").compute() == rows
