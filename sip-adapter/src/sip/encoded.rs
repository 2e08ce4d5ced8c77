//! Text that is carried inside other text: base64, hexadecimal, and encoded words (RFC 2047).
//! Small and tolerant, because phone systems pad and split as they like; what is not understood is `None`.

use encoding_rs::Encoding;

/// The most encoded words joined into one text.
const MOST_WORDS: usize = 32;

/// Base64 in the usual or the URL alphabet, with or without padding (RFC 4648 sections 4 and 5).
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut held, mut bits) = (0u32, 0u32);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(value)) & 0xFFFF;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
        }
    }
    (bits != 6).then_some(out)
}

/// Pairs of hexadecimal digits.
pub fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

/// `text` with its encoded words read; anything else in it stays as it is.
pub fn words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut left = MOST_WORDS;
    let mut after_word = false;
    while let Some(begin) = rest.find("=?").filter(|_| left > 0) {
        left -= 1;
        let (before, from) = rest.split_at(begin);
        let Some((read, after)) = word(from) else {
            out.push_str(before);
            out.push_str("=?");
            rest = from.get(2..).unwrap_or_default();
            after_word = false;
            continue;
        };
        // Blanks between two encoded words only separate them (RFC 2047 section 6.2).
        if !(after_word && before.trim().is_empty()) {
            out.push_str(before);
        }
        out.push_str(&read);
        rest = after;
        after_word = true;
    }
    out.push_str(rest);
    out
}

/// One `=?charset?B?…?=` or `=?charset?Q?…?=`, and what comes after it.
fn word(text: &str) -> Option<(String, &str)> {
    let mut parts = text.strip_prefix("=?")?.splitn(3, '?');
    let (charset, kind, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (encoded, after) = rest.split_once("?=")?;
    // RFC 2231 section 5 allows a language after the charset.
    let charset = charset.split('*').next().unwrap_or(charset);
    let encoding = Encoding::for_label(charset.as_bytes())?;
    let bytes = match kind {
        "B" | "b" => base64(encoded)?,
        "Q" | "q" => quoted(encoded)?,
        _ => return None,
    };
    Some((encoding.decode_without_bom_handling(&bytes).0.into_owned(), after))
}

/// The `Q` encoding: `_` is a blank, `=41` a byte.
fn quoted(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'_' => out.push(b' '),
            b'=' => {
                let (pair, after) = rest.split_at_checked(2)?;
                out.extend(hex(std::str::from_utf8(pair).ok()?)?);
                rest = after;
            }
            _ => out.push(byte),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_both_alphabets_is_read_with_and_without_padding() {
        for (text, expected) in [
            ("", Some("")),
            ("YQ==", Some("a")),
            ("YQ", Some("a")),
            ("YWJjZA", Some("abcd")),
            ("YWI=", Some("ab")),
            ("Y", None),
            ("Y Q", None),
            ("Ywéé", None),
        ] {
            assert_eq!(base64(text).as_deref(), expected.map(str::as_bytes), "{text}");
        }
        assert_eq!(base64("-_+/"), Some(vec![0xFB, 0xFF, 0xBF]));
    }

    #[test]
    fn hexadecimal_is_read_in_pairs() {
        assert_eq!(hex("56a390").as_deref(), Some(&[0x56, 0xA3, 0x90][..]));
        assert_eq!((hex("5"), hex("5g"), hex("éé")), (None, None, None));
    }

    #[test]
    fn encoded_words_are_read_and_the_rest_stays() {
        for (text, expected) in [
            ("=?UTF-8?B?15PXoNeU?=", "דנה"),
            ("=?utf-8?Q?Dana_=3D?= Levi", "Dana = Levi"),
            ("=?UTF-8?B?15M=?= \t=?UTF-8?B?16DXlA==?=", "דנה"),
            ("=?iso-8859-2?Q?=A3=F3d=BC?=", "Łódź"),
            ("=?windows-1255?B?4/Dk?=", "דנה"),
            ("Q-support: =?UTF-8*he?B?15PXoNeU?=", "Q-support: דנה"),
            ("=?", "=?"),
            ("=?UTF-8?B?***?= x", "=?UTF-8?B?***?= x"),
            ("=?nonsense?B?YQ==?=", "=?nonsense?B?YQ==?="),
            ("=?UTF-8?Q?=4?=", "=?UTF-8?Q?=4?="),
            ("1 =? 2", "1 =? 2"),
        ] {
            assert_eq!(words(text), expected);
        }
    }
}
