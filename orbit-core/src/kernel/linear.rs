use burn::tensor::Tensor;

/// y = x Wᵀ: `[n, in]` and a weight of the checkpoint's layout, `[out, in]`, to `[n, out]`.
pub fn linear(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if let (Some(x), Some(weight)) = (super::flex::primitive(&x), super::flex::primitive(&weight)) {
        return super::flex::apply(fused::Linear, [x, weight]);
    }
    x.matmul(weight.transpose())
}

#[cfg(feature = "flex")]
mod fused {
    use crate::kernel::flex::{Flat, FlexOp};
    use crate::kernel::product::product;

    #[derive(Clone, Debug)]
    pub(super) struct Linear;

    impl FlexOp<2> for Linear {
        /// x, which only the gradient of the weight needs, and the weight, which only that of x does.
        type Saved = [Option<Flat>; 2];

        fn forward(&self, [x, weight]: [Flat; 2]) -> (Flat, Self::Saved) {
            (product(&x, &weight.transpose(0, 1)), [Some(x), Some(weight)])
        }

        fn keep(&self, [x, weight]: Self::Saved, wanted: [bool; 2]) -> Self::Saved {
            [x.filter(|_| wanted[1]), weight.filter(|_| wanted[0])]
        }

        /// dx = g W and dW = gᵀ x, side by side.
        fn backward(&self, [x, weight]: Self::Saved, gradient: Flat, _: [bool; 2]) -> [Option<Flat>; 2] {
            let dx = || Some(product(&gradient, &weight?));
            let dw = || Some(product(&gradient.transpose(0, 1), &x?));
            let (dx, dw) = rayon::join(dx, dw);
            [dx, dw]
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::kernel::flex::flat;

        /// What nobody wants is neither kept nor computed.
        #[test]
        fn a_frozen_input_costs_nothing() {
            let entries = |shape: [usize; 2]| flat(vec![0.5; shape[0] * shape[1]], shape);
            for wanted in [[true, true], [true, false], [false, true]] {
                let (y, saved) = Linear.forward([entries([3, 2]), entries([4, 2])]);
                let saved = Linear.keep(saved, wanted);
                let [x_wanted, weight_wanted] = wanted;
                assert_eq!(saved.each_ref().map(Option::is_some), [weight_wanted, x_wanted]);
                let gradients = Linear.backward(saved, y, wanted);
                assert_eq!(gradients.each_ref().map(Option::is_some), wanted);
            }
        }
    }
}
