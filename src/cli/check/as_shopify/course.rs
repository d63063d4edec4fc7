//! Runs the checks one after another and says how each went.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde::Serialize;

use super::checks::{Check, Script, Severity};
use super::expect::Fit;
use super::letter::{Letter, Play, Scene};
use super::wire::{Came, Exchange, Wire};
use crate::cli::output;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Passed,
    /// A required check did not pass.
    Failed,
    /// Nothing is broken, and it could be better.
    Advised,
    /// Shown, because the answer alone does not tell.
    Noted,
    /// Not sent.
    Skipped,
}

/// What came of one check.
#[derive(Debug)]
pub struct Outcome {
    pub check: &'static Check,
    pub status: Status,
    /// Why it is not simply passed.
    pub detail: Option<String>,
    pub took: Duration,
    pub exchanges: Vec<Told>,
}

/// One exchange, or many alike, as a report tells it. Holds neither secrets nor signatures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    pub sent: String,
    pub expected: &'static str,
    pub came: String,
    /// Until the connection stood, with TLS; null when it never did.
    pub connect_millis: Option<u64>,
    pub millis: u64,
}

/// Runs the checks in order. When nobody takes the first connection, the rest is skipped.
///
/// # Errors
/// Never: what is sent was made here.
pub async fn run(play: &Play, wire: &Wire, checks: &[&'static Check]) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::with_capacity(checks.len());
    let (mut somebody, mut nobody) = (false, false);
    for (at, check) in checks.iter().enumerate() {
        let outcome = if nobody {
            skipped(check, "nobody took the first connection")
        } else {
            let (outcome, connected) = perform(play, wire, check).await?;
            somebody |= connected == Some(true);
            nobody = !somebody && connected == Some(false);
            outcome
        };
        output::talk(&format!(
            "[{:>2}/{}] {:<7} {} ({} ms)",
            at + 1,
            checks.len(),
            outcome.status.as_str(),
            check.id,
            outcome.took.as_millis()
        ));
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// The outcome, and whether a connection stood, as far as one was tried.
async fn perform(play: &Play, wire: &Wire, check: &'static Check) -> anyhow::Result<(Outcome, Option<bool>)> {
    let begun = Instant::now();
    let mut tried = Vec::new();
    let at_once = match (check.script)(&Scene::new(play, check.id))? {
        Script::Skip(why) => return Ok((skipped(check, why), None)),
        Script::OneByOne(letters) => {
            for letter in letters {
                let exchange = wire.send(letter.request()?, letter.casing).await;
                let answered = matches!(exchange.came, Came::Answer(_));
                tried.push((letter, exchange));
                // Who is silent once is not asked again: each wait takes seconds.
                if !answered {
                    break;
                }
            }
            false
        }
        Script::AtOnce(letters) => {
            let requests = letters.iter().map(Letter::request).collect::<anyhow::Result<Vec<_>>>()?;
            let sends = letters.iter().zip(requests).map(|(letter, request)| wire.send(request, letter.casing));
            let exchanges = join_all(sends).await;
            tried.extend(letters.into_iter().zip(exchanges));
            true
        }
    };
    let fit = tried.iter().map(|(letter, exchange)| letter.expect.judge(&exchange.came)).max().unwrap_or(Fit::Good);
    let connected = tried.iter().any(|(_, exchange)| exchange.connected_after.is_some());
    let exchanges = if at_once { together(&tried) } else { tried.iter().map(told).collect() };
    let (status, detail) = conclude(check.severity, fit, &exchanges);
    Ok((Outcome { check, status, detail, took: begun.elapsed(), exchanges }, Some(connected)))
}

fn skipped(check: &'static Check, why: &str) -> Outcome {
    let detail = Some(why.to_owned());
    Outcome { check, status: Status::Skipped, detail, took: Duration::ZERO, exchanges: Vec::new() }
}

fn conclude(severity: Severity, fit: Fit, exchanges: &[Told]) -> (Status, Option<String>) {
    match (severity, fit) {
        (Severity::Informational, _) => {
            let came: Vec<_> = exchanges.iter().map(|told| told.came.as_str()).collect();
            (Status::Noted, Some(format!("came {}", came.join(", "))))
        }
        (_, Fit::Good) => (Status::Passed, None),
        (_, Fit::Tolerable(why)) => (Status::Advised, Some(why.to_owned())),
        (Severity::Advised, Fit::Bad(why)) => (Status::Advised, Some(why)),
        (Severity::Required, Fit::Bad(why)) => (Status::Failed, Some(why)),
    }
}

fn told((letter, exchange): &(Letter, Exchange)) -> Told {
    Told {
        sent: letter.sent(),
        expected: letter.expect.as_str(),
        came: exchange.came.to_string(),
        connect_millis: exchange.connected_after.map(millis),
        millis: millis(exchange.took),
    }
}

/// Many alike as one, with the longest times.
fn together(tried: &[(Letter, Exchange)]) -> Vec<Told> {
    let Some(first) = tried.first() else { return Vec::new() };
    let mut came = BTreeMap::<String, usize>::new();
    for (_, exchange) in tried {
        *came.entry(exchange.came.to_string()).or_default() += 1;
    }
    let came: Vec<_> = came.iter().map(|(came, count)| format!("{count} × {came}")).collect();
    vec![Told {
        sent: format!("{} at once: {}", tried.len(), first.0.sent()),
        came: came.join(", "),
        connect_millis: tried.iter().filter_map(|(_, exchange)| exchange.connected_after).max().map(millis),
        millis: tried.iter().map(|(_, exchange)| exchange.took).max().map_or(0, millis),
        ..told(first)
    }]
}

pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Advised => "advised",
            Self::Noted => "noted",
            Self::Skipped => "skipped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_required_check_can_fail() {
        let bad = || Fit::Bad("expected 2xx, came 500".to_owned());
        assert_eq!(conclude(Severity::Required, bad(), &[]).0, Status::Failed);
        assert_eq!(conclude(Severity::Required, Fit::Tolerable("better so"), &[]).0, Status::Advised);
        assert_eq!(conclude(Severity::Required, Fit::Good, &[]), (Status::Passed, None));
        assert_eq!(conclude(Severity::Advised, bad(), &[]).0, Status::Advised);
        assert_eq!(conclude(Severity::Advised, Fit::Good, &[]).0, Status::Passed);
        assert_eq!(conclude(Severity::Informational, bad(), &[]).0, Status::Noted);
        assert_eq!(conclude(Severity::Informational, Fit::Good, &[]).0, Status::Noted);
    }
}
