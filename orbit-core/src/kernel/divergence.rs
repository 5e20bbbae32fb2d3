use burn::tensor::{Tensor, activation};

/// Σ over rows of KL(softmax(p / τ) ‖ softmax(q / τ)), in nats. One entry.
///
/// `p` and `q` are logits, `[rows, vocabulary]` both; τ is above 0. Either may want a gradient.
pub fn kl_divergence(p: Tensor<2>, q: Tensor<2>, temperature: f32) -> Tensor<1> {
    let factor = temperature.recip();
    #[cfg(feature = "flex")]
    if let (Some(p_primitive), Some(q_primitive)) = (super::flex::primitive(&p), super::flex::primitive(&q)) {
        drop((p, q)); // so that the gradient can take their place, if nobody else holds them
        return super::flex::apply(fused::KlDivergence { factor }, [p_primitive, q_primitive]);
    }
    let log = |x: Tensor<2>| activation::log_softmax(x.mul_scalar(factor), 1);
    let (log_p, log_q) = (log(p), log(q));
    (log_p.clone().exp() * (log_p - log_q)).sum()
}

#[cfg(feature = "flex")]
mod fused {
    use rayon::prelude::*;

    use crate::kernel::flex::{Flat, FlexOp, entries, extents, flat};
    use crate::kernel::lanes::{exp, max, sum, sum2, vectorised};

    #[derive(Clone, Debug)]
    pub(super) struct KlDivergence {
        /// 1 / τ.
        pub(super) factor: f32,
    }

    /// What the entries of a row have in common.
    #[derive(Clone, Copy, Debug)]
    pub(super) struct Row {
        /// log Σ e^(p / τ).
        p_total: f32,
        q_total: f32,
        divergence: f32,
    }

    impl FlexOp<2> for KlDivergence {
        /// The logits, so that the backward pass can write a gradient over them, and what is known of each row.
        type Saved = (Flat, Flat, Vec<Row>);

        fn forward(&self, [p, q]: [Flat; 2]) -> (Flat, Self::Saved) {
            let [_, vocabulary] = extents(&p);
            let pairs = entries(&p).par_chunks(vocabulary).zip(entries(&q).par_chunks(vocabulary));
            let rows: Vec<Row> = pairs.map(|(p, q)| vectorised!(self.row(p, q))).collect();
            let sum: f64 = rows.iter().map(|row| f64::from(row.divergence)).sum();
            (flat(vec![sum as f32], [1]), (p, q, rows))
        }

        fn backward(&self, (p, q, rows): Self::Saved, gradient: Flat, wanted: [bool; 2]) -> [Option<Flat>; 2] {
            let (factor, by) = (self.factor, entries(&gradient)[0] * self.factor);
            let logs = |row: &Row, p: f32, q: f32| (p * factor - row.p_total, q * factor - row.q_total);
            let of_q = |row: &Row, q: f32, p: f32| {
                let (p, q) = logs(row, p, q);
                by * (exp(q) - exp(p))
            };
            let of_p = |row: &Row, p: f32, q: f32| {
                let (p, q) = logs(row, p, q);
                by * exp(p) * (p - q - row.divergence)
            };
            let q_gradient = wanted[1].then(|| over(q.clone(), &p, &rows, of_q));
            let p_gradient = wanted[0].then(|| over(p, &q, &rows, of_p));
            [p_gradient, q_gradient]
        }
    }

    impl KlDivergence {
        #[inline(always)]
        fn row(&self, p: &[f32], q: &[f32]) -> Row {
            let (p_total, q_total) = (self.log_total(p), self.log_total(q));
            let term = |p: f32, q: f32| {
                let (p, q) = (p * self.factor - p_total, q * self.factor - q_total);
                exp(p) * (p - q)
            };
            Row { p_total, q_total, divergence: sum2(p, q, term) }
        }

        #[inline(always)]
        fn log_total(&self, row: &[f32]) -> f32 {
            let largest = max(row) * self.factor;
            largest + sum(row, |x| exp(x * self.factor - largest)).ln()
        }
    }

    /// f(row, x, other) in the place of x.
    fn over(mut x: Flat, other: &Flat, rows: &[Row], f: impl Fn(&Row, f32, f32) -> f32 + Sync) -> Flat {
        let [_, vocabulary] = extents(&x);
        let others = entries(other).par_chunks(vocabulary);
        x.storage_mut::<f32>().par_chunks_mut(vocabulary).zip(others).zip(rows).for_each(|((xs, others), row)| {
            vectorised!(for (x, &other) in xs.iter_mut().zip(others) {
                *x = f(row, *x, other);
            });
        });
        x
    }
}
