//! Cuts the tree into tiles of 256 hashes (C2SP `tlog-tiles`), and finds the hash of any complete subtree in them.

use std::collections::{BTreeMap, BTreeSet};

use super::LogError;
use crate::evidence::merkle::{Edge, Hash, Node, node_hash, peaks};
use crate::store::StoreError;
use crate::store::audit_tree::{self, Tile};

/// Hashes of a whole tile.
pub const WIDTH: u64 = 256;
/// Levels of the tree that one tile spans.
const HEIGHT: u8 = 8;
/// The highest number of a tile that is looked up: beyond every tree that there will be.
const NUMBER_MAX: u64 = 1 << 48;

/// Some tiles of a tree, in memory.
#[derive(Debug, Default)]
pub struct Tiles {
    tiles: BTreeMap<(u8, u64), Vec<u8>>,
    changed: BTreeSet<(u8, u64)>,
}

/// The tile that a node's hash is found in.
fn place(node: Node) -> (u8, u64) {
    let within = node.level % HEIGHT;
    (node.level / HEIGHT, node.index >> (HEIGHT - within))
}

/// How many hashes the rightmost tile of a level has in a tree of `size` leaves, and its number.
fn edge_of_level(size: u64, level: u8) -> (u64, u64) {
    let hashes = size.checked_shr(u32::from(level) * u32::from(HEIGHT)).unwrap_or(0);
    (hashes % WIDTH, hashes / WIDTH)
}

impl Tiles {
    /// The tiles in which the hashes of `nodes` are found.
    pub async fn of_nodes(conn: &impl sea_orm::ConnectionTrait, nodes: &[Node]) -> Result<Self, StoreError> {
        let places: BTreeSet<(u8, u64)> = nodes.iter().map(|node| place(*node)).collect();
        Self::read(conn, &places.into_iter().collect::<Vec<_>>()).await
    }

    /// The right edge of a tree of `size` leaves: what further leaves are appended to.
    pub async fn of_edge(conn: &impl sea_orm::ConnectionTrait, size: u64) -> Result<Self, StoreError> {
        let partial = (0..HEIGHT).map(|level| (level, edge_of_level(size, level))).filter(|(_, (width, _))| *width > 0);
        let partial: Vec<(u8, u64, u64)> = partial.map(|(level, (width, number))| (level, number, width)).collect();
        let places: Vec<(u8, u64)> = partial.iter().map(|(level, number, _)| (*level, *number)).collect();
        let mut edge = Self::read(conn, &places).await?;
        for (level, number, width) in partial {
            if let Some(hashes) = edge.tiles.get_mut(&(level, number)) {
                // Another process may have appended since the size was read.
                hashes.truncate(usize::try_from(width).unwrap_or(0) * 32);
            }
        }
        Ok(edge)
    }

    async fn read(conn: &impl sea_orm::ConnectionTrait, places: &[(u8, u64)]) -> Result<Self, StoreError> {
        let tiles = audit_tree::tiles(conn, places).await?;
        let tiles = tiles.into_iter().map(|tile| ((tile.level, tile.number), tile.hashes)).collect();
        Ok(Self { tiles, changed: BTreeSet::new() })
    }

    /// The hash of a complete subtree.
    pub fn hash(&self, node: Node) -> Result<Hash, LogError> {
        self.find(node).ok_or(LogError::NoHash { level: node.level, index: node.index })
    }

    fn find(&self, node: Node) -> Option<Hash> {
        let hashes = self.tiles.get(&place(node))?;
        let height = node.level % HEIGHT;
        let first = (node.index << height) % WIDTH;
        let range = usize::try_from(first).ok()? * 32..usize::try_from(first + (1 << height)).ok()? * 32;
        let (whole, _) = hashes.get(range)?.as_chunks::<32>();
        let mut row: Vec<Hash> = whole.to_vec();
        while row.len() > 1 {
            row = row.chunks(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
        }
        row.pop()
    }

    /// The right edge as a tree that can be appended to.
    pub fn edge(&self, size: u64) -> Result<Edge, LogError> {
        debug_assert!(peaks(size).len() < 64, "a size has as many peaks as bits");
        Edge::of(size, |node| self.hash(node))
    }

    /// Takes a node that became complete.
    pub fn take(&mut self, node: Node, hash: &Hash) {
        if node.level.is_multiple_of(HEIGHT) {
            let place = (node.level / HEIGHT, node.index / WIDTH);
            self.tiles.entry(place).or_default().extend_from_slice(hash);
            self.changed.insert(place);
        }
    }

    /// The tiles that are new or longer than before.
    pub fn changed(&self) -> Vec<Tile> {
        let tile = |place: &(u8, u64)| {
            let hashes = self.tiles.get(place)?.clone();
            Some(Tile { level: place.0, number: place.1, hashes })
        };
        self.changed.iter().filter_map(tile).collect()
    }
}

/// What a path below `/tile/` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TilePath {
    /// None: the entries themselves.
    pub level: Option<u8>,
    pub number: u64,
    /// 1 to 256.
    pub width: u16,
}

impl TilePath {
    /// Reads `<L>/<N>[.p/<W>]` or `entries/<N>[.p/<W>]`, in the one way to write it.
    pub fn parse(path: &str) -> Option<Self> {
        let (kind, rest) = path.split_once('/')?;
        let level = if kind == "entries" { None } else { Some(decimal(kind).filter(|level| *level < 64)?) };
        let (number, width) = match rest.split_once(".p/") {
            None => (rest, WIDTH),
            Some((number, width)) => (number, decimal(width).filter(|width| (1..WIDTH).contains(width))?),
        };
        let level = level.map(u8::try_from).transpose().ok()?;
        Some(Self { level, number: tile_number(number)?, width: u16::try_from(width).ok()? })
    }

    /// Entries that the tree must have for this to be there: the tile's end in a tree as large as that.
    pub fn needs(&self) -> Option<u64> {
        let hashes = self.number.checked_mul(WIDTH)?.checked_add(u64::from(self.width))?;
        let shift = u32::from(self.level.unwrap_or(0)) * u32::from(HEIGHT);
        hashes.checked_mul(1_u64.checked_shl(shift)?)
    }
}

fn decimal(text: &str) -> Option<u64> {
    let plain = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    (plain && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok())?
}

/// `x001/x234/067` is 1234067.
fn tile_number(text: &str) -> Option<u64> {
    let mut number: u64 = 0;
    let parts: Vec<&str> = text.split('/').collect();
    let (last, leading) = parts.split_last()?;
    let digits = |part: &str| -> Option<u64> {
        let plain = part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| part.parse().ok())?
    };
    for (place, part) in leading.iter().enumerate() {
        let group = digits(part.strip_prefix('x')?)?;
        if place == 0 && group == 0 {
            return None;
        }
        number = number.checked_mul(1000)?.checked_add(group)?;
    }
    let number = number.checked_mul(1000)?.checked_add(digits(last)?)?;
    (number < NUMBER_MAX).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::merkle::{Tree, leaf_hash};

    fn path(text: &str) -> Option<(Option<u8>, u64, u16)> {
        TilePath::parse(text).map(|path| (path.level, path.number, path.width))
    }

    #[test]
    fn paths_are_read_in_the_one_way_to_write_them() {
        assert_eq!(path("0/x001/x234/067"), Some((Some(0), 1_234_067, 256)));
        assert_eq!(path("63/000.p/255"), Some((Some(63), 0, 255)));
        assert_eq!(path("entries/x001/000.p/1"), Some((None, 1000, 1)));
        for bad in [
            "",
            "0",
            "0/",
            "64/000",
            "00/000",
            "-1/000",
            "0/0",
            "0/0000",
            "0/x000/001",
            "0/x01/001",
            "0/001/002",
            "0/x001",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/01",
            "0/000.p/",
            "0/000.p",
            "0/000/",
            "/0/000",
            "entry/000",
            "+1/000",
            "0/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_tile_needs_a_tree_that_reaches_its_end() {
        let needs = |text: &str| TilePath::parse(text).unwrap().needs();
        assert_eq!(needs("0/000.p/1"), Some(1));
        assert_eq!(needs("entries/001"), Some(512));
        assert_eq!(needs("1/000.p/17"), Some(17 * 256));
        assert_eq!(needs("2/000"), Some(256 * 65_536));
        assert_eq!(needs("63/000.p/1"), None);
    }

    /// Grows a tree from tiles in steps of odd sizes, and compares root, nodes and tiles with a whole tree in memory.
    #[test]
    fn tiles_hold_every_hash_of_the_tree_and_grow_by_their_edge_alone() {
        let leaves: Vec<Hash> = (0..70_000_u32).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let (mut stored, mut tree, mut size) = (Tiles::default(), Tree::default(), 0_u64);
        for step in [1, 254, 1, 1, 255, 513, 3_000, 61_512, 1, 4_462] {
            let mut edge = stored.edge(size).unwrap();
            let from = usize::try_from(size).unwrap();
            for leaf in &leaves[from..from + step] {
                edge.append(*leaf, |node, hash| stored.take(node, hash));
                tree.append(*leaf);
            }
            size = edge.size();
            assert_eq!((edge.root(), size), (tree.root(), tree.size()));
            for node in peaks(size) {
                assert_eq!(Some(stored.hash(node).unwrap()), tree.hash(node), "{node:?} of {size}");
            }
        }
        assert_eq!(size, 70_000);
        // The example of the specification.
        let widths: Vec<(u8, usize)> = (0..3)
            .flat_map(|level| stored.tiles.range((level, 0)..(level + 1, 0)).last())
            .map(|((level, _), hashes)| (*level, hashes.len() / 32))
            .collect();
        assert_eq!(widths, [(0, 112), (1, 17), (2, 1)]);
        for (level, index) in [(0, 69_999), (3, 8_749), (7, 546), (8, 272), (11, 33), (15, 1), (16, 0)] {
            let node = Node { level, index };
            assert_eq!(stored.find(node), tree.hash(node), "{node:?}");
        }
        assert_eq!(stored.find(Node { level: 16, index: 1 }), None);
        assert_eq!(stored.find(Node { level: 0, index: 70_000 }), None);
    }
}
