//! A tiny subscriber drives the pretend phone system over a real socket. It waits for what it expects and never
//! sleeps; that something was *not* sent is shown by what comes next.

use std::time::Duration;

use rsip::common::uri::Uri;
use rsip::headers::auth::{Algorithm, AuthQop};
use rsip::services::DigestGenerator;
use tokio::time::timeout;

use super::*;

const USER: &str = "pinkas";
const PASSWORD: &str = "correct horse";

fn line(text: &str) -> Line {
    Line::parse(text).expect("a line")
}

fn lines(texts: &[&str]) -> Vec<Line> {
    texts.iter().map(|text| line(text)).collect()
}

async fn pbx(faults: Faults) -> Pbx {
    let config = PbxConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        realm: "asterisk".to_owned(),
        user: USER.to_owned(),
        password: PASSWORD.to_owned(),
        lines: ["101", "102", "103"].map(|text| (line(text), format!("Agent {text}"))).to_vec(),
        faults,
    };
    Pbx::start(config).await.expect("a free port")
}

fn caller() -> PretendCaller {
    PretendCaller::new("+48220000101", "Żółkiewski <Piekarnia>")
}

/// A message as the subscriber sees it.
#[derive(Debug, Clone)]
struct Seen(String);

impl Seen {
    fn starts(&self, text: &str) -> bool {
        self.0.starts_with(text)
    }

    fn header(&self, name: &str) -> &str {
        let prefix = format!("{name}: ");
        self.0.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default()
    }

    fn between(&self, before: &str, after: &str) -> &str {
        let rest = self.0.split_once(before).unwrap_or_else(|| panic!("{before} in {}", self.0)).1;
        rest.split_once(after).map_or(rest, |(found, _)| found)
    }

    /// `101 early 1`: line, state and version.
    fn gist(&self) -> String {
        let part = |before, after| self.between(before, after);
        format!(
            "{} {} {}",
            part("<dialog id=\"", "\""),
            part("<state>", "<"),
            part("dialog-info\" version=\"", "\"")
        )
    }
}

struct Subscriber {
    socket: UdpSocket,
    pbx: SocketAddr,
    cseq: u32,
    password: &'static str,
}

impl Subscriber {
    async fn new(pbx: &Pbx) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        Subscriber { socket, pbx: pbx.address(), cseq: 1, password: PASSWORD }
    }

    async fn next(&self) -> Seen {
        let mut buffer = vec![0; 65_536];
        let received = timeout(Duration::from_secs(10), self.socket.recv_from(&mut buffer)).await;
        let (length, _) = received.expect("a message in time").expect("a working socket");
        Seen(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    async fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.pbx).await.expect("sent");
    }

    async fn request(&mut self, method: &str, extension: &str, to_tag: &str, extra: &str) {
        self.cseq += 1;
        let (own, cseq) = (self.socket.local_addr().expect("bound"), self.cseq);
        let text = format!(
            "{method} sip:{extension}@{pbx} SIP/2.0\r\nVia: SIP/2.0/UDP {own};rport;branch=z9hG4bK{cseq}\r\n\
             From: <sip:{USER}@{pbx}>;tag=me\r\nTo: <sip:{extension}@{pbx}>{to_tag}\r\nCall-ID: c-{extension}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:{USER}@{own}>\r\nMax-Forwards: 70\r\n{extra}\
             Content-Length: 0\r\n\r\n",
            pbx = self.pbx,
        );
        self.send(&text).await;
    }

    async fn acknowledge(&self, notify: &Seen, status: &str) {
        let echoed = ["Via", "From", "To", "Call-ID", "CSeq"]
            .map(|name| format!("{name}: {}\r\n", notify.header(name)));
        self.send(&format!("SIP/2.0 {status}\r\n{}Content-Length: 0\r\n\r\n", echoed.concat())).await;
    }

    async fn notified(&self) -> Seen {
        let notify = self.next().await;
        assert!(notify.starts("NOTIFY "), "{notify:?}");
        self.acknowledge(&notify, "200 OK").await;
        notify
    }

    /// The headers of a second try after `challenge`.
    fn proof(&self, challenge: &Seen, extension: &str) -> String {
        let uri = format!("sip:{extension}@{}", self.pbx);
        let (realm, nonce) = (challenge.between("realm=\"", "\""), challenge.between("nonce=\"", "\""));
        let response = DigestGenerator {
            username: USER,
            password: self.password,
            nonce,
            uri: &Uri::try_from(uri.as_str()).expect("a URI"),
            realm,
            method: &rsip::Method::Subscribe,
            qop: Some(&AuthQop::Auth { cnonce: "f00d".to_owned(), nc: 1 }),
            algorithm: Algorithm::Md5,
        };
        let response = response.compute();
        format!(
            "Authorization: Digest username=\"{USER}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm=MD5, qop=auth, cnonce=\"f00d\", nc=00000001\r\n"
        )
    }

    /// The answer to a SUBSCRIBE with the password.
    async fn try_to_subscribe(&mut self, extension: &str, extra: &str) -> Seen {
        self.request("SUBSCRIBE", extension, "", extra).await;
        let challenge = self.next().await;
        assert!(challenge.starts("SIP/2.0 401 "), "{challenge:?}");
        assert!(challenge.0.contains(",algorithm=MD5,qop=\"auth\"") && !challenge.0.contains("stale"));
        let proof = self.proof(&challenge, extension);
        self.request("SUBSCRIBE", extension, "", &format!("{extra}{proof}")).await;
        self.next().await
    }

    /// Subscribes; the 200's To, with its tag, and the first NOTIFY.
    async fn subscribe(&mut self, extension: &str) -> (String, Seen) {
        let ok = self.try_to_subscribe(extension, "Event: dialog\r\nExpires: 60\r\n").await;
        assert!(ok.starts("SIP/2.0 200 "), "{ok:?}");
        assert_eq!(ok.header("Expires"), "60");
        let tag = ok.header("To").split_once('>').expect("a tag").1.to_owned();
        (tag, self.notified().await)
    }
}

#[tokio::test]
async fn a_call_is_early_with_its_caller_then_confirmed_then_terminated() {
    let pbx = pbx(Faults::default()).await;
    let mut me = Subscriber::new(&pbx).await;
    let (tag, first) = me.subscribe("101").await;
    assert_eq!(first.gist(), "101 terminated 0");
    assert_eq!(first.header("Event"), "dialog");
    assert!(first.header("Subscription-State").starts_with("active;expires="));
    assert!(first.header("From").ends_with(&tag) && first.header("To").ends_with(";tag=me"));
    pbx.subscribed(&lines(&["101"])).await;

    let call = pbx.call(caller(), &lines(&["101"])).await;
    let early = me.notified().await;
    assert_eq!(early.gist(), "101 early 1");
    assert!(
        early.0.contains("<identity display=\"Żółkiewski &lt;Piekarnia&gt;\">sip:+48220000101@127.0.0.1<")
    );
    assert!(call.sent_at() <= Timestamp::now());

    me.request("SUBSCRIBE", "101", &tag, "Event: dialog\r\nExpires: 2\r\n").await;
    let ok = me.next().await;
    assert!(ok.starts("SIP/2.0 200 ") && ok.header("Expires") == "2", "a refresh is not challenged: {ok:?}");
    assert_eq!(me.notified().await.gist(), "101 early 1", "the same version again");

    call.answer(&line("101")).await;
    let confirmed = me.notified().await;
    assert_eq!(confirmed.gist(), "101 confirmed 2");
    assert!(!confirmed.0.contains("remote"));
    call.hang_up().await;
    assert_eq!(me.notified().await.gist(), "101 terminated 3");

    me.request("SUBSCRIBE", "101", &tag, "Event: dialog\r\nExpires: 0\r\n").await;
    assert_eq!(me.next().await.header("Expires"), "0");
    let last = me.notified().await;
    assert_eq!((last.gist().as_str(), last.header("Subscription-State")), ("101 terminated 3", "terminated"));
    me.request("SUBSCRIBE", "101", &tag, "Event: dialog\r\nExpires: 60\r\n").await;
    assert!(me.next().await.starts("SIP/2.0 481 "));
}

#[tokio::test]
async fn in_a_ring_all_the_losers_may_be_told_before_the_winner() {
    let pbx = pbx(Faults::default()).await;
    let mut me = Subscriber::new(&pbx).await;
    for extension in ["101", "102", "103"] {
        me.subscribe(extension).await;
    }
    let all = lines(&["101", "102", "103"]);
    let call = pbx.call(caller(), &all).await;
    let busy = pbx.call(PretendCaller::withheld(), &lines(&["101"])).await;
    call.answer(&line("102")).await;
    busy.hang_up().await;
    let mut gists = Vec::new();
    for _ in 0..6 {
        gists.push(me.notified().await.gist());
    }
    let expected = ["101 early 1", "102 early 1", "103 early 1"];
    assert_eq!(gists[..3], expected);
    assert_eq!(gists[3..], ["101 terminated 2", "103 terminated 2", "102 confirmed 2"]);

    let late = Subscriber::new(&pbx).await.subscribe("102").await.1;
    assert_eq!(late.gist(), "102 confirmed 0", "a subscription during a conversation has no caller");
    call.decline(&line("102")).await;
    call.abandon().await;
    pbx.call(PretendCaller::withheld(), &lines(&["103"])).await;
    let anonymous = me.notified().await;
    assert_eq!(anonymous.gist(), "103 early 3", "a conversation is neither declined nor abandoned");
    assert!(anonymous.0.contains("display=\"Anonymous\">sip:anonymous@anonymous.invalid<"));
}

#[tokio::test]
async fn refusals_are_those_of_asterisk() {
    let pbx = pbx(Faults::default()).await;
    let mut me = Subscriber::new(&pbx).await;
    me.send("\r\n\r\n").await;
    me.send("SUBSCRIBE garbage").await;
    let unknown = me.try_to_subscribe("999", "Event: dialog\r\nExpires: 60\r\n").await;
    assert!(unknown.starts("SIP/2.0 404 "), "{unknown:?}");
    let event = me.try_to_subscribe("101", "Event: presence\r\nExpires: 60\r\n").await;
    assert!(event.starts("SIP/2.0 489 "), "{event:?}");
    me.password = "guess";
    let wrong = me.try_to_subscribe("101", "Event: dialog\r\nExpires: 60\r\n").await;
    assert!(wrong.starts("SIP/2.0 401 ") && !wrong.0.contains("stale"), "{wrong:?}");
    me.request("OPTIONS", "101", "", "").await;
    assert!(me.next().await.starts("SIP/2.0 200 "));
    me.request("INVITE", "101", "", "").await;
    assert!(me.next().await.starts("SIP/2.0 405 "));
}

#[tokio::test]
async fn forgotten_subscriptions_are_481_and_a_new_one_sees_the_ringing_call() {
    let pbx = pbx(Faults::default()).await;
    let mut me = Subscriber::new(&pbx).await;
    let (tag, _) = me.subscribe("101").await;
    pbx.forget_subscriptions();
    pbx.call(caller(), &lines(&["101"])).await;
    me.request("SUBSCRIBE", "101", &tag, "Event: dialog\r\nExpires: 60\r\n").await;
    assert!(me.next().await.starts("SIP/2.0 481 "), "and no NOTIFY of the call before it");
    assert_eq!(me.subscribe("101").await.1.gist(), "101 early 0");
}

#[tokio::test]
async fn a_notify_may_overtake_the_200() {
    let pbx = pbx(Faults { notify_before_200: true, ..Faults::default() }).await;
    let mut me = Subscriber::new(&pbx).await;
    let first = me.try_to_subscribe("101", "Event: dialog\r\nExpires: 60\r\n").await;
    assert!(first.starts("NOTIFY "), "{first:?}");
    me.acknowledge(&first, "200 OK").await;
    let ok = me.next().await;
    assert!(ok.starts("SIP/2.0 200 "), "{ok:?}");
    assert_eq!(ok.header("To"), first.header("From"), "the same dialog");
}

#[tokio::test]
async fn a_lost_notify_is_repeated_and_a_481_ends_the_subscription() {
    let pbx = pbx(Faults { drop_every_nth: Some(2), duplicate_notifies: true, ..Faults::default() }).await;
    let mut me = Subscriber::new(&pbx).await;
    let (tag, first) = me.subscribe("101").await;
    assert_eq!(me.notified().await.0, first.0, "every NOTIFY comes twice");
    let before = Instant::now();
    let call = pbx.call(caller(), &lines(&["101"])).await;
    let repeated = me.next().await;
    assert_eq!(repeated.gist(), "101 early 1");
    assert!(before.elapsed() >= Duration::from_millis(490), "the first was lost");
    me.acknowledge(&repeated, "481 Subscription does not exist").await;
    me.request("SUBSCRIBE", "101", &tag, "Event: dialog\r\nExpires: 60\r\n").await;
    assert!(me.next().await.starts("SIP/2.0 481 "));
    call.hang_up().await;
}

#[tokio::test]
async fn it_stops_without_a_word_and_frees_its_port() {
    let first = pbx(Faults::default()).await;
    let mut me = Subscriber::new(&first).await;
    let (tag, _) = me.subscribe("101").await;
    let call = first.call(caller(), &lines(&["101"])).await;
    me.notified().await;
    first.stop().await;
    call.hang_up().await;
    first.subscribed(&lines(&["103"])).await;
    let config = PbxConfig {
        listen: first.address(),
        realm: "asterisk".to_owned(),
        user: USER.to_owned(),
        password: PASSWORD.to_owned(),
        lines: vec![(line("101"), "Agent".to_owned())],
        faults: Faults::default(),
    };
    let _second = Pbx::start(config).await.expect("the port is free");
    me.request("SUBSCRIBE", "101", &tag, "Event: dialog\r\nExpires: 60\r\n").await;
    assert!(me.next().await.starts("SIP/2.0 481 "), "and nothing was said before");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_sent_as_they_are() {
    let pbx = pbx(Faults::default()).await;
    let mut me = Subscriber::new(&pbx).await;
    me.subscribe("101").await;
    pbx.call(PretendCaller::new(b"1<2\xff", b"</display>\xe9").raw(), &lines(&["101"])).await;
    let mut buffer = [0; 4096];
    let (length, _) = me.socket.recv_from(&mut buffer).await.expect("a NOTIFY");
    let wanted = b"display=\"</display>\xe9\">sip:1<2\xff@";
    assert!(buffer[..length].windows(wanted.len()).any(|part| part == wanted));
}
