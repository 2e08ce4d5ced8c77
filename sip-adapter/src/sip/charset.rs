//! Text out of header bytes whose charset nobody wrote down: UTF-8 where it is, else what it looks like.
//! Old phone systems send names in the charset of the desk they were typed at. A guess here changes how a
//! name looks, never who calls: numbers are ASCII in all of these charsets.

use std::borrow::Cow;

use encoding_rs::{Encoding, ISO_8859_2, WINDOWS_1250, WINDOWS_1255};

/// A charset in which every byte is a character and ASCII is ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

impl Charset {
    /// A charset by its name, such as `windows-1255` or `iso-8859-2`.
    pub fn named(name: &str) -> Option<Charset> {
        let encoding = Encoding::for_label(name.trim().as_bytes())?;
        (encoding.is_single_byte() && encoding.is_ascii_compatible()).then_some(Charset(encoding))
    }
}

/// `bytes` as text.
pub fn decode(bytes: &[u8], fallback: Option<Charset>) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            fallback
                .map_or_else(|| looks_like(bytes), |Charset(encoding)| encoding)
                .decode_without_bom_handling(bytes)
                .0
        }
    }
}

/// Hebrew words are high bytes only; in a Latin word a high byte has letters beside it.
fn looks_like(bytes: &[u8]) -> &'static Encoding {
    let letter = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphabetic);
    let (mut hebrew, mut latin, mut windows) = (0usize, 0usize, false);
    for (at, &byte) in bytes.iter().enumerate().filter(|(_, byte)| !byte.is_ascii()) {
        if letter(at.checked_sub(1)) || letter(at.checked_add(1)) {
            latin += 1;
        } else if (0xE0..=0xFA).contains(&byte) {
            hebrew += 1;
        }
        // In ISO-8859-2 these are control characters; in Windows-1250 letters such as ś, and ą at B9.
        windows |= matches!(byte, 0x80..=0x9F | 0xB9);
    }
    match (hebrew > latin, windows) {
        (true, _) => WINDOWS_1255,
        (false, true) => WINDOWS_1250,
        (false, false) => ISO_8859_2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], fallback: Option<&str>, expected: &str) {
        let fallback = fallback.map(|name| Charset::named(name).expect("a charset"));
        assert_eq!(decode(bytes, fallback), expected, "for {bytes:x?}");
    }

    fn in_charset(encoding: &'static Encoding, text: &str) -> Vec<u8> {
        let (bytes, _, unknown) = encoding.encode(text);
        assert!(!unknown, "{text} has letters that {} has not", encoding.name());
        bytes.into_owned()
    }

    #[test]
    fn names_are_read_in_the_charset_they_were_typed_in() {
        for name in ["מאפיית לוי בע\"מ", "דנה", "יוסי כהן 052", "שלום (VIP)"] {
            check(&in_charset(WINDOWS_1255, name), None, name);
            check(name.as_bytes(), None, name);
        }
        for name in ["Zażółć gęślą jaźń", "Łódź", "Müller", "Świętosława Żółkiewska", "Őri Árpád"]
        {
            check(&in_charset(ISO_8859_2, name), None, name);
            check(&in_charset(WINDOWS_1250, name), None, name);
            check(name.as_bytes(), None, name);
        }
    }

    #[test]
    fn a_configured_charset_is_believed_and_utf8_still_wins() {
        check(&in_charset(encoding_rs::WINDOWS_1251, "Иван"), Some("windows-1251"), "Иван");
        check("Иван".as_bytes(), Some("windows-1251"), "Иван");
        check(&[b'a', 0xFF], Some("iso-8859-8"), "a\u{FFFD}");
    }

    #[test]
    fn only_charsets_that_keep_ascii_can_be_configured() {
        for name in ["utf-16", "shift_jis", "iso-2022-jp", "nonsense", ""] {
            assert_eq!(Charset::named(name), None, "{name}");
        }
        assert!(Charset::named(" ISO-8859-2 ").is_some());
    }
}
