//! The few things of SIP messages that a user agent reads and writes itself. Header values are taken as
//! text: rsipstack's typed headers believe an address inside a quoted display name.

use std::time::Duration;

use rsipstack::sip::{self, Header, Headers, Uri};

/// The longest tag that is remembered, in bytes.
const LONGEST_TAG: usize = 128;

/// The tag parameter after the address, which ends at the last `>`.
pub fn tag_of(value: &str) -> Option<&str> {
    let after = value.rsplit_once('>').map_or(value, |(_, after)| after);
    let tag = after.split(';').skip(1).find_map(|p| p.trim().strip_prefix("tag="))?;
    (!tag.is_empty() && tag.len() <= LONGEST_TAG).then(|| tag.trim())
}

/// The URI of a Contact.
pub fn target_of(contact: &str) -> Option<Uri> {
    let uri = match contact.rfind('<') {
        Some(start) => contact.get(start + 1..)?.split('>').next()?,
        None => contact.split(';').next()?.trim(),
    };
    sip::parse_uri(uri).ok()
}

/// The route set of a dialog as the caller of it sees it: Record-Route values in reverse order
/// (RFC 3261 section 12.1.2).
pub fn routes_of(headers: &Headers) -> Vec<String> {
    let routes = headers.iter().filter_map(|header| match header {
        Header::RecordRoute(route) => Some(route.value().to_owned()),
        _ => None,
    });
    let mut routes: Vec<String> = routes.take(16).collect();
    routes.reverse();
    routes
}

/// The first value of a header of delta-seconds, `Retry-After: 5 (busy)` and the like.
pub fn seconds_of(headers: &Headers, name: SecondsHeader) -> Option<Duration> {
    let value = headers.iter().find_map(|header| match (header, name) {
        (Header::Expires(value), SecondsHeader::Expires) => Some(value.value()),
        (Header::MinExpires(value), SecondsHeader::MinExpires) => Some(value.value()),
        (Header::RetryAfter(value), SecondsHeader::RetryAfter) => Some(value.value()),
        _ => None,
    })?;
    let digits = value.trim().split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()))
}

/// Headers that hold a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondsHeader {
    /// How long something was granted for.
    Expires,
    /// The least that would be granted.
    MinExpires,
    /// When to try again.
    RetryAfter,
}

/// A name as the user part of a SIP URI (RFC 3261 section 25.1).
pub fn escape(user: &str) -> String {
    let mut out = String::new();
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_targets_are_found_after_the_address() {
        assert_eq!(tag_of("\"a;tag=x\" <sip:b;tag=y@c>;tag=z"), Some("z"));
        assert_eq!(tag_of("<sip:b@c>"), None);
        assert_eq!(tag_of(&format!("<sip:b@c>;tag={}", "x".repeat(129))), None);
        let target = |contact: &str| target_of(contact).map(|uri| uri.to_string());
        assert_eq!(
            target("\"<sip:x@y>\" <sip:b@c:5060;transport=tcp>;q=1").as_deref(),
            Some("sip:b@c:5060;transport=TCP")
        );
        assert_eq!(target("sip:b@c;q=1").as_deref(), Some("sip:b@c"));
        assert_eq!(target("<"), None);
    }

    #[test]
    fn seconds_are_read_with_what_follows_them() {
        let headers: Headers = vec![
            Header::RetryAfter(sip::RetryAfter::new("18 (soon);duration=3")),
            Header::Expires(sip::Expires::new("soon")),
        ]
        .into();
        assert_eq!(seconds_of(&headers, SecondsHeader::RetryAfter), Some(Duration::from_secs(18)));
        assert_eq!(seconds_of(&headers, SecondsHeader::Expires), None);
        assert_eq!(seconds_of(&headers, SecondsHeader::MinExpires), None);
    }
}
