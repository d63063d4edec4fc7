//! `efface check --as-shopify` against endpoints of every kind: ours passes, and each bad one fails what it is bad at.

mod bad;
mod endpoint;
mod npm;
mod ours;
mod usage;

use std::collections::BTreeSet;
use std::process::Output;

use serde_json::Value;

use crate::outside::webhook::SECRET;

/// What a run of the kit said.
struct Findings {
    report: Value,
    code: Option<i32>,
}

impl Findings {
    /// The ids of the checks that ended so.
    fn with(&self, status: &str) -> BTreeSet<&str> {
        let ended = self.checks().iter().filter(|check| check["status"] == status);
        ended.map(|check| check["id"].as_str().unwrap()).collect()
    }

    fn check(&self, id: &str) -> &Value {
        self.checks().iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("{id} was not run"))
    }

    fn checks(&self) -> &[Value] {
        self.report["checks"].as_array().unwrap()
    }

    /// Fails unless exactly these checks failed, exactly these gave advice, and the exit code says the same.
    fn assert(&self, failed: &[&str], advised: &[&str]) {
        assert_eq!(self.with("failed"), failed.iter().copied().collect(), "{:#}", self.report);
        assert_eq!(self.with("advised"), advised.iter().copied().collect(), "{:#}", self.report);
        assert_eq!(self.report["conforms"], failed.is_empty());
        assert_eq!(self.code, Some(i32::from(!failed.is_empty())));
    }
}

async fn efface(arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_efface"));
    command.args(arguments).env_clear().kill_on_drop(true).output().await.unwrap()
}

/// Plays Shopify against an address, with further arguments, and reads the JSON.
async fn play(address: &str, arguments: &[&str]) -> Findings {
    let given = ["check", "--json", "--as-shopify", address, "--secret", SECRET];
    let output = efface(&[&given, arguments].concat()).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!told.contains(SECRET) && !String::from_utf8_lossy(&output.stdout).contains(SECRET), "a secret is shown");
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{told}"));
    Findings { report, code: output.status.code() }
}
