//! Item embeddings: one unit vector an item.

mod npy;

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use npyz::WriterBuilder;

use crate::input::open;
use crate::{Error, Result};

/// A matrix with a row of length one for each item; row `i` belongs to `corpus.items[i]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemEmbeddings {
    dim: usize,
    rows: Vec<f32>,
}

impl ItemEmbeddings {
    /// Takes a row-major matrix of `rows.len() / dim` rows and divides each row by its length.
    ///
    /// ```
    /// use orbit_data::ItemEmbeddings;
    /// let embeddings = ItemEmbeddings::new(2, vec![3.0, 4.0, 0.0, -2.0])?;
    /// assert_eq!(embeddings.row(0), [0.6, 0.8]);
    /// assert_eq!(embeddings.row(1), [0.0, -1.0]);
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a matrix without columns or with a broken last row, and for a row, named by its number
    /// from 0, that is zero or not finite.
    pub fn new(dim: usize, mut rows: Vec<f32>) -> Result<Self> {
        if dim == 0 || !rows.len().is_multiple_of(dim) {
            return Err(Error::Invalid(format!("{} values are no matrix of {dim} columns", rows.len())));
        }
        for (index, row) in rows.chunks_exact_mut(dim).enumerate() {
            normalize(row).map_err(|reason| Error::Invalid(format!("embedding row {index} {reason}")))?;
        }
        Ok(Self { dim, rows })
    }

    /// Takes rows that are known to be finite and not zero, of `dim` > 0 values each.
    pub(crate) fn from_nonzero(dim: usize, mut rows: Vec<f32>) -> Self {
        rows.chunks_exact_mut(dim).for_each(|row| normalize(row).unwrap_or_default());
        Self { dim, rows }
    }

    /// Reads a NumPy matrix (`.npy`, also compressed) of f16, f32, f64, i8 or u8, one row an item in corpus
    /// order, and divides each row by its length. Rows of a sequence corpus are thus in the order of item ids.
    ///
    /// # Errors
    ///
    /// [`Error::File`] for what is no such matrix, for a count of rows other than `expected_items` and for a row, named
    /// by its number from 0, that is zero or not finite; [`Error::Io`] for a file that cannot be read.
    pub fn read_npy(path: &Path, expected_items: usize) -> Result<Self> {
        Self::read(path, Some(expected_items))
    }

    /// As [`ItemEmbeddings::read_npy`], of as many items as the matrix has rows.
    ///
    /// # Errors
    ///
    /// As [`ItemEmbeddings::read_npy`].
    pub fn read_npy_rows(path: &Path) -> Result<Self> {
        Self::read(path, None)
    }

    fn read(path: &Path, expected_items: Option<usize>) -> Result<Self> {
        let failed = |source| Error::io(path, source);
        let mut file = open(path)?;
        let head = npy::Head::read(&mut file).map_err(failed)?;
        let &[height, dim] = head.shape.as_slice() else {
            let reason = format!("shape {:?}, but a matrix of items x dimensions is needed", head.shape);
            return Err(Error::file(path, reason));
        };
        if let Some(items) = expected_items.filter(|&items| height != items as u64) {
            let reason = format!("{height} rows, but the corpus has {items} items; embed the same item file");
            return Err(Error::file(path, reason));
        }
        if head.fortran_order {
            return Err(Error::file(path, "column-major; save it with numpy.ascontiguousarray"));
        }
        if height == 0 {
            return Err(Error::file(path, "no rows in it"));
        }
        let too_large = || Error::file(path, format!("{height} rows of {dim} values are more than a file can hold"));
        let count = height.checked_mul(dim).ok_or_else(too_large)?;
        let dim = usize::try_from(dim).map_err(|_| too_large())?;
        let other = || format!("values of type {}, but f16, f32, f64, i8 or u8 is needed", head.descr);
        let rows = head.values(&mut file, count).map_err(failed)?.ok_or_else(|| Error::file(path, other()))?;
        Self::new(dim, rows).map_err(|error| Error::file(path, error.to_string()))
    }

    /// Writes the rows as a NumPy matrix of f32, beside its place first.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the system refuses.
    pub fn write_npy(&self, path: &Path) -> Result<()> {
        let failed = |source| Error::io(path, source);
        let partial = path.with_extension("partial");
        let shape = [self.len() as u64, self.dim as u64];
        let options = npyz::WriteOptions::new().default_dtype().shape(&shape);
        let file = BufWriter::new(File::create(&partial).map_err(failed)?);
        let mut writer = options.writer(file).begin_nd().map_err(failed)?;
        writer.extend(self.rows.iter().copied()).map_err(failed)?;
        writer.finish().map_err(failed)?;
        std::fs::rename(&partial, path).map_err(failed)
    }

    /// How many values a row has.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.rows.len() / self.dim
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The embedding of item `item`, of length one.
    ///
    /// # Panics
    ///
    /// If there is no such item, as indexing does.
    pub fn row(&self, item: usize) -> &[f32] {
        &self.rows[item * self.dim..][..self.dim]
    }

    /// All rows, one after the other.
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }
}

/// Divides `row` by its length, measured in f64 so that neither tiny nor huge values are lost.
fn normalize(row: &mut [f32]) -> Result<(), &'static str> {
    let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    if !norm.is_finite() {
        return Err("is not finite");
    }
    if norm == 0.0 {
        return Err("is zero: it has no direction, so no code would mean anything");
    }
    row.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use half::f16;
    use npyz::{AutoSerialize, Order};

    use super::*;

    /// Writes `values` as an array of this shape and reads them as embeddings of `items` items.
    fn read<T: AutoSerialize + Clone>(
        values: &[T],
        shape: &[u64],
        order: Order,
        items: usize,
    ) -> Result<ItemEmbeddings> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.npy");
        let options = npyz::WriteOptions::new().default_dtype().shape(shape).order(order);
        let mut writer = options.writer(std::fs::File::create(&path).unwrap()).begin_nd().unwrap();
        writer.extend(values.iter().cloned()).unwrap();
        writer.finish().unwrap();
        ItemEmbeddings::read_npy(&path, items)
    }

    fn error<T: AutoSerialize + Clone>(values: &[T], shape: &[u64], items: usize) -> String {
        let message = read(values, shape, Order::C, items).unwrap_err().to_string();
        assert!(message.contains("rows.npy"), "{message}");
        message
    }

    #[test]
    fn every_type_of_value_reads_the_same() {
        let expected = ItemEmbeddings::new(2, vec![0.6, 0.8, 1.0, 0.0]).unwrap();
        let close = |read: Result<ItemEmbeddings>| {
            let read = read.unwrap();
            assert_eq!((read.dim(), read.len()), (2, 2));
            assert!(read.rows().iter().zip(expected.rows()).all(|(a, b)| (a - b).abs() < 1e-6), "{read:?}");
        };
        let values = [3_u8, 4, 7, 0];
        close(read(&values, &[2, 2], Order::C, 2));
        close(read(&values.map(|x| x as i8), &[2, 2], Order::C, 2));
        close(read(&values.map(|x| f16::from_f32(x.into())), &[2, 2], Order::C, 2));
        close(read(&values.map(f32::from), &[2, 2], Order::C, 2));
        close(read(&values.map(f64::from), &[2, 2], Order::C, 2));
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.npy");
        let embeddings = ItemEmbeddings::new(3, vec![1.0, 2.0, 2.0, 0.0, -1.0, 0.0]).unwrap();
        embeddings.write_npy(&path).unwrap();
        assert_eq!(ItemEmbeddings::read_npy(&path, 2).unwrap(), embeddings);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn rows_have_length_one_whatever_their_scale() {
        let embeddings = ItemEmbeddings::new(2, vec![3e30, 4e30, 3e-30, 4e-30]).unwrap();
        assert!(
            embeddings.rows().iter().zip([0.6, 0.8, 0.6, 0.8]).all(|(a, b)| (a - b).abs() < 1e-6),
            "{embeddings:?}"
        );
    }

    #[test]
    fn a_matrix_that_does_not_fit_is_an_error() {
        assert!(error(&[1_f32; 6], &[3, 2], 4).contains("3 rows, but the corpus has 4 items"));
        assert!(error(&[1_f32; 6], &[6], 6).contains("items x dimensions"));
        assert!(error(&[1_i32; 4], &[2, 2], 2).contains("f16, f32, f64, i8 or u8 is needed"));
        assert!(error(&[1_f32; 0], &[2, 0], 2).contains("no matrix of 0 columns"));
        let error = read(&[1_f32; 4], &[2, 2], Order::Fortran, 2).unwrap_err().to_string();
        assert!(error.contains("column-major"), "{error}");
    }

    #[test]
    fn a_row_without_a_direction_is_named() {
        assert!(error(&[1_f32, 1.0, 0.0, 0.0], &[2, 2], 2).contains("embedding row 1 is zero"));
        assert!(error(&[1_f32, f32::NAN, 0.0, 0.0], &[2, 2], 2).contains("embedding row 0 is not finite"));
        assert!(error(&[1_f64, 1.0, 0.0, f64::INFINITY], &[2, 2], 2).contains("embedding row 1 is not finite"));
    }

    /// A file whose head is anything.
    fn read_head(head: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.npy");
        let start = [b"\x93NUMPY\x02\0".as_slice(), &(head.len() as u32).to_le_bytes(), head.as_bytes(), &[1; 16]];
        std::fs::write(&path, start.concat()).unwrap();
        ItemEmbeddings::read_npy_rows(&path).unwrap_err().to_string()
    }

    /// A head that lies costs no more than the file is long, and one that is nested does not exhaust the stack.
    #[test]
    fn a_head_is_not_believed() {
        let shaped = |shape: &str| read_head(&format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}"));
        assert!(shaped("(1000000000000, 4)").contains("cut short"));
        assert!(shaped("(4294967296, 4294967296)").contains("more than a file can hold"));
        assert!(shaped("(0, 1000000000000)").contains("no rows in it"));
        assert!(shaped("(-1, 2)").contains("does not say"));
        assert!(read_head(&"(".repeat(9000)).contains("nested more than"));
        assert!(read_head(&" ".repeat(20_000)).contains("a head of 20000 bytes"));
        assert!(read_head("[]").contains("does not say"));
    }

    #[test]
    fn big_endian_values_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.npy");
        let head = "{'descr': '>f4', 'fortran_order': False, 'shape': (1, 2), }\n";
        let values = [3.0_f32, 4.0].map(f32::to_be_bytes);
        let start = [b"\x93NUMPY\x01\0".as_slice(), &(head.len() as u16).to_le_bytes(), head.as_bytes()];
        std::fs::write(&path, [start.concat(), values.concat()].concat()).unwrap();
        assert_eq!(ItemEmbeddings::read_npy(&path, 1).unwrap().row(0), [0.6, 0.8]);
    }

    #[test]
    fn what_is_no_npy_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text.npy");
        std::fs::write(&path, "hello").unwrap();
        assert!(ItemEmbeddings::read_npy(&path, 1).unwrap_err().to_string().contains("text.npy"));
        assert!(
            ItemEmbeddings::read_npy(&dir.path().join("absent.npy"), 1).unwrap_err().to_string().contains("ORBIT_DATA")
        );
    }
}
