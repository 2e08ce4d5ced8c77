//! The address of a web service with places for what a question brings. A value is
//! percent-encoded as one path segment or one query value; whatever it holds, the host and the shape of
//! the path stay those of the configuration.

use std::borrow::Cow;

use pinkas_protocol::Failure;
use url::Url;

use super::Question;
use super::template::{self, Asks, Braces, Piece, Place};

/// Where the service is, with places for what the question brings.
pub struct Address {
    pieces: Vec<Piece>,
    /// Scheme, host and port of every address made from the template.
    origin: url::Origin,
}

impl Address {
    /// Reads a template; the error is a sentence about what is wrong with it.
    pub fn new(text: &str, asks: Asks) -> Result<Self, String> {
        let pieces = template::pieces(text, Braces::Places, asks)?;
        // The host ends where the path begins: a place before that would let a caller choose whom to ask.
        let fixed = match pieces.first() {
            Some(Piece::Text(text)) => text.as_str(),
            _ => "",
        };
        let after_scheme = fixed.find("://").map(|at| at + 3).ok_or("write it as https://host/path")?;
        if !fixed[after_scheme..].contains(['/', '?']) {
            return Err("its host must be written out, without {…}".to_owned());
        }
        let example = filled(&pieces, |_| Ok(Cow::Borrowed("x"))).unwrap_or_default();
        let url = Url::parse(&example).map_err(|e| e.to_string())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("it must begin with https:// or http://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("no user or password belongs there; use `user` and `password_env`".to_owned());
        }
        if url.fragment().is_some() {
            return Err("what stands after # is never sent".to_owned());
        }
        if climbs(&example) {
            return Err("write it without . and .. between slashes".to_owned());
        }
        Ok(Address { origin: url.origin(), pieces })
    }

    /// What has to be put in it.
    pub fn places(&self) -> Vec<Place> {
        template::places(&self.pieces)
    }

    /// Scheme, host and port of every address made from it.
    pub fn origin(&self) -> &url::Origin {
        &self.origin
    }

    /// The address for `question`; an error also when it does not bring all that belongs there.
    pub fn for_question(&self, question: &Question) -> Result<Url, Failure> {
        let text = filled(&self.pieces, |place| place.value(question))?;
        // `.` and `..` mean another path even when percent-encoded (WHATWG URL, "double-dot path segment").
        let url = Url::parse(&text).ok().filter(|url| url.origin() == self.origin && !climbs(&text));
        match url {
            Some(url) => Ok(url),
            None => Err(Failure::Refused { what: "the key cannot be put in an address".to_owned() }),
        }
    }
}

fn filled<'a>(
    pieces: &[Piece],
    value: impl Fn(&Place) -> Result<Cow<'a, str>, Failure>,
) -> Result<String, Failure> {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Place(place) => encode(&value(place)?, &mut out),
        }
    }
    Ok(out)
}

/// Only what RFC 3986 calls unreserved stays as it is: the value is one path segment or one query value.
fn encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

/// Whether a segment of the path means "here" or "one up".
fn climbs(address: &str) -> bool {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    path.split(['/', '\\']).any(|segment| {
        let dots = segment.to_ascii_lowercase().replace("%2e", ".");
        dots == "." || dots == ".."
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinkas_protocol::{CustomerKey, Number};

    use crate::sources::testing::question;

    fn check(template: &str, key: &str, expected: &str) {
        let address = Address::new(template, Asks::Lookup).expect("a right template");
        let found = match address.for_question(&question(key)) {
            Ok(url) => url.to_string(),
            Err(failure) => failure.to_string(),
        };
        assert_eq!(found, expected, "for {key:?}");
    }

    #[test]
    fn a_hostile_key_stays_one_segment_of_the_path() {
        const T: &str = "http://erp/api/{customer.id}/balance";
        check(T, "1001", "http://erp/api/1001/balance");
        check(T, "../../admin", "http://erp/api/..%2F..%2Fadmin/balance");
        check(T, "x?y=z#", "http://erp/api/x%3Fy%3Dz%23/balance");
        check(T, "{{7*7}}", "http://erp/api/%7B%7B7%2A7%7D%7D/balance");
        check(T, "'; DROP--", "http://erp/api/%27%3B%20DROP--/balance");
        check(T, "@evil:80\\..", "http://erp/api/%40evil%3A80%5C../balance");
        check(T, "..%2f", "http://erp/api/..%252f/balance");
        check(T, "לוי", "http://erp/api/%D7%9C%D7%95%D7%99/balance");
        for dots in [".", ".."] {
            check(T, dots, "refused: the key cannot be put in an address");
            check("http://erp/{customer.id}", dots, "refused: the key cannot be put in an address");
        }
        check("http://erp/api?id={customer.id}", "..", "http://erp/api?id=..");
        check("http://erp/{customer.id}?n={number}", "a&b", "http://erp/a%26b?n=%2B972501234567");
    }

    #[test]
    fn a_question_without_the_value_is_not_asked() {
        let address = Address::new("http://erp/{number}/{customer.id}", Asks::Lookup).expect("right");
        let mut question = question("7");
        question.number = Some(Number::Other { text: "../x".to_owned() });
        let said = address.for_question(&question).map_err(|failure| failure.to_string());
        assert_eq!(said, Err("not asked: the call brings no number".to_owned()));
    }

    #[test]
    fn a_template_that_lets_a_caller_choose_the_host_is_refused() {
        let wrong = |text: &str| Address::new(text, Asks::Lookup).err().unwrap_or_default();
        for text in ["https://{customer.id}/x", "https://erp.{customer.id}/x", "https://erp:{customer.id}"] {
            assert_eq!(wrong(text), "its host must be written out, without {…}");
        }
        assert_eq!(wrong("{customer.id}://erp/"), "write it as https://host/path");
        assert_eq!(wrong("ftp://erp/{customer.id}"), "it must begin with https:// or http://");
        assert!(wrong("https://me:pw@erp/{customer.id}").contains("no user or password"));
        assert!(wrong("https://erp/../{customer.id}").contains("without . and .."));
        assert!(wrong("https://erp/x#{customer.id}").contains("never sent"));
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_key_the_path_has_the_shape_of_the_template(key in "[^\\pC]{1,64}") {
            let Ok(key) = CustomerKey::parse(&key) else { return Ok(()) };
            let address = Address::new("http://erp/a/{customer.id}/b", Asks::Lookup).expect("right");
            if let Ok(url) = address.for_question(&question(key.as_str())) {
                proptest::prop_assert_eq!(url.host_str(), Some("erp"));
                let segments: Vec<_> = url.path_segments().into_iter().flatten().collect();
                proptest::prop_assert_eq!(segments.len(), 3);
                proptest::prop_assert_eq!((segments[0], segments[2]), ("a", "b"));
                proptest::prop_assert_eq!(url.query(), None);
            }
        }
    }
}
