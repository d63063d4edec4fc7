//! Our own server passes everything that is required and everything that is advised.

use std::collections::BTreeSet;

use super::play;
use crate::outside::http::Client;
use crate::outside::program::{Plan, Program};

async fn passes_everything(database: &str, folder: &std::path::Path) {
    let plan =
        Plan::new(folder, "efface", "all").with("DATABASE__URL", database).with("WEBHOOKS__SECRETS", "hush,hush_old");
    let program = Program::start(&plan).await;
    let url = format!("http://{}/webhooks", program.address());
    for arguments in [&["--old-secret", "hush_old"][..], &["--old-secret", "hush_old", "--path-per-topic"]] {
        let findings = play(&url, arguments).await;
        findings.assert(&[], &[]);
        assert!(findings.with("skipped").is_empty());
        assert_eq!(findings.with("noted"), BTreeSet::from(["replay-other-topic", "unknown-topic"]));
        assert_eq!(findings.check("unknown-topic")["detail"], "came 400");
    }
    // What no answer shows: the replayed body erases nothing. It is held, and nothing else is.
    let held = Client::new(program.address()).get("/api/v1/jobs?status=held").await.json();
    let shops: Vec<_> =
        held["data"].as_array().unwrap().iter().map(|job| job["shopDomain"].as_str().unwrap()).collect();
    assert_eq!(shops.len(), 2, "{held}");
    assert!(shops.iter().all(|shop| shop.ends_with("-replay-other-topic.myshopify.com")), "{shops:?}");
}

mod sqlite {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn our_own_server_passes_everything() {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}?mode=rwc", folder.path().join("efface.db").display());
        super::passes_everything(&database, folder.path()).await;
    }
}

mod postgres {
    use crate::outside::database::OwnDatabase;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn our_own_server_passes_everything() {
        let folder = tempfile::tempdir().unwrap();
        let database = OwnDatabase::create().await;
        super::passes_everything(&database.url, folder.path()).await;
    }
}
