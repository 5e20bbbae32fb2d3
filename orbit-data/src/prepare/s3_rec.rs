//! The sequences of S3-Rec, whose times are the positions.

use std::path::Path;

use super::event::Event;
use super::raw::Raw;
use super::table::Table;
use crate::Result;
use crate::corpus::{normal, number};

pub(super) fn interactions(path: &Path, raw: &mut Raw<'_>, table: &mut Table) -> Result<()> {
    raw.plain_lines(path, |text| {
        let mut tokens = text.split_whitespace();
        let user = normal(tokens.next().unwrap_or_default());
        if table.users.number(&user).is_some() {
            return Err(format!("user {user:?} appears twice"));
        }
        // All are checked before any is taken: a sequence with one bad token is bad as a whole.
        let items: Vec<_> = tokens.map(|token| Ok(number(token)?.to_string())).collect::<Result<_, String>>()?;
        if items.is_empty() {
            return Err(format!("user {user:?} has no items"));
        }
        for item in &items {
            table.push(Event { user: &user, item, time: None, rating: None })?;
        }
        Ok(())
    })
}
