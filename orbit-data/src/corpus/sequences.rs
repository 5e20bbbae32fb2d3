//! The sequence form of S3-Rec (Zhou et al., arXiv 2008.07873).

use std::collections::HashSet;
use std::path::Path;

use super::id::{normal, normalized_id};
use super::reader::Items;
use super::{Corpus, OnBadRow, ReadReport, User};
use crate::Result;

impl Corpus {
    /// Reads `user item item ...` lines and an item file.
    ///
    /// Item ids are whole numbers from 1. Items are put in the order of these numbers, whatever the order of the file:
    /// where ids are 1..=n, item id `i` has index `i - 1`, which is how embedding files for this form are laid out.
    /// The form has no times, so the order among a user's items of one day is the file's.
    ///
    /// # Errors
    ///
    /// A file that cannot be read; and, unless `on_bad` is [`OnBadRow::Skip`], malformed JSON, an item without a usable
    /// id, an item id or user that appears twice, a token that is not a whole number from 1, an item that is not in the
    /// item file, a user without items. A sequence with one bad token is bad as a whole.
    pub fn read_sequences(sequences: &Path, items: &Path, on_bad: OnBadRow) -> Result<(Self, ReadReport)> {
        let mut report = ReadReport::default();
        let items = Items::read(items, on_bad, &mut report, |id| number(id).map(drop))?
            .sorted_by_key(|item| number(&item.id).unwrap_or_default());

        let (mut users, mut seen) = (Vec::new(), HashSet::new());
        report.plain_rows(sequences, on_bad, |text| {
            let user = parse_user(text, &items)?;
            if !seen.insert(user.id.clone()) {
                return Err(format!("user {:?} appears twice", user.id));
            }
            users.push(user);
            Ok(())
        })?;
        Ok((Self { items: items.list, users }, report))
    }
}

fn parse_user(text: &str, items: &Items) -> Result<User, String> {
    let mut tokens = text.split_whitespace();
    let id = normalized_id(tokens.next().unwrap_or_default());
    let history: Vec<u32> =
        tokens.map(|token| items.index_of(&number(token)?.to_string())).collect::<Result<_, String>>()?;
    if history.is_empty() {
        return Err(format!("user {id:?} has no items"));
    }
    Ok(User { id, history })
}

/// An item number, counted from 1, in the one form of its id: without zeros in front.
pub(crate) fn number(token: &str) -> Result<u32, String> {
    let id = normal(token);
    match id.parse::<u32>() {
        Ok(0) => Err("item id 0: ids count from 1 in this form".to_owned()),
        Ok(number) if number.to_string() == id => Ok(number),
        _ => Err(format!("{token:?} is not an item id: a whole number from 1 is expected")),
    }
}
