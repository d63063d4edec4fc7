//! The README's "Beside your app", with its own sample of a data map: a database that an app has filled, and the built
//! program beside it. SQLite here, so that it runs anywhere.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};
use serde_json::Value;

use crate::docs::text::{self, Document};

const APP: &str = r#"
    CREATE TABLE "Shop" ("id" TEXT PRIMARY KEY, "shopDomain" TEXT NOT NULL UNIQUE, "isActive" BOOLEAN NOT NULL DEFAULT true,
        "installedAt" TEXT, "uninstalledAt" TEXT);
    CREATE TABLE "Purchase" ("id" TEXT PRIMARY KEY, "shop" TEXT NOT NULL, "orderId" TEXT NOT NULL, "note" TEXT,
        "createdAt" TEXT);
    INSERT INTO "Shop" ("id", "shopDomain") VALUES ('1', 'a.myshopify.com'), ('2', 'b.myshopify.com');
    INSERT INTO "Purchase" ("id", "shop", "orderId") VALUES ('1', 'a.myshopify.com', '299938'),
        ('2', 'a.myshopify.com', 'gid://shopify/Order/299938'), ('3', 'a.myshopify.com', '299939'),
        ('4', 'b.myshopify.com', '299938');
"#;

/// The reference map's head, without the column that this app's shops lack, and the table that the README adds as a sample.
fn data_map() -> String {
    let reference = text::read("config/data-map.toml");
    let head = reference.split("[[table]]").next().unwrap().replace("retention_days = \"dataRetentionDays\"\n", "");
    let readme = Document::read("README.md");
    let sample = readme.blocks.iter().find(|block| block.code.contains("[[table]]")).unwrap();
    format!("{head}\n{}", sample.code)
}

fn efface(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
    command.args(args).current_dir(folder).env_clear();
    for (name, value) in [
        ("DATABASE_URL", "sqlite://app.db"),
        ("SHOPIFY_API_SECRET", "hush"),
        ("EFFACE__KEYS__FILE", "efface.keys"),
        ("EFFACE__DATABASE__REFERENCE_SCHEMA", "false"),
        ("EFFACE__DATA_MAP__FILE", "data-map.toml"),
    ] {
        command.env(name, value);
    }
    command
}

/// A command that must end well; what it printed as JSON.
fn json(folder: &Path, args: &[&str]) -> Value {
    let output = efface(folder, args).arg("--json").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A running `serve`, killed when a test fails.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(folder: &Path) -> Self {
        let mut command = efface(folder, &["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let open = log.by_ref().map(Result::unwrap).find(|line| line.contains("webhooks are taken at"));
        let open: Value = serde_json::from_str(&open.unwrap()).unwrap();
        // Read on, or the program would wait for a reader of its log.
        std::thread::spawn(move || log.for_each(drop));
        Self { child, address: format!("http://{}", open["address"].as_str().unwrap()) }
    }

    fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

async fn app_database(folder: &Path) -> DatabaseConnection {
    let db = Database::connect(format!("sqlite://{}?mode=rwc", folder.join("app.db").display())).await.unwrap();
    db.execute_unprepared(APP).await.unwrap();
    db
}

async fn purchases_left(db: &DatabaseConnection) -> Vec<String> {
    let all = Statement::from_string(DbBackend::Sqlite, r#"SELECT "id" FROM "Purchase" ORDER BY "id""#);
    db.query_all_raw(all).await.unwrap().iter().map(|row| row.try_get("", "id").unwrap()).collect()
}

#[tokio::test]
async fn an_app_with_tables_of_its_own_is_served_in_the_three_steps_of_the_readme() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let db = app_database(path).await;
    std::fs::write(path.join("data-map.toml"), data_map()).unwrap();
    json(path, &["keys", "generate", "--output", "efface.keys"]);
    let findings = json(path, &["check"]);
    assert!(findings.as_array().unwrap().iter().all(|finding| finding["ok"] == true), "{findings}");

    let served = Served::start(path);
    let trigger = ["webhook", "trigger", "--topic", "customers/redact", "--address", &served.address];
    let about = ["--shop", "a.myshopify.com", "--order", "299938"];
    let answer = json(path, &[&trigger[..], &about[..]].concat());
    let id = answer["lastAnswer"]["jobId"].as_str().unwrap().to_owned();
    let job = (0..1_000).map(|_| json(path, &["jobs", "show", &id])).find(|job| job["status"] == "completed").unwrap();
    assert_eq!(job["outcome"], "erased");
    assert_eq!(job["result"]["deletedPurchases"], 2);
    assert_eq!(purchases_left(&db).await, ["3", "4"]);
    assert_eq!(json(path, &["report"])["completed"], 1);
    served.stop();
}
