//! Optimal transport with even marginals, by Sinkhorn's rounds (Cuturi, arXiv 1306.0895), rounded to one place a row.

/// Weight of the entropy against costs that are scaled to span from -1 to 1, and rounds: both LC-Rec's.
const EPSILON: f64 = 0.003;
const ROUNDS: usize = 50;

/// A column for each row of `cost` (row-major, `columns` > 0 values a row), each given to at most `ceil(rows / columns)`
/// rows. Largest entries of the plan come first, the lower row and column on a tie.
pub(super) fn assign(cost: &[f32], columns: usize) -> Vec<usize> {
    let rows = cost.len() / columns;
    if rows == 0 {
        return Vec::new();
    }
    let plan = plan(cost, columns);
    let mut order: Vec<usize> = (0..cost.len()).collect();
    order.sort_by(|&a, &b| plan[b].total_cmp(&plan[a]).then(a.cmp(&b)));

    let mut room = vec![rows.div_ceil(columns); columns];
    let mut place: Vec<Option<usize>> = vec![None; rows];
    for entry in order {
        let (row, column) = (entry / columns, entry % columns);
        if place[row].is_none() && room[column] > 0 {
            place[row] = Some(column);
            room[column] -= 1;
        }
    }
    place.into_iter().flatten().collect()
}

/// The logarithm of the plan in which every row sends 1 and every column receives the same. Logarithms, because
/// `exp(-1 / EPSILON)` is 0 in any float.
fn plan(cost: &[f32], columns: usize) -> Vec<f64> {
    let rows = cost.len() / columns;
    let mut plan = scaled(cost);
    let share = (rows as f64 / columns as f64).ln();
    for _ in 0..ROUNDS {
        for column in 0..columns {
            let excess = log_sum(plan[column..].iter().step_by(columns)) - share;
            plan[column..].iter_mut().step_by(columns).for_each(|entry| *entry -= excess);
        }
        for row in plan.chunks_exact_mut(columns) {
            let excess = log_sum(row.iter());
            row.iter_mut().for_each(|entry| *entry -= excess);
        }
    }
    plan
}

/// `-cost / EPSILON`, with the costs scaled to span from -1 to 1.
fn scaled(cost: &[f32]) -> Vec<f64> {
    let (low, high) = cost.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
    let (middle, reach) = ((f64::from(low) + f64::from(high)) / 2.0, (f64::from(high) - f64::from(low)) / 2.0);
    let reach = if reach > 0.0 { reach } else { 1.0 };
    cost.iter().map(|&x| -(f64::from(x) - middle) / reach / EPSILON).collect()
}

/// `ln(sum(exp(x)))` without overflow.
fn log_sum<'a>(values: impl Iterator<Item = &'a f64> + Clone) -> f64 {
    let largest = values.clone().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + values.map(|x| (x - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_plan_has_even_marginals() {
        let plan = plan(&[0.0, 0.01, 0.02, 0.01, 0.0, 1.0, 0.3, 0.3, 0.3], 3);
        for i in 0..3 {
            let row: f64 = plan[3 * i..][..3].iter().map(|x| x.exp()).sum();
            let column: f64 = plan[i..].iter().step_by(3).map(|x| x.exp()).sum();
            assert!((row - 1.0).abs() < 1e-9 && (column - 1.0).abs() < 0.05, "{row} {column}");
        }
    }

    #[test]
    fn the_cheapest_exchange_wins() {
        // Both prefer column 0. Row 0 there and row 1 elsewhere costs 0 + 1, the other way 9 + 0.5.
        assert_eq!(assign(&[0.0, 9.0, 0.5, 1.0], 2), [0, 1]);
        assert_eq!(assign(&[0.5, 1.0, 0.0, 9.0], 2), [1, 0]);
        assert_eq!(assign(&[2.0; 4], 2), [0, 1]);
    }

    proptest! {
        #[test]
        fn columns_are_given_out_evenly(cost in prop::collection::vec(0_f32..9.0, 1..120), columns in 1_usize..9) {
            let rows = cost.len() / columns;
            let places = assign(&cost[..rows * columns], columns);
            prop_assert_eq!(places.len(), rows);
            for column in 0..columns {
                prop_assert!(places.iter().filter(|&&place| place == column).count() <= rows.div_ceil(columns));
            }
        }
    }
}
