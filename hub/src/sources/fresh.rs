//! A source whose good answers are used again for a while (`fresh = "30s"`), for systems that must not
//! be asked on every call. A reused answer keeps the time it was first given, so its age shows.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use pinkas_protocol::{Customer, CustomerKey, Failure, Number, Private, TagName};
use tokio::time::Instant;

use super::{Answer, Question, Source};
use crate::identify::Search;

/// See the file's own comment.
pub struct Fresh {
    source: Arc<dyn Source>,
    lasts: Duration,
    kept: Mutex<HashMap<Key, Kept>>,
}

/// All that a source can be asked with: whoever differs in any of it is told an answer of their own.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    number: Option<Number>,
    tags: Names,
    customer: Option<(CustomerKey, Names)>,
}

type Names = BTreeMap<TagName, Private<String>>;

impl Key {
    fn of(question: &Question) -> Key {
        let customer = question.customer.as_ref();
        Key {
            number: question.number.clone(),
            tags: question.tags.clone(),
            customer: customer.map(|customer| (customer.key.clone(), customer.keys.clone())),
        }
    }
}

struct Kept {
    since: Instant,
    answer: Answer,
}

/// The most answers kept; the oldest goes when it is full.
const MOST_KEPT: usize = 1000;

impl Fresh {
    /// Reuses good answers of `source` for as long as `lasts`.
    pub fn new(source: Arc<dyn Source>, lasts: Duration) -> Self {
        Fresh { source, lasts, kept: Mutex::new(HashMap::new()) }
    }

    fn reuse(&self, key: &Key) -> Option<Answer> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.get(key)?;
        (kept.since.elapsed() < self.lasts).then(|| kept.answer.clone())
    }

    fn keep(&self, key: Key, answer: Answer) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT && !kept.contains_key(&key) {
            kept.retain(|_, kept| kept.since.elapsed() < self.lasts);
            if kept.len() >= MOST_KEPT {
                let oldest = kept.iter().min_by_key(|(_, kept)| kept.since).map(|(key, _)| key.clone());
                oldest.and_then(|oldest| kept.remove(&oldest));
            }
        }
        kept.insert(key, Kept { since: Instant::now(), answer });
    }
}

impl Source for Fresh {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(async move {
            let key = Key::of(question);
            if let Some(answer) = self.reuse(&key) {
                return Ok(answer);
            }
            let mut answer = self.source.ask(question).await?;
            if let Answer::Facts { as_of: as_of @ None, .. } = &mut answer {
                *as_of = Some(Timestamp::now());
            }
            self.keep(key, answer.clone());
            Ok(answer)
        })
    }

    fn find(&self, search: &Search) -> Vec<Customer> {
        self.source.find(search)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    use pinkas_protocol::{Facts, NumberPlan};

    use crate::sources::testing;

    /// Counts how often it is asked; fails the first time.
    struct Counting(AtomicU32);

    impl Source for Counting {
        fn ask<'a>(&'a self, _: &'a Question) -> BoxFuture<'a, Result<Answer, Failure>> {
            let before = self.0.fetch_add(1, Ordering::Relaxed);
            let facts = Facts::Purchases { purchases: Vec::new() };
            let answer = Ok(Answer::Facts { facts, as_of: None });
            Box::pin(async move { if before == 0 { Err(Failure::Unreachable) } else { answer } })
        }
    }

    fn question(number: u32) -> Question {
        let number = NumberPlan::default().read(&format!("+97250{number:07}"));
        Question { number, customer: None, tags: Default::default() }
    }

    async fn as_of(source: &Fresh, question: &Question) -> Option<Timestamp> {
        match source.ask(question).await {
            Ok(Answer::Facts { as_of, .. }) => as_of,
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_good_answer_is_reused_with_its_own_time_until_it_is_stale_and_a_failure_never_is() {
        let counting = Arc::new(Counting(AtomicU32::new(0)));
        let source = Fresh::new(counting.clone(), Duration::from_secs(30));
        let question = question(1);
        assert!(source.ask(&question).await.is_err());
        let first = as_of(&source, &question).await.expect("an answer");
        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(as_of(&source, &question).await, Some(first));
        assert_eq!(counting.0.load(Ordering::Relaxed), 2);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(as_of(&source, &question).await.is_some());
        assert_eq!(counting.0.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn no_caller_gets_the_answer_to_what_another_brought() {
        let counting = Arc::new(Counting(AtomicU32::new(1)));
        let source = Fresh::new(counting.clone(), Duration::from_secs(30));
        let names =
            |value: &str| [(TagName::parse("tax_id").expect("a name"), Private(value.to_owned()))].into();
        let about = |key: &str, tax_id: &str| {
            let mut question = testing::question(key);
            question.customer.as_mut().expect("a customer").keys = names(tax_id);
            question
        };
        let questions = [
            question(1),
            question(2),
            Question { tags: names("1"), ..question(1) },
            Question { tags: names("2"), ..question(1) },
            about("7", "1"),
            about("7", "2"),
            about("8", "2"),
        ];
        for asked in 1..=2 {
            for question in &questions {
                assert!(as_of(&source, question).await.is_some());
            }
            assert_eq!(counting.0.load(Ordering::Relaxed), 8, "round {asked}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_a_bounded_number_of_answers_is_kept() {
        let source = Fresh::new(Arc::new(Counting(AtomicU32::new(1))), Duration::from_secs(30));
        for number in 0..1100 {
            as_of(&source, &question(number)).await;
        }
        assert_eq!(source.kept.lock().map(|kept| kept.len()).ok(), Some(MOST_KEPT));
    }
}
