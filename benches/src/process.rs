//! A server process under measurement: started with a log file, watched through `/proc`, stopped by SIGTERM.
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

#[derive(Debug)]
pub struct Process {
    child: Child,
    pub id: u32,
}

impl Process {
    /// Starts the command with both outputs in `log`; it dies with this value.
    pub fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let output = File::create(log)?;
        command.stdin(std::process::Stdio::null()).stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
        let child =
            command.spawn().with_context(|| format!("{} does not start", command.as_std().get_program().display()))?;
        let id = child.id().context("the process has ended already")?;
        Ok(Self { child, id })
    }

    /// User and system time of all its threads so far, in seconds (the kernel counts in hundredths).
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        cpu_seconds(self.id)
    }

    /// Resident memory now, in MiB.
    pub fn resident(&self) -> anyhow::Result<f64> {
        status_mib(self.id, "VmRSS:")
    }

    /// The most resident memory it ever had, in MiB.
    pub fn resident_peak(&self) -> anyhow::Result<f64> {
        status_mib(self.id, "VmHWM:")
    }

    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Asks it to stop, and insists after ten seconds.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if self.child.try_wait()?.is_none() {
            kill_process(pid(self.id)?, Signal::TERM)?;
            if timeout(Duration::from_secs(10), self.child.wait()).await.is_err() {
                self.child.kill().await?;
            }
        }
        Ok(())
    }
}

fn pid(id: u32) -> anyhow::Result<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw).context("not a process id")
}

pub fn cpu_seconds(id: u32) -> anyhow::Result<f64> {
    Ok(ticks(id, 2)? / 100.0)
}

/// CPU of a process, of its living children and of those it has buried, in seconds. PostgreSQL's, seen from its parent process.
pub fn family_cpu_seconds(parent: u32) -> anyhow::Result<f64> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    let living: f64 = children.split_whitespace().filter_map(|child| cpu_seconds(child.parse().ok()?).ok()).sum();
    Ok(ticks(parent, 4)? / 100.0 + living)
}

/// The sum of the first `fields` of utime, stime, cutime, cstime. A tick is 1/100 s in `/proc` on every Linux of today.
fn ticks(id: u32, fields: usize) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).context("the process has ended")?;
    // The name in parentheses may hold anything; utime is the twelfth field after it.
    let Some((_, rest)) = stat.rsplit_once(')') else { bail!("/proc/{id}/stat is not as expected") };
    let values = rest.split_whitespace().skip(11).take(fields).map(str::parse::<f64>);
    Ok(values.sum::<Result<f64, _>>()?)
}

fn status_mib(id: u32, key: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).context("the process has ended")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)).context("no such line in /proc/PID/status")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}
