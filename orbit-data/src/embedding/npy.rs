//! The head of a NumPy file and the values behind it.
//!
//! `npyz`, which writes such files, is not asked to read them: it follows brackets as deep as they go, and takes the length
//! of the head at its word.

use std::io::{Error, ErrorKind, Read, Result};

use half::f16;
use serde_json::Value;

use crate::prepare::python;

/// The longest head that numpy itself reads without being told to trust it.
const LONGEST_HEAD: u32 = 10_000;

/// What a file says about its values.
pub(super) struct Head {
    /// Their type as numpy writes it, `<f4`.
    pub(super) descr: String,
    /// Whether they lie column by column.
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<u64>,
}

impl Head {
    /// Reads as far as the first value.
    pub(super) fn read(reader: &mut dyn Read) -> Result<Self> {
        let [magic @ .., version, _] = array::<8>(reader)?;
        if magic != *b"\x93NUMPY" {
            return Err(invalid("it does not begin as a NumPy file does"));
        }
        let length = match version {
            1 => u32::from(u16::from_le_bytes(array(reader)?)),
            2 | 3 => u32::from_le_bytes(array(reader)?),
            other => return Err(invalid(format!("a NumPy file of version {other}; versions 1 to 3 can be read"))),
        };
        if length > LONGEST_HEAD {
            return Err(invalid(format!("a head of {length} bytes; numpy reads no more than {LONGEST_HEAD}")));
        }
        let mut text = vec![0; length as usize];
        reader.read_exact(&mut text).map_err(cut_short)?;
        let text = str::from_utf8(&text).map_err(|error| invalid(error.to_string()))?;
        let head = python::parse(text).map_err(invalid)?;
        Self::of(&head).ok_or_else(|| invalid("its head does not say `descr`, `fortran_order` and `shape`"))
    }

    fn of(head: &Value) -> Option<Self> {
        let (descr, shape) = (head.get("descr")?, head.get("shape")?.as_array()?);
        Some(Self {
            descr: descr.as_str().map_or_else(|| descr.to_string(), str::to_owned),
            fortran_order: head.get("fortran_order")?.as_bool()?,
            shape: shape.iter().map(Value::as_u64).collect::<Option<_>>()?,
        })
    }

    /// The first `count` values; nothing for a type that is not read.
    pub(super) fn values(&self, reader: &mut dyn Read, count: u64) -> Result<Option<Vec<f32>>> {
        let values = match self.descr.as_str() {
            "<f2" => values(reader, count, |bytes| f16::from_le_bytes(bytes).to_f32()),
            ">f2" => values(reader, count, |bytes| f16::from_be_bytes(bytes).to_f32()),
            "<f4" => values(reader, count, f32::from_le_bytes),
            ">f4" => values(reader, count, f32::from_be_bytes),
            "<f8" => values(reader, count, |bytes| f64::from_le_bytes(bytes) as f32),
            ">f8" => values(reader, count, |bytes| f64::from_be_bytes(bytes) as f32),
            "|i1" | "<i1" | ">i1" => values(reader, count, |bytes| f32::from(i8::from_le_bytes(bytes))),
            "|u1" | "<u1" | ">u1" => values(reader, count, |bytes| f32::from(u8::from_le_bytes(bytes))),
            _ => return Ok(None),
        };
        values.map(Some)
    }
}

/// Nothing is reserved by a count from the file: one that lies ends where the file does.
fn values<const N: usize>(reader: &mut dyn Read, count: u64, value: fn([u8; N]) -> f32) -> Result<Vec<f32>> {
    let (mut values, mut left) = (Vec::new(), count);
    let mut buffer = [[0; N]; 1024];
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        reader.read_exact(buffer[..part].as_flattened_mut()).map_err(cut_short)?;
        values.extend(buffer[..part].iter().map(|bytes| value(*bytes)));
        left -= part as u64;
    }
    Ok(values)
}

fn array<const N: usize>(reader: &mut dyn Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).map_err(cut_short)?;
    Ok(bytes)
}

fn cut_short(source: Error) -> Error {
    match source.kind() {
        ErrorKind::UnexpectedEof => Error::new(source.kind(), "cut short: it ends before its values do"),
        _ => source,
    }
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, reason.into())
}
