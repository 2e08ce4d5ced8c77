//! The main window: who I am, whether the hub is heard, and below it the lists: missed calls, follow-ups, calls
//! and, for supervisors, all live calls, with one call that is over beside them. Without a link what is shown stays, and the first line says that it may be old.

use egui::{Key, Modifiers, Rect, Ui, Vec2};
use jiff::Timestamp;
use pinkas_protocol::agent_link::AgentSays;
use pinkas_protocol::{CallId, Written};
use uuid::Uuid;

use super::pen::{Live, Pen, Side, beside, ink, part, strong};
use super::settings::Machine;
use super::{details, follow_ups, history, missed, own_state, queue, settings};
use crate::command::Command;
use crate::drafts::Stage;
use crate::model::{LinkState, Model};
use crate::settings::Settings;
use crate::theme::{self, Theme, Tone};
use crate::words::{self, Words};

/// Which list is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// Every live call and line; for supervisors.
    Live,
    /// Callers whom nobody has spoken with.
    Missed,
    /// What is still to be done.
    FollowUps,
    /// Calls, newest first.
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
    /// The lists this person may choose between, each with how many rows of it ask for something.
    pub tabs: Vec<(Tab, usize)>,
    /// Whether this person takes calls.
    pub own: Option<own_state::OwnData>,
    /// What was written and not kept, and what this computer's disk does not do.
    pub notices: Vec<Notice>,
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
    /// Callers whom nobody has spoken with.
    Missed,
    /// What is still to be done.
    FollowUps,
    /// Calls, newest first.
    Recent(history::HistoryData),
    /// What the person chooses for themselves.
    Settings(settings::SettingsData),
}

/// What the person looks at, and has typed there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looks {
    /// Which list; `None`: the first one for this person.
    pub tab: Option<Tab>,
    /// What stands in the search field.
    pub find: String,
    /// The call that is shown beside the list.
    pub details: Option<CallId>,
    /// What to say of oneself is being chosen.
    pub choosing: bool,
}

/// Something that was written and is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What, and why.
    pub text: String,
    /// The entry, to be sent again or forgotten; absent: nothing can be done here.
    pub entry: Option<Uuid>,
}

/// The most notices shown at once.
const MOST_NOTICES: usize = 3;

/// Builds the window's content; a list this person may not see falls back to recent calls.
pub fn data(model: &Model, settings: (&Settings, Machine), tab: Tab, now: Timestamp) -> MainData {
    let (link, link_tone) = link_words(model, now);
    let (name, lines) = me_words(model);
    let live = model.supervises().then_some((Tab::Live, 0));
    let counted = [(Tab::Missed, missed::open(model)), (Tab::FollowUps, follow_ups::due(model, now))];
    let tabs = live.into_iter().chain(counted).chain([(Tab::Recent, 0), (Tab::Settings, 0)]).collect();
    let list = match tab {
        Tab::Settings => {
            ListData::Settings(settings::data(&model.words, settings.0, settings.1, model.login()))
        }
        Tab::Live if model.supervises() => ListData::Live(queue::data(model, now)),
        Tab::Missed => ListData::Missed,
        Tab::FollowUps => ListData::FollowUps,
        _ => ListData::Recent(history::data(model, now)),
    };
    let notices = notices(model);
    let own = own_state::data(model, now);
    MainData { name, lines, link, link_tone, tabs, own, notices, list, words: model.words.clone() }
}

impl ListData {
    fn tab(&self) -> Tab {
        match self {
            ListData::Live(_) => Tab::Live,
            ListData::Missed => Tab::Missed,
            ListData::FollowUps => Tab::FollowUps,
            ListData::Recent(_) => Tab::Recent,
            ListData::Settings(_) => Tab::Settings,
        }
    }
}

impl Looks {
    /// Which list.
    pub fn tab(&self, model: &Model) -> Tab {
        self.tab.unwrap_or(if model.supervises() { Tab::Live } else { Tab::Recent })
    }
}

impl MainData {
    /// Whether something shown ages by the second.
    pub fn ticks(&self, model: &Model) -> bool {
        matches!(model.link, LinkState::Disconnected { .. })
            || matches!(&self.list, ListData::Live(queue) if !queue.is_empty())
    }
}

fn notices(model: &Model) -> Vec<Notice> {
    let (words, drafts) = (&model.words, model.drafts());
    let disk =
        drafts.trouble().map(|why| words.tell("disk-takes-nothing", &[("why", (&words::plain(why)).into())]));
    let damaged =
        (drafts.damaged() > 0).then(|| words.tell("drafts-damaged", &[("count", drafts.damaged().into())]));
    let general = [disk, damaged].into_iter().flatten().map(|text| Notice { text, entry: None });
    let refused = drafts.all().filter_map(|entry| {
        let Stage::Refused(why) = entry.stage else { return None };
        let what = match &entry.says {
            AgentSays::Write { what: Written::Note { text } | Written::FollowUp { text, .. }, .. } => {
                words::plain(&text.0)
            }
            AgentSays::Write { what: Written::Outcome { code }, .. } => words::plain(code.as_str()),
            AgentSays::Handled { .. } => words.say("mark-handled"),
            _ => words.say("mark-done"),
        };
        let why = words.refusal(why);
        let text = words.tell("not-kept", &[("why", (&why).into()), ("what", (&what).into())]);
        Some(Notice { text, entry: Some(entry.id) })
    });
    general.chain(refused).take(MOST_NOTICES).collect()
}

fn link_words(model: &Model, now: Timestamp) -> (String, Tone) {
    let words = &model.words;
    match &model.link {
        LinkState::Dialling => (words.say("connecting"), Tone::Dim),
        LinkState::Connected { .. } => (words.say("connected"), Tone::Good),
        LinkState::Disconnected { since, why } => {
            let (age, why) = (words.age(*since, now), words.link_ended(why));
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

/// Draws the window; `looks` is what the person looks at.
pub fn ui(
    ui: &mut Ui,
    theme: &Theme,
    (model, now): (&Model, Timestamp),
    data: &MainData,
    looks: &mut Looks,
) -> Vec<Command> {
    let mut wishes = Vec::new();
    keys(ui, data, looks);
    wishes.extend(data.own.as_ref().and_then(|own| own_state::keys(ui, own, &mut looks.choosing)));
    let whole = ui.max_rect();
    let mut pen = Pen::new(ui, theme);
    head(&mut pen, data, looks);
    if let Some(own) = &data.own {
        own_state::ui(&mut pen, &data.words, own, &mut looks.choosing, &mut wishes);
    }
    data.notices.iter().for_each(|notice| notice_ui(&mut pen, &data.words, notice, &mut wishes));
    let below = Rect::from_min_max(egui::Pos2::new(whole.left(), pen.y), whole.max);
    let beside_list = matches!(data.list, ListData::Missed | ListData::FollowUps | ListData::Recent(_));
    let shown = looks.details.filter(|_| beside_list);
    // A narrow window shows the call in place of the list.
    let width = if below.width() < 2.0 * details::WIDTH { below.width() } else { details::WIDTH };
    let pane = shown.map(|call| (call, pen.on_screen(part(below, Side::End, width))));
    let list = pen.on_screen(if pane.is_some() { beside(below, Side::End, width) } else { below });
    if list.width() > 1.0 {
        let builder = egui::UiBuilder::new().max_rect(list);
        let said = ui.scope_builder(builder, |ui| match &data.list {
            ListData::Live(queue) => queue::ui(ui, theme, &data.words, queue),
            ListData::Settings(settings) => settings::ui(ui, theme, settings),
            ListData::Missed => missed::ui(ui, theme, model, now),
            ListData::FollowUps => follow_ups::ui(ui, theme, model, now),
            ListData::Recent(history) => history::ui(ui, theme, (model, now), history, &mut looks.find),
        });
        wishes.extend(said.inner);
    }
    if let Some((call, place)) = pane {
        let shown = details::data(model, call, now);
        let builder = egui::UiBuilder::new().max_rect(place);
        let mut closed = ui.input(|input| input.key_pressed(Key::Escape));
        let said = ui.scope_builder(builder, |ui| details::ui(ui, theme, model, &shown, &mut closed));
        wishes.extend(said.inner);
        if closed {
            looks.details = None;
            ui.ctx().request_repaint();
        }
    }
    for wish in &wishes {
        if let Command::Details(call) = wish {
            looks.details = Some(*call);
            ui.ctx().request_repaint();
        }
    }
    wishes
}

/// Ctrl and a number shows that list, Ctrl+F searches.
fn keys(ui: &Ui, data: &MainData, looks: &mut Looks) {
    let numbers = [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5];
    for (key, (tab, _)) in numbers.into_iter().zip(&data.tabs) {
        if ui.input_mut(|input| input.consume_key(Modifiers::COMMAND, key)) {
            looks.tab = Some(*tab);
            ui.ctx().request_repaint();
        }
    }
    if ui.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::F)) {
        looks.tab = Some(Tab::Recent);
        ui.memory_mut(|memory| memory.request_focus(history::search_id()));
        ui.ctx().request_repaint();
    }
}

fn notice_ui(pen: &mut Pen<'_>, words: &Words, notice: &Notice, wishes: &mut Vec<Command>) {
    let line = pen.line(theme::TALL_ROW);
    let (ground, tone) = (pen.theme.chip(Tone::Warn), Tone::Text);
    pen.fill(line, ground, 0);
    let mut room = line.shrink2(Vec2::new(theme::PAD, 3.0));
    if let Some(entry) = notice.entry {
        for (id, wish) in [("discard", Command::Discard(entry)), ("send-again", Command::SendAgain(entry))] {
            let text = words.say(id);
            let width = pen.button_width(&text);
            if pen.button(part(room, Side::End, width), &text, Live::Yes) {
                wishes.push(wish);
            }
            room = beside(room, Side::End, width + 8.0);
        }
    }
    pen.text(room, Side::Start, &notice.text, ink(theme::TEXT, tone));
}

fn head(pen: &mut Pen<'_>, data: &MainData, looks: &mut Looks) {
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
    for (choice, count) in &data.tabs {
        let name = data.words.say(tab_words(*choice));
        let words = match count {
            0 => name,
            count => data.words.tell("tab-with", &[("name", (&name).into()), ("count", (*count).into())]),
        };
        let width = pen.button_width(&words).max(116.0);
        let place = part(left, Side::Start, width);
        left = beside(left, Side::Start, width + 8.0);
        if pen.button(place, &words, Live::Yes) {
            looks.tab = Some(*choice);
        }
        if data.list.tab() == *choice {
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
        Tab::Missed => "missed-calls",
        Tab::FollowUps => "follow-ups",
        Tab::Recent => "recent-calls",
        Tab::Settings => "settings",
    }
}
