//! What the adapter understands of one SIP message or dialog-info document, as JSON for a person to read.
//! The same functions that hear calls are asked, so that this shows what would happen. Pure: bytes in, value
//! out. A withheld number is withheld here too.

pub mod command;

use std::net::IpAddr;

use pinkas_protocol::{Caller, Private, text};
use serde_json::{Map, Value, json};

use crate::sip::dialog_info::{self, DialogInfo, DialogInfoError};
use crate::sip::identity::{self, Identity, Rules};
use crate::sip::message::{Message, Refused, Start};
use crate::sip::name_addr::NameAddr;

/// Why nothing was understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotUnderstood {
    /// As a SIP message.
    #[error("this is no SIP message: {0}")]
    Message(#[from] Refused),
    /// As a dialog-info document on its own.
    #[error("this is no dialog-info document: {0}")]
    Document(#[from] DialogInfoError),
}

/// Explains `bytes` that came from `peer`, where the header `joined_by` names the caller's leg on a phone's leg.
pub fn explain(
    bytes: &[u8],
    peer: Option<IpAddr>,
    rules: &Rules,
    joined_by: &str,
) -> Result<Value, NotUnderstood> {
    if bytes.trim_ascii_start().starts_with(b"<") {
        let info = dialog_info::read(bytes, rules)?;
        return Ok(json!({ "kind": "dialog-info", "dialog_info": dialogs(&info) }));
    }
    let message = Message::read_in(bytes, rules.charset)?;
    let mut said = Map::new();
    let mut say = |key: &str, value: Value| {
        if !value.is_null() {
            said.insert(key.to_owned(), value);
        }
    };
    match &message.start {
        Start::Request { method, .. } => {
            say("kind", json!("request"));
            say("method", json!(method));
        }
        Start::Response { code, reason } => {
            say("kind", json!("response"));
            say("code", json!(code));
            say("reason", json!(text::plain(reason, text::LONGEST)));
        }
    }
    say("means", json!(meaning(&message)));
    say("call_id", json!(message.call_id()));
    say(
        "joined_with_call_id",
        json!(message.header(joined_by).and_then(|id| text::plain(id, text::LONGEST))),
    );
    say("cseq", json!(message.cseq().map(|(number, method)| json!({ "number": number, "method": method }))));
    say("branch", json!(message.branch()));
    let trusted = rules.trusts(peer);
    say("peer", json!(peer.map(|peer| json!({ "address": peer.to_string(), "trusted": trusted }))));
    if matches!(message.method(), Some("INVITE" | "UPDATE")) {
        let Identity { facts, asserted_by, not_believed, .. } = identity::read(&message, peer, rules);
        say("asserted_by", json!(asserted_by));
        if let Ok(Value::Object(facts)) = serde_json::to_value(&facts) {
            facts.into_iter().for_each(|(key, value)| say(&key, value));
        }
        say("not_believed", list(&not_believed));
    } else {
        // In these an asserted identity is not the caller's: the sender's own word is all there is.
        say("sender", json!(identity::read(&message, None, rules).facts.caller));
        let answered = matches!(message.start, Start::Response { code: 200..=299, .. }) && trusted;
        let answering = message.header("P-Asserted-Identity").filter(|_| answered);
        let answering = answering.and_then(|value| NameAddr::read_list(value).into_iter().next());
        say("answered_by", json!(answering.map(|address| party(&address, rules))));
    }
    let callee = message.request_uri().and_then(NameAddr::read).or_else(|| message.to());
    say("callee", json!(callee.map(|address| party(&address, rules))));
    let kind = message.header("Content-Type").unwrap_or_default().to_ascii_lowercase();
    if kind.starts_with("application/dialog-info+xml") {
        say(
            "dialog_info",
            match dialog_info::read(message.body(), rules) {
                Ok(info) => dialogs(&info),
                Err(why) => json!({ "not_understood": why.to_string() }),
            },
        );
    }
    Ok(Value::Object(said))
}

fn list(words: &[&str]) -> Value {
    if words.is_empty() { Value::Null } else { json!(words) }
}

fn party(address: &NameAddr, rules: &Rules) -> Caller {
    identity::caller(address.uri, address.display.as_deref(), &rules.numbers)
}

fn dialogs(info: &DialogInfo) -> Value {
    let dialog = |(id, dialog): &(String, dialog_info::Dialog)| {
        json!({
            "id": text::plain(id, text::LONGEST).map(Private),
            "state": format!("{:?}", dialog.state).to_lowercase(),
            "incoming": dialog.incoming,
            "remote": dialog.remote,
            "queue": dialog.queue,
        })
    };
    json!({ "full": info.full, "dialogs": info.dialogs.iter().map(dialog).collect::<Vec<_>>() })
}

/// What a message means for a call, in words.
fn meaning(message: &Message) -> &'static str {
    let in_dialog = message.to().is_some_and(|to| to.tag().is_some());
    match &message.start {
        Start::Request { method, .. } => match method.as_str() {
            "INVITE" if in_dialog => "a call that stands is changed (re-INVITE)",
            "INVITE" => "a call is offered",
            "UPDATE" => "a call is changed before or after it is answered",
            "CANCEL" if answered_elsewhere(message) => "the phone stops ringing: answered elsewhere",
            "CANCEL" => "the phone stops ringing: the caller gave up, or its time is over",
            "ACK" => "a final answer was received",
            "BYE" => "the call is over",
            "REFER" => "the call is to be transferred",
            "NOTIFY" => "the state of something subscribed to",
            _ => "nothing about a call",
        },
        Start::Response { code, .. } => match (message.cseq().map(|(_, method)| method), code) {
            (Some("INVITE"), 100) => "the call is being placed",
            (Some("INVITE"), 181) => "the call is being forwarded",
            (Some("INVITE"), 182) => "the call waits in a queue",
            (Some("INVITE"), 101..=199) => "the phone rings",
            (Some("INVITE"), 200..=299) => "the call is answered",
            (Some("INVITE"), 300..=399) => "the call is sent to another phone",
            (Some("INVITE"), 401 | 407) => "the caller is asked for a password",
            (Some("INVITE"), 408 | 480) => "nobody answered",
            (Some("INVITE"), 486 | 600 | 603 | 607) => "the phone is busy or declined",
            (Some("INVITE"), 487) => "the call was cancelled",
            (Some("INVITE"), _) => "the call failed",
            _ => "an answer that is not about a call being set up",
        },
    }
}

/// `Reason` of a CANCEL (RFC 3326): SIP 200, or cause 26 of Q.850.
fn answered_elsewhere(message: &Message) -> bool {
    message.headers("Reason").any(|reason| {
        let cause = crate::sip::name_addr::value_param(reason, "cause");
        let protocol = crate::sip::name_addr::before_params(reason).trim();
        (protocol.eq_ignore_ascii_case("SIP") && cause == Some("200"))
            || (protocol.eq_ignore_ascii_case("Q.850") && cause == Some("26"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CALL_ID_HEADER;

    const ALONE: &[u8] = b" <dialog-info><dialog id='a'/></dialog-info>";

    fn seed(name: &str) -> Vec<u8> {
        let file = format!("{}/../fuzz/seeds/sip/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(&file).unwrap_or_else(|e| panic!("{file}: {e}"))
    }

    fn check(name: &str, peer: Option<&str>, expected: &[(&str, Value)]) {
        let peer: Option<IpAddr> = peer.map(|peer| peer.parse().expect("an address"));
        let rules = Rules { trusted: "192.0.2.1".parse().into_iter().collect(), ..Rules::default() };
        let said = explain(&seed(name), peer, &rules, CALL_ID_HEADER).expect("understood");
        for (pointer, value) in expected {
            assert_eq!(said.pointer(pointer).unwrap_or(&Value::Null), value, "{pointer} of {name}: {said:#}");
        }
    }

    #[test]
    fn what_is_understood_of_an_invite_is_told() {
        let trusted = Some("192.0.2.1");
        check(
            "asterisk_invite",
            trusted,
            &[
                ("/kind", json!("request")),
                ("/means", json!("a call is offered")),
                ("/asserted_by", json!("P-Asserted-Identity")),
                ("/caller/number/e164", json!("+491701234567")),
                ("/caller/name", json!("Erika Mustermann")),
                ("/queue", json!("support")),
                ("/dialled/e164", json!("+97231234567")),
                ("/callee/number/digits", json!("101")),
                ("/peer/trusted", json!(true)),
                ("/not_believed", Value::Null),
            ],
        );
        check(
            "asterisk_invite",
            None,
            &[
                ("/asserted_by", json!("From")),
                ("/not_believed", json!(["P-Asserted-Identity", "Remote-Party-ID"])),
            ],
        );
        check(
            "stir_identity",
            trusted,
            &[("/caller/stir/verdict", json!("passed")), ("/caller/stir/attestation", json!("A"))],
        );
        check("kamailio_proxied", None, &[("/diverted_by/e164", json!("+97231230000"))]);
    }

    #[test]
    fn the_call_that_a_leg_belongs_to_is_told() {
        let leg = b"INVITE sip:101@x SIP/2.0\r\nCall-ID: b\r\nX-Original-Call-ID: a@pbx\r\n\r\n";
        let said = explain(leg, None, &Rules::default(), CALL_ID_HEADER).expect("understood");
        assert_eq!((&said["call_id"], &said["joined_with_call_id"]), (&json!("b"), &json!("a@pbx")));
    }

    #[test]
    fn answers_and_ends_are_told_in_words() {
        check("answer_180", None, &[("/means", json!("the phone rings")), ("/code", json!(180))]);
        check("answer_200", Some("192.0.2.1"), &[("/answered_by/number/digits", json!("101"))]);
        check("answer_486", None, &[("/means", json!("the phone is busy or declined"))]);
        check(
            "asterisk_cancel_elsewhere",
            None,
            &[("/means", json!("the phone stops ringing: answered elsewhere"))],
        );
        check("asterisk_bye", None, &[("/means", json!("the call is over"))]);
    }

    #[test]
    fn dialog_info_is_understood_in_a_message_and_alone() {
        let remote = "/dialog_info/dialogs/0/remote/number/e164";
        check("asterisk_notify", None, &[(remote, json!("+491701234567"))]);
        let alone = explain(ALONE, None, &Rules::default(), CALL_ID_HEADER);
        assert_eq!(alone.expect("understood")["kind"], json!("dialog-info"));
    }

    #[test]
    fn a_withheld_number_is_told_to_nobody() {
        for peer in [None, "192.0.2.1".parse().ok()] {
            let rules = Rules { trusted: peer.into_iter().collect(), ..Rules::default() };
            let said = explain(&seed("asterisk_withheld"), peer, &rules, CALL_ID_HEADER)
                .expect("understood")
                .to_string();
            assert!(!said.contains("1701234567") && !said.contains("Real Name"), "{said}");
        }
    }

    #[test]
    fn what_is_not_understood_is_told_with_the_reason_and_no_content() {
        let why = |bytes: &[u8]| {
            explain(bytes, None, &Rules::default(), CALL_ID_HEADER).expect_err("refused").to_string()
        };
        assert_eq!(why(b"\r\n"), "this is no SIP message: there is no message, only a keep-alive");
        assert_eq!(
            why(&seed("said_twice")),
            "this is no SIP message: the header From stands twice and says different things"
        );
        assert_eq!(why(b"<a/>"), "this is no dialog-info document: the document is not dialog-info");
    }
}
