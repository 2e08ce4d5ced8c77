//! Who a SIP URI and a display name claim to be.
//! A caller's number comes from the URI alone, never from text that a caller may choose freely: a
//! display name that looks like an address stays a name.

use pinkas_protocol::{Caller, NumberPlan, Private, text};

/// A caller out of a URI and display name as dialog-info carries them (RFC 4235 section 4.1.5):
/// unescaped, without angle brackets.
pub fn caller(uri: &str, display: Option<&str>, plan: &NumberPlan) -> Caller {
    let address = Address::read(uri);
    if address.withheld() {
        return Caller { number: None, name: None, withheld: true };
    }
    let number = match address.user.as_deref() {
        None | Some("" | "unknown" | "unavailable") => None,
        Some(user) => plan.read(user),
    };
    let name = display.and_then(|name| text::plain(name, text::LONGEST)).filter(|name| {
        // Phone systems repeat the number as the name when they have none.
        !matches!(name.as_str(), "<unknown>" | "unknown") && plan.read(name) != number
    });
    Caller { number, name: name.map(Private), withheld: false }
}

struct Address {
    user: Option<String>,
    host: String,
}

impl Address {
    /// Splits `sip:user@host;params` and `tel:number;params`. The last `@` ends the user part: a PBX
    /// writes its own host last, and an unescaped user part may hold anything.
    fn read(uri: &str) -> Address {
        let uri = uri.trim();
        let (scheme, rest) = uri.split_once(':').unwrap_or(("", uri));
        match scheme.to_ascii_lowercase().as_str() {
            "tel" => {
                let number = rest.split(';').next().unwrap_or(rest);
                Address { user: Some(unescape(number)), host: String::new() }
            }
            "sip" | "sips" => match rest.rsplit_once('@') {
                Some((user, host)) => {
                    let user = user.split(';').next().unwrap_or(user);
                    Address { user: Some(unescape(user)), host: host_only(host) }
                }
                None => Address { user: None, host: host_only(rest) },
            },
            _ => Address { user: None, host: String::new() },
        }
    }

    /// RFC 3323 section 4.1.1.3, and what phone systems write instead.
    fn withheld(&self) -> bool {
        let user = self.user.as_deref().unwrap_or_default();
        self.host == "anonymous.invalid"
            || ["anonymous", "restricted", "private", "withheld"]
                .iter()
                .any(|word| user.eq_ignore_ascii_case(word))
    }
}

fn host_only(host: &str) -> String {
    let end = host.find([';', '?', '>']).unwrap_or(host.len());
    host[..end].to_ascii_lowercase()
}

/// `%41` → `A`; what is no escape stays as it is.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        let value = escaped
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match value {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, display: Option<&str>, expected: &str) {
        let plan = NumberPlan::new("IL", 4).expect("a known country");
        let caller = caller(uri, display, &plan);
        let number = caller
            .number
            .map_or("-".to_owned(), |n| n.key().map_or(format!("({})", n.shown()), str::to_owned));
        let name = caller.name.map_or("-".to_owned(), |name| name.0);
        let withheld = if caller.withheld { " withheld" } else { "" };
        assert_eq!(format!("{number} {name}{withheld}"), expected, "for {uri:?} {display:?}");
    }

    #[test]
    fn number_and_name_are_read_as_a_pbx_writes_them() {
        check("sip:+491701234567@127.0.10.1", Some("Erika Mustermann"), "+491701234567 Erika Mustermann");
        check("sip:0501234567@pbx;user=phone", None, "+972501234567 -");
        check("sip:050 123 4567@pbx", Some("0501234567"), "+972501234567 -");
        check("sip:101@pbx", Some("Alice"), "101 Alice");
        check("tel:+48123456789;phone-context=x", None, "+48123456789 -");
        check("sip:%2B48123456789@pbx", None, "+48123456789 -");
    }

    #[test]
    fn a_withheld_caller_stays_withheld() {
        check("sip:anonymous@anonymous.invalid", Some("Anonymous"), "- - withheld");
        check("sip:Restricted@pbx", Some("+972501234567"), "- - withheld");
    }

    #[test]
    fn a_display_name_never_becomes_the_number() {
        check("sip:bad@pbx", Some("x <sip:+972509999999@bank>"), "(bad) x <sip:+972509999999@bank>");
        check("sip:+972509999999@bank@10.0.0.1", None, "(+972509999999@bank) -");
        check("sip:'; DROP TABLE@pbx", Some("{{7*7}}"), "(') {{7*7}}");
        check("", Some("\u{202E}x"), "- x");
    }

    proptest::proptest! {
        #[test]
        fn any_identity_is_read_without_a_panic(uri in ".{0,80}", name in ".{0,200}") {
            let _ = caller(&uri, Some(&name), &NumberPlan::default());
        }
    }
}
