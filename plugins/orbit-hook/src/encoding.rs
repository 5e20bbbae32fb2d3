//! [`State`] as bytes: how a plugin's state crosses the boundary.
//!
//! ```text
//! 1                        the form's version, a byte
//! count                    u32
//! count times, by name:    name as u32 length and UTF-8, kind as a byte, then
//!   0 count    u64         1 number   f64
//!   2 floats   u32 length and f32 each
//!   3 text, 4 bytes        u32 length and bytes
//! ```
//!
//! All numbers are little-endian; floats go by their bits.

use crate::{Entry, Error, ErrorKind, Result, State};

const FORM: u8 = 1;

impl State {
    /// The state as bytes; the same state gives the same bytes.
    ///
    /// ```
    /// use orbit_hook::{Entry, State};
    ///
    /// let mut state = State::new();
    /// state.put("merges", Entry::Count(3));
    /// assert_eq!(State::from_bytes(&state.to_bytes())?, state);
    /// assert!(State::from_bytes(b"else").is_err());
    /// # Ok::<(), orbit_hook::Error>(())
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![FORM];
        put_length(&mut out, self.iter().count());
        for (name, entry) in self.iter() {
            put_bytes(&mut out, name.as_bytes());
            match entry {
                Entry::Count(count) => put_number(&mut out, 0, *count),
                Entry::Number(number) => put_number(&mut out, 1, number.to_bits()),
                Entry::Floats(floats) => {
                    out.push(2);
                    put_length(&mut out, floats.len());
                    out.extend(floats.iter().flat_map(|float| float.to_bits().to_le_bytes()));
                }
                Entry::Text(text) => {
                    out.push(3);
                    put_bytes(&mut out, text.as_bytes());
                }
                Entry::Bytes(bytes) => {
                    out.push(4);
                    put_bytes(&mut out, bytes);
                }
            }
        }
        out
    }

    /// The state that [`State::to_bytes`] made these bytes of.
    ///
    /// # Errors
    /// Of kind [`ErrorKind::State`], if it did not. Nothing larger than the bytes is allocated.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut rest = Rest(bytes);
        if rest.byte()? != FORM {
            return Err(damaged("they have another form"));
        }
        let mut state = Self::new();
        for _ in 0..rest.length()? {
            let name = rest.text()?;
            let entry = match rest.byte()? {
                0 => Entry::Count(rest.number()?),
                1 => Entry::Number(f64::from_bits(rest.number()?)),
                2 => Entry::Floats(rest.floats()?),
                3 => Entry::Text(rest.text()?.to_owned()),
                4 => Entry::Bytes(rest.bytes()?.to_vec()),
                kind => return Err(damaged(&format!("there is no entry of kind {kind}"))),
            };
            if state.get(name).is_some() {
                return Err(damaged(&format!("\"{name}\" is there twice")));
            }
            state.put(name, entry);
        }
        if rest.0.is_empty() { Ok(state) } else { Err(damaged("there are more than the entries need")) }
    }
}

fn damaged(why: &str) -> Error {
    Error::new(ErrorKind::State, format!("the bytes of the saved state are damaged: {why}"))
}

/// A state has far fewer than 4 billion of anything: what is more is not saved, and loading says so.
fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_number(out: &mut Vec<u8>, kind: u8, bits: u64) {
    out.push(kind);
    out.extend(bits.to_le_bytes());
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(|| damaged("they end too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| damaged("they end too early"))
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn length(&mut self) -> Result<usize> {
        let length = u32::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| damaged("a length does not fit this machine"))
    }

    fn number(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| damaged("a text is not UTF-8"))
    }

    fn floats(&mut self) -> Result<Vec<f32>> {
        let length = self.length()?;
        let bytes = self.take(length.checked_mul(4).ok_or_else(|| damaged("a length does not fit this machine"))?)?;
        Ok(bytes.as_chunks().0.iter().map(|float| f32::from_bits(u32::from_le_bytes(*float))).collect())
    }
}
