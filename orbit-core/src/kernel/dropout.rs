use burn::tensor::{Tensor, TensorData};

/// Sets a share of the entries to 0 and divides the others by what is left of 1, so that the mean stays (Srivastava et al.
/// 2014). Which entries is a function of `seed` alone, on every backend and for any number of threads.
///
/// ```
/// use burn::tensor::Tensor;
/// use orbit_core::kernel::dropout;
///
/// let x = Tensor::<2>::ones([100, 10], &orbit_core::device("flex")?);
/// let kept = |seed| dropout(x.clone(), 0.2, seed).into_data().try_into_vec::<f32>().unwrap_or_default();
/// assert_eq!(kept(7), kept(7));
/// assert_ne!(kept(7), kept(8));
/// assert!(kept(7).iter().all(|&x| x == 0.0 || x == 1.25));
/// assert!((150..250).contains(&kept(7).iter().filter(|&&x| x == 0.0).count()));
/// # Ok::<(), orbit_core::Error>(())
/// ```
pub fn dropout(x: Tensor<2>, share: f64, seed: u64) -> Tensor<2> {
    let [n, d] = x.dims();
    let mask = TensorData::new(mask(n * d, share, seed), [n, d]);
    let device = x.device();
    x * Tensor::from_data(mask, &device)
}

/// 0, or 1 / (1 − share), an entry.
fn mask(entries: usize, share: f64, seed: u64) -> Vec<f32> {
    let kept = (1.0 / (1.0 - share)) as f32;
    let limit = (share * 2f64.powi(32)) as u32;
    let mut mask = vec![0.0; entries];
    for (at, pair) in (0u64..).zip(mask.chunks_mut(2)) {
        let bits = scramble(seed.wrapping_add(at));
        for (entry, bits) in pair.iter_mut().zip([bits as u32, (bits >> 32) as u32]) {
            *entry = if bits < limit { 0.0 } else { kept };
        }
    }
    mask
}

/// The output function of SplitMix64 (Steele et al. 2014), over a counter.
pub(crate) fn scramble(counter: u64) -> u64 {
    let x = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
