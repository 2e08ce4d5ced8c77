//! The field as a person uses it: typed into, clicked, with the caret where another calculation expects it.

use std::ops::Range;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use proptest::prelude::*;
use unicode_bidi::BidiInfo;

use super::lines::Side;
use super::*;
use crate::fonts;
use crate::settings::Shade;

/// Every letter is ten points wide, marks none.
struct Tens;

impl Ruler for Tens {
    fn letter(&mut self, letter: char) -> f32 {
        if text::belongs_to_the_letter_before(letter) { 0.0 } else { 10.0 }
    }

    fn piece(&mut self, drawn: &str) -> f32 {
        drawn.chars().map(|c| self.letter(c)).sum()
    }
}

fn lines(text: &str, breaks: Breaks) -> Lines {
    Lines::of(text, Direction::LeftToRight, breaks, &mut Tens)
}

fn rows_of(lines: &Lines) -> Vec<String> {
    lines.rows.iter().map(|row| row.pieces.iter().map(|part| part.drawn.as_str()).collect()).collect()
}

/// Where the caret after the last letter must be: every letter by itself put where UAX #9 (rule L2) puts it.
fn expected_at_the_end(text: &str) -> f32 {
    let info = BidiInfo::new(text, Some(base(text)));
    let Some(paragraph) = info.paragraphs.first() else { return 0.0 };
    let levels = info.reordered_levels_per_char(paragraph, paragraph.range.clone());
    let mut order: Vec<usize> = (0..levels.len()).collect();
    let highest = levels.iter().map(|level| level.number()).max().unwrap_or(0);
    for least in (1..=highest).rev() {
        let mut from = 0;
        while from < order.len() {
            let length = order[from..].iter().take_while(|at| levels[**at].number() >= least).count();
            order[from..from + length].reverse();
            from += length.max(1);
        }
    }
    let last = levels.len() - 1;
    let place = order.iter().position(|at| *at == last).expect("it is there");
    (place + usize::from(levels[last].is_ltr())) as f32 * 10.0
}

fn base(text: &str) -> unicode_bidi::Level {
    if text::runs(text) == Some(Direction::RightToLeft) {
        unicode_bidi::Level::rtl()
    } else {
        unicode_bidi::Level::ltr()
    }
}

#[test]
fn after_each_key_the_caret_stands_behind_the_last_letter() {
    for text in [
        "call back",
        "Zażółć gęślą jaźń",
        "שלום עולם",
        "חשבון 1234 מיום 3.11",
        "לוי (ראשי) בע\"מ",
        "Call דוד כהן on 102",
        "abc שלום",
        "לשלם 12.5% עד 3.11, PLN",
    ] {
        for (end, c) in text.char_indices() {
            let typed = &text[..end + c.len_utf8()];
            let lines = lines(typed, Breaks::Never);
            let spot = Spot { index: typed.chars().count(), side: Side::Before };
            let found = lines.x(&lines.rows[0], spot, &mut Tens);
            assert_eq!(found, expected_at_the_end(typed), "after {typed:?}");
        }
    }
}

#[test]
fn rows_end_between_words_and_hang_their_spaces() {
    let english = lines("one two  three fourteen", Breaks::At(90.0));
    assert_eq!(rows_of(&english), ["one two", "three", "fourteen"]);
    let hebrew = lines("חשבון 1234 מיום 3.11 לא שולם", Breaks::At(110.0));
    assert_eq!(rows_of(&hebrew), ["1234 חשבון", "3.11 מיום", "שולם לא"]);
    let ends: Vec<_> = hebrew.rows.iter().map(|row| (row.start, row.shown, row.end)).collect();
    assert_eq!(ends, [(0, 10, 11), (11, 20, 21), (21, 28, 28)]);
    assert_eq!(rows_of(&lines("abcdefghij", Breaks::At(40.0))), ["abcd", "efgh", "ij"]);
    assert_eq!(rows_of(&lines("a\n\nb\n", Breaks::At(40.0))), ["a", "", "b", ""]);
}

#[test]
fn a_selection_covers_its_letters_and_no_others() {
    let lines = lines("abc שלום def", Breaks::Never);
    let seen = |range: Range<usize>| lines.seen(&lines.rows[0], &range, &mut Tens);
    assert_eq!(seen(1..3), [(10.0, 30.0)]);
    // The first two of the Hebrew letters are the two at the right.
    assert_eq!(seen(4..6), [(60.0, 80.0)]);
    assert_eq!(seen(3..5), [(30.0, 40.0), (70.0, 80.0)]);
}

#[test]
fn a_word_and_a_paragraph_are_found_by_a_place_in_them() {
    let lines = lines("שלום עולם\nabc", Breaks::At(500.0));
    assert_eq!(lines.word(2), 0..4);
    assert_eq!(lines.word(4), 4..5);
    assert_eq!(lines.paragraph(6), 0..9);
    assert_eq!(lines.paragraph(13), 10..13);
}

fn foreign() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "שלום",
        "עולם",
        " ",
        " ",
        "abc",
        "Zażółć",
        "12",
        "3.11",
        "(",
        ")",
        "-",
        "\n",
        "e\u{301}",
        "👨\u{200d}👩",
        "ש\u{5c1}",
        "\u{202e}",
        "\u{2067}",
        "\u{2029}",
        "مرحبا",
        "%",
        "\"",
        "Z\u{36f}\u{36f}\u{36f}",
        "\t",
        "\u{0}",
    ]);
    prop::collection::vec(pieces, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_click_puts_the_caret_where_it_was_clicked(text in foreign(), at in 0.0f32..400.0) {
        let lines = lines(&text, Breaks::At(120.0));
        for row in &lines.rows {
            let spot = lines.spot(row, at, &mut Tens);
            prop_assert!((row.start..=row.shown).contains(&spot.index));
            let x = lines.x(row, spot, &mut Tens);
            let again = lines.spot(row, x, &mut Tens);
            // Two places may look the same; what the eye sees must not move.
            prop_assert_eq!(lines.x(row, again, &mut Tens), x, "{:?} in {:?}", spot, row);
            let most = row.pieces.iter().map(|part| part.width).fold(10.0, f32::max);
            if (0.0..row.width()).contains(&at) {
                prop_assert!((x - at).abs() <= 5.0 || marks(&text) && (x - at).abs() <= most, "{} for {}", x, at);
            }
        }
    }

    #[test]
    fn every_char_is_in_one_row_and_one_piece(text in foreign()) {
        let lines = lines(&text, Breaks::At(90.0));
        let mut next = 0;
        for row in &lines.rows {
            prop_assert_eq!(row.start, next);
            let mut seen: Vec<usize> = row.pieces.iter().flat_map(|part| part.range.clone()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (row.start..row.shown).collect::<Vec<_>>());
            next = row.end + usize::from(row.newline);
        }
        prop_assert_eq!(next, text.chars().count());
    }
}

/// Letters of several chars, between which a caret cannot stand, or of no width.
fn marks(text: &str) -> bool {
    text.chars().any(|c| text::belongs_to_the_letter_before(c) || !text::may_be_written(c))
}

#[derive(Default)]
struct Desk {
    text: String,
    said: Said,
    entered: usize,
}

fn field(rows: usize, most: usize, direction: Direction, text: &str) -> Harness<'static, Desk> {
    let theme = Theme::of(Shade::Dark).read(direction);
    let desk = Desk { text: text.to_owned(), ..Desk::default() };
    Harness::builder()
        .allow_missing_glyphs()
        .with_size(Vec2::new(300.0, 120.0))
        .with_context_setup(move |ctx| {
            fonts::install(ctx);
            theme.apply(ctx);
        })
        .build_ui_state(
            move |ui, desk: &mut Desk| {
                let rect = Rect::from_min_size(Pos2::new(10.0, 10.0), Vec2::new(260.0, Field::height(rows)));
                let field = Field { id: Id::unique("note"), hint: "Note", rows, most };
                let said = field.ui(ui, &theme, rect, &mut desk.text);
                desk.entered += usize::from(said.entered);
                desk.said = said;
            },
            desk,
        )
}

fn focused(rows: usize, most: usize, direction: Direction, text: &str) -> Harness<'static, Desk> {
    let mut harness = field(rows, most, direction, text);
    harness.get_by_label("Note").focus();
    harness.run();
    harness.key_press_modifiers(Modifiers::COMMAND, Key::End);
    harness.run();
    harness
}

fn typed(harness: &mut Harness<'static, Desk>, text: &str) {
    for c in text.chars() {
        harness.event(Event::Text(c.to_string()));
        harness.step();
    }
    harness.run();
}

#[test]
fn what_is_typed_is_there_in_the_order_of_reading() {
    for text in ["call back on Monday", "Zażółć gęślą jaźń", "חשבון 1234 מיום 3.11", "Call דוד כהן (102)"]
    {
        for rows in [1, 3] {
            let mut harness = focused(rows, 4000, Direction::LeftToRight, "");
            assert!(harness.state().said.has_keyboard);
            typed(&mut harness, text);
            assert_eq!(harness.state().text, text);
            assert_eq!(
                caret(&harness.ctx, Id::unique("note")).map(|at| at.primary.index.0),
                Some(text.chars().count())
            );
        }
    }
}

#[test]
fn a_letter_in_the_middle_is_taken_away_and_put_back() {
    let mut harness = focused(3, 4000, Direction::RightToLeft, "שלום עולם");
    // Right goes back in a line that runs from the right.
    for _ in 0..5 {
        harness.key_press(Key::ArrowRight);
        harness.run();
    }
    harness.key_press(Key::Backspace);
    harness.run();
    assert_eq!(harness.state().text, "שלועולם".replacen("שלו", "שלו ", 1));
    typed(&mut harness, "ם");
    assert_eq!(harness.state().text, "שלום עולם");
    harness.key_press(Key::Delete);
    harness.run();
    assert_eq!(harness.state().text, "שלוםעולם");
}

#[test]
fn pasted_text_is_cut_and_loses_what_turns_letters() {
    let mut harness = focused(1, 8, Direction::LeftToRight, "");
    harness.event(Event::Paste("a\u{202e}b\nc\u{0}\r\ndefghijk".to_owned()));
    harness.run();
    assert_eq!(harness.state().text, "ab c def");
    typed(&mut harness, "x");
    assert_eq!(harness.state().text, "ab c def");
    let mut harness = focused(3, 100, Direction::LeftToRight, "");
    harness.event(Event::Paste("a\r\nb\u{2029}c".to_owned()));
    harness.run();
    assert_eq!(harness.state().text, "a\nb\nc");
}

#[test]
fn enter_ends_one_line_and_begins_another_in_several() {
    let mut harness = focused(1, 100, Direction::LeftToRight, "abc");
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!((harness.state().entered, harness.state().text.as_str()), (1, "abc"));
    assert!(harness.state().said.has_keyboard);
    let mut harness = focused(3, 100, Direction::LeftToRight, "abc");
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!((harness.state().entered, harness.state().text.as_str()), (0, "abc\n"));
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    harness.run();
    assert_eq!((harness.state().entered, harness.state().text.as_str()), (1, "abc\n"));
}

#[test]
fn escape_leaves_the_field() {
    let mut harness = focused(3, 100, Direction::LeftToRight, "abc");
    harness.key_press(Key::Escape);
    harness.step();
    assert!(!harness.state().said.has_keyboard && harness.state().said.left);
}

#[test]
fn a_click_in_hebrew_puts_the_next_letter_there() {
    let mut harness = focused(1, 100, Direction::RightToLeft, "שלום");
    // The right end of the field is where the word begins.
    let at = Pos2::new(10.0 + 260.0 - 9.0, 25.0);
    pressed(&mut harness, at);
    typed(&mut harness, "א");
    assert_eq!(harness.state().text, "אשלום");
}

fn pressed(harness: &mut Harness<'static, Desk>, at: Pos2) {
    for pressed in [true, false] {
        harness.event(Event::PointerMoved(at));
        harness.event(Event::PointerButton {
            pos: at,
            button: egui::PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        });
    }
    harness.step();
}

#[test]
fn a_click_on_the_edge_is_a_click_in_the_field() {
    let mut harness = field(1, 100, Direction::LeftToRight, "");
    pressed(&mut harness, Pos2::new(100.0, 12.0));
    assert!(harness.state().said.clicked);
    typed(&mut harness, "abc");
    assert_eq!(harness.state().text, "abc");
    pressed(&mut harness, Pos2::new(100.0, 110.0));
    harness.run();
    assert!(!harness.state().said.has_keyboard, "a click elsewhere leaves the field");
}

#[test]
fn everything_can_be_chosen_and_replaced() {
    let mut harness = focused(3, 100, Direction::LeftToRight, "שלום עולם\nabc");
    harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
    harness.run();
    typed(&mut harness, "x");
    assert_eq!(harness.state().text, "x");
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    harness.run();
    assert_eq!(harness.state().text, "שלום עולם\nabc");
}

#[test]
fn a_long_note_is_laid_out_once_for_each_key() {
    let note = "חשבון 1234 מיום 3.11 call back ".repeat(129);
    let mut harness = focused(3, 4000, Direction::LeftToRight, &note);
    typed(&mut harness, "א");
    assert_eq!(harness.state().text.chars().count(), 4000);
    let laid: Memory = harness.ctx.data_mut(|data| data.get_temp(Id::unique("note"))).expect("a memory");
    harness.step();
    let again: Memory = harness.ctx.data_mut(|data| data.get_temp(Id::unique("note"))).expect("a memory");
    assert!(Arc::ptr_eq(&laid.laid, &again.laid), "nothing changed, so nothing was worked out again");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_text_is_too_much(text in "\\PC{0,60}|[\\s\\S]{0,40}", pasted in foreign()) {
        let mut harness = focused(3, 200, Direction::RightToLeft, &text);
        harness.event(Event::Paste(pasted));
        for key in [Key::ArrowUp, Key::ArrowLeft, Key::Backspace, Key::Home, Key::Delete, Key::ArrowDown] {
            harness.key_press(key);
        }
        harness.step();
        prop_assert!(harness.state().text.chars().count() <= 200);
    }
}
