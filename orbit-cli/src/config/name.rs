//! Names that folders are made of.

/// Whether a name can be that of a folder, so that what is written under it stays where it was to go: letters, digits, dots,
/// dashes and underscores, and no dot at the beginning.
pub(crate) fn is_of_a_folder(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_no_other_folder() {
        for good in ["a", "decoder-0.5m", "l2_ball", "2"] {
            assert!(is_of_a_folder(good), "{good}");
        }
        for bad in ["", ".", "..", "../a", "/a", "a/b", "a\\b", "C:a", "a\0", ".hidden", "a b", "ü"] {
            assert!(!is_of_a_folder(bad), "{bad:?}");
        }
    }
}
