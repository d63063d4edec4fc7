//! What an answer must be, and what to make of the one that came.

use hyper::StatusCode;

use super::wire::Came;

/// What is expected of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// A genuine webhook is confirmed.
    Taken,
    /// A forged one is refused in the one way that the app review accepts.
    Unauthorized,
    /// One without a signature is refused, best with 401.
    Refused,
    /// Another method than POST.
    WrongMethod,
    /// Something that nobody can read is refused as the sender's fault.
    SendersFault,
    /// Any answer that is neither a redirect nor a crash.
    Answered,
    /// Any answer that is no redirect.
    NoRedirect,
    /// Whatever it says, an answer within the time.
    Anything,
}

/// How well an answer fits. Ordered: the worst of several answers is the greatest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    Good,
    /// Within the rule; the text says what would be better.
    Tolerable(&'static str),
    Bad(String),
}

impl Expect {
    /// For people and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "2xx",
            Self::Unauthorized => "401",
            Self::Refused => "401, or another 4xx",
            Self::WrongMethod => "405",
            Self::SendersFault => "4xx",
            Self::Answered => "2xx or 4xx",
            Self::NoRedirect => "anything but 3xx",
            Self::Anything => "any answer in time",
        }
    }

    pub fn judge(self, came: &Came) -> Fit {
        let status = match came {
            Came::Answer(status) => *status,
            Came::Unreachable(_) | Came::Late(_) | Came::Broken(_) => return Fit::Bad(came.to_string()),
        };
        if status.is_redirection() && self != Self::Anything {
            return Fit::Bad(format!("came {}, a redirect: Shopify follows none", status.as_u16()));
        }
        if self == Self::Refused && status.is_client_error() && status != StatusCode::UNAUTHORIZED {
            return Fit::Tolerable("refused, but not with 401; app reviews were reported that take nothing else");
        }
        let good = match self {
            Self::Taken => status.is_success(),
            Self::Unauthorized | Self::Refused => status == StatusCode::UNAUTHORIZED,
            Self::WrongMethod => status == StatusCode::METHOD_NOT_ALLOWED,
            Self::SendersFault => status.is_client_error(),
            Self::Answered => status.is_success() || status.is_client_error(),
            Self::NoRedirect | Self::Anything => true,
        };
        if good { Fit::Good } else { Fit::Bad(format!("expected {}, came {}", self.as_str(), status.as_u16())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the codes that endpoints answer with, those that are good, and those that are tolerable.
    fn sorted(expect: Expect) -> (Vec<u16>, Vec<u16>) {
        let codes = [200, 204, 302, 308, 400, 401, 403, 404, 405, 413, 415, 429, 500, 503];
        let of = |fits: fn(&Fit) -> bool| {
            let came = |code: &u16| Came::Answer(StatusCode::from_u16(*code).unwrap());
            codes.into_iter().filter(|code| fits(&expect.judge(&came(code)))).collect()
        };
        (of(|fit| *fit == Fit::Good), of(|fit| matches!(fit, Fit::Tolerable(_))))
    }

    #[test]
    fn each_expectation_takes_its_own_codes() {
        assert_eq!(sorted(Expect::Taken), (vec![200, 204], vec![]));
        assert_eq!(sorted(Expect::Unauthorized), (vec![401], vec![]));
        assert_eq!(sorted(Expect::Refused), (vec![401], vec![400, 403, 404, 405, 413, 415, 429]));
        assert_eq!(sorted(Expect::WrongMethod), (vec![405], vec![]));
        assert_eq!(sorted(Expect::SendersFault).0, [400, 401, 403, 404, 405, 413, 415, 429]);
        assert_eq!(sorted(Expect::Answered).0, [200, 204, 400, 401, 403, 404, 405, 413, 415, 429]);
        assert_eq!(sorted(Expect::NoRedirect).0.len(), 12);
        assert_eq!(sorted(Expect::Anything).0.len(), 14);
    }

    #[test]
    fn no_answer_is_never_good() {
        for expect in [Expect::Taken, Expect::Answered, Expect::NoRedirect, Expect::Anything] {
            assert!(matches!(expect.judge(&Came::Broken("cut".to_owned())), Fit::Bad(_)));
        }
    }

    #[test]
    fn the_worst_of_several_is_the_greatest() {
        assert!(Fit::Good < Fit::Tolerable("z") && Fit::Tolerable("z") < Fit::Bad("a".to_owned()));
    }
}
