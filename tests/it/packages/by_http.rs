//! The link over the wire.

use bytes::Bytes;
use chrono::TimeDelta;
use efface::app::Roles;
use efface::shutdown::Shutdown;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::stage::{files, package, town_request, written};
use crate::house::{House, Setting};

const SETTINGS: &[Setting] = &[
    ("http.listen", "127.0.0.1:0"),
    ("export.public_url", "https://efface.example.com/gdpr"),
    (
        "auth.tokens",
        r#"[{"name":"ops","role":"operator","token":"operator-token"},{"name":"look","role":"viewer","token":"viewer-token"}]"#,
    ),
];

/// The HTTP door of a house, open until dropped.
struct Door {
    base: String,
    shutdown: Shutdown,
}

struct Answer {
    status: StatusCode,
    headers: hyper::HeaderMap,
    /// None when the answer broke off.
    body: Option<Bytes>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(self.body.as_ref().unwrap()).unwrap()
    }
}

impl Door {
    async fn of(house: &House) -> Self {
        let shutdown = Shutdown::new();
        let app = house.another_until(SETTINGS, &shutdown).await;
        let listener = app.listen().await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(app.serve(Roles { http: true, worker: false, scheduler: false }, Some(listener)));
        Self { base, shutdown }
    }

    async fn ask(&self, method: Method, path: &str, token: Option<&str>, body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.ok().map(http_body_util::Collected::to_bytes);
        Answer { status: head.status, headers: head.headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None, "").await
    }

    /// A link as the API gives it, without the address in front.
    async fn link(&self, job: &str, body: &str) -> String {
        let answer =
            self.ask(Method::POST, &format!("/api/v1/jobs/{job}/package-link"), Some("operator-token"), body).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        let link = answer.json();
        assert!(link["expiresAt"].as_str().unwrap().ends_with('Z'));
        assert_eq!(link.as_object().unwrap().len(), 2);
        link["url"].as_str().unwrap().strip_prefix("https://efface.example.com/gdpr").unwrap().to_owned()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

both_databases! {
    async fn a_merchant_downloads_once_without_a_token_of_the_api(house: House) {
        let job = town_request(&house).await;
        let door = Door::of(&house).await;
        let path = door.link(&job, "").await;
        let looked = door.ask(Method::HEAD, &path, None, "").await;
        assert_eq!(looked.status, StatusCode::OK, "those who only look use nothing up");

        let answer = door.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), "application/zip");
        let name = format!("attachment; filename=\"data-request-{}.zip\"", package(&house, &job).await.id);
        assert_eq!(answer.header("content-disposition"), name);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let zip = answer.body.unwrap();
        assert!(files(&zip).contains_key("index.html"));
        assert_eq!(zip, written(house.app(), &job, None).await);

        let again = door.get(&path).await;
        assert_eq!(again.status, StatusCode::GONE);
        assert_eq!(again.header("referrer-policy"), "no-referrer");
        assert_eq!(again.json()["detail"], "it was used; ask for a new one");
        assert_eq!(door.ask(Method::HEAD, &path, None, "").await.status, StatusCode::GONE);
    }

    async fn a_link_that_is_altered_is_404_and_one_that_is_over_is_410(house: House) {
        let job = town_request(&house).await;
        let door = Door::of(&house).await;
        let path = door.link(&job, "{}").await;
        let (without, token) = path.split_once("?token=").unwrap();
        let other = "/api/v1/exports/pkg_00000000000000000000000000000000";
        for wrong in [
            without.to_owned(),
            format!("{without}?token="),
            format!("{without}?token={}", &token[1..]),
            format!("{other}?token={token}"),
            format!("/api/v1/exports/a%20b?token={token}"),
        ] {
            let answer = door.get(&wrong).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{wrong}");
            assert_eq!(answer.json()["type"], "urn:efface:problem:not-found");
        }
        assert_eq!(door.get(&format!("{path}&x=1")).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(door.ask(Method::POST, &path, None, "").await.status, StatusCode::METHOD_NOT_ALLOWED);
        house.advance(TimeDelta::hours(73));
        assert_eq!(door.get(&path).await.status, StatusCode::GONE);
        assert_eq!(package(&house, &job).await.link_tries, 0);
    }

    async fn links_are_made_by_operators_only_and_for_packages_only(house: House) {
        let job = town_request(&house).await;
        let door = Door::of(&house).await;
        let path = format!("/api/v1/jobs/{job}/package-link");
        assert_eq!(door.ask(Method::POST, &path, None, "").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(door.ask(Method::POST, &path, Some("viewer-token"), "").await.status, StatusCode::FORBIDDEN);
        let ops = Some("operator-token");
        for bad in [r#"{"ageRecipient":"age1"}"#, r#"{"recipient":"x"}"#, "[]"] {
            assert_eq!(door.ask(Method::POST, &path, ops, bad).await.status, StatusCode::BAD_REQUEST, "{bad}");
        }
        let erased = house.done(&crate::house::Webhook::customers_redact(crate::house::ADA, &["1002"])).await.id;
        for nothing in ["gdpr_0", erased.as_str()] {
            let answer = door.ask(Method::POST, &format!("/api/v1/jobs/{nothing}/package-link"), ops, "").await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND);
        }
        house.app().packages().remove(super::stage::operator(), &job).await.unwrap();
        assert_eq!(door.ask(Method::POST, &path, ops, "").await.status, StatusCode::GONE);
    }

    async fn an_encrypted_package_comes_as_an_age_file(house: House) {
        let job = town_request(&house).await;
        let door = Door::of(&house).await;
        let identity = age::x25519::Identity::generate();
        let path = door.link(&job, &format!(r#"{{"ageRecipient":"{}"}}"#, identity.to_public())).await;
        let answer = door.get(&path).await;
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert!(answer.header("content-disposition").ends_with(".zip.age\""));
        let zip = age::decrypt(&identity, &answer.body.unwrap()).unwrap();
        assert_eq!(zip, written(house.app(), &job, None).await);
    }

    async fn an_answer_that_cannot_be_finished_is_cut_and_never_ended(house: House) {
        let job = town_request(&house).await;
        let door = Door::of(&house).await;
        let path = door.link(&job, "").await;
        house.execute(r#"DELETE FROM "ExportPart" WHERE "sequence" = 2"#).await;
        let answer = door.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "the head was sent before");
        assert!(answer.body.is_none(), "a client must see that the answer is not whole");
        assert_eq!(package(&house, &job).await.link_used_at, None);
    }
}
