//! Items that are kept, and what their file says of them.

use std::collections::BTreeMap;

use super::ids::Ids;
use crate::Item;
use crate::corpus::normal;

/// The items that are kept, in the order in which users met them. Only their texts are held.
pub(super) struct Catalogue<'a> {
    ids: &'a Ids,
    /// Whether an item is kept, by its number.
    kept: Vec<bool>,
    items: Vec<Option<Item>>,
    /// Rows about items that are not kept.
    pub(super) others: u64,
    /// Rows about items that had one before, which holds.
    pub(super) repeated: u64,
}

impl<'a> Catalogue<'a> {
    pub(super) fn new(ids: &'a Ids, kept: Vec<bool>) -> Self {
        Self { ids, items: vec![None; kept.len()], kept, others: 0, repeated: 0 }
    }

    /// Takes what a row says of the item `id`; `describe` is asked only if it is kept.
    pub(super) fn put(
        &mut self,
        id: &str,
        describe: impl FnOnce() -> Result<(String, BTreeMap<String, String>), String>,
    ) -> Result<(), String> {
        let id = normal(id);
        if id.is_empty() {
            return Err("the item id is empty".to_owned());
        }
        let Some(number) = self.ids.number(&id).map(|number| number as usize).filter(|&number| self.kept[number])
        else {
            self.others += 1;
            return Ok(());
        };
        if self.items[number].is_some() {
            self.repeated += 1;
            return Ok(());
        }
        let (title, mut fields) = describe()?;
        // The normal form has these names for itself.
        fields.retain(|name, text| !matches!(name.as_str(), "id" | "title") && !text.is_empty());
        self.items[number] = Some(Item { id: id.into_owned(), title, fields });
        Ok(())
    }

    /// The kept items, and how many of them no row was about.
    pub(super) fn finish(self) -> (Vec<Item>, u64) {
        let (mut items, mut unknown) = (Vec::new(), 0);
        for (number, item) in self.items.into_iter().enumerate().filter(|(number, _)| self.kept[*number]) {
            unknown += u64::from(item.is_none());
            let bare = || Item { id: self.ids.id(number as u32).to_owned(), ..Item::default() };
            items.push(item.unwrap_or_else(bare));
        }
        (items, unknown)
    }
}

/// A text on one line, with single blanks.
pub(super) fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
