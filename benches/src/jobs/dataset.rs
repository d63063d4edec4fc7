//! The rows that jobs erase. Built once into a template; every turn works on a fresh copy of it.
use anyhow::ensure;
use tokio_postgres::Client;

use super::Arguments;
use super::turn::Turn;
use crate::database;
use crate::efface::Efface;
use crate::webhook::{Arrangement, FIRST_ORDER, ORDERS_PER_JOB};

pub const TEMPLATE: &str = "efface_bench_template";
const TABLES: [&str; 4] = ["ConversionLog", "ConversionJob", "PixelEventReceipt", "SurveyResponse"];

#[derive(Debug)]
pub struct Dataset {
    pub arrangement: Arrangement,
    pub jobs: u64,
    rows: u64,
    finished: u64,
}

impl Dataset {
    pub fn new(arguments: &Arguments) -> anyhow::Result<Self> {
        let (rows, shops, jobs) = (arguments.rows, arguments.shops, arguments.jobs);
        ensure!(shops > 0 && jobs > 0, "at least one shop and one job are needed");
        ensure!(rows % (shops * ORDERS_PER_JOB) == 0, "the rows must be a multiple of ten times the shops");
        ensure!(jobs.div_ceil(shops) * ORDERS_PER_JOB <= rows / shops, "{jobs} jobs need more rows than {rows}");
        let arrangement = Arrangement { shops, orders_per_shop: rows / shops, spread: arguments.spread };
        Ok(Self { arrangement, jobs, rows, finished: arguments.finished })
    }

    /// For a bench that brings its own sizes.
    pub fn of(arrangement: Arrangement, jobs: u64) -> Self {
        Self { arrangement, jobs, rows: arrangement.shops * arrangement.orders_per_shop, finished: 0 }
    }

    pub async fn build(&self, server: &str, efface: Option<&Efface>) -> anyhow::Result<()> {
        let database_url = database::create(server, TEMPLATE, None).await?;
        self.fill(&database_url, efface).await
    }

    /// Makes the tables and their rows in an empty database.
    pub async fn fill(&self, database_url: &str, efface: Option<&Efface>) -> anyhow::Result<()> {
        eprintln!("filling four tables with {} rows each", self.rows);
        let client = database::connect(database_url).await?;
        match efface {
            Some(efface) => efface.migrate(database_url).await?,
            None => client.batch_execute(include_str!("../../sql/reference.sql")).await?,
        }
        client.batch_execute(include_str!("../../sql/peer.sql")).await?;
        let arrangement = if self.arrangement.spread { "md5(o::text)" } else { "o" };
        let fill = include_str!("../../sql/fill.sql")
            .replace("{rows}", &self.rows.to_string())
            .replace("{shops}", &self.arrangement.shops.to_string())
            .replace("{per_shop}", &self.arrangement.orders_per_shop.to_string())
            .replace("{first}", &FIRST_ORDER.to_string())
            .replace("{arrangement}", arrangement);
        client.batch_execute(&fill).await?;
        if efface.is_some() && self.finished > 0 {
            self.fill_finished(&client).await?;
        }
        client.batch_execute("vacuum (analyze)").await?;
        Ok(client.batch_execute("checkpoint").await?)
    }

    /// Fills `"GDPRJob"` with finished rows: the contract's columns as a real job has them, and something of the right type in
    /// every other column that must not be null.
    async fn fill_finished(&self, client: &Client) -> anyhow::Result<()> {
        eprintln!("filling \"GDPRJob\" with {} finished rows", self.finished);
        let columns = client
            .query(
                "select column_name::text, udt_name::text, is_nullable = 'YES' or column_default is not null or is_identity = 'YES'
                 from information_schema.columns where table_schema = current_schema() and table_name = 'GDPRJob'",
                &[],
            )
            .await?;
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for row in &columns {
            let (name, kind, optional): (&str, &str, bool) = (row.get(0), row.get(1), row.get(2));
            if let Some(value) = finished_value(name).or_else(|| if optional { None } else { required_value(kind) }) {
                // A text column holds JSON and times as text; every other one takes an untyped constant of its own type.
                names.push(format!("\"{name}\""));
                values.push(format!("({value})::{kind}"));
            }
        }
        let statement = format!(
            r#"insert into "GDPRJob" ({}) select {} from generate_series(1, {}) g"#,
            names.join(", "),
            values.join(", "),
            self.finished
        );
        Ok(client.batch_execute(&statement).await?)
    }

    /// Every job's rows are gone, and no others: a fast contestant that erases less is none.
    pub async fn check_rows(&self, database_url: &str, turn: &Turn) -> anyhow::Result<()> {
        let client = database::connect(database_url).await?;
        let expected = self.rows - self.jobs * ORDERS_PER_JOB;
        for table in TABLES {
            let rows: i64 = client.query_one(&format!(r#"select count(*) from "{table}""#), &[]).await?.get(0);
            let left = u64::try_from(rows)?;
            ensure!(left == expected, "{:?} left {left} rows in {table}; {expected} were due", turn.contestant);
        }
        Ok(())
    }
}

/// What a finished job of row number `g` holds in the columns of the contract.
fn finished_value(column: &str) -> Option<&'static str> {
    Some(match column {
        "id" => "'gdpr_bench_' || g",
        "shopDomain" => "'shop-' || g % 1000 || '.myshopify.com'",
        "jobType" => "'customer_redact'",
        "status" => "'completed'",
        "topic" => "'customers/redact'",
        "provider" => "'shopify'",
        "source" => "'http'",
        "outcome" => "'erased'",
        "payload" => r#"'{"customer_id":' || g || ',"orders_to_redact":[1,2,3]}'"#,
        "result" => {
            r#"'{"deletedConversionLogs":3,"deletedConversionJobs":3,"deletedPixelReceipts":3,"deletedSurveyResponses":3,"residual":0}'"#
        }
        "attempts" => "1",
        "webhookId" => "'bench-webhook-' || g",
        "eventId" => "'bench-event-' || g",
        "createdAt" | "scheduledAt" | "processedAt" | "completedAt" | "updatedAt" => {
            "now() - make_interval(secs => g % 2000000 + 3600)"
        }
        "dueAt" => "now() + interval '20 days'",
        _ => return None,
    })
}

fn required_value(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "text" | "varchar" | "bpchar" => "'bench-' || g",
        "int2" => "0",
        "int4" | "int8" | "numeric" | "float4" | "float8" => "g",
        "bool" => "false",
        "timestamp" | "timestamptz" | "date" => "now()",
        "json" | "jsonb" => "'{}'",
        "bytea" => "decode(md5(g::text), 'hex')",
        "uuid" => "md5(g::text)",
        _ => return None,
    })
}
