//! How the hub shows a web service who it is: headers that hold secrets, and OAuth 2 tokens by client
//! credentials (RFC 6749 section 4.4). A token is asked for once at a time, kept until shortly before it
//! ends, and thrown away when the service refuses it. No secret and no token is ever in an error or a log.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use pinkas_config::{Secret, Section};
use pinkas_protocol::Failure;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::http::{body_of, broken};

/// The keys of a source that say who asks.
pub const KEYS: &[&str] = &[
    "headers",
    "bearer_env",
    "bearer_file",
    "user",
    "password_env",
    "password_file",
    "api_key_env",
    "api_key_file",
    "api_key_header",
    "api_key_query",
    "oauth",
];

/// The largest answer with a token, in bytes.
const LARGEST_TOKEN: usize = 64 * 1024;

/// How long a token is used when its answer does not say.
const LIFETIME: Duration = Duration::from_secs(60);

/// A token is not used in the last part of its life: the question has to get there too.
const MARGIN: Duration = Duration::from_secs(30);

/// Who the hub is to one service.
pub struct Auth {
    /// Sent with every question; the secret ones are marked so that nothing prints them.
    pub headers: HeaderMap,
    /// A parameter of every address: its name and the secret.
    pub parameter: Option<(String, Secret)>,
    /// Where tokens come from.
    pub oauth: Option<OAuth>,
}

/// Reads who the hub is, noting every mistake.
pub fn read(table: &mut Section<'_>) -> Option<Auth> {
    let mut ways = Vec::new();
    let mut secrets = Vec::new();
    for key in ["bearer", "password", "api_key"] {
        let (from_env, from_file) = (format!("{key}_env"), format!("{key}_file"));
        if table.has(&from_env) || table.has(&from_file) {
            ways.push(if table.has(&from_env) { from_env } else { from_file });
        }
        secrets.push(table.secret(key));
    }
    let [bearer, password, api_key] = <[Option<Secret>; 3]>::try_from(secrets).ok()?;
    let mut headers = headers(table)?;
    let mut right = true;
    let mut set =
        |table: &mut Section<'_>, at: &str, name: HeaderName, value: String| match HeaderValue::try_from(
            value,
        ) {
            Ok(mut value) => {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            Err(_) => {
                table.note(at, "the secret holds characters that cannot be sent in a header");
                right = false;
            }
        };
    let at = ways.first().cloned().unwrap_or_default();
    let oauth = table.has("oauth");
    if ways.len() + usize::from(oauth) > 1 {
        let second = if oauth { "oauth" } else { ways.get(1).map_or("", String::as_str) };
        table.note(
            second,
            "a source shows in one way who asks: a bearer token, a user and password, an API key, or oauth",
        );
        return None;
    }
    if let Some(bearer) = bearer {
        set(table, &at, AUTHORIZATION, format!("Bearer {}", bearer.0));
    }
    let user = table.text("user");
    match (user, password) {
        (Some(user), Some(password)) => {
            // RFC 7617: the user ends at the first colon.
            if user.contains(':') {
                table.note("user", "a user's name cannot hold a colon");
                return None;
            }
            set(
                table,
                &at,
                AUTHORIZATION,
                format!("Basic {}", BASE64.encode(format!("{user}:{}", password.0))),
            );
        }
        (Some(_), None) if !at.starts_with("password") => {
            table.note("user", "`user` needs `password_env` or `password_file`");
            return None;
        }
        (None, Some(_)) => {
            table.note(&at, "a password needs `user`");
            return None;
        }
        _ => {}
    }
    let header = table.text("api_key_header");
    let query = table.text("api_key_query");
    let mut parameter = None;
    match (api_key, header, query) {
        (Some(_), Some(_), Some(_)) => {
            table.note("api_key_query", "write either `api_key_header` or `api_key_query`, not both");
            return None;
        }
        (Some(key), _, Some(query)) => parameter = Some((query, key)),
        (Some(key), header, None) => {
            let written = header.unwrap_or_else(|| "X-Api-Key".to_owned());
            let Ok(name) = HeaderName::try_from(&written) else {
                table.note(
                    "api_key_header",
                    "`api_key_header` must be the name of a header such as \"X-Api-Key\"",
                );
                return None;
            };
            set(table, &at, name, key.0);
        }
        (None, None, None) => {}
        (None, header, _) if !at.starts_with("api_key") => {
            let key = if header.is_some() { "api_key_header" } else { "api_key_query" };
            table.note(key, format!("`{key}` needs `api_key_env` or `api_key_file`"));
            return None;
        }
        _ => {}
    }
    let oauth = match oauth {
        true => Some(OAuth::read(&mut table.table("oauth"))?),
        false => None,
    };
    // What could not be read has been noted where it stands.
    right.then_some(Auth { headers, parameter, oauth })
}

/// `[source.headers]`: as written, or `NAME_env` and `NAME_file` for secrets.
fn headers(table: &mut Section<'_>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    let mut right = true;
    let mut written = table.table("headers");
    for (key, value) in written.entries() {
        let secret = key.strip_suffix("_env").or_else(|| key.strip_suffix("_file"));
        let value = match secret {
            Some(name) => written.secret(name).map(|secret| secret.0),
            None => Some(value),
        };
        let Some(value) = value else {
            right = false;
            continue;
        };
        match (HeaderName::try_from(secret.unwrap_or(&key)), HeaderValue::try_from(value)) {
            (Ok(header), _) if header == AUTHORIZATION && secret.is_none() => {
                written
                    .note(&key, "do not write secrets here: use `bearer_env`, or `user` and `password_env`");
                right = false;
            }
            (Ok(header), Ok(mut value)) => {
                value.set_sensitive(secret.is_some());
                headers.insert(header, value);
            }
            _ => {
                written.note(&key, format!("`{key}` cannot be sent as a header"));
                right = false;
            }
        }
    }
    right.then_some(headers)
}

/// Tokens by client credentials.
pub struct OAuth {
    token_url: Url,
    client_id: String,
    client_secret: Secret,
    scope: Option<String>,
    /// The name and password go in the form instead of the header (RFC 6749 section 2.3.1 allows both).
    in_form: bool,
    token: Mutex<Option<Token>>,
}

struct Token {
    header: HeaderValue,
    until: Instant,
}

impl OAuth {
    fn read(table: &mut Section<'_>) -> Option<OAuth> {
        let url = table
            .need_text("token_url", "the address tokens come from, such as \"https://login.example/token\"");
        let client_id = table.need_text("client_id", "the name the service gave the hub");
        let client_secret = table.need_secret("client_secret");
        let scope = table.text("scope");
        let send = table.text("send");
        let in_form = match send.as_deref() {
            None | Some("header") => Some(false),
            Some("form") => Some(true),
            Some(_) => {
                table.note(
                    "send",
                    "`send` must be \"header\" or \"form\": where the client's name and secret go",
                );
                None
            }
        };
        let token_url = Url::parse(&url?).ok().filter(|url| {
            let plain = url.username().is_empty() && url.password().is_none();
            matches!(url.scheme(), "http" | "https") && plain && url.fragment().is_none()
        });
        if token_url.is_none() {
            table.note("token_url", "`token_url` must be an address such as \"https://login.example/token\", without a user or password");
        }
        Some(OAuth {
            token_url: token_url?,
            client_id: client_id?,
            client_secret: client_secret?,
            scope,
            in_form: in_form?,
            token: Mutex::new(None),
        })
    }

    /// The header of a token that is still good; whoever comes while one is being asked for waits for it.
    pub async fn header(&self, client: &Client) -> Result<HeaderValue, Failure> {
        let mut token = self.token.lock().await;
        if let Some(token) = token.as_ref().filter(|token| Instant::now() < token.until) {
            return Ok(token.header.clone());
        }
        let fetched = self.fetch(client).await?;
        let header = fetched.header.clone();
        *token = Some(fetched);
        Ok(header)
    }

    /// The service refused `header`: the next question gets a new one.
    pub async fn refused(&self, header: &HeaderValue) {
        let mut token = self.token.lock().await;
        if token.as_ref().is_some_and(|token| token.header == header) {
            *token = None;
        }
    }

    fn form(&self) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(scope) = &self.scope {
            form.append_pair("scope", scope);
        }
        if self.in_form {
            form.append_pair("client_id", &self.client_id)
                .append_pair("client_secret", &self.client_secret.0);
        }
        form.finish()
    }

    async fn fetch(&self, client: &Client) -> Result<Token, Failure> {
        let mut request = client
            .post(self.token_url.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(self.form());
        if !self.in_form {
            // RFC 6749 section 2.3.1: both are form-encoded before they are put together.
            let encoded =
                |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let both = format!("{}:{}", encoded(&self.client_id), encoded(&self.client_secret.0));
            let mut value = HeaderValue::try_from(format!("Basic {}", BASE64.encode(both)))
                .map_err(|_| login_refused("the client's name"))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let asked = Instant::now();
        let mut response = request.send().await.map_err(|e| broken(&e))?;
        let status = response.status();
        let body = body_of(&mut response, LARGEST_TOKEN).await?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status != StatusCode::OK {
            // RFC 6749 section 5.2 has these words and no others; anything else may hold anything.
            const WORDS: [&str; 6] = [
                "invalid_request",
                "invalid_client",
                "invalid_grant",
                "unauthorized_client",
                "unsupported_grant_type",
                "invalid_scope",
            ];
            let said = answer.get("error").and_then(Value::as_str);
            let word = said.and_then(|said| WORDS.into_iter().find(|word| *word == said));
            return Err(login_refused(
                &word.map_or_else(|| format!("HTTP {}", status.as_u16()), str::to_owned),
            ));
        }
        let not_understood = |what: &str| Failure::NotUnderstood { what: format!("token: {what}") };
        let bearer = answer.get("token_type").and_then(Value::as_str);
        if !bearer.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(not_understood("not a bearer token"));
        }
        let token =
            answer.get("access_token").and_then(Value::as_str).ok_or_else(|| not_understood("missing"))?;
        let mut header =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| not_understood("cannot be sent"))?;
        header.set_sensitive(true);
        let lifetime = answer.get("expires_in").and_then(seconds).unwrap_or(LIFETIME);
        let margin = MARGIN.min(lifetime / 2);
        Ok(Token { header, until: asked + (lifetime - margin) })
    }
}

/// Some services write the number as text. More than a day is not believed.
fn seconds(value: &Value) -> Option<Duration> {
    let seconds = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    Some(Duration::from_secs(seconds.min(86_400)))
}

fn login_refused(what: &str) -> Failure {
    Failure::Refused { what: format!("no token, {what}") }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use axum::Router;
    use axum::extract::{Request, State};
    use axum::http::Response;
    use tokio::net::TcpListener;

    use crate::sources::testing::{configured, line, question};

    /// A pretend service and its tokens: `t1`, `t2`, …; it takes only the newest one.
    #[derive(Default)]
    struct Service {
        asked: std::sync::Mutex<Vec<String>>,
        tokens: std::sync::atomic::AtomicUsize,
        lifetime: u64,
        /// Refuses every token.
        refuses: bool,
        /// Says this and this status instead of a token.
        says: Option<(u16, &'static str)>,
    }

    async fn answer(State(service): State<Arc<Service>>, request: Request) -> Response<String> {
        use std::sync::atomic::Ordering::SeqCst;
        let (parts, body) = request.into_parts();
        let header = |name: &str| {
            parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned()
        };
        let (uri, sent, key) = (parts.uri.to_string(), header("authorization"), header("x-api-key"));
        let body = axum::body::to_bytes(body, 10_000).await.unwrap_or_default();
        let body = String::from_utf8_lossy(&body).into_owned();
        let said = |status: u16, text: String| Response::builder().status(status).body(text).expect("right");
        service
            .asked
            .lock()
            .expect("no panic")
            .push(format!("{uri} {sent} {key} {body}").trim_end().to_owned());
        if uri == "/token" {
            // Time for others to come and wait for the same token.
            tokio::task::yield_now().await;
            let token = 1 + service.tokens.fetch_add(1, SeqCst);
            return match service.says {
                Some((status, text)) => said(status, text.to_owned()),
                None => said(
                    200,
                    format!(
                        r#"{{"access_token":"t{token}","token_type":"bearer","expires_in":{}}}"#,
                        service.lifetime
                    ),
                ),
            };
        }
        let newest = format!("Bearer t{}", service.tokens.load(SeqCst));
        match sent.starts_with("Bearer t") && (service.refuses || sent != newest) {
            true => said(401, String::new()),
            false => said(200, r#"{"amount":7}"#.to_owned()),
        }
    }

    async fn start(service: Service) -> (Arc<Service>, u16) {
        let service = Arc::new(service);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let router = Router::new().fallback(answer).with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (service, port)
    }

    fn config(port: u16, more: &str) -> String {
        format!(
            "[[source]]\nname = \"erp\"\ngives = \"balance\"\nhttp = \"http://127.0.0.1:{port}/{{customer.id}}?x=1\"\n{more}\n\
             [source.fields]\nbalance = \"$.amount\"\n"
        )
    }

    fn oauth(port: u16, more: &str) -> String {
        config(
            port,
            &format!(
                "[source.oauth]\ntoken_url = \"http://127.0.0.1:{port}/token\"\nclient_id = \"hu b\"\nclient_secret_file = \"secret\"\n{more}"
            ),
        )
    }

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("secret"), "s3c&ret\n").expect("written");
        dir
    }

    async fn asked(more: &str) -> Vec<String> {
        let dir = folder();
        let (service, port) = start(Service::default()).await;
        let source = configured(dir.path(), &config(port, more)).expect("a right configuration");
        assert_eq!(line(source.ask(&question("9")).await), "7 ?", "{more}");
        service.asked.lock().expect("no panic").clone()
    }

    #[tokio::test]
    async fn each_way_of_showing_who_asks_is_sent_as_the_standard_says() {
        let basic = "user = \"hub\"\npassword_file = \"secret\"";
        assert_eq!(asked(basic).await, ["/9?x=1 Basic aHViOnMzYyZyZXQ="]);
        assert_eq!(asked("api_key_file = \"secret\"").await, ["/9?x=1  s3c&ret"]);
        let query = "api_key_file = \"secret\"\napi_key_query = \"key\"";
        assert_eq!(asked(query).await, ["/9?x=1&key=s3c%26ret"]);
        assert_eq!(asked("[source.headers]\nX-Api-Key_file = \"secret\"").await, ["/9?x=1  s3c&ret"]);
        let post = "method = \"POST\"\nbody = '{\"id\": \"{customer.id}\", \"n\": 1}'";
        assert_eq!(asked(post).await, ["/9?x=1   {\"id\":\"9\",\"n\":1}"]);
    }

    #[tokio::test]
    async fn one_token_serves_many_questions_and_a_refused_one_is_replaced_once() {
        let dir = folder();
        let (service, port) = start(Service { lifetime: 3600, ..Service::default() }).await;
        let source = configured(dir.path(), &oauth(port, "scope = \"a b\"")).expect("right");
        let one = question("9");
        let many = futures_util::future::join_all((0..8).map(|_| source.ask(&one))).await;
        assert!(many.into_iter().all(|said| line(said) == "7 ?"));
        let seen = service.asked.lock().expect("no panic").clone();
        let tokens: Vec<_> = seen.iter().filter(|line| line.starts_with("/token")).collect();
        // RFC 6749 section 2.3.1: "hu+b:s3c%26ret".
        assert_eq!(tokens, ["/token Basic aHUrYjpzM2MlMjZyZXQ=  grant_type=client_credentials&scope=a+b"]);
        service.tokens.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(line(source.ask(&one).await), "7 ?", "the old token is refused, a new one is got");
        let seen = service.asked.lock().expect("no panic").clone();
        assert_eq!(seen.len(), 9 + 3);

        let (service, port) = start(Service { refuses: true, ..Service::default() }).await;
        let source = configured(dir.path(), &oauth(port, "send = \"form\"")).expect("right");
        assert_eq!(line(source.ask(&one).await), "refused: HTTP 401");
        let seen = service.asked.lock().expect("no panic").clone();
        let form = "/token   grant_type=client_credentials&client_id=hu+b&client_secret=s3c%26ret";
        let first = ["/9?x=1 Bearer t1", "/9?x=1 Bearer t2"];
        assert_eq!(seen, [form, first[0], form, first[1]], "one new try and no more");
    }

    #[tokio::test]
    async fn a_token_is_asked_for_anew_before_it_ends() {
        let dir = folder();
        let (service, port) = start(Service { lifetime: 0, ..Service::default() }).await;
        let source = configured(dir.path(), &oauth(port, "")).expect("right");
        for _ in 0..2 {
            assert_eq!(line(source.ask(&question("9")).await), "7 ?");
        }
        assert_eq!(service.tokens.load(std::sync::atomic::Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_refused_login_is_told_in_the_standards_words_and_no_others() {
        for (status, body, expected) in [
            (401, r#"{"error":"invalid_client"}"#, "refused: no token, invalid_client"),
            (400, r#"{"error":"s3c&ret"}"#, "refused: no token, HTTP 400"),
            (302, "", "refused: no token, HTTP 302"),
            (200, "<html>", "answer not understood: token: not a bearer token"),
            (200, r#"{"token_type":"Bearer"}"#, "answer not understood: token: missing"),
            (
                200,
                r#"{"token_type":"Bearer","access_token":"a\nb"}"#,
                "answer not understood: token: cannot be sent",
            ),
        ] {
            let dir = folder();
            let (_, port) = start(Service { says: Some((status, body)), ..Service::default() }).await;
            let source = configured(dir.path(), &oauth(port, "")).expect("right");
            assert_eq!(line(source.ask(&question("9")).await), expected);
        }
    }

    #[test]
    fn mistakes_are_told_with_their_lines() {
        let wrong =
            |more: &str| configured(Path::new("/nowhere"), &config(1, more)).err().unwrap_or_default();
        for (more, expected) in [
            ("user = \"a\"", "5: `user` needs `password_env`"),
            ("api_key_query = \"k\"", "5: `api_key_query` needs `api_key_env`"),
            ("bearer_env = \"A\"\napi_key_env = \"B\"", "6: a source shows in one way who asks"),
            ("method = \"PUT\"", "5: `method` must be"),
            ("method = \"POST\"", "5: a POST needs `body`"),
            ("method = \"GET\"\nbody = \"{}\"", "6: a GET sends no `body`"),
            ("body = \"{\"", "5: `body` cannot be used: it is not JSON"),
            ("[source.oauth]\ntoken_url = \"https://u:p@x\"", "6: `token_url` must be an address"),
            ("[source.oauth]\ntoken_url = \"https://x\"\nsend = \"x\"", "7: `send` must be"),
            ("[source.oauth]\n", "`client_secret_env` or `client_secret_file` is missing"),
        ] {
            let told = wrong(more);
            assert!(told.contains(expected), "{expected} is not in\n{told}");
        }
    }
}
