//! Dialog-info documents (RFC 4235 section 4), as far as a listener needs them.
//! No DTD, bounded depth and size; what is not understood is an error with a reason, never a guess.

use std::collections::BTreeMap;

use pinkas_protocol::{Caller, QueueName};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::hear::LineHeard;
use crate::sip::identity::{self, Rules};

/// The largest document read, in bytes.
pub const LARGEST: usize = 64 * 1024;
const DEEPEST: usize = 16;
const MOST_DIALOGS: usize = 64;

/// One document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialogInfo {
    /// `state="full"`: it names every dialog there is.
    pub full: bool,
    /// Grows by one with each document of a subscription; `None` where the notifier leaves it out.
    pub version: Option<u32>,
    /// By the id the notifier chose.
    pub dialogs: Vec<(String, Dialog)>,
}

/// One dialog of a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialog {
    /// Where it stands.
    pub state: DialogState,
    /// The phone is the one that is called.
    pub incoming: bool,
    /// Who is at the other end, where the notifier tells.
    pub remote: Option<Caller>,
    /// The queue that stands before the caller's name.
    pub queue: Option<QueueName>,
}

/// RFC 4235 section 3.7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialogState {
    /// Not yet ringing.
    Trying,
    /// Ringing (`proceeding` and `early`).
    Early,
    /// Talking.
    Confirmed,
    /// Over.
    Terminated,
}

/// Why a document was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialogInfoError {
    /// More than [`LARGEST`] bytes.
    #[error("the document is larger than 64 KiB")]
    Large,
    /// Nested deeper than any real document.
    #[error("the document is nested too deeply")]
    Deep,
    /// More dialogs than a phone can have.
    #[error("the document names too many dialogs")]
    Many,
    /// Holds a document type declaration, which no notifier needs.
    #[error("the document declares a document type")]
    Doctype,
    /// Not XML.
    #[error("the document is not well-formed XML")]
    NotXml,
    /// XML of another kind.
    #[error("the document is not dialog-info")]
    NotDialogInfo,
}

/// Reads a document. Bytes that are not UTF-8 become replacement characters: a caller's broken name
/// must not hide the call.
pub fn read(body: &[u8], rules: &Rules) -> Result<DialogInfo, DialogInfoError> {
    if body.len() > LARGEST {
        return Err(DialogInfoError::Large);
    }
    let text = String::from_utf8_lossy(body);
    let mut reader = Reader::from_str(text.trim_start_matches('\u{FEFF}').trim_start());
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Vec<u8>> = Vec::new();
    let mut full = None;
    let mut version = None;
    let mut dialogs = Vec::new();
    let mut current: Option<Draft> = None;
    loop {
        match reader.read_event().map_err(|_| DialogInfoError::NotXml)? {
            Event::DocType(_) => return Err(DialogInfoError::Doctype),
            Event::Start(element) => {
                if open.len() >= DEEPEST {
                    return Err(DialogInfoError::Deep);
                }
                let name = element.local_name().as_ref().to_vec();
                match (open.len(), name.as_slice()) {
                    (0, b"dialog-info") => {
                        full = Some(attribute(&element, b"state").as_deref() != Some("partial"));
                        version = attribute(&element, b"version").and_then(|text| text.trim().parse().ok());
                    }
                    (0, _) => return Err(DialogInfoError::NotDialogInfo),
                    (1, b"dialog") => {
                        if dialogs.len() >= MOST_DIALOGS {
                            return Err(DialogInfoError::Many);
                        }
                        current = Some(Draft::new(&element));
                    }
                    (_, b"identity") => {
                        if let (Some(draft), Some(b"remote")) = (&mut current, open.last().map(Vec::as_slice))
                        {
                            draft.display = attribute(&element, b"display");
                        }
                    }
                    _ => {}
                }
                open.push(name);
            }
            Event::End(_) => {
                let name = open.pop();
                if name.as_deref() == Some(b"dialog") && open.len() == 1 {
                    dialogs.extend(current.take().and_then(|draft| draft.finish(rules)));
                }
            }
            Event::Text(chars) => {
                let chars = chars.decode().unwrap_or_default().into_owned();
                collect(&mut current, &open, &chars);
            }
            Event::CData(chars) => {
                let chars = String::from_utf8_lossy(&chars).into_owned();
                collect(&mut current, &open, &chars);
            }
            Event::GeneralRef(name) => {
                let name = String::from_utf8_lossy(&name).into_owned();
                collect(&mut current, &open, &entity(&name));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if !open.is_empty() {
        return Err(DialogInfoError::NotXml);
    }
    let full = full.ok_or(DialogInfoError::NotDialogInfo)?;
    Ok(DialogInfo { full, version, dialogs })
}

/// A dialog while it is read.
struct Draft {
    id: String,
    incoming: bool,
    state: String,
    uri: String,
    display: Option<String>,
}

impl Draft {
    fn new(element: &BytesStart<'_>) -> Draft {
        Draft {
            id: attribute(element, b"id").unwrap_or_default(),
            incoming: attribute(element, b"direction").as_deref() != Some("initiator"),
            state: String::new(),
            uri: String::new(),
            display: None,
        }
    }

    fn finish(self, rules: &Rules) -> Option<(String, Dialog)> {
        let state = match self.state.trim() {
            "trying" => DialogState::Trying,
            "proceeding" | "early" => DialogState::Early,
            "confirmed" => DialogState::Confirmed,
            "terminated" => DialogState::Terminated,
            _ => return None,
        };
        let named = !self.uri.trim().is_empty() || self.display.is_some();
        let read = || identity::caller_and_queue(&self.uri, self.display.as_deref(), rules);
        let (remote, queue) = named.then(read).unzip();
        Some((self.id, Dialog { state, incoming: self.incoming, remote, queue: queue.flatten() }))
    }
}

fn collect(draft: &mut Option<Draft>, open: &[Vec<u8>], chars: &str) {
    let Some(draft) = draft else { return };
    match open {
        [_, _, last] if last == b"state" => draft.state.push_str(chars),
        [_, _, remote, last] if remote == b"remote" && last == b"identity" => draft.uri.push_str(chars),
        _ => {}
    }
}

/// Predefined entities and character references; anything else stays as it was written.
fn entity(name: &str) -> String {
    match quick_xml::escape::unescape(&format!("&{name};")) {
        Ok(text) => text.into_owned(),
        Err(_) => format!("&{name};"),
    }
}

fn attribute(element: &BytesStart<'_>, name: &[u8]) -> Option<String> {
    let attribute =
        element.attributes().with_checks(false).flatten().find(|a| a.key.local_name().as_ref() == name)?;
    let raw = String::from_utf8_lossy(&attribute.value).into_owned();
    Some(quick_xml::escape::unescape(&raw).map(|text| text.into_owned()).unwrap_or(raw))
}

/// The dialogs of one phone over time: full documents replace, partial ones change.
#[derive(Debug, Default)]
pub struct Dialogs {
    known: BTreeMap<String, Known>,
    version: Option<u32>,
    /// A document is missing: nothing is believed before the next full one.
    broken: bool,
    /// Orders ringing dialogs by when they began.
    counted: u64,
}

#[derive(Debug)]
struct Known {
    dialog: Dialog,
    rings_since: u64,
}

/// What a document changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The line does this now.
    Is(LineHeard, News),
    /// A document before this one is missing, or this one is of an earlier count: the notifier must be
    /// asked for the full state (RFC 4235 section 4.1).
    AskFull,
}

/// How a document stands to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// There was none before it.
    First,
    /// It has a version of its own: something happened.
    Next,
    /// It repeats the last version. Quirk(asterisk 16, 22): so does every refresh.
    Repeated,
}

impl Dialogs {
    /// Takes in a document and says what the line does now.
    pub fn apply(&mut self, info: DialogInfo) -> Applied {
        let news = match (self.version, info.version) {
            (None, _) if !self.broken => News::First,
            (Some(old), Some(new)) if old == new => News::Repeated,
            _ => News::Next,
        };
        if !self.broken && self.out_of_order(&info) {
            self.broken = true;
            return Applied::AskFull;
        }
        if !info.full && self.broken {
            return Applied::AskFull;
        }
        self.broken = false;
        self.version = info.version.or(self.version);
        let mut before = if info.full { std::mem::take(&mut self.known) } else { BTreeMap::new() };
        for (id, dialog) in info.dialogs {
            if dialog.state == DialogState::Terminated {
                self.known.remove(&id);
                continue;
            }
            let old = before.remove(&id).or_else(|| self.known.remove(&id));
            if self.known.len() >= MOST_DIALOGS {
                continue;
            }
            let rings_since = match old {
                Some(old) if old.dialog.state == DialogState::Early => old.rings_since,
                _ => {
                    self.counted += 1;
                    self.counted
                }
            };
            self.known.insert(id, Known { dialog, rings_since });
        }
        Applied::Is(self.line(), news)
    }

    fn out_of_order(&self, info: &DialogInfo) -> bool {
        match (self.version, info.version) {
            (Some(old), Some(new)) => new < old || (!info.full && new > old.saturating_add(1)),
            // The first document of a subscription must be full.
            (None, _) => !info.full && self.known.is_empty() && self.counted == 0 && info.version.is_some(),
            (Some(_), None) => false,
        }
    }

    /// Ringing wins over talking, and of several callers the newest: a second call while the agent talks
    /// must be seen.
    fn line(&self) -> LineHeard {
        let dialogs = self.known.values();
        let ringing =
            dialogs.filter(|known| known.dialog.state == DialogState::Early && known.dialog.incoming);
        match ringing.max_by_key(|known| known.rings_since) {
            Some(known) => LineHeard::Ringing {
                caller: known.dialog.remote.clone().unwrap_or_default(),
                queue: known.dialog.queue.clone(),
            },
            None if self.known.values().any(|known| known.dialog.state != DialogState::Trying) => {
                LineHeard::Busy
            }
            None => LineHeard::Idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(applied: Applied) -> LineHeard {
        match applied {
            Applied::Is(line, _) => line,
            Applied::AskFull => LineHeard::Lost,
        }
    }

    fn heard(body: &str) -> String {
        match read(body.as_bytes(), &Rules::default()) {
            Err(e) => e.to_string(),
            Ok(info) => match is(Dialogs::default().apply(info)) {
                LineHeard::Idle => "idle".to_owned(),
                LineHeard::Busy => "busy".to_owned(),
                LineHeard::Lost => "lost".to_owned(),
                LineHeard::Ringing { caller, .. } => format!(
                    "ringing {} {}{}",
                    caller.number.as_ref().and_then(|n| n.key()).unwrap_or("-"),
                    caller.name.map_or("-".to_owned(), |n| n.0),
                    if caller.withheld { " withheld" } else { "" },
                ),
            },
        }
    }

    fn asterisk(dialog: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" \
             version=\"3\" state=\"full\" entity=\"sip:101@127.0.10.1\">\n {dialog}\n</dialog-info>\n"
        )
    }

    #[test]
    fn asterisk_documents_are_understood() {
        let early = "<dialog id=\"101\" direction=\"recipient\">\n<remote>\n<identity display=\"Erika Mustermann\">\
                     sip:+491701234567@127.0.10.1</identity>\n<target uri=\"sip:x\"/></remote>\n<local><identity \
                     display=\"Alice Agent\">sip:101@127.0.10.1</identity><target uri=\"sip:y\"/></local>\
                     <state>early</state></dialog>";
        assert_eq!(heard(&asterisk(early)), "ringing +491701234567 Erika Mustermann");
        assert_eq!(heard(&asterisk("<dialog id=\"101\"><state>confirmed</state></dialog>")), "busy");
        assert_eq!(heard(&asterisk("<dialog id=\"101\"><state>terminated</state></dialog>")), "idle");
    }

    #[test]
    fn names_are_unescaped_once_and_stay_text() {
        let named = |name: &str| {
            heard(&asterisk(&format!(
                "<dialog id=\"101\" direction=\"recipient\"><state>early</state><remote><identity display=\"{name}\">\
                 sip:a&amp;b@x</identity></remote></dialog>"
            )))
        };
        assert_eq!(named("x &lt;sip:+972509999999@bank&gt;"), "ringing - x <sip:+972509999999@bank>");
        assert_eq!(named("&#x202E;&amp;lt;"), "ringing - &lt;");
        assert_eq!(named("bad &entity; here"), "ringing - bad &entity; here");
    }

    #[test]
    fn hostile_documents_are_refused_with_a_reason() {
        assert_eq!(heard(""), "the document is not dialog-info");
        assert_eq!(heard("<a/>"), "the document is not dialog-info");
        assert_eq!(heard("<dialog-info><dialog>"), "the document is not well-formed XML");
        assert_eq!(
            heard("<!DOCTYPE x [<!ENTITY a 'b'>]><dialog-info/>"),
            "the document declares a document type"
        );
        assert_eq!(
            heard(&format!("<dialog-info>{}", "<x>".repeat(100))),
            "the document is nested too deeply"
        );
        assert_eq!(heard(&asterisk(&"x".repeat(70_000))), "the document is larger than 64 KiB");
        assert_eq!(heard(&asterisk(&"<dialog id='1'/>".repeat(2000))), "idle");
        assert_eq!(
            heard(&asterisk(&"<dialog id='1'><state>early</state></dialog>".repeat(100))),
            "the document names too many dialogs"
        );
    }

    #[test]
    fn invalid_utf8_does_not_hide_a_call() {
        let mut body = asterisk(
            "<dialog id=\"101\" direction=\"recipient\"><state>early</state><remote><identity display=\"NAME\">\
             sip:+48123456789@x</identity></remote></dialog>",
        )
        .into_bytes();
        let at = body.windows(4).position(|w| w == b"NAME").expect("the name");
        body[at..at + 4].copy_from_slice(&[0xF9, 0xE0, 0xFF, b'x']);
        let info = read(&body, &Rules::default()).expect("understood");
        let caller = info.dialogs[0].1.remote.clone().expect("a caller");
        assert_eq!(caller.number.and_then(|n| n.key().map(str::to_owned)).as_deref(), Some("+48123456789"));
    }

    #[test]
    fn partial_documents_change_what_is_known() {
        let plan = Rules::default();
        let mut dialogs = Dialogs::default();
        let apply = |dialogs: &mut Dialogs, state: &str, inner: &str| {
            let body = format!("<dialog-info state=\"{state}\">{inner}</dialog-info>");
            is(dialogs.apply(read(body.as_bytes(), &plan).expect("understood")))
        };
        let talking = "<dialog id=\"a\"><state>confirmed</state></dialog>";
        assert_eq!(apply(&mut dialogs, "full", talking), LineHeard::Busy);
        let second = "<dialog id=\"b\"><state>early</state></dialog>";
        assert!(matches!(apply(&mut dialogs, "partial", second), LineHeard::Ringing { .. }));
        let over = "<dialog id=\"b\"><state>terminated</state></dialog>";
        assert_eq!(apply(&mut dialogs, "partial", over), LineHeard::Busy);
        assert_eq!(apply(&mut dialogs, "full", ""), LineHeard::Idle);
    }

    /// Documents as `VERSION full|partial DIALOG…`, a dialog as `id:state:number`; what is said of each.
    fn story(documents: &[&str]) -> Vec<String> {
        let plan = Rules::default();
        let mut dialogs = Dialogs::default();
        let say = |document: &&str| {
            let mut words = document.split_whitespace();
            let (version, state) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let inner: String = words
                .map(|word| {
                    let mut parts = word.split(':');
                    let mut next = || parts.next().unwrap_or_default();
                    let (id, state, number) = (next(), next(), next());
                    format!(
                        "<dialog id=\"{id}\"><state>{state}</state><remote><identity>sip:{number}@x</identity></remote></dialog>"
                    )
                })
                .collect();
            let body = format!("<dialog-info version=\"{version}\" state=\"{state}\">{inner}</dialog-info>");
            match dialogs.apply(read(body.as_bytes(), &plan).expect("understood")) {
                Applied::AskFull => "ask".to_owned(),
                Applied::Is(LineHeard::Ringing { caller, .. }, news) => {
                    let number = caller.number.as_ref().and_then(|number| number.key()).unwrap_or("-");
                    format!("rings {number} {news:?}")
                }
                Applied::Is(line, news) => format!("{line:?} {news:?}"),
            }
        };
        documents.iter().map(say).collect()
    }

    #[test]
    fn a_version_that_was_skipped_or_is_old_makes_it_ask_for_the_full_state() {
        let documents = [
            "0 full",
            "1 partial a:early:+48220000101",
            "3 partial a:terminated",
            "4 partial",
            "5 full a:confirmed",
            "6 partial a:terminated",
        ];
        let said = ["Idle First", "rings +48220000101 Next", "ask", "ask", "Busy Next", "Idle Next"];
        assert_eq!(story(&documents), said);
        // A full document may skip: it hides nothing. The same version again is a refresh.
        assert_eq!(
            story(&["0 full", "7 full a:confirmed", "7 full a:confirmed"]),
            ["Idle First", "Busy Next", "Busy Repeated"]
        );
        // An older one is not believed, but a notifier that counts anew is, once it was asked.
        assert_eq!(story(&["7 full a:confirmed", "0 full", "0 full"]), ["Busy First", "ask", "Idle Next"]);
        assert_eq!(story(&["3 partial a:early:+48220000101", "4 full"]), ["ask", "Idle Next"]);
    }

    #[test]
    fn ringing_wins_over_talking_and_the_newest_caller_over_the_one_before() {
        let documents = [
            "0 full z:confirmed",
            "1 partial m:early:+48220000102",
            "2 partial a:early:+48220000103",
            "3 partial a:terminated",
            "4 full z:confirmed m:early:+48220000102 a:early:+48220000104",
            "5 full z:confirmed m:confirmed",
        ];
        let said = [
            "Busy First",
            "rings +48220000102 Next",
            "rings +48220000103 Next",
            "rings +48220000102 Next",
            "rings +48220000104 Next",
            "Busy Next",
        ];
        assert_eq!(story(&documents), said);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
            let _ = read(&body, &Rules::default());
        }

        #[test]
        fn any_broken_document_is_read_without_a_panic(at in 0usize..400, byte in proptest::prelude::any::<u8>()) {
            let mut body = asterisk("<dialog id=\"101\" direction=\"recipient\"><state>early</state><remote>\
                <identity display=\"&lt;A&gt;\">sip:a@b</identity></remote></dialog>").into_bytes();
            let at = at % body.len();
            body[at] = byte;
            let _ = read(&body, &Rules::default());
        }
    }
}
