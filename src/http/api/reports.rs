//! Serves the compliance report, as JSON or as a table in CSV.

use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, SecondsFormat, Utc};

use super::view::ComplianceReport;
use super::{ApiState, query};
use crate::http::error::Problem;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
}

pub(super) async fn compliance(State(api): State<ApiState>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let period = query::period(&uri)?;
    let form = form(&headers)?;
    let report = api.compliance(period).await?;
    let mut response = match form {
        Form::Json => Json(report).into_response(),
        Form::Csv => {
            let table = table(&report).map_err(|_| Problem::Internal)?;
            ([(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"))], table).into_response()
        }
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// The form that `Accept` weighs most; JSON where it does not care.
fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    let mut best: Option<(f32, Form)> = None;
    let mut asked = false;
    for range in ranges.map(str::trim).filter(|range| !range.is_empty()) {
        asked = true;
        let mut parts = range.split(';').map(str::trim);
        let form = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "application/json" | "application/*" | "*/*" => Form::Json,
            "text/csv" | "text/*" => Form::Csv,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        if weight > 0.0 && best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, form));
        }
    }
    match best {
        Some((_, form)) => Ok(form),
        None if !asked => Ok(Form::Json),
        None => Err(Problem::NotAcceptable { offered: "application/json, text/csv" }),
    }
}

/// One line per figure, so that a spreadsheet can filter them: figure, type, status, outcome, value.
fn table(report: &ComplianceReport) -> csv::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let mut line = |figure: &str, [job_type, status, outcome]: [&str; 3], value: &str| {
        table.write_record([figure, job_type, status, outcome, value])
    };
    line("figure", ["jobType", "status", "outcome"], "value")?;
    line("checkedAt", [""; 3], &instant(report.checked_at))?;
    for (figure, at) in [("from", report.from), ("to", report.to), ("lastSweepAt", report.last_sweep_at)] {
        line(figure, [""; 3], &at.map(instant).unwrap_or_default())?;
    }
    for jobs in &report.jobs {
        let outcome = jobs.outcome.map_or("", |outcome| outcome.as_str());
        line("jobs", [jobs.job_type.as_str(), jobs.status.as_str(), outcome], &jobs.count.to_string())?;
    }
    for (figure, count) in [
        ("open", report.open),
        ("dueWithinSevenDays", report.due_within_seven_days),
        ("overdue", report.overdue),
        ("completed", report.completed),
    ] {
        line(figure, [""; 3], &count.to_string())?;
    }
    for (figure, seconds) in [("medianSeconds", report.median_seconds), ("p95Seconds", report.p95_seconds)] {
        line(figure, [""; 3], &seconds.map(|seconds| seconds.to_string()).unwrap_or_default())?;
    }
    let oldest = report.oldest_open.as_ref();
    line("oldestOpenId", [""; 3], oldest.map_or("", |job| &job.id))?;
    line("oldestOpenCreatedAt", [""; 3], &oldest.map(|job| instant(job.created_at)).unwrap_or_default())?;
    line("oldestOpenDueAt", [""; 3], &oldest.map(|job| instant(job.due_at)).unwrap_or_default())?;
    table.into_inner().map_err(|error| error.into_error().into())
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use entity::gdpr_job::{JobStatus, JobType, Outcome};

    use super::super::view::JobCount;
    use super::*;

    fn accepting(accept: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))])
    }

    #[test]
    fn the_form_is_the_one_that_accept_weighs_most() {
        assert_eq!(form(&HeaderMap::new()).unwrap(), Form::Json);
        for (accept, expected) in [
            ("*/*", Form::Json),
            ("text/csv", Form::Csv),
            ("text/csv;q=0.5, application/json", Form::Json),
            ("text/html, text/csv;q=0.9, */*;q=0.1", Form::Csv),
            ("application/json;q=0, text/csv", Form::Csv),
        ] {
            assert_eq!(form(&accepting(accept)).unwrap(), expected, "{accept}");
        }
        assert!(matches!(form(&accepting("image/png")), Err(Problem::NotAcceptable { .. })));
    }

    #[test]
    fn the_table_has_one_line_per_figure() {
        let report = ComplianceReport {
            from: None,
            to: None,
            checked_at: DateTime::from_timestamp_millis(1_763_703_000_000).unwrap(),
            jobs: vec![JobCount {
                job_type: JobType::CustomerRedact,
                status: JobStatus::Completed,
                outcome: Some(Outcome::Erased),
                count: 3,
            }],
            open: 1,
            due_within_seven_days: 0,
            overdue: 1,
            completed: 3,
            median_seconds: Some(1.5),
            p95_seconds: None,
            oldest_open: None,
            last_sweep_at: None,
        };
        let text = String::from_utf8(table(&report).unwrap()).unwrap();
        assert!(text.starts_with("figure,jobType,status,outcome,value\ncheckedAt,,,,2025-11-21T05:30:00Z\n"), "{text}");
        assert!(text.contains("\njobs,customer_redact,completed,erased,3\n"), "{text}");
        assert!(text.contains("\nmedianSeconds,,,,1.5\np95Seconds,,,,\n"), "{text}");
    }
}
