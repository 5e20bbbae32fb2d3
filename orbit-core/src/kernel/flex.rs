//! The one place where a hand-written operation meets burn's autodiff on flex.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Flex, tensor::FloatTensor};
use burn::tensor::{Tensor, TensorData};

pub(super) type Flat = FloatTensor<Flex>;

/// An operation of N inputs and one output over contiguous f32 buffers, with its derivative.
pub(super) trait FlexOp<const N: usize>: Clone + Send + std::fmt::Debug + 'static {
    /// What backward needs of forward.
    type Saved: Clone + Send + std::fmt::Debug + 'static;

    /// The output, and what backward needs.
    fn forward(&self, inputs: [Flat; N]) -> (Flat, Self::Saved);

    /// What backward needs when only some inputs want a gradient: what is kept for the gradient of a frozen weight is memory that
    /// nobody reads.
    fn keep(&self, saved: Self::Saved, _: [bool; N]) -> Self::Saved {
        saved
    }

    /// The gradients of the inputs, from that of the output. Those that nobody wants may be left out: that of a frozen weight
    /// costs as much as a pass forward.
    fn backward(&self, saved: Self::Saved, gradient: Flat, wanted: [bool; N]) -> [Option<Flat>; N];
}

#[derive(Clone, Debug)]
struct Derivative<O>(O);

impl<const N: usize, O: FlexOp<N>> Backward<Flex, N> for Derivative<O> {
    type State = O::Saved;

    fn backward(self, ops: Ops<O::Saved, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
        let inputs = self.0.backward(ops.state, gradient, ops.parents.each_ref().map(Option::is_some));
        for (parent, gradient) in ops.parents.into_iter().zip(inputs) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// Runs `op` on flex, tracked if the tensors are; gives `None` for tensors of another backend.
///
/// The inputs of one operation have different ranks, so they come as primitives; see [`primitive`].
pub(super) fn apply<const N: usize, const D: usize, O: FlexOp<N>>(op: O, inputs: [Primitive; N]) -> Tensor<D> {
    let mut plain = Vec::with_capacity(N);
    let mut tracked = Vec::with_capacity(N);
    for input in inputs {
        match input {
            Primitive::Plain(tensor) => plain.push(tensor.to_contiguous()),
            Primitive::Tracked(tensor) => tracked.push(tensor),
        }
    }
    if let Ok(plain) = <[Flat; N]>::try_from(plain) {
        return Tensor::from_primitive::<Flex>(op.forward(plain).0);
    }
    let Ok(tracked) = <[FloatTensor<Autodiff<Flex>>; N]>::try_from(tracked) else {
        unreachable!("a model's tensors are all on one device");
    };
    let inputs = tracked.each_ref().map(|tensor| tensor.primitive().to_contiguous());
    let wanted = tracked.each_ref().map(wants_gradient);
    let nodes = tracked.map(|tensor| tensor.node());
    let out = match Derivative(op.clone()).prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (output, saved) = op.forward(inputs);
            prepared.finish(op.keep(saved, wanted), output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(op.forward(inputs).0),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(out)
}

/// Whether anything that a tensor came from wants a gradient. burn tells that of a whole operation only, so this asks what an
/// operation on the tensor alone would be.
fn wants_gradient(tensor: &FloatTensor<Autodiff<Flex>>) -> bool {
    #[derive(Clone, Debug)]
    struct Ask;
    impl Backward<Flex, 1> for Ask {
        type State = ();
        fn backward(self, _: Ops<(), 1>, _: &mut Gradients, _: &mut Checkpointer) {}
    }
    matches!(Ask.prepare::<NoCheckpointing>([tensor.node()]).compute_bound().stateful(), OpsKind::Tracked(_))
}

/// A tensor of flex without its rank.
pub(super) enum Primitive {
    Plain(Flat),
    Tracked(FloatTensor<Autodiff<Flex>>),
}

/// The tensor's primitive if it is an f32 tensor of flex, with or without autodiff.
pub(super) fn primitive<const D: usize>(tensor: &Tensor<D>) -> Option<Primitive> {
    if tensor.dtype() != burn::tensor::DType::F32 {
        return None;
    }
    if let Ok(plain) = tensor.clone().try_into_primitive::<Flex>() {
        return Some(Primitive::Plain(plain));
    }
    tensor.clone().try_into_primitive::<Autodiff<Flex>>().ok().map(Primitive::Tracked)
}

/// A flex tensor over a buffer, without a copy.
pub(super) fn flat(buffer: Vec<f32>, shape: impl Into<burn::tensor::Shape>) -> Flat {
    Flat::from_data(TensorData::new(buffer, shape.into()))
}

/// The entries of a contiguous tensor.
pub(super) fn entries(tensor: &Flat) -> &[f32] {
    tensor.as_slice().unwrap_or(&[])
}

/// The extents of a tensor.
pub(super) fn extents<const D: usize>(tensor: &Flat) -> [usize; D] {
    std::array::from_fn(|axis| tensor.layout().shape()[axis])
}
