//! Calls, newest first: those on the board, then those that are over, page by page from the hub's record, as far
//! as somebody scrolls; and the search in it. A live call shows its card, another what is known of it.
//! Only the rows in sight are built and drawn.

use egui::{Id, Rect, Ui};
use jiff::Timestamp;
use pinkas_protocol::record::LONGEST_FIND;
use pinkas_protocol::{CallId, CallView, EndedHow, PastCall, Private, Withdrawal};

use super::missed::{claimed, number};
use super::pen::{Live, Pen, Side, beside, ink, part};
use super::popup::{caller_name, caller_number, status, talked};
use super::writing::Field;
use super::{details, list};
use crate::command::Command;
use crate::model::past::{PastRow, Tail};
use crate::model::{Here, Model};
use crate::theme::{self, Theme, Tone};
use crate::words::{self, Words};

/// One call in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// Which call.
    pub call: CallId,
    /// When it came, as a time of day.
    pub time: String,
    /// Who.
    pub name: String,
    /// Their number.
    pub number: String,
    /// On which line it rang here or was answered.
    pub line: String,
    /// What became of it.
    pub outcome: String,
    /// It goes on.
    pub live: bool,
}

/// The rows, newest first.
pub fn rows(model: &Model, now: Timestamp) -> Vec<HistoryRow> {
    let then = model.hub_time(now);
    let calls = model.board.calls.values().rev();
    // A trial is no call that anybody will look for.
    calls.filter(|view| !view.trial || view.ended.is_none()).map(|view| row(model, view, then)).collect()
}

fn row(model: &Model, view: &CallView, then: Timestamp) -> HistoryRow {
    let line = match (view.answered(), model.here(view)) {
        (_, Here::Ringing { line, .. } | Here::Left { line, .. }) | (Some((line, _)), _) => Some(line),
        _ => {
            view.offers.keys().find(|line| model.lines().contains(line)).or_else(|| view.offers.keys().next())
        }
    };
    HistoryRow {
        call: view.id,
        time: model.words.moment(view.arrived_at, then, &model.zone),
        name: caller_name(&model.words, view),
        number: caller_number(&model.words, view),
        line: line.map_or_else(|| words::UNKNOWN.to_owned(), |line| words::plain(line.as_str())),
        outcome: outcome(model, view),
        live: view.ended.is_none(),
    }
}

fn outcome(model: &Model, view: &CallView) -> String {
    let words = &model.words;
    let Some(ended) = view.ended else { return status(model, view).0 };
    if let Here::Left { line, moved_to, .. } = model.here(view) {
        let talked = view.offers.get(line).map(|offer| talked(offer, ended.at));
        return words.dots([Some(model.left_words(view, moved_to)), talked].into_iter().flatten());
    }
    match (ended.how, view.answered()) {
        (EndedHow::Lost, _) => words.say("lost-sight"),
        (EndedHow::Joined { .. }, _) => words.say("joined"),
        (EndedHow::Declined, None) => words.say("declined"),
        (EndedHow::Unanswered, None) => words.say("nobody-answered"),
        (EndedHow::Completed | EndedHow::Abandoned, None) => {
            declined_here(model, view).unwrap_or_else(|| words.say("caller-hung-up"))
        }
        (_, Some((line, offer))) => {
            let mine = matches!(model.here(view), Here::Answered { .. });
            let by = match (&offer.agent, mine) {
                (_, true) => words.say("answered-here"),
                (Some(name), false) => words.tell("answered-by", &[("name", (&words::plain(name)).into())]),
                (None, false) => {
                    words.tell("answered-on", &[("line", (&words::plain(line.as_str())).into())])
                }
            };
            words.dots([by, talked(offer, ended.at)])
        }
    }
}

/// That it was declined at an own phone before the caller gave up.
fn declined_here(model: &Model, view: &CallView) -> Option<String> {
    let Here::Withdrawn { why, .. } = model.here(view) else { return None };
    (*why == Withdrawal::Declined).then(|| model.words.say("declined-then-hung-up"))
}

/// What the list is headed by and ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryData {
    /// Calls on the board, newest first; none while something is searched for.
    pub board: Vec<HistoryRow>,
    /// How many rows follow of calls that are over.
    pub past: usize,
    /// How the search went, in words; `None` while nothing is to be said.
    pub said: Option<String>,
    /// The search can go on, or be tried again.
    pub goes_on: bool,
}

/// Builds what is beside the rows of earlier calls; those are built one by one as they come into sight.
pub fn data(model: &Model, now: Timestamp) -> HistoryData {
    let (words, past) = (&model.words, model.past());
    let board = if past.found_by().is_some() { Vec::new() } else { rows(model, now) };
    let nothing = board.is_empty() && past.is_empty();
    let (said, goes_on) = match past.tail() {
        Tail::Stopped(Some(at)) => {
            let moment = words.moment(at, model.hub_time(now), &model.zone);
            (Some(words.tell("searched-back-to", &[("time", (&moment).into())])), true)
        }
        Tail::Stopped(None) => (Some(words.say("searched-partly")), true),
        Tail::Busy => (Some(words.say("search-busy")), true),
        Tail::Failed => (Some(words.say("search-failed")), true),
        Tail::End if nothing && past.found_by().is_some() => (Some(words.say("nothing-found")), false),
        Tail::End if nothing => (Some(words.say("no-calls-yet")), false),
        Tail::End | Tail::Asking => (None, false),
    };
    HistoryData { board, past: past.len(), said, goes_on }
}

/// The row of a call that is over.
pub fn past_row(model: &Model, past: &PastCall, now: Timestamp) -> HistoryRow {
    let words = &model.words;
    let customer = past.customer.as_ref().map(|customer| words::plain(&customer.name.0));
    let answered = past.offers.iter().filter(|(_, offer)| offer.answered_at.is_some());
    let line = answered.max_by_key(|(_, offer)| offer.answered_at).or_else(|| past.offers.iter().next());
    HistoryRow {
        call: past.id,
        time: words.moment(past.arrived_at, model.hub_time(now), &model.zone),
        name: customer.unwrap_or_else(|| claimed(words, &past.caller)),
        number: number(words, &past.caller),
        line: line.map_or_else(|| words::UNKNOWN.to_owned(), |(line, _)| words::plain(line.as_str())),
        outcome: details::ended(model, past),
        live: false,
    }
}

/// The field in which is written what to search for.
pub fn search_id() -> Id {
    Id::unique("search calls")
}

/// Draws the list into all of `ui`; `find` is what stands in the search field.
pub fn ui(
    ui: &mut Ui,
    theme: &Theme,
    (model, now): (&Model, Timestamp),
    data: &HistoryData,
    find: &mut String,
) -> Vec<Command> {
    let words = &model.words;
    let mut wishes = Vec::new();
    let whole = ui.max_rect();
    let mut pen = Pen::new(ui, theme);
    pen.fill(whole, theme.panel, 0);
    pen.space(8.0);
    let line = pen.padded_line(Field::height(1));
    let place = pen.on_screen(part(line, Side::Start, 320.0_f32.min(line.width())));
    if let Some(said) = &data.said {
        pen.space(theme::STEP);
        let mut room = pen.padded_line(theme::TALL_ROW);
        if data.goes_on {
            let go_on = words.say("search-on");
            let width = pen.button_width(&go_on);
            if pen.button(part(room, Side::End, width).shrink2(egui::vec2(0.0, 2.0)), &go_on, Live::Yes) {
                wishes.push(Command::GoOn);
            }
            room = beside(room, Side::End, width + 8.0);
        }
        let tone = if data.goes_on { Tone::Warn } else { Tone::Dim };
        pen.text(room, Side::Start, said, ink(theme::TEXT, tone));
    }
    pen.space(8.0);
    let head = pen.line(24.0);
    let names = ["time", "caller", "number", "line", "what-happened"];
    for (cell, name) in columns(head).into_iter().zip(names) {
        if cell.width() > 1.0 {
            pen.text(cell, Side::Start, &words.say(name), ink(theme::LABEL, Tone::Dim));
        }
    }
    pen.rule();
    let below = whole.with_min_y(pen.y);
    let hint = words.say("search-calls");
    let said = Field { id: search_id(), hint: &hint, rows: 1, most: LONGEST_FIND }.ui(ui, theme, place, find);
    // Each letter would be a search of the whole record; an empty field is every call at once.
    if said.entered || (said.changed && find.is_empty()) {
        wishes.push(Command::Find(Private(find.clone())));
    }
    let below = egui::UiBuilder::new().max_rect(below);
    ui.scope_builder(below, |ui| list(ui, theme, (model, now), data, &mut wishes));
    wishes
}

fn list(
    ui: &mut Ui,
    theme: &Theme,
    (model, now): (&Model, Timestamp),
    data: &HistoryData,
    wishes: &mut Vec<Command>,
) {
    let words = &model.words;
    list::rows(ui, "history", data.board.len() + data.past, |ui, place| {
        if let Some(row) = data.board.get(place) {
            return row_ui(ui, theme, &model.words, row, wishes);
        }
        match model.past().row(place - data.board.len()) {
            Some(PastRow::Call(past)) => {
                row_ui(ui, theme, &model.words, &past_row(model, past, now), wishes);
            }
            Some(PastRow::OfPage(page) | PastRow::Next(page)) if !data.goes_on => {
                wishes.push(Command::Page(page));
                let mut pen = Pen::new(ui, theme);
                let line = pen.padded_line(theme::TALL_ROW);
                let asked =
                    if model.connected() { words.say("hub-is-asked") } else { words.say("hub-not-asked") };
                pen.text(line, Side::Start, &asked, ink(theme::TEXT, Tone::Dim));
            }
            Some(PastRow::OfPage(_) | PastRow::Next(_)) | None => {}
        }
    });
}

fn row_ui(ui: &mut Ui, theme: &Theme, words: &Words, row: &HistoryRow, wishes: &mut Vec<Command>) {
    if list::row(ui, theme, &words.list([&row.name, &row.time, &row.outcome])) {
        wishes.push(if row.live { Command::Open(row.call) } else { Command::Details(row.call) });
    }
    let mut pen = Pen::new(ui, theme);
    let line = pen.line(theme::TALL_ROW);
    let [time, who, number, at, outcome] = columns(line);
    let tone = if row.live { Tone::Accent } else { Tone::Dim };
    pen.text(time, Side::Start, &row.time, ink(theme::TEXT, Tone::Dim));
    pen.text(who, Side::Start, &row.name, ink(theme::TEXT, Tone::Text));
    // A caller without a name is shown by number: once is enough.
    if row.number != row.name && number.width() > 1.0 {
        pen.text(number, Side::Start, &row.number, ink(theme::TEXT, Tone::Dim));
    }
    pen.text(at, Side::Start, &row.line, ink(theme::TEXT, Tone::Dim));
    pen.text(outcome, Side::Start, &row.outcome, ink(theme::TEXT, tone));
}

/// Time, name, number, line, outcome; the name and the outcome share what is left.
fn columns(line: Rect) -> [Rect; 5] {
    let line = line.shrink2(egui::Vec2::new(theme::PAD, 0.0));
    let gap = 12.0;
    let time = part(line, Side::Start, 92.0);
    let rest = beside(line, Side::Start, 92.0 + gap);
    // Beside the call itself the number is there.
    let number = if line.width() < 640.0 { 0.0 } else { 140.0 };
    let free = (rest.width() - number - 48.0 - 3.0 * gap).max(80.0);
    let mut left = rest;
    let mut take = |width: f32| {
        let cell = part(left, Side::Start, width);
        left = beside(left, Side::Start, width + gap);
        cell
    };
    [time, take(free * 0.48), take(number), take(48.0), take(free * 0.52)]
}
