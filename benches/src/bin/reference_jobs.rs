//! Erasure jobs as hand-written SQL: ten jobs per transaction, statements prepared once and sent in pipelines, one probe
//! per order for the verification. No leases, keys, retries or signatures. It says what PostgreSQL allows here.
//!
//! `DATABASE_URL`, `CONNECTIONS` and `BATCH` come from the environment. When no job is left it waits to be stopped, so that its CPU
//! can still be read.
use anyhow::{Context, ensure};
use futures_util::future::{try_join, try_join_all};
use sha2::{Digest, Sha256};
use tokio::signal::unix::{SignalKind, signal};
use tokio_postgres::{NoTls, Row, Statement, Transaction};

const TABLES: [&str; 4] = ["ConversionLog", "ConversionJob", "PixelEventReceipt", "SurveyResponse"];

const CLAIM: &str = r#"
update peer."Job" j
set "status" = 'processing', "attempts" = "attempts" + 1, "fence" = "fence" + 1, "processedAt" = clock_timestamp()
from (select "id" from peer."Job" where "status" = 'queued' order by "id" limit $1 for update skip locked) due
where j."id" = due."id"
returning j."id", j."shopId", j."orders", j."fence""#;

const COMPLETE: &str = r#"
with audit as (insert into peer."Audit" ("jobId", "action", "metadata") values ($1, 'delete', $2::text::jsonb)),
     receipt as (insert into peer."Receipt" ("jobId", "digest") values ($1, $3))
update peer."Job" set "status" = 'completed', "result" = $2::text::jsonb, "completedAt" = clock_timestamp()
where "id" = $1 and "fence" = $4"#;

struct Statements {
    claim: Statement,
    erase: Statement,
    verify: Statement,
    complete: Statement,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let database = std::env::var("DATABASE_URL").context("DATABASE_URL is not set")?;
    let number = |name: &str, default: i64| std::env::var(name).map_or(Ok(default), |text| text.parse::<i64>());
    let (connections, batch) = (number("CONNECTIONS", 4)?, number("BATCH", 10)?);
    try_join_all((0..connections).map(|_| {
        let database = database.clone();
        async move { tokio::spawn(work(database, batch)).await? }
    }))
    .await?;
    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}

async fn work(database: String, batch: i64) -> anyhow::Result<()> {
    let (mut client, connection) = tokio_postgres::connect(&database, NoTls).await?;
    tokio::spawn(connection);
    let erase = TABLES
        .map(|table| {
            format!(
                r#""{table}_" as (delete from "{table}" t using unnest($2::text[]) o(id)
                   where t."shopId" = $1 and t."orderId" = o.id returning 1)"#
            )
        })
        .join(", ");
    let counts = TABLES.map(|table| format!(r#"(select count(*) from "{table}_")"#)).join(", ");
    let probes = TABLES
        .map(|table| {
            format!(
                r#"(select count(*) from unnest($2::text[]) o(id) cross join lateral
                   (select 1 from "{table}" t where t."shopId" = $1 and t."orderId" = o.id limit 1) x)"#
            )
        })
        .join(" + ");
    let statements = Statements {
        claim: client.prepare(CLAIM).await?,
        erase: client.prepare(&format!("with {erase} select {counts}")).await?,
        verify: client.prepare(&format!("select {probes}")).await?,
        complete: client.prepare(COMPLETE).await?,
    };
    loop {
        let transaction = client.transaction().await?;
        let jobs = transaction.query(&statements.claim, &[&batch]).await?;
        if jobs.is_empty() {
            return Ok(());
        }
        let erased = erase_and_verify(&transaction, &statements, &jobs).await?;
        complete(&transaction, &statements, &jobs, &erased).await?;
        transaction.commit().await?;
    }
}

/// Deletes and looks again, in one pipeline: the server runs the statements one after the other, so that the second
/// group sees what the first has done.
async fn erase_and_verify(
    transaction: &Transaction<'_>,
    statements: &Statements,
    jobs: &[Row],
) -> anyhow::Result<Vec<Row>> {
    let subjects: Vec<(&str, Vec<&str>)> = jobs.iter().map(|job| (job.get(1), job.get(2))).collect();
    let deletes = try_join_all(
        subjects.iter().map(async |(shop, orders)| transaction.query_one(&statements.erase, &[shop, orders]).await),
    );
    let probes = try_join_all(
        subjects.iter().map(async |(shop, orders)| transaction.query_one(&statements.verify, &[shop, orders]).await),
    );
    let (erased, found) = try_join(deletes, probes).await?;
    for row in &found {
        let residual: i64 = row.get(0);
        ensure!(residual == 0, "{residual} rows survived");
    }
    Ok(erased)
}

async fn complete(
    transaction: &Transaction<'_>,
    statements: &Statements,
    jobs: &[Row],
    erased: &[Row],
) -> anyhow::Result<()> {
    let completed = try_join_all(jobs.iter().zip(erased).map(async |(job, erased)| {
        let (id, fence): (i64, i64) = (job.get(0), job.get(3));
        let count = |column: usize| erased.get::<_, i64>(column);
        let result = format!(
            r#"{{"deletedConversionLogs":{},"deletedConversionJobs":{},"deletedPixelReceipts":{},"deletedSurveyResponses":{},"residual":0}}"#,
            count(0), count(1), count(2), count(3)
        );
        let digest: Vec<u8> = Sha256::digest(format!("{id}{result}")).to_vec();
        transaction.execute(&statements.complete, &[&id, &result, &digest, &fence]).await
    }))
    .await?;
    ensure!(completed.iter().all(|rows| *rows == 1), "a job was completed twice or not at all");
    Ok(())
}
