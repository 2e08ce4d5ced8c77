//! Missed calls: one row for each caller, with a way to call back and a mark that somebody has spoken with
//! them, for the whole team. What is settled stays, dim, with who settled it.

use egui::{Rect, Ui};
use jiff::Timestamp;
use pinkas_protocol::{CallId, Caller, Missed, Number};

use super::list;
use super::pen::{Live, Pen, Side, beside, ink, part};
use crate::command::Command;
use crate::model::Model;
use crate::theme::{self, Theme, Tone};
use crate::words::{self, Words};

/// One caller who was missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedRow {
    /// Which row.
    pub row: CallId,
    /// The last call, as a time of day.
    pub last: String,
    /// Who.
    pub name: String,
    /// Their number.
    pub number: String,
    /// The queue called last.
    pub queue: String,
    /// How often, and since when.
    pub count: String,
    /// Whom to call back.
    pub call_back: Option<Number>,
    /// Who has spoken with them; `None` while nobody has.
    pub handled: Option<String>,
}

/// How many callers nobody has spoken with.
pub fn open(model: &Model) -> usize {
    model.board.missed.values().filter(|row| model.is_open(row)).count()
}

/// One row as it is shown.
pub fn row(model: &Model, missed: &Missed, now: Timestamp) -> MissedRow {
    let (words, then) = (&model.words, model.hub_time(now));
    let moment = |at| words.moment(at, then, &model.zone);
    let customer = missed.customer.as_ref().map(|customer| words::plain(&customer.name.0));
    let count = match missed.count {
        0 | 1 => String::new(),
        count => {
            words.tell("calls-since", &[("count", count.into()), ("time", (&moment(missed.first)).into())])
        }
    };
    let handled = match &missed.handled {
        Some(settled) => {
            let name = settled.name.as_deref().map(words::plain);
            let by = name.map_or_else(
                || words.say("handled"),
                |name| words.tell("handled-by", &[("name", (&name).into())]),
            );
            Some(words.dots([by, moment(settled.at)]))
        }
        None if !model.is_open(missed) => Some(words.say("handled-not-told")),
        None => None,
    };
    MissedRow {
        row: missed.id,
        last: moment(missed.last),
        name: customer.unwrap_or_else(|| claimed(words, &missed.caller)),
        number: number(words, &missed.caller),
        queue: missed.queue.as_ref().map_or_else(String::new, |queue| words::plain(queue.as_str())),
        count,
        call_back: missed.caller.number.clone().filter(|number| number.key().is_some()),
        handled,
    }
}

/// The name a caller claims, else the number.
pub(super) fn claimed(words: &Words, caller: &Caller) -> String {
    let name = caller.name.as_ref().map(|name| words::plain(&name.0));
    name.unwrap_or_else(|| number(words, caller))
}

/// The number in one line of a list.
pub(super) fn number(words: &Words, caller: &Caller) -> String {
    let number = caller.number.as_ref();
    number.map_or_else(|| words.say("number-withheld"), |number| words::plain(&number.shown()))
}

/// Draws the list into all of `ui`.
pub fn ui(ui: &mut Ui, theme: &Theme, model: &Model, now: Timestamp) -> Vec<Command> {
    let (words, rows) = (&model.words, model.missed());
    let whole = ui.max_rect();
    let mut pen = Pen::new(ui, theme);
    pen.fill(whole, theme.panel, 0);
    if rows.is_empty() {
        pen.space(theme::PAD);
        let line = pen.padded_line(theme::ROW);
        pen.text(line, Side::Start, &words.say("nobody-missed"), ink(theme::TEXT, Tone::Dim));
        return Vec::new();
    }
    let head = pen.line(28.0);
    for (cell, name) in columns(head).into_iter().zip(["last-call", "caller", "number", "queue", "calls"]) {
        if cell.width() > 1.0 {
            pen.text(cell, Side::Start, &words.say(name), ink(theme::LABEL, Tone::Dim));
        }
    }
    pen.rule();
    let below = egui::UiBuilder::new().max_rect(whole.with_min_y(pen.y));
    let mut wishes = Vec::new();
    ui.scope_builder(below, |ui| {
        list::rows(ui, "missed", rows.len(), |ui, number| {
            if let Some(missed) = rows.get(number) {
                row_ui(ui, theme, words, &row(model, missed, now), &mut wishes);
            }
        });
    });
    wishes
}

fn row_ui(ui: &mut Ui, theme: &Theme, words: &Words, row: &MissedRow, wishes: &mut Vec<Command>) {
    let state = row.handled.clone().unwrap_or_else(|| row.count.clone());
    if list::row(ui, theme, &words.list([&row.name, &row.last, &state])) {
        wishes.push(Command::Details(row.row));
    }
    let mut pen = Pen::new(ui, theme);
    let line = pen.line(theme::TALL_ROW);
    let [last, who, number, queue, count, buttons] = columns(line);
    let tone = if row.handled.is_some() { Tone::Dim } else { Tone::Text };
    pen.text(last, Side::Start, &row.last, ink(theme::TEXT, Tone::Dim));
    let has_number = row.number != row.name && number.width() > 1.0;
    let who = if has_number { who } else { who.union(number) };
    pen.text(who, Side::Start, &row.name, ink(theme::TEXT, tone));
    if has_number {
        pen.text(number, Side::Start, &row.number, ink(theme::TEXT, Tone::Dim));
    }
    for (cell, text, tone) in [(queue, &row.queue, Tone::Dim), (count, &row.count, tone)] {
        if cell.width() > 1.0 {
            pen.text(cell, Side::Start, text, ink(theme::TEXT, tone));
        }
    }
    if let Some(handled) = &row.handled {
        pen.text(buttons, Side::End, handled, ink(theme::LABEL, Tone::Dim));
        return;
    }
    let handled = words.say("mark-handled");
    let width = pen.button_width(&handled);
    if pen.button(part(buttons, Side::End, width).shrink2(egui::vec2(0.0, 3.0)), &handled, Live::Yes) {
        wishes.push(Command::Handled(row.row));
    }
    let left = beside(buttons, Side::End, width + 8.0);
    call_back(&mut pen, left, words, row.call_back.as_ref(), wishes);
}

/// A control that calls back, at the end of `place`; nothing where there is no number.
pub(super) fn call_back(
    pen: &mut Pen<'_>,
    place: Rect,
    words: &Words,
    number: Option<&Number>,
    wishes: &mut Vec<Command>,
) {
    let Some(number) = number else { return };
    let text = words.say("call-back");
    let width = pen.button_width(&text);
    if place.width() < width - 1.0 {
        return;
    }
    let place = part(place, Side::End, width).shrink2(egui::vec2(0.0, 3.0));
    if pen.button(place, &text, Live::Yes) {
        wishes.push(Command::CallBack(number.clone()));
    }
}

/// Last call, name, number, queue, count, controls; the name takes what is left.
fn columns(line: Rect) -> [Rect; 6] {
    let line = line.shrink2(egui::vec2(theme::PAD, 0.0));
    let gap = 12.0;
    let (last, buttons) = (92.0, 216.0);
    // Beside the call itself there is room for the name only.
    let (number, queue, count) = if line.width() < 640.0 { (0.0, 0.0, 0.0) } else { (140.0, 76.0, 140.0) };
    let free = (line.width() - last - number - queue - count - buttons - 5.0 * gap).max(80.0);
    let mut left = line;
    [last, free, number, queue, count, buttons].map(|width| {
        let cell = part(left, Side::Start, width);
        left = beside(left, Side::Start, width + gap);
        cell
    })
}
