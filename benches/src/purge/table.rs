//! The table: visits of many shops in the order of time, half of them expired, whatever the shop's period.
use anyhow::ensure;
use chrono::{DateTime, Utc};
use tokio_postgres::Client;

use crate::database;

pub const TEMPLATE: &str = "efface_bench_purge_template";
/// Days that a shop keeps its rows.
const PERIODS: [u32; 5] = [30, 60, 90, 180, 365];

#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub rows: u64,
    pub shops: u64,
}

impl Table {
    pub async fn build(&self, server: &str) -> anyhow::Result<()> {
        ensure!(
            self.shops > 0 && self.rows.is_multiple_of(2 * self.shops),
            "rows must be a multiple of twice the shops"
        );
        eprintln!("building a table of {} rows", self.rows);
        let client = database::connect(&database::create(server, TEMPLATE, None).await?).await?;
        let (rows, shops) = (self.rows, self.shops);
        let periods = PERIODS.map(|days| days.to_string()).join(",");
        // Of a shop's rows the first half lies in the period before its cutoff, the other in the period after it; at a
        // share of the period, so that rows of all shops lie mixed, as they came.
        client
            .batch_execute(&format!(
                "create table shop (id text primary key, days int not null, cutoff timestamptz not null);
                 insert into shop select 'shop-' || s, d.days, timestamptz '2026-11-21Z' - make_interval(days => d.days)
                   from generate_series(0, {shops} - 1) s, lateral (select (array[{periods}])[1 + s % 5] as days) d;
                 create table visit (id bigint not null, shop text not null, created_at timestamptz not null,
                   order_id text not null, status text not null, payload jsonb not null, attempts int not null default 0)
                   with (autovacuum_enabled = off);
                 insert into visit select n, s.id,
                   s.cutoff + (2.0 * (n / {shops}) / ({rows} / {shops}) - 1) * make_interval(days => s.days), 'order-' || n,
                   'sent', jsonb_build_object('hash', md5(n::text))
                   from generate_series(0, {rows} - 1) n join shop s on s.id = 'shop-' || (n % {shops}) order by n;
                 alter table visit add primary key (id);
                 create index visit_shop_time on visit (shop, created_at);"
            ))
            .await?;
        // VACUUM runs outside a transaction, which several statements at once are.
        client.batch_execute("vacuum analyze").await?;
        ensure!(self.count(&client).await? == rows, "the table was not built");
        ensure!(self.due(&client).await? == self.expired(), "not half of the rows have expired");
        Ok(())
    }

    pub fn expired(&self) -> u64 {
        self.rows / 2
    }

    pub async fn count(&self, client: &Client) -> anyhow::Result<u64> {
        Ok(client.query_one("select count(*) from visit", &[]).await?.get::<_, i64>(0).try_into()?)
    }

    pub async fn due(&self, client: &Client) -> anyhow::Result<u64> {
        let sql = "select count(*) from visit v join shop s on s.id = v.shop where v.created_at < s.cutoff";
        Ok(client.query_one(sql, &[]).await?.get::<_, i64>(0).try_into()?)
    }

    pub async fn cutoffs(&self, client: &Client) -> anyhow::Result<Vec<(String, DateTime<Utc>)>> {
        let rows = client.query("select id, extract(epoch from cutoff)::bigint from shop order by id", &[]).await?;
        let cutoffs = rows.iter().filter_map(|row| Some((row.get(0), DateTime::from_timestamp(row.get(1), 0)?)));
        Ok(cutoffs.collect())
    }
}
