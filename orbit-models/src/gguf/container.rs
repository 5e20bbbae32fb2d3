//! The container format, versions 2 and 3, little-endian: metadata by key, then tensor descriptions, then aligned data.
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>

use std::collections::BTreeMap;

use super::block::BlockType;

const MAGIC: &[u8] = b"GGUF";
const ALIGNMENT_KEY: &str = "general.alignment";
const DEFAULT_ALIGNMENT: u64 = 32;
const MAX_DIMENSIONS: u32 = 4;

/// A metadata value. Integers of all widths are one variant each for signed and unsigned, and so are floats.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    String(String),
    Array(Vec<Value>),
}

/// What a file says about one tensor.
#[derive(Debug)]
pub(super) struct TensorInfo {
    pub(super) name: String,
    /// Outermost dimension first; files have it last.
    pub(super) shape: Vec<usize>,
    pub(super) kind: BlockType,
    /// Its bytes in the file.
    pub(super) range: std::ops::Range<usize>,
}

/// A parsed header.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) metadata: BTreeMap<String, Value>,
    pub(super) tensors: Vec<TensorInfo>,
}

impl Container {
    /// Parses the header of `file`. Every tensor of the result lies within `file`.
    pub(super) fn parse(file: &[u8]) -> Result<Self, String> {
        let mut cursor = Cursor { file, at: 0 };
        if cursor.take(4)? != MAGIC {
            return Err("not a GGUF file: it does not begin with \"GGUF\"".to_owned());
        }
        let version = cursor.u32()?;
        if !(2..=3).contains(&version) {
            return Err(format!("GGUF version {version} (little-endian); versions 2 and 3 can be read"));
        }
        let tensor_count = cursor.u64()?;
        let metadata_count = cursor.u64()?;
        let mut metadata = BTreeMap::new();
        for _ in 0..metadata_count {
            let key = cursor.string()?;
            let kind = cursor.u32()?;
            let value = cursor.value(kind)?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(format!("metadata key {key} is there twice"));
            }
        }
        // Nothing is reserved by a count from the file: a count that lies ends at the end of the file.
        let mut headers = BTreeMap::new();
        for _ in 0..tensor_count {
            let (name, header) = cursor.tensor_header()?;
            if headers.insert(name.clone(), header).is_some() {
                return Err(format!("tensor {name} is there twice"));
            }
        }
        let alignment = match metadata.get(ALIGNMENT_KEY) {
            None => DEFAULT_ALIGNMENT,
            Some(Value::Unsigned(bytes)) if bytes.is_power_of_two() => *bytes,
            Some(other) => return Err(format!("{ALIGNMENT_KEY} is {other:?}, not a power of two")),
        };
        let data = (cursor.at as u64).checked_next_multiple_of(alignment).ok_or("the alignment is beyond the file")?;
        let place = |(name, header): (String, TensorHeader)| header.place(name, data, file.len());
        let tensors: Vec<TensorInfo> = headers.into_iter().map(place).collect::<Result<_, _>>()?;
        check_apart(&tensors)?;
        Ok(Self { metadata, tensors })
    }
}

/// That no byte belongs to two tensors: a small file could otherwise have the same bytes dequantised any number of times.
fn check_apart(tensors: &[TensorInfo]) -> Result<(), String> {
    let mut order: Vec<&TensorInfo> = tensors.iter().filter(|tensor| !tensor.range.is_empty()).collect();
    order.sort_by_key(|tensor| tensor.range.start);
    match order.windows(2).find(|pair| pair[1].range.start < pair[0].range.end) {
        Some(pair) => Err(format!("tensors {} and {} share bytes of the file", pair[0].name, pair[1].name)),
        None => Ok(()),
    }
}

struct TensorHeader {
    shape: Vec<u64>,
    kind: u32,
    offset: u64,
}

impl TensorHeader {
    fn place(self, name: String, data: u64, file_len: usize) -> Result<TensorInfo, String> {
        let kind = BlockType::from_id(self.kind).map_err(|reason| format!("tensor {name} {reason}"))?;
        if let Some(row) = self.shape.last().filter(|row| !row.is_multiple_of(kind.entries())) {
            return Err(format!(
                "tensor {name} of shape {:?}: a row of {row} entries does not divide into {} blocks of {}: \
                 the file is damaged, write it anew",
                self.shape,
                kind.name(),
                kind.entries()
            ));
        }
        let range = || {
            let entries = self.shape.iter().try_fold(1, |n: u64, size| n.checked_mul(*size))?;
            let start = data.checked_add(self.offset)?;
            let end = start.checked_add(kind.bytes_of(entries)?)?;
            (end <= file_len as u64).then_some(start as usize..end as usize)
        };
        let range = range().ok_or_else(|| {
            format!(
                "tensor {name} of shape {:?} ({}) does not fit the file of {file_len} bytes: cut short?",
                self.shape,
                kind.name()
            )
        })?;
        // The sizes fit the file, so they fit a usize.
        let shape = self.shape.iter().map(|size| *size as usize).collect();
        Ok(TensorInfo { name, shape, kind, range })
    }
}

/// Reads little-endian values and refuses to go beyond the end.
struct Cursor<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], String> {
        let end = usize::try_from(count).ok().and_then(|count| self.at.checked_add(count));
        let bytes = end.and_then(|end| self.file.get(self.at..end));
        let bytes = bytes.ok_or_else(|| format!("cut short: {count} bytes are needed at byte {}", self.at))?;
        self.at += bytes.len();
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64)?);
        Ok(out)
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn string(&mut self) -> Result<String, String> {
        let at = self.at;
        let len = self.u64()?;
        let text = std::str::from_utf8(self.take(len)?).map_err(|e| format!("string at byte {at}: {e}"))?;
        Ok(text.to_owned())
    }

    fn value(&mut self, kind: u32) -> Result<Value, String> {
        const ARRAY: u32 = 9;
        if kind != ARRAY {
            return self.scalar(kind);
        }
        let kind = self.u32()?;
        if kind == ARRAY {
            return Err(format!("array of arrays at byte {}: no known model has one", self.at));
        }
        let count = self.u64()?;
        (0..count).map(|_| self.scalar(kind)).collect::<Result<_, _>>().map(Value::Array)
    }

    fn scalar(&mut self, kind: u32) -> Result<Value, String> {
        Ok(match kind {
            0 => Value::Unsigned(u8::from_le_bytes(self.array()?).into()),
            1 => Value::Signed(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Unsigned(self.u32()?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(shortest(f32::from_le_bytes(self.array()?))),
            7 => Value::Bool(self.array::<1>()? != [0]),
            8 => Value::String(self.string()?),
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(i64::from_le_bytes(self.array()?)),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(format!("metadata type {other} at byte {}", self.at)),
        })
    }

    fn tensor_header(&mut self) -> Result<(String, TensorHeader), String> {
        let name = self.string()?;
        let dimensions = self.u32()?;
        if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
            return Err(format!("tensor {name} has {dimensions} dimensions"));
        }
        let mut shape = (0..dimensions).map(|_| self.u64()).collect::<Result<Vec<_>, _>>()?;
        shape.reverse();
        Ok((name, TensorHeader { shape, kind: self.u32()?, offset: self.u64()? }))
    }
}

/// The `f64` nearest to the shortest decimal that means `x`: 1e-5 stays 1e-5 instead of 9.99999974e-6.
fn shortest(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}
