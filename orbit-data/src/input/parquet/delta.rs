//! Delta encodings, whose counts the library believes before it has seen the values.

use parquet::basic::Encoding;
use parquet::column::page::Page;

/// The most values a block may have; writers make blocks of 128.
const LARGEST_BLOCK: u64 = 1 << 12;

/// Checks that the values which a page counts by itself are there. `levels` says whether the column has repetition and
/// definition levels.
pub(super) fn check(page: &Page, levels: [bool; 2]) -> Result<(), String> {
    let streams = match page.encoding() {
        Encoding::DELTA_BINARY_PACKED | Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
        // Lengths of prefixes, then of what follows them.
        Encoding::DELTA_BYTE_ARRAY => 2,
        _ => return Ok(()),
    };
    let mut rest = values(page, levels).ok_or("the levels of a page are cut short")?;
    for _ in 0..streams {
        rest = stream(rest, u64::from(page.num_values())).ok_or("a page has fewer values than it says")?;
    }
    Ok(())
}

/// What lies behind the levels of a page.
fn values(page: &Page, levels: [bool; 2]) -> Option<&[u8]> {
    match page {
        Page::DataPage { buf, .. } => levels.iter().filter(|&&there| there).try_fold(&buf[..], |rest, _| {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            rest.get(u32::from_le_bytes(*length) as usize..)
        }),
        Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
            buf.get(*def_levels_byte_len as usize..)?.get(*rep_levels_byte_len as usize..)
        }
        Page::DictionaryPage { buf, .. } => Some(buf),
    }
}

/// What lies behind a stream of at most `most` numbers.
fn stream(mut rest: &[u8], most: u64) -> Option<&[u8]> {
    let [block, parts, count, _first] =
        [varint(&mut rest)?, varint(&mut rest)?, varint(&mut rest)?, varint(&mut rest)?];
    if count > most || block > LARGEST_BLOCK || parts == 0 || parts > block {
        return None;
    }
    let (part, mut left) = (block / parts, count.saturating_sub(1));
    while left > 0 {
        varint(&mut rest)?;
        let (widths, values) = rest.split_at_checked(parts as usize)?;
        rest = values;
        for &width in widths {
            // What comes behind the last value is padding, which need not be there.
            if left > 0 {
                rest = rest.get(usize::from(width) * part as usize / 8..)?;
            }
            left = left.saturating_sub(part);
        }
    }
    Some(rest)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
