//! The ledger file gets every tombstone, also after a crash.

use efface::audit::Actor;
use efface::suppression::ledger::{LedgerFile, read};

use super::{erased, furnished, tombstones};
use crate::house::House;

both_databases! {
    async fn every_tombstone_is_appended_once(house: House) {
        let house = furnished(house).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.ndjson");
        let room = house.app().suppression();
        let mut ledger = LedgerFile::new(path.clone());
        erased(&house, 1).await;
        assert_eq!(ledger.append(&room).await.unwrap(), 1);
        assert_eq!(ledger.append(&room).await.unwrap(), 0);
        erased(&house, 2).await;
        assert_eq!(ledger.append(&room).await.unwrap(), 1);
        // Another process, and one whose last line a crash cut off.
        assert_eq!(LedgerFile::new(path.clone()).append(&room).await.unwrap(), 0);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 10]).unwrap();
        assert_eq!(LedgerFile::new(path.clone()).append(&room).await.unwrap(), 1);
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        let mut read: Vec<_> = read(&room.keyring, whole.as_slice()).unwrap();
        let mut rows = tombstones(&house).await;
        for rows in [&mut read, &mut rows] {
            rows.sort_by(|a, b| a.job_id.cmp(&b.job_id));
            for row in rows.iter_mut() {
                row.next_sweep_at = None;
            }
        }
        assert_eq!(read, rows);
    }

    async fn what_was_imported_is_swept_as_if_it_had_never_been_lost(house: House) {
        let house = furnished(house).await;
        erased(&house, 1).await;
        let room = house.app().suppression();
        let mut text = String::new();
        room.export(chrono::DateTime::UNIX_EPOCH, |line| { text.push_str(line); Ok(()) }).await.unwrap();
        house.execute(r#"DELETE FROM "Suppression""#).await;
        let rows = read(&room.keyring, text.as_bytes()).unwrap();
        assert_eq!(room.import(&rows, Actor::System("test")).await.unwrap(), 1);
        assert_eq!(room.import(&rows, Actor::System("test")).await.unwrap(), 0);
        // The job's row is gone too: its orders can only be found by comparing.
        house.execute(r#"DELETE FROM "GDPRJob""#).await;
        house.execute("INSERT INTO orders VALUES (1, 1, 4001, NULL, NULL, NULL)").await;
        super::after(&house, 1);
        assert_eq!(super::sweep(&house).await.jobs.len(), 1);
        house.work().await;
        assert_eq!(house.number("SELECT count(*) AS n FROM orders WHERE id = 1").await, 0);
    }

    async fn nothing_that_expired_is_imported(house: House) {
        let house = furnished(house).await;
        erased(&house, 1).await;
        let rows = tombstones(&house).await;
        house.execute(r#"DELETE FROM "Suppression""#).await;
        super::after(&house, 24 * 366);
        assert_eq!(house.app().suppression().import(&rows, Actor::System("test")).await.unwrap(), 0);
    }
}
