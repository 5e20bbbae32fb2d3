//! What a child tells on its stdout, in lines that a plugin's own output is unlikely to have.

use std::io::{self, Write};

use super::verdict::Verdict;

const AT: &str = "orbit-check at ";
const FOUND: &str = "orbit-check found ";

/// Says what is done next, so that a process that dies has said where. Nothing is done about a reader that has gone.
pub(super) fn at(place: &str) {
    tell(AT, place);
}

/// Says what has been found; the last line.
pub(super) fn found(verdict: &Verdict) {
    tell(FOUND, &serde_json::to_string(verdict).unwrap_or_default());
}

/// On a line of its own, whatever the plugin has printed before.
fn tell(what: &str, text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = write!(stdout, "\n{what}{}\n", text.replace('\n', " "));
    let _ = stdout.flush();
}

/// What a child has told until it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// What it was doing last.
    pub(super) at: Option<String>,
    /// What it has found, if it came so far.
    pub(super) found: Option<Verdict>,
}

/// Takes in one line of a child's stdout.
pub(super) fn hear(line: &str, told: &mut Told) {
    if let Some(place) = line.strip_prefix(AT) {
        told.at = Some(place.to_owned());
    } else if let Some(verdict) = line.strip_prefix(FOUND) {
        told.found = serde_json::from_str(verdict).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_place_and_the_verdict_are_heard() {
        let verdict = Verdict::passed("well");
        let json = serde_json::to_string(&verdict).unwrap_or_default();
        let mut told = Told::default();
        for line in ["orbit-check at a", "noise", "orbit-check at b", &format!("orbit-check found {json}")] {
            hear(line, &mut told);
        }
        assert_eq!(told, Told { at: Some("b".into()), found: Some(verdict) });
    }
}
