//! The rows of a field as the person sees them: letters, caret and selection, and what the pointer chose.

use std::ops::Range;

use egui::text::{CCursor, CCursorRange, CharIndex};
use egui::{Pos2, Rect, Response, Shape, Ui, Vec2};

use super::lines::{self, Breaks, Side, Spot};
use super::{CARET, Fonts, Laid, Memory, galley};
use crate::text::{self, Direction};
use crate::theme::{self, Theme};

/// Where and how the rows are drawn.
pub(super) struct Canvas<'a> {
    pub(super) origin: Pos2,
    pub(super) width: f32,
    pub(super) theme: &'a Theme,
    pub(super) laid: &'a Laid,
}

impl Canvas<'_> {
    /// The left end of a row; a single line may have been moved.
    fn left(&self, row: &lines::Row, moved: f32) -> f32 {
        let free = self.width - CARET - row.width();
        let aligned = if row.direction == Direction::RightToLeft { free } else { 0.0 };
        self.origin.x + aligned + moved
    }

    /// What the pointer chose, if it is at it.
    pub(super) fn pointed(
        &self,
        ui: &Ui,
        response: &Response,
        before: Option<CCursorRange>,
        memory: &mut Memory,
    ) -> Option<CCursorRange> {
        let pos = response.interact_pointer_pos()?;
        let lines = &self.laid.lines;
        let number = ((pos.y - self.origin.y) / theme::ROW).floor().max(0.0) as usize;
        let number = number.min(lines.rows.len().saturating_sub(1));
        let row = lines.rows.get(number)?;
        let spot = lines.spot(row, pos.x - self.left(row, memory.moved), &mut Fonts { ui });
        // At the end of a row that goes on below, the caret stays in it.
        let next = spot.index < row.end || spot.index == row.start;
        let here = CCursor { index: CharIndex(spot.index), prefer_next_row: next };
        let chosen =
            |range: Range<usize>| Some(CCursorRange::two(CCursor::new(range.start), CCursor::new(range.end)));
        if response.triple_clicked() {
            return chosen(lines.paragraph(spot.index));
        }
        if response.double_clicked() {
            return chosen(lines.word(spot.index));
        }
        let (pressed, shift) = ui.input(|input| (input.pointer.any_pressed(), input.modifiers.shift));
        let anchor = if pressed && !shift { here } else { before.map_or(here, |range| range.secondary) };
        memory.clicked = Some(spot);
        Some(CCursorRange::two(anchor, here))
    }

    /// Where the caret stands: the row, and how far from its left end.
    fn caret(&self, ui: &Ui, caret: CCursor, memory: &Memory) -> Option<(usize, f32)> {
        let lines = &self.laid.lines;
        let index = caret.index.0.min(lines.chars.len());
        let number = lines.row_of(index, caret.prefer_next_row);
        let spot = memory.clicked.unwrap_or(Spot { index, side: Side::Before });
        Some((number, lines.x(lines.rows.get(number)?, spot, &mut Fonts { ui })))
    }

    pub(super) fn paint(
        &self,
        ui: &Ui,
        inner: Rect,
        hint: &str,
        now: Option<CCursorRange>,
        memory: &mut Memory,
    ) {
        let lines = &self.laid.lines;
        // What was clicked holds until the caret or the text moves.
        let index = now.map(|range| range.primary.index.0);
        let same = memory.laid.text == self.laid.text;
        memory.clicked = memory.clicked.filter(|spot| Some(spot.index) == index && same);
        let stand = now.and_then(|range| self.caret(ui, range.primary, memory));
        memory.moved = match stand {
            Some((number, x)) if self.laid.breaks == Some(Breaks::Never) => {
                self.moved(number, x, memory.moved)
            }
            _ => 0.0,
        };
        let painter = ui.painter_at(inner.expand2(Vec2::new(1.0, 0.0)));
        let clip = painter.clip_rect();
        let chosen = self.theme.raised.lerp_to_gamma(self.theme.accent, 0.35);
        let (under, mut selection) = (painter.add(Shape::Noop), Vec::new());
        for (number, row) in lines.rows.iter().enumerate() {
            let top = self.origin.y + theme::ROW * number as f32;
            if top > clip.bottom() || top + theme::ROW < clip.top() {
                continue;
            }
            let left = self.left(row, memory.moved);
            if let Some(range) = now.filter(|range| !range.is_empty()) {
                let [from, to] = range.sorted_cursors();
                for (a, b) in lines.seen(row, &(from.index.0..to.index.0), &mut Fonts { ui }) {
                    let place = Rect::from_x_y_ranges(left + a..=left + b, top..=top + theme::ROW);
                    selection.push(Shape::rect_filled(place, 0.0, chosen));
                }
            }
            for part in &row.pieces {
                let letters = galley(ui, &part.drawn, self.theme.text);
                let y = top + (theme::ROW - letters.size().y) / 2.0;
                painter.galley(Pos2::new(left + part.left, y), letters, self.theme.text);
            }
        }
        painter.set(under, Shape::Vec(selection));
        if lines.chars.is_empty() {
            let letters = galley(ui, &text::visual(hint), self.theme.dim);
            let free = self.width - CARET - letters.size().x;
            let x = if self.laid.direction == Direction::RightToLeft { free } else { 0.0 };
            let y = self.origin.y + (theme::ROW - letters.size().y) / 2.0;
            painter.galley(Pos2::new(self.origin.x + x, y), letters, self.theme.dim);
        }
        if let Some((number, x)) = stand.filter(|_| ui.input(|input| input.focused))
            && let Some(row) = lines.rows.get(number)
        {
            let x = (self.left(row, memory.moved) + x).clamp(inner.left(), inner.right() - CARET);
            let top = self.origin.y + theme::ROW * number as f32;
            let place = Rect::from_min_size(Pos2::new(x, top + 2.0), Vec2::new(CARET, theme::ROW - 4.0));
            painter.rect_filled(place, 0.0, self.theme.accent);
        }
    }

    /// How far a single line has to be moved for its caret to be seen.
    fn moved(&self, number: usize, x: f32, moved: f32) -> f32 {
        let Some(row) = self.laid.lines.rows.get(number) else { return 0.0 };
        let room = self.width - CARET;
        let at = self.left(row, moved) - self.origin.x + x;
        let moved = moved - at.min(0.0) - (at - room).max(0.0);
        let over = (row.width() - room).max(0.0);
        match row.direction {
            Direction::LeftToRight => moved.clamp(-over, 0.0),
            Direction::RightToLeft => moved.clamp(0.0, over),
        }
    }
}
