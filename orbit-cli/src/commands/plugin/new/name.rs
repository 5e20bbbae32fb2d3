//! What a new plugin may be called: its name becomes a crate, a library, a type and a folder.

use crate::usage::Usage;

const LONGEST: usize = 64;

/// Names that cargo or rustc would not have.
const TAKEN: &str = "\
    abstract alloc as async await become box break const continue core crate do dyn else enum extern false final fn \
    for gen if impl in let loop macro match mod move mut orbit-hook override priv pub ref return schemars self serde \
    static std struct super test trait true try type unsafe use virtual where while yield";

/// A plugin's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn new(name: &str) -> Result<Self, Usage> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let good = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(plain)
            && !name.ends_with('-')
            && !name.contains("--")
            && name.len() <= LONGEST;
        if !good {
            return Err(Usage::new(format!(
                "a plugin cannot be called \"{name}\": use small letters, digits and single `-` between them, beginning with a \
                 letter, at most {LONGEST} in all, such as `l2-ball`"
            )));
        }
        if TAKEN.split(' ').any(|taken| taken == name) {
            return Err(Usage::new(format!(
                "a plugin cannot be called \"{name}\": Rust, or a crate that plugins use, has that name; choose another"
            )));
        }
        Ok(Self(name.to_owned()))
    }

    /// A template with this name in place of `my-plugin`, however it is written there.
    pub(super) fn fill(&self, template: &str) -> String {
        let camel: String = self.0.split('-').map(capital).collect();
        template
            .replace("my-plugin", &self.0)
            .replace("my_plugin", &self.0.replace('-', "_"))
            .replace("MyPlugin", &camel)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_ascii_uppercase() + rest
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        for good in ["ball", "l2-ball", "a", "kl2"] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        for bad in [
            "", "2ball", "-ball", "ball-", "a--b", "Ball", "l2_ball", "../ball", "b all", "ünit", "fn", "serde",
            "while",
        ] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
        assert!(Name::new(&"a".repeat(65)).is_err());
    }

    #[test]
    fn every_spelling_is_filled_in() {
        let name = Name::new("l2-ball").unwrap();
        assert_eq!(name.fill("my-plugin my_plugin.c MyPlugin"), "l2-ball l2_ball.c L2Ball");
    }
}
