//! Disks that fail while a checkpoint is saved, and checkpoints whose bits flip.

use std::cell::Cell;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use orbit_core::hook::{Edit, ForwardPlan, Hook, Phases, Positions, Site, Step};
use orbit_core::{Disk, DiskFile, Entry, Error, Fit, System, host_weights};
use orbit_models::Decoder;
use orbit_regularizers::{Ema, Metric, Orbit};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, TensorView};

use crate::program::long_form;
use crate::tiny::{Language, finish, fit};

/// What goes wrong, by the number that Linux gives it, and how much of a write still happens.
#[derive(Clone, Copy, Debug)]
struct Fault {
    errno: i32,
    written: fn(usize) -> usize,
}

const FAULTS: [(&str, Fault); 4] = [
    ("no space left", Fault { errno: 28, written: |_| 0 }),
    ("no space left after a short write", Fault { errno: 28, written: |length| length / 2 }),
    ("input/output error", Fault { errno: 5, written: |_| 0 }),
    ("read-only file system", Fault { errno: 30, written: |_| 0 }),
];

/// A disk of which one operation fails, and, if it is a file's, everything that is done to it afterwards.
#[derive(Clone)]
struct Failing {
    fault: Fault,
    /// Operations until it does.
    left: Rc<Cell<usize>>,
}

impl Failing {
    fn at(operation: usize, fault: Fault) -> Self {
        Self { fault, left: Rc::new(Cell::new(operation)) }
    }

    fn turn(&self) -> io::Result<()> {
        let left = self.left.get();
        self.left.set(left.wrapping_sub(1));
        if left == 0 { Err(io::Error::from_raw_os_error(self.fault.errno)) } else { Ok(()) }
    }
}

impl Disk for Failing {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.turn().and_then(|()| System.create_dir(path))
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.turn()?;
        Ok(Box::new(FailingFile { file: System.create(path)?, disk: self.clone(), broken: false }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.turn().and_then(|()| System.rename(from, to))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.turn().and_then(|()| System.sync_dir(path))
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        System.remove_dir(path)
    }
}

struct FailingFile {
    file: Box<dyn DiskFile>,
    disk: Failing,
    broken: bool,
}

impl FailingFile {
    fn turn(&mut self) -> io::Result<()> {
        let turn =
            if self.broken { Err(io::Error::from_raw_os_error(self.disk.fault.errno)) } else { self.disk.turn() };
        self.broken = turn.is_err();
        turn
    }
}

impl Write for FailingFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let was_broken = self.broken;
        match self.turn() {
            Ok(()) => self.file.write(buffer),
            Err(error) => match (self.disk.fault.written)(buffer.len()) {
                0 => Err(error),
                _ if was_broken => Err(error),
                some => self.file.write(&buffer[..some]),
            },
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl DiskFile for FailingFile {
    fn sync(&mut self) -> io::Result<()> {
        self.turn()?;
        self.file.sync()
    }
}

fn start() -> Fit<Decoder, Language> {
    let hooks: [Box<dyn Hook>; 2] = [Box::new(Ema::new(0.7)), Box::new(Orbit::new(Metric::L2, 0.4))];
    fit(hooks.into_iter().map(Entry::new).collect(), 6)
}

fn bits(fit: &Fit<Decoder, Language>) -> Vec<u32> {
    host_weights(&fit.model()).concat().into_iter().map(f32::to_bits).collect()
}

#[test]
fn a_disk_that_fails_at_any_operation_leaves_the_checkpoint_before_good() {
    let mut whole = start();
    finish(&mut whole);
    for (what, fault) in FAULTS {
        let mut operation = 0;
        loop {
            let dir = tempfile::tempdir().unwrap();
            let (before, now) = (dir.path().join("step-1"), dir.path().join("step-2"));
            let mut fit = start();
            fit.step().unwrap();
            fit.save(&before).unwrap();
            fit.step().unwrap();
            let Err(error) = fit.save_on(&Failing::at(operation, fault), &now) else { break };
            let title = format!("{what} at operation {operation}: {error}");
            assert!(
                matches!(&error, Error::Io { source, .. } if source.raw_os_error() == Some(fault.errno)),
                "{title}"
            );
            let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert!(left.iter().all(|name| name == "step-1" || name == "step-2"), "{title}: {left:?}");
            start().load(&before).unwrap();
            // Where the directory could not be synced at last, it is there, and whole.
            if now.exists() {
                start().load(&now).unwrap();
                fs::remove_dir_all(&now).unwrap();
            }
            // The run goes on, and nothing of it has changed.
            fit.save(&now).unwrap();
            let mut resumed = start();
            resumed.load(&now).unwrap();
            finish(&mut fit);
            finish(&mut resumed);
            assert!(bits(&fit) == bits(&whole) && bits(&resumed) == bits(&whole), "{title}");
            operation += 1;
        }
        assert!(operation > 15, "{what}: a save is only {operation} operations");
        eprintln!("measured: {what} at each of {operation} operations");
    }
}

/// A disk that takes a few bytes at a time is slow, and no more.
#[test]
fn short_writes_lose_nothing() {
    struct Slow;
    struct SlowFile(Box<dyn DiskFile>);
    impl Disk for Slow {
        fn create_dir(&self, path: &Path) -> io::Result<()> {
            System.create_dir(path)
        }
        fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
            Ok(Box::new(SlowFile(System.create(path)?)))
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            System.rename(from, to)
        }
        fn sync_dir(&self, path: &Path) -> io::Result<()> {
            System.sync_dir(path)
        }
        fn remove_dir(&self, path: &Path) -> io::Result<()> {
            System.remove_dir(path)
        }
    }
    impl Write for SlowFile {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            self.0.write(&buffer[..buffer.len().min(101)])
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
    impl DiskFile for SlowFile {
        fn sync(&mut self) -> io::Result<()> {
            self.0.sync()
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut fit = start();
    fit.step().unwrap();
    let [slow, quick] = ["slow", "quick"].map(|name| dir.path().join(name));
    fit.save_on(&Slow, &slow).unwrap();
    fit.save(&quick).unwrap();
    for file in fs::read_dir(&quick).unwrap() {
        let name = file.unwrap().file_name();
        assert!(fs::read(quick.join(&name)).unwrap() == fs::read(slow.join(&name)).unwrap(), "{}", name.display());
    }
    start().load(&slow).unwrap();
}

#[test]
fn every_flipped_bit_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("step-1");
    let mut saved = start();
    saved.step().unwrap();
    saved.save(&path).unwrap();
    let files: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    let sizes: Vec<u64> = files.iter().map(|file| file.metadata().unwrap().len()).collect();
    let total: u64 = sizes.iter().sum();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut fit = start();
    let flips = if long_form() { 10_000 } else { 1000 };
    for _ in 0..flips {
        // Any bit of all the files, put end to end.
        let mut at = rng.random_range(0..total * 8);
        let file = sizes
            .iter()
            .position(|size| {
                at < size * 8 || {
                    at -= size * 8;
                    false
                }
            })
            .unwrap();
        let whole = fs::read(&files[file]).unwrap();
        let mut flipped = whole.clone();
        flipped[(at / 8) as usize] ^= 1 << (at % 8);
        fs::write(&files[file], flipped).unwrap();
        assert!(fit.load(&path).is_err(), "bit {at} of {} does not matter", files[file].display());
        fs::write(&files[file], whole).unwrap();
    }
    fit.load(&path).unwrap();
    assert!(bits(&fit) == bits(&saved));
    eprintln!("measured: {flips} bits of {total} bytes flipped, all found");
}

/// Weights that are not finite: the one thing that is worse than no checkpoint.
#[test]
fn weights_that_are_not_finite_are_never_saved() {
    use crate::tiny::scripted;
    use orbit_core::hook::Vector::Weights;
    let overflow = scripted("careless", Phases::WEIGHTS, |phase, step, space| {
        if phase == Phases::WEIGHTS && step == 2 {
            // Neither factor is infinite.
            space.scale(Weights, f32::MAX)?;
            space.scale(Weights, f32::MAX)?;
        }
        Ok(())
    });
    let dir = tempfile::tempdir().unwrap();
    let mut fit = fit(vec![overflow], 5);
    fit.step().unwrap();
    fit.save(dir.path().join("step-1")).unwrap();
    fit.step().unwrap();
    let error = fit.save(dir.path().join("step-2")).unwrap_err();
    assert!(matches!(&error, Error::Poisoned { step: 2, .. }), "{error}");
    assert!(error.to_string().contains("embed_tokens") && error.to_string().contains("inf"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "something of it is left");
    let error = fit.step().unwrap_err().to_string();
    assert!(["step 3", "careless", "embed_tokens", "100, 101"].iter().all(|word| error.contains(word)), "{error}");
    fit.load(dir.path().join("step-1")).unwrap();
}

/// Nor are they what a run ends with, when the last hook to touch them does it.
#[test]
fn a_hook_cannot_spoil_the_end_of_a_run() {
    use crate::tiny::scripted;
    use orbit_core::hook::Vector::Weights;
    let overflow = scripted("careless", Phases::FINISH, |phase, _, space| {
        if phase == Phases::FINISH {
            space.scale(Weights, f32::MAX)?;
            space.scale(Weights, f32::MAX)?;
        }
        Ok(())
    });
    let mut fit = fit(vec![overflow], 2);
    let error = loop {
        match fit.step() {
            Ok(step) => assert!(step.is_some(), "the run has ended"),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, Error::Poisoned { step: 2, .. }), "{error}");
}

/// Adds a vector of a file to the residual stream.
struct Adds {
    file: String,
    scale: f32,
}

impl Hook for Adds {
    fn name(&self) -> &str {
        "adds"
    }
    fn phases(&self) -> Phases {
        Phases::FORWARD
    }
    fn forward(&mut self, _: &Step, plan: &mut ForwardPlan) -> orbit_core::hook::Result<()> {
        let (file, name) = (self.file.clone(), "vector".to_owned());
        plan.edits.push(Edit { site: Site::Out(0), at: Positions::All, file, name, scale: self.scale });
        Ok(())
    }
}

/// Not by a vector, not by what it is multiplied by, and not by what becomes too large on the way.
#[test]
fn an_activation_that_is_not_finite_stops_the_run_before_an_update() {
    let dir = tempfile::tempdir().unwrap();
    let width = 20;
    let step = |entry: f32, scale: f32| {
        let bytes: Vec<u8> = vec![entry; width].into_iter().flat_map(f32::to_le_bytes).collect();
        let view = TensorView::new(Dtype::F32, vec![width], &bytes).unwrap();
        let file = dir.path().join("vectors.safetensors");
        safetensors::serialize_to_file([("vector", view)], None, &file).unwrap();
        let mut fit = fit(vec![Entry::new(Box::new(Adds { file: file.to_str().unwrap().into(), scale }))], 3);
        let before = bits(&fit);
        let result = fit.step().map(drop).map_err(|error| error.to_string());
        if result.is_err() {
            assert!(before == bits(&fit), "the weights have changed");
            assert!(fit.save(dir.path().join("checkpoint")).is_err(), "it was saved");
        }
        result
    };
    assert_eq!(step(0.1, 1.0), Ok(()));
    for (entry, scale, named) in [
        (f32::NAN, 1.0, ["\"adds\" in forward", "NaN"]),
        (f32::INFINITY, 1.0, ["\"adds\" in forward", "inf"]),
        (0.1, f32::INFINITY, ["\"adds\" in forward", "inf"]),
        (f32::MAX, 2.0, ["step 1: ", "is not finite"]),
    ] {
        let error = step(entry, scale).unwrap_err();
        assert!(named.iter().all(|word| error.contains(word)), "{entry} times {scale}: {error}");
    }
}
