//! What is left out of the interactions: duplicates, repeats, and what lies outside the core.

use super::table::Interaction;

/// Leaves out an item that the same user met at the same time, and answers how many there were. Rows are ordered by
/// user and time.
pub(super) fn duplicates(rows: &mut Vec<Interaction>, items: usize) -> u64 {
    seen_in(rows, items, |row, before| (row.user, row.time) == (before.user, before.time))
}

/// Keeps the first of every pair of user and item, and answers how many rows went. Rows are ordered by user and time.
pub(super) fn repeats(rows: &mut Vec<Interaction>, items: usize) -> u64 {
    seen_in(rows, items, |row, before| row.user == before.user)
}

/// Leaves out rows whose item was seen before in the run of rows that are the `same`.
fn seen_in(rows: &mut Vec<Interaction>, items: usize, same: impl Fn(&Interaction, &Interaction) -> bool) -> u64 {
    let (before, mut run, mut last) = (rows.len(), 0_u32, None);
    // The run in which each item was seen last, counted from 1.
    let mut seen = vec![0_u32; items];
    rows.retain(|row| {
        run += u32::from(last.is_none_or(|last| !same(row, &last)));
        last = Some(*row);
        std::mem::replace(&mut seen[row.item as usize], run) != run
    });
    (before - rows.len()) as u64
}

/// Leaves out the interactions of users and of items that have fewer than `core`, until all that are left have as many.
pub(super) fn core(rows: &mut Vec<Interaction>, core: u32, users: usize, items: usize) {
    loop {
        let (before, [of_user, of_item]) = (rows.len(), counts(rows, users, items));
        rows.retain(|row| of_user[row.user as usize] >= core && of_item[row.item as usize] >= core);
        if rows.len() == before {
            return;
        }
    }
}

/// How many interactions each user and each item has.
pub(super) fn counts(rows: &[Interaction], users: usize, items: usize) -> [Vec<u32>; 2] {
    let [mut of_user, mut of_item] = [vec![0; users], vec![0; items]];
    for row in rows {
        of_user[row.user as usize] += 1;
        of_item[row.item as usize] += 1;
    }
    [of_user, of_item]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(u32, u32, i64)]) -> Vec<Interaction> {
        rows.iter().map(|&(user, item, time)| Interaction { user, item, time: time as f64 }).collect()
    }

    #[test]
    fn duplicates_are_equal_in_all_three() {
        let mut some = rows(&[(0, 1, 5), (0, 2, 5), (0, 1, 5), (0, 1, 6), (1, 1, 6), (1, 1, 6), (1, 1, 7)]);
        assert_eq!(duplicates(&mut some, 3), 2);
        assert_eq!(some, rows(&[(0, 1, 5), (0, 2, 5), (0, 1, 6), (1, 1, 6), (1, 1, 7)]));
        assert_eq!(repeats(&mut some, 3), 2);
        assert_eq!(some, rows(&[(0, 1, 5), (0, 2, 5), (1, 1, 6)]));
    }

    /// By hand: item 3 has one user and goes; then user 2 has one item left and goes; then item 2 has one user left.
    #[test]
    fn the_core_is_what_is_left_when_nothing_goes_any_more() {
        let mut some = rows(&[(0, 0, 0), (0, 1, 0), (0, 2, 0), (1, 0, 0), (1, 1, 0), (2, 2, 0), (2, 3, 0)]);
        core(&mut some, 2, 3, 4);
        assert_eq!(some, rows(&[(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0)]));
        core(&mut some, 3, 3, 4);
        assert!(some.is_empty());
    }
}
