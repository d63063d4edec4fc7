//! Every command that changes something, or shows or hands out somebody's data, leaves an entry; a new command that nobody
//! thought of fails here.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use clap::CommandFactory as _;
use efface::app::keys;
use efface::audit::Actor;
use efface::seal::Keyring;
use efface::shutdown::Shutdown;
use entity::audit_log::Action;
use serde_json::Value;

use crate::house::{ADA, BEA, House, Webhook};

/// Commands that leave no entry of their own, and why.
const NO_ENTRY: [(&str, &str); 19] = [
    ("demo", "works on a database of its own"),
    ("serve", "its rooms record what they do, and its keys are recorded when it begins"),
    ("check", "looks at settings"),
    ("config print", "shows settings"),
    ("data-map introspect", "looks at the schema"),
    ("data-map check", "looks at the schema"),
    ("data-map show", "shows a file"),
    ("webhook trigger", "is recorded where the webhook comes in"),
    ("holds list", "shows what operators wrote, and counts"),
    ("report", "shows counts"),
    ("retention show", "shows rules and counts"),
    ("retention runs", "shows counts"),
    ("migrate status", "shows the schema's steps"),
    ("redact", "masks what it is given; knows no database"),
    ("keys show", "shows what is public"),
    ("verify", "knows no database"),
    ("healthcheck", "asks whether a server is ready"),
    ("completions", "prints a text of the program"),
    ("migrate up, nothing to do", "changes nothing"),
];

/// The paths of all commands that do something.
fn leaves() -> BTreeSet<String> {
    fn walk(command: &clap::Command, path: &str, found: &mut BTreeSet<String>) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let path = format!("{path} {}", sub.get_name());
            if sub.has_subcommands() {
                walk(sub, &path, found);
            } else {
                found.insert(path.trim().to_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(&efface::cli::Cli::command(), "", &mut found);
    found
}

/// Somebody at a terminal, and the commands that were seen to be recorded.
struct Desk<'a> {
    house: &'a House,
    folder: tempfile::TempDir,
    recorded: BTreeSet<String>,
}

impl Desk<'_> {
    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn run(&self, line: &str, more: &[(&str, String)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
        command.args(line.split_whitespace()).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command.envs(self.house.environment()).envs(more.iter().cloned());
        command.output().unwrap()
    }

    /// Who did what on which thing, of each entry; also while the newest migrations are taken back.
    async fn entries(&self) -> Vec<String> {
        let all = r#"SELECT "actorType"||' '||"actorId"||' '||"action"||' '||"resourceType"||' '||"resourceId" AS t
                     FROM "AuditLog" ORDER BY "id""#;
        self.house.texts(all).await
    }

    /// Runs a command and demands an entry of the command line: act, table, id.
    async fn demand(&mut self, line: &str, expected: (Action, &str, &str)) -> Output {
        self.demand_with(line, &[], expected).await
    }

    async fn demand_with(&mut self, line: &str, more: &[(&str, String)], expected: (Action, &str, &str)) -> Output {
        let before = self.entries().await.len();
        let output = self.run(line, more);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        let seen = self.entries().await.split_off(before);
        let (action, table, id) = expected;
        let entry = format!("operator cli {} {table} ", action.as_str());
        let fits = |seen: &String| seen.strip_prefix(&entry).is_some_and(|of| id == "?" || id == of);
        assert!(seen.iter().any(fits), "{line}: {expected:?} is not in {seen:?}");
        let command = leaves().into_iter().find(|path| line.starts_with(path.as_str())).expect(line);
        self.recorded.insert(command);
        output
    }
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Jobs in all states that a command can change.
async fn jobs(house: &House) -> [String; 5] {
    house.settle_town().await;
    let erased = house.done(&Webhook::customers_redact(ADA, &[1001_u64])).await.id;
    let request = house.done(&Webhook::data_request(ADA, &[1002_u64])).await.id;
    house.leaves_jobs();
    let failed = house.post(&Webhook::customers_redact(BEA, &[1001_u64])).await;
    house.execute(&format!(r#"UPDATE "GDPRJob" SET "status"='failed' WHERE "id"='{failed}'"#)).await;
    let mismatched = || Webhook::new("shop/redact", crate::receipts::mismatched());
    let (held, cancelled) = (house.post(&mismatched()).await, house.post(&mismatched()).await);
    [erased, request, failed, held, cancelled]
}

/// On SQLite keys are made when there are none. For a database that was used they would open nothing.
#[tokio::test(flavor = "multi_thread")]
async fn no_new_keys_are_made_for_a_database_that_was_used() {
    let house = House::sqlite().await;
    house.leaves_jobs();
    house.post(&Webhook::customers_redact(BEA, &[1001_u64])).await;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("efface.db").display().to_string();
    house.execute(&format!("VACUUM INTO '{database}'")).await;
    for line in ["check", "serve", "export --shop bea.myshopify.com --output e.zip", "plan --shop bea.myshopify.com"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
        command.args(line.split(' ')).current_dir(folder.path()).env_clear().stdin(Stdio::null());
        let refused = command.env("SHOPIFY_API_SECRET", "hush").output().unwrap();
        let told = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
        assert!(
            refused.status.code() == Some(2) && told.contains("the keys at efface.keys are gone"),
            "{line}: {told}"
        );
        assert!(!told.contains("will be made"), "{line}: {told}");
        assert!(!folder.path().join("efface.keys").exists(), "{line}");
    }
}

both_databases! {
    /// With the keys of another installation everything that is sealed would fail, and nobody would know why.
    async fn the_keys_of_another_installation_are_refused(house: House) {
        house.leaves_jobs();
        house.post(&Webhook::customers_redact(BEA, &[1001_u64])).await;
        let desk = Desk { house: &house, folder: tempfile::tempdir().unwrap(), recorded: BTreeSet::new() };
        let other = desk.file("other.keys");
        assert_eq!(desk.run(&format!("keys generate --output {other}"), &[]).status.code(), Some(0));
        assert_eq!(desk.run("check", &[]).status.code(), Some(0));
        for command in ["check", "serve"] {
            let refused = desk.run(command, &[("EFFACE__KEYS__FILE", other.clone())]);
            let told = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
            assert!(refused.status.code() == Some(2) && told.contains("not those that this database"), "{command}: {told}");
        }
    }

    async fn every_command_that_changes_or_shows_something_leaves_an_entry(house: House) {
        let [erased, request, failed, held, cancelled] = jobs(&house).await;
        let mut desk = Desk { house: &house, folder: tempfile::tempdir().unwrap(), recorded: BTreeSet::new() };
        let (zip, package, ledger) = (desk.file("e.zip"), desk.file("p.zip"), desk.file("ledger.ndjson"));

        desk.demand("jobs list", (Action::Read, "GDPRJob", "*")).await;
        desk.demand(&format!("jobs show {erased}"), (Action::Read, "GDPRJob", &erased)).await;
        desk.demand(&format!("jobs receipt {erased}"), (Action::Export, "GDPRJob", &erased)).await;
        desk.demand(&format!("jobs retry {failed}"), (Action::Update, "GDPRJob", &failed)).await;
        let refused = desk.run(&format!("jobs release {held}"), &[]);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && told.contains("although the body has"), "{told}");
        // One that was held before rows told what does not fit.
        house.execute(&format!(r#"UPDATE "GDPRJob" SET "errorMessage"=NULL WHERE "id"='{held}'"#)).await;
        assert_eq!(desk.run(&format!("jobs release {held}"), &[]).status.code(), Some(2));
        desk.demand(&format!("jobs release {held} --yes"), (Action::Update, "GDPRJob", &held)).await;
        desk.demand(&format!("jobs cancel {cancelled} --reason mistake --yes"), (Action::Update, "GDPRJob", &cancelled)).await;
        for (flags, action) in [
            (String::new(), Action::Read),
            (" --link".to_owned(), Action::Create),
            (format!(" --output {package}"), Action::Export),
            (" --remove --yes".to_owned(), Action::Delete),
        ] {
            desk.demand(&format!("jobs package {request}{flags}"), (action, "ExportPackage", "?")).await;
        }
        desk.demand(&format!("plan --job {failed}"), (Action::Read, "GDPRJob", &failed)).await;
        desk.demand(&format!("plan --shop {ADA}"), (Action::Read, "Shop", ADA)).await;
        desk.demand(&format!("export {erased} --output {zip}"), (Action::Export, "GDPRJob", &erased)).await;
        desk.demand(&format!("export --shop {ADA} --output {zip}"), (Action::Export, "Shop", ADA)).await;
        let of_no_shop = r#"SELECT count(*) AS n FROM "AuditLog" WHERE "actorId"='cli' AND "action"='export' AND "shopDomain" IS NULL"#;
        assert_eq!(house.number(of_no_shop).await, 0, "an export that nobody finds by its shop");
        desk.demand("audit list --resource jane@example.com --shop jane@example.com", (Action::Read, "AuditLog", "*")).await;
        desk.demand("suppression list --shop jane@example.com", (Action::Read, "Suppression", "*")).await;
        assert!(!format!("{:?}", house.audit_rows().await).contains("jane"), "what somebody typed is in the log");

        let placed = json(&desk.demand(&format!("holds place --shop {BEA} --reason case --json"), (Action::Create, "LegalHold", "?")).await);
        let placed = placed["id"].as_str().unwrap();
        desk.demand(&format!("holds release {placed} --yes"), (Action::Update, "LegalHold", placed)).await;
        desk.demand("retention run --dry-run", (Action::Validate, "RetentionRun", "?")).await;
        desk.demand("retention run --yes", (Action::Delete, "RetentionRun", "?")).await;

        desk.demand("suppression list", (Action::Read, "Suppression", "*")).await;
        desk.demand(&format!("suppression check --shop {ADA} --order 1001"), (Action::Read, "Suppression", "*")).await;
        let exported = desk.demand("suppression export", (Action::Export, "Suppression", "*")).await;
        std::fs::write(&ledger, &exported.stdout).unwrap();
        house.execute(r#"DELETE FROM "Suppression""#).await;
        desk.demand("replay --since 2020-01-01 --dry-run", (Action::Read, "Suppression", "*")).await;
        let replay = format!("replay --since 2020-01-01 --ledger {ledger} --yes --wait-seconds 60");
        // What the ledger brought back, and the proof that it ran.
        let before = house.audit_rows().await.len();
        desk.demand(&replay, (Action::Validate, "Suppression", "?")).await;
        let entries = house.appended_since(before).await;
        assert!(entries.iter().any(|e| (e.action, e.resource_type.as_str()) == (Action::Create, "Suppression")), "{entries:?}");

        desk.demand(&format!("unseal --shop {ADA}"), (Action::Read, "Keyring", "*")).await;
        let fresh = [("EFFACE__KEYS__FILE", desk.file("fresh.keys"))];
        desk.demand_with("keys generate", &fresh, (Action::Create, "Keyring", "?")).await;
        let rotated = [("EFFACE__KEYS__FILE", desk.file("rotated.keys"))];
        desk.demand(&format!("keys rotate --output {}", rotated[0].1), (Action::Update, "Keyring", house.key().id())).await;
        desk.demand_with("keys rewrap", &rotated, (Action::Update, "SealingKey", "?")).await;
        desk.demand("migrate down --steps 1 --yes", (Action::Update, "Schema", "*")).await;
        desk.demand("migrate up", (Action::Update, "Schema", "*")).await;
        let before = house.audit_rows().await.len();
        assert_eq!(desk.run("migrate up", &[]).status.code(), Some(0));
        assert_eq!(house.audit_rows().await.len(), before, "nothing changed");
        // What a process applies itself, because it may.
        desk.demand("migrate down --steps 1 --yes", (Action::Update, "Schema", "*")).await;
        assert_eq!(desk.run(&format!("export {erased} --output {zip}"), &[]).status.code(), Some(0));
        let last = desk.entries().await.split_off(before + 1);
        assert_eq!(last.first().map(String::as_str), Some("system migrations update Schema *"), "{last:?}");

        let mut all = desk.recorded.clone();
        all.extend(NO_ENTRY.iter().map(|(path, _)| (*path).to_owned()).filter(|path| !path.contains(',')));
        assert_eq!(all, leaves(), "a command is neither seen to be recorded nor said to need no entry");
        assert!(NO_ENTRY.iter().all(|(path, _)| !desk.recorded.contains(*path)));
    }

    /// A key act has no transaction: the first process that works with the keys records them, once.
    async fn keys_are_recorded_by_the_first_process_that_serves_with_them(house: House) {
        let named = r#"SELECT count(*) AS n FROM "AuditLog" WHERE "resourceType"='Keyring'"#;
        assert_eq!(house.number(named).await, 0);
        for _ in 0..2 {
            let stop = Shutdown::new();
            stop.cancel();
            let nothing = efface::app::Roles { http: false, worker: false, scheduler: false };
            house.another_until(&[], &stop).await.serve(nothing, None).await;
            assert_eq!(house.number(named).await, 1);
        }
        let keyring = Keyring::load(Path::new(&house.keys_file())).unwrap();
        let known = keys::record(house.store(), &house.clock, (&keyring, house.app().signer()), Actor::System("test")).await;
        assert!(!known.unwrap());
        let entry = house.audit_rows().await.into_iter().find(|row| row.resource_type == "Keyring").unwrap();
        assert_eq!((entry.resource_id.as_str(), entry.action), (house.key().id(), Action::Create));
        // Another keys file is another act.
        let other = crate::house::signer();
        assert!(keys::record(house.store(), &house.clock, (&keyring, &other), Actor::System("test")).await.unwrap());
        assert_eq!(house.number(named).await, 2);
    }

    async fn a_content_key_is_recorded_in_the_transaction_that_makes_it(house: House) {
        house.leaves_jobs();
        house.post(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        let made = r#"SELECT count(*) AS n FROM "SealingKey" AS k JOIN "AuditLog" AS a ON a."resourceId"=k."id"
                      WHERE a."resourceType"='SealingKey' AND a."action"='create'"#;
        let keys = house.number(r#"SELECT count(*) AS n FROM "SealingKey""#).await;
        assert!(keys > 0);
        assert_eq!(house.number(made).await, keys);
    }
}
