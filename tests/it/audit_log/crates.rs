//! Our checkpoints, tiles and proofs under other people's code, from crates.io: `signed_note` and `tlog_tiles`.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use efface::evidence::leaf::{self, EntrySalt};
use efface::evidence::log::Filter;
use efface::evidence::public_key::PublicKey;
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{
    Checkpoint, Error, Hash, HashReader as _, Tile, TileHashReader, TileReader, check_record, check_tree, prove_record,
    prove_tree, record_hash, stored_hash_index, tree_hash,
};

use super::api::server;
use crate::house::House;

/// The height of the tiles, in levels of the tree.
const HEIGHT: u8 = 8;
/// What signed notes call Ed25519.
const ED25519: u8 = 1;

/// Tiles as a server gave them, by path.
struct Fetched(HashMap<String, Vec<u8>>);

impl TileReader for Fetched {
    fn height(&self) -> u8 {
        HEIGHT
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        Ok(tiles.iter().map(|tile| self.0.get(&tile.path()).cloned().unwrap_or_default()).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

fn raw(key: &PublicKey) -> Vec<u8> {
    let pem = key.to_pem();
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(der).unwrap().split_off(12)
}

/// The text of a checkpoint, when its signature holds.
fn opened(note: &[u8], name: &str, key: &PublicKey) -> Option<Checkpoint> {
    let key = [vec![ED25519], raw(key)].concat();
    let text = format!("{name}+{:08x}+{}", signed_note::key_id(name, &key), STANDARD.encode(&key));
    let known = VerifierList::new(vec![Box::new(StandardVerifier::new(&text).unwrap())]);
    let note = Note::from_bytes(note).ok()?;
    let (signed, others) = note.verify(&known).ok()?;
    assert_eq!((signed.len(), others.len()), (1, 0));
    Checkpoint::from_bytes(note.text()).ok()
}

both_databases! {
    async fn other_crates_verify_our_checkpoints_and_tiles_and_agree_with_our_proofs(house: House) {
        let (log, server) = (house.log(), server(&house).await);
        let mut earlier: Option<Checkpoint> = None;
        for count in [1, 6, 249, 1, 300] {
            house.append(count).await;
            house.tend().await.unwrap();
            let note = server.get("/api/v1/checkpoint", &[]).await.body;
            let origin = std::str::from_utf8(&note).unwrap().lines().next().unwrap().to_owned();
            let head = opened(&note, &origin, &log.keys()[0]).expect("they verify the checkpoint");
            assert_eq!((head.origin(), head.size()), (origin.as_str(), log.head().await.unwrap().size));
            let (size, root) = (head.size(), *head.hash());
            let stranger = crate::house::signer().public_key().clone();
            assert!(opened(&note, &origin, &stranger).is_none(), "another key");

            let mut fetched = Fetched(HashMap::new());
            for tile in Tile::new_tiles(HEIGHT, 0, size) {
                let path = tile.path();
                let ours = path.replacen("tile/8/", "tile/", 1);
                fetched.0.insert(path, server.get(&format!("/api/v1/{ours}"), &[]).await.body.clone());
            }
            let full = |tile: &Tile| tile.level() == 0 && tile.width() == 1 << HEIGHT;
            for tile in Tile::new_tiles(HEIGHT, 0, size).iter().filter(|tile| full(tile)) {
                let parent = tile.parent(1, size).unwrap();
                let index = stored_hash_index(HEIGHT, tile.level_index());
                let above = parent.hash_at_index(&fetched.0[&parent.path()], index).unwrap();
                assert_eq!(Tile::subtree_hash(&fetched.0[&tile.path()]), above);
            }
            let reader = TileHashReader::new(size, root, &fetched);
            assert_eq!(tree_hash(size, &reader).unwrap(), root);
            for placed in log.entries(&Filter::default(), 0, size, 1_000).await.unwrap().iter().step_by(11) {
                let salt: [u8; 32] = placed.entry.salt.as_slice().try_into().unwrap();
                let leaf = record_hash(leaf::data(&leaf::fields(&placed.entry, &EntrySalt(salt))).as_bytes());
                assert_eq!(reader.read_hashes(&[stored_hash_index(0, placed.index)]).unwrap(), [leaf]);
                let ours: Vec<Hash> = log.inclusion(placed.index, size).await.unwrap().into_iter().map(Hash).collect();
                check_record(&ours, size, root, placed.index, leaf).unwrap();
                assert_eq!(prove_record(size, placed.index, &reader).unwrap(), ours);
            }
            if let Some(earlier) = &earlier {
                let ours = log.consistency(earlier.size(), size).await.unwrap();
                let ours: Vec<Hash> = ours.into_iter().map(Hash).collect();
                check_tree(&ours, size, root, earlier.size(), *earlier.hash()).unwrap();
                assert_eq!(prove_tree(size, earlier.size(), &reader).unwrap(), ours);
            }
            earlier = Some(head);

            // And what is altered they refuse, wherever it is.
            for at in 0..std::str::from_utf8(&note).unwrap().find("\n\n").unwrap() {
                let mut altered = note.clone();
                altered[at] ^= 1;
                assert!(opened(&altered, &origin, &log.keys()[0]).is_none(), "byte {at}");
            }
            // (Their reader holds full tiles against their parents in some trees only: the top is enough here.)
            let top = Tile::new_tiles(HEIGHT, 0, size).last().unwrap().path();
            fetched.0.get_mut(&top).unwrap()[7] ^= 1;
            assert!(tree_hash(size, &TileHashReader::new(size, root, &fetched)).is_err(), "an altered tile of {size}");
        }
    }
}
