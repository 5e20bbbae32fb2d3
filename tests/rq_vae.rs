//! RQ-VAE: what keeps it from collapsing, that it learns, and that its IDs are a function of the seed.

use std::fs;

use orbit_core::device;
use orbit_data::semantic_id::Collisions;
use orbit_data::{ItemEmbeddings, SemanticIds};
use orbit_models::rq_vae::{IdShape, RqVae, Trained};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::program::{done, json, orbit, stderr};

const SHAPE: IdShape = IdShape { levels: 2, codes: 16, standardize: false };

fn small() -> RqVae {
    RqVae { hidden: vec![32], latent: 8, epochs: 150, batch: 64, ..RqVae::default() }
}

/// Unit vectors like those of language models: 40 clusters, all close to one far-away mean.
fn crowded() -> ItemEmbeddings {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut noise = |scale: f32, count: usize| -> Vec<f32> {
        (0..count).map(|_| scale * (0..4).map(|_| rng.random_range(-1.0_f32..1.0)).sum::<f32>()).collect()
    };
    let centers = noise(0.1, 40 * 16);
    let around = noise(0.03, 400 * 16);
    let rows = around.iter().enumerate().map(|(at, x)| 1.0 + x + centers[at / 16 % 40 * 16 + at % 16]);
    ItemEmbeddings::new(16, rows.collect()).unwrap()
}

fn train(settings: &RqVae, seed: u64) -> (SemanticIds, Trained) {
    let embeddings = crowded();
    let trained = settings.train(&embeddings, SHAPE, seed, &device("flex").unwrap(), |_| {}).unwrap();
    (SemanticIds::from_quantiser(trained.quantiser.clone(), &embeddings, Collisions::None).unwrap(), trained)
}

/// The trap: embeddings that lie close together, as they are.
#[test]
fn it_collapses_unless_codes_start_from_k_means_and_dead_ones_are_reset() {
    let (ids, trained) = train(&RqVae { kmeans_start: false, reset_dead_codes: false, ..small() }, 1);
    let verdict = ids.health().verdict();
    assert!(verdict.is_collapsed(), "{:?}", ids.health());
    assert!(verdict.advice().iter().any(|line| line.contains("reset dead codes")), "{verdict:?}");
    assert!(trained.history.last().unwrap().used[0] <= 3, "{:?}", trained.history.last());

    let (ids, trained) = train(&small(), 1);
    let verdict = ids.health().verdict();
    assert!(!verdict.advice().iter().any(|line| line.contains("has collapsed")), "{verdict:?}");
    assert!(ids.health().levels.iter().all(|level| level.used >= 14 && level.perplexity > 8.0), "{:?}", ids.health());
    assert!(trained.history.last().unwrap().used.iter().all(|&used| used >= 14), "{:?}", trained.history.last());
}

#[test]
fn the_error_falls() {
    let (ids, trained) = train(&small(), 3);
    let errors: Vec<f64> = trained.history.iter().map(|epoch| epoch.reconstruction).collect();
    let last = errors[errors.len() - 1];
    assert!(last < 0.1 * errors[0], "{errors:?}");
    // A decoder that learned nothing but the mean of all embeddings would be as far off as they are.
    let variance = ids.health().spread.unwrap().powi(2);
    assert!(last < 0.97 * variance, "{last} of {variance}");
}

#[test]
fn the_seed_decides() {
    let settings = RqVae { epochs: 4, ..small() };
    let make = |seed, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| train(&settings, seed))
    };
    let (ids, trained) = make(5, 1);
    assert_eq!((ids.clone(), trained.history.clone()), (make(5, 3).0, make(5, 3).1.history));
    assert_ne!(ids.digest(), make(6, 1).0.digest());
    assert_eq!((trained.history.len(), trained.history[0].used.len()), (4, 2));
}

#[test]
fn later_items_are_coded_without_training() {
    let (ids, _) = train(&RqVae { epochs: 2, ..small() }, 1);
    let twice = ids.assign_new(&crowded()).unwrap();
    assert!((0..400).all(|item| twice.codes(item) == twice.codes(400 + item)));
}

#[test]
fn settings_out_of_range_are_errors() {
    let error = |settings: RqVae, shape: IdShape| {
        let trained = settings.train(&crowded(), shape, 1, &device("flex").unwrap(), |_| {});
        trained.unwrap_err().to_string()
    };
    assert_eq!(error(RqVae { hidden: vec![4, 0], ..small() }, SHAPE), "hidden must be at least 1, got 0");
    assert_eq!(error(small(), IdShape { codes: 0, ..SHAPE }), "codes must be at least 1, got 0");
    assert!(error(small(), IdShape { codes: 70_000, ..SHAPE }).contains("at most 65,536"));
    assert!(error(RqVae { learning_rate: 0.0, ..small() }, SHAPE).contains("learning_rate must be above 0"));
    assert!(error(RqVae { commitment: -1.0, ..small() }, SHAPE).contains("commitment must be 0 or above"));
    assert!(error(RqVae { learning_rate: 1e30, ..small() }, SHAPE).contains("lower the learning rate"));
}

#[test]
fn a_run_file_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run.toml");
    let ids = |name: &str, keys: &str| {
        let section = format!("semantic_ids = {{ levels = 2, codes = 16, method = 'rq_vae', rq_vae = {{ {keys} }} }}");
        fs::write(&run, format!("model.path = 'none'\ncorpus.generated = {{ items = 60 }}\n{section}")).unwrap();
        let mut ids = orbit();
        ids.arg("ids").arg(&run).arg("--out").arg(dir.path().join(name));
        ids
    };
    let keys = "hidden = [16], latent = 4, epochs = 20, batch = 30";
    assert!(done(&mut ids("first.json", keys)).contains("60 items, IDs of 16 x 16"));
    done(&mut ids("second.json", keys));
    let [first, second] = ["first.json", "second.json"].map(|name| json(&dir.path().join(name)));
    assert_eq!(first, second);
    assert_eq!(first["codebooks"]["encoder"].as_array().unwrap().len(), 2);

    let output = ids("no.json", "latent = 0").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("semantic_ids.rq_vae.latent must be at least 1, got 0"), "{}", stderr(&output));
}
