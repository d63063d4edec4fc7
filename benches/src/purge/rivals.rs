//! How others purge. Each tells its longest transaction.
use std::time::{Duration, Instant};

use crate::database;

/// One statement.
pub async fn delete(url: &str) -> anyhow::Result<Duration> {
    let client = database::connect(url).await?;
    let begun = Instant::now();
    client.execute("delete from visit v using shop s where s.id = v.shop and v.created_at < s.cutoff", &[]).await?;
    Ok(begun.elapsed())
}

/// Per shop, the next so many rows by their addresses, until there are none.
pub async fn by_address(url: &str, rows: i64) -> anyhow::Result<Duration> {
    let sql = "delete from visit where ctid = any(array(select ctid from visit where shop = $1 and created_at < \
               (select cutoff from shop where id = $1) limit $2))";
    batches(url, sql, rows).await
}

/// Per shop, the next so many rows in the order of the index, until there are none.
pub async fn by_key(url: &str, rows: i64) -> anyhow::Result<Duration> {
    let sql = "delete from visit where id = any(array(select id from visit where shop = $1 and created_at < \
               (select cutoff from shop where id = $1) order by created_at limit $2))";
    batches(url, sql, rows).await
}

async fn batches(url: &str, sql: &str, rows: i64) -> anyhow::Result<Duration> {
    let client = database::connect(url).await?;
    let statement = client.prepare(sql).await?;
    let mut longest = Duration::ZERO;
    for shop in client.query("select id from shop order by id", &[]).await? {
        let shop: String = shop.get(0);
        loop {
            let begun = Instant::now();
            let deleted = client.execute(&statement, &[&shop, &rows]).await?;
            longest = longest.max(begun.elapsed());
            // Until there are none: a loop that trusts a short batch to be the last saves one look per shop.
            if deleted == 0 {
                break;
            }
        }
    }
    Ok(longest)
}
