//! PostgreSQL and RabbitMQ instances of a test's own, which it may kill.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services");

/// Servers on ports of their own; they end with this value, or with the test's process, however that ends.
pub struct Services {
    folder: TempDir,
    warden: Child,
}

impl Services {
    /// Starts `postgres`, `rabbitmq`, or both when nothing is named.
    pub fn start(only: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("efface-services.").tempdir().unwrap();
        // Blocks until its input closes, which the end of this process does as well, then takes everything down.
        let warden = Command::new("sh")
            .args(["-c", r#"cat >/dev/null; "$0" stop "$1" >/dev/null 2>&1; rm -rf "$1""#, SCRIPT])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let services = Self { folder, warden };
        services.run("start", only);
        services
    }

    /// Runs one of the script's commands on this folder, and returns what it prints.
    pub fn run(&self, command: &str, arguments: &[&str]) -> String {
        let output = Command::new(SCRIPT).arg(command).arg(self.folder()).args(arguments).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "scripts/services {command}: {complaint}\nRun ./scripts/test, which provides the servers"
        );
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// SIGSTOP, where the service is a process of this machine: it keeps its connections and answers nothing.
    pub fn freeze(&self, service: &str) {
        let Ok(text) = std::fs::read_to_string(self.folder().join(format!("{service}.pid"))) else { return };
        let id = text.split_whitespace().next().and_then(|id| id.parse().ok()).and_then(Pid::from_raw);
        kill_process(id.expect("a process id"), Signal::STOP).unwrap();
    }

    pub fn database_url(&self) -> String {
        self.url("DATABASE_URL")
    }

    pub fn amqp_url(&self) -> String {
        self.url("AMQP_URL")
    }

    fn url(&self, name: &str) -> String {
        let env = std::fs::read_to_string(self.folder().join("env")).unwrap();
        let line = env.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")));
        line.unwrap_or_else(|| panic!("{name} is not among the services")).trim_matches('\'').to_owned()
    }

    /// Makes the broker remember the queues that it has only just declared.
    ///
    /// RabbitMQ 3.10 writes the name of a new quorum queue to disk half a second later. Killed before that, it starts
    /// the queue again as an empty one, whatever it had confirmed: no client can help it, and a queue lives through
    /// that half second once.
    pub fn settle_new_queues(&self) {
        self.run("rabbitmqctl", &["eval", "ok = dets:sync(ra_directory_reverse)."]);
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        drop(self.warden.stdin.take());
        let _ = self.warden.wait();
    }
}
