//! Retention over HTTP and on the command line.

use std::process::{Command, Output};

use chrono::TimeDelta;
use efface::http::{ApiState, Finding, Readiness, ServerSettings};
use efface::shutdown::Shutdown;
use efface::store::scheduler_lease;
use serde_json::{Value, json};

use super::{answer, answers};
use crate::house::{ADA, BEA, House};
use crate::http::house::{Answer, House as Server, Request, accepting, owned, tokens};

const RUNS: &str = "/api/v1/retention/runs";

async fn server(house: &House) -> Server {
    let app = house.app();
    let (store, holds) = (house.store().clone(), app.holds().clone());
    let api = ApiState::new(store, house.clock.clone(), app.wake().clone(), crate::house::signer(), holds)
        .with_retention(app.retention(), Shutdown::new());
    let readiness = Readiness::new().with("database", || async { Finding::good("answers") });
    Server::over(accepting(), ServerSettings::default(), readiness, tokens(), api).await
}

async fn ask(server: &Server, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {token}-token");
    let headers = owned(&[("Authorization", &bearer), ("Content-Type", "application/json")]);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    server.ask(&Request { method, path, headers, body: body.as_bytes() }).await
}

async fn look(server: &Server, path: &str) -> Value {
    let answer = ask(server, "viewer", "GET", path, &Value::Null).await;
    assert_eq!(answer.code(), 200, "{path}: {answer:?}");
    answer.json()
}

fn cli(house: &House, args: &[&str], more: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
    command.args(args).env_clear().envs(house.environment()).envs(more.iter().copied());
    command.output().unwrap()
}

/// A command that must end well; what it printed.
fn printed(house: &House, args: &[&str]) -> String {
    let output = cli(house, args, &[]);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(house: &House, args: &[&str]) -> Value {
    serde_json::from_str(&printed(house, &[args, &["--json"]].concat())).unwrap()
}

/// Two shops; each has two answers that are due and one that is not.
async fn with_answers(house: &House) {
    for shop in [ADA, BEA] {
        house.open_shop(shop).await;
        for days in [91, 4_000, 10] {
            answer(house, &format!("{shop} {days}"), shop, days).await;
        }
    }
}

both_databases! {
    async fn a_shops_choice_is_read_and_written_over_http(house: House) {
        house.open_shop(ADA).await;
        let server = server(&house).await;
        let path = format!("/api/v1/shops/{ADA}/retention");
        let choice = |days: i64, allowed: bool| json!({"shopDomain": ADA, "dataRetentionDays": days, "allowed": allowed});
        assert_eq!(look(&server, &path).await, choice(90, true));
        let put = async |token: &str, body: Value| ask(&server, token, "PUT", &path, &body).await;
        put("viewer", json!({"dataRetentionDays": 30})).await.problem(403);
        put("nobody", json!({"dataRetentionDays": 30})).await.problem(401);
        let wrong = [json!({"dataRetentionDays": 45}), json!({"dataRetentionDays": "30"}), json!({"days": 30}), json!([]), Value::Null];
        for wrong in wrong {
            put("operator", wrong).await.problem(400);
        }
        assert_eq!(look(&server, &path).await, choice(90, true));
        let put = put("operator", json!({"dataRetentionDays": 0})).await;
        assert_eq!((put.code(), put.json()), (200, choice(0, true)));
        super::shop_days(&house, ADA, 45).await;
        assert_eq!(look(&server, &path).await, choice(45, false));
        let unknown = "/api/v1/shops/nobody.myshopify.com/retention";
        ask(&server, "viewer", "GET", unknown, &Value::Null).await.problem(404);
        ask(&server, "operator", "PUT", unknown, &json!({"dataRetentionDays": 30})).await.problem(404);
        ask(&server, "viewer", "GET", "/api/v1/shops/%00/retention", &Value::Null).await.problem(400);
        let audited = r#"SELECT count(*) AS "n" FROM "AuditLog" WHERE "resourceType"='Shop' AND "action"='update'
            AND CAST("metadata" AS text) LIKE '%dataRetentionDays%'"#;
        assert_eq!(house.number(audited).await, 1);
    }

    async fn a_run_is_started_and_listed_over_http(house: House) {
        with_answers(&house).await;
        let server = server(&house).await;
        let post = async |token: &str, body: Value| ask(&server, token, "POST", RUNS, &body).await;
        post("viewer", Value::Null).await.problem(403);
        for wrong in [json!({"dryrun": true}), json!([]), json!({"table": "Shop"}), json!({"dryRun": true, "shop": "a\u{0}"})] {
            post("operator", wrong).await.problem(400);
        }
        post("operator", json!({"shop": "nobody"})).await.problem(404);
        assert_eq!(look(&server, RUNS).await, json!({"data": [], "nextCursor": null}));

        let dry = post("operator", json!({"dryRun": true, "table": "SurveyResponse"})).await;
        assert_eq!(dry.code(), 200);
        let dry = dry.json();
        assert_eq!((&dry["finished"], &dry["dryRun"], &dry["findings"]), (&json!(true), &json!(true), &json!([])));
        assert_eq!((&dry["data"][0]["rowsPurged"], answers(&house).await), (&json!(4), 6));
        // More than half of the table: a person must say that it is meant.
        let all = post("operator", json!({"table": "SurveyResponse"})).await.json();
        assert_eq!((&all["data"][0]["status"], &all["data"][0]["rowsPurged"]), (&json!("failed"), &json!(0)));
        let of_ada = post("operator", json!({"table": "SurveyResponse", "shop": ADA})).await.json();
        let run = &of_ada["data"][0];
        assert_eq!((&run["rowsPurged"], &run["trigger"], &run["status"]), (&json!(2), &json!("operator"), &json!("done")));
        assert_eq!(answers(&house).await, 4);
        let rest = post("admin", json!({"approve": true})).await.json();
        assert!(rest["data"].as_array().unwrap().len() > 5);
        assert_eq!(answers(&house).await, 2);

        let listed = look(&server, &format!("{RUNS}?table=SurveyResponse&limit=3")).await;
        let purged: Vec<_> = listed["data"].as_array().unwrap().iter().map(|run| run["rowsPurged"].clone()).collect();
        assert_eq!(purged, [json!(2), json!(2), json!(0)], "the latest first");
        let cursor = listed["nextCursor"].as_str().unwrap();
        let next = look(&server, &format!("{RUNS}?table=SurveyResponse&limit=3&cursor={cursor}")).await;
        assert_eq!((next["data"].as_array().unwrap().len(), &next["nextCursor"]), (1, &Value::Null));
        assert_eq!(next["data"][0]["dryRun"], true);
        let sweep = rest["sweepId"].as_str().unwrap();
        let of_sweep = look(&server, &format!("{RUNS}?sweep={sweep}&limit=200")).await;
        assert_eq!(of_sweep["data"].as_array().unwrap().len(), rest["data"].as_array().unwrap().len());
        ask(&server, "viewer", "GET", &format!("{RUNS}?runs=all"), &Value::Null).await.problem(400);
    }

    async fn a_run_that_may_not_begin_is_told_over_http(house: House) {
        with_answers(&house).await;
        let server = server(&house).await;
        let taken = scheduler_lease::take(house.store(), &house.clock, scheduler_lease::RETENTION, "other", 60_000).await;
        let fence = taken.unwrap().unwrap().fence;
        ask(&server, "operator", "POST", RUNS, &Value::Null).await.problem(409);
        scheduler_lease::give_back(house.store(), &house.clock, scheduler_lease::RETENTION, fence).await.unwrap();
        house.advance(TimeDelta::hours(2));
        let stopped = ask(&server, "operator", "POST", RUNS, &Value::Null).await;
        assert!(stopped.code() >= 400, "{stopped:?}");
        assert!(stopped.json()["type"].as_str().unwrap().starts_with("urn:efface:problem:clock"), "{stopped:?}");
        assert_eq!(answers(&house).await, 6);
    }

    async fn the_command_line_shows_runs_and_lists(house: House) {
        with_answers(&house).await;
        let shown = json_of(&house, &["retention", "show"]);
        let rule = shown["rules"].as_array().unwrap().iter().find(|rule| rule["policy"] == "survey_response").unwrap();
        assert_eq!((&rule["rowsDue"], &rule["shopsByPeriod"]), (&json!(4), &json!({"90 days": 2})));
        assert!(shown["nextRunAt"].is_string() && shown["lastSuccessAt"].is_null());
        let of_ada = json_of(&house, &["retention", "show", "--shop", ADA, "--table", "SurveyResponse"]);
        assert_eq!((of_ada["rules"].as_array().unwrap().len(), &of_ada["rules"][0]["rowsDue"]), (1, &json!(2)));
        let table = printed(&house, &["retention", "show", "--table", "SurveyResponse"]);
        assert!(table.contains("DUE") && table.contains("survey_response"), "{table}");

        let run = ["retention", "run", "--table", "SurveyResponse", "--shop", ADA];
        let refused = cli(&house, &run, &[]);
        assert_ne!(refused.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("--yes"));
        let dry = json_of(&house, &[&run[..], &["--dry-run"]].concat());
        assert_eq!((&dry["dryRun"], &dry["data"][0]["rowsPurged"], answers(&house).await), (&json!(true), &json!(2), 6));
        let table = printed(&house, &[&run[..], &["--dry-run"]].concat());
        assert!(table.contains("(dry run)"), "{table}");
        let done = json_of(&house, &[&run[..], &["--yes"]].concat());
        assert_eq!((&done["data"][0]["rowsPurged"], answers(&house).await), (&json!(2), 4));
        for wrong in [&["--table", "Shop"][..], &["--shop", "nobody"]] {
            let output = cli(&house, &[&["retention", "run", "--dry-run"], wrong].concat(), &[]);
            assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", String::from_utf8_lossy(&output.stderr));
        }

        let listed = json_of(&house, &["retention", "runs", "--table", "SurveyResponse", "--limit", "2"]);
        let purged: Vec<_> = listed["data"].as_array().unwrap().iter().map(|run| run["dryRun"].clone()).collect();
        assert_eq!(purged, [json!(false), json!(true)]);
        let cursor = listed["nextCursor"].as_str().unwrap();
        let next = json_of(&house, &["retention", "runs", "--table", "SurveyResponse", "--cursor", cursor]);
        assert_eq!((next["data"].as_array().unwrap().len(), &next["nextCursor"]), (1, &Value::Null));
        let table = printed(&house, &["retention", "runs"]);
        assert!(table.contains("STRATEGY") && table.contains("SurveyResponse"), "{table}");
        let output = cli(&house, &["retention", "runs", "--cursor", "?"], &[]);
        assert_eq!(output.status.code(), Some(2));
    }

    async fn a_dry_run_that_was_left_on_fails_the_check(house: House) {
        let finding = |more: &[(&str, &str)]| {
            let output = cli(&house, &["check", "--json"], more);
            let told: Value = serde_json::from_slice(&output.stdout).unwrap();
            let text = told.to_string();
            (output.status.code(), text)
        };
        let (_, text) = finding(&[]);
        assert!(!text.contains("retention.dry_run"), "{text}");
        let (code, text) = finding(&[("EFFACE__RETENTION__DRY_RUN", "true")]);
        assert!(text.contains("retention.dry_run is on: nothing is purged"), "{text}");
        assert_ne!(code, Some(0));
    }
}
