//! The foot of a card: other calls that ring, what the person writes, and what can be done with the card.
//! It stays in sight while the cards above it scroll.

use egui::{Id, Rect, Vec2};
use pinkas_protocol::record::LONGEST_NOTE;
use pinkas_protocol::{CallId, Private, Written};

use super::written::{EntryData, OutcomeData, WritingData};
use super::{BannerData, Mood, PopupData};
use crate::command::Command;
use crate::place::Stand;
use crate::theme::{self, Tone};
use crate::views::pen::{Live, Pen, Side, beside, ink, part};
use crate::views::writing::{Field, Said};
use crate::words::Words;

pub(super) fn foot(pen: &mut Pen<'_>, data: &PopupData, wishes: &mut Vec<Command>) {
    if data.mood == Mood::Fading {
        return;
    }
    // Below the card, so that nothing on it moves under the eye.
    for banner in &data.banners {
        pen.rule();
        banner_ui(pen, banner, wishes);
    }
    if let Some(writing) = &data.writing {
        pen.rule();
        writing_ui(pen, data, writing, wishes);
    }
    pen.rule();
    let bar = pen.line(50.0);
    let raised = pen.theme.raised;
    pen.fill(bar, raised, 0);
    let mut line = bar.shrink2(Vec2::new(theme::PAD, 9.0));
    let wraps_up = data.mood == Mood::WrapUp;
    let close = if wraps_up { "finish" } else { "close" };
    let extend = wraps_up.then_some(("extend", Command::Extend(data.call)));
    let aside = match data.stand {
        Stand::AtEdge => "move-aside",
        Stand::WherePut => "back-to-edge",
    };
    let buttons = [(close, Command::Close(data.call)), (aside, Command::Aside)];
    for (id, wish) in buttons.into_iter().chain(extend) {
        let text = data.words.say(id);
        let width = pen.button_width(&text);
        let wanting = matches!(wish, Command::Close(_)) && wants_outcome(data);
        let live = if wanting { Live::No } else { Live::Yes };
        if pen.button(part(line, Side::End, width), &text, live) {
            wishes.push(wish);
        }
        line = beside(line, Side::End, width + 8.0);
    }
    if wants_outcome(data) {
        // Why the card does not go.
        let wanted = data.words.say("outcome-wanted");
        pen.text(line, Side::Start, &wanted, ink(theme::LABEL + 1.0, Tone::Warn));
    } else if let Some(more) = &data.more {
        pen.text(line, Side::Start, more, ink(theme::LABEL + 1.0, Tone::Dim));
    }
}

/// Another call that rings; a click shows its card.
fn banner_ui(pen: &mut Pen<'_>, banner: &BannerData, wishes: &mut Vec<Command>) {
    let bar = pen.line(theme::TALL_ROW);
    let (raised, live) = (pen.theme.raised, pen.theme.accent);
    pen.fill(bar, raised, 0);
    if pen.row(bar.shrink2(Vec2::new(6.0, 2.0)), &banner.text, Live::Yes) {
        wishes.push(Command::Open(banner.call));
    }
    let line = bar.shrink2(Vec2::new(theme::PAD, 0.0));
    pen.dot(part(line, Side::Start, 8.0).center(), live);
    pen.text(part(line, Side::End, 60.0), Side::End, &banner.clock, ink(theme::LABEL + 1.0, Tone::Dim));
    let text = beside(beside(line, Side::Start, 16.0), Side::End, 68.0);
    pen.paint_only(text, Side::Start, &banner.text, ink(theme::TEXT, Tone::Text));
}

/// An outcome has to be said before the card is finished.
fn wants_outcome(data: &PopupData) -> bool {
    data.writing.as_ref().is_some_and(|writing| writing.wants_outcome)
}

/// Outcomes beside each other; a width of its own for each would not be known before the first frame.
const OUTCOMES_IN_A_LINE: usize = 3;
/// Between controls beside each other.
const GAP: f32 = 8.0;
/// Lines of the field for notes.
const NOTE_ROWS: usize = 2;

fn writing_ui(pen: &mut Pen<'_>, data: &PopupData, writing: &WritingData, wishes: &mut Vec<Command>) {
    let words = &data.words;
    pen.space(8.0);
    for line in writing.outcomes.chunks(OUTCOMES_IN_A_LINE) {
        let place = pen.padded_line(32.0);
        for (outcome, cell) in line.iter().zip(outcome_cells(pen, place, line)) {
            if outcome_ui(pen, cell, outcome) && !outcome.chosen {
                let what = Written::Outcome { code: outcome.code.clone() };
                wishes.push(Command::Write { call: data.call, what });
            }
        }
        pen.space(6.0);
    }
    let line = pen.padded_line(Field::height(NOTE_ROWS));
    let save = words.say("save-note");
    let width = pen.button_width(&save);
    let (text, entered) =
        note_ui(pen, beside(line, Side::End, width + 8.0), data.call, writing, words, wishes);
    let live = if text.trim().is_empty() { Live::No } else { Live::Yes };
    let button = part(line, Side::End, width).with_max_y(line.top() + 32.0);
    let mut finish = |pen: &mut Pen<'_>, what: Written| {
        wishes.push(Command::Write { call: data.call, what });
        wishes.push(Command::Draft { call: data.call, text: Private(String::new()) });
        pen.forget_text(note_id(data.call));
    };
    if pen.button(button, &save, live) || entered && live == Live::Yes {
        finish(pen, Written::Note { text: Private(text.clone()) });
    }
    pen.space(6.0);
    let line = pen.padded_line(32.0);
    let [label, days @ ..] = columns::<4>(line);
    pen.text(label, Side::Start, &words.say("follow-up"), ink(theme::LABEL + 1.0, Tone::Dim));
    for (day, cell) in writing.days.iter().zip(days) {
        if pen.button(cell, &day.label, live) {
            finish(pen, Written::FollowUp { due: day.due, text: Private(text.clone()) });
        }
    }
    if let Some(trouble) = &writing.trouble {
        let line = pen.padded_line(theme::ROW);
        pen.text(line, Side::Start, trouble, ink(theme::LABEL, Tone::Warn));
    }
    pen.space(8.0);
}

/// The field for a note on this call.
pub fn note_id(call: CallId) -> Id {
    Id::unique(("note", call))
}

/// The field for a note; what stands in it now, and whether it is done.
fn note_ui(
    pen: &mut Pen<'_>,
    place: Rect,
    call: CallId,
    writing: &WritingData,
    words: &Words,
    wishes: &mut Vec<Command>,
) -> (String, bool) {
    let mut text = writing.draft.clone();
    let hint = words.say("note-hint");
    let field = Field { id: note_id(call), hint: &hint, rows: NOTE_ROWS, most: LONGEST_NOTE };
    let said = pen.field(place, field, &mut text);
    wishes.extend(keyboard(said));
    if said.changed {
        wishes.push(Command::Draft { call, text: Private(text.clone()) });
    }
    (text, said.entered)
}

/// What a field wants of the keyboard.
pub(super) fn keyboard(said: Said) -> Option<Command> {
    match (said.clicked, said.left) {
        (true, _) => Some(Command::TakeKeyboard),
        (false, true) => Some(Command::GiveKeyboardBack),
        (false, false) => None,
    }
}

fn outcome_ui(pen: &mut Pen<'_>, place: Rect, outcome: &OutcomeData) -> bool {
    let clicked = pen.button(place, &outcome.label, Live::Yes);
    if outcome.chosen {
        let color = pen.theme.accent;
        pen.outline(place, egui::Stroke::new(1.5, color), theme::CORNER);
    }
    clicked
}

/// Equal parts of a line, unless one is too narrow for its label where the others have room to spare.
fn outcome_cells(pen: &Pen<'_>, line: Rect, outcomes: &[OutcomeData]) -> [Rect; OUTCOMES_IN_A_LINE] {
    let equal = columns::<OUTCOMES_IN_A_LINE>(line);
    let needs = |n: usize| outcomes.get(n).map_or(0.0, |outcome| pen.button_width(&outcome.label));
    let needs: [f32; OUTCOMES_IN_A_LINE] = std::array::from_fn(needs);
    let spare = equal.iter().map(Rect::width).sum::<f32>() - needs.iter().sum::<f32>();
    if spare < 0.0 || needs.iter().zip(&equal).all(|(need, cell)| *need <= cell.width()) {
        return equal;
    }
    let mut left = line;
    needs.map(|need| {
        let cell = part(left, Side::Start, need + spare / OUTCOMES_IN_A_LINE as f32);
        left = beside(left, Side::Start, cell.width() + GAP);
        cell
    })
}

/// Equal parts of a line.
pub(super) fn columns<const N: usize>(line: Rect) -> [Rect; N] {
    let width = (line.width() - GAP * (N as f32 - 1.0)) / N as f32;
    std::array::from_fn(|i| {
        let left = line.left() + i as f32 * (width + GAP);
        Rect::from_min_size(egui::Pos2::new(left, line.top()), Vec2::new(width, line.height()))
    })
}

/// Something written on this call, with how far it has come; drawn with the cards.
pub(super) fn entry_ui(pen: &mut Pen<'_>, words: &Words, entry: &EntryData, wishes: &mut Vec<Command>) {
    let line = pen.padded_line(theme::ROW);
    let tone = if entry.waits { Tone::Dim } else { Tone::Text };
    let lead = pen.text(part(line, Side::End, 150.0), Side::End, &entry.lead, ink(theme::LABEL, Tone::Dim));
    pen.text(beside(line, Side::End, lead.width() + 12.0), Side::Start, &entry.text, ink(theme::TEXT, tone));
    let Some(refused) = &entry.refused else { return };
    let mut line = pen.padded_line(32.0);
    let again = [("discard", Command::Discard(entry.id)), ("send-again", Command::SendAgain(entry.id))];
    for (id, wish) in again {
        let text = words.say(id);
        let width = pen.button_width(&text);
        if pen.button(part(line, Side::End, width).shrink2(Vec2::new(0.0, 2.0)), &text, Live::Yes) {
            wishes.push(wish);
        }
        line = beside(line, Side::End, width + 8.0);
    }
    pen.text(line, Side::Start, refused, ink(theme::LABEL, Tone::Warn));
}
