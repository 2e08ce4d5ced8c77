//! The parts of a `sip:`, `sips:` or `tel:` URI that say who is meant (RFC 3261 section 19.1, RFC 3966).
//! Borrowed slices of what was written; nothing here decides what a number means.

use std::borrow::Cow;

use memchr::{memchr, memrchr};

/// A URI in parts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Uri<'a> {
    /// Which kind.
    pub scheme: Scheme,
    /// The user part or the telephone number, still escaped; empty where there is none.
    pub user: &'a str,
    /// `;name=value` of the user part or telephone number, such as `;phone-context=+48`.
    pub user_params: &'a str,
    /// The host without port and brackets; empty in `tel:`.
    pub host: &'a str,
    /// `;name=value` after the host.
    pub params: &'a str,
}

/// Kinds of URI that name a person or a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:` or `sips:`.
    Sip,
    /// `tel:`.
    Tel,
}

impl<'a> Uri<'a> {
    /// Splits a URI; `None` for one of another scheme. The last `@` ends the user part: a phone system
    /// writes its own host last, and an unescaped user part may hold anything.
    pub fn read(uri: &'a str) -> Option<Uri<'a>> {
        let (scheme, rest) = cut(trim(uri), b':')?;
        let scheme = trim(scheme);
        if scheme.eq_ignore_ascii_case("tel") {
            let (user, user_params) = at(rest, memchr(b';', rest.as_bytes()));
            return Some(Uri { scheme: Scheme::Tel, user, user_params, host: "", params: "" });
        }
        if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
            return None;
        }
        // A user part may hold `?`, and headers of a URI begin with it: only what is before them can be the `@`.
        let first = memchr(b'@', rest.as_bytes()).unwrap_or(0);
        let headers = rest.as_bytes().get(first..).and_then(|tail| memchr(b'?', tail)).map(|end| first + end);
        let (rest, _) = at(rest, headers);
        let (user, after) = match at(rest, memrchr(b'@', rest.as_bytes())) {
            (_, "") => ("", rest),
            (user, after) => (user, after.get(1..).unwrap_or_default()),
        };
        let (user, user_params) = at(user, memchr(b';', user.as_bytes()));
        let (user, _password) = cut(user, b':').unwrap_or((user, ""));
        let (host, params) = at(after, memchr(b';', after.as_bytes()));
        let host = match trim(host).strip_prefix('[') {
            Some(v6) => v6.split_once(']').map_or(v6, |(v6, _)| v6),
            None => trim(cut(host, b':').map_or(host, |(host, _)| host)),
        };
        Some(Uri { scheme: Scheme::Sip, user, user_params, host, params })
    }

    /// The user part or telephone number, unescaped; `None` where there is none.
    pub fn unescaped_user(&self) -> Option<Cow<'a, str>> {
        (!self.user.is_empty()).then(|| unescape(self.user))
    }

    /// A parameter of the URI or of its user part, as written; empty when it has no value.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        if self.user_params.is_empty() && self.params.is_empty() {
            return None;
        }
        let all = self.user_params.split(';').chain(self.params.split(';'));
        all.filter(|param| !param.is_empty())
            .map(|param| param.split_once('=').unwrap_or((param, "")))
            .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

/// [`str::trim`], which mostly has nothing to do.
pub(crate) fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [b'!'..=b'~'] | [b'!'..=b'~', .., b'!'..=b'~'] => text,
        _ => text.trim(),
    }
}

/// [`str::split_once`] at a byte of ASCII.
fn cut(text: &str, byte: u8) -> Option<(&str, &str)> {
    let place = memchr(byte, text.as_bytes())?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// Both parts of `text` around a place; the second begins with what stands there.
fn at(text: &str, place: Option<usize>) -> (&str, &str) {
    place.and_then(|place| text.split_at_checked(place)).unwrap_or((text, ""))
}

/// `%41` → `A`; what is no escape stays as it is.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if memchr(b'%', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = |place: usize| bytes.get(place).and_then(|&digit| char::from(digit).to_digit(16));
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, expected: &str) {
        let said = match Uri::read(uri) {
            None => "none".to_owned(),
            Some(uri) => {
                let user = uri.unescaped_user().unwrap_or("-".into());
                format!("{user} at {} context {}", uri.host, uri.param("phone-context").unwrap_or("-"))
            }
        };
        assert_eq!(said, expected, "for {uri}");
    }

    #[test]
    fn each_part_is_found() {
        check("sip:101@pbx.example:5060;transport=tcp", "101 at pbx.example context -");
        check("SIPS:%2B48123456789@[2001:db8::1]:5061", "+48123456789 at 2001:db8::1 context -");
        check("sip:alice:secret@x", "alice at x context -");
        check("sip:pbx.example;lr", "- at pbx.example context -");
        check("tel:123456789;phone-context=+48", "123456789 at  context +48");
        check("sip:123;phone-context=+4812@x;user=phone", "123 at x context +4812");
        check("sip:100?x@host?Reason=a%40b", "100?x at host context -");
        check("https://x", "none");
        check("101", "none");
    }

    #[test]
    fn the_last_at_sign_ends_the_user_part() {
        check("sip:+972509999999@bank@10.0.0.1", "+972509999999@bank at 10.0.0.1 context -");
        check("sip:x@host;y=z@evil", "x@host at evil context -");
    }

    #[test]
    fn escapes_that_are_none_stay() {
        assert_eq!(unescape("%4"), "%4");
        assert_eq!(unescape("%+1%zz%D7%93"), "%+1%zzד");
    }
}
