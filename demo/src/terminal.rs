//! The agent's card in a terminal: the same strings as the window, as a person would want to read them.
//! On a terminal the card is redrawn in place while it fills; in a pipe it is printed when it settles.

use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;
use pinkas_agent::model::Model;
use pinkas_agent::views::popup::{CardBody, CardData, FigureValue, Mood, PopupData};
use pinkas_protocol::{CallId, CallView, CardState, Who};

const WIDTH: usize = 66;

/// A terminal that shows one card at a time.
pub struct Terminal {
    out: io::Stdout,
    live: bool,
    drawn: usize,
    last: Option<(CallId, Vec<String>)>,
    printed: Vec<String>,
    timing: Option<Timing>,
}

/// How long after the phone system's packet a call was shown.
#[derive(Clone, Copy)]
struct Timing {
    call: CallId,
    shown_ms: i128,
    settled_ms: Option<i128>,
}

impl Timing {
    /// In words, once every source has answered or was late.
    fn words(self) -> Option<String> {
        let settled = self.settled_ms?;
        let shown = format!("  Here {} ms after the SIP packet", self.shown_ms);
        Some(format!("{shown}; every source had answered or was late after {settled} ms"))
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Terminal {
            out: io::stdout(),
            live: io::stdout().is_terminal(),
            drawn: 0,
            last: None,
            printed: Vec::new(),
            timing: None,
        }
    }
}

impl Terminal {
    /// A line of its own, below whatever was shown.
    pub fn say(&mut self, line: &str) {
        self.drawn = 0;
        if self.live {
            self.last = None;
        }
        self.print(line);
    }

    /// Shows the card as the model has it now.
    pub fn show(&mut self, model: &Model, now: Timestamp) {
        let Some(data) = PopupData::now(model, now) else {
            self.drawn = 0;
            return;
        };
        let Some(view) = model.board.calls.get(&data.call) else { return };
        let timing = self.time(view, now);
        let mut lines = card(&data, if self.live { Clock::Ticking } else { Clock::Hidden });
        let told = timing.words().filter(|_| data.mood != Mood::Fading);
        let settled = timing.settled_ms.is_some();
        lines.extend(told);
        if self.live {
            self.redraw(data.call, lines);
        } else if settled {
            self.print_new(data.call, lines);
        }
    }

    /// Only says how long it took, once for each call: the card itself is in a window.
    pub fn say_time(&mut self, model: &Model, now: Timestamp) {
        let Some(view) = model.pop(now).and_then(|pop| model.board.calls.get(&pop.view.id)) else { return };
        let told = self.timing.is_some_and(|timing| timing.call == view.id && timing.settled_ms.is_some());
        let timing = self.time(view, now);
        if let Some(words) = timing.words().filter(|_| !told) {
            self.print(&words);
        }
    }

    fn time(&mut self, view: &CallView, now: Timestamp) -> Timing {
        let ms = now.duration_since(view.arrived_at).as_millis();
        let mut timing = match self.timing {
            Some(timing) if timing.call == view.id => timing,
            _ => Timing { call: view.id, shown_ms: ms, settled_ms: None },
        };
        if view.who != Who::Asking && view.cards.iter().all(|card| card.state != CardState::Waiting) {
            timing.settled_ms.get_or_insert(ms);
        }
        self.timing = Some(timing);
        timing
    }

    fn redraw(&mut self, call: CallId, lines: Vec<String>) {
        if self.last.as_ref().is_some_and(|(last, _)| *last != call) {
            self.drawn = 0;
        }
        if self.last.as_ref().is_some_and(|(_, last)| *last == lines) {
            return;
        }
        // Up over the last drawing, clearing each line: nothing else writes here meanwhile.
        let up = if self.drawn > 0 { format!("\x1b[{}A\x1b[J", self.drawn) } else { String::new() };
        self.drawn = lines.len();
        let _ = writeln!(self.out, "{up}{}", lines.join("\n")).and_then(|()| self.out.flush());
        self.last = Some((call, lines));
    }

    /// In a pipe: the whole card first, later only what changed about the call.
    fn print_new(&mut self, call: CallId, lines: Vec<String>) {
        let known = self.last.as_ref().is_some_and(|(last, _)| *last == call);
        if !known {
            self.printed.clear();
        }
        for line in &lines {
            if !known || !(line.trim().is_empty() || self.printed.contains(line)) {
                self.print(line);
                self.printed.push(line.clone());
            }
        }
        self.last = Some((call, lines));
    }

    fn print(&mut self, line: &str) {
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Clock {
    Ticking,
    Hidden,
}

/// A card as lines of text, in the order of reading.
fn card(data: &PopupData, clock: Clock) -> Vec<String> {
    let time = data.clock.as_deref().filter(|_| clock == Clock::Ticking).unwrap_or_default();
    let mut lines = vec![String::new(), ends(&format!("  {}", data.status), time)];
    lines.extend(data.notice.iter().map(|notice| format!("  {notice}")));
    if data.mood == Mood::Fading {
        return lines;
    }
    let chips: Vec<_> = data.chips.iter().map(|chip| format!("[{}]", chip.text)).collect();
    lines.push(format!("  {} {}", data.name, chips.join(" ")).trim_end().to_owned());
    let beside: Vec<_> = data
        .number
        .iter()
        .cloned()
        .chain(data.claims.iter().map(|name| format!("Caller ID: {name}")))
        .collect();
    if !beside.is_empty() {
        lines.push(format!("  {}", beside.join(" · ")));
    }
    lines.extend(data.routes.iter().map(|route| format!("  {route}")));
    lines.extend(data.note.iter().map(|note| format!("  {}", note.text)));
    lines.extend(data.tags.iter().map(|tag| format!("  {:<12} {}", tag.name, tag.value)));
    lines
        .extend(data.banners.iter().map(|banner| format!("  rings too: {} · {}", banner.text, banner.clock)));
    lines.extend(data.more.iter().map(|more| format!("  {more}")));
    for choice in &data.choices {
        let mark = if choice.chosen { "(x)" } else { "( )" };
        lines.push(format!("  {mark} {} · {}", choice.name, choice.detail));
    }
    for figure in &data.figures {
        let value = match &figure.value {
            FigureValue::Waiting => "…",
            FigureValue::Unknown => "—",
            FigureValue::Known(value) => value,
        };
        let note = figure.note.as_ref().map(|note| format!("  {note}")).unwrap_or_default();
        lines.push(format!("  {:<12} {value}{note}", figure.label));
    }
    lines.extend(data.cards.iter().flat_map(source_card));
    lines
}

fn source_card(card: &CardData) -> Vec<String> {
    let trouble = card.trouble.as_ref().map(|trouble| format!(" · {trouble}")).unwrap_or_default();
    let mut lines = vec![ends(&format!("  ── {}", card.title), &format!("{}{trouble}", card.source))];
    match &card.body {
        CardBody::Bars => lines.push("     ░░░░░░░░░░░░".to_owned()),
        CardBody::Empty => {}
        CardBody::Rows(rows) => {
            for row in rows {
                let lead = row.lead.as_ref().map(|lead| format!("{lead:<8} ")).unwrap_or_default();
                let count = row.count.as_ref().map(|count| format!("  {count}")).unwrap_or_default();
                lines.push(ends(
                    &format!("     {lead}{}{count}", row.text),
                    row.amount.as_deref().unwrap_or_default(),
                ));
            }
        }
    }
    lines
}

/// Two texts at the two ends of a line.
fn ends(left: &str, right: &str) -> String {
    if right.is_empty() {
        return left.to_owned();
    }
    let gap = WIDTH.saturating_sub(left.chars().count() + right.chars().count()).max(2);
    format!("{left}{}{right}", " ".repeat(gap))
}
