//! Tells which publishes a returned message condemns.
//!
//! The broker sends an unroutable message back just before it confirms it. lapin hangs what came back on the next
//! confirm that it resolves, and when one frame confirms many publishes, that is any of them. So a return is matched by
//! the number that we gave the publish, and a confirm that carries somebody else's return is not trusted.

use std::collections::HashSet;

use lapin::Confirmation;
use lapin::message::BasicReturnMessage;

use super::PublishError;

/// What the broker, or the loss of it, said to one publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Ack(Attached),
    Nack(Attached),
    NotRequested,
    Lost,
}

/// The returned message that a confirm carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    Nothing,
    /// The number of the publish that came back.
    Return(u64),
    /// Something came back without a number of ours.
    Unnumbered,
}

impl From<lapin::Result<Confirmation>> for Answer {
    fn from(result: lapin::Result<Confirmation>) -> Self {
        match result {
            Ok(Confirmation::Ack(returned)) => Self::Ack(attached(returned)),
            Ok(Confirmation::Nack(returned)) => Self::Nack(attached(returned)),
            Ok(Confirmation::NotRequested) => Self::NotRequested,
            Err(_) => Self::Lost,
        }
    }
}

fn attached(returned: Option<BasicReturnMessage>) -> Attached {
    let Some(returned) = returned else { return Attached::Nothing };
    let number = returned.delivery.properties.correlation_id().as_ref().and_then(|id| id.as_str().parse().ok());
    number.map_or(Attached::Unnumbered, Attached::Return)
}

/// A publish whose confirm was resolved.
#[derive(Debug)]
pub struct Settled<T> {
    /// The number that we gave the publish.
    pub number: u64,
    pub answer: Answer,
    /// Whoever waits for the verdict.
    pub caller: T,
}

/// Publishes that came back while their own confirm was still to be seen.
#[derive(Debug, Default)]
pub struct Returned(HashSet<u64>);

impl Returned {
    /// Judges the publishes whose confirms were resolved: all that are to be had at this moment, in any order.
    ///
    /// What their answers carried is noted before one of them is judged: lapin resolves the confirm that carries a
    /// return before, or as, the confirm of the message that came back.
    pub fn judge<'a, T>(
        &'a mut self,
        settled: &'a mut Vec<Settled<T>>,
    ) -> impl Iterator<Item = (T, Result<(), PublishError>)> + use<'a, T> {
        for one in settled.iter() {
            if let Answer::Ack(Attached::Return(number)) | Answer::Nack(Attached::Return(number)) = one.answer {
                self.0.insert(number);
            }
        }
        settled.drain(..).map(|one| (one.caller, self.judge_one(one.number, one.answer)))
    }

    fn judge_one(&mut self, number: u64, answer: Answer) -> Result<(), PublishError> {
        let came_back = self.0.remove(&number);
        match answer {
            Answer::Lost => Err(PublishError::Lost),
            Answer::NotRequested => Err(PublishError::NotConfirmed),
            Answer::Ack(_) | Answer::Nack(_) if came_back => Err(PublishError::Unroutable),
            Answer::Nack(_) => Err(PublishError::Refused),
            Answer::Ack(Attached::Nothing) => Ok(()),
            // While this return waited, our own may have waited behind it.
            Answer::Ack(_) => Err(PublishError::Unclear),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdicts in the order of the answers, which come in the portions that the lane may see.
    fn judge_all(portions: &[&[(u64, Answer)]]) -> Vec<Result<(), PublishError>> {
        let mut returned = Returned::default();
        let portions = portions.iter().flat_map(|portion| {
            let settled =
                portion.iter().map(|(number, answer)| Settled { number: *number, answer: *answer, caller: () });
            returned.judge(&mut settled.collect()).map(|((), verdict)| verdict).collect::<Vec<_>>()
        });
        portions.collect()
    }

    const ACK: Answer = Answer::Ack(Attached::Nothing);

    #[test]
    fn a_plain_ack_is_the_only_good_answer() {
        let refused = Answer::Nack(Attached::Nothing);
        assert_eq!(
            judge_all(&[&[(1, ACK), (2, refused), (3, Answer::NotRequested), (4, Answer::Lost)]]),
            [Ok(()), Err(PublishError::Refused), Err(PublishError::NotConfirmed), Err(PublishError::Lost)]
        );
    }

    #[test]
    fn a_return_on_its_own_confirm_is_unroutable() {
        assert_eq!(judge_all(&[&[(7, Answer::Ack(Attached::Return(7)))]]), [Err(PublishError::Unroutable)]);
    }

    #[test]
    fn a_return_on_a_neighbours_confirm_condemns_its_own_publish_and_is_not_trusted_there() {
        let carrier = Answer::Ack(Attached::Return(2));
        let expected = [Err(PublishError::Unclear), Err(PublishError::Unroutable), Ok(())];
        assert_eq!(judge_all(&[&[(1, carrier), (2, ACK), (3, ACK)]]), expected);
    }

    #[test]
    fn no_order_of_returns_within_one_confirm_frame_lets_a_returned_message_pass() {
        // Publishes 1–4 confirmed by one frame; 2 and 4 came back. lapin hangs the two returns, in this order, on the
        // first two confirms of a random order.
        let mut orders = vec![vec![]];
        for _ in 0..4 {
            let longer = orders.iter().flat_map(|order: &Vec<u64>| {
                let free = (1..=4).filter(|n| !order.contains(n));
                free.map(|n| order.iter().copied().chain([n]).collect()).collect::<Vec<Vec<u64>>>()
            });
            orders = longer.collect();
        }
        assert_eq!(orders.len(), 24);
        for order in orders {
            for cut in 0..=order.len() {
                let mut waiting = [2, 4].into_iter();
                let answers: Vec<_> = order
                    .iter()
                    .map(|n| (*n, Answer::Ack(waiting.next().map_or(Attached::Nothing, Attached::Return))))
                    .collect();
                let verdicts = judge_all(&[&answers[..cut], &answers[cut..]]);
                for ((number, _), verdict) in answers.iter().zip(verdicts) {
                    assert!(number % 2 == 1 || verdict.is_err(), "{number} passed in {order:?} cut at {cut}");
                }
            }
        }
    }
}
