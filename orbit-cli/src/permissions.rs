//! Who may write what the program has written.
//!
//! Whoever can change a model in the cache, a checkpoint or a plugin's library decides what a later run computes, or
//! runs. A library must not choose this for its users, so only the program does.

/// Withholds the right to write from everybody but the owner and the group, in all files and folders that are made from
/// here on, by pip too, whatever mask the program was started with. Nothing that is there already is changed.
pub(crate) fn keep_others_from_writing() {
    #[cfg(unix)]
    {
        use rustix::fs::Mode;
        use rustix::process::umask;
        // A mask can only be read by setting one.
        let mask = umask(Mode::WOTH);
        umask(mask | Mode::WOTH);
    }
}
