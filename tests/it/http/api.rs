//! Who may ask what of the API, and how wrong questions are answered.

use efface::http::{Readiness, ServerSettings, Tokens};

use super::house::{House, Request, accepting, owned};

const ADMIN: (&str, &str) = ("Authorization", "Bearer admin-token");
const OPERATOR: (&str, &str) = ("Authorization", "bearer operator-token");
const VIEWER: (&str, &str) = ("Authorization", "Bearer viewer-token");

const PATHS: [&str; 7] = [
    "/api",
    "/api/",
    "/api/v1/jobs",
    "/api/v1/jobs/gdpr_1",
    "/api/v1/jobs/gdpr_1/receipt",
    "/api/v1/reports/compliance",
    "/api/v1/nothing",
];

#[tokio::test]
async fn without_a_known_token_every_path_of_the_api_is_401() {
    let house = House::open().await;
    let (accept, settings) = (accepting(), ServerSettings::default());
    let tokenless = House::with_tokens(accept, settings, Readiness::new(), Tokens::new([])).await;
    for path in PATHS {
        for headers in [&[][..], &[("Authorization", "Bearer guess")], &[("Authorization", "Basic admin-token")]] {
            let answer = house.get(path, headers).await;
            assert_eq!(answer.problem(401), None, "{path}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
        tokenless.get(path, &[ADMIN]).await.problem(401);
    }
    let put = Request { method: "PUT", path: "/api/v1/jobs", headers: Vec::new(), body: b"" };
    house.ask(&put).await.problem(401);
}

#[tokio::test]
async fn a_viewer_changes_nothing() {
    let house = House::open().await;
    for command in ["retry", "cancel", "release"] {
        let path = format!("/api/v1/jobs/gdpr_1/{command}");
        let request = |token| Request { method: "POST", path: &path, headers: owned(&[token]), body: b"" };
        let detail = house.ask(&request(VIEWER)).await.problem(403);
        assert_eq!(detail.as_deref(), Some("the token's role may not change jobs"));
        for token in [OPERATOR, ADMIN] {
            assert!(![401, 403, 405].contains(&house.ask(&request(token)).await.code()));
        }
    }
}

#[tokio::test]
async fn a_wrong_parameter_is_400_and_named() {
    let house = House::open().await;
    for (path, name) in [
        ("/api/v1/jobs?shops=a", "`shops`"),
        ("/api/v1/jobs?limit=201", "`limit`"),
        ("/api/v1/jobs?cursor=abc", "`cursor`"),
        ("/api/v1/jobs?status=gone", "`status`"),
        ("/api/v1/jobs/gdpr_1?verbose=1", "`verbose`"),
        ("/api/v1/reports/compliance?from=soon", "`from`"),
        ("/api/v1/reports/compliance?from=2026-02-01&to=2026-01-01", "`to`"),
    ] {
        let detail = house.get(path, &[VIEWER]).await.problem(400).unwrap();
        assert!(detail.starts_with(name), "{path}: {detail}");
    }
}

#[tokio::test]
async fn what_cannot_be_an_id_names_no_job() {
    let house = House::open().await;
    for path in ["/api/v1/jobs/a%20b", "/api/v1/jobs/a'b", "/api/v1/jobs/%ff"] {
        house.get(path, &[VIEWER]).await.problem(404);
    }
}

#[tokio::test]
async fn a_report_in_a_form_that_is_not_offered_is_406() {
    let house = House::open().await;
    let answer = house.get("/api/v1/reports/compliance", &[VIEWER, ("Accept", "image/png")]).await;
    assert_eq!(answer.problem(406).as_deref(), Some("offered: application/json, text/csv"));
}

#[tokio::test]
async fn a_commands_body_is_read_strictly_and_within_the_limit() {
    let house = House::open().await;
    let headers = owned(&[OPERATOR, ("Content-Type", "application/json")]);
    let request = |body| Request { method: "POST", path: "/api/v1/jobs/gdpr_1/cancel", headers: headers.clone(), body };
    for body in [&b"{"[..], br#"{"reasons":"x"}"#, br#"{"reason":1}"#] {
        house.ask(&request(body)).await.problem(400);
    }
    house.ask(&request(&vec![b' '; 1024 * 1024 + 1])).await.problem(413);
}

#[tokio::test]
async fn known_paths_and_methods_are_told_apart_for_callers_with_a_token() {
    let house = House::open().await;
    house.get("/api/v1/nothing", &[VIEWER]).await.problem(404);
    let put = Request { method: "PUT", path: "/api/v1/jobs", headers: owned(&[ADMIN]), body: b"" };
    let answer = house.ask(&put).await;
    answer.problem(405);
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
}
