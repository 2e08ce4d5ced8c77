//! The main window: who I am, whether the hub is heard, and below it recent calls or, for supervisors,
//! all live calls. Without a link what is shown stays, and the first line says that it may be old.

use egui::{Rect, Ui, Vec2};
use jiff::Timestamp;

use super::pen::{Live, Pen, Side, beside, ink, part, strong};
use super::{history, queue, settings};
use crate::command::Command;
use crate::model::{LinkState, Model};
use crate::settings::Settings;
use crate::theme::{self, Theme, Tone};
use crate::words::{self, Words};

/// Which list is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// Every live call and line; for supervisors.
    Live,
    /// Recent calls.
    Recent,
    /// What the person chooses for themselves.
    Settings,
}

/// What the window shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MainData {
    /// Own name.
    pub name: String,
    /// Own lines and role, in words.
    pub lines: String,
    /// Whether the hub is heard, in words.
    pub link: String,
    /// The colour beside those words.
    pub link_tone: Tone,
    /// The lists this person may choose between.
    pub tabs: Vec<Tab>,
    /// What the chosen list holds.
    pub list: ListData,
    /// The person's language, for what stands on every list.
    pub words: Words,
}

/// The chosen list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListData {
    /// Every live call and line.
    Live(queue::QueueData),
    /// Recent calls.
    Recent(Vec<history::HistoryRow>),
    /// What the person chooses for themselves.
    Settings(settings::SettingsData),
}

/// Builds the window's content; a list this person may not see falls back to recent calls.
pub fn data(model: &Model, settings: &Settings, tab: Tab, now: Timestamp) -> MainData {
    let (link, link_tone) = link_words(model, now);
    let (name, lines) = me_words(model);
    let live = model.supervises().then_some(Tab::Live);
    let tabs = live.into_iter().chain([Tab::Recent, Tab::Settings]).collect();
    let list = match tab {
        Tab::Settings => ListData::Settings(settings::data(&model.words, settings)),
        Tab::Live if model.supervises() => ListData::Live(queue::data(model, now)),
        _ => ListData::Recent(history::rows(model, now)),
    };
    MainData { name, lines, link, link_tone, tabs, list, words: model.words.clone() }
}

impl MainData {
    /// Whether something shown ages by the second.
    pub fn ticks(&self, model: &Model) -> bool {
        matches!(model.link, LinkState::Disconnected { .. })
            || matches!(&self.list, ListData::Live(queue) if !(queue.calls.is_empty() && queue.lines.is_empty()))
    }
}

fn link_words(model: &Model, now: Timestamp) -> (String, Tone) {
    let words = &model.words;
    match &model.link {
        LinkState::Dialling => (words.say("connecting"), Tone::Dim),
        LinkState::Connected { .. } => (words.say("connected"), Tone::Good),
        LinkState::Disconnected { since, why } => {
            let (age, why) = (words.age(*since, now), words::plain(&why.to_string()));
            (
                words.tell("not-connected-because", &[("age", (&age).into()), ("why", (&why).into())]),
                Tone::Bad,
            )
        }
    }
}

fn me_words(model: &Model) -> (String, String) {
    let words = &model.words;
    let Some(me) = &model.me else { return ("Pinkas".to_owned(), String::new()) };
    let lines: Vec<_> = me.lines.iter().take(8).map(|line| words::plain(line.as_str())).collect();
    let lines = match lines.as_slice() {
        [] if model.supervises() => String::new(),
        [] => words.say("no-line"),
        [line] => words.tell("line-is", &[("line", line.into())]),
        lines => words.tell("lines-are", &[("lines", (&words.list(lines)).into())]),
    };
    let role = if model.supervises() { words.say("supervisor") } else { String::new() };
    (words::plain(&me.name), words.dots([role, lines]))
}

/// Draws the window; `tab` is what the person looks at.
pub fn ui(ui: &mut Ui, theme: &Theme, data: &MainData, tab: &mut Tab) -> Vec<Command> {
    let whole = ui.max_rect();
    ui.painter().rect_filled(whole, 0.0, theme.ground);
    let mut pen = Pen::new(ui, theme);
    head(&mut pen, data, tab);
    let below = Rect::from_min_max(egui::Pos2::new(whole.left(), pen.y), whole.max);
    ui.scope_builder(egui::UiBuilder::new().max_rect(below), |ui| match &data.list {
        ListData::Live(queue) => queue::ui(ui, theme, &data.words, queue),
        ListData::Settings(settings) => settings::ui(ui, theme, settings),
        ListData::Recent(rows) => history::ui(ui, theme, &data.words, rows),
    })
    .inner
}

fn head(pen: &mut Pen<'_>, data: &MainData, tab: &mut Tab) {
    let top = pen.y;
    let bar = pen.line(92.0);
    let raised = pen.theme.raised;
    pen.fill(bar, raised, 0);
    pen.rule();
    let first = Rect::from_min_size(egui::Pos2::new(bar.left(), top), Vec2::new(bar.width(), 52.0));
    let first = first.shrink2(Vec2::new(theme::PAD, 0.0));
    let name = pen.text(
        part(first, Side::Start, first.width() * 0.4),
        Side::Start,
        &data.name,
        strong(theme::HEADING, Tone::Text),
    );
    let rest = beside(first, Side::Start, name.width() + 12.0);
    let lines = pen.text(
        part(rest, Side::Start, rest.width() * 0.45),
        Side::Start,
        &data.lines,
        ink(theme::TEXT, Tone::Dim),
    );
    let rest = beside(rest, Side::Start, lines.width() + 24.0);
    let link = pen.text(rest, Side::End, &data.link, ink(theme::TEXT, link_text(data.link_tone)));
    let color = pen.theme.tone(data.link_tone);
    pen.dot(egui::Pos2::new(link.left() - 12.0, link.center().y), color);
    let mut left = Rect::from_min_size(egui::Pos2::new(bar.left(), top + 48.0), Vec2::new(bar.width(), 32.0));
    left = left.shrink2(Vec2::new(theme::PAD, 0.0));
    for choice in &data.tabs {
        let words = data.words.say(tab_words(*choice));
        let width = pen.button_width(&words).max(116.0);
        let place = part(left, Side::Start, width);
        left = beside(left, Side::Start, width + 8.0);
        if pen.button(place, &words, Live::Yes) {
            *tab = *choice;
        }
        if *tab == *choice {
            let color = pen.theme.accent;
            pen.outline(place, egui::Stroke::new(1.5, color), theme::CORNER);
        }
    }
}

fn link_text(tone: Tone) -> Tone {
    if tone == Tone::Bad { Tone::Bad } else { Tone::Dim }
}

fn tab_words(tab: Tab) -> &'static str {
    match tab {
        Tab::Live => "live-calls",
        Tab::Recent => "recent-calls",
        Tab::Settings => "settings",
    }
}
