//! The value that tasks of frames exchange: one partition.
//!
//! A [`Partition`] is a Polars frame and an index, which Polars does not have.
//! Index levels that need memory are hidden columns of the same frame, so that
//! every step carries them along; a default index is a starting number and no
//! column.

use crate::codec;
use crate::error::polars_error;
use oxidask_core::{Data, Decode, Frames, Result};
use oxidask_macros::data;
use polars::prelude::*;
use serde::{Deserialize, Serialize};

/// The index of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Index {
    /// Nobody asks for it: the rows have no names.
    None,
    /// Whole numbers from this one on.
    Range(i64),
    /// As many levels as this, in the hidden columns [`level_name`].
    Levels(u32),
}

impl Index {
    /// The kind of index once every row has its label beside it.
    #[must_use]
    pub(crate) fn pinned(self) -> Index {
        if let Index::Range(_) = self { Index::Levels(1) } else { self }
    }
}

/// The hidden column that holds a level of the index.
#[must_use]
pub fn level_name(level: usize) -> String {
    format!("__index_level_{level}__")
}

/// Whether a column is a hidden one.
#[must_use]
pub fn is_hidden(name: &str) -> bool {
    name.starts_with("__index_level_") && name.ends_with("__")
}

/// Rows of a frame: columns and their index.
#[data("frame.partition")]
#[derive(Clone, Debug)]
pub struct Partition {
    /// The columns, the hidden ones of the index first.
    pub frame: DataFrame,
    /// What names the rows.
    pub index: Index,
}

impl Partition {
    /// The number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.frame.height()
    }

    /// The rows of all `partitions` under each other. A default index stays one
    /// only where the numbers run on.
    ///
    /// # Errors
    /// If the columns differ in name or type.
    pub fn concat(partitions: &[&Partition]) -> Result<Partition> {
        let Some(first) = partitions.first() else {
            return Ok(Partition { frame: DataFrame::empty(), index: Index::None });
        };
        if partitions.len() == 1 {
            return Ok((*first).clone());
        }
        let index = common_index(partitions);
        let mut frames = partitions.iter().map(|part| match index {
            Index::Levels(_) => part.with_levels(),
            Index::None | Index::Range(_) => Ok(part.frame.clone()),
        });
        let mut all = frames.next().expect("there are at least two partitions")?;
        for frame in frames {
            all.vstack_mut_owned(frame?).map_err(polars_error)?;
        }
        Ok(Partition { frame: all, index })
    }

    /// The frame with labels that rows keep wherever they go, unless nobody asks
    /// for them.
    pub(crate) fn pinned_frame(&self) -> Result<DataFrame> {
        if self.index == Index::None { Ok(self.frame.clone()) } else { self.with_levels() }
    }

    /// The frame with a hidden column for its index, made if there is none.
    pub(crate) fn with_levels(&self) -> Result<DataFrame> {
        let start = match self.index {
            Index::Levels(_) => return Ok(self.frame.clone()),
            Index::None => 0,
            Index::Range(start) => start,
        };
        let labels: Vec<i64> = (start..).take(self.n_rows()).collect();
        let mut frame = self.frame.clone();
        frame.insert_column(0, Column::new(level_name(0).into(), labels)).map_err(polars_error)?;
        Ok(frame)
    }
}

/// The kind of index that rows of all `partitions` have under each other.
fn common_index(partitions: &[&Partition]) -> Index {
    let mut next = None;
    for part in partitions {
        match part.index {
            Index::None => return Index::None,
            Index::Levels(levels) => return Index::Levels(levels),
            // An empty range fits everywhere.
            Index::Range(_) if part.n_rows() == 0 => {}
            Index::Range(start) => {
                if next.is_some_and(|next| next != start) {
                    return Index::Levels(1);
                }
                next = Some(start + part.n_rows() as i64);
            }
        }
    }
    let first = partitions.iter().find(|part| part.n_rows() > 0).or(partitions.first());
    first.map_or(Index::None, |part| part.index)
}

impl Data for Partition {
    fn nbytes(&self) -> u64 {
        self.frame.estimated_size() as u64
    }

    fn encode(&self) -> Result<Frames> {
        codec::encode(self)
    }
}

impl Decode for Partition {
    fn decode(frames: Frames) -> Result<Self> {
        codec::decode(frames)
    }
}
