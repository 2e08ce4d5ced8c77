//! What a phone system knows of a call besides: configured headers and User-to-User information (RFC 7433).
//! Of a caller who asked to be withheld, nothing that could be the number passes here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use pinkas_protocol::call::MOST_TAGS;
use pinkas_protocol::{CallFacts, Number, Private, TagName, text};

use super::encoded;
use super::message::Message;
use super::name_addr;

const USER_TO_USER: &str = "User-to-User";

/// The name of a header, such as `X-Customer-Number`; of User-to-User also for which purpose, as in
/// `User-to-User;purpose=crm`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderName {
    name: String,
    purpose: Option<String>,
}

impl HeaderName {
    /// A name that is known to be one.
    pub(super) fn known(name: &'static str) -> HeaderName {
        HeaderName { name: name.to_owned(), purpose: None }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl FromStr for HeaderName {
    type Err = NoHeaderName;

    fn from_str(name: &str) -> Result<HeaderName, NoHeaderName> {
        let (name, purpose) = match name.split_once(';') {
            Some((name, param)) => {
                let purpose =
                    param.split_once('=').filter(|(key, _)| key.trim().eq_ignore_ascii_case("purpose"));
                (name.trim(), Some(purpose.ok_or(NoHeaderName)?.1.trim()))
            }
            None => (name.trim(), None),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let good = |word: &str| (1..=64).contains(&word.len()) && word.bytes().all(plain);
        let of_uui = purpose.is_none_or(|purpose| name.eq_ignore_ascii_case(USER_TO_USER) && good(purpose));
        let named = HeaderName { name: name.to_owned(), purpose: purpose.map(str::to_owned) };
        (good(name) && of_uui).then_some(named).ok_or(NoHeaderName)
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The text is no name of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not the name of a header")]
pub struct NoHeaderName;

/// The configured tags of a message.
pub fn read(message: &Message, wanted: &[(TagName, HeaderName)]) -> BTreeMap<TagName, Private<String>> {
    let tag = |(name, header): &(TagName, HeaderName)| {
        let mut values = message.headers(&header.name);
        let value = if header.name.eq_ignore_ascii_case(USER_TO_USER) {
            let mut each = values.flat_map(name_addr::elements);
            each.find_map(|raw| text::plain(&uui(raw, header.purpose.as_deref())?, text::LONGEST))
        } else {
            values.find_map(|raw| text::plain(raw, text::LONGEST))
        };
        Some((name.clone(), Private(value?)))
    };
    wanted.iter().take(MOST_TAGS).filter_map(tag).collect()
}

/// Whether a tag could tell a withheld caller's number: it holds the end of a known number, or is written
/// as an address or international number.
pub fn tells_number(value: &str, known: &[String]) -> bool {
    let digits = digits(value);
    let lower = value.to_ascii_lowercase();
    let address = ["sip:", "sips:", "tel:"].iter().any(|scheme| lower.contains(scheme));
    let international = value.contains('+') && digits.len() >= 7;
    address || international || ends_as(&digits, known)
}

/// Takes out of the facts of a withheld caller's call what could tell one of the known numbers.
pub fn keep_back(facts: &mut CallFacts, known: &[String]) {
    facts.tags.retain(|_, value| !tells_number(&value.0, known));
    let tells = |by: &Number| ends_as(by.key().unwrap_or_default(), known);
    facts.diverted_by = facts.diverted_by.take().filter(|by| !tells(by));
}

/// Whether digits hold the end of a known number: its last digits are the same however it is written.
/// A short number must be all there is.
pub fn ends_as(digits: &str, known: &[String]) -> bool {
    known.iter().any(|known| match known.get(known.len().saturating_sub(7)..) {
        Some(end) if end.len() >= 5 => digits.contains(end),
        Some(end) => !end.is_empty() && digits == end,
        None => false,
    })
}

/// The decimal digits of a text.
pub fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// The text in User-to-User information of a purpose, when that is asked for. It is hexadecimal unless
/// `encoding` says otherwise (RFC 7433 section 4.1).
fn uui<'a>(value: &'a str, purpose: Option<&str>) -> Option<Cow<'a, str>> {
    let param = |name: &str| name_addr::value_param(value, name).map(|value| value.trim_matches('"'));
    if purpose.is_some_and(|wanted| !param("purpose").is_some_and(|said| said.eq_ignore_ascii_case(wanted))) {
        return None;
    }
    let data = name_addr::before_params(value).trim();
    if let Some(quoted) = data.strip_prefix('"').and_then(|data| data.strip_suffix('"')) {
        return Some(Cow::Borrowed(quoted));
    }
    match (param("encoding"), encoded::hex(data)) {
        (None, Some(bytes)) => decoded(&bytes),
        (Some(name), bytes) if name.eq_ignore_ascii_case("hex") => decoded(&bytes?),
        // Quirk(several): plain text without saying so.
        _ => Some(Cow::Borrowed(data)),
    }
}

/// UTF-8, after the protocol discriminator of ISDN where there is one (ITU-T Q.931: `00` user-specific,
/// `04` IA5 characters).
fn decoded(bytes: &[u8]) -> Option<Cow<'static, str>> {
    let text = match bytes {
        [0x00 | 0x04, rest @ ..] => rest,
        all => all,
    };
    std::str::from_utf8(text).ok().map(|text| Cow::Owned(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &str, tag: &str, expected: &str) {
        let text = format!("INVITE sip:1@x SIP/2.0\r\n{headers}\r\n\r\n");
        let message = Message::read(text.as_bytes()).expect("a message");
        let name = TagName::parse("customer").expect("a name");
        let wanted = [(name, tag.parse().expect("a header"))];
        let tags = read(&message, &wanted);
        assert_eq!(tags.values().next().map_or("nothing", |value| &value.0), expected, "for {headers}");
    }

    #[test]
    fn configured_headers_become_tags() {
        check("X-Customer-Number:  4711 ", "x-customer-number", "4711");
        check("X-Customer-Number: \r\nX-Customer-Number: 2", "X-Customer-Number", "2");
        check("X-Other: 1", "X-Customer-Number", "nothing");
        check("X-Customer-Number: \u{202E}\u{200B}", "X-Customer-Number", "nothing");
    }

    #[test]
    fn user_to_user_information_is_read_as_rfc_7433_writes_it() {
        check("User-to-User: 34373131;encoding=hex", "User-to-User", "4711");
        check("User-to-User: 34373131", "user-to-user", "4711");
        check(
            "User-to-User: 0434373131;encoding=hex;purpose=isdn-uui;content=isdn-uui",
            "User-to-User",
            "4711",
        );
        check("User-to-User: \"customer 4711\";purpose=crm", "User-to-User", "customer 4711");
        check("User-to-User: cust-4711;encoding=ascii", "User-to-User", "cust-4711");
        check("User-to-User: zz;encoding=hex", "User-to-User", "nothing");
        check("User-to-User: ff;encoding=hex\r\nUser-to-User: 31;encoding=hex", "User-to-User", "1");
        let two = "User-to-User: 31;encoding=hex;purpose=a, \"2,;\";purpose=crm";
        check(two, "User-to-User", "1");
        check(two, "User-to-User; purpose=CRM", "2,;");
        check(two, "User-to-User;purpose=x", "nothing");
    }

    #[test]
    fn what_could_be_a_withheld_number_is_recognised() {
        let known = [digits("+972-50-123-4567"), digits("101")];
        for value in ["0501234567", "972501234567", "x 050 123 4567 y", "101", "tel:5", "+48 123 456 789"] {
            assert!(tells_number(value, &known), "{value}");
        }
        for value in ["4711", "customer 87654321", "1012", "gold+", ""] {
            assert!(!tells_number(value, &known), "{value}");
        }
    }

    #[test]
    fn only_what_can_be_a_header_is_a_header_name() {
        for name in ["", "X Y", "X:Y", "X\r\nY", "Ü", "X-Y;purpose=a", "User-to-User;x=a", "User-to-User;"] {
            assert!(name.parse::<HeaderName>().is_err(), "{name}");
        }
    }
}
