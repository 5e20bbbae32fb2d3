//! The report on a terminal.

use super::{
    Headline, Report, headline,
    table::{self, Row, Table},
};

/// Headline, tables of models and language suites; plain text with a final newline, no colours.
pub(crate) fn render(report: &Report) -> String {
    let headline = headline(report);
    let mut text = opening(&report.title, &headline);
    for table in [Some(table::models(report)), table::suites(report), table::training(report)].into_iter().flatten() {
        text += &lines(&table);
    }
    text
}

/// Title, summary and cautions.
pub(super) fn opening(title: &str, headline: &Headline) -> String {
    let mut text = format!("{title}\n\n{}\n", headline.summary);
    for caution in &headline.cautions {
        text += &format!("! {caution}\n");
    }
    text
}

/// A table below its caption.
pub(super) fn captioned(table: &Table) -> String {
    format!("\n{}{}", table.caption, lines(table))
}

/// Columns as wide as their widest cell, names to the left and numbers to the right.
fn lines(table: &Table) -> String {
    let head = std::iter::once(table.corner.to_owned()).chain(table.columns.iter().cloned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(table.rows.iter().map(words)).collect();
    let width = |column: usize| rows.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0);
    let widths: Vec<usize> = (0..=table.columns.len()).map(width).collect();
    let mut text = String::from("\n");
    for (i, row) in rows.iter().enumerate() {
        text += &line(row, &widths);
        if i == 0 {
            text += &format!("{}\n", "─".repeat(widths.iter().sum::<usize>() + 2 * table.columns.len()));
        }
    }
    text
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut line = format!("{:<width$}", row[0], width = widths[0]);
    for (word, width) in row.iter().zip(widths).skip(1) {
        line += &format!("  {word:>width$}");
    }
    line + "\n"
}

/// Without the intervals, which are wider than a terminal.
fn words(row: &Row) -> Vec<String> {
    std::iter::once(row.name.clone()).chain(row.cells.iter().map(|cell| cell.value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn columns_line_up() {
        let text = render(&sample::report());
        let start = text.find("Model ").unwrap_or_default();
        let block: Vec<usize> =
            text[start..].lines().take_while(|l| !l.is_empty()).map(|l| l.chars().count()).collect();
        assert_eq!(block.len(), 8);
        assert!(block.iter().all(|width| *width == block[0]), "{text}");
    }

    #[test]
    fn says_the_headline_first() {
        let report = sample::report();
        assert!(render(&report).starts_with("Amazon Beauty on SmolLM2-135M\n\nPlain fine-tuning kept 12%"));
    }
}
