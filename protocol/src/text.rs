//! Plain text out of anything the outside sends: names, labels, free text.
//! What leaves here holds no control or direction-changing characters and has a bounded length, so
//! a caller's name can neither rearrange a screen nor forge a log line.

/// The longest text kept from outside, in characters; what is longer ends in `…`.
pub const LONGEST: usize = 120;

/// `raw` as one line of plain text, or `None` when nothing readable is left.
///
/// Control characters, line and paragraph separators and the explicit direction characters of
/// Unicode (UAX #9: LRE, RLE, LRO, RLO, PDF, LRI, RLI, FSI, PDI, and the marks LRM, RLM, ALM) are
/// removed; runs of white space become one space. Letters of any script stay as they are.
pub fn plain(raw: &str, longest: usize) -> Option<String> {
    if raw.len() <= longest && is_plain(raw.as_bytes()) {
        return Some(raw.to_owned());
    }
    let mut out = String::new();
    let mut kept = 0;
    let mut space = false;
    // The bound on what is looked at keeps the work small however much was sent.
    for c in raw.chars().take(longest.saturating_mul(8).max(1024)) {
        if c.is_whitespace() || matches!(c, '\u{2028}' | '\u{2029}') {
            space = kept > 0;
            continue;
        }
        if c.is_control() || invisible(c) {
            continue;
        }
        if kept + usize::from(space) >= longest {
            out.push('…');
            break;
        }
        if space {
            out.push(' ');
            kept += 1;
            space = false;
        }
        out.push(c);
        kept += 1;
    }
    (kept > 0).then_some(out)
}

/// Whether a text is of the letters and signs of ASCII, with one blank between words: most are, and stay as they are.
fn is_plain(raw: &[u8]) -> bool {
    let ends_in_signs = matches!(raw, [b'!'..=b'~'] | [b'!'..=b'~', .., b'!'..=b'~']);
    ends_in_signs
        && raw
            .iter()
            .zip(raw.iter().skip(1))
            .all(|pair| matches!(pair, (b' ', b'!'..=b'~') | (b'!'..=b'~', b' '..=b'~')))
}

/// `raw` as several lines of plain text: as [`plain`], but line breaks stay (at most one empty line
/// between two others). `None` when nothing readable is left.
pub fn plain_lines(raw: &str, longest: usize) -> Option<String> {
    let mut out = String::new();
    let mut left = longest;
    let mut empty = 0;
    for line in raw.lines().take(longest) {
        let Some(line) = plain(line, left) else {
            empty += 1;
            continue;
        };
        if !out.is_empty() {
            out.push_str(if empty > 0 { "\n\n" } else { "\n" });
        }
        empty = 0;
        left = longest.saturating_sub(out.chars().count() + line.chars().count());
        out.push_str(&line);
        if left == 0 {
            break;
        }
    }
    (!out.is_empty()).then_some(out)
}

fn invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}'
        | '\u{E000}'..='\u{F8FF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, expected: Option<&str>) {
        assert_eq!(plain(raw, LONGEST).as_deref(), expected, "for {raw:?}");
    }

    #[test]
    fn names_of_any_script_stay_whole() {
        check("Zażółć gęślą jaźń", Some("Zażółć gęślą jaźń"));
        check("מאפיית לוי בע\"מ", Some("מאפיית לוי בע\"מ"));
    }

    #[test]
    fn blanks_are_made_one_wherever_they_stand() {
        check("Dana Levi", Some("Dana Levi"));
        check(" Dana  Levi ", Some("Dana Levi"));
        check("a ", Some("a"));
        check("x", Some("x"));
        check("a\tb", Some("a b"));
    }

    #[test]
    fn what_could_rearrange_a_screen_is_removed() {
        check("\u{202E}evil\u{2066} name\u{0007}", Some("evil name"));
        check("two\r\nlines", Some("two lines"));
        check("\u{200B}\u{FEFF}", None);
        check("   ", None);
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        let cut = plain(&"x".repeat(4096), 10).expect("text is left");
        assert_eq!(cut, "xxxxxxxxxx…");
    }

    #[test]
    fn lines_of_a_note_stay_lines() {
        let check = |raw: &str, expected: Option<&str>| {
            assert_eq!(plain_lines(raw, 20).as_deref(), expected, "for {raw:?}");
        };
        check("one\r\ntwo\n", Some("one\ntwo"));
        check("\n\none\n\n\n\ntwo  \t three\u{202E}", Some("one\n\ntwo three"));
        check(" \n\u{200B}\n", None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_comes_out_short_and_printable(raw in ".{0,400}") {
            if let Some(text) = plain(&raw, 40) {
                proptest::prop_assert!(text.chars().count() <= 41);
                proptest::prop_assert!(!text.chars().any(|c| c.is_control() || invisible(c)));
                proptest::prop_assert_eq!(plain(&text, 41), Some(text.clone()));
            }
        }
    }
}
