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
    use crate::kernel::flex::{Flat, FlexOp, extents, flat};
    use crate::kernel::product::product;

    #[derive(Clone, Debug)]
    pub(super) struct Linear;

    impl FlexOp<2> for Linear {
        type Saved = (Flat, Flat);

        fn forward(&self, [x, weight]: [Flat; 2]) -> (Flat, Self::Saved) {
            let ([n, _], [out, _]) = (extents(&x), extents(&weight));
            (flat(product(&x, &weight.transpose(0, 1)), [n, out]), (x, weight))
        }

        /// dx = g W and dW = gᵀ x, side by side.
        fn backward(&self, (x, weight): Self::Saved, gradient: Flat) -> [Flat; 2] {
            let ([n, input], [out, _]) = (extents(&x), extents(&weight));
            let (dx, dw) = rayon::join(|| product(&gradient, &weight), || product(&gradient.transpose(0, 1), &x));
            [flat(dx, [n, input]), flat(dw, [out, input])]
        }

        fn wanted(&self, saved: Self::Saved, gradient: Flat, wanted: [bool; 2]) -> [Option<Flat>; 2] {
            if wanted == [true, true] {
                return self.backward(saved, gradient).map(Some);
            }
            let (x, weight) = saved;
            let ([n, input], [out, _]) = (extents(&x), extents(&weight));
            let dx = wanted[0].then(|| flat(product(&gradient, &weight), [n, input]));
            let dw = wanted[1].then(|| flat(product(&gradient.transpose(0, 1), &x), [out, input]));
            [dx, dw]
        }
    }
}
