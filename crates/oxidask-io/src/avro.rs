//! Avro's object container files: header, blocks, codecs, schemas and the
//! primitive encodings. Values are made by whoever reads them.
//!
//! A file is cut at its sync markers, as a text is at its newlines, so that
//! partitions of one file are read apart.

use crate::block::Block;
use crate::json::{Beyond, Json, Raw, parse};
use crate::location::Location;
use oxidask_core::{Error, ErrorKind, Result};
use std::collections::HashMap;
use std::io::{Read, Write};

/// The marker between blocks.
pub type Sync = [u8; 16];

const MAGIC: &[u8; 4] = b"Obj\x01";

/// What stands at the beginning of a file.
#[derive(Clone, Debug)]
pub struct Header {
    /// The schema, as JSON.
    pub schema: String,
    /// The name of the codec of all blocks.
    pub codec: String,
    /// The marker between blocks.
    pub sync: Sync,
    /// Where the first block begins.
    pub end: u64,
}

/// Bytes that are read from left to right.
pub struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The error inside a file; its reader adds which.
fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Io, format!("the Avro data is damaged: {what}"))
}

impl<'a> Input<'a> {
    /// An input at the beginning of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Input { bytes, at: 0 }
    }

    /// How many bytes were read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Whether all was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| corrupt("it ends within a value"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// A number of variable length, for `int` and `long`.
    ///
    /// # Errors
    /// If there is none.
    pub fn long(&mut self) -> Result<i64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(corrupt("a number is too long"))
    }

    /// A length or count.
    ///
    /// # Errors
    /// If it is negative.
    pub fn length(&mut self) -> Result<usize> {
        usize::try_from(self.long()?).map_err(|_| corrupt("a length is negative"))
    }

    /// The number of elements in the next block of an array or map; 0 at its end.
    ///
    /// # Errors
    /// If the block is damaged.
    pub fn count(&mut self) -> Result<usize> {
        let count = self.long()?;
        if count < 0 {
            // The size in bytes, for those who skip.
            self.long()?;
        }
        usize::try_from(count.unsigned_abs()).map_err(|_| corrupt("a count is too large"))
    }

    /// Bytes with their length before them.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn sized(&mut self) -> Result<&'a [u8]> {
        let n = self.length()?;
        self.take(n)
    }

    /// Text with its length before it.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.sized()?).map_err(|_| corrupt("a string is not UTF-8"))
    }

    /// The next bytes as an array.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }
}

/// Appends a number of variable length.
pub fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends bytes with their length before them.
pub fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

impl Header {
    /// The header at the beginning of a file.
    ///
    /// # Errors
    /// If the file is no Avro file; the message names it.
    pub fn read(file: &Block) -> Result<Self> {
        let location = Location::parse(&file.path, &file.options)?;
        let mut n = 1 << 16;
        loop {
            let bytes = location.read(0, Some(n), &file.options)?;
            match Header::parse(&bytes) {
                Ok(header) => return Ok(header),
                // A long schema needs more of the file.
                Err(_) if bytes.len() as u64 == n && n < HEADER_BYTES_MAX => n *= 4,
                Err(error) => return Err(error.within(format!("'{}', at offset 0", file.path))),
            }
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut input = Input::new(bytes);
        if input.take(4)? != MAGIC {
            return Err(corrupt("the file does not begin as Avro files do"));
        }
        let (mut schema, mut codec) = (None, "null".to_owned());
        loop {
            let count = input.count()?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                let (name, value) = (input.text()?, input.sized()?);
                let text = || String::from_utf8(value.to_vec()).map_err(|_| corrupt("the header is not UTF-8"));
                match name {
                    "avro.schema" => schema = Some(text()?),
                    "avro.codec" => codec = text()?,
                    _ => {}
                }
            }
        }
        let sync = input.array()?;
        let schema = schema.ok_or_else(|| corrupt("there is no schema"))?;
        Ok(Header { schema, codec, sync, end: input.position() as u64 })
    }

    /// The header as bytes, with further entries.
    #[must_use]
    pub fn to_bytes(&self, metadata: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put_long(&mut out, 2 + metadata.len() as i64);
        let own = [("avro.schema", self.schema.as_bytes()), ("avro.codec", self.codec.as_bytes())];
        let others = metadata.iter().map(|(name, value)| (name.as_str(), &value[..]));
        for (name, value) in own.into_iter().chain(others) {
            put_sized(&mut out, name.as_bytes());
            put_sized(&mut out, value);
        }
        put_long(&mut out, 0);
        out.extend_from_slice(&self.sync);
        out
    }

    /// Calls `see` with the number of records and the bytes of each of the blocks
    /// that begin in `part`.
    ///
    /// # Errors
    /// If a block is damaged; the message names the file and the offset.
    pub fn each_block(&self, part: &Block, mut see: impl FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
        let chunk = part.read(&self.sync, 1)?;
        let skip = usize::try_from(self.end.saturating_sub(chunk.offset)).unwrap_or(0).min(chunk.bytes.len());
        let mut input = Input::new(&chunk.bytes[skip..]);
        while !input.is_empty() {
            let offset = chunk.offset + (skip + input.position()) as u64;
            let mut block = || -> Result<()> {
                let count = input.length()?;
                let packed = input.sized()?;
                if input.array::<16>()? != self.sync {
                    return Err(corrupt("a block does not end with the file's marker"));
                }
                see(count, &decompress(&self.codec, packed)?)
            };
            block().map_err(|error| error.within(format!("'{}', block at offset {offset}", part.path)))?;
        }
        Ok(())
    }

    /// Appends a block of encoded records.
    ///
    /// # Errors
    /// If there is no such codec.
    pub fn put_block(&self, out: &mut Vec<u8>, count: usize, records: &[u8]) -> Result<()> {
        put_long(out, count as i64);
        put_sized(out, &compress(&self.codec, records)?);
        out.extend_from_slice(&self.sync);
        Ok(())
    }
}

const HEADER_BYTES_MAX: u64 = 1 << 28;

fn unknown_codec(codec: &str) -> Error {
    Error::value(format!("there is no Avro codec '{codec}'"))
        .with_hint("use 'null', 'deflate', 'snappy', 'zstandard', 'bzip2' or 'xz'")
}

fn decompress(codec: &str, packed: &[u8]) -> Result<Vec<u8>> {
    let damaged = |cause: &dyn std::fmt::Display| corrupt(&format!("{codec}: {cause}"));
    let read = |mut reader: Box<dyn Read + '_>| {
        let mut out = Vec::new();
        reader.read_to_end(&mut out).map_err(|cause| damaged(&cause)).map(|_| out)
    };
    match codec {
        "null" => Ok(packed.to_vec()),
        "deflate" => read(Box::new(flate2::bufread::DeflateDecoder::new(packed))),
        "bzip2" => read(Box::new(bzip2::bufread::BzDecoder::new(packed))),
        "xz" => read(Box::new(liblzma::bufread::XzDecoder::new(packed))),
        "zstandard" | "zstd" => zstd::stream::decode_all(packed).map_err(|cause| damaged(&cause)),
        "snappy" => {
            let (packed, sum) = packed.split_last_chunk::<4>().ok_or_else(|| corrupt("a block has no checksum"))?;
            let out = snap::raw::Decoder::new().decompress_vec(packed).map_err(|cause| damaged(&cause))?;
            if crc(&out).to_be_bytes() != *sum {
                return Err(corrupt("the checksum of a block is wrong"));
            }
            Ok(out)
        }
        other => Err(unknown_codec(other)),
    }
}

fn compress(codec: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let failed = |cause: std::io::Error| Error::io(format!("compressing with {codec}"), &cause);
    match codec {
        "null" => Ok(bytes.to_vec()),
        "deflate" => {
            let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            writer.write_all(bytes).and_then(|()| writer.finish()).map_err(failed)
        }
        "bzip2" => crate::Compression::Bz2.compress(bytes).map_err(failed),
        "xz" => crate::Compression::Xz.compress(bytes).map_err(failed),
        "zstandard" | "zstd" => crate::Compression::Zstd.compress(bytes).map_err(failed),
        "snappy" => {
            let packed = snap::raw::Encoder::new().compress_vec(bytes);
            let mut out = packed.map_err(|cause| failed(std::io::Error::other(cause)))?;
            out.extend_from_slice(&crc(bytes).to_be_bytes());
            Ok(out)
        }
        other => Err(unknown_codec(other)),
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A type of a schema; others are referred to by their number.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// `null`
    Null,
    /// `boolean`
    Boolean,
    /// `int`
    Int,
    /// `long`
    Long,
    /// `float`
    Float,
    /// `double`
    Double,
    /// `bytes`
    Bytes,
    /// `string`
    String,
    /// `fixed` of some bytes.
    Fixed(usize),
    /// `enum` of some symbols.
    Enum(Vec<String>),
    /// `array` of a type.
    Array(usize),
    /// `map` of texts to a type.
    Map(usize),
    /// One of some types.
    Union(Vec<usize>),
    /// Names and types of fields; and the defaults of those that have one, as JSON.
    Record(Vec<Field>),
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type's number.
    pub of: usize,
    /// The JSON of its default.
    pub default: Option<String>,
}

/// What values of a type mean: `timestamp-millis`, `decimal` …
#[derive(Clone, Debug, PartialEq)]
pub struct Logical {
    /// The name.
    pub name: String,
    /// Digits after the point of decimals.
    pub scale: i64,
}

/// A schema: all its types, the last of which is that of records.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    types: Vec<(Type, Option<Logical>)>,
    named: HashMap<String, usize>,
    root: usize,
}

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// If it is none; the message says what is wrong.
    ///
    /// ```
    /// use oxidask_io::avro::{Schema, Type};
    ///
    /// let schema = Schema::parse(r#"{"type": "array", "items": "long"}"#)?;
    /// assert!(matches!(schema.get(schema.root()).0, Type::Array(of) if schema.get(of).0 == Type::Long));
    /// # Ok::<(), oxidask_core::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        let mut schema = Schema::default();
        schema.root = schema.add(parse(text).map_err(|Beyond| invalid("it is no JSON"))?, "")?;
        Ok(schema)
    }

    /// The number of the type of the records.
    #[must_use]
    pub fn root(&self) -> usize {
        self.root
    }

    /// How many types there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// A type, and what its values mean.
    #[must_use]
    pub fn get(&self, number: usize) -> &(Type, Option<Logical>) {
        &self.types[number]
    }

    fn push(&mut self, of: Type, logical: Option<Logical>) -> usize {
        self.types.push((of, logical));
        self.types.len() - 1
    }

    fn add(&mut self, raw: Raw<'_>, space: &str) -> Result<usize> {
        match raw.decode().map_err(|Beyond| invalid("it is no JSON"))? {
            Json::Str(name) => match primitive(&name) {
                Some(of) => Ok(self.push(of, None)),
                None => {
                    let known = self.named.get(&full_name(&name, space)).or_else(|| self.named.get(&*name));
                    known.copied().ok_or_else(|| invalid(&format!("there is no type '{name}'")))
                }
            },
            Json::Array(raw) => {
                let mut types = Vec::new();
                each(raw, |element| {
                    types.push(self.add(element, space)?);
                    Ok(())
                })?;
                Ok(self.push(Type::Union(types), None))
            }
            Json::Object(raw) => self.add_object(raw, space),
            _ => Err(invalid("a type is a name, a list or an object")),
        }
    }

    fn add_object(&mut self, raw: Raw<'_>, space: &str) -> Result<usize> {
        let of = field(raw, "type")?.ok_or_else(|| invalid("a type has no \"type\""))?;
        let logical = logical_of(raw)?;
        let kind = match of.decode() {
            Ok(Json::Str(kind)) => kind,
            // `{"type": {…}}` is what is in it.
            _ => return self.add(of, space),
        };
        let need = |name: &str| field(raw, name)?.ok_or_else(|| invalid(&format!("'{kind}' has no \"{name}\"")));
        if !matches!(&*kind, "record" | "error" | "enum" | "fixed" | "array" | "map") {
            let number = self.add(of, space)?;
            if logical.is_some() {
                let of = self.types[number].0.clone();
                return Ok(self.push(of, logical));
            }
            return Ok(number);
        }
        if let "array" | "map" = &*kind {
            let inner = self.add(need(if kind == "array" { "items" } else { "values" })?, space)?;
            return Ok(self.push(if kind == "array" { Type::Array(inner) } else { Type::Map(inner) }, logical));
        }
        let own_space = field(raw, "namespace")?.map_or(Ok(space.to_owned()), text)?;
        let name = full_name(&text(need("name")?)?, &own_space);
        let space = name.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
        // Named before its fields are read, which may refer to it.
        let number = self.push(Type::Null, logical);
        self.named.insert(name, number);
        self.types[number].0 = match &*kind {
            "fixed" => match need("size")?.decode() {
                Ok(Json::Int(size)) => Type::Fixed(usize::try_from(size).map_err(|_| invalid("a size is negative"))?),
                _ => return Err(invalid("a size is no number")),
            },
            "enum" => {
                let mut symbols = Vec::new();
                each(need("symbols")?, |symbol| {
                    symbols.push(text(symbol)?);
                    Ok(())
                })?;
                Type::Enum(symbols)
            }
            _ => {
                let mut fields = Vec::new();
                each(need("fields")?, |raw| {
                    let name = text(field(raw, "name")?.ok_or_else(|| invalid("a field has no name"))?)?;
                    let of = field(raw, "type")?.ok_or_else(|| invalid(&format!("the field '{name}' has no type")))?;
                    // Logical types may stand beside the type of a field.
                    let of = self.add(of, &space)?;
                    fields.push(Field { name, of, default: field(raw, "default")?.map(|raw| raw.text().to_owned()) });
                    Ok(())
                })?;
                Type::Record(fields)
            }
        };
        Ok(number)
    }
}

fn invalid(what: &str) -> Error {
    Error::value(format!("the Avro schema is not valid: {what}"))
}

fn primitive(name: &str) -> Option<Type> {
    Some(match name {
        "null" => Type::Null,
        "boolean" => Type::Boolean,
        "int" => Type::Int,
        "long" => Type::Long,
        "float" => Type::Float,
        "double" => Type::Double,
        "bytes" => Type::Bytes,
        "string" => Type::String,
        _ => return None,
    })
}

fn full_name(name: &str, space: &str) -> String {
    if space.is_empty() || name.contains('.') { name.to_owned() } else { format!("{space}.{name}") }
}

fn field<'a>(raw: Raw<'a>, name: &str) -> Result<Option<Raw<'a>>> {
    if !raw.is_object() {
        return Err(invalid("an object is needed"));
    }
    raw.get(name).map_err(|Beyond| invalid("it is no JSON"))
}

fn text(raw: Raw<'_>) -> Result<String> {
    match raw.decode() {
        Ok(Json::Str(text)) => Ok(text.into_owned()),
        _ => Err(invalid("a name is no text")),
    }
}

fn each<'a>(raw: Raw<'a>, mut see: impl FnMut(Raw<'a>) -> Result<()>) -> Result<()> {
    if !raw.text().starts_with('[') {
        return Err(invalid("a list is needed"));
    }
    let mut failed = None;
    let done = raw.each_element(|element| {
        see(element).map_err(|error| {
            failed = Some(error);
            Beyond
        })
    });
    match (failed, done) {
        (Some(error), _) => Err(error),
        (None, done) => done.map_err(|Beyond| invalid("it is no JSON")),
    }
}

fn logical_of(raw: Raw<'_>) -> Result<Option<Logical>> {
    let Some(name) = field(raw, "logicalType")? else { return Ok(None) };
    let scale = match field(raw, "scale")?.map(Raw::decode) {
        Some(Ok(Json::Int(scale))) => scale,
        _ => 0,
    };
    Ok(Some(Logical { name: text(name)?, scale }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BlockOptions, StorageOptions, plan};

    fn header(codec: &str) -> Header {
        Header { schema: "\"long\"".to_owned(), codec: codec.to_owned(), sync: *b"0123456789abcdef", end: 0 }
    }

    /// A file of blocks of some numbers each, as Avro longs.
    fn file_of(codec: &str, folder: &tempfile::TempDir) -> String {
        let mut bytes = header(codec).to_bytes(&[("more".to_owned(), b"x".to_vec())]);
        for block in 0..50 {
            let mut records = Vec::new();
            (0..20).for_each(|n| put_long(&mut records, block * 20 + n));
            header(codec).put_block(&mut bytes, 20, &records).unwrap();
        }
        let path = folder.path().join(codec).to_string_lossy().into_owned();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn numbers_of(path: &str, block_bytes: Option<u64>) -> Result<Vec<i64>> {
        let whole = &plan(&[path.to_owned()], &BlockOptions::default(), &StorageOptions::default())?[0][0];
        let header = Header::read(whole)?;
        let options = BlockOptions { block_bytes, delimiter: header.sync.to_vec(), ..BlockOptions::default() };
        let mut numbers = Vec::new();
        for part in &plan(&[path.to_owned()], &options, &StorageOptions::default())?[0] {
            header.each_block(part, |count, bytes| {
                let mut input = Input::new(bytes);
                for _ in 0..count {
                    numbers.push(input.long()?);
                }
                Ok(())
            })?;
        }
        Ok(numbers)
    }

    #[test]
    fn every_codec_and_cut_gives_all_records() {
        let folder = tempfile::tempdir().unwrap();
        for codec in ["null", "deflate", "snappy", "zstandard", "bzip2", "xz"] {
            let path = file_of(codec, &folder);
            for block_bytes in [None, Some(1), Some(100), Some(333), Some(100_000)] {
                assert_eq!(numbers_of(&path, block_bytes).unwrap(), (0..1000).collect::<Vec<i64>>(), "{codec}");
            }
        }
        assert!(header("lzw").put_block(&mut Vec::new(), 0, b"").unwrap_err().to_string().contains("lzw"));
    }

    #[test]
    fn damage_is_named_with_file_and_offset() {
        let folder = tempfile::tempdir().unwrap();
        for codec in ["deflate", "snappy"] {
            let path = file_of(codec, &folder);
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle..middle + 10].fill(0xff);
            std::fs::write(&path, bytes).unwrap();
            let error = numbers_of(&path, None).unwrap_err().to_string();
            assert!(error.contains(&path) && error.contains("block at offset"), "{error}");
        }
        let path = folder.path().join("text").to_string_lossy().into_owned();
        std::fs::write(&path, "no avro at all").unwrap();
        let error = numbers_of(&path, None).unwrap_err().to_string();
        assert!(error.contains(&path) && error.contains("does not begin"), "{error}");
    }

    #[test]
    fn schemas_and_their_mistakes() {
        let tree = r#"{"type": "record", "name": "Node", "namespace": "a.b", "fields": [
            {"name": "next", "type": ["null", "Node"], "default": null},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}"#;
        let schema = Schema::parse(tree).unwrap();
        let Type::Record(fields) = &schema.get(schema.root()).0 else { panic!("no record") };
        assert_eq!(fields[0].default.as_deref(), Some("null"));
        assert_eq!(schema.get(fields[0].of).0, Type::Union(vec![1, 0]));
        assert_eq!(schema.get(fields[1].of).1.as_ref().unwrap().name, "timestamp-millis");
        for broken in ["", "12", r#""nothing""#, "{}", r#"{"type": "record", "name": "x"}"#, r#"{"type": "fixed"}"#] {
            assert!(Schema::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn numbers_travel() {
        for number in [0, -1, 1, 63, 64, -65, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_long(&mut bytes, number);
            assert_eq!(Input::new(&bytes).long().unwrap(), number);
        }
        assert!(Input::new(&[0xff; 11]).long().is_err());
    }
}
