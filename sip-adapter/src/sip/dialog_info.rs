//! Dialog-info documents (RFC 4235 section 4), as far as a listener needs them.
//! No DTD, bounded depth and size; what is not understood is an error with a reason, never a guess.

use std::borrow::Cow;
use std::collections::BTreeMap;

use pinkas_protocol::{Caller, QueueName};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::hear::LineHeard;
use crate::sip::identity::{self, Rules};
use crate::sip::uri::trim;

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
    // Mostly it is UTF-8, which is seen faster than it is replaced.
    let text = std::str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed);
    let mut reader = Reader::from_str(text.trim_start_matches('\u{FEFF}').trim_start());
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Element> = Vec::with_capacity(DEEPEST);
    let mut full = None;
    let mut version = None;
    let mut dialogs = Vec::new();
    let mut current: Option<Draft<'_>> = None;
    loop {
        match reader.read_event().map_err(|_| DialogInfoError::NotXml)? {
            Event::DocType(_) => return Err(DialogInfoError::Doctype),
            Event::Start(element) => {
                if open.len() >= DEEPEST {
                    return Err(DialogInfoError::Deep);
                }
                let kind = Element::of(element.local_name().as_ref());
                match (open.len(), kind) {
                    (0, Element::DialogInfo) => {
                        let [state, count] = attributes(&element, [b"state", b"version"]);
                        full = Some(state.as_deref() != Some("partial"));
                        version = count.and_then(|count| count.trim().parse().ok());
                    }
                    (0, _) => return Err(DialogInfoError::NotDialogInfo),
                    (1, Element::Dialog) => {
                        if dialogs.len() >= MOST_DIALOGS {
                            return Err(DialogInfoError::Many);
                        }
                        current = Some(Draft::new(&element));
                    }
                    (_, Element::Identity) => {
                        if let (Some(draft), Some(Element::Remote)) = (&mut current, open.last()) {
                            let [display] = attributes(&element, [b"display"]);
                            draft.display = display.map(Cow::into_owned);
                        }
                    }
                    _ => {}
                }
                open.push(kind);
            }
            Event::End(_) => {
                let is_dialog = open.pop() == Some(Element::Dialog) && open.len() == 1;
                let whole = if is_dialog { current.take() } else { None };
                dialogs.extend(whole.and_then(|draft| draft.finish(rules)));
            }
            Event::Text(chars) => {
                if let Some(place) = collected(&mut current, &open) {
                    add(place, chars.decode().unwrap_or_default());
                }
            }
            Event::CData(chars) => {
                if let Some(place) = collected(&mut current, &open) {
                    add(place, String::from_utf8_lossy(&chars).into_owned().into());
                }
            }
            Event::GeneralRef(name) => {
                if let Some(place) = collected(&mut current, &open) {
                    add(place, entity(&String::from_utf8_lossy(&name)).into());
                }
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

/// An element, by its name in any namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    DialogInfo,
    Dialog,
    Remote,
    Identity,
    State,
    Other,
}

impl Element {
    fn of(name: &[u8]) -> Element {
        match name {
            b"dialog-info" => Element::DialogInfo,
            b"dialog" => Element::Dialog,
            b"remote" => Element::Remote,
            b"identity" => Element::Identity,
            b"state" => Element::State,
            _ => Element::Other,
        }
    }
}

/// A dialog that is being read.
struct Draft<'a> {
    id: String,
    incoming: bool,
    state: Cow<'a, str>,
    uri: Cow<'a, str>,
    display: Option<String>,
}

impl Draft<'_> {
    fn new(element: &BytesStart<'_>) -> Self {
        let [id, direction] = attributes(element, [b"id", b"direction"]);
        Draft {
            id: id.unwrap_or_default().into_owned(),
            incoming: direction.as_deref() != Some("initiator"),
            state: Cow::Borrowed(""),
            uri: Cow::Borrowed(""),
            display: None,
        }
    }

    fn finish(self, rules: &Rules) -> Option<(String, Dialog)> {
        let state = match trim(&self.state) {
            "trying" => DialogState::Trying,
            "proceeding" | "early" => DialogState::Early,
            "confirmed" => DialogState::Confirmed,
            "terminated" => DialogState::Terminated,
            _ => return None,
        };
        let named = !trim(&self.uri).is_empty() || self.display.is_some();
        let read = || identity::caller_and_queue(&self.uri, self.display.as_deref(), rules);
        let (remote, queue) = named.then(read).unzip();
        Some((self.id, Dialog { state, incoming: self.incoming, remote, queue: queue.flatten() }))
    }
}

/// Where the text at this place belongs; `None` where nothing is asked of it.
fn collected<'d, 'a>(draft: &'d mut Option<Draft<'a>>, open: &[Element]) -> Option<&'d mut Cow<'a, str>> {
    let draft = draft.as_mut()?;
    match open {
        [_, _, Element::State] => Some(&mut draft.state),
        [_, _, Element::Remote, Element::Identity] => Some(&mut draft.uri),
        _ => None,
    }
}

/// Adds a piece; mostly it is the only one.
fn add<'a>(text: &mut Cow<'a, str>, piece: Cow<'a, str>) {
    if text.is_empty() {
        *text = piece;
    } else {
        text.to_mut().push_str(&piece);
    }
}

/// Predefined entities and character references; anything else stays as it was written.
fn entity(name: &str) -> String {
    match quick_xml::escape::unescape(&format!("&{name};")) {
        Ok(text) => text.into_owned(),
        Err(_) => format!("&{name};"),
    }
}

/// The values of attributes, the first of each name.
fn attributes<'e, const N: usize>(
    element: &'e BytesStart<'_>,
    names: [&[u8]; N],
) -> [Option<Cow<'e, str>>; N] {
    let mut values = [const { None }; N];
    for attribute in element.attributes().with_checks(false).flatten() {
        let wanted = names.iter().position(|name| attribute.key.local_name().as_ref() == *name);
        if let Some(value) = wanted.and_then(|at| values.get_mut(at)).filter(|value| value.is_none()) {
            *value = Some(unescaped(attribute.value));
            if values.iter().all(Option::is_some) {
                break;
            }
        }
    }
    values
}

/// With its references replaced, where they can be.
fn unescaped(raw: Cow<'_, [u8]>) -> Cow<'_, str> {
    if let Cow::Borrowed(raw) = raw
        && let Ok(raw) = std::str::from_utf8(raw)
    {
        return quick_xml::escape::unescape(raw).unwrap_or(Cow::Borrowed(raw));
    }
    let raw = String::from_utf8_lossy(&raw).into_owned();
    let unescaped = quick_xml::escape::unescape(&raw).map(Cow::into_owned);
    unescaped.unwrap_or(raw).into()
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
mod tests;
