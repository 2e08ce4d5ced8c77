//! Draws a card, and measures it with the same lines. Nothing here decides what is shown.
//! In a language read from the right the pen turns all of it over; digits never are.

use egui::{Key, Pos2, Rect, Ui, Vec2};

use pinkas_protocol::Private;
use pinkas_protocol::record::LONGEST_NOTE;

use super::find;
use super::foot::{entry_ui, foot, keyboard};
use super::grip;
use super::{CardBody, CardData, ChoiceData, Figure, FigureValue, Mood, PopupData, RowData, TagData};
use crate::command::Command;
use crate::theme::{self, Theme, Tone};
use crate::views::pen::{Ink, Live, Pen, Side, beside, ink, part, strong};
use crate::views::writing::Field;
use crate::words::Words;

/// Height of a card at its own width, in points.
pub fn height(data: &PopupData) -> f32 {
    // Colours do not change heights.
    let theme = Theme::of(crate::settings::Shade::Dark);
    let mut pen = Pen::measuring(&theme, theme::CARD_WIDTH);
    head(&mut pen, data);
    // What is written there scrolls, once it takes more than its place: the buttons below must not move under
    // the pointer that has just saved it.
    if data.writing.is_some() && !data.entries.is_empty() {
        body(&mut pen, &PopupData { entries: Vec::new(), ..data.clone() }, &mut Vec::new());
    } else {
        body(&mut pen, data, &mut Vec::new());
    }
    foot(&mut pen, data, &mut Vec::new());
    pen.y
}

/// Where less than this is left between head and foot, the head scrolls along, so that the cards can be reached.
const LEAST_BETWEEN: f32 = 100.0;

/// Draws the card into all of `ui`; its head and foot stay while what is between them scrolls.
pub fn ui(ui: &mut Ui, theme: &Theme, data: &PopupData) -> Vec<Command> {
    let mut wishes = Vec::new();
    let whole = ui.max_rect();
    ui.painter().rect_filled(whole, 0.0, theme.panel);
    let measured = |draw: &dyn Fn(&mut Pen<'_>)| {
        let mut pen = Pen::measuring(theme, theme::CARD_WIDTH);
        draw(&mut pen);
        pen.y
    };
    let below = measured(&|pen| foot(pen, data, &mut Vec::new()));
    let between = whole.height() - below - measured(&|pen| head(pen, data));
    let scrolls =
        between < LEAST_BETWEEN && between < measured(&|pen| body(pen, data, &mut Vec::new())) - 1.0;
    let held = measured(&|pen| if scrolls { status_line(pen, data) } else { head(pen, data) });
    wishes.extend(grip::ui(ui, whole.with_max_y(whole.top() + held), &data.words));
    let mut pen = Pen::new(ui, theme);
    status_line(&mut pen, data);
    if !scrolls {
        about(&mut pen, data);
    }
    let top = pen.y;
    let bottom = (whole.bottom() - below).max(top);
    let middle = Rect::from_min_max(Pos2::new(whole.left(), top), Pos2::new(whole.right(), bottom));
    ui.scope_builder(egui::UiBuilder::new().max_rect(middle), |ui| {
        ui.set_clip_rect(middle.intersect(ui.clip_rect()));
        egui::ScrollArea::vertical().auto_shrink(false).id_salt("card body").show(ui, |ui| {
            let mut pen = Pen::new(ui, theme);
            if scrolls {
                about(&mut pen, data);
            }
            body(&mut pen, data, &mut wishes);
        });
    });
    let below = Rect::from_min_max(Pos2::new(whole.left(), bottom), whole.max);
    ui.scope_builder(egui::UiBuilder::new().max_rect(below), |ui| {
        foot(&mut Pen::new(ui, theme), data, &mut wishes);
    });
    wishes.extend(by_key(ui, data));
    // Stronger than the lines inside: it parts the card from whatever program is behind it.
    let edge = egui::Stroke::new(1.0, theme.faint);
    ui.painter().rect_stroke(whole, 0.0, edge, egui::StrokeKind::Inside);
    wishes
}

/// What the keys 1 to 9 choose, where nothing is written in.
pub fn by_key(ui: &Ui, data: &PopupData) -> Vec<Command> {
    if let Some(said) = find::by_key(ui, data) {
        return said;
    }
    if !data.can_choose || ui.ctx().egui_wants_keyboard_input() {
        return Vec::new();
    }
    let choice = data.choices.iter().find(|choice| is_pressed(ui, choice));
    let said = choice.map(|choice| Command::Choose { call: data.call, customer: choice.customer.clone() });
    said.into_iter().collect()
}

pub(super) fn is_pressed(ui: &Ui, choice: &ChoiceData) -> bool {
    let key = choice.key.and_then(|key| Key::from_name(&key.to_string()));
    key.is_some_and(|key| ui.input(|input| input.modifiers.is_none() && input.key_pressed(key)))
}

fn head(pen: &mut Pen<'_>, data: &PopupData) {
    status_line(pen, data);
    about(pen, data);
}

/// Who calls, and the figures.
fn about(pen: &mut Pen<'_>, data: &PopupData) {
    let notices = [(&data.notice, Tone::Bad), (&data.not_ready, Tone::Warn)];
    for (notice, tone) in notices.into_iter().filter_map(|(notice, tone)| Some((notice.as_ref()?, tone))) {
        pen.space(6.0);
        let line = pen.padded_line(20.0);
        pen.text(line, Side::Start, notice, ink(theme::LABEL, tone));
    }
    pen.space(theme::PAD_Y);
    let tone = if data.mood == Mood::Fading { Tone::Dim } else { Tone::Text };
    let line = pen.padded_line(34.0);
    let size = if data.mood == Mood::Fading { theme::FIGURE } else { theme::NAME };
    let letters = whole(pen, &data.name, strong(size, tone), line.width(), SMALLEST_NAME);
    pen.text(line, Side::Start, &data.name, letters);
    who_line(pen, data);
    if data.mood != Mood::Fading {
        let claims = data.claims.as_ref();
        let claims = claims.map(|name| (data.words.tell("caller-id", &[("name", name.into())]), Tone::Dim));
        let routes = data.routes.iter().map(|route| (route.clone(), Tone::Dim));
        let note = data.note.as_ref().map(|note| (note.text.clone(), note.tone));
        for (text, tone) in claims.into_iter().chain(routes).chain(note) {
            let line = pen.padded_line(theme::ROW);
            pen.text(line, Side::Start, &text, ink(theme::LABEL + 1.0, tone));
        }
        if !data.tags.is_empty() && !data.has_tag_table() {
            let mut line = pen.padded_line(theme::ROW);
            for tag in &data.tags {
                line = beside(line, Side::Start, tag_ui(pen, line, tag) + 16.0);
            }
        }
    }
    pen.space(theme::PAD_Y);
    if data.mood != Mood::Fading && !data.figures.is_empty() {
        figures(pen, &data.figures);
    }
}

fn status_line(pen: &mut Pen<'_>, data: &PopupData) {
    let bar = pen.line(38.0);
    let raised = pen.theme.raised;
    pen.fill(bar, raised, 0);
    let line = bar.shrink2(Vec2::new(theme::PAD, 0.0));
    let dot = match data.mood {
        Mood::Live => Tone::Accent,
        Mood::Held | Mood::WrapUp => Tone::Warn,
        Mood::Over | Mood::Fading => Tone::Faint,
    };
    let color = pen.theme.tone(dot);
    pen.dot(part(line, Side::Start, 8.0).center(), color);
    if let Some(clock) = &data.clock {
        pen.text(part(line, Side::End, 80.0), Side::End, clock, ink(theme::LABEL + 1.0, Tone::Dim));
    }
    let words = beside(beside(line, Side::Start, 16.0), Side::End, 84.0);
    pen.text(words, Side::Start, &data.status, ink(theme::LABEL + 1.0, Tone::Dim));
    pen.rule();
}

/// A tag's name and value; how much of the line they took.
fn tag_ui(pen: &mut Pen<'_>, line: Rect, tag: &TagData) -> f32 {
    if line.width() < 30.0 {
        return 0.0;
    }
    let name = pen.text(line, Side::Start, &tag.name, ink(theme::LABEL + 1.0, Tone::Dim)).width() + 6.0;
    let value = beside(line, Side::Start, name);
    if value.width() < 12.0 {
        return name;
    }
    name + pen.text(value, Side::Start, &tag.value, ink(theme::LABEL + 1.0, Tone::Text)).width()
}

/// Number and chips; the number in a label of its own, as digits must not be mirrored.
fn who_line(pen: &mut Pen<'_>, data: &PopupData) {
    let fading = data.mood == Mood::Fading;
    if data.number.is_none() && (data.chips.is_empty() || fading) {
        return;
    }
    let mut line = pen.padded_line(24.0);
    if let Some(number) = &data.number {
        let place = pen.text(part(line, Side::Start, 220.0), Side::Start, number, ink(15.0, Tone::Dim));
        line = beside(line, Side::Start, place.width() + 12.0);
    }
    let chips = if fading { &[][..] } else { &data.chips[..] };
    for chip in chips.iter().take(4) {
        line = pen.chip(line, Side::Start, &chip.text, chip.tone);
    }
}

fn figures(pen: &mut Pen<'_>, figures: &[Figure]) {
    pen.rule();
    let band = pen.line(78.0);
    pen.rule();
    let mut rest = band;
    for (i, (figure, width)) in figures.iter().zip(widths(pen, figures, band.width())).enumerate() {
        let cell = part(rest, Side::Start, width);
        rest = beside(rest, Side::Start, width);
        if i > 0 {
            let color = pen.theme.line;
            pen.fill(part(cell, Side::Start, 1.0), color, 0);
        }
        figure_cell(pen, cell.shrink2(Vec2::new(theme::PAD, 10.0)), figure, i == 0);
    }
}

/// The first figure gets a little more room than the others; an amount too long for its cell takes from
/// the cells that have room to spare.
fn widths(pen: &Pen<'_>, figures: &[Figure], band: f32) -> Vec<f32> {
    let count = figures.len().max(1) as f32;
    let first = (band / count) * 1.15;
    let other = (band - first) / (count - 1.0).max(1.0);
    let usual = |i: usize| if i == 0 { first } else { other };
    let needs = figures.iter().enumerate().map(|(i, figure)| match &figure.value {
        FigureValue::Known(value) => {
            pen.width_of(value, strong(figure_size(i == 0), figure.tone)) + 2.0 * theme::PAD + 1.0
        }
        FigureValue::Unknown | FigureValue::Waiting => 0.0,
    });
    let needs: Vec<f32> = needs.map(|need| need.max(band / count * 0.6)).collect();
    if needs.iter().enumerate().all(|(i, need)| *need <= usual(i)) {
        return (0..figures.len()).map(usual).collect();
    }
    // Short ones get what they need, the long ones share the rest.
    let is_long = |need: f32| need > band / count;
    let short: f32 = needs.iter().filter(|need| !is_long(**need)).sum();
    let long: f32 = needs.iter().filter(|need| is_long(**need)).sum();
    let stretch = if long > 0.0 { (band - short) / long } else { 1.0 };
    needs.into_iter().map(|need| if is_long(need) { need * stretch } else { need }).collect()
}

fn figure_size(first: bool) -> f32 {
    if first { theme::FIGURE } else { theme::HEADING }
}

fn figure_cell(pen: &mut Pen<'_>, cell: Rect, figure: &Figure, first: bool) {
    let row = |top: f32, height: f32| {
        Rect::from_min_size(Pos2::new(cell.left(), cell.top() + top), Vec2::new(cell.width(), height))
    };
    pen.text(row(0.0, 15.0), Side::Start, &figure.label, ink(theme::LABEL, Tone::Dim));
    let size = figure_size(first);
    match &figure.value {
        FigureValue::Known(value) => {
            let letters = whole(pen, value, strong(size, figure.tone), cell.width(), SMALLEST);
            pen.text(row(15.0, 27.0), Side::Start, value, letters);
        }
        FigureValue::Unknown => {
            pen.text(row(15.0, 27.0), Side::Start, crate::words::UNKNOWN, ink(size, Tone::Dim));
        }
        FigureValue::Waiting => bar(pen, row(24.0, 10.0), 0.7),
    }
    if let Some(note) = &figure.note {
        let tone = if figure.tone == Tone::Bad { Tone::Bad } else { Tone::Dim };
        let letters = whole(pen, note, ink(theme::LABEL, tone), cell.width(), SMALLEST);
        pen.text(row(43.0, 15.0), Side::Start, note, letters);
    }
}

/// Letters small enough for a text to be read whole: an amount that is cut reads as another amount.
fn whole(pen: &Pen<'_>, text: &str, mut letters: Ink, width: f32, smallest: f32) -> Ink {
    while letters.size > smallest && pen.width_of(text, letters) > width {
        letters.size -= 1.0;
    }
    letters
}

/// The smallest letters a figure is shrunk to.
const SMALLEST: f32 = 10.0;
/// The smallest letters a name is shrunk to: still the largest text but for the figures.
const SMALLEST_NAME: f32 = 17.0;

fn body(pen: &mut Pen<'_>, data: &PopupData, wishes: &mut Vec<Command>) {
    if data.mood == Mood::Fading {
        return;
    }
    let mut first = data.figures.is_empty();
    if data.has_tag_table() {
        if first {
            pen.rule();
        }
        tag_table(pen, &data.tags, &data.words);
        first = true;
    }
    if !data.choices.is_empty() {
        if first {
            pen.rule();
        }
        choices(pen, data, wishes);
        first = true;
    }
    if data.find.is_some() || data.new_customer.is_some() || !data.links.is_empty() {
        if first {
            pen.rule();
        }
        find::ui(pen, data, wishes);
        first = true;
    }
    if data.can_identify {
        if first {
            pen.rule();
        }
        identify(pen, data, wishes);
        first = true;
    }
    for card in &data.cards {
        if first {
            pen.rule();
        }
        first = true;
        card_ui(pen, card, wishes);
    }
    if !data.entries.is_empty() || data.writing.is_some() {
        if first {
            pen.rule();
        }
        written_ui(pen, data, wishes);
    }
}

/// What was written on this call, the newest first: that is what was saved just now.
fn written_ui(pen: &mut Pen<'_>, data: &PopupData, wishes: &mut Vec<Command>) {
    pen.space(theme::PAD_Y - 2.0);
    let title = pen.padded_line(theme::ROW);
    pen.text(title, Side::Start, &data.words.say("written-here"), strong(theme::TEXT, Tone::Text));
    let below = pen.y + LEAST_ROWS * theme::ROW;
    if data.entries.is_empty() {
        let line = pen.padded_line(theme::ROW);
        pen.text(line, Side::Start, &data.words.say("nothing-yet"), ink(theme::TEXT, Tone::Dim));
    }
    for entry in data.entries.iter().rev() {
        entry_ui(pen, &data.words, entry, wishes);
    }
    pen.y = pen.y.max(below);
    pen.space(theme::PAD_Y - 2.0);
}

/// How the caller was identified: said once, it shows what was kept back.
fn identify(pen: &mut Pen<'_>, data: &PopupData, wishes: &mut Vec<Command>) {
    pen.space(theme::PAD_Y);
    let title = pen.padded_line(theme::ROW);
    let question = data.words.say("how-identified");
    pen.text(title, Side::Start, &question, strong(theme::TEXT, Tone::Text));
    pen.space(theme::STEP);
    let line = pen.padded_line(Field::height(1));
    let button = data.words.say("identified");
    let width = pen.button_width(&button);
    let id = egui::Id::unique(("identified", data.call));
    let mut how = String::new();
    let field = Field { id, hint: &question, rows: 1, most: LONGEST_NOTE };
    let said = pen.field(beside(line, Side::End, width + 8.0), field, &mut how);
    wishes.extend(keyboard(said));
    let live = if how.trim().is_empty() || !data.can_choose { Live::No } else { Live::Yes };
    let entered = said.entered && live == Live::Yes;
    if pen.button(part(line, Side::End, width), &button, live) || entered {
        wishes.push(Command::Identified { call: data.call, how: Private(how) });
        pen.forget_text(id);
    }
    pen.space(theme::PAD_Y);
}

/// Two beside each other: what a phone system knows is short.
fn tag_table(pen: &mut Pen<'_>, tags: &[TagData], words: &Words) {
    pen.space(theme::PAD_Y - 2.0);
    let title = pen.padded_line(theme::ROW);
    pen.text(title, Side::Start, &words.say("from-the-phone-system"), strong(theme::TEXT, Tone::Text));
    for pair in tags.chunks(2) {
        let line = pen.padded_line(theme::ROW);
        let cell = line.width() / 2.0 - 8.0;
        for (tag, place) in pair.iter().zip([part(line, Side::Start, cell), part(line, Side::End, cell)]) {
            tag_ui(pen, place, tag);
        }
    }
    pen.space(theme::PAD_Y - 2.0);
}

fn choices(pen: &mut Pen<'_>, data: &PopupData, wishes: &mut Vec<Command>) {
    pen.space(theme::PAD_Y);
    let title = pen.padded_line(theme::ROW);
    pen.text(title, Side::Start, &data.words.say("who-is-calling"), strong(theme::TEXT, Tone::Text));
    for choice in &data.choices {
        pen.space(theme::STEP);
        let line = pen.padded_line(36.0);
        if choice_row(pen, line, data, choice, if data.can_choose { Live::Yes } else { Live::No }) {
            let customer = choice.customer.clone();
            wishes.push(Command::Choose { call: data.call, customer });
        }
    }
    pen.space(theme::PAD_Y);
}

pub(super) fn choice_row(
    pen: &mut Pen<'_>,
    line: Rect,
    data: &PopupData,
    choice: &ChoiceData,
    live: Live,
) -> bool {
    let clicked = pen.row(line, &choice.name, live);
    let edge = if choice.chosen { pen.theme.accent } else { pen.theme.line };
    pen.outline(line, egui::Stroke::new(1.0, edge), theme::CORNER);
    let inner = line.shrink2(Vec2::new(12.0, 0.0));
    let detail = if choice.chosen {
        data.words.dots([&data.words.say("chosen"), &choice.detail])
    } else {
        choice.detail.clone()
    };
    let name_width = pen.width_of(&choice.name, ink(theme::TEXT, Tone::Text));
    let taken = pen.paint_only(
        part(inner, Side::End, (inner.width() - name_width - 34.0).max(inner.width() * 0.42)),
        Side::End,
        &detail,
        ink(theme::LABEL, Tone::Dim),
    );
    let mut name = beside(inner, Side::End, taken.width() + 12.0);
    if let Some(key) = choice.key {
        pen.paint_only(
            part(name, Side::Start, 14.0),
            Side::Start,
            &key.to_string(),
            ink(theme::LABEL, Tone::Dim),
        );
        name = beside(name, Side::Start, 18.0);
    }
    let tone = if live == Live::Yes { Tone::Text } else { Tone::Dim };
    pen.paint_only(name, Side::Start, &choice.name, ink(theme::TEXT, tone));
    clicked
}

fn card_ui(pen: &mut Pen<'_>, card: &CardData, wishes: &mut Vec<Command>) {
    pen.space(theme::PAD_Y - 2.0);
    let line = pen.padded_line(theme::ROW);
    let title = pen.text(line, Side::Start, &card.title, strong(theme::TEXT, Tone::Text));
    let mut rest = beside(line, Side::Start, title.width() + 16.0);
    let (quiet, mut source) = (ink(theme::LABEL, Tone::Dim), &card.source);
    if let Some(trouble) = &card.trouble {
        // Whose word it is must be read; how long it took need not, and trouble is whole on hover.
        let letters = ink(theme::LABEL, Tone::Warn);
        let dot = pen.width_of(" · ", quiet);
        let both = |pen: &Pen<'_>, source| pen.width_of(trouble, letters) + dot + pen.width_of(source, quiet);
        if both(pen, source) > rest.width() {
            source = &card.by;
        }
        let most = rest.width() - dot - pen.width_of(source, quiet).min(rest.width() / 3.0);
        let place = pen.text(part(rest, Side::End, most), Side::End, trouble, letters);
        rest = beside(rest, Side::End, place.width());
        let dot = pen.text(rest, Side::End, " · ", quiet);
        rest = beside(rest, Side::End, dot.width());
    }
    if rest.width() > 20.0 {
        pen.text(rest, Side::End, source, quiet);
    }
    let below = pen.y + LEAST_ROWS * theme::ROW;
    match &card.body {
        CardBody::Bars => {
            for share in [0.7, 0.45] {
                let line = pen.padded_line(theme::ROW);
                bar(pen, line.shrink2(Vec2::new(0.0, 6.0)), share);
            }
        }
        CardBody::Empty => {
            let line = pen.padded_line(theme::ROW);
            pen.text(line, Side::Start, crate::words::UNKNOWN, ink(theme::TEXT, Tone::Dim));
        }
        CardBody::Rows(rows) => rows_ui(pen, rows, wishes),
    }
    pen.y = pen.y.max(below);
    pen.space(theme::PAD_Y - 2.0);
}

/// Every card has room for so many: what waits has two bars, and no other card moves when they are filled.
const LEAST_ROWS: f32 = 2.0;

/// The widest a column of days or amounts gets, in points.
const MOST_OF_COLUMN: f32 = 150.0;
/// The widest a column of quantities gets, in points.
const MOST_OF_COUNT: f32 = 60.0;

/// Day, what and how many, amount: the columns stand under each other whatever is missing.
fn rows_ui(pen: &mut Pen<'_>, rows: &[RowData], wishes: &mut Vec<Command>) {
    let has_lead = rows.iter().any(|row| row.lead.is_some());
    let has_amount = rows.iter().any(|row| row.amount.is_some());
    let letters = ink(theme::TEXT, Tone::Text);
    let widest = |pen: &Pen<'_>, texts: &mut dyn Iterator<Item = &String>| {
        texts.map(|text| pen.width_of(text, letters)).fold(0.0, f32::max).min(MOST_OF_COLUMN)
    };
    let lead_width = widest(pen, &mut rows.iter().filter_map(|row| row.lead.as_ref())).max(44.0);
    let amount_width = widest(pen, &mut rows.iter().filter_map(|row| row.amount.as_ref()));
    let count_width = widest(pen, &mut rows.iter().filter_map(|row| row.count.as_ref())).min(MOST_OF_COUNT);
    for row in rows {
        let mut line = pen.padded_line(theme::ROW);
        if let Some(page) = &row.page {
            let name = [row.text.as_str(), row.amount.as_deref().unwrap_or_default()].join(" ");
            if pen.row(line.expand2(Vec2::new(6.0, 0.0)), name.trim(), Live::Yes) {
                wishes.push(Command::Browse(page.clone()));
            }
        }
        let tone = if row.page.is_some() { Tone::Accent } else { row.tone };
        if has_lead {
            let lead = row.lead.as_deref().unwrap_or_default();
            pen.text(
                part(line, Side::Start, lead_width + 1.0),
                Side::Start,
                lead,
                ink(theme::TEXT, Tone::Dim),
            );
            line = beside(line, Side::Start, lead_width + 12.0);
        }
        if has_amount {
            let amount = row.amount.as_deref().unwrap_or(crate::words::UNKNOWN);
            // A sentence among amounts may take the whole line.
            if row.amount.is_some() || has_lead {
                let place = part(line, Side::End, amount_width + 1.0);
                pen.text(place, Side::End, amount, ink(theme::TEXT, tone));
            }
            if row.amount.is_some() || has_lead {
                line = beside(line, Side::End, amount_width + 12.0);
            }
        }
        let room = row.count.as_ref().map_or(0.0, |_| count_width + 8.0);
        let text = pen.text(beside(line, Side::End, room), Side::Start, &row.text, ink(theme::TEXT, tone));
        if let Some(count) = &row.count {
            let rest = beside(line, Side::Start, text.width() + 8.0);
            pen.text(rest, Side::Start, count, ink(theme::TEXT, Tone::Dim));
        }
    }
}

/// A grey bar in the place of a text to come; it does not move.
fn bar(pen: &mut Pen<'_>, rect: Rect, share: f32) {
    let color = pen.theme.line;
    pen.fill(part(rect, Side::Start, rect.width() * share), color, 5);
}
