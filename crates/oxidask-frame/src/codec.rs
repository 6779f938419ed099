//! How a partition travels and spills: a small header, and the memory of its
//! columns as it lies, shared and not copied.

use crate::dtype::DType;
use crate::error::polars_error;
use crate::value::{Index, Partition};
use bytes::Bytes;
use oxidask_core::{Error, ErrorKind, Frames, Result};
use polars::prelude::*;
use polars_arrow::array::{
    Array, BinaryViewArray, BooleanArray, ListArray, NullArray, PrimitiveArray, Utf8ViewArray, View,
};
use polars_arrow::bitmap::Bitmap;
use polars_arrow::datatypes::ArrowDataType;
use polars_arrow::offset::OffsetsBuffer;
use polars_arrow::types::NativeType;
use polars_buffer::Buffer;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Header {
    index: Index,
    n_rows: u64,
    columns: Vec<ColumnHeader>,
}

#[derive(Serialize, Deserialize)]
struct ColumnHeader {
    name: String,
    dtype: DType,
    chunks: Vec<ChunkHeader>,
}

/// One array: its length, which bits of the first buffer are its nulls, and the
/// number of its buffers. Lists have a child.
#[derive(Serialize, Deserialize)]
struct ChunkHeader {
    length: u64,
    validity: Option<u64>,
    /// Where the bits of booleans start in their buffer.
    bit_offset: u64,
    n_buffers: u32,
    child: Option<Box<ChunkHeader>>,
}

pub(crate) fn encode(partition: &Partition) -> Result<Frames> {
    let mut buffers = Vec::new();
    let mut columns = Vec::with_capacity(partition.frame.width());
    for column in partition.frame.columns() {
        let dtype = DType::from_polars(column.dtype())?;
        // Codes of categories mean nothing to another process; names do.
        let series = match dtype {
            DType::Categorical => column.as_materialized_series().cast(&DataType::String).map_err(polars_error)?,
            _ => column.as_materialized_series().to_physical_repr().into_owned(),
        };
        let chunks = series.chunks().iter().map(|chunk| encode_array(&**chunk, &mut buffers)).collect::<Result<_>>()?;
        columns.push(ColumnHeader { name: column.name().to_string(), dtype, chunks });
    }
    let header = Header { index: partition.index, n_rows: partition.frame.height() as u64, columns };
    Ok(Frames { header: postcard::to_allocvec(&header)?.into(), buffers })
}

pub(crate) fn decode(frames: Frames) -> Result<Partition> {
    let header: Header = postcard::from_bytes(&frames.header)?;
    let mut buffers = frames.buffers.into_iter();
    let mut columns = Vec::with_capacity(header.columns.len());
    for column in header.columns {
        columns.push(decode_column(column, &mut buffers)?.into_column());
    }
    let n_rows = usize::try_from(header.n_rows).map_err(|_| malformed("a partition is too long for this machine"))?;
    let frame = DataFrame::new(n_rows, columns).map_err(polars_error)?;
    Ok(Partition { frame, index: header.index })
}

fn decode_column(column: ColumnHeader, buffers: &mut impl Iterator<Item = Bytes>) -> Result<Series> {
    let logical = column.dtype.to_polars()?;
    let travelled = if column.dtype == DType::Categorical { DataType::String } else { logical.clone() };
    let arrow = travelled.to_physical().to_arrow(CompatLevel::newest());
    let name = PlSmallStr::from_string(column.name);
    let mut series = Series::new_empty(name.clone(), &travelled);
    for chunk in column.chunks {
        let array = decode_array(chunk, &arrow, buffers)?;
        let chunk = Series::from_chunk_and_dtype(name.clone(), array, &travelled).map_err(polars_error)?;
        if series.is_empty() {
            series = chunk;
        } else {
            series.append(&chunk).map_err(polars_error)?;
        }
    }
    if column.dtype == DType::Categorical { series.cast(&logical).map_err(polars_error) } else { Ok(series) }
}

fn malformed(message: &str) -> Error {
    Error::new(ErrorKind::Version, message)
}

/// Shares the memory of `buffer` as bytes.
fn share<T: NativeType>(buffer: &Buffer<T>) -> Bytes {
    let length = buffer.len() * size_of::<T>();
    match buffer.clone().try_transmute::<u8>() {
        Ok(bytes) => Bytes::from_owner(bytes).slice(..length),
        Err(_) => unreachable!("bytes have no alignment"),
    }
}

fn share_bitmap(bitmap: &Bitmap) -> (Bytes, u64) {
    let (bytes, offset, _) = bitmap.as_slice();
    (Bytes::copy_from_slice(bytes), offset as u64)
}

fn encode_array(array: &dyn Array, buffers: &mut Vec<Bytes>) -> Result<ChunkHeader> {
    let mut header =
        ChunkHeader { length: array.len() as u64, validity: None, bit_offset: 0, n_buffers: 0, child: None };
    if let Some(validity) = array.validity() {
        let (bytes, offset) = share_bitmap(validity);
        header.validity = Some(offset);
        buffers.push(bytes);
    }
    let n_before = buffers.len();
    let any = array.as_any();
    if any.is::<NullArray>() {
        return Ok(header);
    } else if let Some(booleans) = any.downcast_ref::<BooleanArray>() {
        let (bytes, offset) = share_bitmap(booleans.values());
        header.bit_offset = offset;
        buffers.push(bytes);
    } else if let Some(strings) = any.downcast_ref::<Utf8ViewArray>() {
        let strings = strings.clone().maybe_gc();
        buffers.push(share(strings.views()));
        buffers.extend(strings.data_buffers().iter().map(share));
    } else if let Some(binary) = any.downcast_ref::<BinaryViewArray>() {
        let binary = binary.clone().maybe_gc();
        buffers.push(share(binary.views()));
        buffers.extend(binary.data_buffers().iter().map(share));
    } else if let Some(list) = any.downcast_ref::<ListArray<i64>>() {
        buffers.push(share(list.offsets().buffer()));
        header.n_buffers = 1;
        header.child = Some(Box::new(encode_array(&**list.values(), buffers)?));
        return Ok(header);
    } else {
        buffers.push(encode_primitive(array)?);
    }
    header.n_buffers = (buffers.len() - n_before) as u32;
    Ok(header)
}

macro_rules! each_primitive {
    ($call:ident) => {
        $call!(i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);
    };
}

fn encode_primitive(array: &dyn Array) -> Result<Bytes> {
    macro_rules! try_each {
        ($($native:ty)*) => {
            $(if let Some(array) = array.as_any().downcast_ref::<PrimitiveArray<$native>>() {
                return Ok(share(array.values()));
            })*
        };
    }
    each_primitive!(try_each);
    Err(Error::unsupported(format!("columns of type {:?} cannot travel", array.dtype())))
}

/// The bytes as numbers: shared where their address allows it, else copied to
/// one that does.
fn numbers<T: NativeType>(bytes: Bytes, length: usize) -> Result<Buffer<T>> {
    let size = length.checked_mul(size_of::<T>()).filter(|size| *size <= bytes.len());
    let size = size.ok_or_else(|| malformed("a column arrived with less memory than its length needs"))?;
    let bytes = bytes.slice(..size);
    if length == 0 {
        return Ok(Buffer::from_vec(Vec::new()));
    }
    match Buffer::<u8>::from_owner(bytes.clone()).try_transmute::<T>() {
        Ok(numbers) => Ok(numbers),
        Err(_) => {
            let mut words = vec![0_u128; size.div_ceil(16)];
            for (word, chunk) in words.iter_mut().zip(bytes.chunks(16)) {
                let mut whole = [0; 16];
                whole[..chunk.len()].copy_from_slice(chunk);
                *word = u128::from_ne_bytes(whole);
            }
            let numbers = Buffer::from_vec(words).try_transmute::<T>();
            Ok(numbers.unwrap_or_else(|_| unreachable!("words of 16 bytes fit every number")).sliced(..length))
        }
    }
}

fn bitmap(bytes: &Bytes, offset: u64, length: usize) -> Result<Bitmap> {
    let offset = usize::try_from(offset).map_err(|_| malformed("a column arrived with a wrong bit offset"))?;
    let bits = offset.checked_add(length).ok_or_else(|| malformed("a column arrived with a wrong bit offset"))?;
    let bitmap = Bitmap::try_new(bytes.to_vec(), bits).map_err(polars_error)?;
    Ok(bitmap.sliced(offset, length))
}

fn decode_array(
    header: ChunkHeader,
    arrow: &ArrowDataType,
    buffers: &mut impl Iterator<Item = Bytes>,
) -> Result<Box<dyn Array>> {
    let missing = || malformed("a column arrived without all of its buffers");
    let length = usize::try_from(header.length).map_err(|_| malformed("a column is too long for this machine"))?;
    let validity = match header.validity {
        Some(offset) => Some(bitmap(&buffers.next().ok_or_else(missing)?, offset, length)?),
        None => None,
    };
    let dtype = arrow.clone();
    if *arrow == ArrowDataType::Null {
        return Ok(Box::new(NullArray::try_new(dtype, length).map_err(polars_error)?));
    }
    let first = buffers.next().ok_or_else(missing)?;
    let mut rest = || -> Result<Buffer<Buffer<u8>>> {
        let n_rest = header.n_buffers.saturating_sub(1) as usize;
        let rest: Vec<Buffer<u8>> = buffers.by_ref().take(n_rest).map(Buffer::from_owner).collect();
        if rest.len() == n_rest { Ok(Buffer::from_vec(rest)) } else { Err(missing()) }
    };
    Ok(match arrow {
        ArrowDataType::Boolean => {
            let values = bitmap(&first, header.bit_offset, length)?;
            Box::new(BooleanArray::try_new(dtype, values, validity).map_err(polars_error)?)
        }
        ArrowDataType::Utf8View => {
            let views = numbers::<View>(first, length)?;
            Box::new(Utf8ViewArray::try_new(dtype, views, rest()?, validity).map_err(polars_error)?)
        }
        ArrowDataType::BinaryView => {
            let views = numbers::<View>(first, length)?;
            Box::new(BinaryViewArray::try_new(dtype, views, rest()?, validity).map_err(polars_error)?)
        }
        ArrowDataType::LargeList(field) => {
            let offsets = OffsetsBuffer::try_from(numbers::<i64>(first, length + 1)?).map_err(polars_error)?;
            let values = decode_array(*header.child.ok_or_else(missing)?, &field.dtype, buffers)?;
            Box::new(ListArray::<i64>::try_new(dtype, offsets, values, validity).map_err(polars_error)?)
        }
        _ => decode_primitive(arrow, first, length, validity)?,
    })
}

fn decode_primitive(
    arrow: &ArrowDataType,
    bytes: Bytes,
    length: usize,
    validity: Option<Bitmap>,
) -> Result<Box<dyn Array>> {
    macro_rules! try_each {
        ($($native:ty)*) => {
            $(if *arrow == ArrowDataType::from(<$native as NativeType>::PRIMITIVE) {
                let values = numbers::<$native>(bytes, length)?;
                let array = PrimitiveArray::try_new(arrow.clone(), values, validity).map_err(polars_error)?;
                return Ok(Box::new(array));
            })*
        };
    }
    each_primitive!(try_each);
    Err(malformed("a column arrived with a type that cannot travel"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxidask_core::{Data, Decode};

    fn everything() -> DataFrame {
        let long = "a string that is longer than twelve bytes";
        let mut frame = df!(
            "bool" => [Some(true), None, Some(false), Some(true)],
            "i8" => [1i8, -2, 3, 4],
            "i64" => [Some(1i64), Some(i64::MIN), None, Some(7)],
            "u32" => [1u32, 2, 3, u32::MAX],
            "f64" => [Some(0.5), Some(f64::NAN), None, Some(-0.0)],
            "str" => [Some("short"), Some(long), None, Some("")],
        )
        .unwrap();
        let i64s = frame.column("i64").unwrap().clone();
        let mut add = |name: &str, dtype: &DataType| {
            let column = i64s.cast(dtype).unwrap().with_name(name.into());
            frame.with_column(column).unwrap();
        };
        add("time", &DataType::Datetime(TimeUnit::Microseconds, None));
        add("length", &DataType::Duration(TimeUnit::Nanoseconds));
        let category = frame.column("str").unwrap().cast(&DType::Categorical.to_polars().unwrap()).unwrap();
        frame.with_column(category.with_name("category".into())).unwrap();
        frame.lazy().with_column(as_list([col("i64"), col("i8").cast(DataType::Int64)])).collect().unwrap()
    }

    fn as_list(exprs: [Expr; 2]) -> Expr {
        polars::lazy::dsl::concat_list(exprs).unwrap().alias("list")
    }

    fn round_trip(frame: DataFrame) {
        let partition = Partition { frame, index: Index::Range(5) };
        let back = Partition::decode(partition.encode().unwrap()).unwrap();
        assert!(back.frame.equals_missing(&partition.frame), "{:?}\n{:?}", back.frame, partition.frame);
        assert_eq!(back.frame.dtypes(), partition.frame.dtypes());
        assert_eq!(back.index, Index::Range(5));
    }

    #[test]
    fn every_type_round_trips() {
        round_trip(everything());
    }

    #[test]
    fn slices_chunks_and_empties_round_trip() {
        let frame = everything();
        round_trip(frame.slice(1, 2));
        round_trip(frame.slice(0, 0));
        round_trip(frame.vstack(&frame.slice(2, 2)).unwrap());
        round_trip(DataFrame::empty_with_height(3));
    }

    #[test]
    fn unaligned_memory_is_copied() {
        let partition = Partition { frame: everything(), index: Index::None };
        let mut frames = partition.encode().unwrap();
        for buffer in &mut frames.buffers {
            let mut shifted = vec![0_u8];
            shifted.extend_from_slice(buffer);
            *buffer = Bytes::from(shifted).slice(1..);
        }
        let back = Partition::decode(frames).unwrap();
        assert!(back.frame.equals_missing(&partition.frame));
    }

    #[test]
    fn missing_or_short_buffers_are_errors() {
        let frames = Partition { frame: everything(), index: Index::None }.encode().unwrap();
        for n_buffers in 0..frames.buffers.len() {
            let mut short = frames.clone();
            short.buffers.truncate(n_buffers);
            assert!(Partition::decode(short).is_err());
        }
        for buffer in 0..frames.buffers.len() {
            let mut short = frames.clone();
            let kept = short.buffers[buffer].len().saturating_sub(3);
            if short.buffers[buffer].is_empty() {
                continue;
            }
            short.buffers[buffer].truncate(kept / 4);
            // It may still decode where only unused bytes were cut off.
            let _ = Partition::decode(short);
        }
    }
}
