//! Hearing by dialog events, against a phone system that says what a test tells it to, over UDP, TCP and TLS.

mod notifier;

use std::sync::Arc;
use std::time::Duration;

use notifier::{ACTIVE, Message, Notifier, SOON, challenge, config, document, lines, say};
use pinkas_sip_adapter::check::{Finding, Level};
use pinkas_sip_adapter::config::{DialogEvents, Tls, Transport};
use pinkas_sip_adapter::hear::{Heard, dialog_events};
use rsipstack::sip::headers::auth::{Algorithm, AuthQop};
use rsipstack::sip::{DigestGenerator, Method};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// The adapter's ear, running.
struct Ear {
    heard: mpsc::Receiver<Heard>,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Ear {
    fn open(config: DialogEvents, names: &[&str]) -> Ear {
        let (heard_in, heard) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let task = tokio::spawn(dialog_events::run(config, lines(names), heard_in, stop.clone()));
        Ear { heard, stop, task }
    }

    async fn hears(&mut self, expected: &[&str]) {
        for expected in expected {
            let heard = tokio::time::timeout(SOON, self.heard.recv()).await;
            let heard = heard.unwrap_or_else(|_| panic!("nothing heard, but {expected:?}")).expect("open");
            assert_eq!(say(&heard), *expected);
        }
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.task).await.expect("soon").expect("no panic").expect("no error");
    }
}

fn found(findings: &[Finding], level: Level, words: &str) {
    let found = findings.iter().any(|finding| finding.level == level && finding.text.contains(words));
    assert!(found, "no {level:?} with {words:?} in {findings:#?}");
}

fn answers(message: &Message, part: &str) -> String {
    let value = message.header("Authorization");
    let value = value.split(&format!("{part}=\"")).nth(1).and_then(|rest| rest.split('"').next());
    value.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_password_is_proved_by_the_strongest_digest_that_both_know() {
    let mut pbx = Notifier::udp("127.0.0.1:0").await;
    let mut ear = Ear::open(config(pbx.address, Transport::Udp, None), &["101"]);
    let first = pbx.subscribe().await;
    let offers = ["SHA-512-256", "MD5", "SHA-256"].map(|algorithm| challenge(algorithm, algorithm)).concat();
    pbx.answer(&first, "401 Unauthorized", &offers).await;
    let second = pbx.subscribe().await;
    let proof = second.header("Authorization");
    assert!(proof.contains("algorithm=SHA-256,") && proof.contains("username=\"pin\\\"kas\""), "{proof}");
    let uri = rsipstack::sip::parse_uri("sip:101@office").expect("a URI");
    let qop = AuthQop::Auth { cnonce: answers(&second, "cnonce"), nc: 1 };
    let expected = DigestGenerator {
        username: "pin\"kas",
        password: "s3cret",
        nonce: "SHA-256",
        uri: &uri,
        realm: "office",
        method: &Method::Subscribe,
        qop: Some(&qop),
        algorithm: Algorithm::Sha256,
    };
    assert_eq!(answers(&second, "response"), expected.compute());
    assert_eq!(answers(&second, "uri"), "sip:101@office");
    pbx.answer(&second, "200 OK", "Expires: 60\r\n").await;
    pbx.notify(&second, 1, ACTIVE, &document(0, "full", "terminated")).await;
    ear.hears(&["up", "101 idle"]).await;
    ear.end().await;
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_whatever_the_nonce_and_a_stale_one_once_more() {
    for (stale, requests) in [("", 2), (",stale=true", 3)] {
        let mut pbx = Notifier::udp("127.0.0.1:0").await;
        let config = config(pbx.address, Transport::Udp, None);
        let pbx_side = async {
            for count in 0..requests {
                let subscribe = pbx.subscribe().await;
                let challenge =
                    challenge("MD5", &format!("n{count}")).replace("\r\n", &format!("{stale}\r\n"));
                pbx.answer(&subscribe, "401 Unauthorized", &challenge).await;
            }
            // Nothing more may come before the probe ends.
            pbx.subscribe().await
        };
        let (config, pbx_lines) = (config, lines(&["101", "102", "103"]));
        let findings = tokio::select! {
            findings = dialog_events::probe(&config, &pbx_lines) => findings,
            more = pbx_side => panic!("one request too many: {}", more.0),
        };
        found(&findings, Level::Broken, "refuses user \"pin\\\"kas\": check `user` and the password");
    }
}

#[tokio::test]
async fn a_foreign_realm_is_named_and_gets_no_answer() {
    let mut pbx = Notifier::udp("127.0.0.1:0").await;
    let mut config = config(pbx.address, Transport::Udp, None);
    config.account.realm = Some("asterisk".to_owned());
    let pbx_side = async {
        let subscribe = pbx.subscribe().await;
        pbx.answer(&subscribe, "401 Unauthorized", &challenge("MD5", "n")).await;
        pbx.subscribe().await
    };
    let pbx_lines = lines(&["101"]);
    let findings = tokio::select! {
        findings = dialog_events::probe(&config, &pbx_lines) => findings,
        more = pbx_side => panic!("something was sent: {}", more.0),
    };
    found(&findings, Level::Broken, "asks for the realm \"office\" and not \"asterisk\"");
}

#[tokio::test]
async fn over_tcp_everything_uses_one_connection_and_a_lost_one_is_made_again() {
    let mut pbx = Notifier::tcp("127.0.0.1:0", None).await;
    let mut ear = Ear::open(config(pbx.address, Transport::Tcp, None), &["101"]);
    pbx.accept().await;
    let first = pbx.welcome(&document(0, "full", "terminated")).await;
    assert!(first.header("Via").starts_with("SIP/2.0/TCP "), "{}", first.0);
    assert!(first.header("Contact").ends_with(";transport=tcp>"), "{}", first.0);
    pbx.notify(&first, 2, ACTIVE, &document(1, "full", "early")).await;
    ear.hears(&["up", "101 idle", "101 rings Levi"]).await;
    pbx.hang_up().await;
    ear.hears(&["101 lost", "down"]).await;
    pbx.accept().await;
    let second = pbx.welcome(&document(0, "full", "confirmed")).await;
    assert_ne!(first.header("Call-ID"), second.header("Call-ID"));
    ear.hears(&["up", "101 busy"]).await;
    // A ping of theirs is answered, and at the end it unsubscribes over the same connection.
    pbx.send(b"\r\n\r\n").await;
    let (stop, task) = (ear.stop, ear.task);
    stop.cancel();
    let last = pbx.subscribe().await;
    assert_eq!((last.header("Expires"), last.header("Call-ID")), ("0", second.header("Call-ID")));
    pbx.answer(&last, "200 OK", "Expires: 0\r\n").await;
    task.await.expect("no panic").expect("no error");
}

/// A certificate authority's file, and a server with a certificate for `name`.
fn tls(name: &str) -> (tempfile::NamedTempFile, TlsAcceptor) {
    let certified = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), certified.cert.pem()).expect("written");
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.into())
        .expect("a server");
    (file, TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn over_tls_the_phone_system_must_prove_its_name() {
    let (file, acceptor) = tls("pbx.example");
    let mut pbx = Notifier::tcp("127.0.0.1:0", Some(acceptor)).await;
    let transport =
        |name: &str| Transport::Tls(Tls { ca_file: Some(file.path().to_owned()), name: name.to_owned() });
    let mut ear = Ear::open(config(pbx.address, transport("pbx.example"), None), &["101"]);
    pbx.accept().await;
    let first = pbx.welcome(&document(0, "full", "early")).await;
    assert!(first.header("Via").starts_with("SIP/2.0/TLS "), "{}", first.0);
    ear.hears(&["up", "101 rings Levi"]).await;
    ear.end().await;

    let others = [
        transport("other.example"),
        // Nobody on this machine vouches for it.
        Transport::Tls(Tls {
            ca_file: Some(tls("pbx.example").0.path().to_owned()),
            name: "pbx.example".to_owned(),
        }),
    ];
    for other in others {
        let config = config(pbx.address, other, None);
        let pbx_lines = lines(&["101"]);
        let (findings, ()) = tokio::join!(dialog_events::probe(&config, &pbx_lines), async {
            if !matches!(&config.account.transport, Transport::Tls(tls) if !tls.ca_file.as_ref().is_some_and(|f| f.exists()))
            {
                pbx.refuse_handshake().await;
            }
        });
        assert!(findings.iter().all(|finding| finding.level == Level::Broken), "{findings:#?}");
    }
}

const LIST: &[u8] = b"Require: eventlist\r\nSubscription-State: active;expires=60\r\nContent-Type: multipart/related;type=\"application/rlmi+xml\";boundary=b\r\n";

fn list(full: bool, version: u32, states: &[(&str, &str)]) -> String {
    let resource = |(line, _): &(&str, &str)| {
        format!(
            "<resource uri=\"sip:{line}@x\"><instance id=\"i\" state=\"active\" cid=\"{line}@x\"/></resource>"
        )
    };
    let part = |(line, state): &(&str, &str)| {
        let document = document(version, "full", state);
        format!(
            "--b\r\nContent-ID: <{line}@x>\r\nContent-Type: application/dialog-info+xml\r\n\r\n{document}\r\n"
        )
    };
    format!(
        "--b\r\nContent-ID: <l@x>\r\nContent-Type: application/rlmi+xml\r\n\r\n<list uri=\"sip:agents@x\" version=\"{version}\" \
         fullState=\"{full}\">{}</list>\r\n{}--b--\r\n",
        states.iter().map(resource).collect::<String>(),
        states.iter().map(part).collect::<String>(),
    )
}

#[tokio::test]
async fn a_list_is_one_subscription_for_all_lines_and_a_gap_is_filled_at_once() {
    let mut pbx = Notifier::udp("127.0.0.1:0").await;
    let mut ear = Ear::open(config(pbx.address, Transport::Udp, Some("agents")), &["101", "102"]);
    let first = pbx.subscribe().await;
    assert_eq!((first.user(), first.header("Supported")), ("agents", "eventlist"));
    assert!(first.header("Accept").contains("multipart/related"), "{}", first.0);
    pbx.answer(&first, "200 OK", "Require: eventlist\r\nExpires: 60\r\n").await;
    // Larger than 8 KiB, which is all that rsipstack would read of a datagram.
    let mut body = list(true, 0, &[("101", "terminated"), ("102", "confirmed")]);
    body.insert_str(0, &format!("{}\r\n", "preamble ".repeat(1000)));
    pbx.notify(&first, 1, LIST, &body).await;
    assert_eq!(pbx.answered().await, "200");
    pbx.notify(&first, 2, LIST, &list(false, 1, &[("101", "early")])).await;
    ear.hears(&["up", "101 idle", "102 busy", "101 rings Levi"]).await;
    pbx.notify(&first, 3, LIST, &list(false, 3, &[("102", "terminated")])).await;
    let again = pbx.subscribe().await;
    assert_eq!(again.header("Call-ID"), first.header("Call-ID"));
    pbx.answer(&again, "200 OK", "Expires: 60\r\n").await;
    pbx.notify(&again, 4, LIST, &list(true, 4, &[("101", "confirmed"), ("102", "terminated")])).await;
    ear.hears(&["102 idle", "101 busy", "102 idle"]).await;
    ear.end().await;
}

#[tokio::test]
async fn without_such_a_list_each_line_is_asked_for() {
    let mut pbx = Notifier::udp("127.0.0.1:0").await;
    for (status, is_line) in
        [("489 Bad Event", false), ("420 Bad Extension", false), ("404 Not Found", false), ("200 OK", true)]
    {
        let mut ear = Ear::open(config(pbx.address, Transport::Udp, Some("agents")), &["101"]);
        let first = pbx.subscribe().await;
        assert_eq!(first.user(), "agents");
        pbx.answer(&first, status, "Expires: 60\r\n").await;
        if is_line {
            pbx.notify(&first, 1, ACTIVE, &document(0, "full", "confirmed")).await;
            let last = pbx.subscribe().await;
            assert_eq!(last.header("Expires"), "0");
            pbx.answer(&last, "200 OK", "Expires: 0\r\n").await;
        }
        let line =
            pbx.next("SUBSCRIBE to the line", |m| m.method() == "SUBSCRIBE" && m.user() == "101").await;
        pbx.answer(&line, "200 OK", "Expires: 60\r\n").await;
        pbx.notify(&line, 1, ACTIVE, &document(0, "full", "terminated")).await;
        let expected: &[&str] = if is_line { &["101 idle"] } else { &["up", "101 idle"] };
        let heard = tokio::time::timeout(SOON, ear.heard.recv()).await.expect("soon").expect("open");
        let rest =
            if say(&heard) == "up" && is_line { expected } else { &expected[1.min(expected.len() - 1)..] };
        if !is_line {
            assert_eq!(say(&heard), "up");
        }
        ear.hears(rest).await;
        ear.end().await;
        while pbx_has_more(&mut pbx).await {}
    }
}

/// Reads away what a closed ear has sent at its end.
async fn pbx_has_more(pbx: &mut Notifier) -> bool {
    tokio::time::timeout(Duration::from_millis(50), pbx.next("more", |_| true)).await.is_ok()
}

#[tokio::test]
async fn a_partial_document_that_skips_a_version_makes_it_ask_for_all() {
    let mut pbx = Notifier::udp("127.0.0.1:0").await;
    let mut ear = Ear::open(config(pbx.address, Transport::Udp, None), &["101"]);
    let first = pbx.welcome(&document(0, "full", "terminated")).await;
    pbx.notify(&first, 2, ACTIVE, &document(2, "partial", "early")).await;
    let again = pbx.subscribe().await;
    assert!(again.header("To").contains(";tag=pbx"), "{}", again.0);
    pbx.answer(&again, "200 OK", "Expires: 60\r\n").await;
    pbx.notify(&again, 3, ACTIVE, &document(2, "full", "confirmed")).await;
    ear.hears(&["up", "101 idle", "101 busy"]).await;
    ear.end().await;
}

#[tokio::test]
async fn the_least_time_is_granted_and_a_forgotten_dialog_is_made_anew() {
    let mut pbx = Notifier::udp("127.0.0.1:0").await;
    let mut config = config(pbx.address, Transport::Udp, None);
    config.expires = Duration::from_secs(2);
    let mut ear = Ear::open(config, &["101"]);
    let first = pbx.subscribe().await;
    pbx.answer(&first, "423 Interval Too Brief", "Min-Expires: 4\r\n").await;
    let second = pbx.subscribe().await;
    assert_eq!(second.header("Expires"), "4");
    pbx.answer(&second, "200 OK", "Expires: 2\r\n").await;
    pbx.notify(&second, 1, ACTIVE, &document(0, "full", "terminated")).await;
    // At half of what was granted.
    let refresh = pbx.subscribe().await;
    assert_eq!(refresh.header("Call-ID"), second.header("Call-ID"));
    pbx.answer(&refresh, "481 Subscription does not exist", "").await;
    let third = pbx.subscribe().await;
    assert_ne!(third.header("Call-ID"), second.header("Call-ID"));
    pbx.answer(&third, "200 OK", "Expires: 60\r\n").await;
    pbx.notify(&third, 1, ACTIVE, &document(0, "full", "confirmed")).await;
    ear.hears(&["up", "101 idle", "101 busy"]).await;
    // Ended by the phone system: at once anew.
    let over =
        b"Subscription-State: terminated;reason=deactivated\r\nContent-Type: application/dialog-info+xml\r\n";
    pbx.notify(&third, 2, over, "").await;
    let fourth = pbx.subscribe().await;
    assert_ne!(fourth.header("Call-ID"), third.header("Call-ID"));
    pbx.answer(&fourth, "200 OK", "Expires: 60\r\n").await;
    pbx.notify(&fourth, 1, ACTIVE, &document(0, "full", "terminated")).await;
    ear.hears(&["101 idle"]).await;
    // Gone for good: lost.
    let over =
        b"Subscription-State: terminated;reason=noresource\r\nContent-Type: application/dialog-info+xml\r\n";
    pbx.notify(&fourth, 2, over, "").await;
    ear.hears(&["101 lost"]).await;
    ear.end().await;
}

#[tokio::test]
async fn a_phone_system_that_dies_silently_is_noticed_and_one_that_comes_back_is_heard() {
    let mut pbx = Notifier::udp("127.0.0.1:0").await;
    let mut config = config(pbx.address, Transport::Udp, None);
    config.ping = Duration::from_millis(300);
    let mut ear = Ear::open(config, &["101"]);
    let first = pbx.welcome(&document(0, "full", "early")).await;
    ear.hears(&["up", "101 rings Levi"]).await;
    let options = |message: &Message| message.method() == "OPTIONS";
    let ping = pbx.next("OPTIONS", options).await;
    pbx.answer(&ping, "404 Not Found", "").await;
    // Silence; then it is back with its memory and says the state in the old dialog.
    ear.hears(&["101 lost", "down"]).await;
    pbx.notify(&first, 7, ACTIVE, &document(3, "full", "confirmed")).await;
    ear.hears(&["up", "101 busy"]).await;
    let refresh = pbx.subscribe().await;
    assert_eq!(refresh.header("Call-ID"), first.header("Call-ID"));
    pbx.answer(&refresh, "200 OK", "Expires: 60\r\n").await;
    pbx.notify(&refresh, 8, ACTIVE, &document(3, "full", "confirmed")).await;
    ear.hears(&["101 busy"]).await;
    ear.end().await;
}

#[tokio::test]
async fn check_tells_which_lines_are_heard_and_which_are_silent_or_missing() {
    let mut pbx = Notifier::udp("127.0.0.1:0").await;
    let config = config(pbx.address, Transport::Udp, Some("agents"));
    let pbx_lines = lines(&["101", "102", "103"]);
    let pbx_side = async {
        loop {
            let subscribe = pbx.subscribe().await;
            let expires = subscribe.header("Expires").to_owned();
            match (subscribe.user(), expires.as_str()) {
                (_, "0") => pbx.answer(&subscribe, "200 OK", "Expires: 0\r\n").await,
                ("agents" | "103", _) => pbx.answer(&subscribe, "404 Not Found", "").await,
                (user, _) => {
                    let heard = user == "101";
                    pbx.answer(&subscribe, "200 OK", "Expires: 60\r\n").await;
                    if heard {
                        pbx.notify(&subscribe, 1, ACTIVE, &document(0, "full", "terminated")).await;
                    }
                }
            }
        }
    };
    let findings = tokio::select! {
        findings = dialog_events::probe(&config, &pbx_lines) => findings,
        () = pbx_side => Vec::new(),
    };
    found(&findings, Level::Good, "1 of 3 lines are heard");
    found(&findings, Level::Trap, "has no list \"agents\"");
    found(&findings, Level::Broken, "does not know line 103");
    found(&findings, Level::Broken, "line 102: the phone system accepts SUBSCRIBE and sends no NOTIFY");
    found(&findings, Level::Trap, "notify_early_inuse_ringing");
}

#[tokio::test]
async fn strange_messages_hide_no_call_and_strangers_get_no_answer() {
    let mut pbx = Notifier::udp("127.0.0.1:0").await;
    let mut ear = Ear::open(config(pbx.address, Transport::Udp, None), &["101"]);
    let first = pbx.welcome(&document(0, "full", "terminated")).await;
    // Not UTF-8, before the headers that matter.
    let strange = [b"Server: B\xfcro \xf9\xe0\r\nX-Folded: a\r\n  b\r\n", ACTIVE].concat();
    pbx.notify(&first, 2, &strange, &document(1, "full", "early")).await;
    assert_eq!(pbx.answered().await, "200");
    // Of another dialog, by the right address: refused, and no longer than what was sent.
    let other = Message(first.0.replace("Call-ID: ", "Call-ID: x"));
    pbx.notify(&other, 3, ACTIVE, &document(9, "full", "terminated")).await;
    assert_eq!(pbx.answered().await, "481");
    // By another address nothing is answered: the next answer is to the phone system.
    let stranger = tokio::net::UdpSocket::bind("127.0.0.2:0").await.expect("a socket");
    let contact =
        first.header("Contact").split('@').nth(1).and_then(|c| c.split('>').next()).expect("a contact");
    stranger.send_to(b"OPTIONS sip:x SIP/2.0\r\n\r\n", contact).await.expect("sent");
    pbx.notify(&first, 4, ACTIVE, &document(2, "full", "confirmed")).await;
    assert_eq!(pbx.answered().await, "200");
    ear.hears(&["up", "101 idle", "101 rings Levi", "101 busy"]).await;
    let nothing = stranger.try_recv(&mut [0; 16]);
    assert!(nothing.is_err(), "a stranger was answered");
    // A refusal longer than its request is not sent.
    pbx.send(b"BYE sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: z\r\nCSeq: 1 BYE\r\n\r\n").await;
    pbx.notify(&first, 5, ACTIVE, &document(3, "full", "terminated")).await;
    let answer = pbx.next("answer", |message| message.start().starts_with("SIP/2.0")).await;
    assert_eq!(answer.header("CSeq"), "5 NOTIFY");
    ear.end().await;
}
