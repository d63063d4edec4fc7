//! What is shown in the end: a table for people, JSON for scripts. docs/conformance.md describes the JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::checks::{Basis, Check, Severity};
use super::course::{Outcome, Status, Told, millis};
use super::letter::Play;
use crate::cli::{Context, output};

/// Everything that a run found out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    endpoint: String,
    path_per_topic: bool,
    /// In the names of all shops of this run: `efface-conformance-RUN-CHECK.myshopify.com`.
    run: String,
    /// Whether no required check failed.
    pub conforms: bool,
    counts: Counts,
    checks: Vec<Line>,
}

#[derive(Debug, Default, Serialize)]
struct Counts {
    passed: usize,
    failed: usize,
    advised: usize,
    noted: usize,
    skipped: usize,
}

#[derive(Debug, Serialize)]
struct Line {
    #[serde(flatten)]
    row: Row,
    status: Status,
    detail: Option<String>,
    millis: u64,
    exchanges: Vec<Told>,
}

/// What a check is about, before it is run.
#[derive(Clone, Copy, Debug, Serialize)]
struct Row {
    id: &'static str,
    severity: Severity,
    basis: Basis,
    rule: &'static str,
    source: &'static str,
}

impl From<&'static Check> for Row {
    fn from(check: &'static Check) -> Self {
        let Check { id, severity, basis, rule, source, .. } = *check;
        Self { id, severity, basis, rule, source }
    }
}

impl Report {
    pub fn new(play: &Play, outcomes: Vec<Outcome>) -> Self {
        let mut counts = Counts::default();
        for outcome in &outcomes {
            *match outcome.status {
                Status::Passed => &mut counts.passed,
                Status::Failed => &mut counts.failed,
                Status::Advised => &mut counts.advised,
                Status::Noted => &mut counts.noted,
                Status::Skipped => &mut counts.skipped,
            } += 1;
        }
        let line = |outcome: Outcome| Line {
            row: outcome.check.into(),
            status: outcome.status,
            detail: outcome.detail,
            millis: millis(outcome.took),
            exchanges: outcome.exchanges,
        };
        Self {
            endpoint: play.address.shown(),
            path_per_topic: play.address.is_per_topic(),
            run: play.id.clone(),
            conforms: counts.failed == 0,
            counts,
            checks: outcomes.into_iter().map(line).collect(),
        }
    }

    /// # Errors
    /// When stdout is gone.
    pub fn print(&self, context: &Context) -> anyhow::Result<()> {
        if context.json() {
            output::json(self)?;
            return Ok(());
        }
        output::table(
            ["RESULT", "CHECK", "SEVERITY", "MS", "SOURCE"],
            self.checks.iter().map(|line| {
                let Row { id, severity, source, .. } = line.row;
                [line.status.as_str(), id, severity.as_str(), &line.millis.to_string(), source].map(str::to_owned)
            }),
        )?;
        for line in self.checks.iter().filter(|line| line.status != Status::Passed) {
            output::raw(&line.in_full())?;
        }
        output::raw(&self.summary())?;
        Ok(())
    }

    fn summary(&self) -> String {
        let Counts { passed, failed, advised, noted, skipped } = self.counts;
        let verdict = if self.conforms { "conforms" } else { "does not conform" };
        let counts = format!("{passed} passed, {failed} failed, {advised} advised, {noted} noted, {skipped} skipped");
        format!("\n{counts}: {} {verdict}\n", self.endpoint)
    }
}

impl Line {
    /// All there is to say of a check that is not simply passed.
    fn in_full(&self) -> String {
        let Row { id, rule, source, basis, .. } = self.row;
        let detail = self.detail.as_deref().unwrap_or_default();
        let mut text = format!("\n{} {id}: {detail}\n", self.status.as_str());
        let _ = write!(text, "    rule      {rule}\n    source    {source} ({})\n", basis.as_str());
        for Told { sent, expected, came, millis, .. } in &self.exchanges {
            let _ =
                write!(text, "    sent      {sent}\n    expected  {expected}\n    came      {came} ({millis} ms)\n");
        }
        text
    }
}

/// Prints the checks without running them.
///
/// # Errors
/// When stdout is gone.
pub fn list(context: &Context, checks: &[&'static Check]) -> anyhow::Result<()> {
    let rules = checks.iter().map(|check| Row::from(*check));
    if context.json() {
        output::json(&rules.collect::<Vec<_>>())?;
        return Ok(());
    }
    output::table(
        ["CHECK", "SEVERITY", "BASIS", "RULE", "SOURCE"],
        rules.map(|Row { id, severity, basis, rule, source }| {
            [id, severity.as_str(), basis.as_str(), rule, source].map(str::to_owned)
        }),
    )?;
    Ok(())
}
