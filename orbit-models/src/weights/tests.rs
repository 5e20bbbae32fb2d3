use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/models");

fn array(shape: &[usize], scale: f32) -> Array {
    let entries = shape.iter().product::<usize>();
    Array { shape: shape.to_vec(), data: (0..entries).map(|i| (i as f32 - 2.5) * scale).collect() }
}

/// Entries that all three types hold exactly.
fn weights() -> Weights {
    let tensors =
        [("a.weight", array(&[3, 4], 0.5)), ("b.weight", array(&[5], 1.0)), ("c.weight", array(&[2, 2], 2.0))];
    Weights { tensors: tensors.map(|(name, array)| (name.to_owned(), array)).into() }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The sharded golden model in a folder that a test may break.
fn sharded() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names(&Path::new(MODELS).join("tiny-llama-sharded")) {
        fs::copy(Path::new(MODELS).join("tiny-llama-sharded").join(&name), dir.path().join(&name)).unwrap();
    }
    dir
}

fn edit_index(dir: &Path, edit: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) {
    let path = dir.join(shards::INDEX_FILE);
    let mut index: serde_json::Value = atomic::read_json(&path).unwrap();
    edit(index["weight_map"].as_object_mut().unwrap());
    atomic::write_json(&path, &index).unwrap();
}

fn message(result: Result<Weights>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn every_type_and_sharding_round_trips() {
    for dtype in [Dtype::F32, Dtype::Bf16, Dtype::F16] {
        for max_shard_bytes in [None, Some(1), Some(40), Some(10_000)] {
            let dir = tempfile::tempdir().unwrap();
            weights().write(dir.path(), dtype, max_shard_bytes).unwrap();
            assert_eq!(Weights::read(dir.path()).unwrap(), weights(), "{dtype:?} {max_shard_bytes:?}");
        }
    }
}

#[test]
fn shards_hold_no_more_than_asked() {
    let dir = tempfile::tempdir().unwrap();
    weights().write(dir.path(), Dtype::F32, Some(40)).unwrap();
    // a: 48 bytes, a shard of its own; b and c: 20 + 16.
    let expected =
        ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"];
    assert_eq!(names(dir.path()), expected);
    let index: serde_json::Value = atomic::read_json(&dir.path().join(shards::INDEX_FILE)).unwrap();
    assert_eq!(index["metadata"]["total_size"], 84);
    assert_eq!(index["weight_map"]["c.weight"], "model-00002-of-00002.safetensors");
}

#[test]
fn a_write_leaves_no_weights_of_an_earlier_one() {
    let dir = tempfile::tempdir().unwrap();
    weights().write(dir.path(), Dtype::F32, Some(1)).unwrap();
    weights().write(dir.path(), Dtype::F32, None).unwrap();
    assert_eq!(names(dir.path()), ["model.safetensors"]);
    weights().write(dir.path(), Dtype::F32, Some(1)).unwrap();
    weights().write(dir.path(), Dtype::F32, Some(40)).unwrap();
    assert_eq!(names(dir.path()).len(), 3);
    assert_eq!(Weights::read(dir.path()).unwrap(), weights());
}

#[test]
fn bf16_rounds_to_nearest_even() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("w.safetensors");
    // bf16 has 8 significant bits: near 256 it holds every second integer.
    let data = vec![257.0, 259.0, 256.9, 1.0];
    let weights = Weights { tensors: [("w".to_owned(), Array { shape: vec![4], data })].into() };
    weights.write_file(&file, Dtype::Bf16).unwrap();
    assert_eq!(Weights::read_file(&file).unwrap().tensors["w"].data, [256.0, 260.0, 256.0, 1.0]);
}

#[cfg(unix)]
#[test]
fn files_are_as_readable_as_others() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("plain"), "").unwrap();
    weights().write(dir.path(), Dtype::F32, None).unwrap();
    let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode("model.safetensors"), mode("plain"));
}

#[test]
fn sharded_and_unsharded_are_the_same() {
    let whole = Weights::read(Path::new(MODELS).join("tiny-llama")).unwrap();
    assert_eq!(whole.tensors["model.layers.1.self_attn.k_proj.weight"].shape, [16, 32]);
    assert_eq!(Weights::read(Path::new(MODELS).join("tiny-llama-sharded")).unwrap(), whole);
}

#[test]
fn a_missing_shard_is_named() {
    let dir = sharded();
    fs::remove_file(dir.path().join("model-00002-of-00002.safetensors")).unwrap();
    assert!(message(Weights::read(dir.path())).contains("model-00002-of-00002.safetensors"));
}

#[test]
fn an_index_that_disagrees_with_its_shards_is_refused() {
    let (first, second) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    let cases: [(&str, &str, &str); 3] = [
        ("model.norm.weight", first, "and, by the index, in model-00001"),
        ("model.nothing.weight", second, "tensor model.nothing.weight: is not in model-00002"),
        ("model.norm.weight", "", "is in this shard but not in"),
    ];
    for (name, shard, expected) in cases {
        let dir = sharded();
        edit_index(dir.path(), |map| match shard {
            "" => drop(map.remove(name)),
            shard => drop(map.insert(name.to_owned(), shard.into())),
        });
        let text = message(Weights::read(dir.path()));
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn an_index_cannot_name_a_file_outside_its_directory() {
    let outside = tempfile::tempdir().unwrap();
    let second = "model-00002-of-00002.safetensors";
    let shard = outside.path().join("shard.safetensors");
    fs::copy(sharded().path().join(second), &shard).unwrap();
    let (absolute, folder) = (shard.to_str().unwrap(), outside.path().file_name().unwrap().to_str().unwrap());
    // The first three would be read: they are there, and hold what the index says.
    let up = [format!("../{folder}/shard.safetensors"), format!("./../{folder}/shard.safetensors")];
    let others = ["..\\shard.safetensors", "C:shard.safetensors", "C:\\shard.safetensors", "a/shard.safetensors"];
    let bare = ["", "/", "..", ".", "shard\0.safetensors", ".safetensors", "pytorch_model.bin"];
    for name in [absolute].into_iter().chain(up.iter().map(String::as_str)).chain(others).chain(bare) {
        let dir = sharded();
        edit_index(dir.path(), |map| {
            map.values_mut().filter(|shard| *shard == second).for_each(|shard| *shard = name.into());
        });
        let text = message(Weights::read(dir.path()));
        assert!(text.contains("is not the name of a safetensors file in this folder"), "{name:?}: {text}");
    }
}

/// The cache of Hugging Face has links to files named by their digests.
#[cfg(unix)]
#[test]
fn a_link_that_stands_in_the_directory_is_followed() {
    let (dir, outside) = (sharded(), tempfile::tempdir().unwrap());
    let shard = dir.path().join("model-00002-of-00002.safetensors");
    fs::copy(&shard, outside.path().join("digest")).unwrap();
    fs::remove_file(&shard).unwrap();
    std::os::unix::fs::symlink(outside.path().join("digest"), &shard).unwrap();
    assert_eq!(Weights::read(dir.path()).unwrap(), Weights::read(sharded().path()).unwrap());
}

#[test]
fn a_pickle_is_never_opened() {
    for name in ["pytorch_model.bin", "pytorch_model.bin.index.json"] {
        let dir = tempfile::tempdir().unwrap();
        // Even one that holds what could be read.
        fs::copy(Path::new(MODELS).join("tiny-llama/model.safetensors"), dir.path().join(name)).unwrap();
        let text = message(Weights::read(dir.path()));
        assert!(text.contains(name) && text.contains("save the model as model.safetensors"), "{text}");
    }
}

#[test]
fn an_empty_folder_says_which_file_is_expected() {
    let dir = tempfile::tempdir().unwrap();
    assert!(message(Weights::read(dir.path())).contains("model.safetensors"));
}

#[test]
fn other_types_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("w.safetensors");
    let view = TensorView::new(safetensors::Dtype::I64, vec![1], &[0; 8]).unwrap();
    safetensors::serialize_to_file([("ids", view)], None, &file).unwrap();
    let text = message(Weights::read_file(&file));
    assert!(
        text.contains("tensor ids: is I64, as weights that were quantised are; F32, F16 and BF16 can be read"),
        "{text}"
    );
}

#[test]
fn a_shape_that_does_not_fit_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = Weights { tensors: [("w".to_owned(), Array { shape: vec![3], data: vec![0.0; 2] })].into() };
    let error = wrong.write(dir.path(), Dtype::F32, None).unwrap_err();
    assert!(error.to_string().contains("shape [3] does not fit 2 entries"), "{error}");
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_model_far_beyond_its_weights_is_not_built() {
    let few = weights();
    few.check_size(Path::new("m"), 1 << 24).unwrap();
    let text = few.check_size(Path::new("m"), 1 << 40).unwrap_err().to_string();
    assert!(text.contains("m: the weights have 21 entries") && text.contains("1099511627776"), "{text}");
}

#[test]
fn the_reader_lists_everything_that_does_not_fit() {
    let mut reader = weights().into_reader("model");
    assert_eq!(reader.tensor("a.weight", &[3, 4]).len(), 12);
    assert!(!reader.has("a.weight") && reader.has("b.weight"));
    assert_eq!(reader.tensor("b.weight", &[6]), [0.0; 6]);
    assert_eq!(reader.tensor("d.weight", &[1]), [0.0]);
    match reader.finish(&[]).unwrap_err() {
        Error::Weights { path, missing, unused, misshapen } => {
            assert_eq!(
                (path, missing, unused),
                (PathBuf::from("model"), vec!["d.weight".into()], vec!["c.weight".into()])
            );
            assert_eq!((&misshapen[0].expected[..], &misshapen[0].found[..]), (&[6][..], &[5][..]));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn ignored_tensors_may_be_left() {
    let mut reader = weights().into_reader("model");
    reader.tensor("a.weight", &[3, 4]);
    reader.tensor("b.weight", &[5]);
    reader.finish(&["c.weight"]).unwrap();
}

proptest! {
    /// A file cut anywhere is an error, never a panic or a short array.
    #[test]
    fn a_cut_file_is_refused(share in 0.0..1.0f64) {
        let dir = tempfile::tempdir().unwrap();
        let whole = fs::read(Path::new(MODELS).join("tiny-llama/model.safetensors")).unwrap();
        let cut = dir.path().join("model.safetensors");
        fs::write(&cut, &whole[..(whole.len() as f64 * share) as usize]).unwrap();
        let text = message(Weights::read(dir.path()));
        prop_assert!(text.contains("not a whole safetensors file"), "{}", text);
    }

    /// What a 16-bit type gives back is within half a unit in the last place.
    #[test]
    fn sixteen_bits_are_close(data in prop::collection::vec(-1e3..1e3f32, 1..50)) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("w.safetensors");
        for (dtype, relative) in [(Dtype::Bf16, 1.0 / 256.0), (Dtype::F16, 1.0 / 2048.0)] {
            let weights = Weights { tensors: [("w".to_owned(), Array { shape: vec![data.len()], data: data.clone() })].into() };
            weights.write_file(&file, dtype).unwrap();
            for (found, expected) in Weights::read_file(&file).unwrap().tensors["w"].data.iter().zip(&data) {
                prop_assert!((found - expected).abs() <= relative * expected.abs() + 1e-7);
            }
        }
    }
}
