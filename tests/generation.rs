//! What orbit saves behaves elsewhere: `generate()` of transformers writes what orbit writes, token for token, and stops.
//!
//! Needs a Python with torch and transformers, as [`crate::transformers`]. Skips without. `ORBIT_RESULTS=FILE` keeps what was found:
//!
//! ```text
//! ORBIT_PYTHON=python ORBIT_RESULTS=results/bench/generate-5.json cargo test --release -p orbit-tests generate_writes
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use orbit_core::device;
use orbit_data::TextTokenizer;
use orbit_data::chat::ChatTemplate;
use orbit_data::instruct::{Instance, Limits, Prompts, Task, Template};
use orbit_data::metric::Metric;
use orbit_data::tokenizer::Reader;
use orbit_data::vocabulary::{SPECIAL_TOKENS, train_bpe};
use orbit_models::generate::{Answering, answers};
use orbit_models::t5::{FeedForwardProj, ModelType};
use orbit_models::weights::Dtype;
use orbit_models::{
    Decoder, DecoderConfig, EncoderDecoder, Extension, Family, GenerationConfig, LanguageModel, T5Config,
};
use serde_json::{Value, json};

use crate::program::{ROOT, done, json as read, orbit};
use crate::transformers::{python, run};

/// For each directory and each of some words: the prompt, and what greedy decoding writes after it. And where it ran.
const SCRIPT: &str = r#"
import json, os, platform, sys, torch, transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
versions = {"transformers": transformers.__version__, "torch": torch.__version__}
machine = {"os": platform.platform(), "cores": os.cpu_count()}
written = []
for directory in sys.argv[2:]:
    encoder_decoder = AutoConfig.from_pretrained(directory).is_encoder_decoder
    kind = AutoModelForSeq2SeqLM if encoder_decoder else AutoModelForCausalLM
    model, report = kind.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    tokenizer = AutoTokenizer.from_pretrained(directory)
    rows = []
    for words in json.loads(sys.argv[1]):
        prompt = tokenizer(words)["input_ids"]
        if "im_start" in (tokenizer.chat_template or ""):
            text = tokenizer.apply_chat_template(
                [{"role": "user", "content": words}], add_generation_prompt=True, tokenize=False)
            prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
        made = model.eval().generate(torch.tensor([prompt]), max_new_tokens=24, do_sample=False)[0].tolist()
        rows.append([prompt, made[1:] if encoder_decoder else made[len(prompt):]])
    written.append(rows)
print(json.dumps({"versions": versions, "machine": machine, "written": written}))
"#;

const TEXT: &str =
    "user assistant Say it. a bird flew the dog ran two men sat down by the old red door and the girl sang";

/// A family, small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Llama,
    Bloom,
    T5,
    Mt5,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Llama, Self::Bloom, Self::T5, Self::Mt5];
}

/// A model directory with random weights, whose embedding has more rows than its tokenizer has tokens.
pub(crate) fn base(kind: Kind, dir: &Path) {
    fs::create_dir(dir).unwrap();
    let specials: &[&str] = if kind == Kind::Llama { &SPECIAL_TOKENS } else { &["<pad>", "</s>", "<unk>"] };
    let tokenizer = train_bpe([TEXT; 4].into_iter(), 290, specials).unwrap();
    let rows = tokenizer.get_vocab_size(true) + 6;
    TextTokenizer::new(tokenizer, Reader::Decoder).unwrap().save(dir).unwrap();
    let flex = device("flex").unwrap();
    let decoder = DecoderConfig {
        vocab_size: rows,
        hidden_size: 32,
        intermediate_size: 128,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 4,
        head_dim: 8,
        tie_word_embeddings: true,
        bos_token_id: Some(0),
        eos_token_ids: vec![u32::from(kind != Kind::Llama)],
        pad_token_id: Some(0),
        ..DecoderConfig::default()
    };
    let encoder_decoder = T5Config {
        vocab_size: rows,
        d_model: 32,
        d_kv: 8,
        d_ff: 64,
        num_layers: 2,
        num_decoder_layers: 2,
        num_heads: 4,
        dropout_rate: 0.0,
        ..T5Config::default()
    };
    let model: LanguageModel = match kind {
        Kind::Llama => Decoder::random(DecoderConfig { num_key_value_heads: 2, ..decoder }, 1, &flex).into(),
        Kind::Bloom => Decoder::random(DecoderConfig { family: Family::Bloom, ..decoder }, 2, &flex).into(),
        Kind::T5 => EncoderDecoder::random(encoder_decoder, 3, &flex).into(),
        Kind::Mt5 => {
            let gated = FeedForwardProj::GatedGelu;
            let (tied, scaled) = (false, false);
            let config = T5Config { model_type: ModelType::Mt5, feed_forward_proj: gated, ..encoder_decoder };
            let config = T5Config { tie_word_embeddings: tied, scale_decoder_outputs: scaled, ..config };
            EncoderDecoder::random(config, 4, &flex).into()
        }
    };
    model.save(dir, Dtype::F32, &Extension::default()).unwrap();
    if kind == Kind::Llama {
        ChatTemplate::chatml().unwrap().save(dir).unwrap();
        // Generation ends elsewhere than where the chat template closes an answer, and has settings of its own.
        let generation = json!({"eos_token_id": 0, "bos_token_id": 0, "repetition_penalty": 1.0});
        fs::write(dir.join("generation_config.json"), generation.to_string()).unwrap();
    } else {
        ChatTemplate::plain("</s>").unwrap().save(dir).unwrap();
    }
    if matches!(kind, Kind::T5 | Kind::Mt5) {
        close_prompts(&dir.join("tokenizer.json"));
    }
}

/// Lets the post-processor put `</s>` behind a text, as T5's does.
fn close_prompts(path: &Path) {
    let mut tokenizer: Value = read(path);
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let end = json!({"SpecialToken": {"id": "</s>", "type_id": 0}});
    tokenizer["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [text, end],
        "pair": [text, end],
        "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}},
    });
    fs::write(path, tokenizer.to_string()).unwrap();
}

fn instance(at: usize) -> Instance {
    let (inputs, outputs) = (["a bird", "the dog", "the girl"], ["flew by the door", "ran", "sat down and sang"]);
    Instance { instruction: "Say it.".into(), input: inputs[at].into(), outputs: vec![outputs[at].into()] }
}

fn task() -> Task {
    let all: Vec<Instance> = (0..3).map(instance).collect();
    Task {
        name: "said".into(),
        train: all.clone(),
        test: all,
        metric: Metric::ExactMatch,
        choices: None,
        chance: None,
        template: Template::plain(),
        steps: None,
        paraphrases: vec![],
    }
}

/// Trains a model until it knows three answers by heart, and gives where it is saved.
fn trained(kind: Kind, root: &Path) -> PathBuf {
    let folder = root.join(format!("{kind:?}"));
    fs::create_dir(&folder).unwrap();
    base(kind, &folder.join("base"));
    let row = |at: usize| {
        let Instance { instruction, input, outputs } = instance(at);
        json!({"instruction": instruction, "input": input, "output": outputs[0]}).to_string() + "\n"
    };
    fs::write(folder.join("said.train.jsonl"), (0..3).map(row).collect::<String>()).unwrap();
    fs::copy(folder.join("said.train.jsonl"), folder.join("said.test.jsonl")).unwrap();
    let run = "
        tasks = [{ name = 'said', form = 'jsonl', train = 'said.train.jsonl' }]
        model.path = 'base'
        train = { steps = 120, batch = 3, learning_rate = 1e-2, warmup = 5, schedule = 'cosine' }
        evaluate.divergence = 0
    ";
    fs::write(folder.join("run.toml"), run).unwrap();
    done(orbit().arg("train").arg(folder.join("run.toml")).arg("--out").arg(folder.join("out")));
    folder.join("out/model")
}

/// The prompts of the three instances, and what orbit writes, without the token that ends it.
fn by_orbit(kind: Kind, dir: &Path) -> Vec<(Vec<u32>, Vec<u32>)> {
    let reader = if matches!(kind, Kind::T5 | Kind::Mt5) { Reader::Encoder } else { Reader::Decoder };
    let (tokenizer, chat) = (TextTokenizer::read(dir, reader).unwrap(), ChatTemplate::read(dir).unwrap());
    let (prompts, task) = (Prompts::new(&chat, &tokenizer, Limits::NONE).unwrap(), task());
    let asked: Vec<Vec<u32>> = task.test.iter().map(|instance| prompts.prompt(&task, instance).unwrap()).collect();
    let ends = GenerationConfig::read(dir).unwrap().unwrap().end_tokens();
    let model = LanguageModel::load(dir, &device("flex").unwrap()).unwrap();
    let how = Answering { ends: &ends, longest: 24, batch: 3, draw: None };
    let written = answers(&model, &asked, &[], how, &mut |_| {}).unwrap();
    asked.into_iter().zip(written).collect()
}

#[test]
fn generate_writes_what_orbit_writes_and_stops() {
    let Some(python) = python("torch, transformers") else { return };
    let root = tempfile::tempdir().unwrap();
    let models = Kind::ALL.map(|kind| trained(kind, root.path()));
    let words: Vec<String> = (0..3)
        .map(|at| {
            let Instance { instruction, input, .. } = instance(at);
            Template::plain().render(&[], &instruction, &input).unwrap()
        })
        .collect();
    let words = json!(words).to_string();
    let mut arguments: Vec<&std::ffi::OsStr> = vec![words.as_ref()];
    arguments.extend(models.iter().map(|model| model.as_os_str()));
    let mut theirs: Value = serde_json::from_str(run(&python, SCRIPT, &arguments).trim()).unwrap();
    let written: Vec<Vec<[Vec<u32>; 2]>> = serde_json::from_value(theirs["written"].take()).unwrap();
    let mut families = serde_json::Map::new();
    for ((kind, model), theirs) in Kind::ALL.into_iter().zip(&models).zip(written) {
        families.insert(format!("{kind:?}"), compare(kind, model, theirs));
    }
    let carried = read(&models[0].join("generation_config.json"));
    assert_eq!((&carried["eos_token_id"], &carried["repetition_penalty"]), (&json!([0, 2]), &json!(1.0)));
    if let Some(path) = std::env::var_os("ORBIT_RESULTS") {
        keep(Path::new(ROOT).join(path), theirs, families);
    }
}

/// That a family's answers are the same, and how many tokens that were.
fn compare(kind: Kind, model: &Path, theirs: Vec<[Vec<u32>; 2]>) -> Value {
    let ends = GenerationConfig::read(model).unwrap().unwrap().end_tokens();
    let ours = by_orbit(kind, model);
    let tokens: usize = ours.iter().map(|(_, written)| written.len() + 1).sum();
    for (at, ((prompt, written), [their_prompt, their_written])) in ours.into_iter().zip(theirs).enumerate() {
        assert_eq!(prompt, their_prompt, "{kind:?}, prompt {at}");
        let (last, before) = their_written.split_last().unwrap();
        assert!(ends.contains(last) && their_written.len() < 24, "{kind:?} does not stop: {their_written:?}");
        assert_eq!(written, before, "{kind:?}, answer {at}");
        assert!(!written.is_empty(), "{kind:?}, answer {at}");
    }
    // The rows that no token has are saved as they were, so that other tools find the shape that they know.
    let [config, base] =
        [model.to_owned(), model.parent().unwrap().with_file_name("base")].map(|dir| read(&dir.join("config.json")));
    assert_eq!(config["vocab_size"], base["vocab_size"]);
    json!({"answers": 3, "tokens_with_the_last": tokens, "all_the_same": true})
}

/// Writes a result file.
fn keep(path: PathBuf, theirs: Value, families: serde_json::Map<String, Value>) {
    let commit = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).current_dir(ROOT).output().unwrap();
    let result = json!({
        "command": "ORBIT_RESULTS=FILE cargo test --release -p orbit-tests generate_writes_what_orbit_writes",
        "commit": String::from_utf8(commit.stdout).unwrap().trim(),
        "seconds_since_1970": UNIX_EPOCH.elapsed().unwrap().as_secs(),
        "machine": theirs["machine"],
        "versions": theirs["versions"],
        "seeds": "1 to 4 for the weights, 1 for training",
        "families": families,
    });
    fs::write(path, serde_json::to_string_pretty(&result).unwrap() + "\n").unwrap();
}
