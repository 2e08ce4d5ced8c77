//! This person's open follow-ups, those due first at the top; what is overdue says so in words.

use egui::{Rect, Ui};
use jiff::Timestamp;
use pinkas_protocol::{CallId, FollowUp, Number, Written};
use uuid::Uuid;

use super::list;
use super::missed::{call_back, claimed, number};
use super::pen::{Live, Pen, Side, beside, ink, part};
use crate::command::Command;
use crate::model::Model;
use crate::theme::{self, Theme, Tone};
use crate::words::{self, Words};

/// One follow-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowUpRow {
    /// Which.
    pub id: Uuid,
    /// On which call it was written.
    pub call: CallId,
    /// When it is due, in words.
    pub due: String,
    /// Overdue, due today or later, as a colour beside the words.
    pub tone: Tone,
    /// About whom.
    pub name: String,
    /// Their number.
    pub number: String,
    /// What is to be done.
    pub text: String,
    /// Whom to call back.
    pub call_back: Option<Number>,
}

/// How many are due today or before.
pub fn due(model: &Model, now: Timestamp) -> usize {
    let today = words::today(model.hub_time(now), &model.zone);
    let due = |follow_up: &&&FollowUp| follow_up.due().is_some_and(|due| due <= today);
    model.follow_ups().unwrap_or_default().iter().filter(due).count()
}

/// One row as it is shown.
pub fn row(model: &Model, follow_up: &FollowUp, now: Timestamp) -> FollowUpRow {
    let words = &model.words;
    let today = words::today(model.hub_time(now), &model.zone);
    let (due, tone) = match follow_up.due() {
        Some(due) if due < today => {
            (words.tell("overdue-from", &[("date", (&words.day(due, today)).into())]), Tone::Bad)
        }
        Some(due) if due == today => (words.say("due-today"), Tone::Warn),
        Some(due) => (words.day(due, today), Tone::Dim),
        None => (words::UNKNOWN.to_owned(), Tone::Dim),
    };
    let text = match &follow_up.entry.what {
        Written::FollowUp { text, .. } | Written::Note { text } => words::plain(&text.0),
        Written::Outcome { .. } => String::new(),
    };
    let customer = follow_up.customer.as_ref().map(|customer| words::plain(&customer.name.0));
    FollowUpRow {
        id: follow_up.entry.id,
        call: follow_up.call,
        due,
        tone,
        name: customer.unwrap_or_else(|| claimed(words, &follow_up.caller)),
        number: number(words, &follow_up.caller),
        text,
        call_back: follow_up.caller.number.clone().filter(|number| number.key().is_some()),
    }
}

/// Draws the list into all of `ui`.
pub fn ui(ui: &mut Ui, theme: &Theme, model: &Model, now: Timestamp) -> Vec<Command> {
    let words = &model.words;
    let whole = ui.max_rect();
    let mut pen = Pen::new(ui, theme);
    pen.fill(whole, theme.panel, 0);
    let rows = model.follow_ups();
    let said = match &rows {
        None => Some("follow-ups-asked"),
        Some(rows) if rows.is_empty() => Some("no-follow-ups"),
        Some(_) => (due(model, now) == 0).then_some("nothing-due"),
    };
    if let Some(said) = said {
        pen.space(theme::PAD_Y);
        let line = pen.padded_line(theme::ROW);
        pen.text(line, Side::Start, &words.say(said), ink(theme::TEXT, Tone::Dim));
        pen.space(theme::PAD_Y);
    }
    let rows = rows.unwrap_or_default();
    if rows.is_empty() {
        return Vec::new();
    }
    let head = pen.line(28.0);
    for (cell, name) in columns(head).into_iter().zip(["due", "caller", "what-to-do"]) {
        pen.text(cell, Side::Start, &words.say(name), ink(theme::LABEL, Tone::Dim));
    }
    pen.rule();
    let below = egui::UiBuilder::new().max_rect(whole.with_min_y(pen.y));
    let mut wishes = Vec::new();
    ui.scope_builder(below, |ui| {
        list::rows(ui, "follow-ups", rows.len(), |ui, number| {
            if let Some(follow_up) = rows.get(number) {
                row_ui(ui, theme, words, &row(model, follow_up, now), &mut wishes);
            }
        });
    });
    wishes
}

fn row_ui(ui: &mut Ui, theme: &Theme, words: &Words, row: &FollowUpRow, wishes: &mut Vec<Command>) {
    if list::row(ui, theme, &words.list([&row.due, &row.name, &row.text])) {
        wishes.push(Command::Details(row.call));
    }
    let mut pen = Pen::new(ui, theme);
    let line = pen.line(theme::TALL_ROW);
    let [due, who, text, buttons] = columns(line);
    pen.text(due, Side::Start, &row.due, ink(theme::TEXT, row.tone));
    pen.text(who, Side::Start, &row.name, ink(theme::TEXT, Tone::Text));
    pen.text(text, Side::Start, &row.text, ink(theme::TEXT, Tone::Text));
    let done = words.say("mark-done");
    let width = pen.button_width(&done);
    if pen.button(part(buttons, Side::End, width).shrink2(egui::vec2(0.0, 3.0)), &done, Live::Yes) {
        wishes.push(Command::Done(row.id));
    }
    let left = beside(buttons, Side::End, width + 8.0);
    call_back(&mut pen, left, words, row.call_back.as_ref(), wishes);
}

/// Due, who, what, controls; who and what share what is left.
fn columns(line: Rect) -> [Rect; 4] {
    let line = line.shrink2(egui::vec2(theme::PAD, 0.0));
    let gap = 12.0;
    // Beside the call itself, it is there that one calls back.
    let (due, buttons) = (132.0, if line.width() < 640.0 { 100.0 } else { 216.0 });
    let free = (line.width() - due - buttons - 3.0 * gap).max(120.0);
    let mut left = line;
    [due, free * 0.36, free * 0.64, buttons].map(|width| {
        let cell = part(left, Side::Start, width);
        left = beside(left, Side::Start, width + gap);
        cell
    })
}
