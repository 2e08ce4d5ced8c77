//! `check` for copies of SIP traffic: listens for a moment as the adapter would, and says what came.

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::beside::Beside;
use super::{Finding, causes, ports};
use crate::config::{Hep, Pbx};
use crate::hear::hep::{self, Counts};

/// How long it listens.
const LISTENS: Duration = Duration::from_secs(3);

/// Listens, and says what came.
pub(super) async fn probe(config: &Hep, pbx: &Pbx, beside: Beside) -> Vec<Finding> {
    let at = config.listen;
    let bound = UdpSocket::bind(at).map(drop).and_then(|()| TcpListener::bind(at).map(drop));
    match (bound, beside) {
        (Ok(()), _) => {}
        (Err(e), Beside::Adapter) if e.kind() == ErrorKind::AddrInUse => {
            return vec![Finding::good(format!(
                "copies (HEP): the adapter that is running listens on {at}: what comes there is in its figures, \
                 pinkas_heard_total and pinkas_refused_total"
            ))];
        }
        (Err(e), Beside::Nobody) if e.kind() == ErrorKind::AddrInUse => {
            let by = ports::taken_by(beside, at.port());
            return vec![Finding::broken(format!("copies (HEP): `listen` {at} is taken {by}"))];
        }
        (Err(e), _) => {
            let why = causes::in_words(&e.into());
            return vec![Finding::broken(format!(
                "copies (HEP): cannot listen on {at} (`listen` in [hep]): {why}"
            ))];
        }
    }
    let counts = Arc::new(Counts::default());
    let stop = CancellationToken::new();
    let (heard_in, mut heard) = mpsc::channel(64);
    let listening = hep::run_counting(config.clone(), pbx.clone(), heard_in, stop.clone(), counts.clone());
    let ends = async {
        tokio::time::sleep(LISTENS).await;
        stop.cancel();
    };
    let draining = async { while heard.recv().await.is_some() {} };
    match tokio::join!(listening, ends, draining).0 {
        Ok(()) => findings(config, &counts),
        Err(e) => vec![Finding::broken(format!("copies (HEP): {}", causes::in_words(&e)))],
    }
}

fn findings(config: &Hep, counts: &Counts) -> Vec<Finding> {
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let (at, seconds) = (config.listen, LISTENS.as_secs());
    let (packets, read) = (count(&counts.packets), count(&counts.read));
    let mut findings =
        vec![Finding::good(format!("copies (HEP): {at} can be listened on, over udp and tcp"))];
    match (packets, read) {
        (0, _) => findings.push(Finding::trap(format!(
            "copies (HEP): none came from those in `from` within {seconds} s; make a call while this runs to see whether they come"
        ))),
        (_, 0) => findings.push(Finding::good(format!(
            "copies (HEP): {packets} came within {seconds} s, none of them of a call"
        ))),
        (_, _) => findings.push(Finding::good(format!(
            "copies (HEP): {packets} came within {seconds} s, {read} of them messages of calls"
        ))),
    }
    let refused = [
        (
            &counts.strangers,
            "came from an address that is not in `from` of [hep]: if that is the phone system, add it",
        ),
        (
            &counts.wrong_key,
            "came without the key of [hep], or with another: write the same key here and at the sender",
        ),
        (&counts.compressed, "are compressed: switch that off at the sender"),
        (&counts.malformed, "are not HEP version 3"),
    ];
    for (counter, words) in refused {
        if count(counter) > 0 {
            findings.push(Finding::trap(format!("copies (HEP): {} {words}", count(counter))));
        }
    }
    findings
}
