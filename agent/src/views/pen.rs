//! A pen that writes lines of fixed height from top to bottom. Without a surface it only measures, so
//! a window can be opened at its right height before its first frame. Views lay out as if all were read
//! from the left; in a language read from the right the pen turns the whole place over. Text from outside
//! is cut to its place by its letters in reading order, then put into the order of the eye.

use egui::{
    Color32, CornerRadius, Id, Pos2, Rect, Response, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo,
};

use super::writing::{Field, Said};
use crate::text::{self, Direction};
use crate::theme::{self, Theme, Tone, Weight};

/// Writes downwards between two margins.
pub struct Pen<'a> {
    ui: Option<&'a mut Ui>,
    /// The colours.
    pub theme: &'a Theme,
    /// Left margin.
    pub left: f32,
    /// Right margin.
    pub right: f32,
    /// Where the next line begins.
    pub y: f32,
    /// Left and right edge of the whole place added: a place and its mirror image add up to it.
    mirror: f32,
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub struct Ink {
    /// Height of the letters.
    pub size: f32,
    /// How heavy they are.
    pub weight: Weight,
    /// Their colour.
    pub tone: Tone,
}

/// Normal letters.
pub fn ink(size: f32, tone: Tone) -> Ink {
    Ink { size, weight: Weight::Normal, tone }
}

/// Strong letters.
pub fn strong(size: f32, tone: Tone) -> Ink {
    Ink { size, weight: Weight::Strong, tone }
}

/// To which end of its place something is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where reading begins.
    Start,
    /// Where reading ends.
    End,
}

impl<'a> Pen<'a> {
    /// A pen that draws on `ui`, over its whole width.
    pub fn new(ui: &'a mut Ui, theme: &'a Theme) -> Self {
        let place = ui.max_rect();
        let y = ui.cursor().top();
        let (left, right) = (place.left(), place.right());
        Pen { ui: Some(ui), theme, left, right, y, mirror: left + right }
    }

    /// A pen that only measures.
    pub fn measuring(theme: &'a Theme, width: f32) -> Self {
        Pen { ui: None, theme, left: 0.0, right: width, y: 0.0, mirror: width }
    }

    /// Where a place is on the screen: itself, or its mirror image.
    pub fn on_screen(&self, rect: Rect) -> Rect {
        match self.theme.direction {
            Direction::LeftToRight => rect,
            Direction::RightToLeft => {
                Rect::from_x_y_ranges(self.mirror - rect.right()..=self.mirror - rect.left(), rect.y_range())
            }
        }
    }

    /// Leaves room.
    pub fn space(&mut self, height: f32) {
        self.y += height;
    }

    /// The next line.
    pub fn line(&mut self, height: f32) -> Rect {
        let rect = Rect::from_min_max(Pos2::new(self.left, self.y), Pos2::new(self.right, self.y + height));
        self.y += height;
        rect
    }

    /// The next line, between the margins of a card.
    pub fn padded_line(&mut self, height: f32) -> Rect {
        self.line(height).shrink2(Vec2::new(theme::PAD, 0.0))
    }

    /// A line of one point across the whole width.
    pub fn rule(&mut self) {
        let rect = self.line(1.0);
        self.fill(rect, self.theme.line, 0);
    }

    /// A filled rectangle.
    pub fn fill(&mut self, rect: Rect, color: Color32, corner: u8) {
        let rect = self.on_screen(rect);
        if let Some(ui) = &self.ui {
            ui.painter().rect_filled(rect, CornerRadius::same(corner), color);
        }
    }

    /// The outline of a rectangle, drawn inside it.
    pub fn outline(&mut self, rect: Rect, stroke: Stroke, corner: u8) {
        let rect = self.on_screen(rect);
        if let Some(ui) = &self.ui {
            ui.painter().rect_stroke(rect, CornerRadius::same(corner), stroke, StrokeKind::Inside);
        }
    }

    /// A dot; it only underlines what the text beside it says.
    pub fn dot(&mut self, center: Pos2, color: Color32) {
        if let Some(ui) = &self.ui {
            ui.painter().circle_filled(
                self.on_screen(Rect::from_center_size(center, Vec2::ZERO)).center(),
                4.0,
                color,
            );
        }
    }

    /// One line of text at one side of `rect`; the place it took. What does not fit ends in `…` and
    /// is whole on hover.
    pub fn text(&mut self, rect: Rect, side: Side, text: &str, ink: Ink) -> Rect {
        self.text_in(rect, side, text, ink, self.theme.tone(ink.tone))
    }

    fn text_in(&mut self, rect: Rect, side: Side, text: &str, ink: Ink, color: Color32) -> Rect {
        let Some(ui) = self.ui.as_deref() else { return rect };
        let (galley, cut) = fit(ui, text, ink, color, rect.width());
        let place = aligned(rect, side, galley.size());
        let (drawn, seen) = (self.on_screen(place), self.on_screen(place.intersect(rect)));
        let room = self.on_screen(rect);
        let Some(ui) = self.ui.as_deref_mut() else { return rect };
        paint(ui, drawn.min, galley, color, room);
        let response = ui.allocate_rect(seen, Sense::hover());
        label(&response, egui::Role::Label, text, Live::Yes);
        if cut {
            response.on_hover_text(text::visual(beginning(text, MOST_LETTERS).0));
        }
        place
    }

    /// A small word on a coloured ground, beginning at `x` on `side`; where the next may begin.
    pub fn chip(&mut self, rect: Rect, side: Side, text: &str, tone: Tone) -> Rect {
        let room = rect.shrink2(Vec2::new(9.0, 0.0));
        if room.width() < 30.0 {
            return rect;
        }
        let (color, ground) = (self.theme.chip_ink(tone), self.theme.chip(tone));
        let Some(ui) = self.ui.as_deref_mut() else { return rect };
        let (galley, _) = fit(ui, text, ink(theme::LABEL, tone), color, room.width());
        let width = galley.size().x + 18.0;
        let place = aligned(rect, side, Vec2::new(width, 20.0));
        self.fill(place, ground, 10);
        let letters = place.shrink2(Vec2::new(9.0, 0.0));
        self.text_in(letters, Side::Start, text, ink(theme::LABEL, tone), color);
        beside(rect, side, width + 8.0)
    }

    /// A control with a word on it; whether it was clicked.
    pub fn button(&mut self, rect: Rect, text: &str, live: Live) -> bool {
        let seen = self.on_screen(rect);
        let Some(ui) = self.ui.as_deref_mut() else { return false };
        let sense = if live == Live::Yes { Sense::click() } else { Sense::hover() };
        let response = ui.allocate_rect(seen, sense);
        label(&response, egui::Role::Button, text, live);
        let edge =
            if response.hovered() || response.has_focus() { self.theme.accent } else { self.theme.line };
        let ground = self.theme.panel;
        self.fill(rect, ground, theme::CORNER);
        self.outline(rect, Stroke::new(1.0, edge), theme::CORNER);
        let tone = if live == Live::Yes { Tone::Text } else { Tone::Faint };
        // A word too long for its control is written smaller before it is cut.
        let room = rect.shrink2(Vec2::new(6.0, 0.0));
        let sizes = [theme::TEXT, theme::TEXT - 1.0, theme::LABEL, theme::LABEL - 1.0];
        let fits = |size: &f32| self.width_of(text, ink(*size, tone)) <= room.width();
        let letters = ink(sizes.into_iter().find(fits).unwrap_or(theme::LABEL), tone);
        let spare = room.width() - self.width_of(text, letters);
        self.paint_only(beside(room, Side::Start, spare.max(0.0) / 2.0), Side::Start, text, letters);
        let clicked = live == Live::Yes && response.clicked();
        if spare < 0.0 {
            response.on_hover_text(text::visual(beginning(text, MOST_LETTERS).0));
        }
        clicked
    }

    /// A box to tick with words beside it; whether it was clicked.
    pub fn tick(&mut self, rect: Rect, text: &str, ticked: Ticked) -> bool {
        let letters = ink(theme::TEXT, Tone::Text);
        let rect = part(rect, Side::Start, BOX + 10.0 + self.width_of(text, letters));
        let seen = self.on_screen(rect);
        let Some(ui) = self.ui.as_deref_mut() else { return false };
        let response = ui.allocate_rect(seen, Sense::click());
        let on = ticked == Ticked::Yes;
        response.widget_info(|| WidgetInfo::selected(egui::Role::CheckBox, true, on, text::spoken(text)));
        let edge =
            if response.hovered() || response.has_focus() { self.theme.accent } else { self.theme.dim };
        let corner = Pos2::new(rect.left(), rect.center().y - BOX / 2.0);
        let square = Rect::from_min_size(corner, Vec2::splat(BOX));
        self.outline(square, Stroke::new(1.0, edge), 4);
        if on {
            // A tick is not mirrored: it is written the same way everywhere.
            let square = self.on_screen(square);
            let at = |x: f32, y: f32| square.min + Vec2::new(x, y) * BOX;
            let stroke = Stroke::new(2.0, self.theme.accent);
            if let Some(ui) = &self.ui {
                ui.painter().line_segment([at(0.24, 0.52), at(0.44, 0.72)], stroke);
                ui.painter().line_segment([at(0.44, 0.72), at(0.78, 0.30)], stroke);
            }
        }
        self.paint_only(beside(rect, Side::Start, BOX + 10.0), Side::Start, text, letters);
        response.clicked()
    }

    /// How wide a control is for its word.
    pub fn button_width(&self, text: &str) -> f32 {
        self.width_of(text, ink(theme::TEXT, Tone::Text)) + 32.0
    }

    /// A field to write in; `text` is what stands in it before, and after, what the person made of it.
    pub fn field(&mut self, rect: Rect, field: Field<'_>, text: &mut String) -> Said {
        let (seen, theme, id) = (self.on_screen(rect), self.theme, field.id);
        let Some(ui) = self.ui.as_deref_mut() else { return Said::default() };
        // What was typed here is newer than what the model knows, until it is taken.
        if let Some(typed) = ui.data(|data| data.get_temp::<String>(id)) {
            *text = typed;
        }
        let said = field.ui(ui, theme, seen, text);
        if said.changed {
            ui.data_mut(|data| data.insert_temp(id, text.clone()));
        }
        said
    }

    /// What is typed goes into this field from the next frame on.
    pub fn write_in(&mut self, id: Id) {
        if let Some(ui) = self.ui.as_deref_mut() {
            ui.memory_mut(|memory| memory.request_focus(id));
        }
    }

    /// What was written in a field has been taken.
    pub fn forget_text(&mut self, id: Id) {
        if let Some(ui) = self.ui.as_deref_mut() {
            ui.data_mut(|data| data.remove::<String>(id));
        }
    }

    /// A row that can be clicked, lit under the pointer; `name` is what a screen reader says.
    pub fn row(&mut self, rect: Rect, name: &str, live: Live) -> bool {
        let seen = self.on_screen(rect);
        let Some(ui) = self.ui.as_deref_mut() else { return false };
        let sense = if live == Live::Yes { Sense::click() } else { Sense::hover() };
        let response = ui.allocate_rect(seen, sense);
        label(&response, egui::Role::Button, name, live);
        if live == Live::Yes && (response.hovered() || response.has_focus()) {
            let lit = self.theme.raised;
            self.fill(rect, lit, theme::CORNER);
        }
        live == Live::Yes && response.clicked()
    }

    /// How wide a line would be; nothing, when the pen only measures heights.
    pub fn width_of(&self, text: &str, ink: Ink) -> f32 {
        let Some(ui) = self.ui.as_deref() else { return 0.0 };
        let font = theme::font(ink.size, ink.weight);
        ui.painter()
            .layout_no_wrap(text::visual(beginning(text, MOST_LETTERS).0), font, self.theme.text)
            .size()
            .x
    }

    /// Text that is part of something already named to the screen reader; the place it took.
    pub fn paint_only(&mut self, rect: Rect, side: Side, text: &str, ink: Ink) -> Rect {
        let color = self.theme.tone(ink.tone);
        let Some(ui) = self.ui.as_deref() else { return rect };
        let (galley, _) = fit(ui, text, ink, color, rect.width());
        let place = aligned(rect, side, galley.size());
        paint(ui, self.on_screen(place).min, galley, color, self.on_screen(rect));
        place
    }
}

/// How far letters may reach out of their place: a mark above a capital letter, in the largest text.
const REACH: f32 = 4.0;

/// Puts letters on the screen; what would reach into other lines is cut off.
fn paint(ui: &Ui, at: Pos2, galley: std::sync::Arc<egui::Galley>, color: Color32, room: Rect) {
    let room = room.expand(REACH);
    let inked = galley.mesh_bounds.translate(at.to_vec2());
    // Each cut begins a new mesh, so that not every line is given one.
    if inked.is_positive() && !room.contains_rect(inked) {
        ui.painter().with_clip_rect(room.intersect(ui.clip_rect())).galley(at, galley, color);
    } else {
        ui.painter().galley(at, galley, color);
    }
}

/// How wide and high a box to tick is.
const BOX: f32 = 18.0;

/// Whether a box is ticked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticked {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// Whether a control can be used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Live {
    /// It can.
    Yes,
    /// It cannot, and looks so.
    No,
}

fn aligned(rect: Rect, side: Side, size: Vec2) -> Rect {
    let x = match side {
        Side::Start => rect.left(),
        Side::End => rect.right() - size.x,
    };
    Rect::from_min_size(Pos2::new(x, rect.center().y - size.y / 2.0), size)
}

/// What is left of `rect` after `width` was taken at `side`.
pub fn beside(rect: Rect, side: Side, width: f32) -> Rect {
    let width = width.clamp(0.0, rect.width().max(0.0));
    match side {
        Side::Start => rect.with_min_x(rect.left() + width),
        Side::End => rect.with_max_x(rect.right() - width),
    }
}

/// The first `width` of `rect`, counted from `side`.
pub fn part(rect: Rect, side: Side, width: f32) -> Rect {
    let width = width.clamp(0.0, rect.width().max(0.0));
    match side {
        Side::Start => rect.with_max_x(rect.left() + width),
        Side::End => rect.with_min_x(rect.right() - width),
    }
}

fn label(response: &Response, kind: egui::Role, text: &str, live: Live) {
    response.widget_info(|| WidgetInfo::labeled(kind, live == Live::Yes, text::spoken(text)));
}

/// The most of a text that is laid out to see how wide it is, in letters.
const MOST_LETTERS: usize = 500;
/// The width of the narrowest letters of a text, in parts of their height.
const NARROWEST: f32 = 0.15;

/// The longest beginning of `text` that fits, and whether something was cut.
fn fit(ui: &Ui, text: &str, ink: Ink, color: Color32, width: f32) -> (std::sync::Arc<egui::Galley>, bool) {
    let font = theme::font(ink.size, ink.weight);
    let drawn = |line: &str| ui.painter().layout_no_wrap(text::visual(line), font.clone(), color);
    // However long it is, what cannot fit costs nothing.
    let (text, long) = beginning(text, 16 + (width.max(0.0) / (ink.size * NARROWEST)) as usize);
    let whole = drawn(text);
    if whole.size().x <= width && !long {
        return (whole, false);
    }
    let letters: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let shortened = |count: usize| {
        let end = letters.get(count).copied().unwrap_or(text.len());
        drawn(&format!("{}…", text[..end].trim_end()))
    };
    // The longest that fits lies between `fits` and `too_long`.
    let (mut fits, mut too_long) = (0, letters.len());
    while too_long - fits > 1 {
        let middle = fits + (too_long - fits) / 2;
        if shortened(middle).size().x <= width { fits = middle } else { too_long = middle }
    }
    (shortened(fits), true)
}

/// The first so many letters of a text, and whether that is not all.
fn beginning(text: &str, letters: usize) -> (&str, bool) {
    let end = text.char_indices().nth(letters);
    end.map_or((text, false), |(end, _)| (&text[..end], true))
}
