//! Ladders written by hand, one message a line:
//! `MS SENDER>RECEIVER METHOD|CODE [USER] id=LEG …`, with `from=USER` and `name=NAME` on the first INVITE,
//! `br=` the branch, `via=` the hops gone, `tt=` the tag of the side called, `by=phone` for what that side sends,
//! `of=` the method a code answers, `sdp=` a direction, and `| Header: value` at the end.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::Step;
use crate::sip::message::Message;

struct Leg {
    from: String,
    to: String,
    cseq: u32,
}

pub fn read(text: &str) -> Vec<Step> {
    let mut legs: HashMap<String, Leg> = HashMap::new();
    let mut acks = 0;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| step(line, &mut legs, &mut acks)).collect()
}

fn step(line: &str, legs: &mut HashMap<String, Leg>, unique: &mut u32) -> Step {
    let mut parts = line.split('|').map(str::trim);
    let words: Vec<&str> = parts.next().expect("a line").split_whitespace().collect();
    let [at, ends, word, rest @ ..] = &words[..] else { panic!("too short: {line}") };
    let user = rest.first().filter(|word| !word.contains('=')).copied();
    let value = |key: &str| {
        rest.iter()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.replace('_', " "))
    };
    let (sender, receiver) = ends.split_once('>').expect("SENDER>RECEIVER");
    let id = value("id").expect("id=");
    let by_phone = value("by").as_deref() == Some("phone");
    let method = value("of").unwrap_or(if word.parse::<u16>().is_ok() {
        "INVITE".to_owned()
    } else {
        word.to_string()
    });
    let first = *word == "INVITE" && value("sdp").is_none();
    let host = |name: &str| {
        if name == "trunk" { "carrier.example".to_owned() } else { address(name).ip().to_string() }
    };
    let uri = format!("sip:{}@{}", user.unwrap_or("x"), host(receiver));
    if first && !legs.contains_key(&id) {
        let from = value("from").expect("from=");
        let name = value("name").map(|name| format!("\"{name}\" ")).unwrap_or_default();
        let to = format!("<sip:{}@{}>", value("to").as_deref().or(user).expect("a user"), host(receiver));
        let from = match from.as_str() {
            "anonymous" => "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned(),
            from => format!("{name}<sip:{from}@{}>", host(sender)),
        };
        legs.insert(id.clone(), Leg { from, to, cseq: 1 });
    }
    let leg = legs.get_mut(&id).expect("a leg that was begun");
    let within = value("sdp").is_some() || matches!(method.as_str(), "BYE" | "REFER" | "UPDATE");
    if within && word.parse::<u16>().is_err() && value("via").is_none_or(|via| via == "1") {
        leg.cseq += 1;
    }
    let tag = value("tt").unwrap_or_else(|| format!("t{id}"));
    let from = format!("{};tag=f{id}", leg.from);
    let to = if first || *word == "CANCEL" { leg.to.clone() } else { format!("{};tag={tag}", leg.to) };
    let (from, to) = if by_phone { (to, from) } else { (from, to) };
    *unique += 1;
    let own =
        if within || (*word == "ACK" && value("br").is_none()) { format!("u{unique}") } else { id.clone() };
    let branch = value("br").unwrap_or(own);
    let hops: usize = value("via").map_or(1, |via| via.parse().expect("a number"));
    let cseq = if within { leg.cseq } else { 1 };
    let start = match word.parse::<u16>() {
        Ok(code) => format!("SIP/2.0 {code} X"),
        Err(_) => format!("{word} {uri} SIP/2.0"),
    };
    let mut text = format!("{start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{branch}\r\n");
    for hop in 1..hops {
        text += &format!("Via: SIP/2.0/UDP h{hop};branch=z9hG4bK{id}up\r\n");
    }
    text += &format!("From: {from}\r\nTo: {to}\r\nCall-ID: {id}@x\r\nCSeq: {cseq} {method}\r\n");
    for header in parts {
        text += &format!("{header}\r\n");
    }
    let body =
        value("sdp").map(|sdp| format!("v=0\r\nm=audio 4000 RTP/AVP 8\r\na={sdp}\r\n")).unwrap_or_default();
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    Step {
        at: Duration::from_millis(at.parse().expect("milliseconds")),
        from: address(sender),
        to: address(receiver),
        message: Message::read(text.as_bytes()).unwrap_or_else(|e| panic!("{e}: {line}")),
    }
}

/// `trunk`, `pbx` and phones `p101`.
fn address(name: &str) -> SocketAddr {
    let text = match name {
        "trunk" => "198.51.100.7:5060".to_owned(),
        "pbx" => "192.0.2.10:5060".to_owned(),
        phone => format!("192.0.2.{}:5060", phone.strip_prefix('p').expect("a phone such as p101")),
    };
    text.parse().expect("an address")
}
