//! The time that `strftime_now` tells.

use std::fmt::Write;

use chrono::format::StrftimeItems;
use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};

/// The directives that Python passes on to C and that say something about a time without a zone.
const DIRECTIVES: &str = "aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyY%";

/// A time in UTC, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock(DateTime<Utc>);

impl Clock {
    pub(super) fn now() -> Self {
        Self(Utc::now().trunc_subsecs(0))
    }

    /// Reads a time as RFC 3339 writes it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(Self(DateTime::parse_from_rfc3339(text).ok()?.to_utc().trunc_subsecs(0)))
    }

    pub(super) fn rfc3339(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    /// Python's `datetime.strftime` in the C locale. A directive that there is not stays as it is written.
    pub(super) fn strftime(self, format: &str) -> String {
        let mut text = String::new();
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            text.push_str(&rest[..at]);
            let directive = directive(&rest[at..]);
            self.write(directive, &mut text);
            rest = &rest[at + directive.len()..];
        }
        text + rest
    }

    fn write(self, directive: &str, text: &mut String) {
        match directive.chars().last() {
            Some('f') => text.push_str("000000"),
            Some('z' | 'Z') => {}
            Some(letter) if directive.len() > 1 && DIRECTIVES.contains(letter) => {
                let items = StrftimeItems::new_lenient(directive);
                if write!(text, "{}", self.0.naive_utc().format_with_items(items)).is_err() {
                    text.push_str(directive);
                }
            }
            _ => text.push_str(directive),
        }
    }
}

/// A directive at the start of `text`: a per cent sign, a flag if there is one, and a letter.
fn directive(text: &str) -> &str {
    let flag = usize::from(matches!(text.as_bytes().get(1), Some(b'-' | b'_' | b'0')));
    let letter = text[1 + flag..].chars().next().map_or(0, char::len_utf8);
    &text[..1 + flag + letter]
}
