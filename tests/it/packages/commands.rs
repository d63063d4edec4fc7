//! `efface jobs package` as the built program runs it.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use serde_json::Value;

use super::stage::{audited, files, package, parts, town_request};
use crate::house::House;

fn efface(house: &House, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
    command.args(args).env_clear().envs(house.environment()).output().unwrap()
}

fn told(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

both_databases! {
    async fn a_package_is_shown_written_linked_and_removed(house: House) {
        let job = town_request(&house).await;
        let shown: Value = serde_json::from_str(&told(&efface(&house, &["jobs", "package", &job, "--json"]))).unwrap();
        assert_eq!((shown["status"].as_str(), shown["rows"].as_u64(), shown["link"].as_str()), (Some("ready"), Some(18), Some("none")));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answer.zip");
        let output = path.to_str().unwrap();
        told(&efface(&house, &["jobs", "package", &job, "--output", output]));
        assert!(files(&std::fs::read(&path).unwrap()).contains_key("manifest.json"));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let again = efface(&house, &["jobs", "package", &job, "--output", output]);
        assert_eq!(again.status.code(), Some(1), "a file that is there is not overwritten");

        let identity = age::x25519::Identity::generate();
        let sealed = folder.path().join("answer.zip.age");
        let recipient = identity.to_public().to_string();
        told(&efface(&house, &["jobs", "package", &job, "--output", sealed.to_str().unwrap(), "--age", &recipient]));
        assert_eq!(age::decrypt(&identity, &std::fs::read(&sealed).unwrap()).unwrap(), std::fs::read(&path).unwrap());

        let url = told(&efface(&house, &["jobs", "package", &job, "--link"]));
        assert!(url.starts_with("http://127.0.0.1:8080/api/v1/exports/pkg_"), "{url}");
        let token = url.trim().split_once("?token=").unwrap().1;
        let id = package(&house, &job).await.id;
        house.app().packages().look(&id, token).await.unwrap();

        assert_eq!(efface(&house, &["jobs", "package", &job, "--remove"]).status.code(), Some(2), "--yes is missing");
        assert!(!parts(&house).await.is_empty());
        assert!(told(&efface(&house, &["jobs", "package", &job, "--remove", "--yes"])).contains("removed"));
        assert!(parts(&house).await.is_empty());
        let gone = folder.path().join("gone.zip");
        assert_eq!(efface(&house, &["jobs", "package", &job, "--output", gone.to_str().unwrap()]).status.code(), Some(1));
        assert!(!gone.exists(), "half a file is left");
        let actors: Vec<_> = audited(&house).await.into_iter().map(|(actor, action, _)| (actor, action)).collect();
        let expected = ["read", "export", "export", "create", "delete"].map(|action| ("operator".to_owned(), action.to_owned()));
        assert_eq!(actors, expected);
    }

    async fn wrong_uses_are_told_apart(house: House) {
        for (args, code) in [
            (&["jobs", "package", "gdpr_0"][..], 1),
            (&["jobs", "package", "gdpr_0", "--age", "age1nonsense", "--link"], 2),
            (&["jobs", "package", "gdpr_0", "--link", "--remove", "--yes"], 2),
            (&["jobs", "package", "gdpr_0", "--link", "--output", "x.zip"], 2),
            (&["jobs", "package", "gdpr_0", "--yes"], 2),
        ] {
            let output = efface(&house, args);
            assert_eq!(output.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
