//! Text in UTF-16, which Windows writes.

use std::io::{self, Read};

use encoding_rs::{Decoder, Encoding, UTF_16BE, UTF_16LE};

/// Which UTF-16 a text is that begins with `head`: by its byte order mark, or by a zero in each of its first two
/// characters, which are ASCII in every form that is read.
pub(super) fn encoding(head: &[u8]) -> Option<&'static Encoding> {
    match *head {
        [0xFF, 0xFE, ..] => Some(UTF_16LE),
        [0xFE, 0xFF, ..] => Some(UTF_16BE),
        [a, 0, b, 0, ..] if a != 0 && b != 0 => Some(UTF_16LE),
        [0, a, 0, b, ..] if a != 0 && b != 0 => Some(UTF_16BE),
        _ => None,
    }
}

/// UTF-16 as UTF-8, without the byte order mark. Half of a surrogate pair becomes the replacement character.
pub(super) struct Utf16<R> {
    raw: R,
    decoder: Decoder,
    units: Vec<u8>,
    text: Vec<u8>,
    /// How much of `text` has been read.
    at: usize,
    ended: bool,
}

impl<R: Read> Utf16<R> {
    pub(super) fn new(raw: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_with_bom_removal();
        Self { raw, decoder, units: vec![0; 1 << 13], text: Vec::new(), at: 0, ended: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        let read = self.raw.read(&mut self.units)?;
        self.ended = read == 0;
        let longest = self.decoder.max_utf8_buffer_length(read).unwrap_or(1 << 16);
        self.text.resize(longest, 0);
        let (_, _, written, _) = self.decoder.decode_to_utf8(&self.units[..read], &mut self.text, self.ended);
        self.text.truncate(written);
        self.at = 0;
        Ok(())
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() && !self.ended {
            self.fill()?;
        }
        let read = (&self.text[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}
