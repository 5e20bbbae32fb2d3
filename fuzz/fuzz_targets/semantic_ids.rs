//! Semantic IDs, orbit's own and those that somebody published, are read or refused; what was read can be used.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_data::semantic_id::Collisions;
use orbit_data::vocabulary::item_tokenizer;
use orbit_data::tokenizer::Reader;
use orbit_data::{Corpus, Item, ItemEmbeddings, SemanticIds, TextTokenizer, Vocabulary};
use orbit_fuzz::Folder;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The same file with the digest that its codes have, which no mutation would hit on.
fn vouched(json: &[u8]) -> Option<Vec<u8>> {
    let mut file: Value = serde_json::from_slice(json).ok()?;
    let sizes: Vec<u64> = serde_json::from_value(file.get("codes_per_level")?.clone()).ok()?;
    let codes: Vec<Vec<u16>> = serde_json::from_value(file.get("codes")?.clone()).ok()?;
    let mut hash = Sha256::new();
    hash.update((sizes.len() as u64).to_le_bytes());
    sizes.iter().for_each(|size| hash.update(size.to_le_bytes()));
    codes.iter().flatten().for_each(|code| hash.update(code.to_le_bytes()));
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    file["digest"] = digest.into();
    serde_json::to_vec(&file).ok()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let folder = Folder::default();
    let path = folder.file("ids.json", rest);
    let ids = if choice & 1 == 0 {
        if let Some(vouched) = vouched(rest) {
            folder.file("ids.json", &vouched);
        }
        SemanticIds::load(&path)
    } else {
        let item = |id: &str| Item { id: id.to_owned(), ..Item::default() };
        let corpus = Corpus { items: vec![item("1"), item("b")], users: vec![] };
        SemanticIds::read_published(&path, "sid", &corpus, Collisions::ExtraLevel)
    };
    let Ok(ids) = ids else { return };
    assert!(ids.iter().all(|id| id.len() == ids.levels()));
    assert!(!ids.health().verdict().advice().iter().any(String::is_empty));
    if let Ok(vocabulary) =
        TextTokenizer::new(item_tokenizer(0).expect("a tokenizer without users"), Reader::Encoder)
            .and_then(|tokenizer| Vocabulary::new(tokenizer, ids.codes_per_level()))
    {
        assert!(ids.iter().all(|id| vocabulary.sid(id).is_ok()));
    }
    let embeddings = ItemEmbeddings::new(2, vec![3.0, 4.0, -1.0, 0.5]).expect("two rows that are not zero");
    if let Ok(more) = ids.assign_new(&embeddings) {
        assert_eq!(more.len(), ids.len() + 2);
    }
    ids.save(&path).expect("what was read can be written");
    assert_eq!(SemanticIds::load(&path).expect("what was written can be read"), ids);
});
