//! Directions of writing. egui 0.37 draws every line from left to right, so a line that holds Hebrew
//! is put into the order of the eye here, word by word: the letters inside a word are already turned
//! by the text shaper. Goes when egui learns bidi (egui pull request 8577).

use std::borrow::Cow;
use std::ops::Range;

use unicode_bidi::{BidiClass, BidiInfo, ParagraphInfo, bidi_class};

/// How a language's lines run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// As in English.
    #[default]
    LeftToRight,
    /// As in Hebrew.
    RightToLeft,
}

/// FIRST STRONG ISOLATE: what follows has the direction of its own first letter.
const APART: char = '\u{2068}';
/// POP DIRECTIONAL ISOLATE.
const TOGETHER: char = '\u{2069}';

/// RIGHT-TO-LEFT MARK: at the beginning of a line that has no letters of its own.
pub const RUNS_FROM_THE_RIGHT: char = '\u{200F}';

/// A text to be put into a sentence of this direction, set apart where it could turn what stands around it
/// or be turned itself (UAX #9, isolates).
pub fn apart(text: &str, around: Direction) -> Cow<'_, str> {
    let agrees = match around {
        Direction::LeftToRight => !text.chars().any(right_to_left),
        Direction::RightToLeft => text.chars().all(|c| right_to_left(c) || c.is_whitespace()),
    };
    if agrees { Cow::Borrowed(text) } else { Cow::Owned(format!("{APART}{text}{TOGETHER}")) }
}

/// A line as a screen reader or a terminal takes it: in the order of reading, without marks of direction.
pub fn spoken(line: &str) -> Cow<'_, str> {
    if line.contains(is_mark) { Cow::Owned(line.replace(is_mark, "")) } else { Cow::Borrowed(line) }
}

/// What only turns others: isolates, and the marks that numbers of some languages come with.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{2066}'..='\u{2069}')
}

/// One line as it has to be drawn from left to right. Text without right-to-left letters is unchanged.
///
/// Money and phone numbers belong in labels of their own: inside a right-to-left line their sign and
/// separators may move.
pub fn visual(line: &str) -> String {
    // Paragraph ends would start the order anew: a label is one line.
    let line: String = line.chars().map(|c| if ends_line(c) { ' ' } else { c }).collect();
    if !line.chars().any(right_to_left) {
        return spoken(&line).into_owned();
    }
    let info = BidiInfo::new(&line, None);
    let Some(paragraph) = info.paragraphs.first() else { return line };
    let pieces = pieces(&info, paragraph, paragraph.range.clone());
    pieces.iter().map(|piece| piece.drawn(&line)).collect()
}

/// A part of a line that is drawn in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its bytes in the text.
    pub range: Range<usize>,
    /// How it runs.
    pub way: Way,
}

/// How the letters of a piece run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From left to right, as it stands.
    Onward,
    /// A right-to-left word; the shaper turns it.
    Word,
    /// Between right-to-left words: from right to left, and the shaper would not know.
    Turned,
}

impl Piece {
    /// What has to be given to the shaper; `text` is what the piece was found in.
    pub fn drawn(&self, text: &str) -> String {
        let letters = text.get(self.range.clone()).unwrap_or_default().chars().filter(|c| !is_mark(*c));
        match self.way {
            Way::Onward | Way::Word => letters.collect(),
            Way::Turned => letters.rev().map(mirrored).collect(),
        }
    }
}

/// The pieces of a line, as the eye finds them from left to right. Together they are the whole line.
pub fn pieces(info: &BidiInfo<'_>, paragraph: &ParagraphInfo, line: Range<usize>) -> Vec<Piece> {
    let (levels, runs) = info.visual_runs(paragraph, line);
    let mut out = Vec::with_capacity(runs.len());
    for run in runs {
        if levels.get(run.start).is_some_and(|level| level.is_rtl()) {
            let first = out.len();
            let mut at = run.start;
            for part in words(info.text.get(run).unwrap_or_default()) {
                let word = part.chars().next().is_some_and(in_word);
                let range = at..at + part.len();
                at = range.end;
                out.push(Piece { range, way: if word { Way::Word } else { Way::Turned } });
            }
            out[first..].reverse();
        } else {
            out.push(Piece { range: run, way: Way::Onward });
        }
    }
    out
}

/// Which way a paragraph runs by its first letter that says (UAX #9, P2), if one does.
pub fn runs(paragraph: &str) -> Option<Direction> {
    paragraph.chars().find_map(|c| match bidi_class(c) {
        BidiClass::L => Some(Direction::LeftToRight),
        BidiClass::R | BidiClass::AL => Some(Direction::RightToLeft),
        _ => None,
    })
}

/// Whether a letter only changes the one before it, so that nothing may be put between them.
pub fn belongs_to_the_letter_before(c: char) -> bool {
    bidi_class(c) == BidiClass::NSM || matches!(c, '\u{200D}' | '\u{1F3FB}'..='\u{1F3FF}')
}

/// The most marks on one letter: a Hebrew one with its point, vowel, shin dot and accent has four.
const MOST_MARKS: usize = 4;

/// A text in which no letter carries more marks than a language needs: more would be piled up over the lines
/// above and below.
pub fn with_few_marks(text: String) -> String {
    if !text.chars().any(belongs_to_the_letter_before) {
        return text;
    }
    let mut marks = 0;
    let few = text.chars().filter(|c| {
        marks = if belongs_to_the_letter_before(*c) { marks + 1 } else { 0 };
        marks <= MOST_MARKS
    });
    few.collect()
}

/// Whether a letter may stand in what a person writes: no control characters, and nothing that turns others.
pub fn may_be_written(c: char) -> bool {
    !c.is_control()
        && !is_mark(c)
        && !ends_line(c)
        && !matches!(c, '\u{202A}'..='\u{202E}' | '\u{061C}' | '\u{FEFF}')
}

/// Whether a letter ends a line, or would end a paragraph.
pub fn ends_line(c: char) -> bool {
    bidi_class(c) == BidiClass::B || matches!(c, '\n' | '\r' | '\u{2028}' | '\u{0B}' | '\u{0C}')
}

fn right_to_left(c: char) -> bool {
    matches!(bidi_class(c), BidiClass::R | BidiClass::AL)
}

fn in_word(c: char) -> bool {
    matches!(bidi_class(c), BidiClass::R | BidiClass::AL | BidiClass::NSM) && !is_mark(c)
}

/// The parts of a run: right-to-left words, and what stands between them.
fn words(run: &str) -> impl Iterator<Item = &str> {
    let mut rest = run;
    std::iter::from_fn(move || {
        let word = in_word(rest.chars().next()?);
        let end = rest.find(|c| in_word(c) != word).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(part)
    })
}

fn mirrored(c: char) -> char {
    match c {
        '(' => ')',
        ')' => '(',
        '[' => ']',
        ']' => '[',
        '{' => '}',
        '}' => '{',
        '<' => '>',
        '>' => '<',
        '«' => '»',
        '»' => '«',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &str) {
        assert_eq!(visual(line), expected, "for {line:?}");
    }

    #[test]
    fn latin_text_is_unchanged() {
        check("Zofia Wiśniewska (VIP) 1,250.00", "Zofia Wiśniewska (VIP) 1,250.00");
        check("", "");
    }

    #[test]
    fn hebrew_words_run_from_right_to_left_with_their_letters_in_order() {
        check("שלום עולם", "עולם שלום");
        check("מאפיית לוי בע\"מ", "מ\"בע לוי מאפיית");
        check("תל־אביב", "תל־אביב");
    }

    #[test]
    fn brackets_are_mirrored_and_digits_are_not_turned() {
        check("דוד (ראשי) 12,345.67", "12,345.67 (ראשי) דוד");
        check("Call from דוד כהן on 102", "Call from כהן דוד on 102");
        check("לוי Foods בע\"מ", "מ\"בע Foods לוי");
    }

    #[test]
    fn a_letter_keeps_the_marks_a_language_needs_and_no_pile_of_them() {
        let pile = "Z\u{0335}".to_owned() + &"\u{0301}\u{0316}".repeat(40) + "o";
        assert_eq!(with_few_marks(pile), "Z\u{0335}\u{0301}\u{0316}\u{0301}o");
        for whole in ["Zażółć", "ש\u{05C1}\u{05BC}\u{05B8}\u{0591}לום", "Tie\u{0302}\u{0301}ng", ""] {
            assert_eq!(with_few_marks(whole.to_owned()), whole);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_keeps_its_letters(line in ".{0,80}") {
            let line = spoken(&line).into_owned();
            let mut before: Vec<char> = line.chars().map(|c| if ends_line(c) { ' ' } else { c }).collect();
            let mut after: Vec<char> = visual(&line).chars().collect();
            for letters in [&mut before, &mut after] {
                letters.retain(|c| mirrored(*c) == *c);
                letters.sort_unstable();
            }
            proptest::prop_assert_eq!(before, after);
        }
    }
}
