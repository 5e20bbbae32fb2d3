//! Files of a checkpoint on their way to the disk, digested as they go.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use burn::tensor::Tensor;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::manifest::{FileRecord, hex};
use crate::arithmetic::read;
use crate::disk::{Disk, DiskFile};
use crate::{Error, Result};

/// Entries turned into bytes at once.
const ENTRIES_AT_ONCE: usize = 1 << 18;

/// A file and the digest of what has been written to it.
struct Digested {
    file: Box<dyn DiskFile>,
    hasher: Sha256,
    bytes: u64,
}

impl Write for Digested {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes and syncs a file.
fn write(disk: &dyn Disk, path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<FileRecord> {
    let failed = |e| Error::io(path, e);
    let file = disk.create(path).map_err(failed)?;
    let mut out = BufWriter::new(Digested { file, hasher: Sha256::new(), bytes: 0 });
    fill(&mut out)?;
    let mut out = out.into_inner().map_err(|e| failed(e.into_error()))?;
    out.file.sync().map_err(failed)?;
    Ok(FileRecord { bytes: out.bytes, sha256: hex(&out.hasher.finalize()) })
}

/// Writes a value as JSON.
pub(super) fn json(disk: &dyn Disk, path: &Path, value: &impl Serialize) -> Result<FileRecord> {
    let text = serde_json::to_vec_pretty(value).map_err(|e| Error::checkpoint(path, e.to_string()))?;
    write(disk, path, |out| out.write_all(&text).map_err(|e| Error::io(path, e)))
}

/// Writes tensors as safetensors, f32, one after the other as they come from the device. `admit` may refuse one by its entries.
pub(super) fn tensors(
    disk: &dyn Disk,
    path: &Path,
    mut named: Vec<(String, Tensor<1>)>,
    admit: impl Fn(&str, &[f32]) -> Result<()>,
) -> Result<FileRecord> {
    named.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut end = 0;
    let infos = named.iter().map(|(name, tensor)| {
        let (length, start) = (tensor.dims()[0], end);
        end += length * size_of::<f32>();
        (name.clone(), TensorInfo { dtype: Dtype::F32, shape: vec![length], data_offsets: (start, end) })
    });
    let infos = infos.collect();
    let unusable = |reason: String| Error::checkpoint(path, reason);
    let metadata = Metadata::new(None::<HashMap<_, _>>, infos).map_err(|e| unusable(e.to_string()))?;
    let mut header = serde_json::to_vec(&metadata).map_err(|e| unusable(e.to_string()))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    write(disk, path, |out| {
        let failed = |e| Error::io(path, e);
        out.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed)?;
        out.write_all(&header).map_err(failed)?;
        let mut buffer = Vec::new();
        for (name, tensor) in named {
            let entries = read(tensor);
            admit(&name, &entries)?;
            for entries in entries.chunks(ENTRIES_AT_ONCE) {
                buffer.resize(size_of_val(entries), 0);
                little_endian(entries, &mut buffer);
                out.write_all(&buffer).map_err(failed)?;
            }
        }
        Ok(())
    })
}

/// `bytes` has four for every entry.
pub(super) fn little_endian(entries: &[f32], bytes: &mut [u8]) {
    for (bytes, entry) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(entries) {
        *bytes = entry.to_le_bytes();
    }
}
