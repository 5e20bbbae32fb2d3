//! Pieces of work side by side.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

/// What `run` makes of every piece, in order, each piece on a core of its own.
///
/// What is parallel within a piece stays on its core, where it would else wait for the other pieces at every operation; with fewer
/// pieces than cores it does not.
pub(super) fn side_by_side<T: Send, R: Send>(pieces: Vec<T>, run: impl Fn(T) -> R + Sync) -> Vec<R> {
    let cores = rayon::current_num_threads();
    if pieces.len() < cores.max(2) {
        return pieces.into_par_iter().map(&run).collect();
    }
    let queue = Mutex::new(pieces.into_iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        // The thread is the pool, for as long as it lives. Without one, its work is parallel as any.
        let _pool = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
        std::iter::from_fn(next).map(|(at, piece)| (at, run(piece))).collect::<Vec<_>>()
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_however_many_there_are() {
        for count in [0_usize, 1, 2, 5, 100] {
            let inner = |piece: usize| (0..piece).into_par_iter().sum::<usize>();
            let expected: Vec<usize> = (0..count).map(|piece: usize| piece * piece.saturating_sub(1) / 2).collect();
            assert_eq!(side_by_side((0..count).collect(), inner), expected);
        }
    }

    #[test]
    #[should_panic(expected = "piece 7")]
    fn a_panic_is_passed_on() {
        side_by_side((0..9).collect(), |piece| assert_ne!(piece, 7, "piece {piece}"));
    }
}
