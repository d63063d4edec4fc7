//! The Merkle tree of the audit log: hashes, and proofs that are made and checked.
//!
//! Source: RFC 6962, section 2.1 (hashes), and RFC 9162, sections 2.1.3 and 2.1.4 (proofs). Pure: whoever keeps the hashes
//! gives them by [`Node`], so that a proof can be made from a table, from tiles or from memory.

use std::convert::Infallible;

use sha2::{Digest as _, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// Hashes of a proof at most: a tree of 2^63 leaves needs no more.
pub const PROOF_LEN_MAX: usize = 63;

/// A complete subtree of 2^level leaves, the first of which is `index << level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    pub level: u8,
    pub index: u64,
}

/// Why a proof does not show what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("the index is not within the tree")]
    OutsideOfTree,
    #[error("the proof has not the length that it must have")]
    WrongLength,
    #[error("the proof does not lead to the root")]
    OtherRoot,
    #[error("the earlier tree is larger than the later one")]
    Smaller,
}

/// The hash of the tree without leaves.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The hash of a leaf.
pub fn leaf_hash(data: &[u8]) -> Hash {
    Sha256::new_with_prefix([0]).chain_update(data).finalize().into()
}

/// The hash of a node over its two halves.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Complete subtrees that together hold the leaves from `start` to before `end`, left to right. `start` must be the first
/// leaf of a subtree of at least `end - start` leaves, as it is in every proof.
fn cover(start: u64, end: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut at = start;
    while at < end {
        let level = (end - at).ilog2();
        nodes.push(Node { level: u8::try_from(level).unwrap_or(u8::MAX), index: at >> level });
        at += 1 << level;
    }
    nodes
}

/// The complete subtrees that a tree of `size` leaves consists of, left to right.
pub fn peaks(size: u64) -> Vec<Node> {
    cover(0, size)
}

/// The hash over subtrees that stand side by side, the larger ones first.
fn joined(hashes: &[Hash]) -> Hash {
    let mut hashes = hashes.iter().rev();
    let Some(last) = hashes.next() else { return empty_root() };
    hashes.fold(*last, |right, left| node_hash(left, &right))
}

fn range<E>(start: u64, end: u64, hash: &mut impl FnMut(Node) -> Result<Hash, E>) -> Result<Hash, E> {
    let hashes: Vec<Hash> = cover(start, end).into_iter().map(hash).collect::<Result<_, E>>()?;
    Ok(joined(&hashes))
}

/// The root of a tree of `size` leaves.
///
/// # Errors
/// What `hash` answers when it has no hash of a node.
pub fn root<E>(size: u64, mut hash: impl FnMut(Node) -> Result<Hash, E>) -> Result<Hash, E> {
    range(0, size, &mut hash)
}

/// How many leaves the left half of a tree of `size` leaves has: the largest power of two below `size`.
fn left_half(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The proof that the leaf at `index` is in the tree of the first `size` leaves, from the leaf upwards.
///
/// # Errors
/// What `hash` answers when it has no hash of a node. An index outside of the tree has an empty proof, which verifies
/// nowhere.
pub fn inclusion<E>(index: u64, size: u64, mut hash: impl FnMut(Node) -> Result<Hash, E>) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::new();
    if index >= size {
        return Ok(proof);
    }
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + left_half(end - start);
        if index < middle {
            proof.push(range(middle, end, &mut hash)?);
            end = middle;
        } else {
            proof.push(range(start, middle, &mut hash)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of the first `from` leaves is the beginning of the tree of the first `to` leaves.
///
/// # Errors
/// What `hash` answers when it has no hash of a node. For trees that cannot follow one another the proof is empty.
pub fn consistency<E>(from: u64, to: u64, mut hash: impl FnMut(Node) -> Result<Hash, E>) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::new();
    if from == 0 || from >= to {
        return Ok(proof);
    }
    let (mut start, mut end) = (0, to);
    let mut is_known = true;
    while end != from {
        let middle = start + left_half(end - start);
        if from <= middle {
            proof.push(range(middle, end, &mut hash)?);
            end = middle;
        } else {
            proof.push(range(start, middle, &mut hash)?);
            start = middle;
            is_known = false;
        }
    }
    if !is_known {
        proof.push(range(start, end, &mut hash)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The nodes whose hashes the root of `size` leaves, an inclusion or a consistency proof asks for: to read them at once.
fn asked(run: impl FnOnce(&mut dyn FnMut(Node) -> Result<Hash, Infallible>)) -> Vec<Node> {
    let mut nodes = Vec::new();
    run(&mut |node| {
        nodes.push(node);
        Ok([0; 32])
    });
    nodes
}

/// The nodes that [`inclusion`] asks for.
pub fn inclusion_nodes(index: u64, size: u64) -> Vec<Node> {
    asked(|hash| {
        let _ = inclusion(index, size, hash);
    })
}

/// The nodes that [`consistency`] asks for.
pub fn consistency_nodes(from: u64, to: u64) -> Vec<Node> {
    asked(|hash| {
        let _ = consistency(from, to, hash);
    })
}

/// Checks that `leaf` stands at `index` of the tree of `size` leaves with this `root`.
///
/// # Errors
/// [`ProofError`]; of proofs that are too short or too long, too.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutsideOfTree);
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for step in proof {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(step, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, step);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::OtherRoot) }
}

/// Checks that the tree of `from` leaves with the root `from_root` is the beginning of that of `to` leaves with `to_root`.
///
/// # Errors
/// [`ProofError`]; of proofs that are too short or too long, too.
pub fn verify_consistency(
    from: u64,
    from_root: &Hash,
    to: u64,
    to_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if from > to {
        return Err(ProofError::Smaller);
    }
    if from == to || from == 0 {
        if !proof.is_empty() {
            return Err(ProofError::WrongLength);
        }
        let same = if from == to { from_root == to_root } else { *from_root == empty_root() };
        return if same { Ok(()) } else { Err(ProofError::OtherRoot) };
    }
    let mut steps = proof.iter();
    // The tree before is a subtree of its own when its size is a power of two: then its root begins the way.
    let first = if from.is_power_of_two() { *from_root } else { *steps.next().ok_or(ProofError::WrongLength)? };
    let (mut at, mut last) = (from - 1, to - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut before, mut after) = (first, first);
    for step in steps {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if at & 1 == 1 || at == last {
            before = node_hash(step, &before);
            after = node_hash(step, &after);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            after = node_hash(&after, step);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength);
    }
    if before == *from_root && after == *to_root { Ok(()) } else { Err(ProofError::OtherRoot) }
}

/// The right edge of a growing tree: enough to append leaves and to tell the root, whatever the size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    peaks: Vec<Hash>,
}

impl Edge {
    /// The edge of a tree of `size` leaves; `hash` gives the hashes of its [`peaks`].
    ///
    /// # Errors
    /// What `hash` answers when it has no hash of a node.
    pub fn of<E>(size: u64, hash: impl FnMut(Node) -> Result<Hash, E>) -> Result<Self, E> {
        Ok(Self { size, peaks: peaks(size).into_iter().map(hash).collect::<Result<_, E>>()? })
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over all leaves so far.
    pub fn root(&self) -> Hash {
        joined(&self.peaks)
    }

    /// Appends a leaf, and tells every node that is complete with it: the leaf itself first.
    pub fn append(&mut self, leaf: Hash, mut complete: impl FnMut(Node, &Hash)) {
        let (mut node, mut hash) = (Node { level: 0, index: self.size }, leaf);
        complete(node, &hash);
        while node.index & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            hash = node_hash(&left, &hash);
            node = Node { level: node.level + 1, index: node.index >> 1 };
            complete(node, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }
}

/// A whole tree in memory.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    edge: Edge,
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree over leaf hashes.
    pub fn new(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let mut tree = Self::default();
        for leaf in leaves {
            tree.append(leaf);
        }
        tree
    }

    /// Appends a leaf.
    pub fn append(&mut self, leaf: Hash) {
        let levels = &mut self.levels;
        self.edge.append(leaf, |node, hash| {
            let level = usize::from(node.level);
            if levels.len() <= level {
                levels.resize(level + 1, Vec::new());
            }
            levels[level].push(*hash);
        });
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash {
        self.edge.root()
    }

    /// The hash of a complete subtree, if there is one.
    pub fn hash(&self, node: Node) -> Option<Hash> {
        self.levels.get(usize::from(node.level))?.get(usize::try_from(node.index).ok()?).copied()
    }

    /// [`inclusion`] in the tree of the first `size` leaves; none when it has fewer.
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        inclusion(index, size, |node| self.hash(node).ok_or(())).ok()
    }

    /// [`consistency`] between two sizes; none when it has fewer leaves.
    pub fn consistency(&self, from: u64, to: u64) -> Option<Vec<Hash>> {
        consistency(from, to, |node| self.hash(node).ok_or(())).ok()
    }
}

#[cfg(test)]
mod tests;
