//! CPU per SIP message: the adapter program that hears NOTIFYs of subscribed lines, up to events acknowledged by a
//! hub, beside a Kamailio that answers the same messages statelessly and a floor that sends each back. The phone
//! system of this measurement only speaks: it sends paced, counts answers and repeats nothing.

use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use anyhow::{Context, ensure};
use pinkas_protocol::Line;
use pinkas_tests::measure::hub::CountingHub;
use pinkas_tests::measure::program::{self, Adapter};
use pinkas_tests::measure::verdict::Verdict;
use pinkas_tests::measure::{Processes, median, own_cpu, paced};

use super::kamailio::Ruler;

/// Per second. At a low rate most of what is measured is the machine waking up, in both programs.
const RATE: u32 = 5_000;
/// More than a phone system of 2,000 phones sends for long; printed besides.
const USUAL: u32 = 1_000;
const LASTING: Duration = Duration::from_secs(2);
const PAIRS: usize = 5;
const LINES: u32 = 200;

/// Prints it.
pub async fn measure(verdict: &mut Verdict) -> anyhow::Result<()> {
    println!(
        "\n— SIP messages: {RATE} NOTIFYs a second for {} s, {PAIRS} interleaved pairs, µs of CPU per message",
        LASTING.as_secs()
    );
    let mut pbx = PhoneSystem::bind("127.0.30.205:5060".parse()?)?;
    println!("floor, each datagram sent back by a thread: {:.2}", floor(&mut pbx)?);

    let hub = CountingHub::start("127.0.30.207:7420".parse()?).await?;
    let lines: Vec<Line> = (2000..2000 + LINES).filter_map(|n| Line::parse(&n.to_string()).ok()).collect();
    let at: SocketAddrV4 = "127.0.30.207:5062".parse()?;
    let adapter = Adapter::start(hub.address, &lines, &program::dialog_events(pbx.address()?, at.into()))?;
    let mut pbx = tokio::task::spawn_blocking(move || pbx.subscribed(lines.len()).map(|()| pbx))
        .await?
        .with_context(|| adapter.log())?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let peer_at: SocketAddrV4 = "127.0.30.208:5060".parse()?;
    let peer = match Ruler::stateless(peer_at).await {
        Ok(peer) => Some(peer),
        Err(trouble) => {
            verdict.skip("adapter / Kamailio, CPU per SIP message", trouble)?;
            None
        }
    };
    // Not counted: what is made once is made now.
    (_, pbx) = round(pbx, at, adapter.processes(), RATE).await?;
    let (a, b);
    (a, pbx) = round(pbx, at, adapter.processes(), RATE).await?;
    (b, pbx) = round(pbx, at, adapter.processes(), RATE).await?;
    println!("A/A, the adapter twice: {a:.1} and {b:.1}, ratio {:.2}", b / a);
    let (mut mine, mut theirs, mut ratios) = (vec![a, b], Vec::new(), Vec::new());
    if let Some(peer) = &peer {
        mine.clear();
        for _ in 0..PAIRS {
            let (one, other);
            (one, pbx) = round(pbx, at, adapter.processes(), RATE).await?;
            (other, pbx) = round(pbx, peer_at, peer.processes(), RATE).await?;
            println!("  adapter {one:.1}, Kamailio {other:.1}, ratio {:.2}", one / other);
            mine.push(one);
            theirs.push(other);
            ratios.push(one / other);
        }
        println!("Kamailio, median: {:.1}", median(&mut theirs));
        let (one, other);
        (one, pbx) = round(pbx, at, adapter.processes(), USUAL).await?;
        (other, _) = round(pbx, peer_at, peer.processes(), USUAL).await?;
        println!("at {USUAL} a second: adapter {one:.1}, Kamailio {other:.1}, ratio {:.2}", one / other);
    }
    println!("adapter, median: {:.1}; {} events told to the hub", median(&mut mine), hub.events());
    ensure!(hub.events() > 0, "the adapter told nothing: {}", adapter.log());
    if peer.is_some() {
        verdict.at_most("adapter / Kamailio, CPU per SIP message", median(&mut ratios), 0.5, "");
    }
    Ok(())
}

/// One interval; gives µs of CPU per message answered.
async fn round(
    mut pbx: PhoneSystem,
    to: SocketAddrV4,
    processes: Processes,
    rate: u32,
) -> anyhow::Result<(f64, PhoneSystem)> {
    let before = processes.cpu();
    let (answered, pbx) = tokio::task::spawn_blocking(move || (pbx.notify(to.into(), rate), pbx)).await?;
    let (sent, answered) = answered?;
    ensure!(answered * 10 >= sent * 9, "only {answered} of {sent} messages were answered");
    let spent = processes.cpu().saturating_sub(before);
    Ok((spent.as_secs_f64() * 1e6 / answered as f64, pbx))
}

struct Dialog {
    call_id: String,
    /// The adapter's From, our To once tagged.
    theirs: String,
    line: String,
}

/// A phone system that is all voice.
struct PhoneSystem {
    socket: UdpSocket,
    dialogs: Vec<Dialog>,
    counted: u64,
}

impl PhoneSystem {
    fn bind(at: SocketAddr) -> anyhow::Result<PhoneSystem> {
        Ok(PhoneSystem { socket: UdpSocket::bind(at)?, dialogs: Vec::new(), counted: 0 })
    }

    fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// Accepts subscriptions until there are so many.
    fn subscribed(&mut self, lines: usize) -> anyhow::Result<()> {
        self.socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut buffer = vec![0; 65_536];
        while self.dialogs.len() < lines {
            let (length, from) =
                self.socket.recv_from(&mut buffer).context("the adapter does not subscribe")?;
            let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
            if !text.starts_with("SUBSCRIBE") {
                continue;
            }
            let header = |name: &str| {
                let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                found.unwrap_or_default().to_owned()
            };
            let line = header("To").split(['@', ':']).nth(1).unwrap_or_default().to_owned();
            let dialog = Dialog { call_id: header("Call-ID"), theirs: header("From"), line };
            let answer = format!(
                "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=pbx{}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:{}>\r\n\
                 Expires: 600\r\nContent-Length: 0\r\n\r\n",
                header("Via"),
                dialog.theirs,
                header("To"),
                dialog.line,
                dialog.call_id,
                header("CSeq"),
                self.address()?
            );
            self.socket.send_to(answer.as_bytes(), from)?;
            self.counted += 1;
            let first = self.request(&dialog, self.counted, State::Free);
            self.socket.send_to(first.as_bytes(), from)?;
            if self.dialogs.iter().all(|known| known.call_id != dialog.call_id) {
                self.dialogs.push(dialog);
            }
        }
        Ok(())
    }

    /// Each line rings with another caller, talks and is free again, in turn. Gives how many were sent and answered.
    fn notify(&mut self, to: SocketAddr, rate: u32) -> anyhow::Result<(u64, u64)> {
        self.socket.set_nonblocking(true)?;
        let mut buffer = vec![0; 65_536];
        let mut answered = 0;
        let count = self.counted;
        let lines = u64::try_from(self.dialogs.len())?;
        let mut take = |socket: &UdpSocket| {
            while let Ok(length) = socket.recv(&mut buffer) {
                answered +=
                    u64::from(buffer.get(..length).is_some_and(|text| text.starts_with(b"SIP/2.0 200")));
            }
        };
        let sent = paced(rate, LASTING, |n| {
            let n = count + n + 1;
            let state = match n / lines % 3 {
                0 => State::Rings(n),
                1 => State::Talks,
                _ => State::Free,
            };
            if let Some(dialog) = usize::try_from(n % lines).ok().and_then(|at| self.dialogs.get(at)) {
                let _unanswered = self.socket.send_to(self.request(dialog, n, state).as_bytes(), to);
            }
            take(&self.socket);
        });
        std::thread::park_timeout(Duration::from_millis(300));
        take(&self.socket);
        self.counted += sent;
        self.socket.set_nonblocking(false)?;
        Ok((sent, answered))
    }

    fn request(&self, dialog: &Dialog, n: u64, state: State) -> String {
        let (line, host) = (&dialog.line, "127.0.30.205");
        let inside = match state {
            State::Free => format!("<dialog id=\"{line}\">\n<state>terminated</state>\n</dialog>"),
            State::Talks => format!("<dialog id=\"{line}\">\n<state>confirmed</state>\n</dialog>"),
            State::Rings(n) => format!(
                "<dialog id=\"{line}\" direction=\"recipient\">\n<remote>\n<identity display=\"Dana Cohen\">sip:+9725{:08}@{host}</identity>\n\
                 <target uri=\"sip:+9725{:08}@{host}\" />\n</remote>\n<local>\n<identity display=\"Alice\">sip:{line}@{host}</identity>\n\
                 <target uri=\"sip:{line}@{host}\" />\n</local>\n<state>early</state>\n</dialog>",
                10_000_000 + n,
                10_000_000 + n
            ),
        };
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{n}\" \
             state=\"full\" entity=\"sip:{line}@{host}\">\n{inside}\n</dialog-info>\n"
        );
        format!(
            "NOTIFY sip:pinkas@127.0.30.207:5062 SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5060;rport;branch=z9hG4bKPj4d936748-6a92-412d-b9c1-{n:012}\r\n\
             From: <sip:{line}@{host}>;tag=pbx{line}\r\nTo: {}\r\nContact: <sip:{host}:5060>\r\nCall-ID: {}\r\nCSeq: {n} NOTIFY\r\n\
             Event: dialog\r\nSubscription-State: active;expires=599\r\nAllow-Events: presence, dialog, message-summary, refer\r\n\
             Max-Forwards: 70\r\nUser-Agent: Asterisk PBX 22.10.1\r\nContent-Type: application/dialog-info+xml\r\n\
             Content-Length: {}\r\n\r\n{body}",
            dialog.theirs,
            dialog.call_id,
            body.len()
        )
    }
}

#[derive(Clone, Copy)]
enum State {
    Free,
    Talks,
    Rings(u64),
}

/// A thread that sends each datagram back behind another first line, beside a phone system that speaks to it.
fn floor(pbx: &mut PhoneSystem) -> anyhow::Result<f64> {
    let socket = UdpSocket::bind("127.0.30.206:5060")?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    let at = socket.local_addr()?;
    let run = move || {
        let mut buffer = vec![0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let mut answer = b"SIP/2.0 200 OK\r\n".to_vec();
            answer.extend_from_slice(buffer.get(..length).unwrap_or_default());
            let _unsent = socket.send_to(&answer, from);
        }
        own_cpu()
    };
    let thread = std::thread::Builder::new().name("echo".to_owned()).spawn(run)?;
    let theirs = "<sip:floor@x>;tag=f".to_owned();
    pbx.dialogs.push(Dialog { call_id: "floor".to_owned(), theirs, line: "2000".to_owned() });
    let (_, answered) = pbx.notify(at, RATE)?;
    pbx.dialogs.clear();
    let spent = thread.join().map_err(|_| anyhow::anyhow!("the floor failed"))?;
    ensure!(answered > 0, "the floor does not answer");
    Ok(spent.as_secs_f64() * 1e6 / answered as f64)
}
