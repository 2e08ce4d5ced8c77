//! What is written, as rows of pieces in the order of the eye, and where between them a caret stands.
//! Pure: how wide letters are is asked of a ruler. Counted in chars, as egui's carets are.

use std::ops::Range;

use unicode_bidi::{BidiInfo, Level};

use crate::text::{self, Direction, Piece, Way};

/// Tells how wide something drawn is, in points.
pub trait Ruler {
    /// One letter by itself; only used to find where rows end.
    fn letter(&mut self, letter: char) -> f32;
    /// A piece as it is drawn.
    fn piece(&mut self, drawn: &str) -> f32;
}

/// A whole text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lines {
    /// Its letters.
    pub chars: Vec<char>,
    /// Never empty.
    pub rows: Vec<Row>,
}

/// One row on the screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The first of its chars.
    pub start: usize,
    /// After the last that takes room: spaces at a wrap take none.
    pub shown: usize,
    /// After its last char, without a newline.
    pub end: usize,
    /// A newline follows.
    pub newline: bool,
    /// How its paragraph runs.
    pub direction: Direction,
    /// From left to right.
    pub pieces: Vec<Part>,
}

/// A piece of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its chars in the whole text.
    pub range: Range<usize>,
    /// How they run.
    pub way: Way,
    /// As it is given to the shaper.
    pub drawn: String,
    /// From the row's left end.
    pub left: f32,
    /// In points.
    pub width: f32,
}

/// Whether text is broken into rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Breaks {
    /// Everything is in one row.
    Never,
    /// At newlines, and where this width is full.
    At(f32),
}

/// On which side of a place between two letters of different directions the caret stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where the letter before ends: what is typed on goes there.
    Before,
    /// Where the letter after begins.
    After,
}

/// A place between two letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// How many chars stand before it.
    pub index: usize,
    /// Which of two places on the screen.
    pub side: Side,
}

impl Lines {
    /// Lays out a text; a paragraph without letters runs as `fallback` does.
    pub fn of(text: &str, fallback: Direction, breaks: Breaks, ruler: &mut dyn Ruler) -> Lines {
        let chars: Vec<char> = text.chars().collect();
        let mut rows = Vec::new();
        let mut start = 0;
        loop {
            let newline = chars[start..].iter().position(|c| *c == '\n' && breaks != Breaks::Never);
            let end = newline.map_or(chars.len(), |at| start + at);
            paragraph(&chars, start..end, fallback, breaks, ruler, &mut rows);
            if newline.is_none() {
                break;
            }
            if let Some(last) = rows.last_mut() {
                last.newline = true;
            }
            start = end + 1;
        }
        Lines { chars, rows }
    }

    /// The row of a caret; between two rows of a paragraph `next` decides.
    pub fn row_of(&self, index: usize, next: bool) -> usize {
        let ends = |row: &Row| index < row.end || (index == row.end && (row.newline || !next));
        self.rows.iter().position(ends).unwrap_or(self.rows.len().saturating_sub(1))
    }

    /// Where a caret stands in its row, from the row's left end.
    pub fn x(&self, row: &Row, spot: Spot, ruler: &mut dyn Ruler) -> f32 {
        let index = spot.index.clamp(row.start, row.end);
        if index > row.shown {
            return row.far_end();
        }
        if index == row.start && spot.side == Side::Before {
            return row.near_end();
        }
        // At the row's end there is no letter after it.
        let before = index > row.start && (spot.side == Side::Before || index == row.shown);
        let letter = if before { index - 1 } else { index };
        match row.pieces.iter().find(|part| part.range.contains(&letter)) {
            Some(part) => part.left + self.within(part, index - part.range.start, ruler),
            None => row.near_end(),
        }
    }

    /// The place nearest to `x` in a row.
    pub fn spot(&self, row: &Row, x: f32, ruler: &mut dyn Ruler) -> Spot {
        let before = |index| Spot { index, side: Side::Before };
        if x < 0.0 || x > row.width() {
            let at_start = (x < 0.0) == (row.direction == Direction::LeftToRight);
            return before(if at_start { row.start } else { row.shown });
        }
        let part = row.pieces.iter().find(|part| x < part.left + part.width).or(row.pieces.last());
        let Some(part) = part else { return before(row.start) };
        // Distances from where the piece begins grow with every letter: the first that is further than `x`.
        let along = |x: f32| if part.way == Way::Onward { x } else { part.width - x };
        let wanted = along(x - part.left);
        let (mut near, mut far) = (0, part.range.len());
        while far - near > 1 {
            let middle = near + (far - near) / 2;
            if along(self.within(part, middle, ruler)) <= wanted { near = middle } else { far = middle }
        }
        while near > 0 && self.is_inside_a_letter(part.range.start + near) {
            near -= 1;
        }
        while far < part.range.len() && self.is_inside_a_letter(part.range.start + far) {
            far += 1;
        }
        let (from, to) = (along(self.within(part, near, ruler)), along(self.within(part, far, ruler)));
        let count = if wanted - from <= to - wanted { near } else { far };
        let side = if count == 0 { Side::After } else { Side::Before };
        Spot { index: part.range.start + count, side }
    }

    /// From and to where the chars of `range` are seen in a row.
    pub fn seen(&self, row: &Row, range: &Range<usize>, ruler: &mut dyn Ruler) -> Vec<(f32, f32)> {
        let mut out = Vec::new();
        for part in &row.pieces {
            let (from, to) = (range.start.max(part.range.start), range.end.min(part.range.end));
            if from < to {
                let a = part.left + self.within(part, from - part.range.start, ruler);
                let b = part.left + self.within(part, to - part.range.start, ruler);
                out.push((a.min(b), a.max(b)));
            }
        }
        out
    }

    /// The word at a place, or what stands between words.
    pub fn word(&self, index: usize) -> Range<usize> {
        let kind = |c: &char| (c.is_alphanumeric() || text::belongs_to_the_letter_before(*c), *c == '\n');
        let Some(this) = self.chars.get(index).or(self.chars.last()).map(kind) else { return 0..0 };
        let at = index.min(self.chars.len());
        let start = at - self.chars[..at].iter().rev().take_while(|c| kind(c) == this).count();
        let end = at + self.chars[at..].iter().take_while(|c| kind(c) == this).count();
        start..end
    }

    /// The paragraph of a place.
    pub fn paragraph(&self, index: usize) -> Range<usize> {
        let at = index.min(self.chars.len());
        let start = at - self.chars[..at].iter().rev().take_while(|c| **c != '\n').count();
        start..at + self.chars[at..].iter().take_while(|c| **c != '\n').count()
    }

    fn is_inside_a_letter(&self, index: usize) -> bool {
        let joined = |at: usize| self.chars.get(at).is_some_and(|c| text::belongs_to_the_letter_before(*c));
        joined(index) || index.checked_sub(1).and_then(|at| self.chars.get(at)) == Some(&'\u{200D}')
    }

    /// How far from a piece's left end the place after its first `count` chars is.
    fn within(&self, part: &Part, count: usize, ruler: &mut dyn Ruler) -> f32 {
        let length = part.range.len();
        let begun = match count {
            0 => 0.0,
            count if count >= length => part.width,
            count => {
                let letters: String =
                    self.chars.iter().skip(part.range.start).take(count).map(|c| level(*c)).collect();
                let piece = Piece { range: 0..letters.len(), way: part.way };
                ruler.piece(&piece.drawn(&letters)).min(part.width)
            }
        };
        if part.way == Way::Onward { begun } else { part.width - begun }
    }
}

impl Row {
    /// How wide the row is.
    pub fn width(&self) -> f32 {
        self.pieces.last().map_or(0.0, |part| part.left + part.width)
    }

    fn near_end(&self) -> f32 {
        if self.direction == Direction::LeftToRight { 0.0 } else { self.width() }
    }

    fn far_end(&self) -> f32 {
        if self.direction == Direction::LeftToRight { self.width() } else { 0.0 }
    }
}

/// What ends a paragraph in Unicode but not here.
fn level(c: char) -> char {
    if text::ends_line(c) { ' ' } else { c }
}

fn paragraph(
    chars: &[char],
    range: Range<usize>,
    fallback: Direction,
    breaks: Breaks,
    ruler: &mut dyn Ruler,
    rows: &mut Vec<Row>,
) {
    let mut line = String::new();
    // The byte at which each char begins, and the end.
    let mut bytes = Vec::with_capacity(range.len() + 1);
    for c in &chars[range.clone()] {
        bytes.push(line.len());
        line.push(level(*c));
    }
    bytes.push(line.len());
    let direction = text::runs(&line).unwrap_or(fallback);
    let base = if direction == Direction::RightToLeft { Level::rtl() } else { Level::ltr() };
    let info = BidiInfo::new(&line, Some(base));
    for (start, shown, end) in wrapped(&chars[range.clone()], breaks, ruler) {
        let mut pieces = Vec::new();
        let mut left = 0.0;
        let found = match info.paragraphs.first() {
            Some(whole) if start < shown => text::pieces(&info, whole, bytes[start]..bytes[shown]),
            _ => Vec::new(),
        };
        for piece in found {
            let char_at = |byte: usize| range.start + bytes.partition_point(|at| *at < byte);
            let drawn = piece.drawn(&line);
            let width = ruler.piece(&drawn);
            let range = char_at(piece.range.start)..char_at(piece.range.end);
            pieces.push(Part { range, way: piece.way, drawn, left, width });
            left += width;
        }
        let [start, shown, end] = [start, shown, end].map(|at| range.start + at);
        rows.push(Row { start, shown, end, newline: false, direction, pieces });
    }
}

/// Start, end of what is seen, and end of every row of a paragraph; at least one.
fn wrapped(chars: &[char], breaks: Breaks, ruler: &mut dyn Ruler) -> Vec<(usize, usize, usize)> {
    let mut rows = Vec::new();
    let Breaks::At(room) = breaks else { return vec![(0, chars.len(), chars.len())] };
    let (mut start, mut word, mut width, mut word_width) = (0, 0, 0.0, 0.0);
    for (at, c) in chars.iter().enumerate() {
        if *c == ' ' {
            // Spaces at the end of a row take no room.
            width += ruler.letter(*c);
            (word, word_width) = (at + 1, 0.0);
            continue;
        }
        let wide = ruler.letter(*c);
        let joined = text::belongs_to_the_letter_before(*c) || (at > 0 && chars[at - 1] == '\u{200D}');
        if width + wide > room && at > start && !joined {
            let cut = if word > start { word } else { at };
            rows.push((start, seen_end(chars, start, cut), cut));
            width = if cut == at { 0.0 } else { word_width };
            start = cut;
        }
        width += wide;
        word_width += wide;
    }
    rows.push((start, chars.len(), chars.len()));
    rows
}

fn seen_end(chars: &[char], start: usize, end: usize) -> usize {
    end - chars[start..end].iter().rev().take_while(|c| **c == ' ').count()
}
