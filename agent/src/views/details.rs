//! One call that is over, beside the list it was opened from: who, when, who was offered it, what was
//! written, and what this person wrote that the hub does not have.

use egui::Ui;
use jiff::Timestamp;
use pinkas_protocol::{CallId, EndedHow, Number, PastCall, Written};
use uuid::Uuid;

use super::missed::{call_back, claimed, number};
use super::pen::{Live, Pen, Side, beside, ink, part, strong};
use crate::command::Command;
use crate::model::Model;
use crate::model::past::Looked;
use crate::theme::{self, Theme, Tone};
use crate::words;

/// How wide the pane is, in points.
pub const WIDTH: f32 = 380.0;

/// What the pane shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetailsData {
    /// Which call.
    pub call: CallId,
    /// Who, or that the hub is asked.
    pub title: String,
    /// Number, time and end, a line each.
    pub lines: Vec<String>,
    /// The phones it was offered to, and what became of it there.
    pub offers: Vec<String>,
    /// What was written.
    pub entries: Vec<EntryLines>,
    /// Whom to call back.
    pub call_back: Option<Number>,
    /// Its card can still be shown.
    pub on_board: bool,
}

/// Something written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryLines {
    /// Who wrote it, when, what it is.
    pub head: String,
    /// The text itself.
    pub text: String,
    /// A follow-up that can be ticked off.
    pub open: Option<Uuid>,
}

/// Builds the pane; the hub is asked about a call that is not known here.
pub fn data(model: &Model, call: CallId, now: Timestamp) -> DetailsData {
    let words = &model.words;
    let view = model.board.calls.get(&call);
    let past = view.and_then(PastCall::of);
    let looked = model.past().opened(call);
    let past = match (&past, looked) {
        (Some(past), _) => Some(past),
        (None, Some(Looked::Found(past))) => Some(&**past),
        (None, _) => None,
    };
    if let Some(past) = past {
        return of(model, past, now);
    }
    let title = match looked {
        Some(Looked::NotThere) => words.say("no-such-call"),
        _ if view.is_some() => words.say("call-goes-on"),
        _ => words.say("hub-is-asked"),
    };
    DetailsData {
        call,
        title,
        lines: Vec::new(),
        offers: Vec::new(),
        entries: Vec::new(),
        call_back: None,
        on_board: view.is_some(),
    }
}

fn of(model: &Model, past: &PastCall, now: Timestamp) -> DetailsData {
    let (words, then) = (&model.words, model.hub_time(now));
    let moment = |at| words.moment(at, then, &model.zone);
    let title = past.customer.as_ref().map(|customer| words::plain(&customer.name.0));
    let title = title.unwrap_or_else(|| claimed(words, &past.caller));
    let customer = past.customer.as_ref().map(|customer| words::plain(customer.key.as_str()));
    let queue = past.queue.as_ref().map(|queue| words::plain(queue.as_str()));
    let lines = vec![
        words.dots([Some(number(words, &past.caller)), customer].into_iter().flatten()),
        words.dots([Some(moment(past.arrived_at)), queue].into_iter().flatten()),
        ended(model, past),
    ];
    let offers = past.offers.iter().map(|(line, offer)| {
        let agent = offer.agent.as_deref().map(words::plain);
        let what = match (offer.answered_at, offer.left_at) {
            (Some(at), left) => words.tell(
                "talked-here",
                &[("time", (&words::elapsed(at, left.unwrap_or(past.ended.at))).into())],
            ),
            (None, _) => words.say("rang-here"),
        };
        words.dots([Some(words::plain(line.as_str())), agent, Some(what)].into_iter().flatten())
    });
    let entries = past.entries.iter().map(|entry| {
        let (kind, text) = match &entry.what {
            Written::Note { text } => (words.say("note"), text.0.clone()),
            Written::Outcome { code } => {
                let known = model.outcomes().iter().find(|outcome| outcome.code == *code);
                (words.say("outcome"), known.map_or_else(|| code.to_string(), |known| known.label.clone()))
            }
            Written::FollowUp { due, text } => {
                let day = words.day(*due, words::today(then, &model.zone));
                (words.tell("follow-up-due", &[("date", (&day).into())]), text.0.clone())
            }
        };
        let done = entry.done.as_ref().map(|_| words.say("done"));
        let head = [Some(kind), Some(words::plain(&entry.name)), Some(moment(entry.at)), done];
        let open = matches!(entry.what, Written::FollowUp { .. }) && entry.done.is_none();
        let open = (open && !model.drafts().is_done(entry.id)).then_some(entry.id);
        EntryLines { head: words.dots(head.into_iter().flatten()), text, open }
    });
    DetailsData {
        call: past.id,
        title,
        lines,
        offers: offers.collect(),
        entries: entries.collect(),
        call_back: past.caller.number.clone().filter(|number| number.key().is_some()),
        on_board: model.board.calls.contains_key(&past.id),
    }
}

/// What became of a call that is over, in one line.
pub(super) fn ended(model: &Model, past: &PastCall) -> String {
    let words = &model.words;
    let last = past.offers.values().filter(|offer| offer.answered_at.is_some());
    let talked = last.max_by_key(|offer| offer.answered_at).and_then(|offer| {
        offer.answered_at.map(|at| words::elapsed(at, offer.left_at.unwrap_or(past.ended.at)))
    });
    match (past.ended.how, past.answered_by(), talked) {
        (EndedHow::Lost, ..) => words.say("lost-sight"),
        (EndedHow::Joined { .. }, ..) => words.say("joined"),
        (_, Some(name), talked) => {
            let by = words.tell("answered-by", &[("name", (&words::plain(name)).into())]);
            words.dots([Some(by), talked].into_iter().flatten())
        }
        (EndedHow::Declined, ..) => words.say("declined"),
        (EndedHow::Unanswered, ..) => words.say("nobody-answered"),
        (EndedHow::Completed | EndedHow::Abandoned, ..) => words.say("caller-hung-up"),
    }
}

/// Draws the pane into all of `ui`; `closed` is set once it is to go.
pub fn ui(ui: &mut Ui, theme: &Theme, model: &Model, data: &DetailsData, closed: &mut bool) -> Vec<Command> {
    let (words, whole) = (&model.words, ui.max_rect());
    let mut wishes = Vec::new();
    ui.painter().rect_filled(whole, 0.0, theme.raised);
    let mut pen = Pen::new(ui, theme);
    pen.space(theme::PAD_Y);
    let line = pen.padded_line(28.0);
    let close = words.say("close");
    let width = pen.button_width(&close);
    *closed |= pen.button(part(line, Side::End, width), &close, Live::Yes);
    let room = beside(line, Side::End, width + 8.0);
    pen.text(room, Side::Start, &data.title, strong(theme::HEADING, Tone::Text));
    pen.space(theme::STEP);
    if data.call_back.is_some() || data.on_board {
        let mut line = pen.padded_line(theme::TALL_ROW);
        if data.on_board {
            let card = words.say("show-card");
            let width = pen.button_width(&card);
            let place = part(line, Side::Start, width).shrink2(egui::vec2(0.0, 3.0));
            if pen.button(place, &card, Live::Yes) {
                wishes.push(Command::Open(data.call));
            }
            line = beside(line, Side::Start, width + 8.0);
        }
        let width = pen.button_width(&words.say("call-back"));
        call_back(&mut pen, part(line, Side::Start, width), words, data.call_back.as_ref(), &mut wishes);
    }
    pen.space(theme::STEP);
    pen.rule();
    let below = egui::UiBuilder::new().max_rect(whole.with_min_y(pen.y));
    ui.scope_builder(below, |ui| {
        egui::ScrollArea::vertical().auto_shrink(false).id_salt("details").show(ui, |ui| {
            let mut pen = Pen::new(ui, theme);
            pen.space(theme::PAD_Y);
            for text in &data.lines {
                let line = pen.padded_line(theme::ROW);
                pen.text(line, Side::Start, text, ink(theme::TEXT, Tone::Text));
            }
            titled(&mut pen, &words.say("offered-to"), &data.offers);
            for entry in &data.entries {
                pen.space(theme::PAD_Y);
                let line = pen.padded_line(theme::ROW);
                pen.text(line, Side::Start, &entry.head, ink(theme::LABEL, Tone::Dim));
                paragraph(&mut pen, &entry.text);
                if let Some(open) = entry.open {
                    let line = pen.padded_line(theme::TALL_ROW);
                    let done = words.say("mark-done");
                    let width = pen.button_width(&done);
                    if pen.button(
                        part(line, Side::Start, width).shrink2(egui::vec2(0.0, 3.0)),
                        &done,
                        Live::Yes,
                    ) {
                        wishes.push(Command::Done(open));
                    }
                }
            }
            pen.space(theme::PAD);
        });
    });
    wishes
}

fn titled(pen: &mut Pen<'_>, title: &str, texts: &[String]) {
    if texts.is_empty() {
        return;
    }
    pen.space(theme::PAD_Y);
    let line = pen.padded_line(theme::ROW);
    pen.text(line, Side::Start, title, ink(theme::LABEL, Tone::Dim));
    for text in texts {
        let line = pen.padded_line(theme::ROW);
        pen.text(line, Side::Start, text, ink(theme::TEXT, Tone::Text));
    }
}

/// A text of several lines, broken between words; each line runs as its own letters do.
fn paragraph(pen: &mut Pen<'_>, text: &str) {
    let letters = ink(theme::TEXT, Tone::Text);
    let width = pen.right - pen.left - 2.0 * theme::PAD;
    for part in text.lines() {
        let mut line = String::new();
        for word in part.split_whitespace() {
            let longer = if line.is_empty() { word.to_owned() } else { [&line, word].join(" ") };
            if !line.is_empty() && pen.width_of(&longer, letters) > width {
                let place = pen.padded_line(theme::ROW);
                pen.text(place, Side::Start, &line, letters);
                line = word.to_owned();
            } else {
                line = longer;
            }
        }
        let place = pen.padded_line(theme::ROW);
        pen.text(place, Side::Start, &line, letters);
    }
}
