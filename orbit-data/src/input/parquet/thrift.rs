//! What the headers of a Parquet file say, looked at before the reader believes it.
//!
//! The library reserves memory by the counts that it finds there, and goes as deep as the schema does.

use std::io::{self, Error, ErrorKind, Read, Result};

/// The most bytes a page may have, packed or not. Writers make pages of one MiB.
const LARGEST_PAGE: i64 = 1 << 25;

/// The most values a page may have: a constant column of a whole row group is one page of a few bytes.
const MOST_VALUES: i64 = 1 << 27;

/// The deepest that columns may be nested.
const DEEPEST: usize = 32;

/// Checks the header of a page.
pub(super) fn page(header: &mut dyn Read) -> Result<()> {
    let mut unpacked = 0;
    walk(header, &mut Vec::new(), &mut |path, value| match path {
        // PageHeader: the size of the page before and after it is packed.
        [2 | 3] if !(0..=LARGEST_PAGE).contains(&value) => {
            Err(invalid(format!("a page of {value} bytes; write pages of at most {LARGEST_PAGE}")))
        }
        [2] => {
            unpacked = value;
            Ok(())
        }
        // A dictionary holds each of its values whole.
        [7, 1] if !(0..=unpacked).contains(&value) => {
            Err(invalid(format!("a dictionary of {value} values in {unpacked} bytes")))
        }
        [5 | 8, 1] if !(0..=MOST_VALUES).contains(&value) => {
            Err(invalid(format!("a page of {value} values; write pages of at most {MOST_VALUES}")))
        }
        _ => Ok(()),
    })
}

/// Checks the schema in the footer.
pub(super) fn footer(footer: &mut dyn Read) -> Result<()> {
    // How many more columns each group has that is open.
    let (mut open, mut children) = (Vec::<i64>::new(), None);
    walk(footer, &mut Vec::new(), &mut |path, value| {
        match path {
            // FileMetaData.schema: the start of an element, then its count of children.
            [2, 0] => {
                enter(&mut open, children.take())?;
                children = Some(0);
            }
            [2, 0, 5] => children = Some(value),
            _ => {}
        }
        Ok(())
    })?;
    enter(&mut open, children)
}

/// Goes on in the tree behind an element that has `children`.
fn enter(open: &mut Vec<i64>, children: Option<i64>) -> Result<()> {
    let Some(children) = children else { return Ok(()) };
    while open.pop_if(|left| *left == 0).is_some() {}
    open.iter_mut().next_back().into_iter().for_each(|left| *left -= 1);
    if children > 0 {
        open.push(children);
    }
    match open.len() > DEEPEST {
        true => Err(invalid(format!("columns nested more than {DEEPEST} deep"))),
        false => Ok(()),
    }
}

/// Hands every whole number of a struct in Thrift's compact protocol to `take`, with the numbers of the fields that
/// lead to it. An element of a list is field 0 of the list, and a struct in a list hands over 0 when it begins.
fn walk(reader: &mut dyn Read, path: &mut Vec<i16>, take: &mut dyn FnMut(&[i16], i64) -> Result<()>) -> Result<()> {
    if path.len() > DEEPEST {
        return Err(invalid(format!("headers nested more than {DEEPEST} deep")));
    }
    let mut id = 0_i16;
    loop {
        let head = byte(reader)?;
        if head == 0 {
            return Ok(());
        }
        id = match head >> 4 {
            0 => zigzag(reader)? as i16,
            step => id.wrapping_add(i16::from(step)),
        };
        path.push(id);
        // A truth value is in the kind itself.
        if !matches!(head & 15, 1 | 2) {
            value(reader, head & 15, path, take)?;
        }
        path.pop();
    }
}

fn value(
    reader: &mut dyn Read,
    kind: u8,
    path: &mut Vec<i16>,
    take: &mut dyn FnMut(&[i16], i64) -> Result<()>,
) -> Result<()> {
    match kind {
        1..=3 => byte(reader).map(drop),
        4..=6 => take(path, zigzag(reader)?),
        7 => skip(reader, 8),
        8 => {
            let length = varint(reader)?;
            skip(reader, length)
        }
        9 | 10 => list(reader, path, take),
        12 => walk(reader, path, take),
        other => Err(invalid(format!("a field of type {other}, which no header of Parquet has"))),
    }
}

fn list(reader: &mut dyn Read, path: &mut Vec<i16>, take: &mut dyn FnMut(&[i16], i64) -> Result<()>) -> Result<()> {
    if path.len() > DEEPEST {
        return Err(invalid(format!("headers nested more than {DEEPEST} deep")));
    }
    let head = byte(reader)?;
    let (kind, short) = (head & 15, u64::from(head >> 4));
    let count = if short == 15 { varint(reader)? } else { short };
    path.push(0);
    for _ in 0..count {
        if kind == 12 {
            take(path, 0)?;
        }
        value(reader, kind, path, take)?;
    }
    path.pop();
    Ok(())
}

fn byte(reader: &mut dyn Read) -> Result<u8> {
    let mut byte = [0];
    reader.read_exact(&mut byte)?;
    Ok(byte[0])
}

fn varint(reader: &mut dyn Read) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = byte(reader)?;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(invalid("a number of more than 64 bits".to_owned()))
}

fn zigzag(reader: &mut dyn Read) -> Result<i64> {
    let value = varint(reader)?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

fn skip(reader: &mut dyn Read, length: u64) -> Result<()> {
    match io::copy(&mut reader.take(length), &mut io::sink())? == length {
        true => Ok(()),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn invalid(reason: String) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}
