use super::*;

/// The leaves of the reference implementation's tests (certificate-transparency, `merkle_tree_test`).
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
/// The roots of the trees over the first 1, 2, … of them, from the same tests.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn known() -> Tree {
    Tree::new(LEAVES.iter().map(|leaf| leaf_hash(&hex::decode(leaf).unwrap())))
}

fn many(size: u64) -> Tree {
    Tree::new((0..size).map(|index| leaf_hash(&index.to_be_bytes())))
}

/// The definition of RFC 6962, word by word: the proofs above go another way.
fn slow_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(usize::try_from(left_half(leaves.len() as u64)).unwrap());
            node_hash(&slow_root(left), &slow_root(right))
        }
    }
}

fn hexed(proof: &[Hash]) -> Vec<String> {
    proof.iter().map(hex::encode).collect()
}

#[test]
fn roots_are_those_of_the_reference_implementation() {
    assert_eq!(hex::encode(empty_root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(Tree::default().root(), empty_root());
    let tree = known();
    for (size, expected) in (1..).zip(ROOTS) {
        assert_eq!(hex::encode(root(size, |node| tree.hash(node).ok_or(())).unwrap()), expected);
    }
    assert_eq!(hex::encode(tree.root()), ROOTS[7]);
}

#[test]
fn proofs_are_those_of_the_reference_implementation() {
    let tree = known();
    let inclusion = |index, size| hexed(&tree.inclusion(index, size).unwrap());
    assert!(inclusion(0, 1).is_empty());
    assert_eq!(
        inclusion(0, 8),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
    assert_eq!(
        inclusion(5, 8),
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
    assert_eq!(inclusion(2, 3), ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]);
    assert_eq!(
        inclusion(1, 5),
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ]
    );
    let consistency = |from, to| hexed(&tree.consistency(from, to).unwrap());
    assert!(consistency(1, 1).is_empty());
    assert_eq!(
        consistency(1, 8),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
    assert_eq!(
        consistency(6, 8),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
    assert_eq!(
        consistency(2, 5),
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ]
    );
}

#[test]
fn every_leaf_of_every_tree_is_proven_at_its_place_and_at_no_other() {
    let tree = many(40);
    let leaves: Vec<Hash> = (0..40).map(|index| tree.hash(Node { level: 0, index }).unwrap()).collect();
    for size in 1..=40_u64 {
        let root = slow_root(&leaves[..usize::try_from(size).unwrap()]);
        assert_eq!(super::root(size, |node| tree.hash(node).ok_or(())), Ok(root));
        for index in 0..size {
            let leaf = &leaves[usize::try_from(index).unwrap()];
            let proof = tree.inclusion(index, size).unwrap();
            assert_eq!(verify_inclusion(leaf, index, size, &proof, &root), Ok(()));
            for other in (0..size).filter(|other| *other != index) {
                assert!(verify_inclusion(leaf, other, size, &proof, &root).is_err(), "{index} as {other} of {size}");
            }
            let longer = [&proof[..], &[root]].concat();
            assert!(verify_inclusion(leaf, index, size, &longer, &root).is_err());
            if let Some((_, shorter)) = proof.split_last() {
                assert!(verify_inclusion(leaf, index, size, shorter, &root).is_err());
            }
            for at in 0..proof.len() {
                let mut bent = proof.clone();
                bent[at][0] ^= 1;
                assert_eq!(verify_inclusion(leaf, index, size, &bent, &root), Err(ProofError::OtherRoot));
            }
        }
        assert_eq!(verify_inclusion(&root, size, size, &[], &root), Err(ProofError::OutsideOfTree));
    }
}

#[test]
fn every_tree_is_proven_the_beginning_of_every_later_one_and_of_no_other() {
    let tree = many(70);
    let leaves: Vec<Hash> = (0..70).map(|index| tree.hash(Node { level: 0, index }).unwrap()).collect();
    let roots: Vec<Hash> = (0..=leaves.len()).map(|size| slow_root(&leaves[..size])).collect();
    let root = |size: u64| roots[usize::try_from(size).unwrap()];
    for to in 0..=70 {
        for from in 0..=to {
            let proof = tree.consistency(from, to).unwrap();
            assert_eq!(verify_consistency(from, &root(from), to, &root(to), &proof), Ok(()), "{from} to {to}");
            let mut bent = root(from);
            bent[31] ^= 1;
            assert!(verify_consistency(from, &bent, to, &root(to), &proof).is_err());
            let longer = [&proof[..], &[bent]].concat();
            assert!(verify_consistency(from, &root(from), to, &root(to), &longer).is_err());
            if let Some((_, shorter)) = proof.split_last() {
                assert!(verify_consistency(from, &root(from), to, &root(to), shorter).is_err());
            }
            if from < to {
                assert_eq!(
                    verify_consistency(to, &root(to), from, &root(from), &proof),
                    Err(ProofError::Smaller),
                    "a tree does not shrink"
                );
                assert!(from == 0 || verify_consistency(from, &root(from), to, &bent, &proof).is_err());
            }
        }
    }
}

#[test]
fn nodes_are_asked_for_once_and_beforehand() {
    let tree = many(57);
    for size in 1..=57 {
        for index in 0..size {
            let known = inclusion_nodes(index, size);
            let proof =
                inclusion(index, size, |node| known.contains(&node).then(|| tree.hash(node)).flatten().ok_or(()));
            assert_eq!(proof.ok(), tree.inclusion(index, size));
            let known = consistency_nodes(index, size);
            let proof =
                consistency(index, size, |node| known.contains(&node).then(|| tree.hash(node)).flatten().ok_or(()));
            assert_eq!(proof.ok(), tree.consistency(index, size));
        }
    }
}

#[test]
fn an_edge_goes_on_where_another_stopped() {
    let tree = many(64);
    for size in 0..=64 {
        let mut edge = Edge::of(size, |node| tree.hash(node).ok_or(())).unwrap();
        for index in size..64 {
            edge.append(tree.hash(Node { level: 0, index }).unwrap(), |node, hash| {
                assert_eq!(tree.hash(node), Some(*hash));
            });
        }
        assert_eq!((edge.size(), edge.root()), (64, tree.root()));
    }
}

#[test]
fn sizes_near_the_end_of_numbers_do_not_overflow() {
    for size in [u64::MAX, 1 << 63, (1 << 63) + 1] {
        assert!(inclusion_nodes(size - 1, size).len() < 4_096);
        assert!(consistency_nodes(size / 3, size).len() < 4_096);
        let long = [[0; 32]; 70];
        assert!(verify_inclusion(&[0; 32], size - 1, size, &long, &[0; 32]).is_err());
        assert!(verify_inclusion(&[0; 32], 0, size, &long, &[0; 32]).is_err());
        assert!(verify_consistency(size / 3, &[0; 32], size, &[0; 32], &long).is_err());
        assert!(verify_consistency(size - 1, &[0; 32], size, &[0; 32], &long).is_err());
    }
}
