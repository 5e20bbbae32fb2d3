use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Error, ErrorKind, Result};

/// What one forward pass holds for hooks, by handle.
///
/// A handle is the pass's generation in its upper half and a count in its lower: one that a hook has kept from an earlier pass is an
/// error, not somebody else's value.
///
/// ```
/// use orbit_hook::Handles;
///
/// let mut first = Handles::new();
/// let kept = first.hold("logits");
/// assert_eq!(first.get(kept)?, &"logits");
/// let second = Handles::<&str>::new();
/// assert!(second.get(kept).is_err());
/// # Ok::<(), orbit_hook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Handles<T> {
    generation: u32,
    held: Vec<T>,
}

impl<T> Handles<T> {
    /// Nothing held, under a generation that no other has.
    pub fn new() -> Self {
        static GENERATIONS: AtomicU32 = AtomicU32::new(1);
        Self { generation: GENERATIONS.fetch_add(1, Ordering::Relaxed), held: Vec::new() }
    }

    /// Holds a value and gives its handle.
    pub fn hold(&mut self, value: T) -> u64 {
        self.held.push(value);
        u64::from(self.generation) << 32 | (self.held.len() as u64 - 1)
    }

    /// The value behind a handle.
    ///
    /// # Errors
    /// Of kind [`ErrorKind::Unknown`], if the handle is of another pass or of none.
    pub fn get(&self, handle: u64) -> Result<&T> {
        let (generation, index) = ((handle >> 32) as u32, handle as u32);
        if generation != self.generation {
            let message = "the handle is of another forward pass: a value dies with its pass";
            return Err(Error::new(ErrorKind::Unknown, message));
        }
        let held = self.held.get(index as usize);
        held.ok_or_else(|| Error::new(ErrorKind::Unknown, format!("there is no value {index} in this pass")))
    }
}

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Self::new()
    }
}
