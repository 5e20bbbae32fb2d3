//! Parquet as JSON lines: a row is an object, by the names of the columns.

mod delta;
mod guard;
mod thrift;
mod value;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(crate) mod tests;

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::errors::ParquetError;
use parquet::record::Row;
use parquet::record::reader::RowIter;

/// The rows of a file.
pub(super) struct Rows {
    rows: RowIter<'static>,
    units: Vec<value::Unit>,
}

impl Rows {
    pub(super) fn open(file: File) -> Result<Self> {
        guarded(|| {
            let reader = guard::open(file)?;
            let columns = reader.metadata().file_metadata().schema().get_fields().to_vec();
            let units = columns.iter().map(|column| value::Unit::of(column)).collect();
            Ok(Self { rows: RowIter::from_file_into(reader), units })
        })
    }

    /// The next row as an object of JSON.
    pub(super) fn next(&mut self) -> Result<Option<String>> {
        let row = guarded(|| self.rows.next().transpose())?;
        Ok(row.map(|row: Row| value::object(&row, &self.units).to_string()))
    }
}

/// What the library answers; it panics on some files that are damaged, and on types of columns that it does not know.
fn guarded<T>(run: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T> {
    // Nothing of what it was about is looked at again: reading ends with the first error.
    let answer = catch_unwind(AssertUnwindSafe(run));
    let reason = match answer {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(ParquetError::General(reason) | ParquetError::EOF(reason) | ParquetError::NYI(reason))) => reason,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it is damaged, or has a type of column that is not known".to_owned(),
    };
    let advice = if reason.contains("Disabled feature") { "; write it with snappy, zstd, gzip or lz4" } else { "" };
    Err(Error::new(ErrorKind::InvalidData, format!("this Parquet file cannot be read: {reason}{advice}")))
}
