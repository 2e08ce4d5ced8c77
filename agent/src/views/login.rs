//! The question for the password: who logs in where, one field that is never shown, and what was wrong the last time,
//! in words. Also the line of the settings by which one logs out. What is typed is wiped once it is taken.

use egui::text_edit::TextEditState;
use egui::{
    Align, Align2, CornerRadius, Frame, Id, Key, Modifiers, Rect, Stroke, StrokeKind, TextEdit, Ui, Vec2,
};
use jiff::Timestamp;
use pinkas_protocol::close::Close;
use zeroize::Zeroizing;

use super::pen::{Live, Pen, Side, Ticked, beside, ink, part, strong};
use super::settings::LABEL;
use super::writing::Field;
use crate::command::Command;
use crate::model::Model;
use crate::model::login::{Keep, KeptWhere, Login, Question, Secret, Trouble, Undone};
use crate::text::{self, Direction};
use crate::theme::{self, Theme, Tone, Weight};
use crate::words::{self, Words};

/// The longest password the hub has, in chars.
const LONGEST: usize = 256;
/// The most bytes a char takes: no password outgrows its memory, of which old copies would be left.
const MEMORY: usize = LONGEST * 4 + 4;

/// How wide and high the card with the question is, without the box to tick.
const WIDTH: f32 = 600.0;
const HEIGHT: f32 = 254.0;

/// What the question shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginData {
    /// Who logs in where.
    pub who: String,
    /// What is wrong, or goes on.
    pub said: Option<(String, Tone)>,
    /// What the keyring did not do.
    pub keyring: Option<String>,
    /// Whether the person may choose that the password is kept.
    pub may_keep: bool,
    /// Whether an empty field means the password before.
    pub again: bool,
    /// The person's language.
    pub words: Words,
}

/// What the person has typed and chosen.
pub struct Typed {
    text: Zeroizing<String>,
    keep: Keep,
}

impl Default for Typed {
    fn default() -> Self {
        Typed { text: Zeroizing::new(String::with_capacity(MEMORY)), keep: Keep::default() }
    }
}

impl Typed {
    /// Nothing is asked any more: what was begun goes.
    pub fn wipe(&mut self) {
        if !self.text.is_empty() {
            *self = Typed { keep: self.keep, ..Typed::default() };
        }
    }
}

/// Builds the question; `None`: nothing is asked.
pub fn data(model: &Model, now: Timestamp) -> Option<LoginData> {
    let (words, login) = (&model.words, model.login());
    let question = login.question(now)?;
    let said = match &question {
        Question::First => None,
        Question::KeyringBusy => Some((words.say("keyring-busy"), Tone::Dim)),
        Question::Trying => Some((words.say("login-asks"), Tone::Dim)),
        Question::Refused(close) => Some((words.say(refusal(*close)), Tone::Bad)),
        Question::NoAnswer(why) => {
            let why = words.link_ended(why);
            Some((words.tell("login-no-answer", &[("why", (&why).into())]), Tone::Warn))
        }
    };
    let who = words.tell(
        "log-in-as",
        &[("who", (&words::plain(&login.who)).into()), ("hub", (&words::plain(&login.hub)).into())],
    );
    let keyring = login.undone().map(|(undone, trouble)| words.say(undone_words(undone, trouble)));
    Some(LoginData {
        who,
        said,
        keyring,
        may_keep: !login.lacks_keyring(),
        again: login.has_again(),
        words: words.clone(),
    })
}

fn refusal(close: Close) -> &'static str {
    match close {
        Close::TooManyAttempts => "login-too-many",
        Close::Revoked => "login-ended",
        _ => "login-wrong",
    }
}

fn undone_words(undone: Undone, trouble: Trouble) -> &'static str {
    match (undone, trouble) {
        (_, Trouble::NoKeyring) => "keyring-none",
        (Undone::Keep, _) => "keyring-not-kept",
        (Undone::Forget, _) => "keyring-not-forgotten",
        (Undone::Find, Trouble::Locked) => "keyring-locked",
        (Undone::Find, Trouble::Broken) => "keyring-broken",
    }
}

/// The field in which the password is typed.
pub fn field_id() -> Id {
    Id::unique("password")
}

/// Draws the question into all of `ui`.
pub fn ui(ui: &mut Ui, theme: &Theme, data: &LoginData, typed: &mut Typed) -> Option<Command> {
    let whole = ui.max_rect();
    ui.painter().rect_filled(whole, 0.0, theme.ground);
    let words = &data.words;
    let width = WIDTH.min(whole.width() - 2.0 * theme::PAD);
    let height = HEIGHT + if data.may_keep { theme::ROW } else { 0.0 };
    let top = whole.top() + ((whole.height() - height) / 3.0).max(theme::STEP);
    let card = Rect::from_min_size(egui::pos2(whole.center().x - width / 2.0, top), Vec2::new(width, height));
    let entered = takes_enter(ui);
    let mut pen = Pen::new(ui, theme);
    (pen.left, pen.right, pen.y) = (card.left(), card.right(), card.top() + theme::PAD);
    let (ground, edge) = (theme.panel, Stroke::new(1.0, theme.line));
    pen.fill(card, ground, 12);
    pen.outline(card, edge, 12);
    let line = pen.padded_line(30.0);
    pen.text(line, Side::Start, &words.say("log-in-title"), strong(theme::NAME, Tone::Text));
    let line = pen.padded_line(theme::ROW);
    pen.text(line, Side::Start, &data.who, ink(theme::TEXT, Tone::Dim));
    pen.space(theme::PAD_Y);
    let line = pen.padded_line(theme::ROW);
    pen.text(line, Side::Start, &words.say("password"), strong(theme::TEXT, Tone::Text));
    let line = pen.padded_line(Field::height(1));
    let place = pen.on_screen(line);
    pen.space(theme::STEP);
    let line = pen.padded_line(theme::ROW);
    if let Some((said, tone)) = &data.said {
        pen.text(line, Side::Start, said, ink(theme::TEXT, *tone));
    }
    pen.space(theme::STEP);
    let line = pen.padded_line(theme::ROW);
    if data.may_keep {
        let ticked = if typed.keep == Keep::InKeyring { Ticked::Yes } else { Ticked::No };
        if pen.tick(line, &words.say("keep-in-keyring"), ticked) {
            typed.keep = match typed.keep {
                Keep::InKeyring => Keep::UntilClosed,
                Keep::UntilClosed => Keep::InKeyring,
            };
        }
    }
    let line = if data.may_keep { pen.padded_line(theme::ROW) } else { line };
    if let Some(keyring) = &data.keyring {
        let tone = if data.may_keep { Tone::Warn } else { Tone::Dim };
        pen.text(line, Side::Start, keyring, ink(theme::LABEL, tone));
    }
    pen.space(theme::PAD_Y);
    let line = pen.padded_line(theme::TALL_ROW);
    let button = words.say("log-in");
    let width = pen.button_width(&button);
    let live = if typed.text.is_empty() && !data.again { Live::No } else { Live::Yes };
    let clicked = pen.button(part(line, Side::Start, width), &button, live);
    field(ui, theme, data, place, typed);
    ((clicked || entered) && (data.again || !typed.text.is_empty())).then(|| {
        let secret = Secret::new(typed.text.as_str().to_owned());
        typed.wipe();
        forget_typing(ui);
        Command::LogIn { secret, keep: typed.keep }
    })
}

/// Enter in the field, before egui takes it.
fn takes_enter(ui: &Ui) -> bool {
    let has = ui.memory(|memory| memory.has_focus(field_id()));
    has && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Enter))
}

fn field(ui: &mut Ui, theme: &Theme, data: &LoginData, place: Rect, typed: &mut Typed) {
    let id = field_id();
    // Whoever is asked types at once; Tab goes on from there.
    if ui.memory(|memory| memory.focused().is_none()) {
        ui.memory_mut(|memory| memory.request_focus(id));
    }
    let has = ui.memory(|memory| memory.has_focus(id));
    let stroke = Stroke::new(1.0, if has { theme.accent } else { theme.line });
    ui.painter().rect_filled(place, CornerRadius::same(theme::CORNER), theme.raised);
    ui.painter().rect_stroke(place, CornerRadius::same(theme::CORNER), stroke, StrokeKind::Inside);
    let inner = place.shrink2(Vec2::new(8.0, 6.0));
    let mirrored = theme.direction == Direction::RightToLeft;
    let align = if mirrored { Align2([Align::Max, Align::Center]) } else { Align2::LEFT_CENTER };
    let text: &mut String = &mut typed.text;
    let edit = TextEdit::singleline(text).id(id).password(true).frame(Frame::NONE).char_limit(LONGEST);
    let edit = edit.font(theme::font(theme::TEXT, Weight::Normal)).align(align).return_key(None);
    let hint = if data.again { text::visual(&data.words.say("password-again")) } else { String::new() };
    ui.put(inner, edit.hint_text(hint).desired_width(inner.width()));
    let name = data.words.say("password");
    ui.ctx().accesskit_node_builder(id, |node| node.set_label(text::spoken(&name).into_owned()));
}

/// What egui remembers for undoing is the password letter by letter.
fn forget_typing(ui: &Ui) {
    if let Some(mut state) = TextEditState::load(ui.ctx(), field_id()) {
        state.clear_undoer();
        state.cursor.set_char_range(None);
        state.store(ui.ctx(), field_id());
    }
}

/// Who is logged in, and where the password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginLine {
    /// Who is.
    pub who: String,
    /// Where the password is, or why it is not there.
    pub kept: String,
    /// What the button says.
    pub log_out: String,
}

/// Builds the line; `None`: nobody can log out, as the configuration names the secret.
pub fn line(words: &Words, login: &Login) -> Option<LoginLine> {
    if !login.can_log_out() {
        return None;
    }
    let kept = match login.kept() {
        KeptWhere::Keyring => words.say("kept-in-keyring"),
        KeptWhere::Asked => words.say("kept-asked"),
        KeptWhere::Memory => match login.undone() {
            Some((undone @ (Undone::Keep | Undone::Forget), trouble)) => {
                words.say(undone_words(undone, trouble))
            }
            _ => words.say("kept-until-closed"),
        },
    };
    let who = words.tell("logged-in-as", &[("who", (&words::plain(&login.who)).into())]);
    Some(LoginLine { who, kept, log_out: words.say("log-out") })
}

/// Draws the line.
pub fn line_ui(pen: &mut Pen<'_>, line: &LoginLine) -> Option<Command> {
    let place = pen.padded_line(theme::TALL_ROW);
    pen.text(part(place, Side::Start, LABEL), Side::Start, &line.who, strong(theme::TEXT, Tone::Text));
    let place = beside(place, Side::Start, LABEL + theme::PAD);
    let width = pen.button_width(&line.log_out);
    let clicked = pen.button(part(place, Side::Start, width), &line.log_out, Live::Yes);
    pen.text(beside(place, Side::Start, width + 12.0), Side::Start, &line.kept, ink(theme::TEXT, Tone::Dim));
    pen.space(theme::PAD);
    clicked.then_some(Command::LogOut)
}
