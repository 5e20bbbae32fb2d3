//! Keeps freed memory in the process.
//!
//! A training step frees what the one before allocated, in pieces of megabytes. glibc gives such pieces back to the kernel
//! and faults them in again, page by page, at the next step; `bench/compare.py` shows what that costs. The price of keeping
//! them is that the process stays as large as it ever was. A library must not choose this for its users, so only the program
//! does.

/// Makes glibc's allocator keep what is freed, unless `ORBIT_MALLOC=system`; does nothing with other allocators.
pub(crate) fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if std::env::var_os("ORBIT_MALLOC").is_none_or(|choice| choice != "system") {
        glibc::set();
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    const OPTIONS: [(libc::c_int, libc::c_int); 3] = [
        // Pieces below 1 GiB come from the heap, not from a mapping of their own that ends with them.
        (libc::M_MMAP_THRESHOLD, 1 << 30),
        // The heap's end is never given back,
        (libc::M_TRIM_THRESHOLD, libc::c_int::MAX),
        // and grows by 256 MiB at a time.
        (libc::M_TOP_PAD, 256 << 20),
    ];

    #[allow(unsafe_code, reason = "there is no safe interface to the allocator's options")]
    pub(super) fn set() {
        for (option, value) in OPTIONS {
            // SAFETY: mallopt takes two integers and touches nothing but the allocator's own settings, under its lock. A
            // value it does not like it turns down.
            unsafe { libc::mallopt(option, value) };
        }
    }
}
