use std::collections::HashSet;
use std::fs;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::catalogue::Catalogue;

fn embeddings(items: usize) -> ItemEmbeddings {
    Catalogue { items, users: 0, seed: 3 }.generate().1
}

fn method(levels: usize, codes: usize) -> ResidualKMeans {
    ResidualKMeans { levels, codes, ..ResidualKMeans::default() }
}

#[test]
fn well_separated_clusters_are_found_without_collisions() {
    let corners = [[3.0, 0.0], [0.0, 3.0], [-3.0, 0.0], [0.0, -3.0]];
    let rows = (0..40).flat_map(|i| {
        let [x, y] = corners[i % 4];
        [x + 0.01 * i as f32, y - 0.013 * i as f32]
    });
    let embeddings = ItemEmbeddings::new(2, rows.collect()).unwrap();
    let ids = SemanticIds::assign(&embeddings, &method(2, 4)).unwrap();
    for item in 4..40 {
        assert_eq!(ids.codes(item)[0], ids.codes(item % 4)[0]);
    }
    assert_eq!(ids.health().levels[0].used, 4);
}

#[test]
fn alike_items_are_told_apart_by_an_added_level() {
    let embeddings = ItemEmbeddings::new(2, vec![1.0, 0.0, 0.0, 1.0, 2.0, 0.0, 5.0, 0.0]).unwrap();
    let ids = SemanticIds::assign(&embeddings, &method(2, 4)).unwrap();
    assert_eq!(ids.codes_per_level(), [4, 4, 3]);
    assert_eq!([0, 1, 2, 3].map(|item| ids.codes(item)[2]), [0, 0, 1, 2]);
    let health = ids.health();
    assert_eq!((health.collision_rate, health.unique_prefixes, health.largest_group), (0.75, 2, 3));
    assert_eq!(health.levels[0].used, 2);
}

#[test]
fn no_level_is_added_without_collisions() {
    let ids = SemanticIds::assign(&embeddings(20), &method(2, 64)).unwrap();
    assert_eq!((ids.codes_per_level(), ids.levels()), (&[64, 64][..], 2));
}

#[test]
fn every_code_is_used_where_items_allow() {
    let ids = SemanticIds::assign(&embeddings(300), &method(3, 32)).unwrap();
    assert!(ids.health().levels.iter().all(|level| level.used == 32), "{:?}", ids.health());
}

#[test]
fn threads_do_not_change_the_ids() {
    let assign = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| SemanticIds::assign(&embeddings(300), &method(3, 16)).unwrap())
    };
    assert_eq!(assign(1), assign(3));
}

#[test]
fn settings_out_of_range_are_errors() {
    for method in [method(0, 4), method(1, 0), method(1, 70_000)] {
        let error = SemanticIds::assign(&embeddings(5), &method).unwrap_err().to_string();
        assert!(error.contains("1 or more levels of 1 to 65,536 codes"), "{error}");
    }
    assert!(SemanticIds::assign(&embeddings(0), &method(1, 4)).unwrap_err().to_string().contains("at least one item"));
}

#[test]
fn a_prefix_that_cannot_be_is_an_error() {
    let error = |prefixes: &[&[u16]]| {
        let prefixes = prefixes.iter().map(|prefix| prefix.to_vec()).collect();
        SemanticIds::from_prefixes(vec![2, 2], prefixes).unwrap_err().to_string()
    };
    assert_eq!(error(&[&[0, 1], &[1]]), "item 1 has 1 codes, but there are 2 levels");
    assert_eq!(error(&[&[0, 2]]), "item 0 has code 2 at level 1, which has 2");
}

/// Saves good IDs, lets `damage` change the JSON, and answers why it does not load.
fn load_error(damage: impl Fn(&mut Value)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ids.json");
    SemanticIds::assign(&embeddings(20), &method(2, 64)).unwrap().save(&path).unwrap();
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    damage(&mut json);
    fs::write(&path, json.to_string()).unwrap();
    let error = SemanticIds::load(&path).unwrap_err().to_string();
    assert!(error.contains("ids.json"), "{error}");
    error
}

#[test]
fn damaged_files_say_what_is_wrong() {
    let first = |json: &Value| json["codes"][0].clone();
    assert!(load_error(|json| json["codes"][4] = first(json)).contains("items 0 and 4 have the same semantic ID"));
    assert!(load_error(|json| json["codes"][4] = json!([1])).contains("item 4 has 1 codes"));
    assert!(load_error(|json| json["codes"][4] = json!([1, 64])).contains("item 4 has code 64 at level 1"));
    assert!(load_error(|json| json["codes"].as_array_mut().unwrap().swap(0, 1)).contains("edited or damaged"));
    assert!(load_error(|json| json["format"] = json!(2)).contains("format 2; this build reads 1"));
    assert!(load_error(|json| *json = json!({"codes": []})).contains("`format` is missing"));
    assert!(load_error(|json| json["health"] = json!(null)).contains("invalid type"));
    assert!(SemanticIds::load("absent.json".as_ref()).unwrap_err().to_string().contains("absent.json"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn ids_are_unique_stable_and_saved_whole(
        rows in prop::collection::vec(prop::array::uniform3(-2_i8..=2), 1..60),
        levels in 1_usize..4,
        codes in 1_usize..9,
    ) {
        let rows = rows.iter().flat_map(|row| [1.0, row[0].into(), row[1].into(), row[2].into()]).collect();
        let embeddings = ItemEmbeddings::new(4, rows).unwrap();
        let ids = SemanticIds::assign(&embeddings, &method(levels, codes)).unwrap();

        prop_assert_eq!(ids.iter().collect::<HashSet<_>>().len(), embeddings.len());
        for (item, id) in (0..).zip(ids.iter()) {
            prop_assert_eq!(ids.item_of(id), Some(item));
        }
        prop_assert_eq!(ids.item_of(&[]), None);
        prop_assert_eq!(&SemanticIds::assign(&embeddings, &method(levels, codes)).unwrap(), &ids);

        let dir = tempfile::tempdir().unwrap();
        ids.save(&dir.path().join("ids.json")).unwrap();
        prop_assert_eq!(SemanticIds::load(&dir.path().join("ids.json")).unwrap(), ids);
    }
}
