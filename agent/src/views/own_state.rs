//! Whether this person takes calls: one line below the head of the window, and on wish the reasons to choose
//! from. What the phone system says beside it is said plainly where the two differ: it alone decides whose
//! phone rings.

use egui::{Key, Modifiers, Pos2, Rect, Ui, Vec2};
use jiff::Timestamp;
use pinkas_protocol::{Line, OwnState, PersonState, PersonView};

use super::pen::{Live, Pen, Side, beside, ink, part, strong};
use super::queue;
use crate::command::Command;
use crate::model::Model;
use crate::theme::{self, Tone};
use crate::words::{self, Words};

/// What the line and the choice below it show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnData {
    /// What the person does: `Not ready: Lunch`.
    pub state: String,
    /// Since when: `since 12:03`.
    pub since: String,
    /// The colour beside it.
    pub tone: Tone,
    /// What the phone system says where it says something else.
    pub differs: Option<String>,
    /// All that can be said, ready first.
    pub options: Vec<OwnOption>,
    /// It can be said now.
    pub live: bool,
}

/// Something to say of oneself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnOption {
    /// As it is called, behind its key: `1 Lunch`.
    pub text: String,
    /// The key that says it while the choice is open.
    pub key: Option<u8>,
    /// It is what was said last.
    pub chosen: bool,
    /// What is said.
    pub state: OwnState,
}

/// Builds the line; nothing for who has no phone.
pub fn data(model: &Model, now: Timestamp) -> Option<OwnData> {
    let (words, view, then) = (&model.words, model.own_state()?, model.hub_time(now));
    let moment = words.moment(view.since, then, &model.zone);
    let ready = OwnOption {
        text: format!("0 {}", words.say("ready")),
        key: Some(0),
        chosen: matches!(view.state, PersonState::Ready | PersonState::WrapUp),
        state: OwnState::Ready,
    };
    let reasons = (1u8..).zip(model.reasons()).map(|(n, reason)| {
        let name = model.reason_words(&reason.code);
        let key = (n <= 9).then_some(n);
        OwnOption {
            text: key.map_or_else(|| name.clone(), |key| format!("{key} {name}")),
            key,
            chosen: view.state == PersonState::NotReady { reason: reason.code.clone() },
            state: OwnState::NotReady { reason: reason.code.clone() },
        }
    });
    Some(OwnData {
        state: state_words(model, &view.state),
        since: words.tell("since-when", &[("since", (&moment).into())]),
        tone: tone(&view.state),
        differs: differs(model, view, model.lines(), then).map(|differs| match differs {
            Differs::Paused(pause) => words.tell("in-phone-system", &[("pause", (&pause).into())]),
            Differs::NotPaused => words.say("not-paused-you"),
        }),
        options: std::iter::once(ready).chain(reasons).collect(),
        live: model.connected(),
    })
}

/// What somebody does, in words.
pub(crate) fn state_words(model: &Model, state: &PersonState) -> String {
    let words = &model.words;
    match state {
        PersonState::Ready => words.say("ready"),
        PersonState::NotReady { reason } => {
            words.tell("not-ready-because", &[("reason", (&model.reason_words(reason)).into())])
        }
        PersonState::WrapUp => words.say("wrap-up"),
        PersonState::Offline => words.say("offline"),
    }
}

/// Its colour.
pub(crate) fn tone(state: &PersonState) -> Tone {
    match state {
        PersonState::Ready => Tone::Good,
        PersonState::NotReady { .. } | PersonState::WrapUp => Tone::Warn,
        PersonState::Offline => Tone::Faint,
    }
}

/// In what the phone system and a person's own word differ.
pub(super) enum Differs {
    /// They take calls, and it pauses them: where, why and since when.
    Paused(String),
    /// They do not take calls, and it is not known to pause them.
    NotPaused,
}

/// Whether what is heard of a person's phones fits what they say.
pub(super) fn differs(model: &Model, view: &PersonView, lines: &[Line], now: Timestamp) -> Option<Differs> {
    let heard = lines.iter().filter_map(|line| model.board.lines.get(line));
    let mut pauses: Vec<String> = heard.flat_map(|line| queue::pauses(model, line, now)).collect();
    pauses.dedup();
    match view.state {
        PersonState::Ready | PersonState::WrapUp => {
            (!pauses.is_empty()).then(|| Differs::Paused(pauses.join("; ")))
        }
        PersonState::NotReady { .. } => pauses.is_empty().then_some(Differs::NotPaused),
        PersonState::Offline => None,
    }
}

/// Ctrl+0 opens and closes the choice; while it is open a digit says it and Escape closes it.
pub fn keys(ui: &Ui, data: &OwnData, open: &mut bool) -> Option<Command> {
    if ui.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::Num0)) {
        *open = !*open;
        ui.ctx().request_repaint();
    }
    if !*open {
        return None;
    }
    let mut pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    if pressed(Key::Escape) {
        *open = false;
        ui.ctx().request_repaint();
        return None;
    }
    if !data.live || ui.ctx().egui_wants_keyboard_input() {
        return None;
    }
    let option = data.options.iter().find(|option| {
        option.key.and_then(|key| Key::from_name(&key.to_string())).is_some_and(&mut pressed)
    })?;
    *open = false;
    ui.ctx().request_repaint();
    Some(Command::State(option.state.clone()))
}

/// Draws the line and, while it is open, the choice.
pub fn ui(pen: &mut Pen<'_>, words: &Words, data: &OwnData, open: &mut bool, wishes: &mut Vec<Command>) {
    let bar = pen.line(theme::TALL_ROW + 4.0);
    let mut line = bar.shrink2(Vec2::new(theme::PAD, 4.0));
    let live = if data.live { Live::Yes } else { Live::No };
    let text = words.say(if *open { "change-state-close" } else { "change-state" });
    let width = pen.button_width(&text);
    if pen.button(part(line, Side::End, width), &text, live) {
        *open = !*open;
    }
    line = beside(line, Side::End, width + 8.0);
    let ready = data.options.first().filter(|ready| !ready.chosen);
    if let Some(ready) = ready {
        let text = words.say("say-ready");
        let width = pen.button_width(&text);
        if pen.button(part(line, Side::End, width), &text, live) {
            wishes.push(Command::State(ready.state.clone()));
        }
        line = beside(line, Side::End, width + 8.0);
    }
    let color = pen.theme.tone(data.tone);
    pen.dot(Pos2::new(line.left() + 4.0, line.center().y), color);
    line = beside(line, Side::Start, 16.0);
    let state = pen.text(line, Side::Start, &data.state, strong(theme::TEXT, Tone::Text));
    line = beside(line, Side::Start, state.width() + 8.0);
    pen.text(line, Side::Start, &data.since, ink(theme::TEXT, Tone::Dim));
    // A line of its own: in some languages it is long, and none of it may be cut.
    if let Some(differs) = &data.differs {
        let line = pen.padded_line(theme::ROW);
        pen.text(beside(line, Side::Start, 16.0), Side::Start, differs, ink(theme::TEXT, Tone::Warn));
        pen.space(4.0);
    }
    if *open {
        choice(pen, data, live, open, wishes);
    }
    pen.rule();
}

/// As many beside each other as there is room.
fn choice(pen: &mut Pen<'_>, data: &OwnData, live: Live, open: &mut bool, wishes: &mut Vec<Command>) {
    let mut line = Rect::NOTHING;
    for option in &data.options {
        let width = pen.button_width(&option.text);
        if line.width() < width {
            line = pen.padded_line(theme::TALL_ROW).shrink2(Vec2::new(0.0, 2.0));
        }
        let place = part(line, Side::Start, width);
        if pen.button(place, &option.text, live) {
            wishes.push(Command::State(option.state.clone()));
            *open = false;
        }
        if option.chosen {
            let color = pen.theme.accent;
            pen.outline(place, egui::Stroke::new(1.5, color), theme::CORNER);
        }
        line = beside(line, Side::Start, width + 8.0);
    }
    pen.space(6.0);
}

/// The line as one sentence of a card that rings while its person is not ready.
pub(super) fn on_card(model: &Model) -> Option<String> {
    let reason = model.not_ready_because()?;
    let reason = words::plain(&reason);
    Some(model.words.tell("you-are-not-ready", &[("reason", (&reason).into())]))
}
