//! The text of a [`CheckReport`].

use std::fmt;

use super::{CheckReport, Leakage, SHORT, Spread, TemporalLeakage, TextCoverage, Times};

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "users: {}, items: {}, interactions: {}", self.users, self.items, self.interactions)?;
        self.schema(f)?;
        for (spread, what) in [(self.per_user, "a user"), (self.per_item, "an item that was met")] {
            if let Some(Spread { min, median, max }) = spread {
                writeln!(f, "interactions of {what}: {min} at least, {median} in the middle, {max} at most")?;
            }
        }
        writeln!(f, "users with fewer than {SHORT} interactions, of whom nothing is held out: {}", self.short_users)?;
        writeln!(f, "items that nobody met: {}", self.never_met)?;
        self.text.fmt(f, self.items)?;
        writeln!(f, "interactions with an item that the user met before: {}", self.repeats)?;
        self.leakage.fmt(f)?;
        self.clock(f)
    }
}

impl CheckReport {
    fn schema(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rows that cannot be used: {} of {}", self.read.skipped, self.read.rows)?;
        self.read.first.iter().try_for_each(|first| writeln!(f, "  the first is {first}"))?;
        self.changed.iter().try_for_each(|name| writeln!(f, "{name} was changed since it was prepared"))
    }

    /// What can be said of times.
    fn clock(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(ties) = &self.ties else {
            return writeln!(f, "times are not recorded: ties, duplicates and the future cannot be seen");
        };
        let resolution = if self.times == Some(Times::Days) { " (times are only true to the day)" } else { "" };
        let order = match ties.shuffled {
            Some(true) => "were shuffled when the data was prepared",
            Some(false) => "are in the order of the raw file, which may leak",
            None => "are in the order of the file, which may leak",
        };
        writeln!(f, "duplicates, of the same user, item and time: {}", self.duplicates.unwrap_or_default())?;
        writeln!(f, "interactions that tie with another of the user: {:.1}%{resolution}", 100.0 * ties.interactions)?;
        writeln!(f, "users whose validation and test targets tie: {:.1}%; ties {order}", 100.0 * ties.targets)
    }
}

impl Leakage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (held_out, met) = (self.held_out, self.met_before);
        writeln!(f, "leave one out: {met} of {held_out} test items were met before by the user")?;
        if let Some(foreseen) = self.foreseen {
            writeln!(f, "leave one out: {foreseen} of {held_out} test targets are earlier than the end of training")?;
        }
        let Some(TemporalLeakage { train, later, validation, test, .. }) = self.temporal else { return Ok(()) };
        writeln!(
            f,
            "temporal split at 80% and 90%: {train} interactions train, {later} of them not before the test; \
             targets to validate: {validation}, to test: {test}"
        )
    }
}

impl TextCoverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>, items: usize) -> fmt::Result {
        writeln!(f, "items with a title: {} of {items}", self.titles)?;
        self.fields.iter().try_for_each(|(name, count)| writeln!(f, "items with `{name}`: {count} of {items}"))?;
        writeln!(f, "items without any text: {}", self.bare)
    }
}
