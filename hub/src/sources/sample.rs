//! The smallest source, to copy when a new kind is needed. It gives one fixed answer and is not
//! selectable in a configuration. A real kind adds `pub const KEYS`, and a `read` that takes its keys
//! from a `Section` and notes every mistake; `mod.rs` then names it in `KINDS` and in `one`.

use futures_util::future::BoxFuture;
use pinkas_protocol::card::Credit;
use pinkas_protocol::{Facts, Failure};

use super::{Answer, Question, Source};

/// Gives every customer the same number of days to pay.
pub struct Sample {
    /// Days until an invoice is due.
    pub days: u32,
}

impl Source for Sample {
    // What a source must keep to:
    // - it may be asked many times at once, and is dropped in the middle when nobody waits any more;
    // - what the question brings is hostile: bind it or encode it, never paste it into anything;
    // - bound what is read, and pass text from outside through `protocol::text::plain`;
    // - an `Err` names what went wrong in words without any of the customer's data.
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(async move {
            let Some(customer) = &question.customer else { return Ok(Answer::Nothing) };
            tracing::trace!(source = %customer.source, "asked for terms");
            let credit = Credit {
                offer: None,
                limit: None,
                available: None,
                days: Some(self.days),
                hold: None,
                note: None,
            };
            // No `as_of`: the time of the answer is then shown. Give the source's own word where it has one.
            Ok(Answer::Facts { facts: Facts::Credit(credit), as_of: None })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::sources::testing::question;

    #[tokio::test]
    async fn a_sample_answers_for_any_customer_and_for_nobody_else() {
        let sample = Sample { days: 30 };
        match sample.ask(&question("7")).await {
            Ok(Answer::Facts { facts: Facts::Credit(credit), .. }) => assert_eq!(credit.days, Some(30)),
            other => panic!("terms expected, not {other:?}"),
        }
        let nobody = Question::default();
        assert!(matches!(sample.ask(&nobody).await, Ok(Answer::Nothing)));
    }
}
