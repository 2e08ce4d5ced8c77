//! Bodies of several parts (RFC 2046 section 5.1), as lists of resources are told in (RFC 4662).
//! Bounded in size, parts and headers; a body that is not whole is an error, never half a list.

/// The largest body read, in bytes.
pub const LARGEST: usize = 1024 * 1024;
/// The most parts of one body.
pub const MOST_PARTS: usize = 4096;
const LONGEST_HEAD: usize = 4096;
/// RFC 2046 section 5.1.1.
const LONGEST_BOUNDARY: usize = 70;

/// One part of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its media type with parameters, as written; empty when it has none.
    pub content_type: &'a str,
    /// Its `Content-ID` without angle brackets.
    pub content_id: Option<&'a str>,
    /// What it holds.
    pub body: &'a [u8],
}

/// Why a body was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// More than [`LARGEST`] bytes.
    #[error("the body is larger than 1 MiB")]
    Large,
    /// More than [`MOST_PARTS`] parts.
    #[error("the body has too many parts")]
    Many,
    /// The Content-Type names no boundary.
    #[error("the Content-Type names no usable boundary")]
    NoBoundary,
    /// It does not begin, or does not end, with its boundary.
    #[error("the body is cut off or not divided by its boundary")]
    Broken,
}

/// Whether a Content-Type is of several parts.
pub fn is_multipart(content_type: &str) -> bool {
    media_type(content_type).starts_with("multipart/")
}

/// The media type without parameters, in lower case.
pub fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The parts of a body whose Content-Type is given.
pub fn split<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<Part<'a>>, MultipartError> {
    if body.len() > LARGEST {
        return Err(MultipartError::Large);
    }
    let boundary = parameter(content_type, "boundary").ok_or(MultipartError::NoBoundary)?;
    let usable = !boundary.is_empty() && boundary.len() <= LONGEST_BOUNDARY && boundary.is_ascii();
    if !usable {
        return Err(MultipartError::NoBoundary);
    }
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut began: Option<usize> = None;
    let mut at = 0;
    while let Some(line) = next_line(body, at) {
        let text = body.get(line.start..line.end).unwrap_or_default();
        if let Some(rest) = text.strip_prefix(delimiter.as_bytes()) {
            let closes = rest.starts_with(b"--");
            let delimits = closes || rest.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
            if delimits {
                if let Some(began) = began {
                    if parts.len() >= MOST_PARTS {
                        return Err(MultipartError::Many);
                    }
                    let content = body.get(began..line.start).unwrap_or_default();
                    parts.push(part(without_last_break(content)).ok_or(MultipartError::Broken)?);
                }
                if closes {
                    return Ok(parts);
                }
                began = Some(line.next);
            }
        }
        at = line.next;
    }
    Err(MultipartError::Broken)
}

struct LineAt {
    start: usize,
    end: usize,
    next: usize,
}

fn next_line(body: &[u8], start: usize) -> Option<LineAt> {
    let rest = body.get(start..).filter(|rest| !rest.is_empty())?;
    let length = rest.iter().position(|byte| *byte == b'\n');
    let end = start + length.unwrap_or(rest.len());
    Some(LineAt { start, end, next: length.map_or(end, |length| start + length + 1) })
}

/// The line break before a boundary belongs to the boundary.
fn without_last_break(content: &[u8]) -> &[u8] {
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    content.strip_suffix(b"\r").unwrap_or(content)
}

fn part(content: &[u8]) -> Option<Part<'_>> {
    let mut at = 0;
    let mut found = Part { content_type: "", content_id: None, body: &[] };
    while let Some(line) = next_line(content, at) {
        if line.end > LONGEST_HEAD {
            return None;
        }
        let text = content.get(line.start..line.end).unwrap_or_default();
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        at = line.next;
        if text.is_empty() {
            break;
        }
        // A header that is not text is none we know.
        let Ok(text) = std::str::from_utf8(text) else { continue };
        let Some((name, value)) = text.split_once(':') else { continue };
        let value = value.trim();
        if name.trim().eq_ignore_ascii_case("Content-Type") {
            found.content_type = value;
        } else if name.trim().eq_ignore_ascii_case("Content-ID") {
            found.content_id = Some(value.trim_start_matches('<').trim_end_matches('>'));
        }
    }
    found.body = content.get(at..).unwrap_or_default();
    Some(found)
}

/// A parameter of a header value, without its quotes. A quoted value may hold `;`.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut quoted = false;
    let parameters = value.split(|c| {
        quoted ^= c == '"';
        c == ';' && !quoted
    });
    parameters.skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/related;type=\"application/rlmi+xml\";boundary=\"b;1\"";

    fn check(content_type: &str, body: &str, expected: &str) {
        let found = match split(content_type, body.as_bytes()) {
            Err(e) => e.to_string(),
            Ok(parts) => {
                let show = |part: &Part<'_>| {
                    let body = String::from_utf8_lossy(part.body);
                    format!("{}|{}|{body}", part.content_type, part.content_id.unwrap_or("-"))
                };
                parts.iter().map(show).collect::<Vec<_>>().join(" & ")
            }
        };
        assert_eq!(found, expected, "{body:?}");
    }

    #[test]
    fn parts_are_found_by_their_boundary() {
        check(
            TYPE,
            "preamble\r\n--b;1\r\nContent-ID: <a@b>\r\nContent-Type: text/x;y=1\r\n\r\none\r\n--b;1x\r\n--b;1\r\n\r\ntwo\r\n--b;1--\r\n",
            "text/x;y=1|a@b|one\r\n--b;1x & |-|two",
        );
        check("multipart/mixed; boundary=z", "--z\ncontent-type:a\n\nb\n\n--z--", "a|-|b\n");
        check("multipart/mixed; boundary=z", "--z--", "");
    }

    #[test]
    fn a_body_that_is_not_whole_is_refused() {
        check(TYPE, "--b;1\r\n\r\none\r\n", "the body is cut off or not divided by its boundary");
        check(TYPE, "", "the body is cut off or not divided by its boundary");
        check("multipart/related", "--x--", "the Content-Type names no usable boundary");
        let long = format!("multipart/related;boundary={}", "x".repeat(71));
        check(&long, "--x--", "the Content-Type names no usable boundary");
        check(TYPE, &"--b;1\r\n".repeat(MOST_PARTS + 2), "the body has too many parts");
        check(TYPE, &"x".repeat(LARGEST + 1), "the body is larger than 1 MiB");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_split_without_a_panic(body in proptest::collection::vec(proptest::sample::select(b"-b;1\r\n:x \xff".to_vec()), 0..300)) {
            let _ = split(TYPE, &body);
        }
    }
}
