//! A field to write in, that shows Hebrew, Polish and English right while they are typed. egui edits the
//! text in the order of reading and sees rows without letters; what the person sees is drawn here: the
//! letters, the caret, the selection. Goes when egui learns bidi (egui pull request 8577).
//! Left and Right go one letter back or on in the order of reading; in a right-to-left paragraph Left goes on.

mod canvas;
mod lines;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use egui::text::{CCursorRange, LayoutJob};
use egui::text_edit::TextEditState;
use egui::{
    Align2, Color32, Context, CornerRadius, Event, FontId, Frame, Galley, Id, ImeEvent, Key, Modifiers, Pos2,
    Rect, Response, ScrollArea, Sense, Stroke, StrokeKind, TextBuffer, TextEdit, Ui, UiBuilder, Vec2,
};

use crate::text::{self, Direction};
use crate::theme::{self, Theme, Weight};
use canvas::Canvas;
use lines::{Breaks, Lines, Ruler, Spot};

/// From the field's edge to its letters, in points.
const PAD: Vec2 = Vec2::new(8.0, 6.0);
/// How wide the caret is.
const CARET: f32 = 2.0;

/// A field to write in.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// Which field: the same in every frame, different from all others.
    pub id: Id,
    /// Its name: shown while it is empty, and what a screen reader says.
    pub hint: &'a str,
    /// One: Enter ends. More: Enter begins a line, and the text wraps and scrolls.
    pub rows: usize,
    /// The most chars it takes; what is pasted is cut.
    pub most: usize,
}

/// What happened to a field in this frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Said {
    /// The text is another one.
    pub changed: bool,
    /// Enter in a field of one line, Ctrl+Enter in any.
    pub entered: bool,
    /// What is typed goes here.
    pub has_keyboard: bool,
    /// It no longer does: the person pressed Escape or went elsewhere.
    pub left: bool,
    /// The pointer was pressed in it: the window must have the keyboard (see `window::keyboard`).
    pub clicked: bool,
}

/// What is known of a field from the frame before.
#[derive(Clone, Default)]
struct Memory {
    laid: Arc<Laid>,
    /// The place clicked, while the caret stays there.
    clicked: Option<Spot>,
    /// How far a single line is moved, so that its caret is seen.
    moved: f32,
}

/// A text as it was laid out, and for what.
#[derive(Debug, Default, PartialEq)]
struct Laid {
    text: String,
    direction: Direction,
    breaks: Option<Breaks>,
    width: f32,
    scale: f32,
    lines: Lines,
    /// As egui's editing takes it.
    galley: Option<Arc<Galley>>,
}

impl Field<'_> {
    /// How high the field is, in points.
    pub fn height(rows: usize) -> f32 {
        theme::ROW * rows.max(1) as f32 + 2.0 * PAD.y
    }

    /// Shows the field at `rect` of the screen and takes in what is typed. `text` changes only here.
    pub fn ui(self, ui: &mut Ui, theme: &Theme, rect: Rect, text: &mut String) -> Said {
        let edge = ui.interact(rect, self.id.with("edge"), Sense::click());
        let has = ui.memory(|memory| memory.has_focus(self.id));
        let stroke = Stroke::new(1.0, if has { theme.accent } else { theme.line });
        ui.painter().rect_filled(rect, CornerRadius::same(theme::CORNER), theme.raised);
        ui.painter().rect_stroke(rect, CornerRadius::same(theme::CORNER), stroke, StrokeKind::Inside);
        let inner = rect.shrink2(PAD);
        let mut child = ui.new_child(UiBuilder::new().id_salt(self.id).max_rect(inner));
        let mut said = if self.rows > 1 {
            let scroll = ScrollArea::vertical().id_salt(self.id.with("scroll")).auto_shrink(false);
            scroll.max_height(inner.height()).show(&mut child, |ui| self.edit(ui, theme, inner, text)).inner
        } else {
            self.edit(&mut child, theme, inner, text)
        };
        // Afterwards: a press beside what has the keyboard takes it away.
        if edge.clicked() {
            ui.memory_mut(|memory| memory.request_focus(self.id));
            said = Said { clicked: true, has_keyboard: true, left: false, ..said };
        }
        said
    }

    fn edit(self, ui: &mut Ui, theme: &Theme, inner: Rect, text: &mut String) -> Said {
        let ctx = ui.ctx().clone();
        let mut memory: Memory = ctx.data_mut(|data| data.get_temp(self.id)).unwrap_or_default();
        let before = caret(&ctx, self.id);
        let mut said = Said::default();
        if ctx.memory(|memory| memory.has_focus(self.id)) {
            said.entered = self.take_enter(&ctx);
            self.prepare(&ctx, memory.laid.runs_at(before.map_or(0, |range| range.primary.index.0)));
        }
        hide_what_egui_draws(ui);
        let mut laid = memory.laid.clone();
        let mut layouter = |ui: &Ui, text: &dyn TextBuffer, _: f32| {
            laid = self.laid(ui, theme, inner.width(), text.as_str(), &laid);
            laid.galley.clone().unwrap_or_else(|| without_letters(ui, &laid.lines, inner.width()))
        };
        let edit = if self.rows > 1 { TextEdit::multiline(text) } else { TextEdit::singleline(text) };
        let edit = edit.id(self.id).frame(Frame::NONE).align(Align2::LEFT_TOP).char_limit(self.most);
        let edit = edit.min_size(inner.size()).desired_width(inner.width()).desired_rows(1);
        let edit = if self.rows > 1 { edit } else { edit.return_key(None) };
        let output = edit.layouter(&mut layouter).show(ui);
        let response: Response = output.response.response;
        said.changed = response.changed();
        if said.changed && self.mend(text) {
            ctx.request_repaint();
        }
        laid = self.laid(ui, theme, inner.width(), text, &laid);
        let canvas = Canvas { origin: response.rect.min, width: inner.width(), theme, laid: &laid };
        let mut state = output.state;
        if let Some(range) = canvas.pointed(ui, &response, before, &mut memory) {
            state.cursor.set_char_range(Some(range));
            state.store(&ctx, self.id);
        }
        said.clicked = response.is_pointer_button_down_on() || response.clicked();
        said.has_keyboard = ctx.memory(|memory| memory.has_focus(self.id));
        said.left = response.lost_focus();
        let now = caret(&ctx, self.id).filter(|_| said.has_keyboard);
        canvas.paint(ui, inner, self.hint, now, &mut memory);
        memory.laid = laid;
        ctx.data_mut(|data| data.insert_temp(self.id, memory));
        ctx.accesskit_node_builder(self.id, |node| node.set_label(text::spoken(self.hint).into_owned()));
        said
    }

    /// Whether Enter was pressed to end the writing.
    fn take_enter(&self, ctx: &Context) -> bool {
        ctx.input_mut(|input| {
            let done = input.consume_key(Modifiers::COMMAND, Key::Enter);
            (self.rows <= 1 && input.consume_key(Modifiers::NONE, Key::Enter)) || done
        })
    }

    /// Before egui sees what was typed: letters that may not be written go, and where the text runs from
    /// right to left the arrows change places.
    fn prepare(&self, ctx: &Context, direction: Direction) {
        let written = |typed: &mut String| *typed = self.written(typed);
        ctx.input_mut(|input| {
            for event in &mut input.events {
                match event {
                    Event::Text(typed) | Event::Paste(typed) => written(typed),
                    Event::MiddleClickPaste { text, .. } => written(text),
                    Event::Ime(ImeEvent::Commit(typed)) => written(typed),
                    Event::Key { key, .. } if direction == Direction::RightToLeft => {
                        *key = match *key {
                            Key::ArrowLeft => Key::ArrowRight,
                            Key::ArrowRight => Key::ArrowLeft,
                            other => other,
                        };
                    }
                    _ => {}
                }
            }
        });
    }

    fn written(&self, typed: &str) -> String {
        let lines = typed.replace("\r\n", "\n");
        let letters = lines.chars().map(|c| match c {
            '\n' | '\r' | '\u{2028}' | '\u{2029}' | '\u{85}' => {
                if self.rows > 1 {
                    '\n'
                } else {
                    ' '
                }
            }
            '\t' => ' ',
            other => other,
        });
        letters.filter(|c| *c == '\n' || text::may_be_written(*c)).take(self.most).collect()
    }

    /// What came by another way, such as from a screen reader: whether it had to be changed.
    fn mend(&self, text: &mut String) -> bool {
        let fine = |c: char| text::may_be_written(c) || (c == '\n' && self.rows > 1);
        if text.chars().all(fine) && text.chars().nth(self.most).is_none() {
            return false;
        }
        *text = self.written(text);
        true
    }

    fn laid(&self, ui: &Ui, theme: &Theme, width: f32, text: &str, before: &Arc<Laid>) -> Arc<Laid> {
        let breaks = if self.rows > 1 { Breaks::At(width - CARET) } else { Breaks::Never };
        let scale = ui.ctx().pixels_per_point();
        let direction = theme.direction;
        let same = before.text == text && before.breaks == Some(breaks) && before.scale == scale;
        let same = same && before.width == width;
        if same && before.direction == direction {
            return before.clone();
        }
        let lines = Lines::of(text, direction, breaks, &mut Fonts { ui });
        let galley = Some(without_letters(ui, &lines, width));
        Arc::new(Laid { text: text.to_owned(), direction, breaks: Some(breaks), width, scale, lines, galley })
    }
}

impl Laid {
    fn runs_at(&self, index: usize) -> Direction {
        let row = self.lines.rows.get(self.lines.row_of(index, false));
        row.map_or(self.direction, |row| row.direction)
    }
}

fn caret(ctx: &Context, id: Id) -> Option<CCursorRange> {
    TextEditState::load(ctx, id)?.cursor.char_range()
}

fn font() -> FontId {
    theme::font(theme::TEXT, Weight::Normal)
}

/// Letters as egui's fonts have them.
struct Fonts<'a> {
    ui: &'a Ui,
}

impl Ruler for Fonts<'_> {
    fn letter(&mut self, letter: char) -> f32 {
        self.ui.fonts_mut(|fonts| fonts.glyph_width(&font(), letter))
    }

    fn piece(&mut self, drawn: &str) -> f32 {
        galley(self.ui, drawn, Color32::PLACEHOLDER).size().x
    }
}

fn galley(ui: &Ui, drawn: &str, color: Color32) -> Arc<Galley> {
    let mut job = LayoutJob::simple_singleline(drawn.to_owned(), font(), color);
    // Spaces at the end take room, too: the caret stands behind them.
    job.keep_trailing_whitespace = true;
    job.round_output_to_gui = false;
    ui.fonts_mut(|fonts| fonts.layout_job(job))
}

/// What egui draws would be the letters in the order of reading, its caret and its selection among them.
fn hide_what_egui_draws(ui: &mut Ui) {
    let visuals = ui.visuals_mut();
    visuals.text_cursor.stroke.color = Color32::TRANSPARENT;
    visuals.text_cursor.preview = false;
    // Nothing is drawn while nothing changes.
    visuals.text_cursor.blink = false;
    visuals.selection.bg_fill = Color32::TRANSPARENT;
    visuals.ime_composition.legacy_visuals = true;
}

/// The rows as egui's editing needs them: every char in the order of reading, one after the other, with
/// nothing to be seen. Quirk(egui): a galley of Hebrew letters has more glyphs than letters, so that its
/// carets are wrong (epaint 0.37, `emit_continuation_glyphs` with clusters that go down).
fn without_letters(ui: &Ui, lines: &Lines, width: f32) -> Arc<Galley> {
    let sample = galley(ui, "x", Color32::TRANSPARENT);
    let mut whole = Galley::clone(&sample);
    whole.job =
        Arc::new(LayoutJob::simple_singleline(lines.chars.iter().collect(), font(), Color32::TRANSPARENT));
    let Some((placed, glyph)) = sample.rows.first().and_then(|row| Some((row, *row.glyphs.first()?))) else {
        return sample;
    };
    let letters = |row: &lines::Row, fonts: &mut Fonts<'_>| {
        let mut x = 0.0;
        let chars = &lines.chars[row.start..row.end];
        let letters = chars.iter().enumerate().map(|(at, c)| {
            let mut glyph = glyph;
            glyph.chr = *c;
            glyph.pos.x = x;
            glyph.first_vertex = 0;
            // Spaces at a wrap take no room.
            glyph.advance_width = if row.start + at < row.shown { fonts.letter(*c) } else { 0.0 };
            x += glyph.advance_width;
            glyph
        });
        (letters.collect::<Vec<_>>(), x)
    };
    let mut fonts = Fonts { ui };
    let rows = lines.rows.iter().enumerate().map(|(number, row)| {
        let mut placed = placed.clone();
        let inside = Arc::make_mut(&mut placed.row);
        let (glyphs, seen) = letters(row, &mut fonts);
        (inside.glyphs, inside.visuals) = (glyphs, Default::default());
        inside.size = Vec2::new(seen, theme::ROW);
        placed.pos = Pos2::new(0.0, theme::ROW * number as f32);
        placed.ends_with_newline = row.newline;
        placed
    });
    whole.rows = rows.collect();
    // Exactly as wide as the field: egui then moves nothing.
    whole.rect = Rect::from_min_size(Pos2::ZERO, Vec2::new(width, theme::ROW * whole.rows.len() as f32));
    (whole.mesh_bounds, whole.num_vertices, whole.num_indices) = (Rect::NOTHING, 0, 0);
    Arc::new(whole)
}
