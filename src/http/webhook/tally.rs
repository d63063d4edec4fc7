//! Counts what the door answers, without allocating for each webhook.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Histogram};

use crate::acceptance::Accepted;
use crate::http::error::Problem;
use crate::webhook::{PROVIDERS, Provider, Topic};

/// How a webhook was answered, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Accepted,
    Duplicate,
    Unauthentic,
    Unreadable,
    WrongMethod,
    WrongType,
    TooLarge,
    TooSlow,
    Broken,
    NotDurable,
}

impl Answer {
    const ALL: [Self; 10] = [
        Self::Accepted,
        Self::Duplicate,
        Self::Unauthentic,
        Self::Unreadable,
        Self::WrongMethod,
        Self::WrongType,
        Self::TooLarge,
        Self::TooSlow,
        Self::Broken,
        Self::NotDurable,
    ];

    pub(super) fn of_accepted(accepted: &Accepted) -> Self {
        if accepted.duplicate { Self::Duplicate } else { Self::Accepted }
    }

    pub(super) fn of(problem: &Problem) -> Self {
        match problem {
            Problem::Unauthentic => Self::Unauthentic,
            Problem::Unreadable(_) => Self::Unreadable,
            Problem::MethodNotAllowed => Self::WrongMethod,
            Problem::NotJsonType => Self::WrongType,
            Problem::BodyTooLarge => Self::TooLarge,
            Problem::BodyTooSlow => Self::TooSlow,
            Problem::NotDurable => Self::NotDurable,
            _ => Self::Broken,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Unauthentic => "unauthentic",
            Self::Unreadable => "unreadable",
            Self::WrongMethod => "wrong_method",
            Self::WrongType => "wrong_type",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::Broken => "broken",
            Self::NotDurable => "not_durable",
        }
    }
}

/// One more than the known values: the last place is "unknown".
const PROVIDER_PLACES: usize = PROVIDERS.len() + 1;
const TOPIC_PLACES: usize = Topic::ALL.len() + 1;

/// A counter for every combination of labels, made when it is first needed, so that the page shows only what happened.
#[derive(Default)]
pub(super) struct Tally {
    counters: [[[OnceLock<Counter>; Answer::ALL.len()]; TOPIC_PLACES]; PROVIDER_PLACES],
    seconds: OnceLock<Histogram>,
}

impl Tally {
    /// Counts one answer; what is not known of the webhook counts as "unknown".
    pub(super) fn count(&self, provider: Option<&'static Provider>, topic: Option<Topic>, answer: Answer) {
        let provider_place = PROVIDERS.iter().position(|known| Some(*known) == provider).unwrap_or(PROVIDERS.len());
        let topic_place = Topic::ALL.iter().position(|known| Some(*known) == topic).unwrap_or(Topic::ALL.len());
        let answer_place = Answer::ALL.iter().position(|known| *known == answer).unwrap_or_default();
        let counter = self.counters[provider_place][topic_place][answer_place].get_or_init(|| {
            metrics::describe_counter!("efface_webhooks_total", "Webhooks by provider, topic and answer.");
            let provider = provider.map_or("unknown", |provider| provider.name);
            let topic = topic.map_or("unknown", Topic::as_str);
            metrics::counter!("efface_webhooks_total", "provider" => provider, "topic" => topic, "answer" => answer.label())
        });
        counter.increment(1);
    }

    /// Notes how long one webhook took, from its head to its answer.
    pub(super) fn time(&self, taken: Duration) {
        let seconds = self.seconds.get_or_init(|| {
            metrics::describe_histogram!("efface_webhook_seconds", "From a webhook's head to its answer.");
            metrics::histogram!("efface_webhook_seconds")
        });
        seconds.record(taken.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_a_place_and_a_label_of_its_own() {
        for (place, answer) in Answer::ALL.iter().enumerate() {
            assert_eq!(Answer::ALL.iter().position(|other| other.label() == answer.label()), Some(place));
        }
    }
}
