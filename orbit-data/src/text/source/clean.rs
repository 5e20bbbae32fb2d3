//! Spacing of running text.

/// Lines trimmed, runs of spaces one space, runs of blank lines one blank line, and undoes tokenized spacing if asked.
pub(super) fn clean(text: &str, detokenize: bool) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut blank = false;
    for line in text.lines() {
        let mut words = line.split_whitespace().peekable();
        if words.peek().is_none() {
            blank = true;
            continue;
        }
        if !clean.is_empty() {
            clean.push_str(if blank { "\n\n" } else { "\n" });
        }
        blank = false;
        if detokenize { join_tokens(words, &mut clean) } else { join_words(words, &mut clean) }
    }
    clean
}

fn join_words<'a>(words: impl Iterator<Item = &'a str>, text: &mut String) {
    for (index, word) in words.enumerate() {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(word);
    }
}

/// Inverse of the Penn Treebank's tokenization as far as its tokens tell: ``` `` ``` and `''` become quotation marks.
fn join_tokens<'a>(tokens: impl Iterator<Item = &'a str>, text: &mut String) {
    let mut attach = true;
    for token in tokens {
        if !attach && !leans_left(token) {
            text.push(' ');
        }
        attach = matches!(token, "``" | "(" | "[");
        text.push_str(if matches!(token, "``" | "''") { "\"" } else { token });
    }
}

fn leans_left(token: &str) -> bool {
    let mark = token.chars().all(|symbol| ".,;:!?)]%'’".contains(symbol));
    mark || matches!(token, "n't" | "'s" | "'re" | "'ve" | "'ll" | "'d" | "'m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_and_blank_lines_collapse() {
        assert_eq!(clean("\n  a   b\t c \r\n\n \n\nd\ne\n", false), "a b c\n\nd\ne");
        assert_eq!(clean(" \n ", true), "");
    }

    #[test]
    fn tokens_go_back_to_their_words() {
        let tokens = "it is n't the dogs ' ball , it 's `` hers '' ( the girl ) ; you ca n't say ... no .";
        let text = "it isn't the dogs' ball, it's \"hers\" (the girl); you can't say... no.";
        assert_eq!(clean(tokens, true), text);
        assert_eq!(clean(tokens, false), tokens);
    }

    proptest::proptest! {
        #[test]
        fn cleaning_twice_changes_nothing(text in "[ab .,'\t\r\n]{0,40}") {
            let once = clean(&text, false);
            proptest::prop_assert_eq!(clean(&once, false), once);
        }
    }
}
