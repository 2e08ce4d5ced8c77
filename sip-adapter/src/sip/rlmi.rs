//! Lists of subscribed resources (RFC 4662 section 5): which part of a body tells about which resource.
//! No DTD, bounded depth and size, as dialog-info; what is not understood is an error with a reason.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// The largest document read, in bytes.
pub const LARGEST: usize = 512 * 1024;
const DEEPEST: usize = 8;
/// The most resources of one list.
pub const MOST_RESOURCES: usize = 4096;

/// One document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// It names every resource of the list.
    pub full: bool,
    /// Grows by one with each notification of a list.
    pub version: Option<u32>,
    /// The resources it tells about.
    pub resources: Vec<Resource>,
}

/// One member of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The user part of its URI, unescaped: the line.
    pub user: String,
    /// Where its subscription stands; `None` when the list only names it.
    pub instance: Option<Instance>,
}

/// Where the subscription behind a resource stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// See [`InstanceState`].
    pub state: InstanceState,
    /// Why it ended, in the words of RFC 6665, where it is said.
    pub reason: Option<String>,
    /// The Content-ID of the part that tells its state.
    pub content_id: Option<String>,
}

/// RFC 4662 section 5.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// Told from now on.
    Active,
    /// Not decided yet.
    Pending,
    /// Not told any more.
    Terminated,
}

/// Why a document was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// More than [`LARGEST`] bytes.
    #[error("the list is larger than 512 KiB")]
    Large,
    /// Nested deeper than any real document.
    #[error("the list is nested too deeply")]
    Deep,
    /// More than [`MOST_RESOURCES`].
    #[error("the list names too many resources")]
    Many,
    /// Holds a document type declaration, which no notifier needs.
    #[error("the list declares a document type")]
    Doctype,
    /// Not XML.
    #[error("the list is not well-formed XML")]
    NotXml,
    /// XML of another kind.
    #[error("the document is not a list of resources")]
    NotAList,
}

/// Reads a document.
pub fn read(body: &[u8]) -> Result<List, ListError> {
    if body.len() > LARGEST {
        return Err(ListError::Large);
    }
    let text = String::from_utf8_lossy(body);
    let mut reader = Reader::from_str(text.trim_start_matches('\u{FEFF}').trim_start());
    reader.config_mut().expand_empty_elements = true;
    let mut depth = 0;
    let mut list: Option<List> = None;
    loop {
        match reader.read_event().map_err(|_| ListError::NotXml)? {
            Event::DocType(_) => return Err(ListError::Doctype),
            Event::Start(element) => {
                if depth >= DEEPEST {
                    return Err(ListError::Deep);
                }
                match (depth, element.local_name().as_ref(), &mut list) {
                    (0, b"list", None) => {
                        list = Some(List {
                            full: attribute(&element, "fullState")
                                .is_some_and(|full| matches!(&*full, "true" | "1")),
                            version: attribute(&element, "version").and_then(|text| text.trim().parse().ok()),
                            resources: Vec::new(),
                        });
                    }
                    (0, ..) => return Err(ListError::NotAList),
                    (1, b"resource", Some(list)) => {
                        if list.resources.len() >= MOST_RESOURCES {
                            return Err(ListError::Many);
                        }
                        let uri = attribute(&element, "uri").unwrap_or_default();
                        let user = user_of(&uri);
                        list.resources.push(Resource { user, instance: None });
                    }
                    (2, b"instance", Some(list)) => {
                        // Of several instances (forked subscriptions) a live one counts.
                        if let Some(resource) = list.resources.last_mut()
                            && resource.instance.as_ref().is_none_or(|i| i.state == InstanceState::Terminated)
                        {
                            resource.instance = Some(instance(&element));
                        }
                    }
                    _ => {}
                }
                depth += 1;
            }
            Event::End(_) => depth -= 1,
            Event::Eof => break,
            _ => {}
        }
    }
    if depth != 0 {
        return Err(ListError::NotXml);
    }
    list.ok_or(ListError::NotAList)
}

fn instance(element: &BytesStart<'_>) -> Instance {
    let state = match attribute(element, "state").as_deref() {
        Some("active") => InstanceState::Active,
        Some("terminated") => InstanceState::Terminated,
        _ => InstanceState::Pending,
    };
    Instance { state, reason: attribute(element, "reason"), content_id: attribute(element, "cid") }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = element.attributes();
    let found =
        attributes.with_checks(false).flatten().find(|a| a.key.local_name().as_ref() == name.as_bytes())?;
    let raw = String::from_utf8_lossy(&found.value).into_owned();
    Some(quick_xml::escape::unescape(&raw).map(|text| text.into_owned()).unwrap_or(raw))
}

/// The user part of a SIP URI, unescaped. It is compared with lines of the configuration and nothing else.
fn user_of(uri: &str) -> String {
    let user = uri.trim().split_once(':').and_then(|(_, rest)| rest.rsplit_once('@')).map(|(user, _)| user);
    let user = user.unwrap_or_default().split(';').next().unwrap_or_default();
    let mut out = Vec::with_capacity(user.len());
    let mut rest = user.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = (*first == b'%').then(|| after.get(..2)).flatten();
        let value = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        out.push(value.unwrap_or(*first));
        rest = if value.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &str) {
        let found = match read(body.as_bytes()) {
            Err(e) => e.to_string(),
            Ok(list) => {
                let show = |resource: &Resource| match &resource.instance {
                    None => format!("{} -", resource.user),
                    Some(i) => {
                        format!("{} {:?} {}", resource.user, i.state, i.content_id.as_deref().unwrap_or("-"))
                    }
                };
                let resources: Vec<_> = list.resources.iter().map(show).collect();
                format!("{} {:?} [{}]", list.full, list.version, resources.join(", "))
            }
        };
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn asterisk_lists_are_understood() {
        check(
            "<?xml version=\"1.0\"?>\n<list xmlns=\"urn:ietf:params:xml:ns:rlmi\" uri=\"sip:agents@127.0.0.1\" \
             version=\"3\" fullState=\"false\">\n<name xml:lang=\"en\">agents</name><resource uri=\"sip:101@127.0.0.1\">\
             <name>101</name><instance id=\"a\" state=\"active\" cid=\"b@x\" /></resource><resource \
             uri=\"sip:1%302@127.0.0.1:5060;x\"><instance id=\"c\" state=\"terminated\" reason=\"noresource\"/></resource>\
             <resource uri=\"sip:103@h\"/></list>",
            "false Some(3) [101 Active b@x, 102 Terminated -, 103 -]",
        );
        check("<r:list xmlns:r=\"x\" fullState=\"1\"/>", "true None []");
    }

    #[test]
    fn hostile_lists_are_refused_with_a_reason() {
        check("", "the document is not a list of resources");
        check("<dialog-info/>", "the document is not a list of resources");
        check("<list>", "the list is not well-formed XML");
        check("<!DOCTYPE x [<!ENTITY a 'b'>]><list/>", "the list declares a document type");
        check(&format!("<list>{}", "<x>".repeat(20)), "the list is nested too deeply");
        check(&format!("<list>{}</list>", "<resource/>".repeat(5000)), "the list names too many resources");
        check(&"x".repeat(LARGEST + 1), "the list is larger than 512 KiB");
    }

    proptest::proptest! {
        #[test]
        fn any_broken_list_is_read_without_a_panic(at in 0usize..200, byte in proptest::prelude::any::<u8>()) {
            let mut body = b"<list version=\"1\" fullState=\"true\"><resource uri=\"sip:1@x\"><instance state=\"active\" cid=\"a\"/></resource></list>".to_vec();
            let at = at % body.len();
            body[at] = byte;
            let _ = read(&body);
        }
    }
}
