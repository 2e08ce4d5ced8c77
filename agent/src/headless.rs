//! The desktop without a screen: what reaches the board and what would pop, one JSON line each, and
//! commands as JSON lines. For scripts, other programs and tests; the same network and model as the window.
//!
//! It must hold stdout open for nobody: when nothing reads it any more, it ends.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pinkas_protocol::agent_link::AgentSays;
use pinkas_protocol::{CallId, CustomerKey, EndedHow, Private, Withdrawal};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::model::{Here, Model};
use crate::net::{self, NetEvent};

/// The longest command line, in bytes.
const LONGEST_LINE: usize = 4096;

/// Runs on stdin and stdout until it is interrupted; with no secret configured it cannot: nobody is there to be asked.
pub fn start(mut config: Config) -> anyhow::Result<()> {
    let Some(secret) = config.secret.take() else {
        anyhow::bail!(
            "without a window nobody can be asked for the password: say with `secret_env` or `secret_file` where it is kept"
        );
    };
    let (says, says_out) = mpsc::channel(net::MOST_SAID);
    // Not joined: it may wait for a line that never comes.
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || read_commands(&says))?;
    let stop = CancellationToken::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::spawn(pinkas_config::program::cancel_on_signal(stop.clone()));
        run(config, secret, std::io::stdout(), says_out, stop).await
    });
    Ok(())
}

/// Writes to `out` what happens until `stop`, or until `out` takes nothing more; sends what `says` yields to the hub.
pub async fn run(
    config: Config,
    secret: Private<String>,
    mut out: impl Write,
    says: mpsc::Receiver<AgentSays>,
    stop: CancellationToken,
) {
    let (events_in, mut events) = mpsc::channel(net::MOST_EVENTS);
    let net =
        net::run(config, net::Pass::Configured(secret), events_in, says, net::nobody_sleeps(), stop.clone());
    let print = async {
        let mut teller = Teller::new(TimeZone::UTC);
        while let Some(event) = events.recv().await {
            for line in teller.tell(event) {
                // serde_json writes a Value without a line break, so one line is one message.
                if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                    stop.cancel();
                    return;
                }
            }
        }
    };
    tokio::join!(net, print);
}

/// Turns events into the lines a script reads.
pub struct Teller {
    model: Model,
    popped: BTreeMap<CallId, Popped>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Popped {
    Ringing,
    Answered,
}

impl Teller {
    /// Nothing told yet.
    pub fn new(zone: TimeZone) -> Self {
        Teller { model: Model::new(zone), popped: BTreeMap::new() }
    }

    /// What there is to say about one event, in order.
    pub fn tell(&mut self, event: NetEvent) -> Vec<Value> {
        let at = event.at();
        let first = said(&event);
        self.model.apply(event);
        let mut lines = vec![first];
        self.tell_pops(at, &mut lines);
        lines
    }

    fn tell_pops(&mut self, at: Timestamp, lines: &mut Vec<Value>) {
        let mut popped = BTreeMap::new();
        for view in self.model.board.calls.values() {
            let before = self.popped.get(&view.id);
            match self.model.here(view) {
                Here::Ringing { line, .. } => {
                    if before.is_none() {
                        lines.push(json!({ "at": at, "what": "pop", "call": view.id, "line": line }));
                    }
                    popped.insert(view.id, Popped::Ringing);
                }
                Here::Answered { line, .. } if view.ended.is_none() => {
                    if before != Some(&Popped::Answered) {
                        lines
                            .push(json!({ "at": at, "what": "pop_answered", "call": view.id, "line": line }));
                    }
                    popped.insert(view.id, Popped::Answered);
                }
                Here::Answered { .. } | Here::Left { .. } | Here::Withdrawn { .. } | Here::Nothing => {}
            }
        }
        for call in self.popped.keys().filter(|call| !popped.contains_key(call)) {
            let why = self.why_closed(*call);
            lines.push(json!({ "at": at, "what": "pop_closed", "call": call, "why": why }));
        }
        self.popped = popped;
    }

    fn why_closed(&self, call: CallId) -> String {
        let Some(view) = self.model.board.calls.get(&call) else { return "no longer known".to_owned() };
        if let Some(EndedHow::Joined { .. }) = view.ended.map(|ended| ended.how) {
            return "joined with another call".to_owned();
        }
        match self.model.here(view) {
            Here::Left { moved_to: Some(to), .. } => format!("passed on to {to}"),
            Here::Left { moved_to: None, .. } => "no longer in this call".to_owned(),
            Here::Withdrawn { why, .. } => match why {
                Withdrawal::AnsweredElsewhere { by } => format!("answered by {by}"),
                Withdrawal::CallerGaveUp => "the caller hung up".to_owned(),
                Withdrawal::Declined => "declined here".to_owned(),
                Withdrawal::NoAnswer => "not answered here".to_owned(),
                Withdrawal::StoppedRinging => "no longer ringing here".to_owned(),
            },
            Here::Answered { .. } | Here::Ringing { .. } | Here::Nothing => "ended".to_owned(),
        }
    }
}

fn said(event: &NetEvent) -> Value {
    match event {
        NetEvent::Welcome { at, me, board, .. } => json!({
            "at": at, "what": "welcome",
            "name": me.name, "role": me.role, "lines": me.lines, "board": board,
        }),
        NetEvent::Update { at, update } => json!({ "at": at, "what": "update", "update": update }),
        NetEvent::Kept { at, id } => json!({ "at": at, "what": "kept", "id": id }),
        NetEvent::Refused { at, id, why } => {
            json!({ "at": at, "what": "refused", "id": id, "why": why.to_string() })
        }
        NetEvent::Page { at, page, .. } => json!({ "at": at, "what": "page", "calls": page.calls }),
        NetEvent::Customers { at, call, found, searched, .. } => {
            json!({ "at": at, "what": "customers", "call": call, "found": found, "searched": searched })
        }
        NetEvent::FollowUps { at, follow_ups, .. } => {
            json!({ "at": at, "what": "follow_ups", "follow_ups": follow_ups })
        }
        NetEvent::Login { at, refused, .. } => {
            json!({ "at": at, "what": "login", "refused": refused.map(|close| close.to_string()) })
        }
        NetEvent::Disconnected { at, why } => {
            json!({ "at": at, "what": "disconnected", "why": why.to_string() })
        }
    }
}

/// One line of stdin: `{"choose":{"call":"…","customer":"…"}}`, with `null` for none of the customers
/// found, or `{"state":"ready"}`, `{"state":"not_ready","reason":"lunch"}`. The error says what to write.
pub fn parse_command(line: &str) -> Result<AgentSays, &'static str> {
    const WANTED: &str = r#"write {"choose":{"call":"<call id>","customer":"<customer key>"}}, {"state":"ready"} or {"state":"not_ready","reason":"<code>"}"#;
    let value: Value = serde_json::from_str(line).map_err(|_| WANTED)?;
    if value.get("state").is_some() {
        let state = serde_json::from_value(value).map_err(|_| WANTED)?;
        return Ok(AgentSays::State { state });
    }
    let choose = value.get("choose").ok_or(WANTED)?;
    let text = |key: &str| choose.get(key)?.as_str();
    let call = text("call").and_then(|text| text.parse().ok()).ok_or(WANTED)?;
    let customer = match choose.get("customer") {
        Some(Value::Null) => None,
        _ => Some(text("customer").and_then(|text| CustomerKey::parse(text).ok()).ok_or(WANTED)?),
    };
    Ok(AgentSays::Choose { call, customer })
}

fn read_commands(says: &mpsc::Sender<AgentSays>) {
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        let taken = std::io::Read::take(&mut input, LONGEST_LINE as u64).read_until(b'\n', &mut line);
        // The end of stdin is no reason to end: the script may only want to listen.
        if !matches!(taken, Ok(1..)) {
            return;
        }
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() {
            continue;
        }
        match parse_command(&text) {
            Ok(said) => {
                if says.blocking_send(said).is_err() {
                    return;
                }
            }
            Err(wanted) => eprintln!("this command was not understood; {wanted}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use pinkas_protocol::OwnState;

    use super::*;
    use crate::sample;

    fn whats(lines: &[Value]) -> Vec<String> {
        lines.iter().map(|line| line["what"].as_str().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn a_call_that_rings_here_pops_and_closes_with_its_reason() {
        let mut teller = Teller::new(TimeZone::UTC);
        let call = sample::call(1);
        assert_eq!(whats(&teller.tell(sample::welcome(0, Default::default()))), ["welcome"]);
        let rings = teller.tell(sample::update(1, sample::rings(call, "101")));
        assert_eq!(whats(&rings), ["update", "pop"]);
        assert_eq!(rings[1]["line"], "101");
        let gone = teller.tell(sample::update(2, sample::withdrawn(call, "101", Some("102"))));
        assert_eq!(whats(&gone), ["update", "pop_closed"]);
        assert_eq!(gone[1]["why"], "answered by 102");
    }

    #[test]
    fn an_answered_call_closes_only_when_it_ends() {
        let mut teller = Teller::new(TimeZone::UTC);
        let call = sample::call(1);
        teller.tell(sample::welcome(0, Default::default()));
        teller.tell(sample::update(1, sample::rings(call, "101")));
        assert_eq!(
            whats(&teller.tell(sample::update(2, sample::answered(call, "101")))),
            ["update", "pop_answered"]
        );
        assert_eq!(whats(&teller.tell(sample::update(3, sample::ended(call, 3)))), ["update", "pop_closed"]);
    }

    #[test]
    fn a_call_that_was_passed_on_or_joined_closes_with_its_reason() {
        let mut teller = Teller::new(TimeZone::UTC);
        let (mine, asked) = (sample::call(1), sample::call(2));
        teller.tell(sample::welcome(0, Default::default()));
        for call in [mine, asked] {
            teller.tell(sample::update(1, sample::rings(call, "101")));
            teller.tell(sample::update(2, sample::answered(call, "101")));
        }
        let gone = teller.tell(sample::update(3, sample::left(mine, "101", Some("102"), 3)));
        assert_eq!((&gone[1]["what"], &gone[1]["why"]), (&json!("pop_closed"), &json!("passed on to 102")));
        let joined = sample::ended_at(asked, EndedHow::Joined { into: mine }, sample::at(4));
        let gone = teller.tell(sample::update(4, joined));
        assert_eq!(gone[1]["why"], "joined with another call");
    }

    #[test]
    fn commands_are_read_or_refused_with_what_to_write() {
        let id = sample::call(7);
        let line = format!("{{\"choose\":{{\"call\":\"{id}\",\"customer\":\"C-2\"}}}}\n");
        let customer = CustomerKey::parse("C-2").ok();
        assert_eq!(parse_command(&line), Ok(AgentSays::Choose { call: id, customer }));
        let nobody = format!("{{\"choose\":{{\"call\":\"{id}\",\"customer\":null}}}}");
        assert_eq!(parse_command(&nobody), Ok(AgentSays::Choose { call: id, customer: None }));
        let lunch = parse_command(r#"{"state":"not_ready","reason":"lunch"}"#);
        let reason = "lunch".parse().expect("a code");
        assert_eq!(lunch, Ok(AgentSays::State { state: OwnState::NotReady { reason } }));
        assert_eq!(parse_command(r#"{"state":"ready"}"#), Ok(AgentSays::State { state: OwnState::Ready }));
        for wrong in [
            r#"{"state":"asleep"}"#,
            r#"{"state":"not_ready"}"#,
            "",
            "choose",
            "{}",
            "{\"choose\":{\"call\":\"x\",\"customer\":\"C\"}}",
            "[1]",
        ] {
            assert!(parse_command(wrong).is_err(), "{wrong}");
        }
    }
}
