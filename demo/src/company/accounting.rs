//! The sample company's accounting service: a small HTTP service that answers balances, and misbehaves when told to.
//! It remembers every path it was asked, as it came, so that tests can see what a hostile key turned into.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use jiff::{Timestamp, TimestampRound, ToSpan, Unit};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::customers::{self, Sample, Service};

/// After how long a slow customer's balance is answered.
pub const SLOW: Duration = Duration::from_millis(2500);

/// How the whole service behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As each customer's [`Service`] says.
    Normal,
    /// Takes questions, never answers.
    Silent,
    /// Does not listen: connections are refused.
    Down,
    /// Answers 200 with something that is no JSON, nor even text.
    Garbage,
    /// Answers 200 with JSON of 16 MiB.
    Huge,
    /// Answers this status.
    Status(u16),
}

/// The running service. Clones are the same one; when the last is dropped it stops.
#[derive(Clone)]
pub struct Accounting {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Changes of mood happen one at a time.
    listening: Arc<tokio::sync::Mutex<Option<Listening>>>,
}

struct Shared {
    today: Date,
    log: Mutex<Log>,
}

struct Log {
    mood: Mood,
    requests: u64,
    /// The newest [`MOST_PATHS`], oldest first.
    paths: VecDeque<String>,
}

struct Listening {
    task: JoinHandle<()>,
    stop: DropGuard,
}

/// What every request is answered from.
#[derive(Clone)]
struct Desk {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

const MOST_PATHS: usize = 1000;
const HUGE: usize = 16 * 1024 * 1024;
/// How long answers under way may take when the service stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Accounting {
    /// Listens on `listen` (port 0 for any free one); due dates are counted from `today`.
    pub async fn start(listen: SocketAddr, today: Date) -> io::Result<Accounting> {
        let log = Mutex::new(Log { mood: Mood::Normal, requests: 0, paths: VecDeque::new() });
        let shared = Arc::new(Shared { today, log });
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let listening = Some(serve(listener, Arc::clone(&shared)));
        Ok(Accounting { address, shared, listening: Arc::new(tokio::sync::Mutex::new(listening)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a customer's balance, with `{customer.id}` in the customer's place.
    pub fn balance_url(&self) -> String {
        format!("http://{}/api/customers/{{customer.id}}/balance", self.address)
    }

    /// Behaves like this from the next question on. When this returns, [`Mood::Down`] refuses connections and
    /// any other mood takes them; an error means that the port could not be had again.
    pub async fn set_mood(&self, mood: Mood) -> io::Result<()> {
        let mut listening = self.listening.lock().await;
        self.shared.log().mood = mood;
        match (listening.take(), mood) {
            (Some(running), Mood::Down) => close(running).await,
            (None, Mood::Down) => {}
            (Some(running), _) => *listening = Some(running),
            (None, _) => {
                let listener = TcpListener::bind(self.address).await?;
                *listening = Some(serve(listener, Arc::clone(&self.shared)));
            }
        }
        Ok(())
    }

    /// How many requests came, of any kind.
    pub fn requests(&self) -> u64 {
        self.shared.log().requests
    }

    /// What was asked, path and query as they came, the newest last; at most 1000.
    pub fn paths(&self) -> Vec<String> {
        self.shared.log().paths.iter().cloned().collect()
    }

    /// Stops listening.
    pub async fn stop(&self) {
        if let Some(running) = self.listening.lock().await.take() {
            close(running).await;
        }
    }
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        // A panic elsewhere must not hide behind a second one here: the log is plain data.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(listener: TcpListener, shared: Arc<Shared>) -> Listening {
    let stop = CancellationToken::new();
    let router = Router::new().fallback(answer).with_state(Desk { shared, stop: stop.clone() });
    let stopped = stop.clone().cancelled_owned();
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
            tracing::warn!(%error, "the sample accounting service ended");
        }
    });
    Listening { task, stop: stop.drop_guard() }
}

async fn close(Listening { mut task, stop }: Listening) {
    drop(stop);
    if tokio::time::timeout(LAST_WORDS, &mut task).await.is_err() {
        task.abort();
    }
}

async fn answer(State(desk): State<Desk>, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("", |path| path.as_str()).to_owned();
    let mood = {
        let mut log = desk.shared.log();
        log.requests += 1;
        if log.paths.len() == MOST_PATHS {
            log.paths.pop_front();
        }
        log.paths.push_back(path.clone());
        log.mood
    };
    match mood {
        Mood::Normal if request.method() == Method::GET => balance(&desk, &path).await,
        Mood::Normal => problem(StatusCode::METHOD_NOT_ALLOWED, "only GET"),
        Mood::Silent | Mood::Down => {
            // Not for ever: an answer under way would keep the port from being closed.
            desk.stop.cancelled().await;
            problem(StatusCode::SERVICE_UNAVAILABLE, "closing")
        }
        Mood::Garbage => json_text(&b"\xff\xfe{\"data\": <html>\x00"[..]),
        Mood::Huge => json_text(format!("{{\"data\":{{\"amount\":\"{}\"}}}}", "9".repeat(HUGE))),
        Mood::Status(code) => {
            let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            problem(status, "as told")
        }
    }
}

async fn balance(desk: &Desk, path: &str) -> Response {
    let id = path.strip_prefix("/api/customers/").and_then(|rest| rest.strip_suffix("/balance"));
    let Some(sample) = customers::ALL.iter().find(|sample| Some(sample.id) == id) else {
        return problem(StatusCode::NOT_FOUND, "no such customer");
    };
    match sample.account.service {
        Service::Normal => {}
        Service::Slow => {
            // Ends early when the service stops; the answer then goes out at once.
            let _ = tokio::time::timeout(SLOW, desk.stop.cancelled()).await;
        }
        Service::Down => return problem(StatusCode::SERVICE_UNAVAILABLE, "ledger locked for posting"),
    }
    json_text(statement(sample, desk.shared.today, Timestamp::now()))
}

fn statement(sample: &Sample, today: Date, now: Timestamp) -> String {
    let account = &sample.account;
    let oldest_due = account.oldest_due_days_ago.and_then(|days| today.checked_sub(days.days()).ok());
    // Accounting posts every quarter of an hour: its figures are as old as that.
    let quarter = TimestampRound::new().smallest(Unit::Minute).increment(15).mode(jiff::RoundMode::Floor);
    let as_of = now.round(quarter).unwrap_or(now);
    json!({ "data": {
        "amount": account.amount,
        "currency": sample.currency,
        "overdue": account.overdue,
        "oldest_due": oldest_due.map(|day| day.to_string()),
        "as_of": as_of.to_string(),
    }})
    .to_string()
}

fn json_text(body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

fn problem(status: StatusCode, text: &str) -> Response {
    (status, json_text(json!({ "error": text }).to_string())).into_response()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn accounting() -> Accounting {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Accounting::start(any, date(2026, 3, 2)).await.expect("a free port")
    }

    async fn ask(accounting: &Accounting, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(accounting.address()).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    #[test]
    fn a_statement_counts_due_dates_from_today_and_is_as_old_as_the_last_posting() {
        let now = "2026-03-02T10:29:59Z".parse().expect("a time");
        assert_eq!(
            statement(&customers::ZOLKIEWSKI, date(2026, 3, 2), now),
            r#"{"data":{"amount":"1250.50","as_of":"2026-03-02T10:15:00Z","currency":"PLN","oldest_due":"2026-02-18","overdue":"300.00"}}"#
        );
    }

    #[tokio::test]
    async fn it_answers_balances_and_records_what_it_was_asked() {
        let accounting = accounting().await;
        let levi = ask(&accounting, "/api/customers/K-1002/balance").await.expect("an answer");
        assert!(levi.starts_with("HTTP/1.1 200 ") && levi.contains("\"oldest_due\":null"), "{levi}");
        let down = ask(&accounting, "/api/customers/K-1008/balance").await.expect("an answer");
        assert!(down.starts_with("HTTP/1.1 503 "), "{down}");
        let hostile = "/api/customers/..%2F..%2Fadmin/balance?x=1";
        let nobody = ask(&accounting, hostile).await.expect("an answer");
        assert!(nobody.starts_with("HTTP/1.1 404 "), "{nobody}");
        assert_eq!(accounting.requests(), 3);
        assert_eq!(accounting.paths()[2], hostile);
    }

    #[tokio::test]
    async fn its_mood_can_be_changed_and_it_comes_back_where_it_was() {
        let accounting = accounting().await;
        let path = "/api/customers/K-1001/balance";
        for (mood, expected) in [
            (Mood::Status(418), "HTTP/1.1 418 "),
            (Mood::Garbage, "HTTP/1.1 200 "),
            (Mood::Normal, "HTTP/1.1 200 "),
        ] {
            accounting.set_mood(mood).await.expect("still listening");
            let answer = ask(&accounting, path).await.expect("an answer");
            assert!(answer.starts_with(expected), "{mood:?}: {answer}");
        }
        accounting.set_mood(Mood::Huge).await.expect("still listening");
        assert!(ask(&accounting, path).await.expect("an answer").len() > HUGE);

        accounting.set_mood(Mood::Silent).await.expect("still listening");
        let other = accounting.clone();
        let silent = tokio::spawn(async move { ask(&other, path).await });
        while accounting.requests() < 5 {
            tokio::task::yield_now().await;
        }
        assert!(!silent.is_finished());
        accounting.set_mood(Mood::Down).await.expect("nothing to fail");
        assert!(ask(&accounting, path).await.is_err(), "refused");
        accounting.set_mood(Mood::Normal).await.expect("the same port");
        assert!(ask(&accounting, path).await.expect("an answer").contains("1250.50"));
        accounting.stop().await;
    }
}
