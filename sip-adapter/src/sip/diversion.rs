//! Who forwarded a call here: Diversion (RFC 5806) and History-Info (RFC 7044).
//! Whoever forwarded and asked not to be named is not named.

use super::message::Message;
use super::name_addr::{MOST_ADDRESSES, NameAddr};
use super::uri;

/// The address that forwarded the call last.
pub fn diverted_by(message: &Message) -> Option<NameAddr<'_>> {
    match message.headers("Diversion").flat_map(NameAddr::read_list).next() {
        // RFC 5806 section 3: the topmost is the latest.
        Some(diversion) => {
            let asked = diversion.param("privacy").unwrap_or_default().to_ascii_lowercase();
            let hidden = ["full", "name", "uri"].iter().any(|word| asked.contains(word));
            (!hidden).then_some(diversion)
        }
        None => by_history(message),
    }
}

/// The entry that the last forwarded one was mapped from.
fn by_history(message: &Message) -> Option<NameAddr<'_>> {
    let privacy = message.headers("Privacy").any(|value| value.to_ascii_lowercase().contains("history"));
    if privacy {
        return None;
    }
    let entries: Vec<NameAddr> =
        message.headers("History-Info").flat_map(NameAddr::read_list).take(MOST_ADDRESSES).collect();
    let index = |wanted: &str| entries.iter().position(|entry| entry.param("index") == Some(wanted));
    // RFC 7044 section 5: `mp` names the entry whose user was changed to this one.
    let mapped = entries.iter().rev().filter_map(|entry| entry.param("mp")).find_map(index);
    // RFC 4458: `cause` stands in the new target. Others give the reason in the old one (RFC 7044 section 10.2).
    let by_cause = || {
        let caused =
            entries.iter().rposition(|entry| entry.parts().is_some_and(|uri| uri.param("cause").is_some()));
        caused.and_then(|target| target.checked_sub(1))
    };
    let with_reason = || {
        let before_last = entries.len().saturating_sub(1);
        entries.iter().take(before_last).rposition(|entry| embedded(entry, "Reason").is_some())
    };
    let entry = entries.get(mapped.or_else(by_cause).or_else(with_reason)?)?;
    let hidden = embedded(entry, "Privacy").is_some_and(|value| !value.eq_ignore_ascii_case("none"));
    (!hidden).then(|| entry.clone())
}

/// A header written into a URI after `?` (RFC 3261 section 19.1.1).
fn embedded(entry: &NameAddr<'_>, name: &str) -> Option<String> {
    let (_, headers) = entry.uri.split_once('?')?;
    let mut headers = headers.split('&').filter_map(|header| header.split_once('='));
    headers
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| uri::unescape(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &str, expected: &str) {
        let text = format!("INVITE sip:1@x SIP/2.0\r\n{headers}\r\n\r\n");
        let message = Message::read(text.as_bytes()).expect("a message");
        let by = diverted_by(&message).and_then(|by| by.user()).unwrap_or("nobody".into()).into_owned();
        assert_eq!(by, expected, "for {headers}");
    }

    #[test]
    fn the_latest_diversion_counts() {
        check("Diversion: \"Desk\" <sip:102@x>;reason=user-busy;counter=1", "102");
        check("Diversion: <sip:102@x>;reason=no-answer, <sip:101@x>;reason=unconditional", "102");
        check("Diversion: <tel:+48123>;reason=unknown\r\nDiversion: <sip:101@x>", "+48123");
        check("Diversion: <sip:102@x>;privacy=full", "nobody");
        check("Diversion: <sip:102@x>;privacy=off", "102");
        check("X: y", "nobody");
    }

    #[test]
    fn the_history_names_who_forwarded() {
        check("History-Info: <sip:102@x>;index=1, <sip:103@x>;index=1.1;mp=1", "102");
        check(
            "History-Info: <sip:102@x?Reason=SIP%3Bcause%3D302>;index=1\r\nHistory-Info: <sip:103@x>;index=1.1",
            "102",
        );
        check("History-Info: <sip:102@x>;index=1,<sip:103@x;cause=486>;index=1.1", "102");
        check("History-Info: <sip:102@x>;index=1", "nobody");
        check("History-Info: <sip:102@x>;index=1, <sip:102@10.0.0.1>;index=1.1;rc=1", "nobody");
    }

    #[test]
    fn who_asked_not_to_be_named_is_not_named() {
        let entries = "History-Info: <sip:102@x?Privacy=history>;index=1, <sip:103@x>;index=1.1;mp=1";
        check(entries, "nobody");
        check(&format!("Privacy: history\r\n{}", entries.replace("?Privacy=history", "")), "nobody");
    }
}
