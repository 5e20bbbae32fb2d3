//! Interactions by number.

use super::event::Event;
use super::ids::Ids;
use super::options::Options;
use crate::corpus::normal;

/// An interaction in 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interaction {
    pub(super) user: u32,
    pub(super) item: u32,
    /// Never NaN, and zero has one sign.
    pub(super) time: f64,
}

/// The interactions of a source and the ids of their users and items.
pub(super) struct Table {
    pub(super) users: Ids,
    pub(super) items: Ids,
    pub(super) rows: Vec<Interaction>,
    /// How many were left out for their rating.
    pub(super) below_rating: u64,
    /// Whether the source has times; none until its first interaction.
    pub(super) timed: Option<bool>,
    min_rating: Option<f64>,
    moment: f64,
}

impl Table {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            users: Ids::default(),
            items: Ids::default(),
            rows: Vec::new(),
            below_rating: 0,
            timed: None,
            min_rating: options.min_rating,
            moment: f64::from(options.moment),
        }
    }

    /// Adds an interaction, or says why it cannot be used.
    pub(super) fn push(&mut self, event: Event<'_>) -> Result<(), String> {
        let (user, item) = (normal(event.user), normal(event.item));
        for (id, what) in [(&user, "user"), (&item, "item")] {
            if id.is_empty() {
                return Err(format!("the {what} id is empty"));
            }
        }
        if *self.timed.get_or_insert(event.time.is_some()) != event.time.is_some() {
            return Err("a time must be on every row or on none".to_owned());
        }
        if let Some(least) = self.min_rating {
            let rating = event.rating.ok_or("no rating, but a least rating is asked for")?;
            if rating < least {
                self.below_rating += 1;
                return Ok(());
            }
        }
        // Without times the order of the rows is the order in time.
        let time = event.time.map_or(self.rows.len() as f64, |time| self.rounded(time));
        let (user, item) = (self.users.intern(&user)?, self.items.intern(&item)?);
        self.rows.push(Interaction { user, item, time });
        Ok(())
    }
    /// The moment of a time; one of 1 takes times as they are.
    fn rounded(&self, time: f64) -> f64 {
        if self.moment == 1.0 { time } else { (time / self.moment).floor() * self.moment + 0.0 }
    }
}
