use burn::tensor::{Int, Tensor, TensorData};

/// Rows of a `[n, d]` tensor, by index.
pub fn pick(rows: Tensor<2>, index: &[u32]) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if let Some(rows) = super::flex::primitive(&rows) {
        return super::flex::apply(fused::Pick { index: index.into() }, [rows]);
    }
    let index: Vec<i32> = index.iter().map(|&i| i as i32).collect();
    let count = index.len();
    let index = Tensor::<1, Int>::from_data(TensorData::new(index, [count]), &rows.device());
    rows.select(0, index)
}

#[cfg(feature = "flex")]
mod fused {
    use std::sync::Arc;

    use rayon::prelude::*;

    use crate::kernel::flex::{Flat, FlexOp, entries, extents, flat};
    use crate::kernel::product::zeros;

    #[derive(Clone, Debug)]
    pub(super) struct Pick {
        pub(super) index: Arc<[u32]>,
    }

    impl FlexOp<1> for Pick {
        type Saved = [usize; 2];

        fn forward(&self, [rows]: [Flat; 1]) -> (Flat, Self::Saved) {
            let [n, d] = extents(&rows);
            let mut out = zeros(self.index.len() * d);
            let entries = entries(&rows);
            out.par_chunks_mut(d.max(1)).zip(self.index.par_iter()).for_each(|(out, &row)| {
                out.copy_from_slice(&entries[row as usize * d..][..d]);
            });
            (flat(out, [self.index.len(), d]), [n, d])
        }

        /// In order of the index: a row may be picked more than once.
        fn backward(&self, [n, d]: Self::Saved, gradient: Flat, _: [bool; 1]) -> [Option<Flat>; 1] {
            let mut d_rows = zeros(n * d);
            for (&row, gradient) in self.index.iter().zip(entries(&gradient).chunks_exact(d.max(1))) {
                for (sum, gradient) in d_rows[row as usize * d..][..d].iter_mut().zip(gradient) {
                    *sum += gradient;
                }
            }
            [Some(flat(d_rows, [n, d]))]
        }
    }
}
