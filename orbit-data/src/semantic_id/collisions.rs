//! What is done about items with the same codes.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::codebooks::Codebooks;
use super::sinkhorn;
use crate::{Error, ItemEmbeddings, Result};

/// What is done about items with the same codes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Collisions {
    /// A level is added that numbers the items of each group from 0 (TIGER, arXiv 2305.05065). Its codes mean nothing.
    #[default]
    ExtraLevel,
    /// Items that collide share out the last codes that no other item behind the same codes has, by optimal transport at
    /// the least distance from the centroids (LC-Rec, arXiv 2311.09049). The Sinkhorn plan is rounded so that no two items
    /// get one code while one is free, so that one pass is enough where LC-Rec takes up to twenty. Only where more items
    /// share the codes before the last than the last level has centroids a level is added too.
    Sinkhorn,
    /// They stay: several items share one ID, and a model that names it names all of them.
    None,
}

/// Gives items that collide other last codes, and answers how many have changed.
pub(super) fn share_out(codebooks: &Codebooks, embeddings: &ItemEmbeddings, codes: &mut [Vec<u16>]) -> usize {
    let (residuals, width) = (codebooks.before_last(embeddings, codes), codebooks.width());
    let mut families: BTreeMap<Vec<u16>, Vec<usize>> = BTreeMap::new();
    for (item, id) in codes.iter().enumerate() {
        families.entry(id[..id.len() - 1].to_vec()).or_default().push(item);
    }
    let mut changed = 0;
    for family in families.values().filter(|family| family.len() > 1) {
        let rows: Vec<Vec<f32>> =
            family.iter().map(|&item| codebooks.last_distances(&residuals[item * width..][..width])).collect();
        let last: Vec<u16> = family.iter().filter_map(|&item| codes[item].last().copied()).collect();
        for (&item, code) in family.iter().zip(separate(&rows, &last)) {
            if let Some(last) = codes[item].last_mut() {
                changed += usize::from(*last != code);
                *last = code;
            }
        }
    }
    changed
}

/// Other codes for those items of a family that have the same, each row of `distances` an item's to all codes. Where there
/// are more items than codes all of them move, and codes are shared as evenly as can be.
fn separate(distances: &[Vec<f32>], last: &[u16]) -> Vec<u16> {
    let codes = distances.first().map_or(0, Vec::len);
    let mut users = vec![0; codes];
    last.iter().for_each(|&code| users[usize::from(code)] += 1);
    let crowded = last.len() > codes;
    let moves: Vec<usize> = (0..last.len()).filter(|&i| crowded || users[usize::from(last[i])] > 1).collect();
    let open: Vec<usize> = (0..codes).filter(|&code| crowded || users[code] != 1).collect();
    let mut next = last.to_vec();
    if moves.is_empty() {
        return next;
    }
    let cost: Vec<f32> = moves.iter().flat_map(|&item| open.iter().map(move |&code| distances[item][code])).collect();
    for (&item, column) in moves.iter().zip(sinkhorn::assign(&cost, open.len())) {
        next[item] = open[column] as u16;
    }
    next
}

/// Appends to each ID its index among the items with the same codes.
pub(super) fn number_groups(codes: &mut [Vec<u16>], largest: usize) -> Result<()> {
    if largest > usize::from(u16::MAX) + 1 {
        return Err(Error::Invalid(format!("{largest} items share one semantic ID; use more codes or levels")));
    }
    let mut next: HashMap<Vec<u16>, u16> = HashMap::new();
    for id in codes {
        let index = next.entry(id.clone()).or_default();
        id.push(*index);
        *index = index.wrapping_add(1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_items_that_collide_move_and_not_onto_others() {
        // Items 0 and 1 share code 0; item 2 has code 1, which is next best for both and stays its own.
        let distances = [vec![0.0, 1.0, 4.0], vec![0.1, 1.1, 3.0], vec![2.0, 0.0, 9.0]];
        assert_eq!(separate(&distances, &[0, 0, 1]), [0, 2, 1]);
        assert_eq!(separate(&distances, &[0, 2, 1]), [0, 2, 1]);
    }

    #[test]
    fn more_items_than_codes_share_them_evenly() {
        let distances = vec![vec![0.0, 1.0]; 5];
        let next = separate(&distances, &[0; 5]);
        let first = next.iter().filter(|&&code| code == 0).count();
        assert!(first == 3 || first == 2, "{next:?}");
    }
}
