//! The check of a manager interface: what works and what will be missing, in words for whoever installs
//! it. Logs in, asks, and goes; changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pinkas_protocol::Line;
use tokio::time::timeout;

use super::connection::{Connection, Reading, Trouble};
use super::ears::{Ears, LOOK, Shown};
use super::names::lines_of_device;
use super::packet::Packet;
use super::resync::LISTS;
use super::{MAY_NOT_ASK, MAY_NOT_HEAR};
use crate::check::{Finding, Level};
use crate::config::{Ami, Pbx};

/// How long the whole list of answers may take.
const WITHIN: Duration = Duration::from_secs(10);

/// How long it listens for events, and between two looks at what is under way.
const LISTENS: Duration = Duration::from_secs(2);

/// Connects to a manager interface and tells what is found there.
pub async fn probe(config: &Ami, pbx: &Pbx) -> Vec<Finding> {
    match Connection::open(config, pbx.rules.charset).await {
        Ok(connection) => ask(connection, config, pbx).await,
        Err(trouble) => vec![broken(trouble.to_string())],
    }
}

async fn ask(mut connection: Connection, config: &Ami, pbx: &Pbx) -> Vec<Finding> {
    connection.send("CoreSettings", &[("ActionID", "settings")]);
    connection.send("Getvar", &[("ActionID", "getvar"), ("Variable", "CALLERID(pres)")]);
    for (id, action) in LISTS {
        connection.send(action, &[("ActionID", id)]);
    }
    let mut seen = Seen::default();
    let reading = async {
        while !seen.complete() {
            match connection.next_packet() {
                Some(packet) => seen.take(&packet, config),
                None => connection.progress(Reading::Now).await?,
            }
        }
        Ok::<(), Trouble>(())
    };
    let came = timeout(WITHIN, reading).await.unwrap_or(Err(Trouble::NoLists(config.address)));
    if came.is_ok() {
        listen(&mut connection, &mut seen, config).await;
    }
    connection.send("Logoff", &[]);
    let _gone_already = connection.progress(Reading::Paused).await;
    let mut findings = seen.findings(config, pbx);
    if let Err(trouble) = came {
        findings.push(broken(trouble.to_string()));
    }
    findings
}

/// Hears for a moment, and looks twice at what is under way: both show whether the account may hear.
async fn listen(connection: &mut Connection, seen: &mut Seen, config: &Ami) {
    for _ in 0..2 {
        let listening = async {
            while !seen.ears.hears() {
                match connection.next_packet() {
                    Some(packet) => seen.take(&packet, config),
                    None => connection.progress(Reading::Now).await?,
                }
            }
            Ok::<(), Trouble>(())
        };
        if timeout(LISTENS, listening).await.is_ok() {
            // It hears, or it has gone.
            return;
        }
        connection.send("CoreShowChannels", &[("ActionID", LOOK)]);
    }
    let last = async {
        while let Ok(()) = connection.progress(Reading::Now).await {
            while let Some(packet) = connection.next_packet() {
                seen.take(&packet, config);
            }
        }
    };
    let _in_time = timeout(LISTENS / 4, last).await;
}

#[derive(Debug, Default)]
struct Seen {
    ears: Ears,
    deaf: bool,
    ended: BTreeSet<String>,
    refused: BTreeSet<String>,
    version: Option<String>,
    queues: BTreeSet<String>,
    members: BTreeSet<Line>,
    devices: BTreeSet<Line>,
    /// Of each extension that has a hint, the devices that are named there.
    hints: BTreeMap<String, String>,
}

impl Seen {
    fn complete(&self) -> bool {
        let asked = LISTS.iter().map(|(id, _)| *id).chain(["settings", "getvar"]);
        asked.into_iter().all(|id| self.ended.contains(id) || self.refused.contains(id))
    }

    fn take(&mut self, packet: &Packet, config: &Ami) {
        self.deaf |= self.ears.take(packet) == Shown::Deaf;
        let lines = |key: &str| {
            packet.known(key).map(|device| lines_of_device(device, &config.channels)).unwrap_or_default()
        };
        match packet.event() {
            Some("QueueParams") => self.queues.extend(packet.known("Queue").map(str::to_owned)),
            Some("QueueMember") => {
                self.members.extend(["StateInterface", "Location"].into_iter().flat_map(lines))
            }
            Some("DeviceStateChange") if packet.get("State") != Some("INVALID") => {
                self.devices.extend(lines("Device"))
            }
            Some("ExtensionStatus") => {
                let devices = packet.known("Hint").unwrap_or_default();
                for device in devices.split(['&', ',']) {
                    self.devices.extend(lines_of_device(device.trim(), &config.channels));
                }
                let hint = packet.known("Exten").map(|exten| (exten.to_owned(), devices.to_owned()));
                self.hints.extend(hint);
            }
            _ => {}
        }
        let Some(id) = packet.get("ActionID") else { return };
        let answer = packet.event().is_none();
        if answer && packet.get("Response") != Some("Success") {
            self.refused.insert(id.to_owned());
        } else if packet.get("EventList") == Some("Complete") || answer && matches!(id, "settings" | "getvar")
        {
            self.ended.insert(id.to_owned());
        }
        if answer && id == "settings" {
            self.version = packet.known("AsteriskVersion").map(str::to_owned);
        }
    }

    fn findings(&self, config: &Ami, pbx: &Pbx) -> Vec<Finding> {
        let version =
            self.version.as_ref().map_or("Asterisk".to_owned(), |version| format!("Asterisk {version}"));
        let mut findings =
            vec![good(format!("manager interface: {version} at {}: the account may log in", config.address))];
        if self.refused.contains("getvar") || self.refused.contains("sync-channels") {
            findings.push(broken(MAY_NOT_ASK.to_owned()));
        } else {
            findings.push(good(
                "manager interface: the account may ask who is withheld and which calls are under way"
                    .to_owned(),
            ));
        }
        findings.push(self.hearing_finding());
        findings.extend(self.queue_finding());
        findings.extend(self.line_findings(pbx));
        findings
    }

    /// Asterisk tells no account what it may read; only what happens shows it.
    fn hearing_finding(&self) -> Finding {
        if self.ears.hears() {
            return good("manager interface: the account hears what happens".to_owned());
        }
        if self.deaf {
            return broken(format!("manager interface: {MAY_NOT_HEAR}"));
        }
        trap(
            "manager interface: nothing happened on the phone system meanwhile, so it did not show whether the account may hear \
             calls: make a call while this runs. If it then still says so, read=agent,call is missing for the account in \
             manager.conf"
                .to_owned(),
        )
    }

    fn queue_finding(&self) -> Option<Finding> {
        if self.refused.contains("sync-queues") {
            return Some(trap(
                "manager interface: no queues: app_queue is not loaded, so waiting callers cannot be shown"
                    .to_owned(),
            ));
        }
        self.ended.contains("sync-queues").then(|| match self.queues.len() {
            0 => trap(
                "manager interface: the phone system has no queue: waiting callers cannot be shown"
                    .to_owned(),
            ),
            count => good(format!("manager interface: what waits in queues is told; queues there: {count}")),
        })
    }

    fn line_findings(&self, pbx: &Pbx) -> Vec<Finding> {
        // A hint alone is no phone: its channels may be called otherwise.
        let known = |line: &&Line| self.devices.contains(*line) || self.members.contains(*line);
        let unknown: Vec<&str> = pbx.lines.iter().filter(|line| !known(line)).map(Line::as_str).collect();
        let mut findings = Vec::new();
        let hinted = unknown.iter().find_map(|line| self.hints.get_key_value(*line));
        if unknown.len() < pbx.lines.len() {
            findings.push(good(format!(
                "manager interface: {} of {} lines are known to the phone system",
                pbx.lines.len() - unknown.len(),
                pbx.lines.len()
            )));
        }
        if !unknown.is_empty() {
            let shown = unknown.iter().take(10).copied().collect::<Vec<_>>().join(", ");
            let more =
                if unknown.len() > 10 { format!(" and {} more", unknown.len() - 10) } else { String::new() };
            findings.push(trap(format!(
                "manager interface: no device and no queue member of the phone system is the phone of these lines: {shown}{more}; are \
                 they written in [pbx] lines as in Asterisk, and do `channels` in [ami] fit how their channels are called?{}",
                hinted.map_or_else(String::new, |(line, devices)| match devices.is_empty() {
                    true => format!(" {line} has a hint, but that names no device"),
                    false => format!(" The hint of {line} names {devices}"),
                })
            )));
        }
        findings
    }
}

fn good(text: String) -> Finding {
    Finding { level: Level::Good, text }
}

fn trap(text: String) -> Finding {
    Finding { level: Level::Trap, text }
}

fn broken(text: String) -> Finding {
    Finding { level: Level::Broken, text }
}
