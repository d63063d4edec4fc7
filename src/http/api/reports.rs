//! Serves the compliance report, as JSON or as a table in CSV.

use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::{IntoResponse as _, Response};

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
            let table = report.to_csv().map_err(|_| Problem::Internal)?;
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

#[cfg(test)]
mod tests {
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
}
