//! A phone system in a test's hands: it hears what the adapter sends, over UDP, TCP or TLS, and says
//! exactly what the test tells it to. Text in, text out, so that no library's mistake hides another's.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pinkas_sip_adapter::config::{DialogEvents, Pbx, SipAccount, Transport};
use pinkas_sip_adapter::hear::{Heard, LineHeard, What};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// How long anything may take that a test waits for.
pub const SOON: Duration = Duration::from_secs(8);

trait Both: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}

enum Way {
    Udp(Arc<UdpSocket>, Option<SocketAddr>),
    Stream { listener: TcpListener, tls: Option<TlsAcceptor>, out: Option<WriteHalf<Box<dyn Both>>> },
}

/// The phone system.
pub struct Notifier {
    way: Way,
    pub address: SocketAddr,
    received_in: mpsc::Sender<(String, Option<SocketAddr>)>,
    received: mpsc::Receiver<(String, Option<SocketAddr>)>,
    waiting: VecDeque<Message>,
}

/// A message of the adapter.
#[derive(Debug, Clone)]
pub struct Message(pub String);

impl Message {
    pub fn header(&self, name: &str) -> &str {
        let lines = self.0.lines().skip(1).take_while(|line| !line.is_empty());
        let mut values = lines.filter_map(|line| line.split_once(':'));
        values.find(|(found, _)| found.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
    }

    pub fn start(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }

    pub fn method(&self) -> &str {
        self.start().split(' ').next().unwrap_or_default()
    }

    /// The user part of the request URI.
    pub fn user(&self) -> &str {
        let uri = self.start().split(' ').nth(1).unwrap_or_default();
        uri.trim_start_matches("sip:").split('@').next().unwrap_or_default()
    }
}

impl Notifier {
    pub async fn udp(address: &str) -> Notifier {
        let socket = Arc::new(UdpSocket::bind(address).await.expect("a free address"));
        let local = socket.local_addr().expect("an address");
        let notifier = Notifier::new(Way::Udp(socket.clone(), None), local);
        let received = notifier.received_in.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if received.send((text, Some(from))).await.is_err() {
                    return;
                }
            }
        });
        notifier
    }

    pub async fn tcp(address: &str, tls: Option<TlsAcceptor>) -> Notifier {
        let listener = TcpListener::bind(address).await.expect("a free address");
        let local = listener.local_addr().expect("an address");
        Notifier::new(Way::Stream { listener, tls, out: None }, local)
    }

    fn new(way: Way, address: SocketAddr) -> Notifier {
        let (received_in, received) = mpsc::channel(256);
        Notifier { way, address, received_in, received, waiting: VecDeque::new() }
    }

    /// Waits for the adapter's connection.
    pub async fn accept(&mut self) {
        let Way::Stream { listener, tls, out } = &mut self.way else { panic!("there are no connections") };
        let (stream, _) =
            tokio::time::timeout(SOON, listener.accept()).await.expect("soon").expect("a connection");
        let stream: Box<dyn Both> = match tls {
            Some(tls) => Box::new(tls.accept(stream).await.expect("a TLS handshake")),
            None => Box::new(stream),
        };
        let (mut read, write) = tokio::io::split(stream);
        *out = Some(write);
        let received = self.received_in.clone();
        tokio::spawn(async move {
            let mut text = String::new();
            let mut buffer = vec![0; 65_536];
            while let Ok(length) = read.read(&mut buffer).await {
                if length == 0 {
                    return;
                }
                text.push_str(&String::from_utf8_lossy(&buffer[..length]));
                // The adapter sends no bodies.
                while let Some(end) = text.find("\r\n\r\n") {
                    let rest = text.split_off(end + 4);
                    if received.send((std::mem::replace(&mut text, rest), None)).await.is_err() {
                        return;
                    }
                }
            }
        });
    }

    /// Waits for a handshake that must fail.
    pub async fn refuse_handshake(&mut self) {
        let Way::Stream { listener, tls: Some(tls), .. } = &mut self.way else { panic!("there is no TLS") };
        let (stream, _) =
            tokio::time::timeout(SOON, listener.accept()).await.expect("soon").expect("a connection");
        if let Ok(mut stream) = tls.accept(stream).await {
            let read = stream.read(&mut [0; 1]).await;
            assert!(matches!(read, Ok(0) | Err(_)), "the adapter must hang up");
        }
    }

    /// Ends the connection.
    pub async fn hang_up(&mut self) {
        let Way::Stream { out, .. } = &mut self.way else { panic!("there are no connections") };
        out.take().expect("a connection").shutdown().await.expect("closed");
    }

    pub async fn send(&mut self, text: &[u8]) {
        match &mut self.way {
            Way::Udp(socket, peer) => {
                socket.send_to(text, peer.expect("the adapter has spoken")).await.map(drop).expect("sent");
            }
            Way::Stream { out, .. } => {
                out.as_mut().expect("a connection").write_all(text).await.expect("sent")
            }
        }
    }

    /// The next message that `pick` wants; others wait for their turn.
    pub async fn next(&mut self, what: &str, pick: impl Fn(&Message) -> bool) -> Message {
        if let Some(at) = self.waiting.iter().position(&pick) {
            return self.waiting.remove(at).expect("it is there");
        }
        let until = tokio::time::Instant::now() + SOON;
        loop {
            let received = tokio::time::timeout_at(until, self.received.recv()).await;
            let (text, from) = received.unwrap_or_else(|_| panic!("no {what} came")).expect("open");
            if let (Way::Udp(_, peer), Some(from)) = (&mut self.way, from) {
                *peer = Some(from);
            }
            let message = Message(text);
            if pick(&message) {
                return message;
            }
            self.waiting.push_back(message);
        }
    }

    pub async fn subscribe(&mut self) -> Message {
        self.next("SUBSCRIBE", |message| message.method() == "SUBSCRIBE").await
    }

    /// The adapter's answer to a NOTIFY.
    pub async fn answered(&mut self) -> String {
        let answer = self.next("answer", |message| message.start().starts_with("SIP/2.0")).await;
        answer.start().split(' ').nth(1).unwrap_or_default().to_owned()
    }

    pub async fn answer(&mut self, to: &Message, status: &str, extra: &str) {
        let (via, from, call_id, cseq) =
            (to.header("Via"), to.header("From"), to.header("Call-ID"), to.header("CSeq"));
        let tag = if to.header("To").contains(";tag=") { "" } else { ";tag=pbx" };
        let to = to.header("To");
        let text = format!(
            "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}{tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\
             Contact: <sip:{}>\r\n{extra}Content-Length: 0\r\n\r\n",
            self.address
        );
        self.send(text.as_bytes()).await;
    }

    /// Tells something within the dialog that `subscribe` opened.
    pub async fn notify(&mut self, subscribe: &Message, cseq: u32, headers: &[u8], body: &str) {
        let tag = subscribe.header("To").split(";tag=").nth(1).unwrap_or("pbx");
        let to = subscribe.header("To").split(";tag=").next().unwrap_or_default();
        let head = format!(
            "NOTIFY sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{cseq}{tag}{}\r\nFrom: {to};tag={tag}\r\n\
             To: {}\r\nCall-ID: {}\r\nCSeq: {cseq} NOTIFY\r\nEvent: dialog\r\n",
            self.address,
            subscribe.header("Call-ID"),
            subscribe.header("From"),
            subscribe.header("Call-ID"),
        );
        let rest = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.send(&[head.as_bytes(), headers, rest.as_bytes()].concat()).await;
    }

    /// Lets the adapter subscribe with whatever password, and tells the first state.
    pub async fn welcome(&mut self, body: &str) -> Message {
        let first = self.subscribe().await;
        self.answer(&first, "401 Unauthorized", &challenge("MD5", "n1")).await;
        let second = self.subscribe().await;
        assert!(second.header("Authorization").contains("nonce=\"n1\""), "{}", second.0);
        self.answer(&second, "200 OK", "Expires: 60\r\n").await;
        self.notify(&second, 1, ACTIVE, body).await;
        assert_eq!(self.answered().await, "200");
        second
    }
}

pub const ACTIVE: &[u8] =
    b"Subscription-State: active;expires=60\r\nContent-Type: application/dialog-info+xml\r\n";

pub fn challenge(algorithm: &str, nonce: &str) -> String {
    format!(
        "WWW-Authenticate: Digest realm=\"office\",nonce=\"{nonce}\",algorithm={algorithm},qop=\"auth,auth-int\"\r\n"
    )
}

/// A dialog-info document of one dialog.
pub fn document(version: u32, kind: &str, state: &str) -> String {
    let remote = "<remote><identity display=\"Levi\">sip:+972501234567@x</identity></remote>";
    format!(
        "<dialog-info version=\"{version}\" state=\"{kind}\"><dialog id=\"1\" direction=\"recipient\">\
         <state>{state}</state>{remote}</dialog></dialog-info>"
    )
}

pub fn config(address: SocketAddr, transport: Transport, list: Option<&str>) -> DialogEvents {
    DialogEvents {
        account: SipAccount {
            address,
            transport,
            domain: "office".to_owned(),
            listen: None,
            user: "pin\"kas".to_owned(),
            password: pinkas_protocol::Private("s3cret".to_owned()),
            realm: None,
        },
        expires: Duration::from_secs(60),
        list: list.map(str::to_owned),
        ping: Duration::from_secs(15),
    }
}

pub fn lines(names: &[&str]) -> Pbx {
    let lines = names.iter().map(|name| name.parse().expect("a line")).collect();
    Pbx { lines, rules: Default::default() }
}

/// What was heard, in short: `up`, `down`, `101 idle`, `101 rings Levi`.
pub fn say(heard: &Heard) -> String {
    match &heard.what {
        What::Up { .. } => "up".to_owned(),
        What::Down => "down".to_owned(),
        What::Line { line, is } => match is {
            LineHeard::Idle => format!("{line} idle"),
            LineHeard::Busy => format!("{line} busy"),
            LineHeard::Lost => format!("{line} lost"),
            LineHeard::Ringing { caller, .. } => {
                format!("{line} rings {}", caller.name.as_ref().map_or("-", |name| name.0.as_str()))
            }
        },
        other => format!("{other:?}"),
    }
}
