use burn::tensor::Tensor;

/// y + bias, `[n, out]` and `[out]`.
pub fn add_bias(y: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if let (Some(y), Some(bias)) = (super::flex::primitive(&y), super::flex::primitive(&bias)) {
        return super::flex::apply(fused::AddBias, [y, bias]);
    }
    y + bias.unsqueeze()
}

#[cfg(feature = "flex")]
mod fused {
    use rayon::prelude::*;

    use crate::kernel::flex::{Flat, FlexOp, entries, flat};
    use crate::kernel::lanes::vectorised;

    #[derive(Clone, Debug)]
    pub(super) struct AddBias;

    /// Rows that one task adds to or sums. Fixed, so that the sum has one order.
    const ROWS_A_TASK: usize = 64;

    impl FlexOp<2> for AddBias {
        /// The width of a row.
        type Saved = usize;

        /// The sum takes the place of y, if nobody else holds it.
        fn forward(&self, [mut y, bias]: [Flat; 2]) -> (Flat, Self::Saved) {
            let bias = entries(&bias);
            let rows: &mut [f32] = y.storage_mut();
            rows.par_chunks_mut((bias.len() * ROWS_A_TASK).max(1)).for_each(|rows| {
                vectorised!(rows.chunks_exact_mut(bias.len()).for_each(|row| add(row, bias)));
            });
            (y, bias.len())
        }

        /// Nothing is summed for a frozen bias.
        fn backward(&self, width: usize, gradient: Flat, wanted: [bool; 2]) -> [Option<Flat>; 2] {
            if !wanted[1] {
                return [Some(gradient), None];
            }
            let shares: Vec<Vec<f32>> = entries(&gradient)
                .par_chunks((width * ROWS_A_TASK).max(1))
                .map(|rows| {
                    let mut share = vec![0f32; width];
                    vectorised!(rows.chunks_exact(width).for_each(|row| add(&mut share, row)));
                    share
                })
                .collect();
            let mut sum = vec![0f32; width];
            shares.iter().for_each(|share| add(&mut sum, share));
            [Some(gradient), Some(flat(sum, [width]))]
        }
    }

    #[inline(always)]
    fn add(sum: &mut [f32], row: &[f32]) {
        for (sum, row) in sum.iter_mut().zip(row) {
            *sum += row;
        }
    }
}
