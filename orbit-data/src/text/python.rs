//! What lm-evaluation-harness leaves to Python's strings: blanks, capitals and words.

/// Whether Python counts a character as white space, in `str.strip` and in `\s`. Those are the characters that Unicode
/// calls white space, and four control characters.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// `str.strip`.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.capitalize`: the first character as in a title, all others in lower case. The Greek letters with iota below are
/// the exception: they come out as upper case has them.
pub(super) fn capitalize(text: &str) -> String {
    let Some(first) = text.chars().next() else { return String::new() };
    // The whole text is lowered, because a final sigma depends on what stands before it.
    let rest = text.to_lowercase().chars().skip(first.to_lowercase().count()).collect::<String>();
    title(first) + &rest
}

fn title(character: char) -> String {
    match character {
        // The digraphs Dž, Lj, Nj and Dz have a form of their own for titles.
        'Ǆ'..='ǆ' => "ǅ".to_owned(),
        'Ǉ'..='ǉ' => "ǈ".to_owned(),
        'Ǌ'..='ǌ' => "ǋ".to_owned(),
        'Ǳ'..='ǳ' => "ǲ".to_owned(),
        // Georgian has capitals for words that are capitals throughout.
        '\u{10d0}'..='\u{10ff}' => character.to_string(),
        // ß and the ligatures become two or three letters, of which one is a capital.
        'ß' | 'և' | '\u{fb00}'..='\u{fb17}' => {
            let mut letters = character.to_uppercase();
            letters.next().into_iter().chain(letters.flat_map(char::to_lowercase)).collect()
        }
        _ => character.to_uppercase().collect(),
    }
}

/// The number of parts of `re.split(r"\s+", text)`: one more than there are runs of white space.
pub(super) fn words(text: &str) -> usize {
    let spaces = || text.chars().map(is_space);
    let starts = spaces().zip(std::iter::once(false).chain(spaces())).filter(|&(space, before)| space && !before);
    1 + starts.count()
}
