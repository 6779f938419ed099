//! Deals rows out to partitions by ranges of their keys, so that partitions are
//! in order: sampling keys, choosing bounds among the samples, and splitting.

use crate::dtype::{DType, Scalar};
use crate::error::polars_error;
use crate::expression::ColExpr;
use crate::lower::{lower, scalars_to_series};
use crate::step::SortKey;
use crate::value::{Index, Partition};
use oxidask_core::{Error, Result};
use polars::prelude::*;
use std::cmp::Ordering;

/// Keys that a partition gives to the sample. With 64 partitions the bounds are
/// off by less than a hundredth of a partition.
const SAMPLES: usize = 4096;
const WEIGHT: &str = "weight";

fn key_name(key: usize) -> String {
    format!("key {key}")
}

/// The values of the keys of all rows, as columns `key 0`, `key 1`, ….
fn keys_of(frame: &DataFrame, keys: &[SortKey]) -> Result<DataFrame> {
    let schema = frame.schema().clone();
    let exprs: Vec<Expr> = keys
        .iter()
        .enumerate()
        .map(|(number, key)| Ok(lower(&key.by, &schema)?.alias(key_name(number))))
        .collect::<Result<_>>()?;
    frame.clone().lazy().select(exprs).collect().map_err(polars_error)
}

fn sort_options(keys: &[SortKey]) -> SortMultipleOptions {
    SortMultipleOptions::default()
        .with_order_descending_multi(keys.iter().map(|key| key.descending))
        .with_nulls_last_multi(keys.iter().map(|key| key.nulls_last))
        .with_maintain_order(true)
        .with_multithreaded(false)
}

fn sorted(frame: &DataFrame, keys: &[SortKey]) -> Result<DataFrame> {
    let by: Vec<String> = (0..keys.len()).map(key_name).collect();
    frame.sort(by, sort_options(keys)).map_err(polars_error)
}

/// A number that looks random and is the same every time.
fn scrambled(number: u64) -> u64 {
    let mut word = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Some of the keys of a partition, each with the number of rows for which it
/// stands. Of a single key the least and the greatest are among them.
pub(crate) fn sample(frame: &DataFrame, keys: &[SortKey]) -> Result<DataFrame> {
    let all = keys_of(frame, keys)?;
    let n_rows = all.height();
    let n_samples = n_rows.min(SAMPLES);
    // One row of every stretch; which one must not follow a period of the data.
    let row = |sample: usize| {
        let (start, end) = (sample * n_rows / n_samples, (sample + 1) * n_rows / n_samples);
        start + (scrambled(sample as u64) % (end - start) as u64) as usize
    };
    let rows: Vec<IdxSize> = (0..n_samples).map(|sample| row(sample) as IdxSize).collect();
    let mut samples = all.take(&IdxCa::from_vec(PlSmallStr::EMPTY, rows)).map_err(polars_error)?;
    let weight = n_rows as f64 / n_samples.max(1) as f64;
    samples.with_column(Column::new(WEIGHT.into(), vec![weight; n_samples])).map_err(polars_error)?;
    if keys.len() == 1 && n_rows > n_samples {
        let key = col(key_name(0));
        let nothing = lit(0.0).alias(WEIGHT);
        let end = |end: Expr| all.clone().lazy().select([end, nothing.clone()]).collect().map_err(polars_error);
        samples.vstack_mut(&end(key.clone().min())?).map_err(polars_error)?;
        samples.vstack_mut(&end(key.max())?).map_err(polars_error)?;
    }
    Ok(samples)
}

/// From samples of all partitions the first key, those at which the second and
/// every later one of `n_parts` partitions begins, and the last key. No row
/// where there are no samples.
pub(crate) fn bounds(samples: &DataFrame, keys: &[SortKey], n_parts: usize) -> Result<DataFrame> {
    let samples = sorted(samples, keys)?;
    let weights = samples.column(WEIGHT).map_err(polars_error)?.f64().map_err(polars_error)?;
    let total: f64 = weights.iter().flatten().sum();
    let mut rows: Vec<IdxSize> = Vec::new();
    let mut before = 0.0;
    for (row, weight) in weights.iter().enumerate() {
        before += weight.unwrap_or(0.0);
        while rows.len() < n_parts && before > total * rows.len() as f64 / n_parts as f64 {
            rows.push(row as IdxSize);
        }
    }
    if let Some(last) = samples.height().checked_sub(1) {
        if let Some(first) = rows.first_mut() {
            *first = 0;
        }
        rows.push(last as IdxSize);
    }
    let chosen = samples.take(&IdxCa::from_vec(PlSmallStr::EMPTY, rows)).map_err(polars_error)?;
    chosen.drop(WEIGHT).map_err(polars_error)
}

/// Bounds that are known, in the form that [`bounds`] answers.
pub(crate) fn known_bounds(bounds: &[Scalar], dtype: &DType) -> Result<Partition> {
    let values: Vec<&Scalar> = bounds.iter().collect();
    let series =
        scalars_to_series(&values).and_then(|series| series.strict_cast(&dtype.to_polars()?).map_err(polars_error));
    let series = series.map_err(|error| error.within(format!("divisions of an index of type {dtype}")))?;
    let column = series.with_name(key_name(0).into()).into_column();
    let frame = DataFrame::new(column.len(), vec![column]).map_err(polars_error)?;
    Ok(Partition { frame, index: Index::None })
}

/// How the keys of a row of `a` and a row of `b` are ordered.
fn compare(a: &[Column], row: usize, b: &[Column], other: usize, keys: &[SortKey]) -> Result<Ordering> {
    for ((a, b), key) in a.iter().zip(b).zip(keys) {
        let (x, y) = (a.get(row).map_err(polars_error)?, b.get(other).map_err(polars_error)?);
        let order = match (x.is_null(), y.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if key.nulls_last => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, true) if key.nulls_last => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => {
                let order = x.partial_cmp(&y).unwrap_or(Ordering::Equal);
                if key.descending { order.reverse() } else { order }
            }
        };
        if order != Ordering::Equal {
            return Ok(order);
        }
    }
    Ok(Ordering::Equal)
}

/// The first row of sorted keys that is not before a bound.
fn first_not_before(
    sorted: &[Column],
    n_rows: usize,
    bounds: &[Column],
    bound: usize,
    keys: &[SortKey],
) -> Result<usize> {
    let (mut low, mut high) = (0, n_rows);
    while low < high {
        let middle = (low + high) / 2;
        match compare(sorted, middle, bounds, bound, keys)? {
            Ordering::Less => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// The rows of a partition in `n_parts` parts, each in order: a row goes to the
/// last part whose lower bound is not after it.
pub(crate) fn split(
    partition: &Partition,
    keys: &[SortKey],
    bounds: &Partition,
    n_parts: usize,
) -> Result<Vec<Partition>> {
    let frame = partition.pinned_frame()?;
    let index = partition.index.pinned();
    let own = keys_of(&frame, keys)?;
    let types: Vec<DataType> = own.dtypes();
    let ordered = sorted(&own.with_row_index("row".into(), None).map_err(polars_error)?, keys)?;
    let rows = ordered.column("row").map_err(polars_error)?.idx().map_err(polars_error)?.rechunk().into_owned();
    let columns: Vec<Column> = (0..keys.len())
        .map(|key| ordered.column(&key_name(key)).cloned().map_err(polars_error))
        .collect::<Result<_>>()?;
    let limits: Vec<Column> = bounds
        .frame
        .columns()
        .iter()
        .zip(&types)
        .map(|(column, dtype)| column.cast(dtype).map_err(polars_error))
        .collect::<Result<_>>()?;
    let n_limits = bounds.frame.height();
    let mut starts = Vec::with_capacity(n_parts + 1);
    starts.push(0);
    for part in 1..n_parts {
        // Without samples there are no bounds, and no rows either.
        let known = part < n_limits.saturating_sub(1);
        let start = match known {
            true => first_not_before(&columns, rows.len(), &limits, part, keys)?,
            false => rows.len(),
        };
        starts.push(start);
    }
    starts.push(rows.len());
    let empty = frame.clear();
    starts
        .windows(2)
        .map(|ends| {
            if ends[0] == ends[1] {
                return Ok(Partition { frame: empty.clone(), index });
            }
            let part = rows.slice(ends[0] as i64, ends[1] - ends[0]);
            Ok(Partition { frame: frame.take(&part).map_err(polars_error)?, index })
        })
        .collect()
}

/// An ascending order by these expressions, missing values last.
pub(crate) fn ascending(by: impl IntoIterator<Item = ColExpr>) -> Vec<SortKey> {
    by.into_iter().map(|by| SortKey { by, descending: false, nulls_last: true }).collect()
}

/// Which of `n` partitions with these divisions may hold rows that belong
/// between two values, as first and end; all if a comparison has no answer.
pub(crate) fn overlapping(divisions: &[Scalar], from: Option<&Scalar>, to: Option<&Scalar>) -> Result<(usize, usize)> {
    let n = divisions.len().saturating_sub(1);
    let order = |a: &Scalar, b: &Scalar| {
        a.order(b)
            .ok_or_else(|| Error::type_(format!("{b} cannot be compared with the index, whose values are such as {a}")))
    };
    let mut first = 0;
    if let Some(from) = from {
        // A value equal to a division begins its partition, but the last
        // division belongs to the last partition.
        while first + 1 < n && order(&divisions[first + 1], from)? != Ordering::Greater {
            first += 1;
        }
        // Equal values may begin in the partition before.
        while first > 0 && order(&divisions[first], from)? == Ordering::Equal {
            first -= 1;
        }
    }
    let mut end = n;
    if let Some(to) = to {
        while end > first + 1 && order(&divisions[end - 1], to)? == Ordering::Greater {
            end -= 1;
        }
    }
    Ok((first, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::col;

    fn partition(values: Vec<Option<i64>>) -> Partition {
        Partition { frame: df!("x" => values).unwrap(), index: Index::Range(0) }
    }

    #[test]
    fn bounds_split_evenly_and_in_order() {
        let keys = ascending([col("x")]);
        let all: Vec<Option<i64>> = (0..20_000).map(|i| Some(i * 7919 % 20_000)).collect();
        let rows = partition(all);
        let bounds = bounds(&sample(&rows.frame, &keys).unwrap(), &keys, 8).unwrap();
        assert_eq!(bounds.height(), 9);
        let ends = bounds.column("key 0").unwrap().i64().unwrap().clone();
        assert_eq!((ends.get(0), ends.get(8)), (Some(0), Some(19_999)));
        let bounds = Partition { frame: bounds, index: Index::None };
        let parts = split(&rows, &keys, &bounds, 8).unwrap();
        let mut next = 0;
        for part in &parts {
            assert!((2000..3000).contains(&part.n_rows()), "{}", part.n_rows());
            let labels = part.frame.column("__index_level_0__").unwrap().i64().unwrap().clone();
            for (label, value) in labels.iter().zip(part.frame.column("x").unwrap().i64().unwrap().iter()) {
                assert_eq!(value, Some(next));
                assert_eq!(label.unwrap() * 7919 % 20_000, next);
                next += 1;
            }
        }
        assert_eq!(next, 20_000);
    }

    #[test]
    fn missing_keys_and_descending_orders_have_their_place() {
        let keys = [SortKey { by: col("x"), descending: true, nulls_last: true }];
        let rows = partition(vec![Some(1), None, Some(3), Some(2), None]);
        let samples = sample(&rows.frame, &keys).unwrap();
        let bounds = Partition { frame: bounds(&samples, &keys, 2).unwrap(), index: Index::None };
        let parts = split(&rows, &keys, &bounds, 2).unwrap();
        let values = |part: &Partition| part.frame.column("x").unwrap().i64().unwrap().iter().collect::<Vec<_>>();
        assert_eq!([values(&parts[0]), values(&parts[1])].concat(), [Some(3), Some(2), Some(1), None, None]);
    }

    #[test]
    fn nothing_to_sort_is_no_mistake() {
        let keys = ascending([col("x")]);
        let rows = partition(Vec::new());
        let samples = sample(&rows.frame, &keys).unwrap();
        let bounds = Partition { frame: bounds(&samples, &keys, 4).unwrap(), index: Index::None };
        assert_eq!(bounds.n_rows(), 0);
        assert_eq!(split(&rows, &keys, &bounds, 4).unwrap().len(), 4);
    }

    #[test]
    fn partitions_between_two_values() {
        let divisions: Vec<Scalar> = [0_i64, 10, 20, 30].into_iter().map(Scalar::Int).collect();
        let find = |from: Option<i64>, to: Option<i64>| {
            overlapping(&divisions, from.map(Scalar::Int).as_ref(), to.map(Scalar::Int).as_ref()).unwrap()
        };
        assert_eq!(find(None, None), (0, 3));
        assert_eq!(find(Some(5), Some(7)), (0, 1));
        assert_eq!(find(Some(10), Some(20)), (0, 3));
        assert_eq!(find(Some(11), Some(19)), (1, 2));
        assert_eq!(find(Some(30), None), (2, 3));
        assert!(overlapping(&divisions, Some(&Scalar::Str("a".to_owned())), None).is_err());
    }
}
