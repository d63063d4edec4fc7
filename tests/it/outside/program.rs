//! The built program as a process that can be killed, stopped and continued.

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::wait_for;

/// How long a start or an orderly end may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A token of the role viewer that every program started here knows.
pub const TOKEN: &str = "viewer-token";

/// What a process is to be: its name among the logs, its roles, and its configuration on top of the common one.
#[derive(Clone)]
pub struct Plan {
    pub folder: PathBuf,
    pub name: String,
    pub roles: &'static str,
    pub config: Vec<(String, String)>,
}

impl Plan {
    /// A plan in `folder`, where the keys are made that all its processes share.
    pub fn new(folder: &Path, name: &str, roles: &'static str) -> Self {
        let keys = folder.join("keys.json");
        if !keys.exists() {
            efface::seal::Keyring::generate().write_new(&keys).unwrap();
        }
        let tokens = format!(r#"[{{"name":"viewer","role":"viewer","token":"{TOKEN}"}}]"#);
        let config = [
            ("KEYS__FILE", keys.to_str().unwrap()),
            ("WEBHOOKS__SECRETS", super::webhook::SECRET),
            ("AUTH__TOKENS", &tokens),
            ("HTTP__LISTEN", "127.0.0.1:0"),
            ("LOG__FORMAT", "json"),
        ];
        let config = config.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        Self { folder: folder.to_owned(), name: name.to_owned(), roles, config }
    }

    /// Sets a key, written as in the environment without its prefix: `JOBS__LEASE_SECONDS`.
    pub fn with(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.config.retain(|(other, _)| other != key);
        self.config.push((key.to_owned(), value.to_string()));
        self
    }
}

/// A running `efface serve`; killed when dropped.
pub struct Program {
    plan: Plan,
    child: Child,
    /// Where the log of this process begins in the file that all of the same name share.
    begins_at: usize,
}

impl Program {
    /// Starts it, and returns when it is open.
    pub async fn start(plan: &Plan) -> Self {
        let path = plan.folder.join(format!("{}.log", plan.name));
        let log: File = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let begins_at = usize::try_from(log.metadata().unwrap().len()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
        command.args(["serve", "--role", plan.roles]).env_clear().current_dir(&plan.folder);
        command.envs(plan.config.iter().map(|(key, value)| (format!("EFFACE__{key}"), value)));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut program = Self { plan: plan.clone(), child, begins_at };
        let last_word =
            if plan.roles.contains("http") || plan.roles == "all" { "webhooks are taken at" } else { "efface is open" };
        wait_for(&format!("{} opens", plan.name), PATIENCE, async || {
            program.must_live();
            program.log().contains(last_word).then_some(())
        })
        .await;
        program
    }

    /// Fails the test when the process ended without being told to.
    pub fn must_live(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "{} ended by itself, {ended:?}:\n{}", self.plan.name, self.log());
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        let all = std::fs::read(self.plan.folder.join(format!("{}.log", self.plan.name))).unwrap();
        String::from_utf8_lossy(&all[self.begins_at..]).into_owned()
    }

    pub async fn wait_for_log(&self, text: &str) {
        wait_for(&format!("{} logs {text:?}", self.plan.name), PATIENCE, async || {
            self.log().contains(text).then_some(())
        })
        .await;
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where its HTTP door listens.
    pub fn address(&self) -> SocketAddr {
        let log = self.log();
        let rest = log.split_once("taken at http://").expect("it has no HTTP door").1;
        rest.split_once("/webhooks").unwrap().0.parse().unwrap()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGSTOP: it holds whatever it holds, and does nothing.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGTERM, and its orderly end.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let Self { plan, child, .. } = self;
        wait_for(&format!("{} ends", plan.name), PATIENCE, async || child.try_wait().unwrap()).await
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(15).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            println!("The end of the log of {}:\n{}", self.plan.name, tail.join("\n"));
        }
    }
}
