//! Phones, callers and a lamp key, played by sipp: a SIP program that is not ours, so that what they
//! say is not what we believe they say. The scenarios are beside this file; capital words in them are
//! filled in here.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::bail;

use crate::lab::process::{Running, bounded, udp_bound, until};
use crate::lab::{Part, Trouble, need};

/// A phone on a desk, taking one call after the other in the same manner.
#[derive(Debug)]
pub struct Phone(Sipp);

impl Phone {
    /// Rings (180) and never answers.
    pub async fn ring_only(at: SocketAddrV4) -> Result<Phone, Trouble> {
        Self::start(at, FOR_EVER, ANSWER, FOR_EVER).await
    }

    /// Rings for a while, answers, and waits for the other side to hang up.
    pub async fn answer_after(at: SocketAddrV4, ringing: Duration) -> Result<Phone, Trouble> {
        Self::start(at, ringing, ANSWER, FOR_EVER).await
    }

    /// Rings for a while, answers, and hangs up after `talking`.
    pub async fn talk(at: SocketAddrV4, ringing: Duration, talking: Duration) -> Result<Phone, Trouble> {
        Self::start(at, ringing, ANSWER, talking).await
    }

    /// Rings for a while, then declines (486).
    pub async fn decline_after(at: SocketAddrV4, ringing: Duration) -> Result<Phone, Trouble> {
        Self::start(at, ringing, DECLINE, FOR_EVER).await
    }

    /// Every SIP message it sent and got, as sipp logs them.
    pub fn messages(&self) -> String {
        self.0.messages()
    }

    async fn start(at: SocketAddrV4, ring: Duration, then: &str, talk: Duration) -> Result<Phone, Trouble> {
        let words = [
            ("RING_MS", milliseconds(ring)),
            ("AFTER_RINGING", then.into()),
            ("TALK_MS", milliseconds(talk)),
        ];
        let sipp = Sipp::start("a phone (sipp)", include_str!("scenarios/phone.xml"), &words, at, None)?;
        until(format!("the phone at {at}"), STARTING, async || udp_bound(at.into()).then_some(())).await?;
        Ok(Phone(sipp))
    }
}

/// A call that a carrier brings to the phone system.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// The phone system, see `Asterisk::sip`.
    pub pbx: SocketAddrV4,
    /// The carrier's address, see `Asterisk::carrier`; a free port of it is taken.
    pub carrier: Ipv4Addr,
    /// What was dialled, such as `500`.
    pub to: &'a str,
    /// The caller's number, put between `sip:` and `@` as it is.
    pub number: &'a str,
    /// The caller's name, put between quotes as it is: any bytes but line ends. Quotes and backslashes
    /// are not escaped here, so that a wrong sender can be played. Empty: no name.
    pub name: &'a [u8],
    /// More header lines, such as `Privacy: id`.
    pub headers: &'a [&'a str],
    /// What the caller does.
    pub then: Then,
}

/// What the caller does once the call is under way.
#[derive(Debug, Clone, Copy)]
pub enum Then {
    /// Cancels after hearing it ring (or nothing at all) for so long. If it is answered all the same, hangs up after a second.
    GiveUpAfter(Duration),
    /// Waits to be answered, for ever, and hangs up after talking so long, unless the other side does first.
    HoldFor(Duration),
}

/// A caller under way. Dropping it is a caller that vanishes: nothing more is sent.
#[derive(Debug)]
pub struct Caller(Sipp);

impl Caller {
    /// Sends the INVITE. Does not wait for anything to come back.
    pub async fn call(call: Call<'_>) -> Result<Caller, Trouble> {
        let (give_up, hold) = match call.then {
            Then::GiveUpAfter(ringing) => (ringing, Duration::from_secs(1)),
            Then::HoldFor(talking) => (FOR_EVER, talking),
        };
        let name = match call.name {
            [] => Vec::new(),
            name => [b"\"", name, b"\" "].concat(),
        };
        let headers = call.headers.join("\n").into_bytes();
        let words = [
            ("DIALLED", call.to.into()),
            ("CALLER_NAME", name),
            ("CALLER_NUMBER", call.number.into()),
            // A blank line would end the headers.
            ("MORE_HEADERS", if headers.is_empty() { b"      Supported: replaces".into() } else { headers }),
            ("GIVE_UP_MS", milliseconds(give_up)),
            ("HOLD_MS", milliseconds(hold)),
        ];
        let scenario = include_str!("scenarios/caller.xml");
        let at = free_port(call.carrier)?;
        Ok(Caller(Sipp::start("a caller (sipp)", scenario, &words, at, Some(call.pbx))?))
    }

    /// Waits until the call is over; an error when it went otherwise than the caller meant it to.
    pub async fn over(&mut self, within: Duration) -> anyhow::Result<()> {
        let status = self.0.running.end(within).await?;
        self.0.well(status)
    }

    /// Every SIP message it sent and got, as sipp logs them.
    pub fn messages(&self) -> String {
        self.0.messages()
    }
}

/// A lamp key: someone else's subscription to the dialog events of one extension.
#[derive(Debug)]
pub struct Lamp(Sipp);

impl Lamp {
    /// Subscribes as the adapter does, with its user and password, from a free port of `ip`.
    pub async fn watch(
        pbx: SocketAddrV4,
        ip: Ipv4Addr,
        extension: u16,
        user: &str,
        password: &str,
    ) -> Result<Lamp, Trouble> {
        let words = [
            ("WATCHED", extension.to_string().into()),
            ("LOGIN", user.into()),
            ("PASSWORD", password.into()),
        ];
        let scenario = include_str!("scenarios/subscriber.xml");
        let mut lamp = Lamp(Sipp::start("a lamp key (sipp)", scenario, &words, free_port(ip)?, Some(pbx))?);
        until(format!("a first NOTIFY for {extension}"), STARTING, async || {
            if let Err(error) = lamp.0.running.must_run() {
                return Some(Err(error));
            }
            (!lamp.states().is_empty()).then_some(Ok(()))
        })
        .await??;
        Ok(lamp)
    }

    /// The dialog states it was told, in order: `terminated`, `early`, `confirmed`.
    pub fn states(&self) -> Vec<String> {
        let messages = self.messages();
        let after = messages.split("<state>").skip(1);
        after.filter_map(|rest| Some(rest.split_once("</state>")?.0.to_owned())).collect()
    }

    /// Every SIP message it sent and got, as sipp logs them.
    pub fn messages(&self) -> String {
        self.0.messages()
    }
}

/// One run of sipp and its folder.
#[derive(Debug)]
struct Sipp {
    running: Running,
    folder: tempfile::TempDir,
}

impl Sipp {
    fn start(
        name: &'static str,
        scenario: &str,
        words: &[(&str, Vec<u8>)],
        at: SocketAddrV4,
        calls: Option<SocketAddrV4>,
    ) -> Result<Sipp, Trouble> {
        let program = need(Part::Sipp)?;
        let folder = tempfile::Builder::new().prefix("pinkas-sipp-").tempdir()?;
        std::fs::write(folder.path().join("scenario.xml"), fill(scenario, words)?)?;

        let ip = at.ip().to_string();
        let mut command = bounded(program);
        command.current_dir(folder.path()).args(["-sf", "scenario.xml", "-nostdin", "-aa"]);
        // Its control port would else be open to everyone.
        command.args(["-i", &ip, "-ci", &ip, "-mi", &ip, "-p", &at.port().to_string()]);
        command.args([
            "-trace_msg",
            "-message_file",
            "messages.log",
            "-trace_err",
            "-error_file",
            "errors.log",
        ]);
        // A bracket begins one of sipp's own words; `fill` writes this word for it.
        command.args(["-key", "bracket", "["]);
        if let Some(pbx) = calls {
            command.args(["-m", "1", &pbx.to_string()]);
        }
        let running = Running::start(name, command, &folder.path().join("screen.log"))?;
        Ok(Sipp { running, folder })
    }

    fn messages(&self) -> String {
        String::from_utf8_lossy(&read(self.folder.path(), "messages.log")).into_owned()
    }

    fn well(&self, status: ExitStatus) -> anyhow::Result<()> {
        if status.success() {
            return Ok(());
        }
        let errors = read(self.folder.path(), "errors.log");
        bail!("the call went otherwise than planned ({status}): {}", String::from_utf8_lossy(&errors).trim())
    }
}

/// Scenario labels, see `scenarios/phone.xml`.
const ANSWER: &str = "1";
const DECLINE: &str = "5";

/// Longer than any test may run.
const FOR_EVER: Duration = Duration::from_secs(3600);

const STARTING: Duration = Duration::from_secs(10);

fn milliseconds(duration: Duration) -> Vec<u8> {
    // sipp takes 0 for "no limit".
    duration.as_millis().max(1).to_string().into_bytes()
}

/// Puts bytes, not text, for the capital words: a name may be any bytes.
fn fill(scenario: &str, words: &[(&str, Vec<u8>)]) -> anyhow::Result<Vec<u8>> {
    let mut filled = scenario.as_bytes().to_vec();
    for (word, value) in words {
        if value.windows(3).any(|bytes| bytes == b"]]>") {
            bail!("sipp cannot send ]]>, which ends a text in its scenarios");
        }
        filled = replaced(&filled, word.as_bytes(), &replaced(value, b"[", b"[bracket]"));
    }
    Ok(filled)
}

fn replaced(text: &[u8], word: &[u8], value: &[u8]) -> Vec<u8> {
    let mut done = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(&first) = rest.first() {
        if let Some(after) = rest.strip_prefix(word) {
            done.extend_from_slice(value);
            rest = after;
        } else {
            done.push(first);
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    done
}

/// sipp says nowhere which port it took, so one is chosen for it; taking it in between is a small risk.
fn free_port(ip: Ipv4Addr) -> std::io::Result<SocketAddrV4> {
    let port = UdpSocket::bind((ip, 0))?.local_addr()?.port();
    Ok(SocketAddrV4::new(ip, port))
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap_or_default()
}
