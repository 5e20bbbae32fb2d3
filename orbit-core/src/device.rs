//! Devices by name.

use burn::tensor::Device;

use crate::{Error, Result};

/// The device called `name`: `flex`, `ndarray`, or `cuda:0`.
///
/// A device that is not compiled in, or not in this machine, is an error that lists what there is.
///
/// ```
/// assert!(orbit_core::device("flex").is_ok());
/// assert!(orbit_core::device("abacus").is_err());
/// ```
pub fn device(name: &str) -> Result<Device> {
    let fail =
        |reason: &str| Error::Device { name: name.into(), reason: reason.into(), available: available().join(", ") };
    match name.split_once(':').unwrap_or((name, "")) {
        #[cfg(feature = "flex")]
        ("flex", "") => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        ("ndarray", "") => {
            #[expect(deprecated, reason = "kept as an independent second CPU backend")]
            let device = Device::ndarray();
            Ok(device)
        }
        #[cfg(feature = "cuda")]
        ("cuda", index) => cuda(index).map_err(|reason| fail(&reason)),
        (kind @ ("flex" | "ndarray"), _) if available().contains(&kind) => {
            Err(fail("there is one of its kind, without a number"))
        }
        (kind, _) if ["flex", "ndarray", "cuda"].contains(&kind) => {
            Err(fail("not compiled into this program; build it with the cargo feature of that name"))
        }
        _ => Err(fail("no such device")),
    }
}

/// Whether a device computes on the cores of this machine, where small pieces of work side by side beat a large one.
pub fn is_cpu(on: &Device) -> bool {
    ["flex", "ndarray"].into_iter().any(|name| device(name).is_ok_and(|cpu| cpu == *on))
}

/// The names that [`device`] takes in this build.
pub fn available() -> Vec<&'static str> {
    let mut names = Vec::new();
    if cfg!(feature = "flex") {
        names.push("flex");
    }
    if cfg!(feature = "ndarray") {
        names.push("ndarray");
    }
    if cfg!(feature = "cuda") {
        names.push("cuda:0");
    }
    names
}

/// Opens a GPU, after a look for the driver and the card: burn answers their absence with a panic in a thread of its own.
#[cfg(feature = "cuda")]
fn cuda(index: &str) -> Result<Device, String> {
    let index: usize = if index.is_empty() { 0 } else { index.parse().map_err(|_| "the GPU is given by a number")? };
    if !std::path::Path::new("/proc/driver/nvidia/version").exists() {
        return Err("no NVIDIA driver is loaded on this machine".into());
    }
    let cards = std::fs::read_dir("/proc/driver/nvidia/gpus").map_or(0, Iterator::count);
    if index >= cards {
        return Err(format!("this machine has {cards} NVIDIA GPUs, counted from 0"));
    }
    Ok(Device::cuda(index))
}
