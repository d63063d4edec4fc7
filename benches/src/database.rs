//! The bench's own connection to PostgreSQL: databases made and dropped, rows counted, the server described.
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

use crate::process;

pub async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("PostgreSQL does not answer")?;
    tokio::spawn(connection);
    Ok(client)
}

/// Makes a database, dropping the one of that name first; a copy of `template` when one is named. Returns its address.
///
/// Only names that begin with `efface_bench` are taken, because the server may be somebody's.
pub async fn create(server: &str, name: &str, template: Option<&str>) -> anyhow::Result<String> {
    drop(server, name).await?;
    let client = connect(server).await?;
    let template = template.map(|template| format!(" template {template} strategy file_copy")).unwrap_or_default();
    client.batch_execute(&format!("create database {name}{template}")).await?;
    Ok(address_of(server, name))
}

pub async fn drop(server: &str, name: &str) -> anyhow::Result<()> {
    ensure!(name.starts_with("efface_bench"), "{name} is not a bench's database");
    connect(server).await?.batch_execute(&format!("drop database if exists {name} with (force)")).await?;
    Ok(())
}

/// The same server, user and options; another database.
fn address_of(server: &str, name: &str) -> String {
    let (address, options) = match server.split_once('?') {
        Some((address, options)) => (address, format!("?{options}")),
        None => (server, String::new()),
    };
    let authority = address.find("://").map_or(0, |at| at + 3);
    let end = address[authority..].find('/').map_or(address.len(), |at| authority + at);
    format!("{}/{name}{options}", &address[..end])
}

/// Version and the settings that decide what a commit costs.
pub async fn describe(client: &Client) -> anyhow::Result<Value> {
    let mut settings = serde_json::Map::new();
    for name in ["server_version", "fsync", "synchronous_commit", "shared_buffers", "max_wal_size"] {
        let row = client.query_one("select current_setting($1)", &[&name]).await?;
        settings.insert(name.to_owned(), json!(row.get::<_, String>(0)));
    }
    Ok(Value::Object(settings))
}

/// The server's parent process when it runs on this machine, where its CPU can be read.
pub async fn postmaster(client: &Client) -> anyhow::Result<Option<u32>> {
    let backend: i32 = client.query_one("select pg_backend_pid()", &[]).await?.get(0);
    let status = std::fs::read_to_string(format!("/proc/{backend}/status")).unwrap_or_default();
    let is_postgres = status.lines().next().is_some_and(|name| name.ends_with("postgres"));
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok());
    Ok(parent.filter(|&parent| is_postgres && process::family_cpu_seconds(parent).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::address_of;

    #[test]
    fn the_address_changes_its_database_only() {
        assert_eq!(address_of("postgres://u:p@h:1/old?a=/b", "new"), "postgres://u:p@h:1/new?a=/b");
        assert_eq!(address_of("postgres://h", "new"), "postgres://h/new");
    }
}
