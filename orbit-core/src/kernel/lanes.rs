//! Loops over rows that compile to the widest vectors the processor has.
//!
//! `pulp` picks the instruction set at run time; the bodies are plain slices that the compiler vectorises. Sums keep sixteen
//! partial sums, so their order, and with it every bit of the result, depends on the length alone.

const LANES: usize = 16;

/// The value of an expression, compiled for the widest vectors of this processor.
///
/// A macro, because the closure must be inlined where those vectors are: left to itself the compiler calls it, built for the
/// oldest processor there is.
macro_rules! vectorised {
    ($body:expr) => {
        crate::kernel::lanes::dispatch(
            #[inline(always)]
            || $body,
        )
    };
}
pub(crate) use vectorised;

/// Runs the closure of [`vectorised`]. The bound makes it an `FnOnce` and no more, or it would be called through a shim that
/// is not inlined.
#[inline(always)]
pub(crate) fn dispatch<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

/// eˣ to 3 units in the last place, for x ≤ 88; exactly 0 below −87; NaN of NaN, which `max` would lose.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let clamped = if x < -87.0 { -87.0 } else { x };
    let whole = (clamped * std::f32::consts::LOG2_E).round_ties_even();
    // ln 2 in two parts: the first has few bits, so that whole · LN2_HIGH is exact.
    let rest = (clamped - whole * 0.693_359_4) + whole * 2.121_944_4e-4;
    let p = 1.0
        + rest
            * (1.0
                + rest
                    * (0.5
                        + rest
                            * (0.166_666_67
                                + rest * (0.041_666_66 + rest * (0.008_333_452 + rest * 0.001_388_888_9)))));
    let power = f32::from_bits(((whole as i32 + 127) << 23) as u32);
    if x < -87.0 { 0.0 } else { p * power }
}

/// Σ f(xᵢ, yᵢ).
#[inline(always)]
pub(crate) fn sum2(x: &[f32], y: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (xs, x_rest) = x.as_chunks::<LANES>();
    let (ys, y_rest) = y.as_chunks::<LANES>();
    for (x, y) in xs.iter().zip(ys) {
        for i in 0..LANES {
            lanes[i] += f(x[i], y[i]);
        }
    }
    lanes.iter().sum::<f32>() + x_rest.iter().zip(y_rest).map(|(&x, &y)| f(x, y)).sum::<f32>()
}

/// Σ f(xᵢ).
#[inline(always)]
pub(crate) fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    sum2(x, x, |x, _| f(x))
}

/// The largest entry; −∞ of nothing.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = lanes[i].max(chunk[i]);
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Replaces a row by e^(scale · x − largest) and gives (largest, the sum of the new row).
#[inline(always)]
pub(crate) fn exponentiate(row: &mut [f32], scale: f32) -> (f32, f32) {
    let largest = max(row) * scale;
    for x in row.iter_mut() {
        *x = exp(*x * scale - largest);
    }
    (largest, sum(row, |x| x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_the_exponential() {
        for step in -88_000..=88_000 {
            let x = step as f32 / 1000.0;
            let (found, expected) = (exp(x), f64::from(x).exp());
            let unit = f64::from((expected as f32).next_up() - expected as f32);
            let zero = x < -87.0 && found == 0.0;
            assert!(zero || (f64::from(found) - expected).abs() <= 3.0 * unit, "exp({x}) = {found}, not {expected}");
        }
        assert_eq!([-200.0, f32::MIN, f32::NEG_INFINITY].map(exp), [0.0; 3]);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn sums_and_maxima_cover_every_length() {
        for length in 0..70 {
            let x: Vec<f32> = (0..length).map(|i| (i * 37 % 71) as f32 - 35.0).collect();
            assert_eq!(sum(&x, |x| 2.0 * x), 2.0 * x.iter().sum::<f32>());
            assert_eq!(max(&x), x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
