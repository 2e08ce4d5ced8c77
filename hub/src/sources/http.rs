//! A source that is a web service answering in JSON. The caller's number and the customer's key are put
//! in the address percent-encoded, never pasted; the host is fixed by the configuration. Nothing is
//! followed, unpacked or read beyond a bound: what is asked is one address, what is read is one answer.

use std::time::Duration;

use futures_util::future::BoxFuture;
use pinkas_config::Section;
use pinkas_protocol::{Customer, Failure};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};

use super::breaker::BROKE_OFF;
use super::http_auth::{self, OAuth};
use super::http_request::{self, Request};
use super::template::Place;
use super::{About, Answer, Needs, Question, Searchable, Source, give_up, sought};

/// The keys of this kind of source, without those of [`http_auth`].
pub const KEYS: &[&str] =
    &["http", "method", "body", "rows", "search", "search_body", "search_rows", "fields"];

/// The largest answer read, in bytes.
pub const LARGEST: usize = 1024 * 1024;

/// Longer than any connection inside a company takes.
const CONNECT: Duration = Duration::from_secs(5);

/// A web service.
pub struct Http {
    about: About,
    client: Client,
    lookup: Request,
    /// Finds customers for an agent.
    search: Option<Request>,
    /// A parameter that holds a secret.
    parameter: Option<(String, pinkas_config::Secret)>,
    oauth: Option<OAuth>,
}

/// Reads the keys of this kind, noting every mistake; `named` are the paths of what has names of its own.
pub fn read(table: &mut Section<'_>, about: About, named: &[String]) -> Option<(Http, Needs)> {
    let request = http_request::read(table, &about, named);
    let search = match &request {
        Some((request, _)) => http_request::read_search(table, &about, request),
        None => {
            // What belongs to an address that is wrong is no mistake of its own.
            for key in ["search", "search_body", "search_rows"] {
                table.has(key);
            }
            None
        }
    };
    let auth = http_auth::read(table);
    let auth = auth?;
    // Ignored when it is there already: every program of the workspace uses this one provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .user_agent(concat!("pinkas-hub/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT)
        // Whoever asks gives up first, and says so in its own words.
        .timeout(give_up(about.deadline) + Duration::from_secs(1))
        .default_headers(auth.headers)
        .build();
    let client = client.map_err(|e| table.note("http", format!("no web client can be made: {e}"))).ok()?;
    let (lookup, needs) = request?;
    let (parameter, oauth) = (auth.parameter, auth.oauth);
    Some((Http { about, client, lookup, search: search?, parameter, oauth }, needs))
}

impl Http {
    async fn answered(&self, request: &Request, question: &Question) -> Result<Answer, Failure> {
        match self.asked(request, question).await? {
            Some(body) => request.shape.answer(&self.about.asked(), &body),
            None => Ok(Answer::Nothing),
        }
    }

    /// One question and its answer; nothing when the service says that there is nothing.
    async fn asked(&self, request: &Request, question: &Question) -> Result<Option<Vec<u8>>, Failure> {
        let mut url = request.address.for_question(question)?;
        if let Some((name, secret)) = &self.parameter {
            url.query_pairs_mut().append_pair(name, &secret.0);
        }
        let body = request.body.as_ref().map(|body| body.for_question(question)).transpose()?;
        let send = async |token: Option<&HeaderValue>| {
            let mut request = match &body {
                Some(body) => {
                    self.client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(body.clone())
                }
                None => self.client.get(url.clone()),
            };
            if let Some(token) = token {
                request = request.header(AUTHORIZATION, token);
            }
            request.send().await.map_err(|e| broken(&e))
        };
        let mut response = match &self.oauth {
            None => send(None).await?,
            Some(oauth) => {
                let token = oauth.header(&self.client).await?;
                let first = send(Some(&token)).await?;
                // A token may be taken back at any time; one new one is asked for, and no more.
                if first.status() == StatusCode::UNAUTHORIZED {
                    oauth.refused(&token).await;
                    send(Some(&oauth.header(&self.client).await?)).await?
                } else {
                    first
                }
            }
        };
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status if status.is_redirection() => {
                return Err(Failure::Refused { what: "redirect".to_owned() });
            }
            status => return Err(Failure::Refused { what: format!("HTTP {}", status.as_u16()) }),
        }
        body_of(&mut response, LARGEST).await.map(Some)
    }
}

/// The whole body of an answer of at most `largest` bytes.
pub(super) async fn body_of(response: &mut Response, largest: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| broken(&e))? {
        if body.len() + chunk.len() > largest {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// reqwest's own text holds the address, and with it the customer's key: only the kind is told.
pub(super) fn broken(error: &reqwest::Error) -> Failure {
    if error.is_body() || error.is_decode() {
        Failure::NotUnderstood { what: BROKE_OFF.to_owned() }
    } else {
        Failure::Unreachable
    }
}

impl Source for Http {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(self.answered(&self.lookup, question))
    }

    fn places(&self) -> Option<Vec<Place>> {
        Some(self.lookup.places())
    }

    fn searchable(&self) -> Searchable {
        Searchable::asked_if(&self.search)
    }

    fn search<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Vec<(u8, Customer)>, Failure>> {
        Box::pin(async move {
            let question = self.search.as_ref().zip(sought::question(text, &self.about.plan));
            let Some((request, question)) = question else { return Ok(Vec::new()) };
            sought::found(&question, self.answered(request, &question).await)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Body;
    use axum::http::{HeaderMap, Uri};
    use axum::response::Response;
    use tokio::net::TcpListener;

    use crate::sources::testing::{HOSTILE, configured, line, question};

    /// What a pretend service was asked, and the port it listens at.
    struct Service {
        port: u16,
        asked: Arc<Mutex<Vec<String>>>,
    }

    /// A real server on the loopback that answers every request in the same way.
    async fn service(
        status: u16,
        headers: &'static [(&'static str, &'static str)],
        body: Vec<u8>,
    ) -> Service {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        let answer = move |uri: Uri, sent: HeaderMap| {
            let bearer = sent.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("");
            noted.lock().expect("no panic").push(format!("{uri} {bearer}").trim_end().to_owned());
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            let response = response.body(Body::from(body.clone())).expect("a response");
            async move { response }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Service { port, asked }
    }

    async fn asked(service: &Service, more: &str, key: &str) -> String {
        let port = service.port;
        let text = format!(
            "[[source]]\nname = \"erp\"\ngives = \"balance\"\n\
             http = \"http://127.0.0.1:{port}/api/customers/{{customer.id}}/balance\"\n{more}\n\
             [source.fields]\nbalance = \"$.data.amount\"\ncurrency = \"$.data.currency\"\noverdue = \"$.data.overdue\""
        );
        let source = configured(Path::new(""), &text).expect("a right configuration");
        line(source.ask(&question(key)).await)
    }

    async fn check(status: u16, body: &str, expected: &str) {
        let service = service(status, &[("location", "/elsewhere")], body.as_bytes().to_vec()).await;
        assert_eq!(asked(&service, "", "1001").await, expected, "for HTTP {status} {body}");
        assert_eq!(service.asked.lock().expect("no panic").len(), 1, "one request and no other");
    }

    #[tokio::test]
    async fn an_answer_is_read_as_the_configuration_says_and_exactly() {
        check(200, r#"{"data":{"amount":1250.5,"currency":"ils","overdue":"0.10"}}"#, "1250.5 ILS 0.10 ILS")
            .await;
        check(200, r#"{"data":{"amount":"-7","currency":null}}"#, "-7 ?").await;
        check(200, r#"{"data":{"amount":null}}"#, "nothing").await;
        check(404, "no such customer", "nothing").await;
    }

    #[tokio::test]
    async fn a_wrong_answer_is_a_failure_that_quotes_nothing_of_it() {
        check(200, r#"{"data":{"amount":"secret"}}"#, "answer not understood: field balance: not a number")
            .await;
        check(200, r#"{"data":{"amount":[1]}}"#, "answer not understood: field balance: not a number").await;
        check(200, r#"{"data":{"sum":1}}"#, "answer not understood: field balance: missing").await;
        check(200, "<html>secret", "answer not understood: not JSON (line 1, column 1)").await;
        check(200, &"[".repeat(100_000), "answer not understood: not JSON (line 1, column 128)").await;
        check(500, "{}", "refused: HTTP 500").await;
        check(401, "{}", "refused: HTTP 401").await;
        check(302, "{}", "refused: redirect").await;
        check(204, "", "refused: HTTP 204").await;
    }

    #[tokio::test]
    async fn a_huge_answer_is_cut() {
        let service = service(200, &[], vec![b' '; LARGEST * 8]).await;
        assert_eq!(asked(&service, "", "1001").await, "answer too large");
    }

    #[tokio::test]
    async fn a_packed_answer_is_not_unpacked() {
        let service = service(200, &[("content-encoding", "gzip")], vec![0x1f, 0x8b, 8, 0]).await;
        assert_eq!(asked(&service, "", "1001").await, "answer not understood: not JSON (line 1, column 1)");
    }

    #[tokio::test]
    async fn a_service_that_is_down_cannot_be_reached() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let service = Service { port, asked: Arc::default() };
        assert_eq!(asked(&service, "", "1001").await, "cannot be reached");
    }

    #[tokio::test]
    async fn hostile_keys_hit_exactly_the_intended_path() {
        let service = service(200, &[], br#"{"data":{"amount":1}}"#.to_vec()).await;
        for key in HOSTILE {
            assert_eq!(asked(&service, "", key).await, "1 ?");
        }
        let paths = service.asked.lock().expect("no panic").clone();
        assert_eq!(
            paths,
            [
                "/api/customers/%27%3B%20DROP%20TABLE%20sales%3B%20--/balance",
                "/api/customers/..%2F..%2Fadmin/balance",
                "/api/customers/%7B%7B7%2A7%7D%7D/balance",
                "/api/customers/x%3Fy%3Dz%23/balance",
                "/api/customers/1001%20OR%201%3D1/balance",
                &format!("/api/customers/{}/balance", "9".repeat(64)),
            ]
        );
        assert_eq!(asked(&service, "", "..").await, "refused: the key cannot be put in an address");
    }

    #[tokio::test]
    async fn a_bearer_token_comes_from_a_file() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "t0ken\n").expect("written");
        let service = service(404, &[], Vec::new()).await;
        let more = format!("bearer_file = '{}'", file.path().display());
        assert_eq!(asked(&service, &more, "7").await, "nothing");
        let seen = service.asked.lock().expect("no panic").clone();
        assert_eq!(seen, ["/api/customers/7/balance Bearer t0ken"]);
    }

    #[tokio::test]
    async fn rows_are_found_in_a_list_wherever_it_is() {
        let body = br#"{"items":[{"p":"flour","n":2,"d":"2026-11-20"},{"p":"\u202esalt\n"},{"p":null}]}"#;
        let full = service(200, &[], body.to_vec()).await;
        let empty = service(200, &[], br#"{"items":[]}"#.to_vec()).await;
        let wrong = service(200, &[], br#"{"error":"x"}"#.to_vec()).await;
        for rows in ["$.items", "$.items[*]"] {
            let said = async |service: &Service| {
                let text = format!(
                    "[[source]]\nname = \"sales\"\ngives = \"purchases\"\nhttp = \"http://127.0.0.1:{}/?n={{number}}\"\n\
                     rows = \"{rows}\"\n[source.fields]\nproduct = \"$.p\"\nquantity = \"$.n\"\ndate = \"$.d\"",
                    service.port
                );
                let source = configured(Path::new(""), &text).expect("a right configuration");
                line(source.ask(&question("7")).await)
            };
            assert_eq!(said(&full).await, "2026-11-20 2 flour ;  salt ;");
            assert_eq!(said(&empty).await, "nothing");
            let expected = if rows == "$.items" { "answer not understood: rows: missing" } else { "nothing" };
            assert_eq!(said(&wrong).await, expected);
        }
        assert_eq!(full.asked.lock().expect("no panic")[0], "/?n=%2B972501234567");
    }

    #[tokio::test]
    async fn mistakes_in_the_configuration_are_told_with_their_lines() {
        let text = "[[source]]\nname = \"erp\"\ngives = \"balance\"\nhttp = \"https://{number}/x\"\nbearer = \"s3cret\"\n\
                    rows = \"items\"\n[source.headers]\nAuthorization = \"x\"\n\"a b\" = \"x\"\n[source.fields]\nbalance = \"$[\"\nbalanec = \"$.x\"";
        let mistakes = configured(Path::new(""), text).err().unwrap_or_default();
        for expected in [
            "4: this address cannot be used: its host must be written out",
            "5: do not write the secret here",
            "6: `rows`: items is not a JSONPath",
            "8: do not write secrets here: use `bearer_env`",
            "9: `a b` cannot be sent as a header",
            "11: `balance`: $[ is not a JSONPath",
            "12: `balanec` is not a key here; did you mean `balance`?",
        ] {
            assert!(mistakes.contains(expected), "{expected} is not in\n{mistakes}");
        }
        assert!(!mistakes.contains("s3cret"), "{mistakes}");
        let text = "[[source]]\nname = \"erp\"\ngives = \"balance\"\nhttp = \"https://erp/x\"\n[source.fields]\nbalance = \"$.x\"\n";
        let mistakes = configured(Path::new(""), text).err().unwrap_or_default();
        assert!(mistakes.contains("4: this address cannot be used: it holds no {customer.id}"), "{mistakes}");
        let text = "[[source]]\nname = \"erp\"\ngives = \"balance\"\nhttp = \"https://erp/{customer.id}\"\n";
        let mistakes = configured(Path::new(""), text).err().unwrap_or_default();
        assert!(mistakes.contains("[source.fields] does not say where `balance` is"), "{mistakes}");
    }
}
