//! Draws a card, and measures it with the same lines. Nothing here decides what is shown.
//! A customer whose name is read from right to left has the head mirrored; digits never are.

use egui::{Pos2, Rect, Ui, Vec2};

use super::{CardBody, CardData, ChoiceData, Figure, FigureValue, Mood, PopupData, RowData};
use crate::command::{Choice, Command};
use crate::theme::{self, Theme, Tone};
use crate::views::pen::{Ink, Live, Pen, Side, beside, ink, part, strong};

/// Height of a card at its own width, in points.
pub fn height(data: &PopupData) -> f32 {
    // Colours do not change heights.
    let theme = Theme::of(crate::config::Shade::Dark);
    let mut pen = Pen::measuring(&theme, theme::CARD_WIDTH);
    head(&mut pen, data);
    body(&mut pen, data, &mut Vec::new());
    foot(&mut pen, data, &mut Vec::new());
    pen.y
}

/// Draws the card into all of `ui`; its head and foot stay while what is between them scrolls.
pub fn ui(ui: &mut Ui, theme: &Theme, data: &PopupData) -> Vec<Command> {
    let mut wishes = Vec::new();
    let whole = ui.max_rect();
    ui.painter().rect_filled(whole, 0.0, theme.panel);
    let mut pen = Pen::new(ui, theme);
    head(&mut pen, data);
    let top = pen.y;
    let mut measure = Pen::measuring(theme, theme::CARD_WIDTH);
    foot(&mut measure, data, &mut Vec::new());
    let bottom = (whole.bottom() - measure.y).max(top);
    let middle = Rect::from_min_max(Pos2::new(whole.left(), top), Pos2::new(whole.right(), bottom));
    ui.scope_builder(egui::UiBuilder::new().max_rect(middle), |ui| {
        ui.set_clip_rect(middle.intersect(ui.clip_rect()));
        egui::ScrollArea::vertical().auto_shrink(false).id_salt("card body").show(ui, |ui| {
            let mut pen = Pen::new(ui, theme);
            body(&mut pen, data, &mut wishes);
        });
    });
    let below = Rect::from_min_max(Pos2::new(whole.left(), bottom), whole.max);
    ui.scope_builder(egui::UiBuilder::new().max_rect(below), |ui| {
        foot(&mut Pen::new(ui, theme), data, &mut wishes);
    });
    ui.painter().rect_stroke(whole, 0.0, theme.hairline(), egui::StrokeKind::Inside);
    wishes
}

fn head(pen: &mut Pen<'_>, data: &PopupData) {
    let quiet = data.mood != Mood::Live;
    status_line(pen, data);
    pen.rule();
    if let Some(notice) = &data.notice {
        pen.space(6.0);
        let line = pen.padded_line(20.0);
        pen.text(line, Side::Left, notice, ink(theme::LABEL, Tone::Bad));
    }
    pen.space(theme::PAD_Y);
    let side = Side::of(&data.name);
    let tone = if data.mood == Mood::Fading { Tone::Dim } else { Tone::Text };
    let line = pen.padded_line(34.0);
    let size = if quiet && data.mood == Mood::Fading { 20.0 } else { theme::NAME };
    pen.text(line, side, &data.name, strong(size, tone));
    who_line(pen, data, side);
    if data.mood != Mood::Fading {
        for (text, tone) in [
            data.claims.as_ref().map(|claims| (format!("calls itself {claims}"), Tone::Dim)),
            data.note.as_ref().map(|note| (note.text.clone(), note.tone)),
        ]
        .into_iter()
        .flatten()
        {
            let line = pen.padded_line(theme::ROW);
            pen.text(line, side, &text, ink(theme::LABEL + 1.0, tone));
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
    let dot = if data.mood == Mood::Live { Tone::Accent } else { Tone::Faint };
    let color = pen.theme.tone(dot);
    pen.dot(Pos2::new(line.left() + 4.0, line.center().y), color);
    if let Some(clock) = &data.clock {
        pen.text(part(line, Side::Right, 80.0), Side::Right, clock, ink(theme::LABEL + 1.0, Tone::Dim));
    }
    let words = beside(beside(line, Side::Left, 16.0), Side::Right, 84.0);
    pen.text(words, Side::Left, &data.status, ink(theme::LABEL + 1.0, Tone::Dim));
}

/// Number and chips; the number in a label of its own, as digits must not be mirrored.
fn who_line(pen: &mut Pen<'_>, data: &PopupData, side: Side) {
    let fading = data.mood == Mood::Fading;
    if data.number.is_none() && (data.chips.is_empty() || fading) {
        return;
    }
    let mut line = pen.padded_line(24.0);
    if let Some(number) = &data.number {
        let place = pen.text(part(line, side, 220.0), side, number, ink(15.0, Tone::Dim));
        line = beside(line, side, place.width() + 12.0);
    }
    let chips = if fading { &[][..] } else { &data.chips[..] };
    for chip in chips.iter().take(4) {
        line = pen.chip(line, side, &chip.text, chip.tone);
    }
}

fn figures(pen: &mut Pen<'_>, figures: &[Figure]) {
    pen.rule();
    let band = pen.line(78.0);
    pen.rule();
    let count = figures.len().max(1) as f32;
    // The first figure is the largest and gets a little more room.
    let first = (band.width() / count) * 1.15;
    let other = (band.width() - first) / (count - 1.0).max(1.0);
    let mut left = band.left();
    for (i, figure) in figures.iter().enumerate() {
        let width = if i == 0 { first } else { other };
        let cell = Rect::from_min_size(Pos2::new(left, band.top()), Vec2::new(width, band.height()));
        if i > 0 {
            let color = pen.theme.line;
            pen.fill(Rect::from_min_size(cell.min, Vec2::new(1.0, cell.height())), color, 0);
        }
        left += width;
        figure_cell(pen, cell.shrink2(Vec2::new(theme::PAD, 10.0)), figure, i == 0);
    }
}

fn figure_cell(pen: &mut Pen<'_>, cell: Rect, figure: &Figure, first: bool) {
    let row = |top: f32, height: f32| {
        Rect::from_min_size(Pos2::new(cell.left(), cell.top() + top), Vec2::new(cell.width(), height))
    };
    pen.text(row(0.0, 15.0), Side::Left, figure.label, ink(theme::LABEL, Tone::Dim));
    let size = if first { theme::FIGURE } else { theme::HEADING };
    match &figure.value {
        FigureValue::Known(value) => {
            let letters = whole(pen, value, strong(size, figure.tone), cell.width());
            pen.text(row(15.0, 27.0), Side::Left, value, letters);
        }
        FigureValue::Unknown => {
            pen.text(row(15.0, 27.0), Side::Left, crate::words::UNKNOWN, ink(size, Tone::Dim));
        }
        FigureValue::Waiting => bar(pen, row(24.0, 10.0), 0.7),
    }
    if let Some(note) = &figure.note {
        let tone = if figure.tone == Tone::Bad { Tone::Bad } else { Tone::Dim };
        let letters = whole(pen, note, ink(theme::LABEL, tone), cell.width());
        pen.text(row(43.0, 15.0), Side::Left, note, letters);
    }
}

/// Letters small enough for a figure to be read whole: an amount that is cut reads as another amount.
fn whole(pen: &Pen<'_>, text: &str, mut letters: Ink, width: f32) -> Ink {
    while letters.size > SMALLEST && pen.width_of(text, letters) > width {
        letters.size -= 1.0;
    }
    letters
}

/// The smallest letters a figure is shrunk to.
const SMALLEST: f32 = 10.0;

fn body(pen: &mut Pen<'_>, data: &PopupData, wishes: &mut Vec<Command>) {
    if data.mood == Mood::Fading {
        return;
    }
    let mut first = data.figures.is_empty();
    if !data.choices.is_empty() {
        if first {
            pen.rule();
        }
        choices(pen, data, wishes);
        first = true;
    }
    for card in &data.cards {
        if first {
            pen.rule();
        }
        first = true;
        card_ui(pen, card);
    }
}

fn choices(pen: &mut Pen<'_>, data: &PopupData, wishes: &mut Vec<Command>) {
    pen.space(theme::PAD_Y);
    let title = pen.padded_line(theme::ROW);
    pen.text(title, Side::Left, "Who is calling?", strong(theme::TEXT, Tone::Text));
    for choice in &data.choices {
        pen.space(theme::STEP);
        let line = pen.padded_line(36.0);
        if choice_row(pen, line, choice, if data.can_choose { Live::Yes } else { Live::No }) {
            let customer = choice.customer.clone();
            wishes.push(Command::Choose(Choice { call: data.call, customer }));
        }
    }
    pen.space(theme::PAD_Y);
}

fn choice_row(pen: &mut Pen<'_>, line: Rect, choice: &ChoiceData, live: Live) -> bool {
    let clicked = pen.row(line, &choice.name, live);
    let edge = if choice.chosen { pen.theme.accent } else { pen.theme.line };
    pen.outline(line, egui::Stroke::new(1.0, edge), theme::CORNER);
    let inner = line.shrink2(Vec2::new(12.0, 0.0));
    let side = Side::of(&choice.name);
    let detail = if choice.chosen { format!("chosen · {}", choice.detail) } else { choice.detail.clone() };
    let taken = pen.paint_only(
        part(inner, side.other(), inner.width() * 0.42),
        side.other(),
        &detail,
        ink(theme::LABEL, Tone::Dim),
    );
    let name = beside(inner, side.other(), taken.width() + 12.0);
    let tone = if live == Live::Yes { Tone::Text } else { Tone::Dim };
    pen.paint_only(name, side, &choice.name, ink(theme::TEXT, tone));
    clicked
}

fn card_ui(pen: &mut Pen<'_>, card: &CardData) {
    pen.space(theme::PAD_Y - 2.0);
    let line = pen.padded_line(theme::ROW);
    let title = pen.text(line, Side::Left, card.title, strong(theme::TEXT, Tone::Text));
    let mut rest = beside(line, Side::Left, title.width() + 16.0);
    if let Some(trouble) = &card.trouble {
        let place = pen.text(rest, Side::Right, trouble, ink(theme::LABEL, Tone::Warn));
        rest = beside(rest, Side::Right, place.width());
        let dot = pen.text(rest, Side::Right, " · ", ink(theme::LABEL, Tone::Faint));
        rest = beside(rest, Side::Right, dot.width());
    }
    if rest.width() > 20.0 {
        pen.text(rest, Side::Right, &card.source, ink(theme::LABEL, Tone::Faint));
    }
    match &card.body {
        CardBody::Bars => {
            for share in [0.7, 0.45] {
                let line = pen.padded_line(theme::ROW);
                bar(pen, line.shrink2(Vec2::new(0.0, 6.0)), share);
            }
        }
        CardBody::Empty => {}
        CardBody::Rows(rows) => rows_ui(pen, rows),
    }
    pen.space(theme::PAD_Y - 2.0);
}

/// The widest a column of days or amounts gets, in points.
const MOST_OF_COLUMN: f32 = 150.0;

/// Day, what and how many, amount: the columns stand under each other whatever is missing. Rows read
/// from right to left have the columns the other way round.
fn rows_ui(pen: &mut Pen<'_>, rows: &[RowData]) {
    let has_lead = rows.iter().any(|row| row.lead.is_some());
    let has_amount = rows.iter().any(|row| row.amount.is_some());
    let rtl = rows.iter().filter(|row| Side::of(&row.text) == Side::Right).count();
    let side = if rtl * 2 > rows.len() { Side::Right } else { Side::Left };
    let letters = ink(theme::TEXT, Tone::Text);
    let widest = |pen: &Pen<'_>, texts: &mut dyn Iterator<Item = &String>| {
        texts.map(|text| pen.width_of(text, letters)).fold(0.0, f32::max).min(MOST_OF_COLUMN)
    };
    let lead_width = widest(pen, &mut rows.iter().filter_map(|row| row.lead.as_ref())).max(44.0);
    let amount_width = widest(pen, &mut rows.iter().filter_map(|row| row.amount.as_ref()));
    for row in rows {
        let mut line = pen.padded_line(theme::ROW);
        if has_lead {
            let lead = row.lead.as_deref().unwrap_or_default();
            pen.text(part(line, side, lead_width + 1.0), side, lead, ink(theme::TEXT, Tone::Dim));
            line = beside(line, side, lead_width + 16.0);
        }
        if has_amount {
            let amount = row.amount.as_deref().unwrap_or(crate::words::UNKNOWN);
            if row.amount.is_some() || has_lead {
                let place = part(line, side.other(), amount_width + 1.0);
                pen.text(place, side.other(), amount, ink(theme::TEXT, row.tone));
            }
            line = beside(line, side.other(), amount_width + 16.0);
        }
        let room = row.count.as_ref().map_or(0.0, |_| 52.0);
        let own = if has_lead { side } else { Side::of(&row.text) };
        let text = pen.text(beside(line, side.other(), room), own, &row.text, ink(theme::TEXT, row.tone));
        if let Some(count) = &row.count {
            let rest = beside(line, side, text.width() + 8.0);
            pen.text(rest, side, count, ink(theme::TEXT, Tone::Dim));
        }
    }
}

fn foot(pen: &mut Pen<'_>, data: &PopupData, wishes: &mut Vec<Command>) {
    if data.mood == Mood::Fading {
        return;
    }
    pen.rule();
    let bar = pen.line(50.0);
    let raised = pen.theme.raised;
    pen.fill(bar, raised, 0);
    let line = bar.shrink2(Vec2::new(theme::PAD, 9.0));
    let close = part(line, Side::Right, 68.0);
    if pen.button(close, "Close", Live::Yes) {
        wishes.push(Command::Close(data.call));
    }
    if let Some(others) = &data.others {
        let rest = beside(line, Side::Right, 80.0);
        pen.text(rest, Side::Left, others, ink(theme::LABEL + 1.0, Tone::Dim));
    }
}

/// A grey bar in the place of a text to come; it does not move.
fn bar(pen: &mut Pen<'_>, rect: Rect, share: f32) {
    let color = pen.theme.line;
    pen.fill(part(rect, Side::Left, rect.width() * share), color, 5);
}
