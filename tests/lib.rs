//! End-to-end tests of orbit live in `main.rs`; here is what they share with `stress`.

/// The README's promises, each with the tests that back it: rows of its table whose last cell names tests.
pub fn promises(readme: &str) -> Vec<(String, Vec<String>)> {
    let rows = readme.lines().skip_while(|line| *line != "## What it promises").skip(1);
    let rows =
        rows.take_while(|line| !line.starts_with("## ")).filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.filter_map(|row| row.split_once(" | "));
    let named = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    cells.map(|(promise, tests)| (promise.to_owned(), named(tests))).filter(|(_, tests)| !tests.is_empty()).collect()
}
