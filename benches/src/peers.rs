//! The peers: Node packages installed into a cache folder, and the two reference programs of this package.
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::services;

/// A Node peer's folder under `target/bench-peers`, with its packages installed.
///
/// # Errors
/// No Node of version 20 or later, no npm, or a registry that does not answer.
pub async fn install(name: &str) -> anyhow::Result<PathBuf> {
    let version = Command::new("node").arg("--version").output().await.context("Node is not installed")?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let major: u32 =
        version.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    ensure!(major >= 20, "Node 20 or later is needed; found `{version}`");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name);
    let folder = services::repository().join("target/bench-peers").join(name);
    let manifest = std::fs::read(source.join("package.json"))?;
    // Only a finished install is recognised: the copy of the manifest is written last.
    let stamp = folder.join("installed.json");
    let installed = std::fs::read(&stamp).is_ok_and(|stamp| stamp == manifest);
    std::fs::create_dir_all(&folder)?;
    for entry in std::fs::read_dir(&source)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
    }
    if !installed {
        eprintln!("installing the packages of {name}");
        let status = Command::new("npm")
            .args(["install", "--omit=dev", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"])
            .current_dir(&folder)
            .stdout(std::process::Stdio::null())
            .status()
            .await
            .context("npm is not installed")?;
        ensure!(status.success(), "npm could not install the packages of {name}");
        std::fs::write(&stamp, &manifest)?;
    }
    Ok(folder)
}

/// A reference program, which cargo puts beside this one.
pub async fn reference(name: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let path = this.with_file_name(name);
    // `cargo run --bin efface-bench` builds this program only.
    if !path.exists() {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(["build", "--package", "efface-bench", "--bin", name]).current_dir(services::repository());
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        ensure!(command.status().await?.success(), "{name} could not be built");
    }
    Ok(path)
}
