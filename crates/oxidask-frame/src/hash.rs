//! Deals rows out to partitions by a hash of their keys.
//!
//! The hash is our own and does not depend on the process, the partition or the
//! width of a number, so that equal keys of two frames meet wherever they come
//! from.

use crate::dtype::DType;
use crate::error::polars_error;
use crate::expression::ColExpr;
use crate::lower::lower;
use crate::value::Partition;
use oxidask_core::Result;
use polars::prelude::*;

/// What missing keys hash to.
const MISSING: u64 = 0x9e37_79b9_7f4a_7c15;

/// A bijection whose bits all depend on all bits.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

fn hash_text(text: &[u8]) -> u64 {
    let mut hash = text.len() as u64;
    for chunk in text.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = mix(hash ^ u64::from_le_bytes(word)).wrapping_add(MISSING);
    }
    hash
}

/// Whole floats hash as the whole numbers that they equal.
fn hash_float(value: f64) -> u64 {
    let whole = value as i64;
    if whole as f64 == value { mix(whole as u64) } else { mix(value.to_bits()) }
}

/// Adds the hashes of a column's values to those of the columns before.
fn add_column(hashes: &mut [u64], column: &Series) -> Result<()> {
    let add = |hash: &mut u64, value: u64| *hash = mix(hash.rotate_left(17) ^ value);
    let dtype = DType::from_polars(column.dtype())?;
    if matches!(dtype, DType::Str | DType::Categorical | DType::Binary) {
        let strings = column.cast(&DataType::String).map_err(polars_error)?;
        for (hash, text) in hashes.iter_mut().zip(strings.str().map_err(polars_error)?.iter()) {
            add(hash, text.map_or(MISSING, |text| hash_text(text.as_bytes())));
        }
    } else if dtype.is_float() {
        let floats = column.cast(&DataType::Float64).map_err(polars_error)?;
        for (hash, value) in hashes.iter_mut().zip(floats.f64().map_err(polars_error)?.iter()) {
            add(hash, value.map_or(MISSING, hash_float));
        }
    } else {
        let whole = column.to_physical_repr().cast(&DataType::Int64).map_err(polars_error)?;
        for (hash, value) in hashes.iter_mut().zip(whole.i64().map_err(polars_error)?.iter()) {
            add(hash, value.map_or(MISSING, |value| mix(value as u64)));
        }
    }
    Ok(())
}

/// The rows of a partition in `n_parts` parts; rows with equal keys are in the
/// same one, in their old order.
pub(crate) fn split(partition: &Partition, by: &[ColExpr], n_parts: usize) -> Result<Vec<Partition>> {
    let frame = partition.pinned_frame()?;
    let index = partition.index.pinned();
    let schema = partition.frame.schema().clone();
    let exprs: Vec<Expr> = by
        .iter()
        .enumerate()
        .map(|(number, key)| Ok(lower(key, &schema)?.alias(format!("key {number}"))))
        .collect::<Result<_>>()?;
    let keys = partition.frame.clone().lazy().select(exprs).collect().map_err(polars_error)?;
    let mut hashes = vec![0_u64; partition.n_rows()];
    for column in keys.columns() {
        add_column(&mut hashes, column.as_materialized_series())?;
    }
    let mut rows: Vec<Vec<IdxSize>> = vec![Vec::new(); n_parts];
    for (row, hash) in hashes.into_iter().enumerate() {
        let part = (u128::from(hash) * n_parts as u128) >> 64;
        rows[part as usize].push(row as IdxSize);
    }
    let empty = frame.clear();
    rows.into_iter()
        .map(|rows| {
            if rows.is_empty() {
                return Ok(Partition { frame: empty.clone(), index });
            }
            let rows = IdxCa::from_vec(PlSmallStr::EMPTY, rows);
            Ok(Partition { frame: frame.take(&rows).map_err(polars_error)?, index })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::col;
    use crate::value::Index;

    #[test]
    fn equal_keys_meet_whatever_their_type() {
        let whole = Partition { frame: df!("k" => [1i64, 2, 3, 1]).unwrap(), index: Index::None };
        let float = Partition { frame: df!("k" => [1.0, 2.0, 3.0, 2.5]).unwrap(), index: Index::None };
        let (a, b) = (split(&whole, &[col("k")], 7).unwrap(), split(&float, &[col("k")], 7).unwrap());
        for key in [1_i64, 2, 3] {
            let holds = |parts: &[Partition]| {
                parts.iter().position(|part| {
                    let keys = part.frame.column("k").unwrap().cast(&DataType::Int64).unwrap();
                    keys.i64().unwrap().iter().any(|value| value == Some(key))
                })
            };
            assert_eq!(holds(&a), holds(&b));
        }
        assert_eq!(a.iter().map(Partition::n_rows).sum::<usize>(), 4);
    }

    #[test]
    fn parts_are_about_equal() {
        let keys: Vec<String> = (0..10_000).map(|i| format!("key {i}")).collect();
        let partition = Partition { frame: df!("k" => keys).unwrap(), index: Index::Range(0) };
        let parts = split(&partition, &[col("k")], 10).unwrap();
        assert!(parts.iter().all(|part| (800..1200).contains(&part.n_rows())));
    }
}
