//! A file of named tensors, read one at a time: a checkpoint's are as large as the run that takes them up.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use safetensors::tensor::{Dtype, Metadata};

use crate::arithmetic::like;
use crate::{Error, Result, disk};

/// Bytes that say how long the header is.
const LENGTH: u64 = 8;
/// Entries that are held as bytes at a time.
const ENTRIES_AT_ONCE: usize = 1 << 16;

/// A safetensors file of f32 tensors. What is in memory is its header, and what somebody has read.
#[derive(Debug)]
pub(crate) struct TensorFile {
    path: PathBuf,
    file: File,
    header: Metadata,
    /// Where the first tensor begins.
    begin: u64,
}

impl TensorFile {
    /// Reads the header.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut file = disk::open(path)?;
        let bytes = file.metadata().map_err(|e| Error::io(path, e))?.len();
        let mut read = |buffer: &mut [u8]| file.read_exact(buffer).map_err(|e| Error::io(path, e));
        let mut length = [0; LENGTH as usize];
        read(&mut length)?;
        let length = u64::from_le_bytes(length);
        if length > bytes.saturating_sub(LENGTH) {
            return Err(Error::checkpoint(path, "is cut short, or is no safetensors file"));
        }
        let mut header = vec![0; length as usize];
        read(&mut header)?;
        let header: Metadata = serde_json::from_slice(&header).map_err(|e| Error::checkpoint(path, e.to_string()))?;
        let begin = LENGTH + length;
        if begin + header.data_len() as u64 != bytes {
            return Err(Error::checkpoint(path, "does not end where its last tensor does"));
        }
        for (name, info) in header.tensors() {
            if info.dtype != Dtype::F32 {
                return Err(Error::checkpoint(path, format!("\"{name}\" is {:?}, only F32 is read", info.dtype)));
            }
        }
        Ok(Self { path: path.to_owned(), file, header, begin })
    }

    /// Every tensor, by name, and its number of entries.
    pub(crate) fn tensors(&self) -> Vec<(String, usize)> {
        let tensors = self.header.tensors().into_iter();
        let mut tensors: Vec<(String, usize)> =
            tensors.map(|(name, info)| (name, info.shape.iter().product::<usize>())).collect();
        tensors.sort();
        tensors
    }

    /// Whether a tensor of this name and number of entries is there.
    pub(crate) fn has(&self, name: &str, entries: usize) -> bool {
        self.header.info(name).is_some_and(|info| info.shape.iter().product::<usize>() == entries)
    }

    /// As [`Self::has`], with the error that says so.
    pub(crate) fn expect(&self, name: &str, entries: usize) -> Result<()> {
        if self.has(name, entries) {
            return Ok(());
        }
        Err(Error::checkpoint(&self.path, format!("has no \"{name}\" of {entries} entries")))
    }

    /// The entries of a tensor.
    pub(crate) fn read(&mut self, name: &str) -> Result<Vec<f32>> {
        let Some(info) = self.header.info(name) else {
            return Err(Error::checkpoint(&self.path, format!("has no \"{name}\"")));
        };
        let mut entries = vec![0.0; info.shape.iter().product()];
        self.fill(name, &mut entries)?;
        Ok(entries)
    }

    /// Reads a tensor into the place of one of as many entries: on the CPU into its very memory, if nobody else holds it.
    pub(crate) fn read_into(&mut self, name: &str, tensor: &mut Tensor<1>) -> Result<()> {
        let [entries] = tensor.dims();
        self.expect(name, entries)?;
        #[cfg(feature = "flex")]
        {
            let mut filled = Ok(());
            if crate::arithmetic::on_flex::with_buffer(tensor, |buffer| filled = self.fill(name, buffer)) {
                return filled;
            }
        }
        *tensor = like(tensor, self.read(name)?);
        Ok(())
    }

    fn fill(&mut self, name: &str, entries: &mut [f32]) -> Result<()> {
        let Some(info) = self.header.info(name) else { return self.expect(name, entries.len()) };
        let start = SeekFrom::Start(self.begin + info.data_offsets.0 as u64);
        self.file.seek(start).map_err(|e| Error::io(&self.path, e))?;
        let mut bytes = vec![0; ENTRIES_AT_ONCE.min(entries.len()) * size_of::<f32>()];
        for entries in entries.chunks_mut(ENTRIES_AT_ONCE) {
            let bytes = &mut bytes[..size_of_val(entries)];
            self.file.read_exact(bytes).map_err(|e| Error::io(&self.path, e))?;
            let (stored, _) = bytes.as_chunks::<4>();
            for (entry, stored) in entries.iter_mut().zip(stored) {
                *entry = f32::from_le_bytes(*stored);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use safetensors::tensor::TensorView;

    use super::*;

    /// Numbers whose bytes differ, more than are held at once.
    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|i| i as f32 * 0.75 - 1.0).collect()
    }

    /// A file of two tensors in a folder of this test's own, and the folder.
    fn folder(test: &str, dtype: Dtype) -> (PathBuf, PathBuf) {
        let dir = std::env::temp_dir().join(format!("orbit-tensor-file-{test}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("some.safetensors");
        let bytes = |count: usize| numbers(count).into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
        let (long, short) = (bytes(ENTRIES_AT_ONCE + 3), bytes(2));
        let view = |shape: Vec<usize>, bytes| TensorView::new(dtype, shape, bytes).unwrap();
        let views =
            [("long", view(vec![ENTRIES_AT_ONCE + 3], long.as_slice())), ("short", view(vec![2, 1], short.as_slice()))];
        safetensors::serialize_to_file(views, None, &path).unwrap();
        (dir, path)
    }

    #[test]
    fn tensors_are_read_one_at_a_time() {
        let (dir, path) = folder("read", Dtype::F32);
        let mut file = TensorFile::open(&path).unwrap();
        assert_eq!(file.tensors(), [("long".to_owned(), ENTRIES_AT_ONCE + 3), ("short".to_owned(), 2)]);
        assert_eq!(file.read("short").unwrap(), numbers(2));
        assert_eq!(file.read("long").unwrap(), numbers(ENTRIES_AT_ONCE + 3));
        let device = crate::device("flex").unwrap();
        let mut tensor = Tensor::<1>::zeros([ENTRIES_AT_ONCE + 3], &device);
        file.read_into("long", &mut tensor).unwrap();
        assert_eq!(crate::arithmetic::read(tensor), numbers(ENTRIES_AT_ONCE + 3));
        fs::remove_dir_all(dir).unwrap();
    }

    /// A tensor that somebody else holds too keeps what it was.
    #[test]
    fn what_is_shared_is_left_alone() {
        let (dir, path) = folder("shared", Dtype::F32);
        let mut tensor = Tensor::<1>::zeros([2], &crate::device("flex").unwrap());
        let held = tensor.clone();
        TensorFile::open(&path).unwrap().read_into("short", &mut tensor).unwrap();
        assert_eq!(crate::arithmetic::read(held), [0.0; 2]);
        assert_eq!(crate::arithmetic::read(tensor), numbers(2));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_not_there_or_not_whole_is_named() {
        let (dir, path) = folder("faults", Dtype::F32);
        let mut file = TensorFile::open(&path).unwrap();
        let said = |result: Result<()>| result.unwrap_err().to_string();
        assert!(said(file.expect("short", 3)).contains("has no \"short\" of 3 entries"));
        assert!(said(file.read("other").map(drop)).contains("has no \"other\""));
        let whole = fs::read(&path).unwrap();
        for length in [0, 7, 8, 40, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(said(TensorFile::open(&path).map(drop)).contains("some.safetensors"), "{length} bytes");
        }
        fs::remove_dir_all(dir).unwrap();
        let (dir, path) = folder("integers", Dtype::I32);
        assert!(said(TensorFile::open(&path).map(drop)).contains("is I32, only F32 is read"));
        fs::remove_dir_all(dir).unwrap();
    }
}
