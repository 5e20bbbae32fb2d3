//! Minimal pairs of English grammar, made from a small lexicon.
//!
//! In the spirit of BLiMP (arXiv 1912.00582), but of everyday words, for language models too small for its lexicon. Pairs
//! come in mirrored twos: the word that is right in one is wrong in the other. So a preference for some words, whatever
//! the sentence around them, scores one half exactly; and so does agreement with the nearest noun where another stands
//! between subject and verb.

use std::collections::HashSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::MinimalPair;

/// Draws a mirrored two.
type Twins = fn(&mut Draw) -> [MinimalPair; 2];

/// The paradigms' names and how to draw from them.
const PARADIGMS: [(&str, Twins); 8] = [
    ("subject_verb", subject_verb),
    ("subject_verb_across_phrase", subject_verb_across_phrase),
    ("subject_verb_across_clause", subject_verb_across_clause),
    ("determiner_noun", determiner_noun),
    ("reflexive", reflexive),
    ("past_participle", past_participle),
    ("quantifier", quantifier),
    ("transitivity", transitivity),
];

/// `per_paradigm` pairs of each of eight paradigms, no sentence twice, with the paradigm's name. Fewer than that only if a
/// paradigm's lexicon, which makes over five hundred, is close to its end. A larger `per_paradigm` appends to each paradigm.
///
/// The two sentences of a pair differ in one word. The paradigms are agreement of subject and verb (next to each other,
/// across a prepositional phrase, across a relative clause), of determiner and noun, and of reflexive and antecedent; past
/// tense and participle of irregular verbs; `many` and `much` with count and mass nouns; transitive and intransitive
/// verbs.
///
/// ```
/// let pairs = orbit_data::text::minimal_pairs(2, 0);
/// assert_eq!(pairs.len(), 16);
/// assert_eq!(pairs[0].0, "subject_verb");
/// ```
pub fn minimal_pairs(per_paradigm: usize, seed: u64) -> Vec<(&'static str, MinimalPair)> {
    let mut pairs = Vec::new();
    for (stream, (name, twins)) in (0..).zip(PARADIGMS) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        let named = |pair| (name, MinimalPair { kind: Some(name.to_owned()), ..pair });
        pairs.extend(distinct(twins, &mut Draw(rng), per_paradigm).into_iter().map(named));
    }
    pairs
}

/// How many draws in a row may bring nothing new before a paradigm counts as used up.
const PATIENCE: usize = 100;

fn distinct(twins: Twins, draw: &mut Draw, count: usize) -> Vec<MinimalPair> {
    let (mut pairs, mut seen, mut vain) = (Vec::new(), HashSet::new(), 0);
    while pairs.len() < count && vain < PATIENCE {
        let twins = twins(draw);
        let sentences = || twins.iter().flat_map(|pair| [&pair.good, &pair.bad]);
        if sentences().any(|sentence| seen.contains(sentence)) {
            vain += 1;
            continue;
        }
        vain = 0;
        seen.extend(sentences().cloned());
        pairs.extend(twins);
    }
    pairs.truncate(count);
    pairs
}

struct Draw(ChaCha8Rng);

impl Draw {
    /// An entry of `list`, which is not empty.
    fn one<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.0.random_range(0..list.len())]
    }

    /// Two entries of `list`, which has two or more, from different places.
    fn two<T: Copy>(&mut self, list: &[T]) -> (T, T) {
        let first = self.0.random_range(0..list.len());
        let step = self.0.random_range(1..list.len());
        (list[first], list[(first + step) % list.len()])
    }
}

/// Two frames, each a sentence with a `_`, into which the two `words` fit in turn: the first into the first, the second into
/// the second.
fn mirrored(frames: [String; 2], words: (&str, &str)) -> [MinimalPair; 2] {
    let [first, second] = frames;
    let pair = |frame: String, good, bad| MinimalPair {
        good: frame.replace('_', good),
        bad: frame.replace('_', bad),
        kind: None,
    };
    [pair(first, words.0, words.1), pair(second, words.1, words.0)]
}

/// *The dog runs in the park.* / *The dog run in the park.*
fn subject_verb(draw: &mut Draw) -> [MinimalPair; 2] {
    let (one, many) = draw.one(&PEOPLE);
    let place = draw.one(&PLACES);
    let frames = [one, many].map(|subject| format!("The {subject} _ {place}."));
    mirrored(frames, draw.one(&INTRANSITIVE_PRESENT))
}

/// *The boy behind the women waits in the street.* / *The boy behind the women wait in the street.*
fn subject_verb_across_phrase(draw: &mut Draw) -> [MinimalPair; 2] {
    let ((one, many), other) = draw.two(&PEOPLE);
    let (preposition, other, place) = (draw.one(&PREPOSITIONS), draw.one(&[other.0, other.1]), draw.one(&PLACES));
    let frames = [one, many].map(|subject| format!("The {subject} {preposition} the {other} _ {place}."));
    mirrored(frames, draw.one(&INTRANSITIVE_PRESENT))
}

/// *The king who saw the soldiers is old.* / *The king who saw the soldiers are old.*
fn subject_verb_across_clause(draw: &mut Draw) -> [MinimalPair; 2] {
    let ((one, many), other) = draw.two(&PEOPLE);
    let (verb, other, adjective) = (draw.one(&MEETING), draw.one(&[other.0, other.1]), draw.one(&ADJECTIVES));
    let frames = [one, many].map(|subject| format!("The {subject} who {verb} the {other} _ {adjective}."));
    mirrored(frames, draw.one(&COPULAS))
}

/// *The teacher found these books yesterday.* / *The teacher found these book yesterday.*
fn determiner_noun(draw: &mut Draw) -> [MinimalPair; 2] {
    let (subject, _) = draw.one(&PEOPLE);
    let (verb, determiners, time) = (draw.one(&FINDING), draw.one(&DETERMINERS), draw.one(&TIMES));
    let frames = [determiners.0, determiners.1].map(|word| format!("The {subject} {verb} {word} _ {time}."));
    mirrored(frames, draw.one(&THINGS))
}

/// *The queen saw herself that day.* / *The queen saw himself that day.*
fn reflexive(draw: &mut Draw) -> [MinimalPair; 2] {
    let ((first, subjects), (second, others)) = draw.two(&REFLEXIVES);
    let (verb, time) = (draw.one(&ACTING), draw.one(&TIMES));
    let frames = [draw.one(&subjects), draw.one(&others)].map(|subject| format!("The {subject} {verb} _ {time}."));
    mirrored(frames, (first, second))
}

/// *The girl had written the letter that day.* / *The girl had wrote the letter that day.*
fn past_participle(draw: &mut Draw) -> [MinimalPair; 2] {
    let (subject, _) = draw.one(&PEOPLE);
    let ((past, participle, object), time) = (draw.one(&IRREGULAR), draw.one(&TIMES));
    let frames = ["", "had "].map(|auxiliary| format!("The {subject} {auxiliary}_ the {object} {time}."));
    mirrored(frames, (past, participle))
}

/// *The farmer had so many horses last year.* / *The farmer had so many water last year.*
fn quantifier(draw: &mut Draw) -> [MinimalPair; 2] {
    let ((subject, _), verb) = (draw.one(&PEOPLE), draw.one(&HAVING));
    let (degree, time) = (draw.one(&DEGREES), draw.one(&TIMES));
    let frames = ["many", "much"].map(|word| format!("The {subject} {verb} {degree} {word} _ {time}."));
    mirrored(frames, (draw.one(&COUNT_NOUNS), draw.one(&MASS_NOUNS)))
}

/// *The woman bought the table.* / *The woman arrived the table.*
fn transitivity(draw: &mut Draw) -> [MinimalPair; 2] {
    let ((subject, _), (object, _), place) = (draw.one(&PEOPLE), draw.one(&THINGS), draw.one(&PLACES));
    let frames = [format!("The {subject} _ the {object}."), format!("The {subject} _ {place}.")];
    mirrored(frames, (draw.one(&TRANSITIVE_PAST), draw.one(&INTRANSITIVE_PAST)))
}

/// Singular and plural.
const PEOPLE: [(&str, &str); 20] = [
    ("man", "men"),
    ("woman", "women"),
    ("boy", "boys"),
    ("girl", "girls"),
    ("child", "children"),
    ("dog", "dogs"),
    ("friend", "friends"),
    ("teacher", "teachers"),
    ("student", "students"),
    ("soldier", "soldiers"),
    ("player", "players"),
    ("worker", "workers"),
    ("doctor", "doctors"),
    ("farmer", "farmers"),
    ("king", "kings"),
    ("leader", "leaders"),
    ("officer", "officers"),
    ("brother", "brothers"),
    ("sister", "sisters"),
    ("person", "people"),
];

/// Singular and plural.
const THINGS: [(&str, &str); 16] = [
    ("book", "books"),
    ("house", "houses"),
    ("car", "cars"),
    ("picture", "pictures"),
    ("door", "doors"),
    ("table", "tables"),
    ("chair", "chairs"),
    ("letter", "letters"),
    ("ball", "balls"),
    ("shirt", "shirts"),
    ("hat", "hats"),
    ("boat", "boats"),
    ("tree", "trees"),
    ("flower", "flowers"),
    ("bike", "bikes"),
    ("box", "boxes"),
];

/// After a singular and after a plural subject.
const INTRANSITIVE_PRESENT: [(&str, &str); 8] = [
    ("runs", "run"),
    ("walks", "walk"),
    ("plays", "play"),
    ("sits", "sit"),
    ("stands", "stand"),
    ("waits", "wait"),
    ("sleeps", "sleep"),
    ("lives", "live"),
];

/// After a singular and after a plural subject.
const COPULAS: [(&str, &str); 2] = [("is", "are"), ("was", "were")];

/// Before a singular and before a plural noun.
const DETERMINERS: [(&str, &str); 5] =
    [("this", "these"), ("that", "those"), ("one", "two"), ("every", "many"), ("another", "several")];

/// Past, participle and an object.
const IRREGULAR: [(&str, &str, &str); 16] = [
    ("saw", "seen", "house"),
    ("took", "taken", "book"),
    ("gave", "given", "answer"),
    ("wrote", "written", "letter"),
    ("broke", "broken", "window"),
    ("ate", "eaten", "food"),
    ("drove", "driven", "car"),
    ("knew", "known", "truth"),
    ("chose", "chosen", "place"),
    ("wore", "worn", "shirt"),
    ("drew", "drawn", "picture"),
    ("threw", "thrown", "ball"),
    ("forgot", "forgotten", "name"),
    ("began", "begun", "work"),
    ("did", "done", "work"),
    ("spoke", "spoken", "words"),
];

/// A reflexive and its antecedents.
const REFLEXIVES: [(&str, [&str; 6]); 3] = [
    ("himself", ["man", "boy", "king", "father", "brother", "son"]),
    ("herself", ["woman", "girl", "queen", "mother", "sister", "daughter"]),
    ("themselves", ["men", "women", "children", "people", "students", "soldiers"]),
];

const COUNT_NOUNS: [&str; 8] = ["books", "friends", "questions", "problems", "horses", "letters", "cars", "children"];
const MASS_NOUNS: [&str; 8] = ["water", "money", "food", "time", "power", "help", "trouble", "information"];

const TRANSITIVE_PAST: [&str; 8] = ["found", "bought", "built", "carried", "made", "used", "wanted", "brought"];
const INTRANSITIVE_PAST: [&str; 8] = ["slept", "arrived", "lived", "waited", "stayed", "went", "came", "died"];

const MEETING: [&str; 6] = ["saw", "met", "helped", "found", "followed", "called"];
const FINDING: [&str; 6] = ["saw", "found", "wanted", "remembered", "bought", "liked"];
const ACTING: [&str; 6] = ["saw", "hurt", "helped", "saved", "found", "protected"];
const HAVING: [&str; 5] = ["had", "found", "needed", "wanted", "got"];
const DEGREES: [&str; 3] = ["so", "too", "very"];
const ADJECTIVES: [&str; 8] = ["happy", "tired", "young", "old", "wrong", "ready", "strong", "afraid"];
const PREPOSITIONS: [&str; 5] = ["near", "behind", "beside", "with", "by"];
const TIMES: [&str; 6] = ["yesterday", "last night", "last year", "after the war", "that day", "in the end"];
const PLACES: [&str; 9] = [
    "in the house",
    "on the beach",
    "by the river",
    "in the street",
    "near the water",
    "in the park",
    "at the school",
    "on the grass",
    "in the city",
];

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn words(sentence: &str) -> Vec<&str> {
        sentence.split(' ').collect()
    }

    /// The words in which the sentences of a pair differ.
    fn contrast(pair: &MinimalPair) -> Vec<(&str, &str)> {
        words(&pair.good).into_iter().zip(words(&pair.bad)).filter(|(good, bad)| good != bad).collect()
    }

    #[test]
    fn every_paradigm_has_its_share_and_no_sentence_twice() {
        let pairs = minimal_pairs(300, 7);
        assert_eq!(pairs.len(), 300 * PARADIGMS.len());
        for (name, _) in PARADIGMS {
            assert_eq!(pairs.iter().filter(|pair| pair.0 == name).count(), 300, "{name}");
        }
        let sentences: HashSet<&str> =
            pairs.iter().flat_map(|(_, pair)| [pair.good.as_str(), pair.bad.as_str()]).collect();
        assert_eq!(sentences.len(), 2 * pairs.len());
    }

    #[test]
    fn a_pair_differs_in_one_word() {
        for (name, pair) in minimal_pairs(200, 1) {
            assert_eq!(words(&pair.good).len(), words(&pair.bad).len(), "{name}: {pair:?}");
            assert_eq!(contrast(&pair).len(), 1, "{name}: {pair:?}");
            assert!(pair.good.starts_with("The ") && pair.good.ends_with('.') && !pair.good.contains('_'), "{pair:?}");
        }
    }

    #[test]
    fn a_word_is_right_as_often_as_it_is_wrong() {
        for (name, _) in PARADIGMS {
            let pairs: Vec<_> = minimal_pairs(40, 3).into_iter().filter(|pair| pair.0 == name).collect();
            let contrasts = pairs.iter().flat_map(|(_, pair)| contrast(pair));
            let (mut right, mut wrong): (Vec<_>, Vec<_>) =
                contrasts.map(|(good, bad)| (good.trim_end_matches('.'), bad.trim_end_matches('.'))).unzip();
            right.sort_unstable();
            wrong.sort_unstable();
            assert_eq!(right, wrong, "{name}");
        }
    }

    #[test]
    fn agreement_with_the_nearest_noun_is_chance() {
        let pairs = minimal_pairs(40, 0).into_iter().filter(|(name, _)| name.starts_with("subject_verb_across"));
        let rest = |sentence: String| sentence.split_once(" the ").unwrap().1.to_owned();
        let (mut right, mut wrong): (Vec<_>, Vec<_>) = pairs.map(|(_, pair)| (rest(pair.good), rest(pair.bad))).unzip();
        right.sort();
        wrong.sort();
        assert_eq!(right, wrong);
    }

    #[test]
    fn pairs_depend_on_the_seed_alone_and_grow_at_the_end() {
        assert_eq!(minimal_pairs(40, 5), minimal_pairs(40, 5));
        assert_ne!(minimal_pairs(40, 5), minimal_pairs(40, 6));
        assert_eq!(minimal_pairs(9, 5)[..9], minimal_pairs(40, 5)[..9]);
        assert!(minimal_pairs(0, 5).is_empty());
    }

    #[test]
    fn asking_for_more_than_there_is_ends() {
        let pairs = minimal_pairs(5000, 0);
        assert!(pairs.len() < 5000 * PARADIGMS.len());
        let least = PARADIGMS.map(|(name, _)| pairs.iter().filter(|pair| pair.0 == name).count());
        assert!(least.iter().all(|&count| count > 500), "{least:?}");
    }

    #[test]
    fn the_first_pairs_stay_as_they_are() {
        let pairs = minimal_pairs(2, 0);
        let lines: Vec<String> =
            pairs.iter().map(|(name, pair)| format!("{name}: {} | {}\n", pair.good, pair.bad)).collect();
        expect_test::expect![[r#"
            subject_verb: The farmer waits at the school. | The farmer wait at the school.
            subject_verb: The farmers wait at the school. | The farmers waits at the school.
            subject_verb_across_phrase: The leader beside the players stands in the city. | The leader beside the players stand in the city.
            subject_verb_across_phrase: The leaders beside the players stand in the city. | The leaders beside the players stands in the city.
            subject_verb_across_clause: The woman who saw the students was strong. | The woman who saw the students were strong.
            subject_verb_across_clause: The women who saw the students were strong. | The women who saw the students was strong.
            determiner_noun: The dog saw another picture yesterday. | The dog saw another pictures yesterday.
            determiner_noun: The dog saw several pictures yesterday. | The dog saw several picture yesterday.
            reflexive: The soldiers saved themselves after the war. | The soldiers saved herself after the war.
            reflexive: The woman saved herself after the war. | The woman saved themselves after the war.
            past_participle: The sister gave the answer that day. | The sister given the answer that day.
            past_participle: The sister had given the answer that day. | The sister had gave the answer that day.
            quantifier: The dog had so many problems last year. | The dog had so many food last year.
            quantifier: The dog had so much food last year. | The dog had so much problems last year.
            transitivity: The worker found the ball. | The worker went the ball.
            transitivity: The worker went in the park. | The worker found in the park.
        "#]].assert_eq(&lines.concat());
    }
}
