//! What was signed binds: no smaller tree, no second root, not even when the database is taken back.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use efface::evidence::checkpoint::{Checkpoint, SignedCheckpoint};
use efface::evidence::log::{Log, LogError, TilePath};
use efface::seal::Keyring;

use crate::house::House;

/// The tables of the log, as a backup holds them.
const TABLES: [&str; 5] = ["AuditLog", "AuditSpan", "AuditTile", "AuditTree", "AuditCheckpoint"];

impl House {
    /// Keeps a copy of the log's tables.
    pub async fn back_up(&self) {
        for table in TABLES {
            self.execute(&format!(r#"CREATE TABLE "kept {table}" AS SELECT * FROM "{table}""#)).await;
        }
    }

    /// Puts the copy in the place of what is there, as a restore does: no trigger is asked.
    pub async fn roll_back(&self) {
        self.without_triggers(async || {
            for table in TABLES {
                self.execute(&format!(r#"DELETE FROM "{table}""#)).await;
                self.execute(&format!(r#"INSERT INTO "{table}" SELECT * FROM "kept {table}""#)).await;
            }
        })
        .await;
    }

    /// Runs `work` as somebody does who owns the database and means harm, or a restore.
    pub async fn without_triggers(&self, work: impl AsyncFnOnce()) {
        if self.is_sqlite() {
            let triggers = self.texts("SELECT sql AS t FROM sqlite_master WHERE type='trigger'").await;
            for name in self.texts("SELECT name AS t FROM sqlite_master WHERE type='trigger'").await {
                self.execute(&format!("DROP TRIGGER \"{name}\"")).await;
            }
            work().await;
            for trigger in triggers {
                self.execute(&trigger).await;
            }
        } else {
            for table in TABLES {
                self.execute(&format!(r#"ALTER TABLE "{table}" DISABLE TRIGGER USER"#)).await;
            }
            work().await;
            for table in TABLES {
                self.execute(&format!(r#"ALTER TABLE "{table}" ENABLE TRIGGER USER"#)).await;
            }
        }
    }

    pub async fn texts(&self, sql: &str) -> Vec<String> {
        use sea_orm::{ConnectionTrait as _, Statement};
        let statement = Statement::from_string(self.store().backend(), sql);
        let rows = self.store().db().query_all_raw(statement).await.unwrap();
        rows.into_iter().map(|row| row.try_get("", "t").unwrap()).collect()
    }
}

both_databases! {
    async fn a_checkpoint_is_signed_when_something_is_new_and_at_most_once_a_second(house: House) {
        assert_eq!(house.tend().await.unwrap(), None, "an empty log");
        house.append(1).await;
        assert_eq!(house.tend().await.unwrap(), Some(1));
        assert_eq!(house.tend().await.unwrap(), None, "nothing new");
        house.append(1).await;
        house.advance(TimeDelta::seconds(2));
        let log = house.log();
        assert_eq!(log.tend().await.unwrap().signed, Some(2));
        let signed = house.clock.now();
        for place in 1..=5 {
            house.append(1).await;
            // What the machine took for it does not count.
            house.advance(signed + TimeDelta::milliseconds(50 * place) - house.clock.now());
            assert_eq!(log.tend().await.unwrap().signed, None, "too soon");
        }
        house.advance(signed + TimeDelta::seconds(1) - house.clock.now());
        assert_eq!(log.tend().await.unwrap().signed, Some(7));
        house.verify_log(&mut BTreeMap::new()).await;
        let latest = log.latest().await.unwrap().unwrap();
        assert_eq!(std::fs::read_to_string(house.checkpoint_file()).unwrap(), latest.note());
    }

    async fn a_database_that_was_rolled_back_is_noticed_and_not_signed(house: House) {
        house.append(5).await;
        house.tend().await.unwrap();
        house.back_up().await;
        house.append(5).await;
        assert_eq!(house.tend().await.unwrap(), Some(10));
        house.roll_back().await;
        let error = house.tend().await.unwrap_err();
        assert!(matches!(error, LogError::RolledBack { size: 5, signed: 10, .. }), "{error}");
        assert!(error.is_contradiction() && error.to_string().contains("rolled back"), "{error}");

        // It grows again, up to the same size and beyond: with other entries.
        for size in [10, 12] {
            house.append(if size == 10 { 5 } else { 2 }).await;
            let error = house.tend().await.unwrap_err();
            assert!(matches!(error, LogError::OtherRoot { size: 10, .. }), "{error}");
            assert!(house.log().prune(house.clock.now()).await.unwrap_err().is_contradiction());
        }
        let signed: Vec<u64> = house.checkpoints().await.iter().map(|signed| signed.checkpoint().size).collect();
        assert_eq!(signed, [5], "something was signed");
        let file = SignedCheckpoint::parse(&std::fs::read(house.checkpoint_file()).unwrap()).unwrap();
        assert_eq!(file.checkpoint().size, 10);
    }

    async fn two_processes_sign_no_two_roots_for_one_size(house: House) {
        for _ in 0..10 {
            house.append(3).await;
            house.advance(TimeDelta::seconds(2));
            let logs = [house.log(), house.log(), house.log()];
            for tended in futures_util::future::join_all(logs.iter().map(Log::tend)).await {
                tended.unwrap();
            }
        }
        house.tend().await.unwrap();
        house.verify_log(&mut BTreeMap::new()).await;
        let notes = house.checkpoints().await;
        assert!(notes.windows(2).all(|pair| pair[0].checkpoint().size < pair[1].checkpoint().size));
    }

    async fn altered_tables_are_noticed_before_anything_is_signed(house: House) {
        house.append(3).await;
        house.tend().await.unwrap();
        let hash = if house.is_sqlite() { "zeroblob(96)" } else { r"decode(repeat('00',96),'hex')" };
        house.without_triggers(async || house.execute(&format!(r#"UPDATE "AuditTile" SET "hashes"={hash}"#)).await).await;
        house.append(1).await;
        for error in [house.tend().await.unwrap_err(), house.log().check().await.unwrap_err()] {
            assert!(matches!(error, LogError::OtherRoot { size: 3, .. }), "{error}");
        }
    }

    /// One number in one row says what may be gone: only the number that was signed is believed.
    async fn a_minimum_index_that_was_not_signed_is_noticed_by_all_who_use_it(house: House) {
        use efface::evidence::bundle::gather::{BundleError, Wishes};
        house.long_ago();
        house.append(3).await;
        house.tend().await.unwrap();
        house.advance(TimeDelta::days(200));
        house.append(3).await;
        house.tend().await.unwrap();
        assert_eq!(house.log().prune(house.clock.now() - TimeDelta::days(180)).await.unwrap().minimum_index, 3);
        house.tend().await.unwrap();
        house.log().check().await.unwrap();
        let raised = r#"UPDATE "AuditTree" SET "minimumIndex"=5"#;
        house.without_triggers(async || house.execute(raised).await).await;
        house.append(1).await;
        for error in [
            house.tend().await.unwrap_err(),
            house.log().prune(house.clock.now()).await.unwrap_err(),
            house.log().check().await.unwrap_err(),
            house.log().minimum_note().await.unwrap_err(),
            house.log().tile(TilePath::parse("entries/000.p/3").unwrap()).await.unwrap_err(),
        ] {
            assert!(matches!(error, LogError::OtherMinimum { used: 5, signed: Some(3) }), "{error}");
            assert!(error.is_contradiction());
        }
        let refused = house.app().bundles().of_shop(crate::house::ADA, None, None, &Wishes::default()).await;
        assert!(matches!(refused, Err(BundleError::Log(LogError::OtherMinimum { .. }))), "{refused:?}");
    }

    /// A note counts when one of our keys has signed it for this log, and the tree has what it speaks of.
    async fn a_note_that_is_not_of_this_log_raises_no_minimum_index(house: House) {
        house.append(3).await;
        house.tend().await.unwrap();
        let head = house.log().head().await.unwrap();
        let keyring = Keyring::load(house.keys_file().as_ref()).unwrap();
        let key = |keyring: &Keyring| ed25519_dalek::SigningKey::from_bytes(keyring.signing_seed().1);
        let ours = Checkpoint {
            origin: head.origin,
            size: 3,
            root: house.log().root(3).await.unwrap(),
            extensions: vec!["minimum-index 2".to_owned()],
        };
        let elsewhere = Checkpoint { origin: "efface/audit-log/elsewhere".to_owned(), ..ours.clone() };
        let larger = Checkpoint { size: 4, ..ours.clone() };
        let not_pruned = Checkpoint { extensions: Vec::new(), ..ours.clone() };
        for (note, minimum) in [
            (ours.clone().sign(&key(&Keyring::generate())), 2),
            (elsewhere.sign(&key(&keyring)), 2),
            (larger.sign(&key(&keyring)), 2),
            (not_pruned.sign(&key(&keyring)), 0),
        ] {
            let raised = format!(r#"UPDATE "AuditTree" SET "minimumIndex"={minimum},"policy"='{}'"#, note.note());
            house.without_triggers(async || house.execute(&raised).await).await;
            let error = house.log().check().await.unwrap_err();
            assert!(matches!(error, LogError::OtherMinimum { signed: None, .. }), "{error}");
        }
        let ours = ours.sign(&key(&keyring));
        let raised = format!(r#"UPDATE "AuditTree" SET "minimumIndex"=2,"policy"='{}'"#, ours.note());
        house.without_triggers(async || house.execute(&raised).await).await;
        assert_eq!(house.log().minimum_note().await.unwrap().as_deref(), Some(ours.note()));
    }

    /// A pruning may end in the middle of a span, and what is counted begins there; it may end in the middle of one as well. What
    /// is pruned between two looks is not missed.
    async fn a_log_that_was_pruned_within_a_span_is_whole(house: House) {
        house.long_ago();
        house.append(2).await;
        house.advance(TimeDelta::days(200));
        house.append(3).await;
        house.tend().await.unwrap();
        assert_eq!(house.number(r#"SELECT count(*) AS n FROM "AuditSpan""#).await, 1);
        assert!(house.log().is_whole(0, 4).await.unwrap());
        assert_eq!(house.log().prune(house.clock.now() - TimeDelta::days(180)).await.unwrap().minimum_index, 2);
        assert!(!house.log().is_whole(0, 5).await.unwrap());
        assert!(house.log().is_whole(2, 4).await.unwrap());
        house.tend().await.unwrap();
        house.log().check().await.unwrap();
    }

    /// Waiting cures none of these: `efface_audit_log_refused` is 1.
    async fn a_log_that_cannot_be_signed_asks_for_a_person(house: House) {
        house.append(3).await;
        house.tend().await.unwrap();
        house.append(1).await;
        let kept = std::fs::read(house.checkpoint_file()).unwrap();
        std::fs::remove_file(house.checkpoint_file()).unwrap();
        std::fs::create_dir(house.checkpoint_file()).unwrap();
        let error = house.tend().await.unwrap_err();
        assert!(error.needs_a_person() && !error.is_contradiction(), "{error}");
        std::fs::remove_dir(house.checkpoint_file()).unwrap();
        std::fs::write(house.checkpoint_file(), kept).unwrap();
        assert_eq!(house.tend().await.unwrap(), Some(4));
        house.without_triggers(async || house.execute(r#"DELETE FROM "AuditTree""#).await).await;
        let error = house.tend().await.unwrap_err();
        assert!(error.needs_a_person(), "{error}");
    }

    async fn a_file_of_another_log_or_of_no_log_stops_the_signer(house: House) {
        house.append(3).await;
        house.tend().await.unwrap();
        house.append(1).await;
        let ours = std::fs::read_to_string(house.checkpoint_file()).unwrap();
        let checkpoint = SignedCheckpoint::parse(ours.as_bytes()).unwrap().checkpoint().clone();
        let (stranger, keyring) = (Keyring::generate(), Keyring::load(house.keys_file().as_ref()).unwrap());
        let key = |keyring: &Keyring| ed25519_dalek::SigningKey::from_bytes(keyring.signing_seed().1);
        let mut elsewhere = checkpoint.clone();
        "efface/audit-log/elsewhere".clone_into(&mut elsewhere.origin);
        for (text, refused) in [
            ("no checkpoint at all\n".to_owned(), "cannot be read"),
            (ours.replace("\n3\n", "\n2\n"), "signed by none"),
            (checkpoint.sign(&key(&stranger)).note().to_owned(), "signed by none"),
            (elsewhere.sign(&key(&keyring)).note().to_owned(), "another log"),
        ] {
            std::fs::write(house.checkpoint_file(), text).unwrap();
            let error = house.tend().await.unwrap_err();
            assert!(error.is_contradiction() && error.to_string().contains(refused), "{error}");
        }
        std::fs::write(house.checkpoint_file(), ours).unwrap();
        assert_eq!(house.tend().await.unwrap(), Some(4));
    }

    /// A checkpoint that only the file has was given to nobody by us, but its size is spoken for.
    async fn what_only_the_file_has_is_published_and_not_signed_again(house: House) {
        use efface::evidence::log::Step;
        house.append(3).await;
        house.advance(TimeDelta::seconds(2));
        house.log().stopped_at(|step| step == Step::Filed).tend().await.unwrap_err();
        assert!(house.checkpoints().await.is_empty());
        house.append(2).await;
        assert_eq!(house.tend().await.unwrap(), Some(3));
        assert_eq!(house.tend().await.unwrap(), Some(5));
        house.verify_log(&mut BTreeMap::new()).await;
    }
}
