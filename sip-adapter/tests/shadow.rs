//! The shadow extension against a phone system in the test's hands, over UDP: what it registers, what it answers,
//! and what it says. Text in, text out, so that no library's mistake hides another's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pinkas_protocol::{AdapterId, NumberPlan, Private};
use pinkas_sip_adapter::config::{Pbx, Shadow, SipAccount, Transport};
use pinkas_sip_adapter::hear::{CallHeard, CallKey, Heard, OverBy, What, shadow};
use pinkas_sip_adapter::sip::identity::Rules;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take that a test waits for.
const SOON: Duration = Duration::from_secs(8);

const CHALLENGE: &str =
    "WWW-Authenticate: Digest realm=\"pbx\",nonce=\"n\",algorithm=SHA-256,qop=\"auth\"\r\n";

/// The phone system.
struct Registrar {
    socket: UdpSocket,
    from: Option<SocketAddr>,
}

/// The adapter, and what it says.
struct Adapter {
    heard: mpsc::Receiver<Heard>,
    stop: CancellationToken,
    hearing: JoinHandle<anyhow::Result<()>>,
}

fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = message.lines().skip(1).take_while(|line| !line.is_empty());
    lines.find_map(|line| line.split_once(": ").filter(|(found, _)| *found == name).map(|(_, value)| value))
}

impl Registrar {
    async fn at(address: &str) -> Registrar {
        Registrar { socket: UdpSocket::bind(address).await.expect("a free address"), from: None }
    }

    fn config(&self) -> Shadow {
        let address = self.socket.local_addr().expect("an address");
        let account = SipAccount {
            address,
            transport: Transport::Udp,
            domain: "pbx.example".to_owned(),
            listen: Some(SocketAddr::new(address.ip(), 0)),
            user: "auth-199".to_owned(),
            password: Private("secret".to_owned()),
            realm: Some("pbx".to_owned()),
        };
        let seconds = Duration::from_secs;
        Shadow { account, extension: "199".to_owned(), expires: seconds(60), ring_timeout: seconds(180) }
    }

    fn adapter(&self, config: Shadow) -> Adapter {
        let (heard_in, heard) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let pbx = Pbx {
            lines: vec!["101".parse().expect("a line")],
            rules: Arc::new(Rules { numbers: NumberPlan::new("PL", 4).expect("a plan"), ..Rules::default() }),
        };
        let name = AdapterId::parse("main").expect("a name");
        Adapter {
            heard,
            stop: stop.clone(),
            hearing: tokio::spawn(shadow::run(config, pbx, name, heard_in, stop)),
        }
    }

    async fn receive(&mut self) -> String {
        let mut buffer = vec![0; 65_536];
        let receiving = self.socket.recv_from(&mut buffer);
        let (length, from) = tokio::time::timeout(SOON, receiving).await.expect("soon").expect("a datagram");
        self.from = Some(from);
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// The next message that begins so.
    async fn expect(&mut self, start: &str) -> String {
        loop {
            let message = self.receive().await;
            if message.starts_with(start) {
                return message;
            }
            assert!(message.starts_with("SIP/2.0 100"), "not {start}:\n{message}");
        }
    }

    async fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.from.expect("heard of before")).await.expect("sent");
    }

    async fn reply(&self, to: &str, status: &str, more: &str) {
        let copied = ["Via", "From", "To", "Call-ID", "CSeq"].map(|name| {
            let value = header(to, name).unwrap_or_else(|| panic!("no {name} in\n{to}"));
            format!("{name}: {value}\r\n")
        });
        self.send(&format!("SIP/2.0 {status}\r\n{}{more}Content-Length: 0\r\n\r\n", copied.concat())).await;
    }

    /// Asks the next REGISTER for credentials and gives the one that has them.
    async fn let_in(&mut self) -> String {
        let bare = self.expect("REGISTER ").await;
        if header(&bare, "Authorization").is_some() {
            return bare;
        }
        self.reply(&bare, "401 Unauthorized", CHALLENGE).await;
        let with = self.expect("REGISTER ").await;
        let credentials = header(&with, "Authorization").expect("credentials");
        assert!(
            credentials.contains("username=\"auth-199\"") && credentials.contains("algorithm=SHA-256"),
            "{credentials}"
        );
        with
    }

    /// Lets it look and register. Gives its contact.
    async fn register(&mut self, expires: u32) -> String {
        let look = self.let_in().await;
        assert_eq!(header(&look, "Contact"), None, "it looks first");
        self.reply(&look, "200 OK", "").await;
        let add = self.let_in().await;
        for name in ["From", "To"] {
            assert!(header(&add, name).expect("a header").starts_with("<sip:199@pbx.example>"), "{add}");
        }
        let contact = header(&add, "Contact").expect("a contact").to_owned();
        assert_eq!(header(&add, "Expires"), Some("60"));
        self.reply(&add, "200 OK", &format!("Contact: {contact};expires={expires}\r\n")).await;
        contact
    }

    fn invite(&self, contact: &str, call_id: &str, more: &str) -> String {
        let (uri, address) =
            (contact.trim_matches(['<', '>']), self.socket.local_addr().expect("an address"));
        format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{call_id}\r\nMax-Forwards: 70\r\n\
             From: \"Dana\" <sip:+48221234567@pbx.example>;tag=f\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:pbx@{address}>\r\n{more}Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
        )
    }
}

/// The same transaction by another method.
fn turned(invite: &str, method: &str, more: &str) -> String {
    let head = invite.split("Contact: ").next().expect("a head").replacen("INVITE", method, 1);
    let head = head.replace("1 INVITE", &format!("1 {method}"));
    format!("{head}{more}Content-Length: 0\r\n\r\n")
}

impl Adapter {
    async fn hears(&mut self) -> What {
        tokio::time::timeout(SOON, self.heard.recv()).await.expect("soon").expect("a word").what
    }

    async fn hears_of(&mut self, call_id: &str) -> CallHeard {
        match self.hears().await {
            What::Call { key, is } if key == CallKey::new(call_id) => is,
            other => panic!("{other:?}"),
        }
    }

    async fn stopped(self) {
        self.stop.cancel();
        self.hearing.await.expect("no panic").expect("no error");
    }
}

#[tokio::test]
async fn it_looks_registers_rings_tells_how_it_ended_and_leaves() {
    let mut pbx = Registrar::at("127.0.30.80:0").await;
    let mut adapter = pbx.adapter(pbx.config());
    let contact = pbx.register(60).await;
    assert_eq!(adapter.hears().await, What::Up { live: Some(vec![]) });

    // A colleague answers.
    let invite = pbx.invite(&contact, "one", "X-DID: +48229998877\r\n");
    pbx.send(&invite).await;
    let ringing = pbx.expect("SIP/2.0 180").await;
    let tag = header(&ringing, "To").and_then(|to| to.split_once(";tag=")).expect("a tag").1.to_owned();
    let CallHeard::Facts(facts) = adapter.hears_of("one").await else { panic!("no facts") };
    assert_eq!(facts.caller.number.as_ref().and_then(|number| number.key()), Some("+48221234567"));
    assert!(facts.dialled.is_some());
    pbx.send(&invite).await;
    pbx.expect("SIP/2.0 180").await;
    pbx.send(&turned(&invite, "CANCEL", "Reason: SIP;cause=200;text=\"x\"\r\nReason: Q.850;cause=26\r\n"))
        .await;
    assert!(header(&pbx.expect("SIP/2.0 200").await, "CSeq").expect("a header").ends_with("CANCEL"));
    let end = pbx.expect("SIP/2.0 487").await;
    assert!(header(&end, "To").expect("a header").ends_with(&tag), "one dialog, one tag:\n{end}");
    assert_eq!(adapter.hears_of("one").await, CallHeard::Over { by: OverBy::Colleague });
    pbx.send(&turned(&invite, "ACK", "")).await;

    // The caller gives up; the call of the retransmission above is not told a second time.
    let invite = pbx.invite(&contact, "two", "");
    pbx.send(&invite).await;
    pbx.expect("SIP/2.0 180").await;
    assert!(matches!(adapter.hears_of("two").await, CallHeard::Facts(_)));
    pbx.send(&turned(&invite, "CANCEL", "Reason: Q.850;cause=127\r\n")).await;
    pbx.expect("SIP/2.0 200").await;
    pbx.expect("SIP/2.0 487").await;
    assert_eq!(adapter.hears_of("two").await, CallHeard::Over { by: OverBy::Caller });
    pbx.send(&turned(&invite, "ACK", "")).await;

    // What is none of its business.
    let long = format!("X-Long: {}\r\n", "x".repeat(400));
    let within =
        pbx.invite(&contact, "three", &long).replacen("Call-ID", "X-Old", 1).replacen("X-Old", "Call-ID", 1);
    let within = within.replacen(">\r\nCall-ID", ">;tag=unknown\r\nCall-ID", 1);
    pbx.send(&within).await;
    pbx.expect("SIP/2.0 481").await;
    pbx.send(&turned(&within, "ACK", "")).await;
    for (method, status) in
        [("BYE", "481"), ("OPTIONS", "200"), ("REFER", "405"), ("MESSAGE", "405"), ("SUBSCRIBE", "405")]
    {
        pbx.send(&turned(&pbx.invite(&contact, method, ""), method, &long)).await;
        pbx.expect(&format!("SIP/2.0 {status}")).await;
    }
    // Shorter than its answer would be.
    let short = format!(
        "INVITE sip:a SIP/2.0\r\nv: SIP/2.0/UDP {};branch=z9hG4bKs\r\nf: <sip:a>;tag=f\r\nt: <sip:a>\r\n\
        i: s\r\nCSeq: 1 INVITE\r\n\r\n",
        pbx.socket.local_addr().expect("an address")
    );
    pbx.send(&short).await;

    // It leaves in the middle of a call: the sentinel that shows that the short one was not answered.
    let invite = pbx.invite(&contact, "four", "");
    pbx.send(&invite).await;
    pbx.expect("SIP/2.0 180").await;
    assert!(matches!(adapter.hears_of("four").await, CallHeard::Facts(_)));
    adapter.stop.cancel();
    let leave = pbx.let_in().await;
    assert_eq!(header(&leave, "Contact"), Some(format!("{contact};expires=0").as_str()));
    pbx.reply(&leave, "200 OK", "").await;
    pbx.expect("SIP/2.0 480").await;
    pbx.send(&turned(&invite, "ACK", "")).await;
    assert_eq!(adapter.hears().await, What::Down);
    adapter.stopped().await;
}

#[tokio::test]
async fn where_somebody_is_registered_it_sends_no_contact() {
    let mut pbx = Registrar::at("127.0.30.81:0").await;
    let adapter = pbx.adapter(pbx.config());
    let look = pbx.let_in().await;
    assert_eq!(header(&look, "Contact"), None);
    pbx.reply(&look, "200 OK", "Contact: <sip:199@127.0.30.90:5060>;expires=100\r\n").await;
    // The end is the sentinel: it has nothing to withdraw, so nothing comes at all.
    adapter.stopped().await;
    let mut buffer = [0; 1000];
    assert!(pbx.socket.try_recv(&mut buffer).is_err(), "{}", String::from_utf8_lossy(&buffer));
}

#[tokio::test]
async fn a_phone_that_appears_makes_it_leave_and_what_it_left_itself_does_not() {
    let mut pbx = Registrar::at("127.0.30.82:0").await;
    let mut adapter = pbx.adapter(pbx.config());
    let look = pbx.let_in().await;
    let left = "<sip:199@127.0.30.82:5999;pinkas=main;run=before>";
    pbx.reply(&look, "200 OK", &format!("Contact: {left};expires=20\r\n")).await;
    let clear = pbx.let_in().await;
    assert_eq!(header(&clear, "Contact"), Some(format!("{left};expires=0").as_str()));
    pbx.reply(&clear, "200 OK", "").await;
    let add = pbx.let_in().await;
    let contact = header(&add, "Contact").expect("a contact").to_owned();
    // Granted for 2 s: it looks again after one.
    pbx.reply(&add, "200 OK", &format!("Contact: {contact};expires=2\r\n")).await;
    assert_eq!(adapter.hears().await, What::Up { live: Some(vec![]) });
    let invite = pbx.invite(&contact, "one", "");
    pbx.send(&invite).await;
    pbx.expect("SIP/2.0 180").await;
    assert!(matches!(adapter.hears_of("one").await, CallHeard::Facts(_)));
    let look = pbx.let_in().await;
    assert_eq!(header(&look, "Contact"), None);
    pbx.reply(
        &look,
        "200 OK",
        &format!("Contact: {contact};expires=1\r\nContact: <sip:199@127.0.30.90>;expires=60\r\n"),
    )
    .await;
    // The call that rings is refused, and it leaves; in either order.
    let mut refused = false;
    let leave = loop {
        let message = pbx.receive().await;
        if message.starts_with("SIP/2.0 480") {
            refused = true;
            pbx.send(&turned(&invite, "ACK", "")).await;
        } else if header(&message, "Authorization").is_none() {
            pbx.reply(&message, "401 Unauthorized", CHALLENGE).await;
        } else {
            break message;
        }
    };
    assert_eq!(header(&leave, "Contact"), Some(format!("{contact};expires=0").as_str()));
    pbx.reply(&leave, "200 OK", "").await;
    if !refused {
        pbx.expect("SIP/2.0 480").await;
    }
    assert_eq!(adapter.hears_of("one").await, CallHeard::Over { by: OverBy::Unknown });
    assert_eq!(adapter.hears().await, What::Down);
    adapter.stopped().await;
}

#[tokio::test]
async fn what_nobody_withdraws_is_refused_in_time() {
    let mut pbx = Registrar::at("127.0.30.83:0").await;
    let config = Shadow { ring_timeout: Duration::from_secs(1), ..pbx.config() };
    let mut adapter = pbx.adapter(config);
    let contact = pbx.register(60).await;
    adapter.hears().await;
    let invite = pbx.invite(&contact, "one", "");
    pbx.send(&invite).await;
    pbx.expect("SIP/2.0 180").await;
    assert!(matches!(adapter.hears_of("one").await, CallHeard::Facts(_)));
    pbx.expect("SIP/2.0 480").await;
    assert_eq!(adapter.hears_of("one").await, CallHeard::Over { by: OverBy::Unknown });
    pbx.send(&turned(&invite, "ACK", "")).await;
    adapter.stop.cancel();
    let leave = pbx.let_in().await;
    pbx.reply(&leave, "200 OK", "").await;
    adapter.stopped().await;
}
