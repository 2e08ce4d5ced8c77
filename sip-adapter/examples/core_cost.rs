//! What one message costs the pure part of the adapter, for callgrind to count: `core_cost invite 1000` takes a
//! thousand INVITEs from bytes to events; `notify` NOTIFYs, `body` their bodies alone, `dropped` copies that are
//! dropped before they are read; `made-invite` and so on only write them, to be taken off. No socket, no disk,
//! no clock that matters. `make bench` runs it and divides.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pinkas_protocol::{CallId, Line, NumberPlan, number};
use pinkas_sip_adapter::calls::{Calls, Decided, Now, Patience};
use pinkas_sip_adapter::hear::hep::{of_a_call, packet};
use pinkas_sip_adapter::hear::legs::{Limits, Seen, Tracker};
use pinkas_sip_adapter::hear::sip_endpoint::Notification;
use pinkas_sip_adapter::hear::{Heard, LineHeard, Way, What};
use pinkas_sip_adapter::sip::dialog_info::{self, Applied, Dialogs};
use pinkas_sip_adapter::sip::identity::Rules;
use pinkas_sip_adapter::sip::message::Message;
use uuid::Uuid;

/// As the adapter does.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LINES: u32 = 500;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, times] = arguments.as_slice() else { return usage() };
    let Ok(times) = times.parse::<u32>() else { return usage() };
    number::warm_up();
    let mut core = Core::new();
    let done = match kind.as_str() {
        "invite" => (0..times).map(|n| core.invite(n)).sum::<usize>(),
        "notify" => (0..times).map(|n| core.notify(n)).sum::<usize>(),
        "body" => (0..times).map(|n| core.body(n)).sum::<usize>(),
        "dropped" => (0..times).map(dropped).sum::<usize>(),
        // What making the messages costs, to be taken off.
        "made-invite" => (0..times).map(|n| invite(n).len()).sum::<usize>(),
        "made-notify" => (0..times).map(|n| notify(n).len()).sum::<usize>(),
        "made-body" => (0..times).map(|n| document(n).len()).sum::<usize>(),
        "made-dropped" => (0..times).map(|n| copy(n).len()).sum::<usize>(),
        _ => return usage(),
    };
    println!("{done}");
    // What it holds is not given back at the end of the program, but call by call: no part of a message's cost.
    std::mem::forget(core);
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("core_cost [made-]invite|notify|body|dropped TIMES");
    ExitCode::from(2)
}

struct Core {
    lines: Vec<Line>,
    rules: Arc<Rules>,
    tracker: Tracker,
    calls: Calls,
    dialogs: BTreeMap<u32, Dialogs>,
}

impl Core {
    fn new() -> Core {
        let lines: Vec<Line> = (0..LINES).filter_map(|n| Line::parse(&line(n)).ok()).collect();
        let numbers = NumberPlan::new("IL", 4).unwrap_or_default();
        let rules = Arc::new(Rules { numbers, ..Rules::default() });
        let mut next = 0u128;
        let new_id = Box::new(move |_| {
            next += 1;
            CallId(Uuid::from_u128(next))
        });
        Core {
            tracker: Tracker::new(lines.iter().cloned(), rules.clone(), Limits::default()),
            lines,
            rules,
            calls: Calls::new(BTreeMap::new(), Patience::default(), new_id),
            dialogs: BTreeMap::new(),
        }
    }

    /// One INVITE to a phone, from bytes to events; each is a call of its own.
    fn invite(&mut self, n: u32) -> usize {
        let Ok(message) = Message::read(invite(n).as_bytes()) else { return 0 };
        let now = now(n);
        let seen = Seen { at: now.wall, uptime: now.uptime, captured: None, from: None, to: None };
        let heard = self.tracker.take(seen, &message);
        heard.into_iter().map(|heard| events(&self.calls.hear(now, heard))).sum()
    }

    /// One NOTIFY, from bytes to events: head and body. A line rings with one caller, and is free again.
    fn notify(&mut self, n: u32) -> usize {
        let datagram = notify(n);
        let Some((head, body)) = datagram.split_once("\r\n\r\n") else { return 0 };
        match Notification::of(head, body.as_bytes()) {
            Some(notification) => self.document(n, notification.body()),
            None => 0,
        }
    }

    /// The same without its head.
    fn body(&mut self, n: u32) -> usize {
        self.document(n, document(n).as_bytes())
    }

    fn document(&mut self, n: u32, body: &[u8]) -> usize {
        let Ok(info) = dialog_info::read(body, &self.rules) else { return 0 };
        let dialogs = self.dialogs.entry(n / 2 % LINES).or_default();
        let Applied::Is(is, _) = dialogs.apply(info) else { return 0 };
        // Known by the subscription.
        let Some(line) = self.lines.get((n / 2 % LINES) as usize).cloned() else { return 0 };
        let ringing = matches!(is, LineHeard::Ringing { .. });
        let now = now(n);
        let what = What::Line { line, is };
        let decided = self.calls.hear(now, Heard { at: now.wall, way: Way::DialogEvents, what });
        let told = events(&decided);
        // What ends is decided later; its cost belongs to the NOTIFY that told it.
        if ringing { told } else { told + events(&self.calls.tick(later(now))) }
    }
}

/// A copy of a message that is none of a call.
fn dropped(n: u32) -> usize {
    let bytes = copy(n);
    packet::read(&bytes).map_or(0, |packet| usize::from(!of_a_call(packet.payload)))
}

fn copy(n: u32) -> Vec<u8> {
    let text = format!(
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.101:5060;branch=z9hG4bK{n};received=192.0.2.101\r\n\
         From: <sip:101@192.0.2.10>;tag=f{n}\r\nTo: <sip:101@192.0.2.10>;tag=t{n}\r\nCall-ID: {n}@192.0.2.101\r\n\
         CSeq: 2 REGISTER\r\nContact: <sip:101@192.0.2.101:5060>;expires=60\r\nContent-Length: 0\r\n\r\n"
    );
    packet::write(&packet::Packet { payload: text.as_bytes(), ..Default::default() }).unwrap_or_default()
}

fn events(decided: &Decided) -> usize {
    decided.events.len()
}

fn line(n: u32) -> String {
    (2000 + n % LINES).to_string()
}

fn now(n: u32) -> Now {
    // Twenty messages a second, so that no more calls live at once than in a large office.
    let uptime = Duration::from_millis(50 * u64::from(n));
    let wall = Timestamp::UNIX_EPOCH.saturating_add(uptime).unwrap_or(Timestamp::MAX);
    Now { wall, uptime }
}

fn later(now: Now) -> Now {
    Now { uptime: now.uptime + Duration::from_secs(1), ..now }
}

fn invite(n: u32) -> String {
    let (line, number) = (line(n), 541_000_000 + n);
    let body = "v=0\r\no=- 577766321 577766321 IN IP4 192.0.2.10\r\ns=Asterisk\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
                m=audio 20068 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
                a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";
    format!(
        "INVITE sip:{line}@192.0.2.101:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bKPj4d936748-6a92-412d-b9c1-3fdbba{n:06}\r\n\
         From: \"Dana Cohen\" <sip:+972{number}@192.0.2.10>;tag=ad3f3aea-6398-42dd-9568-910c12{n:06}\r\n\
         To: <sip:{line}@192.0.2.101>\r\nContact: <sip:asterisk@192.0.2.10:5060>\r\n\
         Call-ID: 55ab4844-4a9a-434e-875c-5f61fa{n:06}\r\nCSeq: 7866 INVITE\r\n\
         Allow: OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, REFER\r\n\
         Supported: 100rel, timer, replaces, norefersub, histinfo\r\nSession-Expires: 1800\r\nMin-SE: 90\r\n\
         P-Asserted-Identity: \"Dana Cohen\" <sip:+972{number}@192.0.2.10>\r\nMax-Forwards: 70\r\n\
         User-Agent: Asterisk PBX 22.10.1\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn notify(n: u32) -> String {
    let (line, body) = (line(n / 2), document(n));
    format!(
        "NOTIFY sip:pinkas@192.0.2.20:5062 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bKPj4d936748-6a92-412d-b9c1-3fdbba{n:06}\r\n\
         From: <sip:{line}@192.0.2.10>;tag=ad3f3aea-6398-42dd-9568-910c1280244e\r\nTo: <sip:pinkas@192.0.2.10>;tag=ours\r\n\
         Contact: <sip:192.0.2.10:5060>\r\nCall-ID: 55ab4844-4a9a-434e-875c-5f61fa7c0a5d\r\nCSeq: {n} NOTIFY\r\n\
         Event: dialog\r\nSubscription-State: active;expires=55\r\nAllow-Events: presence, dialog, message-summary, refer\r\n\
         Max-Forwards: 70\r\nUser-Agent: Asterisk PBX 22.10.1\r\nContent-Type: application/dialog-info+xml\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// As Asterisk 22 writes it.
fn document(n: u32) -> String {
    let (line, number) = (line(n / 2), 541_000_000 + n / 2);
    let dialog = if n.is_multiple_of(2) {
        format!(
            "<dialog id=\"{line}\" direction=\"recipient\">\n<remote>\n<identity display=\"Dana Cohen\">sip:+972{number}@192.0.2.10</identity>\n\
             <target uri=\"sip:+972{number}@192.0.2.10\" />\n</remote>\n<local>\n<identity display=\"Alice\">sip:{line}@192.0.2.10</identity>\n\
             <target uri=\"sip:{line}@192.0.2.10\" />\n</local>\n<state>early</state>\n</dialog>"
        )
    } else {
        format!("<dialog id=\"{line}\">\n<state>terminated</state>\n</dialog>")
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{n}\" \
         state=\"full\" entity=\"sip:{line}@192.0.2.10\">\n{dialog}\n</dialog-info>\n"
    )
}
