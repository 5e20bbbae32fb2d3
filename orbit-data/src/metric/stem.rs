//! The Porter stemmer (M. F. Porter, *An algorithm for suffix stripping*, 1980) in the variant that `rouge-score` uses.
//!
//! That is NLTK's default, which differs from the paper and from Porter's own later versions: a table of irregular
//! forms,
//! `y` to `i` only behind a consonant, `ied` and `ies` of short words, and a few more suffixes. No crate has this
//! variant (`rust-stemmers` holds Snowball's English stemmer, another algorithm), so it is written out here.
//!
//! `m` is the paper's measure: how many times a vowel is followed by a consonant.

/// A suffix, and what takes its place.
type Rule = (&'static str, &'static str);

/// Step 2, for a stem of m > 0. The first suffix that fits decides, even when its stem is too short.
const STEP_2: [Rule; 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

/// Step 3, for a stem of m > 0.
const STEP_3: [Rule; 7] =
    [("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];

/// Step 4: suffixes that fall away behind a stem of m > 1; `ion` only behind `s` or `t`.
const STEP_4: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti",
    "ous", "ive", "ize",
];

/// The stem of a word of lowercase ASCII letters and digits.
pub(crate) fn stem(word: &str) -> String {
    if let Some(irregular) = irregular(word) {
        return irregular.to_owned();
    }
    if word.len() <= 2 {
        return word.to_owned();
    }
    let mut word = word.to_owned();
    for step in [plural, past, y_to_i, double_suffix, suffix_3, suffix_4, final_e, final_l] {
        word = step(word);
    }
    word
}

fn irregular(word: &str) -> Option<&'static str> {
    Some(match word {
        "sky" | "skies" => "sky",
        "dying" => "die",
        "lying" => "lie",
        "tying" => "tie",
        "news" => "news",
        "inning" | "innings" => "inning",
        "outing" | "outings" => "outing",
        "canning" | "cannings" => "canning",
        "howe" => "howe",
        "proceed" => "proceed",
        "exceed" => "exceed",
        "succeed" => "succeed",
        _ => return None,
    })
}

/// Step 1a.
fn plural(word: String) -> String {
    if let Some(stem) = word.strip_suffix("ies") {
        return format!("{stem}{}", if word.len() == 4 { "ie" } else { "i" });
    }
    match word.strip_suffix('s') {
        Some(stem) if stem.ends_with("sse") => stem[..stem.len() - 1].to_owned(),
        Some(stem) if !stem.ends_with('s') => stem.to_owned(),
        _ => word,
    }
}

/// Step 1b.
fn past(word: String) -> String {
    if let Some(stem) = word.strip_suffix("ied") {
        return format!("{stem}{}", if word.len() == 4 { "ie" } else { "i" });
    }
    if let Some(stem) = word.strip_suffix("eed") {
        return if measure(stem) > 0 { format!("{stem}ee") } else { word };
    }
    let stem = ["ed", "ing"].iter().filter_map(|suffix| word.strip_suffix(suffix)).find(|stem| has_vowel(stem));
    match stem {
        Some(stem) => mend(stem),
        None => word,
    }
}

/// What is put back after `ed` or `ing` fell away: conflat(ed) to conflate, hopp(ing) to hop, fil(ing) to file.
fn mend(stem: &str) -> String {
    if ["at", "bl", "iz"].iter().any(|end| stem.ends_with(end)) {
        return format!("{stem}e");
    }
    if ends_in_double_consonant(stem) {
        let keeps = stem.ends_with(['l', 's', 'z']);
        return stem[..stem.len() - usize::from(!keeps)].to_owned();
    }
    if measure(stem) == 1 && ends_short(stem) { format!("{stem}e") } else { stem.to_owned() }
}

/// Step 1c.
fn y_to_i(word: String) -> String {
    match word.strip_suffix('y') {
        Some(stem) if stem.len() > 1 && consonants(stem).last() == Some(&true) => format!("{stem}i"),
        _ => word,
    }
}

/// Step 2.
fn double_suffix(word: String) -> String {
    if let Some(stem) = word.strip_suffix("alli").filter(|stem| measure(stem) > 0) {
        return double_suffix(format!("{stem}al"));
    }
    if let Some(rule) = first_rule(&STEP_2, &word) {
        return replaced(&word, rule);
    }
    // The l counts as part of the stem, so that geologi becomes geolog.
    match word.strip_suffix("ogi") {
        Some(stem) if stem.ends_with('l') && measure(stem) > 0 => format!("{stem}og"),
        _ => word,
    }
}

/// Step 3.
fn suffix_3(word: String) -> String {
    match first_rule(&STEP_3, &word) {
        Some(rule) => replaced(&word, rule),
        None => word,
    }
}

/// Step 4.
fn suffix_4(word: String) -> String {
    let Some(suffix) = STEP_4.iter().find(|suffix| word.ends_with(**suffix)) else { return word };
    let stem = &word[..word.len() - suffix.len()];
    let fits = *suffix != "ion" || stem.ends_with(['s', 't']);
    if fits && measure(stem) > 1 { stem.to_owned() } else { word }
}

/// Step 5a.
fn final_e(word: String) -> String {
    match word.strip_suffix('e') {
        Some(stem) if measure(stem) > 1 || (measure(stem) == 1 && !ends_short(stem)) => stem.to_owned(),
        _ => word,
    }
}

/// Step 5b.
fn final_l(word: String) -> String {
    match word.strip_suffix('l') {
        Some(stem) if stem.ends_with('l') && measure(stem) > 1 => stem.to_owned(),
        _ => word,
    }
}

fn first_rule<'a>(rules: &'a [Rule], word: &str) -> Option<&'a Rule> {
    rules.iter().find(|(suffix, _)| word.ends_with(suffix))
}

fn replaced(word: &str, (suffix, replacement): &Rule) -> String {
    let stem = &word[..word.len() - suffix.len()];
    if measure(stem) > 0 { format!("{stem}{replacement}") } else { word.to_owned() }
}

/// Which letters are consonants. A `y` is one at the start of a word and behind a vowel.
fn consonants(word: &str) -> Vec<bool> {
    let mut flags = Vec::with_capacity(word.len());
    for letter in word.bytes() {
        let consonant = match letter {
            b'a' | b'e' | b'i' | b'o' | b'u' => false,
            b'y' => !flags.last().copied().unwrap_or(false),
            _ => true,
        };
        flags.push(consonant);
    }
    flags
}

fn measure(stem: &str) -> usize {
    consonants(stem).windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

fn has_vowel(stem: &str) -> bool {
    consonants(stem).contains(&false)
}

fn ends_in_double_consonant(word: &str) -> bool {
    let letters = word.as_bytes();
    letters.len() >= 2
        && letters[letters.len() - 1] == letters[letters.len() - 2]
        && consonants(word).ends_with(&[true])
}

/// Whether a stem ends in consonant, vowel, consonant, the last not w, x or y; or is a vowel and a consonant.
fn ends_short(stem: &str) -> bool {
    let flags = consonants(stem);
    (flags.ends_with(&[true, false, true]) && !stem.ends_with(['w', 'x', 'y'])) || flags == [false, true]
}
