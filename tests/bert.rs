//! The encoder against `transformers`; `make_tiny_bert.py` in `testdata/models` made the files.

use std::fs;

use orbit_core::device;
use orbit_models::bert::Bert;
use orbit_models::pooling::SentenceEncoding;
use orbit_models::weights::{Dtype, Weights};

use crate::golden::folder;
use crate::program::{done, orbit};

/// The texts without padding, the hidden states `[3, 12, 24]`, and the means `[3, 24]`.
fn golden() -> (Vec<Vec<u32>>, Vec<f32>, Vec<f32>) {
    let mut file = Weights::read_file(folder("tiny-bert").join("golden.safetensors")).unwrap().tensors;
    let mut take = |name: &str| file.remove(name).unwrap();
    let (ids, lengths) = (take("input_ids"), take("lengths").data);
    let rows = ids.data.chunks(ids.shape[1]).zip(lengths);
    let texts = rows.map(|(row, length)| row[..length as usize].iter().map(|&id| id as u32).collect()).collect();
    (texts, take("hidden").data, take("means").data)
}

fn largest_difference(a: impl IntoIterator<Item = f32>, b: impl IntoIterator<Item = f32>) -> f32 {
    a.into_iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The means of texts, end to end.
fn vectors(model: &Bert, texts: &[&[u32]]) -> Vec<f32> {
    let lengths: Vec<usize> = texts.iter().map(|text| text.len()).collect();
    SentenceEncoding::default().vectors(model.hidden(texts).unwrap(), &lengths).concat()
}

#[test]
fn hidden_states_and_means_are_those_of_transformers() {
    let model = Bert::load(folder("tiny-bert"), &device("flex").unwrap()).unwrap();
    let (texts, hidden, means) = golden();
    let rows: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let found = model.hidden(&rows).unwrap();
    let [_, width, d] = found.dims();
    let found: Vec<f32> = found.into_data().try_into_vec().unwrap();
    for (row, text) in texts.iter().enumerate() {
        let own = row * width * d..(row * width + text.len()) * d;
        let difference = largest_difference(found[own.clone()].to_vec(), hidden[own].to_vec());
        assert!(difference <= 1e-4, "row {row}: {difference}");
    }
    let difference = largest_difference(vectors(&model, &rows), means.clone());
    assert!(difference <= 1e-4, "means: {difference}");
    // A text by itself has the embedding that it has among others.
    let alone = vectors(&model, &rows[1..2]);
    assert!(largest_difference(alone, means[d..2 * d].to_vec()) <= 1e-4);
}

#[test]
fn what_cannot_be_read_is_said() {
    let flex = device("flex").unwrap();
    let model = Bert::load(folder("tiny-bert"), &flex).unwrap();
    let refused = |texts: &[&[u32]]| model.hidden(texts).unwrap_err().to_string();
    assert!(refused(&[&[1], &[]]).contains("text 1 has 0 tokens"));
    assert!(refused(&[&[1; 17]]).contains("text 0 has 17 tokens, and the encoder reads 1 to 16"));
    assert!(refused(&[&[64]]).contains("64"));

    let dir = tempfile::tempdir().unwrap();
    let config = fs::read_to_string(folder("tiny-bert").join("config.json")).unwrap();
    fs::copy(folder("tiny-bert").join("model.safetensors"), dir.path().join("model.safetensors")).unwrap();
    for (old, new, named) in [
        ("\"hidden_act\": \"gelu\"", "\"hidden_act\": \"relu\"", "hidden_act"),
        ("\"num_attention_heads\": 3", "\"num_attention_heads\": 5", "num_attention_heads"),
        ("\"hidden_size\": 24", "\"hidden_size\": 48", "of another shape"),
    ] {
        assert!(config.contains(old));
        fs::write(dir.path().join("config.json"), config.replace(old, new)).unwrap();
        let message = Bert::load(dir.path(), &flex).unwrap_err().to_string();
        assert!(message.contains(named), "{message}");
    }
}

/// A checkpoint with a head on it, whose names begin with `bert.`, is the encoder that it has.
#[test]
fn heads_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut weights = Weights::read(folder("tiny-bert")).unwrap();
    let named = std::mem::take(&mut weights.tensors).into_iter();
    weights.tensors = named.map(|(name, array)| (format!("bert.{name}"), array)).collect();
    let bias = weights.tensors["bert.embeddings.LayerNorm.bias"].clone();
    weights.tensors.insert("cls.predictions.bias".into(), bias.clone());
    weights.tensors.insert("bert.pooler.dense.bias".into(), bias);
    weights.write(dir.path(), Dtype::F32, None).unwrap();
    fs::copy(folder("tiny-bert").join("config.json"), dir.path().join("config.json")).unwrap();
    let flex = device("flex").unwrap();
    let [with, without] = [dir.path().to_owned(), folder("tiny-bert")].map(|path| Bert::load(path, &flex).unwrap());
    let text: &[&[u32]] = &[&[5, 9, 2]];
    assert_eq!(vectors(&with, text), vectors(&without, text));
}

/// Published checkpoints have the positions among their tensors, as integers.
#[test]
fn saved_positions_are_passed_over() {
    use safetensors::tensor::{Dtype as Stored, SafeTensors, TensorView};
    let dir = tempfile::tempdir().unwrap();
    let bytes = fs::read(folder("tiny-bert").join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let positions: Vec<u8> = (0..16_i64).flat_map(i64::to_le_bytes).collect();
    let positions = TensorView::new(Stored::I64, vec![1, 16], &positions).unwrap();
    let tensors = file.tensors().into_iter().chain([("embeddings.position_ids".to_owned(), positions)]);
    fs::write(dir.path().join("model.safetensors"), safetensors::serialize(tensors, None).unwrap()).unwrap();
    fs::copy(folder("tiny-bert").join("config.json"), dir.path().join("config.json")).unwrap();
    Bert::load(dir.path(), &device("flex").unwrap()).unwrap();
}

/// The embedded language model as the encoder: embeddings are made once, and made anew when a text changes.
#[test]
fn items_are_embedded_once() {
    let dir = tempfile::tempdir().unwrap();
    let items = dir.path().join("items.jsonl");
    let write = |second: &str| {
        let text = format!("{{\"id\": 1, \"title\": \"the dog\"}}\n{{\"id\": 2, \"title\": \"{second}\"}}\n");
        fs::write(&items, text).unwrap();
    };
    let out = dir.path().join("made/items.npy");
    let embed = || {
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../orbit-cli/assets/tiny-lm");
        done(orbit().arg("embed").arg(&items).args(["--model", model]).arg("--out").arg(&out))
    };
    let rows = || orbit_data::ItemEmbeddings::read_npy(&out, 2).unwrap();
    write("the red bird");
    assert!(embed().contains("2 items x 192"));
    let before = rows();
    assert!(embed().contains("of the same model and texts"));
    assert_eq!(rows(), before);
    write("the green bird");
    assert!(embed().contains("2 items x 192"));
    assert_eq!(rows().row(0), before.row(0));
    assert_ne!(rows().row(1), before.row(1));
}
