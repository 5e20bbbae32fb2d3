//! A NumPy matrix is read or refused, and the rows that were read have length one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_data::ItemEmbeddings;
use orbit_fuzz::Folder;

fuzz_target!(|bytes: &[u8]| {
    let folder = Folder::default();
    if let Ok(read) = ItemEmbeddings::read_npy_rows(&folder.file("a.npy", bytes)) {
        assert_eq!(read.rows().len(), read.len() * read.dim());
        assert!(read.rows().chunks(read.dim()).all(|row| (row.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-3));
    }
});
