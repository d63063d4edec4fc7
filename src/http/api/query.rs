//! Reads query parameters strictly: an unknown, repeated or malformed one is an error that names it.

use axum::extract::Query;
use axum::http::Uri;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use entity::gdpr_job::{JobStatus, JobType};

use super::Cursor;
use super::audit::AuditCursor;
use crate::audit::query::Filter as AuditFilter;
use crate::clock::is_usual;
use crate::hold;
use crate::http::error::Problem;
use crate::retention;

/// Rows of a page when the caller names no number.
const LIMIT_DEFAULT: u16 = 50;
/// Rows of a page, at most.
const LIMIT_MAX: u16 = 200;

/// Which jobs are asked for; `None` means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// A shop's domain, in lower case.
    pub shop: Option<String>,
    /// What the duty asks for.
    pub job_type: Option<JobType>,
    /// Where the job stands.
    pub status: Option<JobStatus>,
}

/// Which part of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageWish {
    /// The row after which the page starts.
    pub after: Option<Cursor>,
    /// Rows at most, 1 to 200.
    pub limit: u16,
}

/// A span of time: `from` belongs to it, `to` does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// The first instant; none means since ever.
    pub from: Option<DateTime<Utc>>,
    /// The first instant after it; none means until now.
    pub to: Option<DateTime<Utc>>,
}

/// The pairs of a query, handed out one by one; what is left over is unknown.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(uri: &Uri) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Problem::parameter("query", "cannot be decoded"))?;
        Ok(Self(pairs))
    }

    /// Takes the parameter `name` out and reads it; an empty value counts as absent.
    fn take<T>(
        &mut self,
        name: &str,
        wanted: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let mut values: Vec<String> = self.0.extract_if(.., |(key, _)| key == name).map(|(_, value)| value).collect();
        match (values.pop(), values.is_empty()) {
            (None, _) => Ok(None),
            (Some(_), false) => Err(Problem::parameter(name, "is given more than once")),
            (Some(value), true) if value.is_empty() => Ok(None),
            (Some(value), true) => read(&value).map(Some).ok_or_else(|| Problem::parameter(name, wanted)),
        }
    }

    fn limit(&mut self) -> Result<u16, Problem> {
        let read = |text: &str| text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        Ok(self.take("limit", "wants a number from 1 to 200", read)?.unwrap_or(LIMIT_DEFAULT))
    }

    fn nothing_else(&self) -> Result<(), Problem> {
        match self.0.first() {
            Some((name, _)) => Err(Problem::parameter(name, "is not a parameter of this route")),
            None => Ok(()),
        }
    }
}

/// The one shop that a list is asked for, whatever else is asked.
pub(in crate::http) fn shop_asked_for(uri: &Uri) -> Option<String> {
    Parameters::read(uri).ok()?.take("shop", "wants a shop's domain", shop).ok()?
}

/// Reads `shop`, `type`, `status`, `cursor` and `limit`.
pub(super) fn job_list(uri: &Uri) -> Result<(JobFilter, PageWish), Problem> {
    let mut query = Parameters::read(uri)?;
    let filter = JobFilter {
        shop: query.take("shop", "wants a shop's domain", shop)?,
        job_type: query.take("type", "wants data_request, customer_redact or shop_redact", |text| text.parse().ok())?,
        status: query.take(
            "status",
            "wants queued, processing, retrying, held, completed, failed or cancelled",
            |text| text.parse().ok(),
        )?,
    };
    let page = PageWish {
        after: query.take("cursor", "wants the nextCursor of an earlier page", Cursor::parse)?,
        limit: query.limit()?,
    };
    query.nothing_else()?;
    Ok((filter, page))
}

/// Reads `from` and `to`: RFC 3339 instants, or dates that mean their midnight in UTC.
pub(super) fn period(uri: &Uri) -> Result<Period, Problem> {
    let mut query = Parameters::read(uri)?;
    let wanted = "wants a date as in 2026-11-21, or an instant as in 2026-11-21T08:00:00Z";
    let period = Period { from: query.take("from", wanted, instant)?, to: query.take("to", wanted, instant)? };
    query.nothing_else()?;
    match period {
        Period { from: Some(from), to: Some(to) } if from >= to => {
            Err(Problem::parameter("to", "must be later than `from`"))
        }
        _ => Ok(period),
    }
}

/// Reads the `token` of a link; none, or one that is empty, is like a wrong one.
pub(super) fn link_token(uri: &Uri) -> Result<String, Problem> {
    let mut query = Parameters::read(uri)?;
    let token = query.take("token", "wants the token of a link", |text| Some(text.to_owned()))?;
    query.nothing_else()?;
    Ok(token.unwrap_or_default())
}

/// Reads `shop`, `scope`, `status`, `cursor` and `limit`.
pub(super) fn hold_list(uri: &Uri) -> Result<(hold::Filter, u16), Problem> {
    let mut query = Parameters::read(uri)?;
    let filter = hold::Filter {
        shop_domain: query.take("shop", "wants a shop's domain", shop)?,
        scope: query.take("scope", "wants shop, subject or table", |text| text.parse().ok())?,
        in_force: query.take("status", "wants in_force or released", |text| match text {
            "in_force" => Some(true),
            "released" => Some(false),
            _ => None,
        })?,
        before: query.take("cursor", "wants the nextCursor of an earlier page", Cursor::parse)?.map(|cursor| cursor.id),
    };
    let limit = query.limit()?;
    query.nothing_else()?;
    Ok((filter, limit))
}

/// Reads `sweep`, `table`, `cursor` and `limit`.
pub(super) fn run_list(uri: &Uri) -> Result<(retention::Filter, u16), Problem> {
    let mut query = Parameters::read(uri)?;
    let plain = |text: &str| is_id(text).then(|| text.to_owned());
    let filter = retention::Filter {
        sweep_id: query.take("sweep", "wants the sweepId of a run", plain)?,
        table_name: query.take("table", "wants the name of a table", plain)?,
        before: query.take("cursor", "wants the nextCursor of an earlier page", Cursor::parse)?.map(|cursor| cursor.id),
    };
    let limit = query.limit()?;
    query.nothing_else()?;
    Ok((filter, limit))
}

/// Reads `actor`, `action`, `resourceType`, `resourceId`, `shop`, `from`, `to`, `cursor` and `limit`.
pub(super) fn audit_list(uri: &Uri) -> Result<(AuditFilter, Option<AuditCursor>, u16), Problem> {
    let mut query = Parameters::read(uri)?;
    let word = |text: &str| (text.len() <= 255 && !text.chars().any(char::is_control)).then(|| text.to_owned());
    let wanted = "wants a date as in 2026-11-21, or an instant as in 2026-11-21T08:00:00Z";
    let filter = AuditFilter {
        actor_id: query.take("actor", "wants a token's name, cli, or a part of Efface", word)?,
        action: query
            .take("action", "wants create, read, update, delete, export or validate", |text| text.parse().ok())?,
        resource_type: query.take("resourceType", "wants the name of a table", word)?,
        resource_id: query.take("resourceId", "wants an id", word)?,
        shop_domain: query.take("shop", "wants a shop's domain", shop)?,
        from: query.take("from", wanted, instant)?,
        to: query.take("to", wanted, instant)?,
    };
    let cursor = query.take("cursor", "wants the nextCursor of an earlier page", AuditCursor::parse)?;
    let limit = query.limit()?;
    query.nothing_else()?;
    if filter.from.zip(filter.to).is_some_and(|(from, to)| from >= to) {
        return Err(Problem::parameter("to", "must be later than `from`"));
    }
    Ok((filter, cursor, limit))
}

/// Refuses every parameter, for routes that have none.
pub(super) fn none(uri: &Uri) -> Result<(), Problem> {
    Parameters::read(uri)?.nothing_else()
}

/// Whether `text` has the form of a row's id.
pub(in crate::http) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// Whether `text` has the form of a shop's domain.
pub(in crate::http) fn is_shop(text: &str) -> bool {
    text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte))
}

fn shop(text: &str) -> Option<String> {
    is_shop(text).then(|| text.to_ascii_lowercase())
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    // A plus sign in a query decodes to a space, and nobody writes a space there on purpose.
    let instant = DateTime::parse_from_rfc3339(&text.replace(' ', "+")).map(|instant| instant.to_utc());
    let instant = instant.or_else(|_| text.parse::<NaiveDate>().map(|date| date.and_time(NaiveTime::MIN).and_utc()));
    instant.ok().filter(|at| is_usual(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(query: &str) -> Uri {
        format!("/api/v1/jobs?{query}").parse().unwrap()
    }

    fn refused<T: std::fmt::Debug>(answer: Result<T, Problem>) -> String {
        match answer {
            Err(Problem::BadParameter { name, .. }) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_list_without_parameters_is_the_first_fifty_of_all() {
        let (filter, page) = job_list(&"/api/v1/jobs".parse().unwrap()).unwrap();
        assert_eq!(filter, JobFilter::default());
        assert_eq!(page, PageWish { after: None, limit: 50 });
    }

    #[test]
    fn every_filter_is_read() {
        let (filter, page) =
            job_list(&uri("shop=Snow.myshopify.com&type=shop_redact&status=held&limit=200&cursor=")).unwrap();
        assert_eq!(filter.shop.as_deref(), Some("snow.myshopify.com"));
        assert_eq!((filter.job_type, filter.status), (Some(JobType::ShopRedact), Some(JobStatus::Held)));
        assert_eq!(page.limit, 200);
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        for (query, name) in [
            ("shops=a", "shops"),
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=ten", "limit"),
            ("status=done", "status"),
            ("type=customers/redact", "type"),
            ("cursor=x", "cursor"),
            ("shop=a%20b", "shop"),
            ("limit=5&limit=6", "limit"),
        ] {
            assert_eq!(refused(job_list(&uri(query))), name, "{query}");
        }
    }

    #[test]
    fn a_period_takes_dates_and_instants_in_order() {
        let read = period(&uri("from=2026-11-01&to=2026-11-21T08:00:00%2B02:00")).unwrap();
        assert_eq!(read.from.unwrap().to_rfc3339(), "2026-11-01T00:00:00+00:00");
        assert_eq!(read.to.unwrap().to_rfc3339(), "2026-11-21T06:00:00+00:00");
        assert_eq!(refused(period(&uri("from=2026-11-01&to=2026-11-01"))), "to");
        for strange in ["yesterday", "-4713-01-01", "1969-12-31", "%2B10000-01-01", "0000-01-01T00:00:00Z"] {
            assert_eq!(refused(period(&uri(&format!("from={strange}")))), "from", "{strange}");
            assert_eq!(refused(audit_list(&uri(&format!("from={strange}")))), "from", "{strange}");
        }
    }
}
