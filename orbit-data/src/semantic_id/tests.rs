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
    assert!(load_error(|json| json["format"] = json!(4)).contains("format 4; this build reads up to 3"));
    assert!(load_error(|json| *json = json!({"codes": []})).contains("`format` is missing"));
    assert!(load_error(|json| json["health"] = json!(null)).contains("invalid type"));
    assert!(SemanticIds::load("absent.json".as_ref()).unwrap_err().to_string().contains("absent.json"));
}

/// Sinkhorn, `none` and the added level on the same codes.
fn resolved(embeddings: &ItemEmbeddings, method: &ResidualKMeans, collisions: Collisions) -> SemanticIds {
    Recipe { method: Method::ResidualKMeans(method.clone()), collisions, standardize: false }
        .assign(embeddings)
        .unwrap()
}

#[test]
fn sinkhorn_needs_no_added_level_where_there_is_room() {
    let embeddings = embeddings(300);
    let plain = resolved(&embeddings, &method(2, 32), Collisions::None);
    let shared = resolved(&embeddings, &method(2, 32), Collisions::Sinkhorn);
    assert!(plain.health().collision_rate > 0.2, "{:?}", plain.health());
    assert_eq!((shared.codes_per_level(), shared.health().collision_rate), (&[32, 32][..], 0.0));
    // Only last codes change, and only of items that collided.
    let changed = (0..300).filter(|&item| plain.codes(item) != shared.codes(item)).count();
    assert_eq!(changed, shared.health().moved);
    for item in 0..300 {
        assert_eq!(plain.codes(item)[0], shared.codes(item)[0]);
        assert!(plain.items_of(plain.codes(item)).len() > 1 || plain.codes(item) == shared.codes(item));
    }
}

#[test]
fn sinkhorn_adds_a_level_where_there_is_no_room() {
    let embeddings = ItemEmbeddings::new(2, (0..7).flat_map(|i| [1.0, 0.1 * i as f32]).collect()).unwrap();
    let ids = resolved(&embeddings, &method(1, 3), Collisions::Sinkhorn);
    assert_eq!(ids.codes_per_level(), [3, 3]);
    assert_eq!(ids.health().largest_group, 3);
}

#[test]
fn kept_collisions_are_shown_and_refused_where_ids_must_differ() {
    let embeddings = ItemEmbeddings::new(2, vec![1.0, 0.0, 0.0, 1.0, 2.0, 0.0]).unwrap();
    let ids = resolved(&embeddings, &method(2, 4), Collisions::None);
    assert_eq!((ids.codes_per_level(), ids.items_of(ids.codes(2))), (&[4, 4][..], &[0, 2][..]));
    assert_eq!((ids.item_of(ids.codes(2)), ids.item_of(ids.codes(1))), (None, Some(1)));
    let error = ids.check_unique().unwrap_err().to_string();
    assert!(
        error.starts_with("items 0 and 2 have the same") && error.contains("`extra_level` or `sinkhorn`"),
        "{error}"
    );

    let dir = tempfile::tempdir().unwrap();
    ids.save(&dir.path().join("ids.json")).unwrap();
    assert_eq!(SemanticIds::load(&dir.path().join("ids.json")).unwrap(), ids);
}

#[test]
fn random_codes_have_no_centroids_to_share_out_by() {
    let recipe = Recipe { method: Method::Random(RandomCodes::default()), ..Recipe::default() };
    let ids = recipe.assign(&embeddings(40)).unwrap();
    assert_eq!((ids.len(), ids.codes_per_level(), ids.has_codebooks()), (40, &[256; 3][..], false));
    let error = Recipe { collisions: Collisions::Sinkhorn, ..recipe }.assign(&embeddings(40)).unwrap_err().to_string();
    assert!(error.contains("use `extra_level` or `none`"), "{error}");
    assert!(ids.assign_new(&embeddings(3)).unwrap_err().to_string().contains("no codebooks"));
}

#[test]
fn a_recipe_reads_as_its_keys() {
    let recipe: Recipe = serde_json::from_value(json!({
        "method": {"balanced_kmeans": {"codes": 8}}, "collisions": "sinkhorn", "standardize": true
    }))
    .unwrap();
    let method = Method::BalancedKMeans(BalancedKMeans { codes: 8, ..BalancedKMeans::default() });
    assert_eq!(recipe, Recipe { method, collisions: Collisions::Sinkhorn, standardize: true });
}

/// Four clusters within `spread` of one far-away mean, in eight dimensions.
fn trap(spread: f32) -> ItemEmbeddings {
    let row = |i: usize| {
        (0..8).map(move |d| 1.0 + if d % 4 == i % 4 { spread } else { 0.0 } + 0.02 * spread * ((i * d) % 7) as f32)
    };
    ItemEmbeddings::new(8, (0..80).flat_map(row).collect()).unwrap()
}

#[test]
fn embeddings_that_nearly_agree_are_called_collapsed_or_standardised() {
    let recipe = |standardize| Recipe {
        method: Method::ResidualKMeans(method(1, 4)),
        collisions: Collisions::None,
        standardize,
    };
    let plain = recipe(false).assign(&trap(1e-3)).unwrap();
    let verdict = plain.health().verdict();
    assert!(verdict.is_collapsed() && verdict.advice()[0].contains("set `standardize`"), "{verdict:?}");

    let standardized = recipe(true).assign(&trap(1e-3)).unwrap();
    for item in 4..80 {
        assert_eq!(standardized.codes(item), standardized.codes(item % 4));
    }
    assert_eq!(standardized.health().levels[0].used, 4);
    assert!(standardized.health().spread.unwrap() > 1.0);
    // Nothing helps where nothing differs.
    assert!(recipe(true).assign(&trap(0.0)).unwrap().health().verdict().is_collapsed());
}

#[test]
fn new_items_get_free_ids_and_old_ones_keep_theirs() {
    let old = ItemEmbeddings::new(2, vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0]).unwrap();
    let ids = SemanticIds::assign(&old, &method(1, 2)).unwrap();
    assert_eq!(ids.codes_per_level(), [2, 3]);
    let [right, up] = [0, 1].map(|item| ids.codes(item)[0]);
    // Up has two free places; right is full, so what points right goes up as well, and then nothing is free.
    let more = ids.assign_new(&ItemEmbeddings::new(2, vec![0.1, 1.0, 1.0, 0.1]).unwrap()).unwrap();
    assert_eq!((more.len(), more.codes_per_level()), (6, ids.codes_per_level()));
    assert!((0..4).all(|item| more.codes(item) == ids.codes(item)));
    assert_eq!((more.codes(4), more.codes(5)), (&[up, 1][..], &[up, 2][..]));
    assert_eq!(more.item_of(&[up, 2]), Some(5));
    assert_ne!((more.digest(), right), (ids.digest(), up));
    let error = more.assign_new(&ItemEmbeddings::new(2, vec![1.0, 1.0]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("is free for new item 6"), "{error}");
    let error = ids.assign_new(&ItemEmbeddings::new(3, vec![1.0; 3]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("have 3 values each, the codebooks 2"), "{error}");
}

#[test]
fn codebooks_that_do_not_fit_are_an_error() {
    assert!(load_error(|json| json["codebooks"]["dim"] = json!(0)).contains("0 dimensions"));
    assert!(
        load_error(|json| json["codebooks"]["centroids"][0] = json!([1.0]))
            .contains("codebook of level 0 has 1 values")
    );
    assert!(load_error(|json| json["codebooks"]["centroids"] = json!([])).contains("codebooks of 0 levels for 2"));
    assert!(load_error(|json| json["health"]["levels"] = json!([])).contains("health of 0 levels"));
}

#[test]
fn files_of_the_first_format_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ids.json");
    let ids = SemanticIds::from_prefixes(vec![3, 2], vec![vec![0, 1], vec![2, 0]]).unwrap();
    ids.save(&path).unwrap();
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json["format"] = json!(1);
    json.as_object_mut().unwrap().remove("collisions");
    json["health"].as_object_mut().unwrap().retain(|key, _| key != "moved" && key != "spread");
    fs::write(&path, json.to_string()).unwrap();
    assert_eq!(SemanticIds::load(&path).unwrap(), ids);
}

/// A network of 8 values, 5 between and 3 behind, with two levels of `codes` centroids that are latents or what is left.
fn learned(embeddings: &ItemEmbeddings, codes: usize, standardize: bool) -> Quantiser {
    let layer = |out: usize, input: usize| Layer {
        weight: (0..out * input).map(|at| ((at * at + out) as f32).sin()).collect(),
        bias: (0..out).map(|at| 0.1 * at as f32).collect(),
    };
    let standard = standardize.then(|| Standard::of(embeddings));
    let encoder = vec![layer(5, embeddings.dim()), layer(3, 5)];
    let mut inputs = embeddings.rows().to_vec();
    standard.iter().for_each(|standard| standard.apply(&mut inputs));
    let latents = encoder::Encoder(encoder.clone()).apply(&inputs, embeddings.dim());
    let first = KMeans { codes, iterations: 5, seed: 1 }.fit(&latents, 3);
    let left: Vec<f32> = latents
        .chunks_exact(3)
        .zip(&first.assignment)
        .flat_map(|(row, &code)| row.iter().zip(&first.centroids[3 * usize::from(code)..]).map(|(x, c)| x - c))
        .collect();
    let second = KMeans { codes, iterations: 5, seed: 2 }.fit(&left, 3);
    Quantiser { standard, encoder, codebooks: vec![first.centroids, second.centroids] }
}

#[test]
fn a_learned_quantiser_is_saved_with_its_ids_and_codes_new_items() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ids.json");
    let embeddings = embeddings(60);
    for standardize in [false, true] {
        let quantiser = learned(&embeddings, 8, standardize);
        let ids = SemanticIds::from_quantiser(quantiser, &embeddings, Collisions::None).unwrap();
        assert_eq!((ids.codes_per_level(), ids.health().levels[0].used), (&[8, 8][..], 8));
        ids.save(&path).unwrap();
        let loaded = SemanticIds::load(&path).unwrap();
        assert_eq!(loaded, ids);
        // The same items again: each gets the codes that it has.
        let twice = loaded.assign_new(&embeddings).unwrap();
        assert!((0..60).all(|item| twice.codes(item) == twice.codes(60 + item)));
        let alone = loaded.assign_new(&ItemEmbeddings::new(embeddings.dim(), embeddings.row(7).to_vec()).unwrap());
        assert_eq!(alone.unwrap().codes(60), ids.codes(7));
    }
}

#[test]
fn a_learned_quantiser_leaves_nothing_to_chance() {
    let embeddings = embeddings(60);
    for collisions in [Collisions::ExtraLevel, Collisions::Sinkhorn] {
        let make = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let quantiser = learned(&embeddings, 4, true);
            pool.install(|| SemanticIds::from_quantiser(quantiser, &embeddings, collisions).unwrap())
        };
        let ids = make(1);
        assert_eq!(ids, make(3));
        assert!(ids.check_unique().is_ok());
    }
}

#[test]
fn a_quantiser_that_does_not_fit_is_an_error() {
    let embeddings = embeddings(20);
    let error = |change: &dyn Fn(&mut Quantiser)| {
        let mut quantiser = learned(&embeddings, 4, true);
        change(&mut quantiser);
        SemanticIds::from_quantiser(quantiser, &embeddings, Collisions::None).unwrap_err().to_string()
    };
    let other = ItemEmbeddings::new(2, vec![1.0, 0.0, 0.0, 1.0]).unwrap();
    assert!(error(&|q| q.standard = Some(Standard::of(&other))).contains("standardises other embeddings"));
    assert!(error(&|q| q.encoder.clear()).contains("the encoder has no layers"));
    assert!(error(&|q| q.encoder[1].weight.truncate(4)).contains("layer 1 of the encoder has 4 weights and 3 biases"));
    assert!(error(&|q| q.codebooks[1].truncate(4)).contains("the codebook of level 1 has 4 values"));
    assert!(error(&|q| q.codebooks[1][0] = f32::INFINITY).contains("level 1 has values that are not finite"));
    assert!(error(&|q| q.codebooks.clear()).contains("at least one item and one level"));

    let damaged = load_error(|json| json["codebooks"]["encoder"] = json!([{"weight": [1.0, 2.0], "bias": [0.0]}]));
    assert!(damaged.contains("layer 0 of the encoder has 2 weights"), "{damaged}");
}

prop_compose! {
    fn small_embeddings(items: std::ops::Range<usize>)(
        rows in prop::collection::vec(prop::array::uniform3(-2_i8..=2), items),
    ) -> ItemEmbeddings {
        let rows = rows.iter().flat_map(|row| [1.0, row[0].into(), row[1].into(), row[2].into()]).collect();
        ItemEmbeddings::new(4, rows).unwrap()
    }
}

/// Rows `from` to the last.
fn tail(embeddings: &ItemEmbeddings, from: usize) -> ItemEmbeddings {
    ItemEmbeddings::new(embeddings.dim(), embeddings.rows()[from * embeddings.dim()..].to_vec()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sinkhorn_leaves_no_collision_where_there_is_room(embeddings in small_embeddings(1..30), levels in 1_usize..3) {
        // With as many codes as items there is room, unless items that are alike leave fewer centroids.
        let ids = resolved(&embeddings, &method(levels, 32), Collisions::Sinkhorn);
        prop_assert!(ids.check_unique().is_ok());
        let last = ids.codebooks.as_ref().unwrap().last_distances(embeddings.row(0)).len();
        let families: HashSet<_> = ids.iter().map(|id| &id[..levels - 1]).collect();
        let largest = families.iter().map(|family| ids.iter().filter(|id| id.starts_with(family)).count()).max();
        prop_assert_eq!(ids.levels() == levels, largest <= Some(last));
    }

    #[test]
    fn the_codebooks_give_the_items_they_were_made_from_their_codes(
        embeddings in small_embeddings(1..40), levels in 1_usize..4, codes in 1_usize..9, standardize in any::<bool>(),
    ) {
        let method = Method::ResidualKMeans(method(levels, codes));
        let ids = Recipe { method, collisions: Collisions::None, standardize }.assign(&embeddings).unwrap();
        let again = ids.codebooks.as_ref().unwrap().encode(&embeddings);
        prop_assert_eq!(ids.iter().collect::<Vec<_>>(), again.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }

    #[test]
    fn new_items_one_by_one_or_together_get_the_same_ids(
        old in small_embeddings(1..30), new in small_embeddings(2..8),
        collisions in prop::sample::select(vec![Collisions::ExtraLevel, Collisions::Sinkhorn, Collisions::None]),
    ) {
        let ids = resolved(&old, &method(2, 8), collisions);
        let first = ItemEmbeddings::new(4, new.row(0).to_vec()).unwrap();
        let together = ids.assign_new(&new);
        let steps = ids.assign_new(&first).and_then(|ids| ids.assign_new(&tail(&new, 1)));
        prop_assert_eq!(together.is_ok(), steps.is_ok());
        if let (Ok(together), Ok(steps)) = (together, steps) {
            prop_assert_eq!(&together, &steps);
            prop_assert!(ids.iter().eq(together.iter().take(ids.len())));
        }
    }
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
