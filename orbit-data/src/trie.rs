//! A prefix trie over token sequences, in flat arrays.

use std::collections::VecDeque;
use std::ops::Range;

use crate::{Error, Result};

/// The set of valid token sequences, as a tree to walk token by token.
///
/// Nodes are numbered breadth first, so the children of a node are neighbours: `first_child[n]..first_child[n + 1]`.
/// Memory is 12 bytes a node.
///
/// ```
/// use orbit_data::Trie;
/// let trie = Trie::new([[7, 1], [7, 4], [3, 1]].iter().map(|sequence| &sequence[..]))?;
/// assert_eq!(trie.children(trie.root()).0, [3, 7]);
/// let seven = trie.child(trie.root(), 7).unwrap();
/// let (tokens, first) = trie.children(seven);
/// assert_eq!(tokens, [1, 4]);
/// assert_eq!(trie.item(first + 1), Some(1));
/// # Ok::<(), orbit_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trie {
    /// The token that leads to each node; that of the root means nothing.
    tokens: Vec<u32>,
    /// Where each node's children begin, and one more entry where the last node's end.
    first_child: Vec<u32>,
    /// The item of a leaf, [`NO_ITEM`] elsewhere.
    items: Vec<u32>,
}

const NO_ITEM: u32 = u32::MAX;

/// A node to be laid out: the sorted sequences that pass through it, and their tokens so far.
struct Pending {
    sequences: Range<usize>,
    depth: usize,
}

impl Trie {
    /// Builds the trie; the `i`-th sequence leads to item `i`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] without sequences, for an empty one, and for a sequence that equals or begins another.
    pub fn new<'a>(sequences: impl IntoIterator<Item = &'a [u32]>) -> Result<Self> {
        let mut sorted: Vec<(&[u32], u32)> = sequences.into_iter().zip(0..).collect();
        sorted.sort_unstable();
        check(&sorted)?;

        let mut trie = Self { tokens: vec![0], first_child: Vec::new(), items: Vec::new() };
        let mut queue = VecDeque::from([Pending { sequences: 0..sorted.len(), depth: 0 }]);
        while let Some(node) = queue.pop_front() {
            trie.first_child.push(trie.tokens.len() as u32);
            let (first, item) = sorted[node.sequences.start];
            if first.len() == node.depth {
                trie.items.push(item);
                continue;
            }
            trie.items.push(NO_ITEM);
            let mut start = node.sequences.start;
            for group in sorted[node.sequences].chunk_by(|a, b| a.0[node.depth] == b.0[node.depth]) {
                trie.tokens.push(group[0].0[node.depth]);
                queue.push_back(Pending { sequences: start..start + group.len(), depth: node.depth + 1 });
                start += group.len();
            }
        }
        trie.first_child.push(trie.tokens.len() as u32);
        Ok(trie)
    }

    /// The node where every sequence begins.
    pub fn root(&self) -> u32 {
        0
    }

    /// The tokens that may follow at `node`, ascending, and the node that the first of them leads to; the others lead to
    /// the nodes after it. Both are of no use at a leaf, where there are no tokens.
    ///
    /// # Panics
    ///
    /// If there is no such node, as indexing does.
    pub fn children(&self, node: u32) -> (&[u32], u32) {
        let [first, end] = [0, 1].map(|next| self.first_child[node as usize + next]);
        (&self.tokens[first as usize..end as usize], first)
    }

    /// The node that `token` leads to from `node`.
    ///
    /// # Panics
    ///
    /// If there is no such node, as indexing does.
    pub fn child(&self, node: u32, token: u32) -> Option<u32> {
        let (tokens, first) = self.children(node);
        tokens.binary_search(&token).ok().map(|index| first + index as u32)
    }

    /// The item at `node`, if it is a leaf.
    pub fn item(&self, node: u32) -> Option<u32> {
        self.items.get(node as usize).copied().filter(|&item| item != NO_ITEM)
    }

    /// The token that leads to each node, by node; that of the root means nothing.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Where the children of each node begin, by node, and one more entry where those of the last node end.
    pub fn first_child(&self) -> &[u32] {
        &self.first_child
    }

    /// How many nodes there are, the root included.
    pub fn nodes(&self) -> usize {
        self.items.len()
    }
}

/// That sorted sequences are not empty and that none equals or begins another; such a pair would be neighbours.
fn check(sorted: &[(&[u32], u32)]) -> Result<()> {
    match sorted.first() {
        None => return Err(Error::Invalid("a trie needs at least one sequence".to_owned())),
        Some(&([], item)) => return Err(Error::Invalid(format!("the sequence of item {item} is empty"))),
        Some(_) => {}
    }
    match sorted.windows(2).find(|pair| pair[1].0.starts_with(pair[0].0)) {
        None => Ok(()),
        Some(pair) => Err(Error::Invalid(format!(
            "the sequence of item {} equals or begins that of item {}: {:?}",
            pair[0].1, pair[1].1, pair[0].0
        ))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn build(sequences: &[Vec<u32>]) -> Result<Trie> {
        Trie::new(sequences.iter().map(Vec::as_slice))
    }

    fn error(sequences: &[Vec<u32>]) -> String {
        build(sequences).unwrap_err().to_string()
    }

    /// Walks the whole trie and lists every sequence with its item.
    fn walk(trie: &Trie, node: u32, path: &mut Vec<u32>, found: &mut BTreeSet<(Vec<u32>, u32)>) {
        if let Some(item) = trie.item(node) {
            found.insert((path.clone(), item));
        }
        let (tokens, first) = trie.children(node);
        assert!(tokens.is_sorted() && (tokens.is_empty() == trie.item(node).is_some()));
        for (&token, child) in tokens.iter().zip(first..) {
            path.push(token);
            walk(trie, child, path, found);
            path.pop();
        }
    }

    #[test]
    fn what_is_no_set_of_codes_is_an_error() {
        assert!(error(&[]).contains("at least one"));
        assert!(error(&[vec![1], vec![]]).contains("item 1 is empty"));
        assert!(error(&[vec![1, 2], vec![3, 4], vec![1, 2]]).contains("item 0 equals or begins that of item 2"));
        assert!(error(&[vec![1, 2, 3], vec![1, 2]]).contains("item 1 equals or begins that of item 0"));
    }

    proptest! {
        #[test]
        fn it_holds_exactly_the_sequences(set in prop::collection::btree_set(prop::collection::vec(0_u32..6, 3), 1..80)) {
            let mut sequences: Vec<_> = set.into_iter().collect();
            sequences.reverse();
            let trie = build(&sequences).unwrap();
            let mut found = BTreeSet::new();
            walk(&trie, trie.root(), &mut Vec::new(), &mut found);
            prop_assert_eq!(found, sequences.iter().cloned().zip(0..).collect());
        }

        #[test]
        fn a_prefix_has_the_children_that_a_search_finds(
            set in prop::collection::btree_set(prop::collection::vec(0_u32..5, 4), 1..60),
            prefix in prop::collection::vec(0_u32..5, 0..4),
        ) {
            let sequences: Vec<_> = set.into_iter().collect();
            let trie = build(&sequences).unwrap();
            let node = prefix.iter().try_fold(trie.root(), |node, &token| trie.child(node, token));
            let next: BTreeSet<u32> =
                sequences.iter().filter_map(|s| s.strip_prefix(&prefix[..])).map(|rest| rest[0]).collect();
            let tokens = node.map_or(vec![], |node| trie.children(node).0.to_vec());
            prop_assert_eq!(tokens, next.into_iter().collect::<Vec<_>>());
        }
    }
}
