//! Who is registered for the shadow extension, out of the contacts that a phone system lists. Ours carry the
//! adapter's name, and the run that made them, in their URI: a phone system behind address translation may
//! rewrite host and port, and an adapter that was killed leaves its contact behind. Pure.

use std::time::Duration;

use crate::sip::name_addr::{self, NameAddr};
use crate::sip::uri::Uri;

/// The most contacts looked at; a phone system allows a few.
const MOST: usize = 64;

/// How this adapter's contacts are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// The adapter.
    name: String,
    /// The run of it.
    run: String,
}

/// The contacts of an extension.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Contacts {
    /// Until when ours is registered from now, where it is and says so.
    pub ours: Option<Option<Duration>>,
    /// URIs that an earlier run of this adapter left.
    pub left: Vec<String>,
    /// Hosts of everyone else.
    pub foreign: Vec<String>,
}

impl Mark {
    /// Names of adapters hold any letters; URIs do not.
    pub(super) fn new(adapter: &str, run: &str) -> Mark {
        let plain = |text: &str| {
            let each = text.bytes().map(|byte| match byte {
                byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                byte => format!("-{byte:02x}"),
            });
            each.collect::<String>()
        };
        Mark { name: plain(adapter), run: plain(run) }
    }

    /// What is put at the end of our contact's URI.
    pub(super) fn parameters(&self) -> String {
        format!(";pinkas={};run={}", self.name, self.run)
    }
}

impl Contacts {
    /// The Contact headers of an answer to REGISTER (RFC 3261 section 10.3). What cannot be read is foreign.
    pub(super) fn read<'a>(values: impl Iterator<Item = &'a str>, mark: &Mark) -> Contacts {
        let mut contacts = Contacts::default();
        for element in values.flat_map(name_addr::elements).take(MOST) {
            let Some(address) = NameAddr::read(element) else {
                contacts.foreign.push("an address that cannot be read".to_owned());
                continue;
            };
            let param =
                |name: &str| Uri::read(address.uri).and_then(|uri| uri.param(name).map(str::to_owned));
            let is =
                |name: &str, value: &str| param(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
            if !is("pinkas", &mark.name) {
                contacts.foreign.push(address.host().map_or_else(|| "no SIP address".to_owned(), plain));
            } else if is("run", &mark.run) {
                let expires = address.param("expires").and_then(|seconds| seconds.trim().parse::<u32>().ok());
                contacts.ours = Some(expires.map(|seconds| Duration::from_secs(seconds.into())));
            } else {
                contacts.left.push(address.uri.to_owned());
            }
        }
        contacts
    }
}

/// What a phone system wrote, for a line of a log.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str], ours: Option<Option<u64>>, left: &[&str], foreign: &[&str]) {
        let found = Contacts::read(values.iter().copied(), &Mark::new("main", "r2"));
        let expected = Contacts {
            ours: ours.map(|expires| expires.map(Duration::from_secs)),
            left: left.iter().map(|uri| (*uri).to_owned()).collect(),
            foreign: foreign.iter().map(|host| (*host).to_owned()).collect(),
        };
        assert_eq!(found, expected, "{values:?}");
    }

    #[test]
    fn ours_is_told_from_what_we_left_and_from_everyone_elses() {
        check(&[], None, &[], &[]);
        check(&["<sip:199@192.0.2.20:5062;pinkas=main;run=r2>;expires=59"], Some(Some(59)), &[], &[]);
        check(&["<sip:199@203.0.113.9:40012;transport=UDP;pinkas=MAIN;run=r2>"], Some(None), &[], &[]);
        check(
            &[
                "<sip:199@192.0.2.20:5062;pinkas=main;run=r1>;expires=9, <sip:199@192.0.2.20:5063;pinkas=main;run=r2>",
            ],
            Some(None),
            &["sip:199@192.0.2.20:5062;pinkas=main;run=r1"],
            &[],
        );
        check(
            &["<sip:199@192.0.2.77>;expires=3600", "\"a, b\" <sip:199@192.0.2.78>"],
            None,
            &[],
            &["192.0.2.77", "192.0.2.78"],
        );
        // Another adapter is foreign, and so is a name that only looks like ours.
        check(&["<sip:199@192.0.2.20;pinkas=other;run=r2>"], None, &[], &["192.0.2.20"]);
        check(&["\";pinkas=main;run=r2\" <sip:199@192.0.2.20>;pinkas=main"], None, &[], &["192.0.2.20"]);
        check(&["nonsense"], None, &[], &["an address that cannot be read"]);
        check(&["<tel:+48221234567>"], None, &[], &["no SIP address"]);
    }

    #[test]
    fn any_name_of_an_adapter_makes_a_mark_that_is_found_again() {
        for name in ["main", "Tel Aviv; =>", "ת\"א", ""] {
            let mark = Mark::new(name, "r.1");
            let contact = format!("<sip:199@192.0.2.20:5062{}>;expires=5", mark.parameters());
            assert!(Contacts::read([contact.as_str()].into_iter(), &mark).ours.is_some(), "{contact}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_contact_is_read_without_a_panic(text in "[<>\"a-z0-9@:;=,.\\\\ é]{0,120}") {
            let _ = Contacts::read([text.as_str()].into_iter(), &Mark::new("a", "b"));
        }
    }
}
