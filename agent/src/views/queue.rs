//! The supervisor's live view: every call that goes on and every line, in words and with ages that
//! tick. Colour only underlines what the words say.

use egui::{Pos2, Rect, Ui, Vec2};
use jiff::Timestamp;
use pinkas_protocol::board::CallState;
use pinkas_protocol::{CallId, CallView, Line, LineState, LineView, PersonState, PersonView};

use super::own_state::{self, Differs};
use super::pen::{Live, Pen, Side, beside, ink, strong};
use super::popup::{caller_name, caller_number, held_at, queue};
use crate::command::Command;
use crate::model::Model;
use crate::theme::{self, Theme, Tone};
use crate::words::{self, Words};

/// What the supervisor sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueData {
    /// How many calls wait, ring, talk and are on hold: `1 waiting · 2 ringing · 1 talking`.
    pub summary: String,
    /// Longest first.
    pub calls: Vec<QueueRow>,
    /// Who takes calls: first those who do not, those who have gone last.
    pub people: Vec<PersonRow>,
    /// How many do what: `2 ready · 1 not ready`.
    pub people_summary: String,
    /// By name.
    pub lines: Vec<LineRow>,
    /// Phone systems that are not heard, in a sentence.
    pub unheard: Option<String>,
}

/// One live call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRow {
    /// Which.
    pub call: CallId,
    /// Customer, caller's own name or number.
    pub name: String,
    /// The number.
    pub number: String,
    /// The queue called.
    pub queue: String,
    /// What it does.
    pub stage: Stage,
    /// The same in words: `Ringing on 101 Ana, 103`.
    pub state: String,
    /// For how long it has done so.
    pub clock: String,
}

/// What a live call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Waits, and no phone rings.
    Waiting,
    /// Rings.
    Ringing,
    /// Someone talks with the caller.
    Talking,
    /// Someone has answered and put the caller on hold.
    Held,
}

/// One person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    /// Who.
    pub name: String,
    /// What they do, by their own word: `Not ready: Lunch`.
    pub state: String,
    /// For how long.
    pub clock: String,
    /// What the phone system says where it says something else.
    pub differs: Option<String>,
    /// The colour beside the word.
    pub tone: Tone,
}

impl QueueData {
    /// Whether nothing on it ages.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.people.is_empty() && self.lines.is_empty()
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineRow {
    /// Which.
    pub line: String,
    /// Whose.
    pub agent: String,
    /// What it does.
    pub state: String,
    /// For how long.
    pub clock: String,
    /// Where it takes no calls, why and since when: `Paused: lunch, 12:03 · Support`.
    pub pauses: Vec<String>,
    /// The colour beside the word.
    pub tone: Tone,
}

/// Builds the view.
pub fn data(model: &Model, now: Timestamp) -> QueueData {
    let then = model.hub_time(now);
    let live = model.board.calls.values().filter(|view| view.ended.is_none());
    let calls: Vec<QueueRow> = live.map(|view| queue_row(model, view, then)).collect();
    let count = |stage| calls.iter().filter(|call| call.stage == stage).count();
    let words = &model.words;
    let said = |id, stage| words.tell(id, &[("count", count(stage).into())]);
    let held = (count(Stage::Held) > 0).then(|| said("count-on-hold", Stage::Held));
    let summary = words.dots([
        said("count-waiting", Stage::Waiting),
        said("count-ringing", Stage::Ringing),
        said("count-talking", Stage::Talking),
        held.unwrap_or_default(),
    ]);
    let lines = model.board.lines.iter().map(|(line, view)| LineRow {
        line: words::plain(line.as_str()),
        agent: view.agent.as_deref().map_or_else(|| words::UNKNOWN.to_owned(), words::plain),
        state: words.say(line_words(view.state)),
        clock: words::elapsed(view.since, then),
        pauses: pauses(model, view, then),
        tone: line_tone(view.state),
    });
    let (people, people_summary) = people(model, then);
    let (lines, unheard) = (lines.collect(), unheard(model, then));
    QueueData { summary, calls, people, people_summary, lines, unheard }
}

fn people(model: &Model, then: Timestamp) -> (Vec<PersonRow>, String) {
    let words = &model.words;
    let mut people: Vec<&PersonView> = model.board.people.values().collect();
    people.sort_by_key(|view| (rank(&view.state), view.name.clone()));
    let count = |n| people.iter().filter(|view| rank(&view.state) == n).count();
    let counts = [(2, "count-ready"), (0, "count-not-ready"), (1, "count-wrap-up"), (3, "count-offline")];
    let counted = counts.into_iter().filter(|(n, _)| count(*n) > 0);
    let summary = words.dots(counted.map(|(n, id)| words.tell(id, &[("count", count(n).into())])));
    let row = |view: &&PersonView| PersonRow {
        name: words::plain(&view.name),
        state: own_state::state_words(model, &view.state),
        clock: words::elapsed(view.since, then),
        differs: own_state::differs(model, view, &view.lines, then).map(|differs| match differs {
            Differs::Paused(pause) => words.tell("in-phone-system", &[("pause", (&pause).into())]),
            Differs::NotPaused => words.say("not-paused"),
        }),
        tone: own_state::tone(&view.state),
    };
    (people.iter().map(row).collect(), summary)
}

/// Whoever a supervisor may have to look after first.
fn rank(state: &PersonState) -> u8 {
    match state {
        PersonState::NotReady { .. } => 0,
        PersonState::WrapUp => 1,
        PersonState::Ready => 2,
        PersonState::Offline => 3,
    }
}

fn queue_row(model: &Model, view: &CallView, then: Timestamp) -> QueueRow {
    let rang = view.offers.values().map(|offer| offer.rang_at).min().unwrap_or(view.arrived_at);
    let words = &model.words;
    let (state, since, stage) = match view.state() {
        CallState::Waiting | CallState::Ended(_) => match &view.waits {
            Some(waits) => {
                let said = words.tell("waiting-place", &[("position", waits.position.into())]);
                (said, waits.since, Stage::Waiting)
            }
            None => (words.say("waiting"), view.arrived_at, Stage::Waiting),
        },
        CallState::Ringing(lines) => {
            let phones = words.list(lines.into_iter().take(6).map(|line| phone(model, view, line)));
            (words.tell("ringing-on", &[("line", (&phones).into())]), rang, Stage::Ringing)
        }
        CallState::Talking { line, since } => {
            let (on, with) = (words::plain(line.as_str()), model.agent_at(view, line));
            let said = |alone, together| match &with {
                Some(name) => words.tell(together, &[("name", name.into()), ("line", (&on).into())]),
                None => words.tell(alone, &[("line", (&on).into())]),
            };
            match held_at(view, line) {
                Some(held) => (said("on-hold-on", "on-hold-with"), held, Stage::Held),
                None => (said("talking-on", "talking-with"), since, Stage::Talking),
            }
        }
    };
    QueueRow {
        call: view.id,
        name: caller_name(words, view),
        number: caller_number(words, view),
        queue: queue(view).unwrap_or_else(|| words::UNKNOWN.to_owned()),
        stage,
        state,
        clock: words::elapsed(since, then),
    }
}

fn phone(model: &Model, view: &CallView, line: &Line) -> String {
    let number = words::plain(line.as_str());
    let number = model.agent_at(view, line).map_or(number.clone(), |name| format!("{number} {name}"));
    let by = view.offers.get(line).and_then(|offer| offer.passed_on_by.as_ref());
    match by {
        Some(by) => {
            let name = model.person_at(view, by);
            format!("{number} ({})", model.words.tell("passed-on-by-whom", &[("name", (&name).into())]))
        }
        None => number,
    }
}

/// One sentence for each reason and beginning: who pauses in every queue at once did it once.
pub(super) fn pauses(model: &Model, view: &LineView, then: Timestamp) -> Vec<String> {
    let words = &model.words;
    let mut said: Vec<(String, Vec<String>)> = Vec::new();
    for (queue, paused) in &view.pauses {
        let since = words.moment(paused.since, then, &model.zone);
        let sentence = match paused.pause.reason.as_deref().map(words::plain) {
            Some(reason) => {
                words.tell("paused-because", &[("reason", (&reason).into()), ("since", (&since).into())])
            }
            None => words.tell("paused", &[("since", (&since).into())]),
        };
        let queue = words::plain(queue.as_str());
        match said.iter_mut().find(|(other, _)| *other == sentence) {
            Some((_, queues)) => queues.push(queue),
            None => said.push((sentence, vec![queue])),
        }
    }
    said.into_iter().map(|(sentence, queues)| words.dots([sentence, words.list(queues)])).collect()
}

fn stage_tone(stage: Stage) -> Tone {
    match stage {
        Stage::Waiting | Stage::Held => Tone::Warn,
        Stage::Ringing => Tone::Accent,
        Stage::Talking => Tone::Good,
    }
}

fn unheard(model: &Model, then: Timestamp) -> Option<String> {
    let gone: Vec<_> = model.board.adapters.iter().filter(|(_, view)| !view.connected).collect();
    let (adapter, view) = gone.first()?;
    let name = words::plain(adapter.as_str());
    let age = model.words.age(view.since, then);
    let (name, age) = (("name", (&name).into()), ("age", (&age).into()));
    Some(match gone.len() {
        1 => model.words.tell("phone-system-unheard", &[name, age]),
        more => model.words.tell("phone-systems-unheard", &[("count", more.into()), name, age]),
    })
}

fn line_words(state: LineState) -> &'static str {
    match state {
        LineState::Unknown => "line-unknown",
        LineState::Idle => "line-idle",
        LineState::Ringing => "line-ringing",
        LineState::Busy => "line-busy",
    }
}

fn line_tone(state: LineState) -> Tone {
    match state {
        LineState::Unknown => Tone::Faint,
        LineState::Idle => Tone::Dim,
        LineState::Ringing => Tone::Accent,
        LineState::Busy => Tone::Good,
    }
}

/// Draws the view into all of `ui`: calls above, lines below, scrolling together.
pub fn ui(ui: &mut Ui, theme: &Theme, words: &Words, data: &QueueData) -> Vec<Command> {
    let mut wishes = Vec::new();
    egui::ScrollArea::vertical().auto_shrink(false).id_salt("queue").show(ui, |ui| {
        let mut pen = Pen::new(ui, theme);
        if let Some(unheard) = &data.unheard {
            pen.space(theme::PAD_Y);
            let line = pen.padded_line(theme::ROW);
            pen.text(line, Side::Start, unheard, ink(theme::TEXT, Tone::Bad));
        }
        title(&mut pen, &words.say("calls"), &data.summary);
        calls_ui(&mut pen, words, &data.calls, &mut wishes);
        if !data.people.is_empty() {
            title(&mut pen, &words.say("people"), &data.people_summary);
            people_ui(&mut pen, words, &data.people);
        }
        title(&mut pen, &words.say("lines"), "");
        lines_ui(&mut pen, words, &data.lines);
        pen.space(theme::PAD);
    });
    wishes
}

fn title(pen: &mut Pen<'_>, title: &str, beside_it: &str) {
    pen.space(theme::PAD);
    let line = pen.padded_line(24.0);
    let place = pen.text(line, Side::Start, title, strong(theme::HEADING, Tone::Text));
    if !beside_it.is_empty() {
        let rest = beside(line, Side::Start, place.width() + 12.0);
        pen.text(rest, Side::Start, beside_it, ink(theme::TEXT, Tone::Dim));
    }
    pen.space(theme::STEP);
}

fn header<const N: usize>(pen: &mut Pen<'_>, words: &Words, cells: [Rect; N], names: [&'static str; N]) {
    for (cell, name) in cells.into_iter().zip(names).filter(|(_, name)| !name.is_empty()) {
        let side = if name == "since" { Side::End } else { Side::Start };
        pen.text(cell, side, &words.say(name), ink(theme::LABEL, Tone::Dim));
    }
}

fn calls_ui(pen: &mut Pen<'_>, words: &Words, calls: &[QueueRow], wishes: &mut Vec<Command>) {
    if calls.is_empty() {
        empty(pen, &words.say("no-calls-now"));
        return;
    }
    table(pen, calls.len(), |pen| {
        let queues = calls.iter().any(|call| call.queue != words::UNKNOWN);
        let cells = call_columns(pen.line(28.0), queues);
        header(pen, words, cells, ["state", "since", "caller", "number", if queues { "queue" } else { "" }]);
        for call in calls {
            pen.rule();
            let line = pen.line(theme::TALL_ROW);
            let name = format!("{}, {}, {}", call.name, call.state, call.clock);
            if pen.row(line.shrink2(Vec2::new(4.0, 1.0)), &name, Live::Yes) {
                wishes.push(Command::Open(call.call));
            }
            let [state, since, who, number, queue] = call_columns(line, queues);
            dotted(pen, state, &call.state, stage_tone(call.stage));
            pen.text(since, Side::End, &call.clock, ink(theme::TEXT, Tone::Text));
            pen.text(who, Side::Start, &call.name, ink(theme::TEXT, Tone::Text));
            if call.number != call.name {
                pen.text(number, Side::Start, &call.number, ink(theme::TEXT, Tone::Dim));
            }
            if queues {
                pen.text(queue, Side::Start, &call.queue, ink(theme::TEXT, Tone::Dim));
            }
        }
    });
}

fn people_ui(pen: &mut Pen<'_>, words: &Words, people: &[PersonRow]) {
    let differ = people.iter().any(|row| row.differs.is_some());
    table(pen, people.len(), |pen| {
        let cells = people_columns(pen.line(28.0), differ);
        header(pen, words, cells, ["agent", "state", "since", if differ { "phone-system" } else { "" }]);
        for row in people {
            pen.rule();
            let [agent, state, since, differs] = people_columns(pen.line(theme::TALL_ROW), differ);
            pen.text(agent, Side::Start, &row.name, ink(theme::TEXT, Tone::Text));
            dotted(pen, state, &row.state, row.tone);
            pen.text(since, Side::End, &row.clock, ink(theme::TEXT, Tone::Text));
            if let Some(text) = &row.differs {
                pen.text(differs, Side::Start, text, ink(theme::TEXT, Tone::Warn));
            }
        }
    });
}

fn lines_ui(pen: &mut Pen<'_>, words: &Words, lines: &[LineRow]) {
    if lines.is_empty() {
        empty(pen, &words.say("no-lines-yet"));
        return;
    }
    let pauses = lines.iter().any(|row| !row.pauses.is_empty());
    table(pen, lines.len(), |pen| {
        let cells = line_columns(pen.line(28.0), pauses);
        header(pen, words, cells, ["line", "agent", "state", "since", if pauses { "pause" } else { "" }]);
        for row in lines {
            pen.rule();
            let [line, agent, state, since, pause] = line_columns(pen.line(theme::TALL_ROW), pauses);
            pen.text(line, Side::Start, &row.line, ink(theme::TEXT, Tone::Text));
            pen.text(agent, Side::Start, &row.agent, ink(theme::TEXT, Tone::Text));
            dotted(pen, state, &row.state, row.tone);
            pen.text(since, Side::End, &row.clock, ink(theme::TEXT, Tone::Text));
            if !row.pauses.is_empty() {
                pen.text(pause, Side::Start, &row.pauses.join("; "), ink(theme::TEXT, Tone::Text));
            }
        }
    });
}

fn empty(pen: &mut Pen<'_>, sentence: &str) {
    let line = pen.padded_line(theme::ROW);
    pen.text(line, Side::Start, sentence, ink(theme::TEXT, Tone::Dim));
}

/// A panel around a header and `rows` rows.
fn table(pen: &mut Pen<'_>, rows: usize, draw: impl FnOnce(&mut Pen<'_>)) {
    let height = 28.0 + rows as f32 * (theme::TALL_ROW + 1.0);
    let (left, right) = (pen.left, pen.right);
    (pen.left, pen.right) = (left + theme::PAD, right - theme::PAD);
    let rect = Rect::from_min_max(Pos2::new(pen.left, pen.y), Pos2::new(pen.right, pen.y + height));
    let (panel, line) = (pen.theme.panel, pen.theme.hairline());
    pen.fill(rect, panel, theme::CORNER);
    draw(pen);
    pen.outline(rect, line, theme::CORNER);
    (pen.left, pen.right) = (left, right);
}

fn dotted(pen: &mut Pen<'_>, cell: Rect, words: &str, tone: Tone) {
    let color = pen.theme.tone(tone);
    pen.dot(Pos2::new(cell.left() + 4.0, cell.center().y), color);
    pen.text(beside(cell, Side::Start, 16.0), Side::Start, words, ink(theme::TEXT, Tone::Text));
}

/// Some phone systems name no queues: then there is no column of dashes.
fn call_columns(line: Rect, queues: bool) -> [Rect; 5] {
    let shares = if queues { [0.45, 0.0, 0.35, 0.0, 0.20] } else { [0.5, 0.0, 0.5, 0.0, 0.0] };
    cells(line, shares, [0.0, 56.0, 0.0, 140.0, 0.0])
}

/// Where the phone system says what people say there is no empty column.
fn people_columns(line: Rect, differ: bool) -> [Rect; 4] {
    let shares = if differ { [0.26, 0.28, 0.0, 0.46] } else { [0.45, 0.55, 0.0, 0.0] };
    cells(line, shares, [0.0, 0.0, 64.0, 0.0])
}

/// Most phone systems name no pauses: then there is no empty column.
fn line_columns(line: Rect, pauses: bool) -> [Rect; 5] {
    let shares = if pauses { [0.12, 0.28, 0.16, 0.0, 0.44] } else { [0.2, 0.4, 0.4, 0.0, 0.0] };
    cells(line, shares, [0.0, 0.0, 0.0, 64.0, 0.0])
}

/// Cells side by side: each its fixed width, and its share of what is left.
fn cells<const N: usize>(line: Rect, shares: [f32; N], fixed: [f32; N]) -> [Rect; N] {
    let line = line.shrink2(Vec2::new(theme::PAD, 0.0));
    let gap = 16.0;
    let free = (line.width() - fixed.iter().sum::<f32>() - gap * (N as f32 - 1.0)).max(0.0);
    let mut left = line.left();
    std::array::from_fn(|i| {
        let width = fixed[i] + free * shares[i];
        let cell = Rect::from_min_size(Pos2::new(left, line.top()), Vec2::new(width, line.height()));
        left += width + gap;
        cell
    })
}
