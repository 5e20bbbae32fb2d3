//! What the targets share: a bound on memory, and a folder for the files that readers want.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// No input of a few KiB may ask for more than this at once. A line may have 16 MiB, and a vector that grows takes twice
/// what it holds.
pub const LARGEST: usize = 64 << 20;

/// Separates the files of an input: ASCII's own character for that.
pub const FILE_SEPARATOR: u8 = 0x1c;

/// The system's memory, that of one allocation bounded.
struct Bounded;

// SAFETY: every request goes to the system's allocator as it is, or ends the process.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: the caller keeps the contract of this same function.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of this same function.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: the caller keeps the contract of this same function.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check(size);
        // SAFETY: the caller keeps the contract of this same function.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static BOUNDED: Bounded = Bounded;

/// libFuzzer's hook ends the process in a panic, so that nothing unwinds through the allocator.
fn check(size: usize) {
    assert!(size <= LARGEST, "{size} bytes at once");
}

/// A folder of one run of a target.
pub struct Folder(TempDir);

impl Default for Folder {
    fn default() -> Self {
        Self(tempfile::tempdir().expect("a folder for temporary files"))
    }
}

impl Folder {
    /// Writes a file of this name, and answers with its path.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).expect("a file in a folder for temporary files");
        path
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The first byte, which chooses among readers, and the files that follow it: always `N`, the last ones perhaps empty. The last
/// may hold the separator.
pub fn files<const N: usize>(bytes: &[u8]) -> Option<(u8, [&[u8]; N])> {
    let (&choice, rest) = bytes.split_first()?;
    let mut parts = rest.splitn(N, |&byte| byte == FILE_SEPARATOR);
    Some((choice, std::array::from_fn(|_| parts.next().unwrap_or_default())))
}
