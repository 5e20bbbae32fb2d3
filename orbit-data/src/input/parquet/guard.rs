//! The library's reader of Parquet, with a check in front of what it would believe.

use std::fs::File;
use std::io::{BufReader, Read};

use bytes::Bytes;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, FileReader, Length, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

use super::{delta, thrift};

/// The length of the footer and the mark at the end.
const TAIL: u64 = 8;

/// A file whose headers are checked before they are used.
struct Checked(File);

impl Length for Checked {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for Checked {
    type T = BufReader<File>;

    /// All that is read in this way are the headers of pages, and the tail.
    fn get_read(&self, start: u64) -> Result<Self::T> {
        if start.checked_add(TAIL) != Some(self.len()) {
            thrift::page(&mut self.0.get_read(start)?)?;
        }
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.len()) {
            return Err(ParquetError::EOF("it ends before its last page does".to_owned()));
        }
        self.0.get_bytes(start, length)
    }
}

/// The most rows a file may have, and how many more for each of its bytes. A constant column takes no bytes for a row,
/// but not every column of a file is one.
const ROWS: u64 = 1 << 16;
const ROWS_PER_BYTE: u64 = 1 << 10;

/// Opens a file for its rows.
pub(super) fn open(file: File) -> Result<Box<dyn FileReader>> {
    check_footer(&file)?;
    let most = file.len().saturating_mul(ROWS_PER_BYTE).saturating_add(ROWS);
    let reader = SerializedFileReader::new(Checked(file))?;
    let groups = reader.metadata().row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(u64::MAX));
    let rows = groups.fold(0, u64::saturating_add);
    if rows > most {
        return Err(ParquetError::General(format!("it says that it has {rows} rows, more than its size allows")));
    }
    match reader.metadata().file_metadata().schema_descr().num_columns() {
        0 => Err(ParquetError::General("it has no columns".to_owned())),
        _ => Ok(Box::new(Guarded(reader))),
    }
}

fn check_footer(file: &File) -> Result<()> {
    let cut_off = || ParquetError::EOF("it is cut off: its end is missing".to_owned());
    let tail = file.len().checked_sub(TAIL).ok_or_else(cut_off)?;
    let bytes = file.get_bytes(tail, TAIL as usize)?;
    let (length, mark) = bytes.split_first_chunk::<4>().ok_or_else(cut_off)?;
    let length = u64::from(u32::from_le_bytes(*length));
    if mark != super::super::content::PARQUET {
        return Err(cut_off());
    }
    let damaged = || ParquetError::EOF("its footer is damaged".to_owned());
    let start = tail.checked_sub(length).ok_or_else(damaged)?;
    Ok(thrift::footer(&mut file.get_read(start)?.take(length))?)
}

struct Guarded(SerializedFileReader<Checked>);

impl FileReader for Guarded {
    fn metadata(&self) -> &ParquetMetaData {
        self.0.metadata()
    }

    fn num_row_groups(&self) -> usize {
        self.0.num_row_groups()
    }

    fn get_row_group(&self, group: usize) -> Result<Box<dyn RowGroupReader + '_>> {
        Ok(Box::new(GuardedGroup(self.0.get_row_group(group)?)))
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_file(projection, self)
    }
}

struct GuardedGroup<'a>(Box<dyn RowGroupReader + 'a>);

impl RowGroupReader for GuardedGroup<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.0.metadata()
    }

    fn num_columns(&self) -> usize {
        self.0.num_columns()
    }

    fn get_column_page_reader(&self, column: usize) -> Result<Box<dyn PageReader>> {
        let described = self.metadata().column(column).column_descr();
        let levels = [described.max_rep_level() > 0, described.max_def_level() > 0];
        Ok(Box::new(GuardedPages { pages: self.0.get_column_page_reader(column)?, levels }))
    }

    fn get_column_bloom_filter(&self, column: usize) -> Option<&parquet::bloom_filter::Sbbf> {
        self.0.get_column_bloom_filter(column)
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

struct GuardedPages {
    pages: Box<dyn PageReader>,
    levels: [bool; 2],
}

impl PageReader for GuardedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.iter().try_for_each(|page| delta::check(page, self.levels)).map_err(ParquetError::General)?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }
}

impl Iterator for GuardedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}
