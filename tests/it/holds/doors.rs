//! Holds over HTTP and on the command line.

use std::process::{Command, Output};

use chrono::TimeDelta;
use efface::http::{ApiState, Finding, Readiness, ServerSettings};
use serde_json::{Value, json};

use crate::house::{ADA, BEA, EMAIL, House, PHONE, Webhook};
use crate::http::house::{Answer, House as Server, Request, accepting, owned, tokens};

async fn server(house: &House) -> Server {
    let app = house.app();
    let api = ApiState::new(
        house.store().clone(),
        house.clock.clone(),
        app.wake().clone(),
        crate::house::signer(),
        app.holds().clone(),
    );
    let readiness = Readiness::new().with("database", || async { Finding::good("answers") });
    Server::over(accepting(), ServerSettings::default(), readiness, tokens(), api).await
}

async fn ask(server: &Server, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {token}-token");
    let headers = owned(&[("Authorization", &bearer), ("Content-Type", "application/json")]);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    server.ask(&Request { method, path, headers, body: body.as_bytes() }).await
}

fn cli(house: &House, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
    command.args(args).env_clear().env("EFFACE__KEYS__FILE", house.keys_file());
    command.env("EFFACE__DATABASE__URL", house.url()).output().unwrap()
}

/// A command that must end well; what it printed as JSON.
fn json_of(house: &House, args: &[&str]) -> Value {
    let output = cli(house, &[args, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

both_databases! {
    async fn a_hold_is_placed_listed_and_released_over_http(house: House) {
        house.settle_town().await;
        let server = server(&house).await;
        let wish = json!({
            "scope": "subject", "shopDomain": ADA, "subject": { "email": EMAIL, "phone": PHONE, "orderIds": [1001, "#7"] },
            "reason": "case 4711", "reviewAt": "2099-01-31",
        });
        let placed = ask(&server, "operator", "POST", "/api/v1/holds", &wish).await;
        assert_eq!(placed.code(), 201, "{placed:?}");
        let hold = placed.json();
        let id = hold["id"].as_str().unwrap();
        let path = format!("/api/v1/holds/{id}");
        assert_eq!(placed.header("location"), Some(path.as_str()));
        let expected = json!({
            "id": id, "scope": "subject", "shopDomain": ADA, "tableName": null,
            "identifiers": { "email": 1, "order_id": 2, "phone": 1 }, "reason": "case 4711", "placedBy": "operator",
            "placedAt": hold["placedAt"], "reviewAt": "2099-01-31T00:00:00Z", "reviewOverdue": false,
            "releasedAt": null, "releasedBy": null,
        });
        assert_eq!(hold, expected);
        assert!(!placed.text().contains("jane"));

        let job = house.post(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        house.work().await;
        house.assert_held(&job).await;
        let listed = ask(&server, "viewer", "GET", "/api/v1/holds?status=in_force", &Value::Null).await;
        assert_eq!(listed.json(), json!({ "data": [expected], "nextCursor": null }));

        let released = ask(&server, "operator", "DELETE", &path, &Value::Null).await;
        assert_eq!(released.code(), 200, "{released:?}");
        assert_eq!((&released.json()["jobsQueued"], &released.json()["releasedBy"]), (&json!(1), &json!("operator")));
        house.work().await;
        house.assert_completed(&job).await;
        ask(&server, "operator", "DELETE", &path, &Value::Null).await.problem(409);
        let listed = ask(&server, "viewer", "GET", "/api/v1/holds?status=in_force", &Value::Null).await;
        assert_eq!(listed.json()["data"], json!([]));
    }

    async fn only_operators_change_holds_and_a_bad_wish_is_told_without_quoting_it(house: House) {
        let server = server(&house).await;
        let good = json!({ "shop": ADA, "reason": "r" });
        for (method, path) in [("POST", "/api/v1/holds"), ("DELETE", "/api/v1/holds/1")] {
            let detail = ask(&server, "viewer", method, path, &good).await.problem(403);
            assert_eq!(detail.as_deref(), Some("the token's role may not change legal holds"));
            ask(&server, "nobody", method, path, &good).await.problem(401);
        }
        for (body, detail) in [
            (json!({ "shop": ADA }), "a hold needs a reason"),
            (json!({ "shop": ADA, "reason": "case\u{0}4711" }), "the reason holds a control character"),
            (json!({ "reason": "r" }), "a hold needs a shop, or a table"),
            (json!({ "table": "Nowhere", "reason": "r" }), "the data map has no such table, or no erasure touches it"),
            (json!({ "shop": ADA, "reason": format!("complaint of {EMAIL}") }),
             "the reason holds an e-mail address or a phone number: name the case, not the person"),
        ] {
            let told = ask(&server, "admin", "POST", "/api/v1/holds", &body).await.problem(400);
            assert_eq!(told.as_deref(), Some(detail));
        }
        for body in [json!({ "shop": ADA, "reason": "r", "mail": EMAIL }), json!([EMAIL]), json!({ "subject": EMAIL })] {
            let answer = ask(&server, "admin", "POST", "/api/v1/holds", &body).await;
            assert!(!answer.problem(400).unwrap().contains("jane"));
        }
        for path in ["/api/v1/holds/0", "/api/v1/holds/a%20b"] {
            ask(&server, "admin", "DELETE", path, &Value::Null).await.problem(404);
        }
        for query in ["scope=all", "status=held", "limit=0", "cursor=x", "shops=a"] {
            ask(&server, "viewer", "GET", &format!("/api/v1/holds?{query}"), &Value::Null).await.problem(400);
        }
        assert_eq!(house.number(r#"SELECT count(*) AS n FROM "LegalHold""#).await, 0);
    }

    async fn pages_of_holds_show_each_once_newest_first(house: House) {
        let server = server(&house).await;
        let mut made = Vec::new();
        for n in 0..7 {
            let shop = if n % 2 == 0 { ADA } else { BEA };
            made.push(house.hold(json!({ "shop": shop })).await.id);
        }
        made.reverse();
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = ask(&server, "viewer", "GET", &format!("/api/v1/holds?limit=3&cursor={cursor}"), &Value::Null).await.json();
            seen.extend(page["data"].as_array().unwrap().iter().map(|hold| hold["id"].as_str().unwrap().to_owned()));
            let Some(next) = page["nextCursor"].as_str() else { break };
            next.clone_into(&mut cursor);
        }
        assert_eq!(seen, made);
        let of_bea = ask(&server, "viewer", "GET", &format!("/api/v1/holds?shop={BEA}"), &Value::Null).await.json();
        assert_eq!(of_bea["data"].as_array().unwrap().len(), 3);
    }

    async fn a_review_that_is_overdue_shows(house: House) {
        let server = server(&house).await;
        let at = house.clock.now() + TimeDelta::days(2);
        house.hold(json!({ "shop": ADA, "reviewAt": at.to_rfc3339() })).await;
        let overdue = || async {
            ask(&server, "viewer", "GET", "/api/v1/holds", &Value::Null).await.json()["data"][0]["reviewOverdue"].clone()
        };
        assert_eq!(overdue().await, false);
        house.advance(TimeDelta::days(3));
        assert_eq!(overdue().await, true);
    }

    async fn a_hold_is_placed_listed_and_released_on_the_command_line(house: House) {
        house.settle_town().await;
        let place = ["holds", "place", "--shop", ADA, "--reason", "case 4711", "--review", "2099-01-31"];
        let hold = json_of(&house, &[&place[..], &["--email", EMAIL, "--order", "1001"]].concat());
        assert_eq!(hold["identifiers"], json!({ "email": 1, "order_id": 1 }));
        assert_eq!((&hold["scope"], &hold["placedBy"]), (&json!("subject"), &json!("cli")));
        let job = house.post(&Webhook::customers_redact(ADA, &[5_u64])).await;
        house.work().await;
        house.assert_held(&job).await;

        let table = String::from_utf8(cli(&house, &["holds", "list"]).stdout).unwrap();
        assert!(table.contains("email×1 order_id×1") && table.contains("2099-01-31") && table.contains("case 4711"), "{table}");
        let jobs = String::from_utf8(cli(&house, &["jobs", "list", "--status", "held"]).stdout).unwrap();
        assert!(jobs.contains("legal_hold") && !jobs.contains("overdue"), "{jobs}");
        house.execute(r#"UPDATE "GDPRJob" SET "dueAt"="createdAt""#).await;
        let jobs = String::from_utf8(cli(&house, &["jobs", "list", "--status", "held"]).stdout).unwrap();
        assert!(jobs.contains(" overdue"), "{jobs}");

        let id = hold["id"].as_str().unwrap();
        assert_eq!(cli(&house, &["holds", "release", id]).status.code(), Some(2), "it asks for --yes");
        let released = json_of(&house, &["holds", "release", id, "--yes"]);
        assert_eq!(released["jobsQueued"], 1);
        house.work().await;
        house.assert_completed(&job).await;
        assert_eq!(cli(&house, &["holds", "release", id, "--yes"]).status.code(), Some(1));
        assert_eq!(json_of(&house, &["holds", "list"])["data"], json!([]));
        assert_eq!(json_of(&house, &["holds", "list", "--all"])["data"][0]["releasedBy"], "cli");
    }

    async fn a_wrong_wish_on_the_command_line_is_wrong_usage(house: House) {
        for args in [
            &["--reason", "r"][..],
            &["--shop", ADA],
            &["--shop", ADA, "--reason", "ask jane@example.com"],
            &["--shop", ADA, "--table", "Shop", "--email", EMAIL, "--reason", "r"],
            &["--table", "Shop", "--email", EMAIL, "--reason", "r"],
            &["--table", "Nowhere", "--reason", "r"],
            &["--shop", ADA, "--reason", "r", "--review", "2020-01-01"],
        ] {
            let output = cli(&house, &[&["holds", "place"], args].concat());
            assert_eq!(output.status.code(), Some(2), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(house.number(r#"SELECT count(*) AS n FROM "LegalHold""#).await, 0);
    }
}
