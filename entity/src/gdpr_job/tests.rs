use std::fmt::Write as _;
use std::path::Path;

use super::*;

/// Prints `docs/job-life.md` from the tables above.
fn job_life() -> String {
    let mut page = String::from(
        "# The life of a job\n\n\
         Printed from `entity/src/gdpr_job.rs` by a test of the `entity` crate; edit it there, then run\n\
         `EFFACE_REGENERATE=1 cargo test -p entity`.\n\n\
         ```mermaid\nstateDiagram-v2\n",
    );
    for beginning in BEGINNINGS {
        writeln!(page, "    [*] --> {}: intake", beginning.status).unwrap();
    }
    for step in TRANSITIONS {
        writeln!(page, "    {} --> {}: {}", step.from, step.to, step.by).unwrap();
    }
    for status in JobStatus::ALL.iter().filter(|status| status.is_final()) {
        writeln!(page, "    {status} --> [*]").unwrap();
    }
    page.push_str("```\n\n| Status | Meaning |\n|---|---|\n");
    for status in JobStatus::ALL {
        writeln!(page, "| `{status}` | {} |", status.meaning()).unwrap();
    }
    page.push_str("\n| From | To | By | Because |\n|---|---|---|---|\n");
    for beginning in BEGINNINGS {
        writeln!(page, "| | `{}` | intake | {} |", beginning.status, beginning.because).unwrap();
    }
    for step in TRANSITIONS {
        writeln!(page, "| `{}` | `{}` | {} | {} |", step.from, step.to, step.by, step.because).unwrap();
    }
    page
}

#[test]
fn the_documented_life_of_a_job_is_the_declared_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/job-life.md");
    let printed = job_life();
    if std::env::var_os("EFFACE_REGENERATE").is_some() {
        std::fs::write(&path, &printed).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written, printed, "docs/job-life.md is stale: run `EFFACE_REGENERATE=1 cargo test -p entity`");
}

#[test]
fn only_completed_and_cancelled_are_final() {
    let last: Vec<_> = JobStatus::ALL.iter().copied().filter(|status| status.is_final()).collect();
    assert_eq!(last, [JobStatus::Completed, JobStatus::Cancelled]);
}

#[test]
fn every_status_can_be_reached_from_intake() {
    let mut reached: Vec<JobStatus> = BEGINNINGS.iter().map(|beginning| beginning.status).collect();
    let mut next = 0;
    while let Some(from) = reached.get(next).copied() {
        for step in TRANSITIONS.iter().filter(|step| step.from == from) {
            if !reached.contains(&step.to) {
                reached.push(step.to);
            }
        }
        next += 1;
    }
    assert_eq!(reached.len(), JobStatus::ALL.len());
}

#[test]
fn work_ends_only_from_processing() {
    for step in TRANSITIONS.iter().filter(|step| matches!(step.to, JobStatus::Completed | JobStatus::Failed)) {
        assert_eq!(step.from, JobStatus::Processing, "{step:?}");
    }
}

#[test]
fn a_status_is_spelt_the_same_in_rust_in_tables_and_in_json() {
    use sea_orm::ActiveEnum as _;
    for status in JobStatus::ALL {
        assert_eq!(status.to_value(), status.as_str());
        assert_eq!(status.as_str().parse(), Ok(*status));
        assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
    }
    assert!("QUEUED".parse::<JobStatus>().is_err());
}
