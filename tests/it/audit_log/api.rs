//! The log over HTTP and on the command line: what is recorded of callers, what is told to them, and what to everybody.

use std::process::Command;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use efface::app::Roles;
use efface::evidence::checkpoint::SignedCheckpoint;
use efface::evidence::merkle::{Hash, Tree, leaf_hash};
use efface::http::{ApiState, Finding, Readiness, ServerSettings};
use efface::shutdown::Shutdown;
use entity::audit_log::{Action, Model};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{ADA, BEA, House, Webhook};
use crate::http::house::{Answer, House as Server, Request, accepting, owned, tokens};

/// The API of a house, over HTTP.
pub async fn server(house: &House) -> Server {
    let app = house.app();
    let (store, clock, wake) = (house.store().clone(), house.clock.clone(), app.wake().clone());
    let api = ApiState::new(store, clock, wake, crate::house::signer(), app.holds().clone())
        .with_planner(app.planner())
        .with_log(house.log());
    let readiness = Readiness::new().with("database", || async { Finding::good("answers") });
    Server::over(accepting(), ServerSettings::default(), readiness, tokens(), api).await
}

async fn ask(server: &Server, token: &str, method: &str, path: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}-token");
    let headers = owned(&[("Authorization", &bearer), ("Content-Type", "application/json")]);
    server.ask(&Request { method, path, headers, body: body.as_bytes() }).await
}

impl House {
    /// Entries that were appended since there were `before`, oldest first.
    pub(super) async fn appended_since(&self, before: usize) -> Vec<Model> {
        let mut rows = self.audit_rows().await;
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        rows.split_off(before)
    }
}

both_databases! {
    async fn reads_exports_changes_and_refusals_are_recorded_by_the_layer_around_the_routes(house: House) {
        house.settle_town().await;
        let job = house.done(&Webhook::customers_redact(ADA, &[1001_u64])).await.id;
        house.leaves_jobs();
        let waiting = house.post(&Webhook::customers_redact(BEA, &[1001_u64])).await;
        let server = server(&house).await;
        let (jobs, receipt) = (format!("/api/v1/jobs/{job}"), format!("/api/v1/jobs/{job}/receipt"));
        let (retry, cancel) = (format!("/api/v1/jobs/{job}/retry"), format!("/api/v1/jobs/{waiting}/cancel"));
        let plan = format!("/api/v1/jobs/{waiting}/plan");
        let (of_shop, choice) = (format!("/api/v1/jobs?shop={ADA}"), format!("/api/v1/shops/{BEA}/retention"));
        let why = r#"{"reason":"by mistake"}"#;
        for (token, method, path, body, code, expected) in [
            ("viewer", "GET", jobs.as_str(), "", 200, Some(("viewer", Action::Read, "GDPRJob", job.as_str()))),
            ("viewer", "GET", "/api/v1/jobs?limit=1", "", 200, Some(("viewer", Action::Read, "GDPRJob", "*"))),
            ("viewer", "GET", &of_shop, "", 200, Some(("viewer", Action::Read, "GDPRJob", "*"))),
            ("viewer", "PUT", &choice, "{}", 403, Some(("viewer", Action::Update, "Shop", BEA))),
            ("viewer", "GET", &receipt, "", 200, Some(("viewer", Action::Export, "GDPRJob", &job))),
            ("viewer", "GET", &plan, "", 200, Some(("viewer", Action::Read, "GDPRJob", &waiting))),
            ("operator", "GET", "/api/v1/audit", "", 200, Some(("operator", Action::Read, "AuditLog", "*"))),
            // Refused, and changes that did not come about.
            ("viewer", "POST", &retry, "", 403, Some(("viewer", Action::Create, "GDPRJob", &job))),
            ("operator", "POST", &retry, "", 409, Some(("operator", Action::Create, "GDPRJob", &job))),
            ("viewer", "GET", "/api/v1/audit", "", 403, Some(("viewer", Action::Read, "AuditLog", "*"))),
            // Its room records this one, in its transaction.
            ("operator", "POST", &cancel, why, 200, Some(("operator", Action::Update, "GDPRJob", &waiting))),
            // Nothing of anybody is shown.
            ("viewer", "GET", "/api/v1/jobs/gdpr_unknown", "", 404, None),
            ("viewer", "GET", "/api/v1/reports/compliance", "", 200, None),
            ("viewer", "GET", "/api/v1/nothing", "", 404, None),
        ] {
            let before = house.audit_rows().await.len();
            let answer = ask(&server, token, method, path, body).await;
            assert_eq!(answer.code(), code, "{method} {path}: {answer:?}");
            let entries = house.appended_since(before).await;
            let seen: Vec<_> = entries
                .iter()
                .map(|e| (e.actor_id.as_str(), e.action, e.resource_type.as_str(), e.resource_id.as_str()))
                .collect();
            assert_eq!(seen, expected.into_iter().collect::<Vec<_>>(), "{method} {path}");
            assert!(entries.iter().all(|e| e.ip_address.as_deref() == Some("127.0.0.0/24")), "{entries:?}");
            for entry in entries {
                // Whoever asks for what concerns a shop gets this too.
                let shop = match entry.resource_id.as_str() {
                    id if id == job => Some(ADA),
                    id if id == waiting || id == BEA => Some(BEA),
                    _ => path.contains("shop=").then_some(ADA),
                };
                assert_eq!(entry.shop_domain.as_deref(), shop, "{method} {path}");
            }
        }
    }

    async fn failed_logins_are_recorded_without_what_was_tried(house: House) {
        let server = server(&house).await;
        for token in ["guess", "viewer-token-and-more", ""] {
            let bearer = format!("Bearer {token}");
            server.get("/api/v1/jobs/somebody@example.com", &[("Authorization", &bearer)]).await.problem(401);
        }
        // Nobody tried to log in.
        server.get("/api/v1/jobs", &[]).await.problem(401);
        let entries = house.appended_since(0).await;
        assert_eq!(entries.len(), 3);
        for entry in entries {
            assert_eq!((entry.actor_type.as_str(), entry.action), ("stranger", Action::Validate));
            assert_eq!(entry.metadata, Some(json!({ "login": "failed", "attempts": 1 })));
            assert_eq!(entry.ip_address.as_deref(), Some("127.0.0.0/24"));
            assert!(!format!("{entry:?}").contains("guess") && !format!("{entry:?}").contains("example.com"));
        }
    }

    async fn failed_logins_that_are_only_counted_are_recorded_before_the_house_is_shut(house: House) {
        let shutdown = Shutdown::new();
        let app = house.another_until(&[("http.listen", "127.0.0.1:0")], &shutdown).await;
        let listener = app.listen().await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(app.serve(Roles { http: true, worker: false, scheduler: false }, Some(listener)));
        for _ in 0..30 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let asked = "GET /api/v1/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer guess\r\nConnection: close\r\n\r\n";
            stream.write_all(asked.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 401"));
        }
        let before = Instant::now();
        shutdown.cancel();
        served.await.unwrap();
        assert!(before.elapsed() < Duration::from_secs(8), "the end of the while was not waited for");
        let attempts: Vec<Value> = house.audit_rows().await.into_iter()
            .filter(|entry| entry.resource_type == "Token")
            .map(|entry| entry.metadata.unwrap()["attempts"].clone())
            .collect();
        assert_eq!(attempts.iter().map(|n| n.as_u64().unwrap()).sum::<u64>(), 30, "{attempts:?}");
        assert_eq!(attempts.len(), 21);
    }

    async fn what_cannot_be_recorded_is_not_handed_out(house: House) {
        let job = house.done(&Webhook::customers_redact(ADA, &[1001_u64])).await.id;
        let server = server(&house).await;
        if house.is_sqlite() {
            let trigger = r#"CREATE TRIGGER "full" BEFORE INSERT ON "AuditLog" BEGIN SELECT RAISE(ABORT, 'no'); END"#;
            house.execute(trigger).await;
        } else {
            house.execute(r#"ALTER TABLE "AuditLog" ADD CONSTRAINT full_up CHECK ("actorId" = 'nobody') NOT VALID"#).await;
        }
        let answer = ask(&server, "viewer", "GET", &format!("/api/v1/jobs/{job}"), "").await;
        answer.problem(503);
        assert!(!answer.text().contains(ADA));
        // What holds nobody's data is.
        assert_eq!(ask(&server, "viewer", "GET", "/api/v1/reports/compliance", "").await.code(), 200);
        server.get("/api/v1/jobs", &[("Authorization", "Bearer guess")]).await.problem(401);
    }

    async fn the_log_is_asked_by_actor_action_resource_shop_and_time_in_pages(house: House) {
        let start = house.clock.now();
        for _ in 0..4 {
            house.append(3).await;
            house.advance(TimeDelta::minutes(10));
        }
        let middle = efface::clock::rfc3339(start + TimeDelta::minutes(15));
        let server = server(&house).await;
        let list = async |query: &str| {
            let answer = ask(&server, "admin", "GET", &format!("/api/v1/audit?{query}"), "").await;
            assert_eq!(answer.code(), 200, "{query}: {answer:?}");
            answer.json()
        };
        let count = async |query: &str| list(query).await["data"].as_array().unwrap().len();
        for (query, expected) in [
            ("actor=test".to_owned(), 12),
            ("actor=nobody".to_owned(), 0),
            ("action=update".to_owned(), 12),
            ("action=delete".to_owned(), 0),
            ("resourceType=GDPRJob&resourceId=thing%201".to_owned(), 4),
            ("resourceType=LegalHold".to_owned(), 0),
            ("shop=ADA.myshopify.com".to_owned(), 12),
            ("shop=bea.myshopify.com".to_owned(), 0),
            (format!("actor=test&from={middle}"), 6),
            (format!("actor=test&to={middle}"), 6),
            (format!("actor=test&resourceId=thing%200&from={middle}"), 2),
        ] {
            assert_eq!(count(&query).await, expected, "{query}");
        }
        // Page by page: every entry once, the newest first, though three share an instant.
        let (mut cursor, mut seen) = (String::new(), Vec::new());
        loop {
            let page = list(&format!("actor=test&limit=5&cursor={cursor}")).await;
            let ids = page["data"].as_array().unwrap().iter();
            seen.extend(ids.map(|e| (e["createdAt"].as_str().unwrap().to_owned(), e["id"].as_str().unwrap().to_owned())));
            match page["nextCursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        assert!(seen.len() == 12 && seen.windows(2).all(|pair| pair[0] > pair[1]), "{seen:?}");
        for bad in ["actor=a&actor=b", "action=erase", "cursor=x", "resource=x", "from=2026-02-01&to=2026-01-01", "from=-4713-01-01"] {
            ask(&server, "admin", "GET", &format!("/api/v1/audit?{bad}"), "").await.problem(400);
        }
        let shown = list("limit=1&actor=test").await["data"][0].clone();
        assert_eq!(shown["metadata"], json!({ "status": "queued", "attempts": 2 }));
        assert!(shown.get("salt").is_none(), "{shown}");
    }

    async fn the_command_line_lists_the_log(house: House) {
        house.append(3).await;
        house.tend().await.unwrap();
        let list = |args: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
            command.args(["audit", "list"]).args(args).env_clear().env("EFFACE__DATABASE__URL", house.url());
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        let json = |args: &[&str]| -> Value { serde_json::from_str(&list(&[args, &["--json"]].concat())).unwrap() };
        let page = json(&["--actor", "test", "--action", "update", "--shop", "Ada.myshopify.com", "--limit", "2"]);
        assert_eq!(page["data"].as_array().unwrap().len(), 2);
        let cursor = page["nextCursor"].as_str().unwrap().to_owned();
        let rest = json(&["--actor", "test", "--limit", "2", "--cursor", &cursor]);
        assert_eq!((rest["data"].as_array().unwrap().len(), &rest["nextCursor"]), (1, &Value::Null));
        assert_eq!(json(&["--resource", "thing 1"])["data"].as_array().unwrap().len(), 1);
        assert_eq!(json(&["--resource", "GDPRJob"])["data"].as_array().unwrap().len(), 3);
        assert_eq!(json(&["--to", "2020-01-01"])["data"], json!([]));
        assert!(list(&["--actor", "test"]).contains("GDPRJob thing 2"));
    }

    /// A stranger who has the checkpoint, the tiles and the entries only, and takes nothing on trust.
    async fn anybody_can_build_the_tree_again_from_tiles_and_entries(house: House) {
        house.long_ago();
        house.append(300).await;
        house.tend().await.unwrap();
        house.append(5).await;
        house.log().sequence().await.unwrap();
        let server = server(&house).await;
        let get = async |path: &str| {
            let answer = server.get(&format!("/api/v1/{path}"), &[]).await;
            (answer.code() == 200).then_some(answer)
        };
        let checkpoint = get("checkpoint").await.unwrap();
        assert_eq!(checkpoint.header("content-type"), Some("text/plain; charset=utf-8"));
        let signed = SignedCheckpoint::parse(&checkpoint.body).unwrap();
        assert_eq!(signed.checkpoint().size, 300, "entries that nobody signed are told");
        let mut leaves: Vec<Hash> = Vec::new();
        let mut of_entries = Vec::new();
        for (tile, bundle) in [("tile/0/000", "tile/entries/000"), ("tile/0/001.p/44", "tile/entries/001.p/44")] {
            let tile = get(tile).await.unwrap();
            assert_eq!(tile.header("content-type"), Some("application/octet-stream"));
            assert!(tile.header("cache-control").unwrap().contains("immutable"));
            leaves.extend(tile.body.as_chunks::<32>().0);
            let mut rest = &get(bundle).await.unwrap().body[..];
            while let Some((length, after)) = rest.split_first_chunk::<2>() {
                let (entry, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
                of_entries.push(leaf_hash(entry));
                rest = after;
            }
        }
        assert_eq!((leaves.len(), &leaves), (300, &of_entries));
        let tree = Tree::new(leaves);
        assert_eq!(tree.root(), signed.checkpoint().root);
        let level_1 = get("tile/1/000.p/1").await.unwrap().body;
        assert_eq!(Some(&level_1[..]), tree.hash(efface::evidence::merkle::Node { level: 8, index: 0 }).as_ref().map(|h| &h[..]));
        assert_eq!(server.get("/tile/0/000", &[]).await.body.len(), 8192);
        for none in ["tile/0/001", "tile/0/001.p/45", "tile/0/001.p/49", "tile/0/002", "tile/1/000", "tile/2/000.p/1",
            "tile/entries/001.p/45", "tile/0/0", "tile/x", "minimum-index"] {
            server.get(&format!("/api/v1/{none}"), &[]).await.problem(404);
        }
        // Pruned: the entries are gone, the hashes are not.
        house.advance(TimeDelta::days(200));
        house.append(1).await;
        house.log().sequence().await.unwrap();
        house.log().prune(house.clock.now()).await.unwrap();
        server.get("/api/v1/tile/entries/000", &[]).await.problem(404);
        assert_eq!(get("tile/0/000").await.unwrap().body.len(), 8192);
        assert!(get("minimum-index").await.unwrap().text().contains("\nminimum-index 300\n"));
    }
}
