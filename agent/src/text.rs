//! Directions of writing. egui 0.37 draws every line from left to right, so a line that holds Hebrew
//! is put into the order of the eye here, word by word: the letters inside a word are already turned
//! by the text shaper. Goes when egui learns bidi (egui pull request 8577).

use std::borrow::Cow;

use unicode_bidi::{BidiClass, BidiInfo, bidi_class};

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
    let (levels, runs) = info.visual_runs(paragraph, paragraph.range.clone());
    let mut out = String::with_capacity(line.len());
    for run in runs {
        let Some(text) = line.get(run.clone()) else { continue };
        if levels.get(run.start).is_some_and(|level| level.is_rtl()) {
            push_reversed_words(&mut out, text);
        } else {
            out.push_str(text);
        }
    }
    spoken(&out).into_owned()
}

fn ends_line(c: char) -> bool {
    bidi_class(c) == BidiClass::B || matches!(c, '\n' | '\r' | '\u{2028}' | '\u{0B}' | '\u{0C}')
}

fn right_to_left(c: char) -> bool {
    matches!(bidi_class(c), BidiClass::R | BidiClass::AL)
}

fn in_word(c: char) -> bool {
    matches!(bidi_class(c), BidiClass::R | BidiClass::AL | BidiClass::NSM) && !is_mark(c)
}

/// Words in reversed order, each with its letters as they are; all between them reversed and mirrored.
fn push_reversed_words(out: &mut String, run: &str) {
    let mut rest: &str = run;
    while let Some(last) = rest.chars().next_back() {
        let word = in_word(last);
        let start = rest.char_indices().rev().take_while(|(_, c)| in_word(*c) == word).last();
        let (before, segment) = rest.split_at(start.map_or(0, |(at, _)| at));
        if word {
            out.push_str(segment);
        } else {
            out.extend(segment.chars().rev().map(mirrored));
        }
        rest = before;
    }
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
