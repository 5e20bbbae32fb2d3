//! R as a map: stages down, tasks across, the darker the better.

use std::fmt::Write;

use super::{
    super::{
        matrix::{Entry, Matrix},
        quantity::{self, NONE},
        svg,
    },
    Figure,
};

/// Height of a row.
const ROW: f64 = 32.0;
/// The least width of a column: that of a score with room around it.
const COLUMN: f64 = 52.0;
/// Characters of a task's name that are shown.
const NAME: usize = 26;
/// The colour of a score of zero and of a task's best score, as shares of the full colour.
const COLOUR: (f64, f64) = (0.06, 0.94);
/// Up to this many tasks the map stands beside other plots.
const NARROW: usize = 6;

/// How to read the map.
pub(in super::super) const READING: &str = "Down: before training and after each stage. Across: the tasks. The fuller the colour, \
    the nearer to the best score the task ever had. Framed: the task just trained. Below a frame, colour that fades is forgetting; \
    above it, the task was not trained yet. Crossed out: not measured.";

/// Where things are.
struct Grid {
    left: f64,
    top: f64,
    column: f64,
    width: f64,
    slanted: bool,
}

impl Grid {
    fn new(matrix: &Matrix) -> Self {
        let longest = |names: &mut dyn Iterator<Item = &str>| {
            svg::CHAR * names.map(|name| short(name).chars().count()).max().unwrap_or(0) as f64
        };
        let row_names = longest(&mut matrix.rows.iter().map(String::as_str));
        let column_names = longest(&mut matrix.columns.iter().map(|column| column.name.as_str()));
        let (left, columns) = (row_names + 18.0, matrix.columns.len() as f64);
        let column = ((svg::WIDTH - 8.0 - left) / columns).max(COLUMN);
        let slanted = column_names > column - 6.0;
        // Slanted by 45 degrees, names rise and reach to the right as far as 0.71 of their length.
        let (top, beyond) =
            if slanted { (0.71 * column_names + 22.0, 0.71 * column_names - column / 2.0) } else { (26.0, 0.0) };
        let room = (svg::WIDTH - left - beyond.max(8.0)) / columns;
        let column = if slanted { room.max(COLUMN) } else { column };
        Self { left, top, column, width: left + column * columns + beyond.max(8.0), slanted }
    }

    fn corner(&self, row: usize, column: usize) -> (f64, f64) {
        (self.left + self.column * column as f64, self.top + ROW * row as f64)
    }
}

/// The map; `None` when nothing was measured. `id` must be unique in the page.
pub(in super::super) fn figure(id: &str, title: &str, caption: &str, matrix: &Matrix) -> Option<Figure> {
    if matrix.is_empty() {
        return None;
    }
    let grid = Grid::new(matrix);
    let mut body = String::new();
    names(&mut body, &grid, matrix);
    for (row, cells) in matrix.cells.iter().enumerate() {
        for (column, entry) in cells.iter().enumerate() {
            match entry {
                Some(entry) => filled(&mut body, &grid, matrix, (row, column), entry),
                None => empty(&mut body, &grid, matrix, (row, column)),
            }
        }
    }
    let height = grid.top + ROW * matrix.rows.len() as f64 + 8.0;
    let drawing = svg::drawing(id, [grid.width, height], title, &description(matrix), &body);
    let figure = Figure::new(title.to_owned(), caption.to_owned(), drawing);
    Some(if matrix.columns.len() > NARROW { figure.wide() } else { figure })
}

fn names(body: &mut String, grid: &Grid, matrix: &Matrix) {
    for (row, name) in matrix.rows.iter().enumerate() {
        let (_, y) = grid.corner(row, 0);
        svg::text(body, "name end", grid.left - 8.0, y + ROW / 2.0 + 4.0, &svg::escape(&short(name)));
    }
    for (column, task) in matrix.columns.iter().enumerate() {
        let (x, y) = grid.corner(0, column);
        let (x, y) = (x + grid.column / 2.0, y - 9.0);
        let name = svg::escape(&short(&task.name));
        if grid.slanted {
            let _ =
                write!(body, r#"<text class="name" transform="translate({x:.1} {y:.1}) rotate(-45)">{name}</text>"#);
        } else {
            svg::text(body, "name middle", x, y, &name);
        }
    }
}

fn filled(body: &mut String, grid: &Grid, matrix: &Matrix, (row, column): (usize, usize), entry: &Entry) {
    let best = matrix.columns[column].best.filter(|best| *best > 0.0);
    let share = best.map_or(0.0, |best| (entry.value / best).clamp(0.0, 1.0));
    let strength = COLOUR.0 + share * (COLOUR.1 - COLOUR.0);
    let (x, y) = grid.corner(row, column);
    let ends = entry.ends.map_or_else(String::new, |ends| format!(" {}", quantity::interval(ends, quantity::score)));
    let score = quantity::score(entry.value);
    let _ = write!(body, "<g><title>{}: {score}{ends}</title>", place(matrix, row, column));
    cell(body, grid, "heat", (x, y), &format!(r#" fill-opacity="{strength:.2}""#));
    if Matrix::just_trained(row, column) {
        cell(body, grid, "own", (x, y), "");
    }
    svg::text(body, "value middle", x + grid.column / 2.0, y + ROW / 2.0 + 4.0, &score);
    body.push_str("</g>");
}

fn empty(body: &mut String, grid: &Grid, matrix: &Matrix, (row, column): (usize, usize)) {
    let (x, y) = grid.corner(row, column);
    let _ = write!(body, "<g><title>{}: not measured</title>", place(matrix, row, column));
    cell(body, grid, "empty", (x, y), "");
    svg::line(body, "crossed", [x + 6.0, y + ROW - 6.0, x + grid.column - 6.0, y + 6.0]);
    if Matrix::just_trained(row, column) {
        cell(body, grid, "own", (x, y), "");
    }
    body.push_str("</g>");
}

fn cell(body: &mut String, grid: &Grid, class: &str, (x, y): (f64, f64), more: &str) {
    let (x, y, width, height) = (x + 1.5, y + 1.5, grid.column - 3.0, ROW - 3.0);
    let _ = write!(
        body,
        r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="3"{more}/>"#
    );
}

/// What a cell is, for the pointer.
fn place(matrix: &Matrix, row: usize, column: usize) -> String {
    let task = &matrix.columns[column];
    let when = if row == 0 { "before training".to_owned() } else { matrix.rows[row].to_lowercase() };
    svg::escape(&format!("{} ({}) {when}", task.name, task.metric))
}

fn description(matrix: &Matrix) -> String {
    let last = matrix.cells.last().map_or(&[][..], Vec::as_slice);
    let score = |entry: &Option<Entry>| entry.map_or_else(|| NONE.to_owned(), |entry| quantity::score(entry.value));
    let tasks = matrix.columns.iter().zip(last);
    let scores: Vec<String> = tasks.map(|(task, entry)| format!("{} {}", task.name, score(entry))).collect();
    format!("After the last stage: {}.", scores.join(", "))
}

/// A name that has room. The whole one is in the table, and below the pointer.
fn short(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    name.chars().take(NAME - 1).chain(['…']).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{super::super::sample, *};

    #[test]
    fn a_cell_for_each_score_and_a_mark_for_each_that_is_missing() {
        let mut run = sample::sequence(1);
        run.tasks[0].after[1] = None;
        let svg = figure("r", "R", READING, &Matrix::of(&[run])).unwrap().svg;
        let count = |what: &str| svg.matches(what).count();
        assert_eq!((count(r#"class="heat""#), count(r#"class="empty""#), count(r#"class="own""#)), (11, 1, 3));
        assert!(svg.contains("1 simplify (sari) after 2 dialogue: not measured"), "{svg}");
    }

    #[test]
    fn the_best_score_of_a_task_has_the_full_colour() {
        let svg = figure("r", "R", READING, &Matrix::of(&[sample::sequence(1)])).unwrap().svg;
        assert_eq!(svg.matches(r#"fill-opacity="0.94""#).count(), 3);
    }

    #[test]
    fn many_tasks_with_long_names_need_the_page() {
        let mut run = sample::sequence(1);
        for at in 3..12 {
            let mut task = run.tasks[0].clone();
            task.name = format!("task{at}_with_a_name_that_goes_on_and_on");
            (task.before, task.after) = (None, vec![None; 12]);
            run.tasks.push(task);
        }
        let figure = figure("r", "R", READING, &Matrix::of(&[run])).unwrap();
        assert!(figure.wide && figure.svg.contains("rotate(-45)") && figure.svg.contains('…'));
    }
}
