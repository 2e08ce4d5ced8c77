//! The list of recent calls, newest first: when, who, on which line, what became of it. A click shows
//! the call's card again. Only the rows in sight are drawn.

use egui::{Rect, Ui};
use jiff::Timestamp;
use pinkas_protocol::{CallId, CallView, EndedHow, Withdrawal};

use super::pen::{Live, Pen, Side, beside, ink, part};
use super::popup::{caller_name, caller_number, status, talked};
use crate::command::Command;
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
    model.board.calls.values().rev().map(|view| row(model, view, then)).collect()
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

/// Draws the list into all of `ui`.
pub fn ui(ui: &mut Ui, theme: &Theme, words: &Words, rows: &[HistoryRow]) -> Vec<Command> {
    if rows.is_empty() {
        let mut pen = Pen::new(ui, theme);
        pen.space(theme::PAD);
        let line = pen.padded_line(theme::ROW);
        pen.text(line, Side::Start, &words.say("no-calls-yet"), ink(theme::TEXT, Tone::Dim));
        return Vec::new();
    }
    let whole = ui.max_rect();
    let mut pen = Pen::new(ui, theme);
    pen.fill(whole, theme.panel, 0);
    let head = pen.line(28.0);
    let names = ["time", "caller", "number", "line", "what-happened"];
    for (cell, name) in columns(head).into_iter().zip(names) {
        pen.text(cell, Side::Start, &words.say(name), ink(theme::LABEL, Tone::Dim));
    }
    pen.rule();
    let below = whole.with_min_y(pen.y);
    let below = egui::UiBuilder::new().max_rect(below);
    ui.scope_builder(below, |ui| list(ui, theme, rows)).inner
}

fn list(ui: &mut Ui, theme: &Theme, rows: &[HistoryRow]) -> Vec<Command> {
    let mut wishes = Vec::new();
    egui::ScrollArea::vertical().auto_shrink(false).id_salt("history").show_rows(
        ui,
        theme::TALL_ROW,
        rows.len(),
        |ui, shown| {
            let mut pen = Pen::new(ui, theme);
            for row in rows.get(shown).unwrap_or_default() {
                row_ui(&mut pen, row, &mut wishes);
            }
        },
    );
    wishes
}

fn row_ui(pen: &mut Pen<'_>, row: &HistoryRow, wishes: &mut Vec<Command>) {
    let line = pen.line(theme::TALL_ROW);
    let name = [row.name.as_str(), &row.time, &row.outcome].join(", ");
    if pen.row(line.shrink2(egui::Vec2::new(8.0, 1.0)), &name, Live::Yes) {
        wishes.push(Command::Open(row.call));
    }
    let (under, color) = (line.with_min_y(line.bottom() - 1.0), pen.theme.line);
    pen.fill(under, color, 0);
    let [time, who, number, at, outcome] = columns(line);
    let tone = if row.live { Tone::Accent } else { Tone::Dim };
    pen.text(time, Side::Start, &row.time, ink(theme::TEXT, Tone::Dim));
    pen.text(who, Side::Start, &row.name, ink(theme::TEXT, Tone::Text));
    // A caller without a name is shown by number: once is enough.
    if row.number != row.name {
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
    let free = (rest.width() - 140.0 - 48.0 - 3.0 * gap).max(80.0);
    let mut left = rest;
    let mut take = |width: f32| {
        let cell = part(left, Side::Start, width);
        left = beside(left, Side::Start, width + gap);
        cell
    };
    [time, take(free * 0.48), take(140.0), take(48.0), take(free * 0.52)]
}
