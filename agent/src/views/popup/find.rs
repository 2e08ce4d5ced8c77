//! "Someone else…": a field in which the person says whom to look for, and those found, chosen by key or
//! pointer. Opened by a button on the card, closed by Escape.

use egui::{Id, Key, Rect, Ui};
use pinkas_protocol::record::{LONGEST_FIND, Searched};
use pinkas_protocol::{CallId, CallView, Private, Who};

use super::draw::choice_row;
use super::foot::columns;
use super::{ChoiceData, PopupData};
use crate::command::Command;
use crate::model::Model;
use crate::model::find::Looking;
use crate::theme::{self, Tone};
use crate::views::pen::{Live, Pen, Side, beside, ink, part};
use crate::views::writing::Field;
use crate::words;

/// The part of a card where a customer is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindData {
    /// What the button says.
    pub label: String,
    /// The field and what was found; `None`: there is only the button.
    pub open: Option<Found>,
}

/// See [`FindData`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Those found, best first.
    pub rows: Vec<ChoiceData>,
    /// How the search went.
    pub said: Vec<String>,
}

/// `None` where nobody can be looked for: a pretended call, or one of which it is not known yet who calls.
pub(super) fn data(model: &Model, view: &CallView) -> Option<FindData> {
    if view.trial || view.who == Who::Asking {
        return None;
    }
    let words = &model.words;
    let has_number = view.facts.caller.number.as_ref().is_some_and(|number| number.key().is_some());
    let label = match &view.who {
        Who::Unknown { .. } if has_number => words.say("number-belongs-to"),
        _ => words.say("someone-else"),
    };
    let open = (model.find().call() == Some(view.id)).then(|| match model.find().state() {
        Looking::Nothing => Found::default(),
        Looking::Asked => Found { rows: Vec::new(), said: vec![words.say("looking-up")] },
        Looking::Found { found, searched } => {
            let rows = found.iter().zip(1..=9).map(|(candidate, key)| ChoiceData {
                customer: Some(candidate.key.clone()),
                key: Some(key),
                name: words::plain(&candidate.name.0),
                detail: words.dots(
                    [
                        candidate.class.as_deref().map(words::plain),
                        Some(words::plain(candidate.key.as_str())),
                        Some(words::plain(candidate.source.as_str())),
                    ]
                    .into_iter()
                    .flatten(),
                ),
                chosen: false,
            });
            let rows: Vec<ChoiceData> = rows.collect();
            let trouble = match searched {
                Searched::Fully => None,
                Searched::Partly => Some("find-partly"),
                Searched::Busy => Some("search-busy"),
                Searched::Failed => Some("find-failed"),
            };
            let nobody = (rows.is_empty() && *searched != Searched::Failed).then_some("nothing-found");
            Found { rows, said: nobody.into_iter().chain(trouble).map(|id| words.say(id)).collect() }
        }
    });
    Some(FindData { label, open })
}

fn field_id(call: CallId) -> Id {
    Id::unique(("find a customer", call))
}

/// Draws the button to look for somebody, or the field and what was found; and what else can be opened.
pub(super) fn ui(pen: &mut Pen<'_>, data: &PopupData, wishes: &mut Vec<Command>) {
    pen.space(theme::STEP);
    let open = data.find.as_ref().and_then(|find| find.open.as_ref());
    if let Some(found) = open {
        open_ui(pen, data, found, wishes);
        pen.space(theme::STEP);
    }
    let find = data.find.as_ref().filter(|_| open.is_none());
    if find.is_some() || data.new_customer.is_some() {
        let mut line = pen.padded_line(32.0);
        if let Some(find) = find {
            line = find_button(pen, line, data, find, wishes);
        }
        if let Some(target) = &data.new_customer {
            let label = data.words.say("new-customer");
            let width = pen.button_width(&label);
            if pen.button(part(line, Side::Start, width), &label, Live::Yes) {
                wishes.push(Command::Launch(target.clone()));
            }
        }
        pen.space(theme::STEP);
    }
    for links in data.links.chunks(LINKS_IN_A_LINE) {
        let line = pen.padded_line(32.0);
        for ((label, target), cell) in links.iter().zip(columns::<LINKS_IN_A_LINE>(line)) {
            if pen.button(cell, label, Live::Yes) {
                wishes.push(Command::Launch(target.clone()));
            }
        }
        pen.space(theme::STEP);
    }
}

/// Buttons beside each other; a width of its own for each would not be known before the first frame.
const LINKS_IN_A_LINE: usize = 3;

/// The button by which somebody is looked for; what is left of the line.
fn find_button(
    pen: &mut Pen<'_>,
    line: Rect,
    data: &PopupData,
    find: &FindData,
    wishes: &mut Vec<Command>,
) -> Rect {
    let (width, id) = (pen.button_width(&find.label), field_id(data.call));
    let live = if data.can_choose { Live::Yes } else { Live::No };
    if pen.button(part(line, Side::Start, width), &find.label, live) {
        pen.forget_text(id);
        pen.write_in(id);
        wishes.extend([Command::OpenFind(data.call), Command::TakeKeyboard]);
    }
    beside(line, Side::Start, width + 8.0)
}

fn open_ui(pen: &mut Pen<'_>, data: &PopupData, found: &Found, wishes: &mut Vec<Command>) {
    let (words, id) = (&data.words, field_id(data.call));
    let live = if data.can_choose { Live::Yes } else { Live::No };
    let line = pen.padded_line(Field::height(1));
    let button = words.say("find");
    let width = pen.button_width(&button);
    let hint = words.say("find-whom");
    let mut text = String::new();
    let field = Field { id, hint: &hint, rows: 1, most: LONGEST_FIND };
    let said = pen.field(beside(line, Side::End, width + 8.0), field, &mut text);
    if said.clicked {
        wishes.push(Command::TakeKeyboard);
    }
    let enough = if text.trim().chars().count() >= 2 { live } else { Live::No };
    let asks =
        pen.button(part(line, Side::End, width), &button, enough) || said.entered && enough == Live::Yes;
    if asks {
        // The keyboard stays here: the keys 1 to 9 choose next.
        wishes.push(Command::FindCustomer { call: data.call, text: Private(text) });
    }
    for text in &found.said {
        let line = pen.padded_line(theme::ROW);
        pen.text(line, Side::Start, text, ink(theme::LABEL + 1.0, Tone::Dim));
    }
    for row in &found.rows {
        pen.space(theme::STEP);
        let line = pen.padded_line(36.0);
        if choice_row(pen, line, data, row, live) {
            wishes.extend(picks(data, row));
        }
    }
}

fn picks(data: &PopupData, row: &ChoiceData) -> [Command; 3] {
    let choose = Command::Choose { call: data.call, customer: row.customer.clone() };
    [choose, Command::CloseFind, Command::GiveKeyboardBack]
}

/// What keys say while somebody is looked for: Escape closes it, 1 to 9 choose where nothing is written in.
pub(super) fn by_key(ui: &Ui, data: &PopupData) -> Option<Vec<Command>> {
    let found = data.find.as_ref()?.open.as_ref()?;
    if ui.input(|input| input.key_pressed(Key::Escape)) {
        return Some(vec![Command::CloseFind, Command::GiveKeyboardBack]);
    }
    if !data.can_choose || ui.ctx().egui_wants_keyboard_input() {
        return Some(Vec::new());
    }
    let row = found.rows.iter().find(|row| super::draw::is_pressed(ui, row));
    Some(row.map_or(Vec::new(), |row| picks(data, row).into()))
}
