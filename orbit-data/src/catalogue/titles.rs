//! What the items of a generated catalogue are called.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::kind_of;
use crate::Item;

pub(super) const KINDS_PER_CATEGORY: usize = 3;

/// A kind of goods: items of one kind are alike, and users are interested in kinds.
pub(super) struct Kind {
    category: usize,
    name: &'static str,
}

const fn kind(category: usize, name: &'static str) -> Kind {
    Kind { category, name }
}

/// All kinds, those of a category side by side.
pub(super) const KINDS: [Kind; 15] = [
    kind(0, "Green Tea"),
    kind(0, "Black Tea"),
    kind(0, "Herbal Infusion"),
    kind(1, "Hand Cream"),
    kind(1, "Bar Soap"),
    kind(1, "Shampoo"),
    kind(2, "Notebook"),
    kind(2, "Fountain Pen"),
    kind(2, "Watercolour Set"),
    kind(3, "Head Torch"),
    kind(3, "Daypack"),
    kind(3, "Camping Mug"),
    kind(4, "Chef's Knife"),
    kind(4, "Frying Pan"),
    kind(4, "Mixing Bowl"),
];

struct Category {
    name: &'static str,
    adjectives: [&'static str; 6],
    variants: [&'static str; 5],
}

const CATEGORIES: [Category; 5] = [
    Category {
        name: "Tea",
        adjectives: ["Organic", "Roasted", "First Flush", "Smoked", "Jasmine", "Everyday"],
        variants: ["20 bags", "40 bags", "100 g loose", "250 g loose", "gift tin"],
    },
    Category {
        name: "Care",
        adjectives: ["Gentle", "Unscented", "Lavender", "Oatmeal", "Sea Salt", "Almond"],
        variants: ["50 ml", "100 ml", "250 ml", "pack of 2", "refill"],
    },
    Category {
        name: "Paper and Ink",
        adjectives: ["Pocket", "Recycled", "Studio", "Linen", "Student", "Travel"],
        variants: ["blue", "charcoal", "moss green", "limited edition", "starter set"],
    },
    Category {
        name: "Outdoors",
        adjectives: ["Lightweight", "Rugged", "Folding", "Waterproof", "Compact", "Alpine"],
        variants: ["small", "large", "sand", "signal orange", "second edition"],
    },
    Category {
        name: "Kitchen",
        adjectives: ["Forged", "Enamelled", "Nonstick", "Ceramic", "Classic", "Professional"],
        variants: ["18 cm", "24 cm", "28 cm", "set of 2", "set of 3"],
    },
];

const BRANDS: [&str; 12] = [
    "Quiet River",
    "Northlight",
    "Old Harbour",
    "Bramble & Fen",
    "Two Larks",
    "Silverbirch",
    "Copper Lane",
    "Marlow Hill",
    "Saltmarsh",
    "Ember & Oak",
    "Little Anvil",
    "Fairweather",
];

const TITLES_PER_KIND: usize = BRANDS.len() * 6 * 5;

/// `count` items with ids `1..=count`, all titles different: `Quiet River Organic Green Tea, 40 bags`.
pub(super) fn items(count: usize, rng: &mut ChaCha8Rng) -> Vec<Item> {
    let orders: Vec<Vec<usize>> = KINDS
        .iter()
        .map(|_| {
            let mut order: Vec<usize> = (0..TITLES_PER_KIND).collect();
            order.shuffle(rng);
            order
        })
        .collect();
    (0..count).map(|item| describe(item, &orders[kind_of(item)])).collect()
}

fn describe(item: usize, order: &[usize]) -> Item {
    let kind = &KINDS[kind_of(item)];
    let category = &CATEGORIES[kind.category];
    let nth = item / KINDS.len();
    let words = order[nth % TITLES_PER_KIND];
    let (brand, rest) = (BRANDS[words % BRANDS.len()], words / BRANDS.len());
    let mut title = format!("{brand} {} {}, {}", category.adjectives[rest % 6], kind.name, category.variants[rest / 6]);
    // A catalogue that outgrows the word lists tells its items apart by series.
    if nth >= TITLES_PER_KIND {
        title.push_str(&format!(", series {}", nth / TITLES_PER_KIND + 1));
    }
    let fields = [("brand", brand), ("category", category.name), ("kind", kind.name)];
    let fields: BTreeMap<_, _> = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Item { id: (item + 1).to_string(), title, fields }
}
