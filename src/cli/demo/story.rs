//! The demo's story: what is sent, what comes of it, and what must be true at each step.

use std::time::Instant;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::super::webhook::About;
use super::census::{Census, TABLES};
use super::checks::Checks;
use super::evidence;
use super::house::House;
use super::post::{Letter, Post};
use super::shops::{self, CUSTOMER_EMAIL, CUSTOMER_ROWS, ONE, Sample, THREE, TWO};
use super::stage::Stage;
use super::summary::{Rows, Sent, Summary};
use crate::config::Secret;
use crate::job::query;
use crate::webhook::Topic;

/// What a result's keys say after `deleted` or `exported`, in the order of [`TABLES`].
const COUNTED: [&str; 6] =
    ["ConversionLogs", "ConversionJobs", "PixelReceipts", "SurveyResponses", "ReconciliationReports", "Shops"];
/// Tables of the reference map that a customer can be found in: the first of [`TABLES`].
const CUSTOMER_TABLES: usize = 4;

/// Plays everything and checks every step.
///
/// # Errors
/// When the story cannot go on: something did not answer, or an answer that the rest needs is missing.
pub async fn tell(house: &House, stage: &Stage) -> anyhow::Result<Summary> {
    let begun = Instant::now();
    let mut story = Story { house, stage, post: Post::new(house), checks: Checks::default() };
    let before = story.the_house_is_open().await?;
    let webhooks = story.webhooks().await?;
    let jobs = story.jobs(&webhooks).await?;
    let after = story.rows(&before).await?;
    story.verification(&jobs, &before, &after)?;
    let evidence = evidence::exported(&story.post, house, stage, &mut story.checks, job_of(&webhooks[1])?).await?;
    let checks = story.checks;
    stage.verdict(&checks)?;
    let held = checks.failed().count() == 0;
    Ok(Summary {
        held,
        address: format!("http://{}", house.address),
        webhooks,
        jobs,
        rows: Rows::of(&before, &after),
        evidence,
        checks,
        seconds: (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
    })
}

struct Story<'a> {
    house: &'a House,
    stage: &'a Stage,
    post: Post<'a>,
    checks: Checks,
}

impl Story<'_> {
    async fn the_house_is_open(&mut self) -> anyhow::Result<Census> {
        self.stage.line("Efface demo: a throw-away database with sample shops, the real server, and")?;
        self.stage.line("webhooks signed as the platform signs them.")?;
        self.stage.scene(1, "The house is open")?;
        let (ready, _) = self.post.get("/ready").await?;
        self.checks.expect("the server is ready", 200, ready);
        let before = Census::take(self.house.store.db()).await?;
        for shop in shops::ALL {
            let step = format!("{} has its sample rows", shop.name);
            self.checks.expect(step, json!(shop.rows), json!(before.counts(shop)));
        }
        for trace in [CUSTOMER_EMAIL, TWO.email] {
            let step = format!("{trace} is in the database's files at first");
            self.checks.expect(step, true, self.house.files_hold(trace)?);
        }
        self.stage.fact("server", &format!("http://{}", self.house.address))?;
        self.stage.fact("database", &format!("{} (goes at the end)", self.house.database.display()))?;
        let rows = format!("{} shops, {} rows in {} tables", shops::ALL.len(), before.total(), TABLES.len());
        self.stage.fact("sample data", &rows)?;
        Ok(before)
    }

    async fn webhooks(&mut self) -> anyhow::Result<Vec<Sent>> {
        self.stage.scene(2, "Webhooks, over HTTP")?;
        let request = letter(Topic::CustomersDataRequest, &ONE)?;
        let redact = letter(Topic::CustomersRedact, &ONE)?;
        let shop = letter(Topic::ShopRedact, &TWO)?;
        let forged = letter(Topic::ShopRedact, &THREE)?;

        let requested = self.send(&request, "new", &self.house.secret).await?;
        // The customer is erased after the answer was collected, as in life.
        self.post.job_at_rest(job_of(&requested)?).await?;
        let redacted = self.send(&redact, "new", &self.house.secret).await?;
        let again = self.send(&redact, "duplicate", &self.house.secret).await?;
        let shop = self.send(&shop, "new", &self.house.secret).await?;
        let forged = self.send(&forged, "forged", &Secret::new("not the app's secret")).await?;

        let same = again.reply.job_id == redacted.reply.job_id;
        self.checks.expect("the duplicate is answered with the first job", true, same);
        Ok(vec![requested, redacted, again, shop, forged])
    }

    async fn send(&mut self, letter: &Letter<'_>, meant: &'static str, secret: &Secret) -> anyhow::Result<Sent> {
        let about = letter.about();
        let reply = self.post.send(letter, secret).await?;
        let (topic, shop) = (about.topic.as_str(), about.shop);
        let (status, duplicate) = match meant {
            "forged" => (401, Value::Null),
            meant => (200, Value::from(meant == "duplicate")),
        };
        self.checks.expect(format!("the {meant} {topic} is answered {status}"), status, reply.status);
        self.checks.expect(format!("the {meant} {topic} says whether it is a duplicate"), duplicate, reply.duplicate);
        let becomes = match (&reply.job_id, reply.duplicate) {
            (Some(_), Some(true)) => "duplicate: the same job",
            (Some(_), _) => "a new job",
            (None, _) => "refused: no job",
        };
        let shop_name = shop.split('.').next().unwrap_or(shop);
        let what = if meant == "new" { topic.to_owned() } else { format!("{topic}, {meant}") };
        self.stage.line(&format!("   {what:<30}{shop_name:<13}{}  {becomes}", reply.status))?;
        Ok(Sent { topic, shop: about.shop.to_owned(), meant, reply })
    }

    async fn jobs(&mut self, webhooks: &[Sent]) -> anyhow::Result<Vec<Value>> {
        self.stage.scene(3, "Jobs")?;
        let mut jobs = Vec::new();
        for sent in webhooks.iter().filter(|sent| sent.meant == "new") {
            let job = self.post.job_at_rest(job_of(sent)?).await?;
            let (outcome, prefix, rows) = expected(sent.topic);
            let step = |what: &str| format!("the job of {} {what}", sent.topic);
            self.checks.expect(step("is completed"), "completed", job["status"].clone());
            self.checks.expect(step("has its outcome"), outcome, job["outcome"].clone());
            self.checks.expect(step("counts every row"), json!(rows), json!(counted(&job["result"], prefix)));
            if outcome == "erased" {
                self.checks.expect(step("left nothing"), 0, job["result"]["residual"].clone());
            }
            let row = query::find(&self.house.store, job_of(sent)?).await?;
            let wiped = row.is_some_and(|row| row.sealed_payload.is_none());
            self.checks.expect(step("destroyed the sealed body"), true, wiped);
            let total: u64 = counted(&job["result"], prefix).iter().sum();
            let said = match outcome {
                "exported" => format!("{total} rows collected, sealed"),
                _ => format!("{total} rows deleted"),
            };
            let text = |field: &str| job[field].as_str().unwrap_or("-").to_owned();
            let (status, outcome) = (text("status"), text("outcome"));
            self.stage.fact(sent.topic, &format!("{status:<12}{outcome:<12}{said}"))?;
            jobs.push(job);
        }
        let (_, listed) = self.post.get("/api/v1/jobs").await?;
        let listed = listed["data"].as_array().map_or(0, Vec::len);
        self.checks.expect("duplicate and forgery made no job", jobs.len(), listed);
        Ok(jobs)
    }

    async fn rows(&mut self, before: &Census) -> anyhow::Result<Census> {
        self.stage.scene(4, "Rows, before and after")?;
        let after = Census::take(self.house.store.db()).await?;
        self.stage.rows(before, &after)?;
        let left: Vec<usize> = ONE.rows.iter().zip(CUSTOMER_ROWS).map(|(all, of_customer)| all - of_customer).collect();
        for (shop, left) in [(&ONE, json!(left)), (&TWO, json!([0, 0, 0, 0, 0, 0])), (&THREE, json!(THREE.rows))] {
            let step = format!("{} has exactly the rows it should have", shop.name);
            self.checks.expect(step, left, json!(after.counts(shop)));
        }
        Ok(after)
    }

    fn verification(&mut self, jobs: &[Value], before: &Census, after: &Census) -> anyhow::Result<()> {
        self.stage.scene(5, "Verification: everything was looked up again after the deletes")?;
        for job in jobs.iter().filter(|job| job["outcome"] == "erased") {
            let result = &job["result"];
            let tables = counted(result, "deleted").len();
            let at = job["verifiedAt"].as_str().context("a job was completed without being verified")?;
            let said = format!("residual {} in {tables} tables, at {at}", result["residual"]);
            self.stage.fact(job["payload"].get("customer_id").map_or("shop/redact", |_| "customers/redact"), &said)?;
        }
        let spared = [
            ("others in demo-one", &ONE, after.is_without_the_customer(before, &ONE)),
            ("all of demo-three", &THREE, after.is_unchanged(before, &THREE)),
        ];
        for (who, shop, same) in spared {
            let rows: usize = after.counts(shop).iter().sum();
            let said = if same { "unchanged in every column" } else { "CHANGED" };
            self.stage.fact(who, &format!("{rows} rows, {said}"))?;
            self.checks.expect(format!("{who}: every row is as it was"), true, same);
        }
        for trace in [CUSTOMER_EMAIL, TWO.email] {
            let found = self.house.files_hold(trace)?;
            let said = if found { "STILL in the database's files" } else { "gone from the database's files" };
            self.stage.fact(trace, said)?;
            self.checks.expect(format!("{trace} is in no file of the database"), false, found);
        }
        Ok(())
    }
}

/// A webhook about a sample shop, and about its customer where the topic has one.
fn letter(topic: Topic, shop: &'static Sample) -> anyhow::Result<Letter<'static>> {
    let of_customer = topic != Topic::ShopRedact;
    Letter::new(About {
        topic,
        shop: shop.domain,
        shop_id: shop.number,
        customer_id: of_customer.then_some(shops::CUSTOMER),
        email: of_customer.then_some(CUSTOMER_EMAIL),
        phone: None,
        orders: if of_customer { shops::customer_orders() } else { &[] },
    })
}

fn job_of(sent: &Sent) -> anyhow::Result<&str> {
    sent.reply.job_id.as_deref().with_context(|| {
        format!("the {} {} was answered {} and made no job", sent.meant, sent.topic, sent.reply.status)
    })
}

/// What a topic's job must come to: its outcome, what its counters begin with, and the counters.
fn expected(topic: &str) -> (&'static str, &'static str, &'static [usize]) {
    let of_customer = &CUSTOMER_ROWS[..CUSTOMER_TABLES];
    match topic {
        "customers/data_request" => ("exported", "exported", of_customer),
        "customers/redact" => ("erased", "deleted", of_customer),
        _ => ("erased", "deleted", &TWO.rows),
    }
}

/// The counters of a result that begin with `prefix`.
fn counted(result: &Value, prefix: &str) -> Vec<u64> {
    COUNTED.iter().filter_map(|what| result[format!("{prefix}{what}")].as_u64()).collect()
}
