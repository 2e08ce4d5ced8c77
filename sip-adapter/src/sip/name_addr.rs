//! Addresses with a display name, as From, To, Contact, P-Asserted-Identity, Diversion and others hold
//! them (RFC 3261 section 20.10). Our own reader, because a display name may hold anything: text in quotes
//! never becomes the URI here, and a value that could be read in two ways is not read at all.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr2;

use super::byte_set::ByteSet;
use super::uri::{Uri, trim};

/// The most addresses read out of one value.
pub const MOST_ADDRESSES: usize = 64;
/// The most parameters kept of one address.
pub const MOST_PARAMS: usize = 64;

/// What ends each part of an address.
static AFTER_WORD: ByteSet = ByteSet::of(b"<\",;");
static AFTER_NAME: ByteSet = ByteSet::of(b"<\"");
static AFTER_URI: ByteSet = ByteSet::of(b"<>\"");
static AFTER_BARE: ByteSet = ByteSet::of(b",;<>\"");
static AFTER_KEY: ByteSet = ByteSet::of(b"=;,\"<>");
static AFTER_BRACKETED: ByteSet = ByteSet::of(b">\"");

/// One address.
#[derive(Clone, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name without quotes and escapes; `None` where there is none.
    pub display: Option<Cow<'a, str>>,
    /// The URI as written, without angle brackets.
    pub uri: &'a str,
    parts: Option<Uri<'a>>,
    params: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> NameAddr<'a> {
    /// Reads a value that holds exactly one address.
    pub fn read(value: &'a str) -> Option<NameAddr<'a>> {
        let mut items = Items { text: value, at: 0, left: MOST_ADDRESSES };
        let first = items.next()??;
        items.next().is_none().then_some(first)
    }

    /// Reads a list, up to the first address that is none: after it, nothing is certain.
    pub fn read_list(value: &'a str) -> Vec<NameAddr<'a>> {
        Items { text: value, at: 0, left: MOST_ADDRESSES }.map_while(|item| item).collect()
    }

    /// A parameter of the address (not of its URI), without quotes; empty when it has no value.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_ref())
    }

    /// The `tag` of From or To.
    pub fn tag(&self) -> Option<&str> {
        self.param("tag").filter(|tag| !tag.is_empty())
    }

    /// As [`NameAddr::tag`], empty where there is none, for as long as the value lives.
    pub fn kept_tag(&self) -> Cow<'a, str> {
        let tag = self.params.iter().find(|(key, _)| key.eq_ignore_ascii_case("tag"));
        tag.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// The URI in parts; `None` for one that is not `sip:`, `sips:` or `tel:`.
    pub fn parts(&self) -> Option<Uri<'a>> {
        self.parts
    }

    /// The unescaped user part of a `sip:` or `sips:` URI, or the number of a `tel:` URI.
    pub fn user(&self) -> Option<Cow<'a, str>> {
        self.parts()?.unescaped_user()
    }

    /// The host of a `sip:` or `sips:` URI, without port and brackets.
    pub fn host(&self) -> Option<&'a str> {
        self.parts().map(|uri| uri.host).filter(|host| !host.is_empty())
    }
}

impl fmt::Debug for NameAddr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameAddr(…)")
    }
}

/// A `;name=value` parameter of the first element of a list such as Via; what stands in quotes is no name.
pub fn value_param<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let first = elements(value).next()?;
    let params = first.get(before_params(first).len()..)?;
    let mut pieces = Pieces { rest: Some(params), at: b';' };
    let mut params = pieces.by_ref().skip(1).map(|param| param.split_once('=').unwrap_or((param, "")));
    params.find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The elements of a list separated by commas that do not stand in quotes.
pub fn elements(value: &str) -> impl Iterator<Item = &str> {
    Pieces { rest: Some(value), at: b',' }
}

/// A value up to its first `;` that does not stand in quotes.
pub fn before_params(value: &str) -> &str {
    Pieces { rest: Some(value), at: b';' }.next().unwrap_or_default()
}

/// The pieces of a text between bytes that do not stand in quotes.
struct Pieces<'a> {
    rest: Option<&'a str>,
    at: u8,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest.take()?;
        let Some((piece, rest)) = outside_quotes(text, self.at).and_then(|end| text.split_at_checked(end))
        else {
            return Some(text);
        };
        self.rest = rest.get(1..);
        Some(piece)
    }
}

/// The place of the first `wanted` that is not within quotes.
fn outside_quotes(text: &str, wanted: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let place = at + memchr2(wanted, b'"', bytes.get(at..)?)?;
        if bytes.get(place) == Some(&wanted) {
            return Some(place);
        }
        at = closing_quote(bytes, place)? + 1;
    }
}

/// The place of the quote that closes the one at `open`.
fn closing_quote(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        let place = at + memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(place) == Some(&b'"') {
            return Some(place);
        }
        // What is escaped closes nothing.
        at = place + 2;
    }
}

/// Addresses of a list, one after the other; `Some(None)` is one that is none, and the last.
struct Items<'a> {
    text: &'a str,
    at: usize,
    left: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Option<NameAddr<'a>>;

    fn next(&mut self) -> Option<Option<NameAddr<'a>>> {
        self.blank();
        // Empty elements are allowed in lists (RFC 3261 section 25.1 after RFC 2616 section 2.1).
        while self.peek() == Some(b',') {
            self.at += 1;
            self.blank();
        }
        if self.peek().is_none() || self.left == 0 {
            return None;
        }
        self.left -= 1;
        let read = self.address();
        if read.is_none() {
            self.at = self.text.len();
        }
        Some(read)
    }
}

impl<'a> Items<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// A quoted text at this place, without quotes and escapes.
    fn quoted(&mut self) -> Option<Cow<'a, str>> {
        let close = closing_quote(self.text.as_bytes(), self.at)?;
        let inner = self.text.get(self.at + 1..close)?;
        self.at = close + 1;
        if !inner.contains('\\') {
            return Some(Cow::Borrowed(inner));
        }
        let mut out = String::with_capacity(inner.len());
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            out.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
        Some(Cow::Owned(out))
    }

    /// The text up to the first of `ends`, trimmed.
    fn until(&mut self, ends: &ByteSet) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.bytes().position(|byte| ends.has(byte)).unwrap_or(rest.len());
        self.at += length;
        trim(rest.get(..length).unwrap_or_default())
    }

    fn address(&mut self) -> Option<NameAddr<'a>> {
        let display = if self.peek() == Some(b'"') {
            self.quoted()?
        } else {
            let from = self.at;
            let word = self.until(&AFTER_WORD);
            if self.peek() != Some(b'<') && word.contains(':') && !word.contains(char::is_whitespace) {
                self.at = from;
                return self.bare();
            }
            // Quirk(several): names without quotes hold commas and semicolons.
            self.at = from;
            Cow::Borrowed(self.until(&AFTER_NAME))
        };
        self.blank();
        if self.peek() != Some(b'<') {
            return None;
        }
        self.at += 1;
        let uri = self.until(&AFTER_URI);
        if self.peek() != Some(b'>') || uri.is_empty() {
            return None;
        }
        self.at += 1;
        let display = match display {
            Cow::Borrowed(name) => Cow::Borrowed(name.trim()),
            Cow::Owned(name) => Cow::Owned(name.trim().to_owned()),
        };
        let display = Some(display).filter(|name| !name.is_empty());
        Some(NameAddr { display, uri, parts: Uri::read(uri), params: self.params()? })
    }

    /// An address without angle brackets: parameters are not the URI's (RFC 3261 section 20).
    fn bare(&mut self) -> Option<NameAddr<'a>> {
        let uri = self.until(&AFTER_BARE);
        let one_word = !uri.contains(char::is_whitespace);
        if !one_word || !uri.contains(':') || matches!(self.peek(), Some(b'<' | b'>' | b'"')) {
            return None;
        }
        Some(NameAddr { display: None, uri, parts: Uri::read(uri), params: self.params()? })
    }

    /// Parameters up to the end of this address; `None` when something else stands there.
    fn params(&mut self) -> Option<Vec<(&'a str, Cow<'a, str>)>> {
        let mut params = Vec::new();
        loop {
            self.blank();
            match self.peek() {
                None => return Some(params),
                Some(b',') => {
                    self.at += 1;
                    return Some(params);
                }
                Some(b';') => self.at += 1,
                Some(_) => return None,
            }
            let name = self.until(&AFTER_KEY);
            let mut value = Cow::Borrowed("");
            if self.peek() == Some(b'=') {
                self.at += 1;
                self.blank();
                value = match self.peek() {
                    Some(b'"') => self.quoted()?,
                    // `<…>` is how some write a URI as a value.
                    Some(b'<') => {
                        self.at += 1;
                        let value = self.until(&AFTER_BRACKETED);
                        if self.peek() != Some(b'>') {
                            return None;
                        }
                        self.at += 1;
                        Cow::Borrowed(value)
                    }
                    _ => Cow::Borrowed(self.until(&AFTER_BARE)),
                };
            }
            if !name.is_empty() && params.len() < MOST_PARAMS {
                params.push((name, value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(address: &NameAddr<'_>) -> String {
        let display = address.display.as_deref().unwrap_or("-");
        let tag = address.tag().map(|tag| format!(" tag {tag}")).unwrap_or_default();
        format!("{display} | {}{tag}", address.uri)
    }

    fn check(value: &str, expected: &str) {
        let read = NameAddr::read(value).map_or("nothing".to_owned(), |address| said(&address));
        assert_eq!(read, expected, "for {value}");
    }

    #[test]
    fn addresses_are_read_as_phone_systems_write_them() {
        check("\"Dana Levi\" <sip:+972501234567@pbx>;tag=as1", "Dana Levi | sip:+972501234567@pbx tag as1");
        check("Dana Levi<sip:101@pbx;user=phone> ; tag=x", "Dana Levi | sip:101@pbx;user=phone tag x");
        check("<sip:101@pbx>", "- | sip:101@pbx");
        check("sip:101@pbx;tag=1", "- | sip:101@pbx tag 1");
        check("\"\" <tel:+48123456789>", "- | tel:+48123456789");
        check("Levi, Dana <sip:101@pbx>;tag=1", "Levi, Dana | sip:101@pbx tag 1");
        check("Q: Dana; VIP <sip:101@pbx>", "Q: Dana; VIP | sip:101@pbx");
        check("Call:Me <sip:101@pbx>", "Call:Me | sip:101@pbx");
        check("\"a\\\"b\\\\\" <sip:1@x>", "a\"b\\ | sip:1@x");
        check("\"דנה\" <sip:1@[2001:db8::1]:5060>;tag=\"q;,>\"", "דנה | sip:1@[2001:db8::1]:5060 tag q;,>");
        check("<sip:0170 1234@pbx>", "- | sip:0170 1234@pbx");
    }

    #[test]
    fn text_in_quotes_never_becomes_the_uri() {
        check(
            "\"x <sip:+972509999999@bank>\" <sip:+48123@trunk>;tag=1",
            "x <sip:+972509999999@bank> | sip:+48123@trunk tag 1",
        );
        check("\"x\\\" <sip:evil@bank>\" <sip:a@b>", "x\" <sip:evil@bank> | sip:a@b");
        check("\"sip:evil@bank\"", "nothing");
        check("\"<sip:evil@bank>", "nothing");
        check("\"a\" <sip:a@b>;x=\"<sip:evil@bank>\"", "a | sip:a@b");
    }

    #[test]
    fn what_could_mean_two_things_is_not_read() {
        for value in [
            "x <sip:evil@bank> <sip:a@b>",
            "<sip:a@b>, <sip:c@d>",
            "<sip:a@b",
            "sip:a@b>",
            "<>",
            "",
            "*",
            "Dana",
            "\"a\" \"b\" <sip:a@b>",
            "\"a\" b <sip:a@b>",
            "<sip:a\"b\"@c>",
            "<<sip:a@b>>",
            "sip:a@b;x=<sip:c",
            "sip:a b@c",
            "sip:a@b \"x\"",
            "<sip:a@b>x;tag=1",
        ] {
            check(value, "nothing");
        }
    }

    #[test]
    fn lists_keep_what_stands_in_quotes_together() {
        let list = |value: &str| NameAddr::read_list(value).iter().map(said).collect::<Vec<_>>().join(" & ");
        assert_eq!(list("\"a, b\" <sip:a@b>, , <tel:+1>"), "a, b | sip:a@b & - | tel:+1");
        assert_eq!(list("sip:a@b;x=1, sip:c@d"), "- | sip:a@b & - | sip:c@d");
        assert_eq!(list("<sip:a@b>, \"broken <sip:evil@bank>, <sip:c@d>"), "- | sip:a@b");
        assert_eq!(NameAddr::read_list(&"<sip:a@b>,".repeat(1000)).len(), MOST_ADDRESSES);
    }

    #[test]
    fn the_parts_of_an_address_are_at_hand() {
        let address = NameAddr::read("<sip:%2B48123@[::1]:5060;x=uri>;X=param;y").expect("an address");
        assert_eq!(address.user().as_deref(), Some("+48123"));
        assert_eq!(address.host(), Some("::1"));
        assert_eq!(
            (address.param("x"), address.param("y"), address.param("z")),
            (Some("param"), Some(""), None)
        );
        assert_eq!(format!("{address:?}"), "NameAddr(…)");
    }

    #[test]
    fn a_parameter_of_the_topmost_via_is_not_one_of_the_next() {
        let via = "SIP/2.0/UDP a:5060;rport;branch = z9hG4bK1, SIP/2.0/UDP b;branch=z9hG4bK2";
        assert_eq!(value_param(via, "branch"), Some("z9hG4bK1"));
        assert_eq!(value_param("SIP/2.0/UDP a, SIP/2.0/UDP b;branch=x", "branch"), None);
        assert_eq!(value_param("SIP/2.0/UDP a;x=\";branch=evil\";branch=good", "branch"), Some("good"));
    }
}
