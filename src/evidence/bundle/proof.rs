//! One proof for many entries: the hashes of the largest subtrees that hold none of them.
//!
//! Together with the entries' own leaf hashes they make the root, in the one order in which the tree is walked from left to
//! right. For neighbours that is as short as a proof for one; for one entry it holds the same hashes as RFC 6962's proof.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::evidence::merkle::{self, Hash, Node};

/// What stands at a place of the walk.
enum Stop {
    /// An entry of ours.
    Leaf,
    /// A subtree without one.
    Other(Node),
}

fn walk<E>(start: u64, end: u64, indices: &[u64], hash: &mut impl FnMut(Stop) -> Result<Hash, E>) -> Result<Hash, E> {
    let size = end - start;
    if indices.is_empty() && size.is_power_of_two() {
        let level = size.ilog2();
        return hash(Stop::Other(Node { level: u8::try_from(level).unwrap_or(u8::MAX), index: start >> level }));
    }
    if size == 1 {
        return hash(Stop::Leaf);
    }
    let middle = start + (1 << (size - 1).ilog2());
    let (left, right) = indices.split_at(indices.partition_point(|index| *index < middle));
    let left = walk(start, middle, left, hash)?;
    let right = walk(middle, end, right, hash)?;
    Ok(merkle::node_hash(&left, &right))
}

/// The nodes whose hashes the proof for these entries consists of. `indices` ascend, and are below `size`.
pub fn nodes(indices: &[u64], size: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    if size > 0 {
        let _ = walk::<()>(0, size, indices, &mut |stop| {
            if let Stop::Other(node) = stop {
                nodes.push(node);
            }
            Ok([0; 32])
        });
    }
    nodes
}

/// The root that entries and proof lead to; none when the proof is too short or too long. `leaves` ascend by their index,
/// and are below `size`.
pub fn root(leaves: &[(u64, Hash)], size: u64, proof: &[Hash]) -> Option<Hash> {
    if size == 0 {
        return (leaves.is_empty() && proof.is_empty()).then(merkle::empty_root);
    }
    let indices: Vec<u64> = leaves.iter().map(|(index, _)| *index).collect();
    let (mut leaves, mut others) = (leaves.iter(), proof.iter());
    let root = walk(0, size, &indices, &mut |stop| match stop {
        Stop::Leaf => leaves.next().map(|(_, hash)| *hash).ok_or(()),
        Stop::Other(_) => others.next().copied().ok_or(()),
    });
    root.ok().filter(|_| leaves.next().is_none() && others.next().is_none())
}

/// The file: a hash a line.
pub fn to_text(hashes: &[Hash]) -> String {
    hashes.iter().flat_map(|hash| [STANDARD.encode(hash), "\n".to_owned()]).collect()
}

/// Reads [`to_text`]; none when it is anything else.
pub fn from_text(text: &[u8]) -> Option<Vec<Hash>> {
    let text = std::str::from_utf8(text).ok()?;
    if text.is_empty() {
        return Some(Vec::new());
    }
    let hash = |line| STANDARD.decode(line).ok()?.try_into().ok();
    text.strip_suffix('\n')?.split('\n').map(hash).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::merkle::{Tree, leaf_hash};

    #[test]
    fn every_choice_of_entries_leads_to_the_root_and_to_no_other() {
        let tree = Tree::new((0..11_u64).map(|index| leaf_hash(&index.to_be_bytes())));
        for size in 0..=11_u64 {
            let root = merkle::root(size, |node| tree.hash(node).ok_or(())).unwrap();
            for choice in 0..1_u64 << size {
                let indices: Vec<u64> = (0..size).filter(|index| choice >> index & 1 == 1).collect();
                let leaves: Vec<(u64, Hash)> = indices
                    .iter()
                    .map(|index| (*index, tree.hash(Node { level: 0, index: *index }).unwrap()))
                    .collect();
                let proof: Vec<Hash> = nodes(&indices, size).into_iter().map(|node| tree.hash(node).unwrap()).collect();
                assert_eq!(super::root(&leaves, size, &proof), Some(root));
                assert_eq!(from_text(to_text(&proof).as_bytes()), Some(proof.clone()));
                assert_eq!(super::root(&leaves, size, &[&proof[..], &[root]].concat()), None);
                if let Some((_, shorter)) = proof.split_last() {
                    assert_eq!(super::root(&leaves, size, shorter), None);
                }
                if let Some((last, others)) = leaves.split_last() {
                    assert_ne!(super::root(others, size, &proof), Some(root));
                    if last.0 + 1 < size {
                        let moved = [others, &[(last.0 + 1, last.1)]].concat();
                        assert_ne!(super::root(&moved, size, &proof), Some(root));
                    }
                }
                if indices.len() == 1 {
                    let mut one = tree.inclusion(indices[0], size).unwrap();
                    let mut many = proof;
                    one.sort_unstable();
                    many.sort_unstable();
                    assert!(many.len() >= one.len() && size.is_power_of_two() <= (one == many));
                }
            }
        }
    }

    #[test]
    fn a_proof_of_a_huge_tree_is_found_fast() {
        assert!(nodes(&[0, 5, u64::MAX - 2], u64::MAX - 1).len() < 300);
        assert_eq!(root(&[(5, [0; 32])], u64::MAX, &[]), None);
    }
}
