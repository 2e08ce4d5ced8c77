//! Display names: what phone systems make of a caller's name on its way here, undone.
//! A name is free text that the caller may choose: nothing here turns it into a number.

use std::str::FromStr;

use pinkas_protocol::{Number, NumberPlan, QueueName, text};

use super::encoded;

/// Room for a queue's name before a name that may itself be [`text::LONGEST`].
const LONGEST: usize = text::LONGEST + 80;

/// A display name as plain text.
pub fn read(raw: &str) -> Option<String> {
    if !raw.contains(['\\', '=']) {
        return text::plain(raw, LONGEST);
    }
    let decoded = encoded::words(raw);
    let mut out = String::with_capacity(decoded.len());
    let mut chars = decoded.chars().peekable();
    while let Some(c) = chars.next() {
        // Quirk(Asterisk 16, 22): each hop doubles the backslashes before a quote.
        if c == '\\' && matches!(chars.peek(), Some('\\' | '"')) {
            continue;
        }
        out.push(c);
    }
    text::plain(&out, LONGEST)
}

/// Whether a name says more than the number beside it: phone systems repeat the number where they have no name.
pub fn names_someone(name: &str, number: Option<&Number>, plan: &NumberPlan) -> bool {
    let nobody = ["unknown", "<unknown>", "unavailable"].iter().any(|word| name.eq_ignore_ascii_case(word));
    // No public number or extension is read out of text with a letter in it.
    let is_text =
        !matches!(number, Some(Number::Other { .. })) && name.bytes().any(|b| b.is_ascii_alphabetic());
    !nobody && (number.is_none() || is_text || plan.read(name).as_ref() != number)
}

/// What a phone system writes before a caller's name to tell the queue, such as `Q-{queue}:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePrefix {
    before: String,
    after: String,
}

impl QueuePrefix {
    /// The queue and the name after it; `None` when the name has no such prefix.
    pub fn split<'a>(&self, name: &'a str) -> Option<(QueueName, &'a str)> {
        let begin = name.get(..self.before.len())?;
        if !begin.eq_ignore_ascii_case(&self.before) {
            return None;
        }
        let (queue, rest) = name.get(self.before.len()..)?.split_once(&self.after)?;
        Some((QueueName::parse(queue).ok()?, rest.trim()))
    }
}

/// Why a text is no [`QueuePrefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("needs `{{queue}}` once, with text after it such as `Q-{{queue}}:`")]
pub struct NoQueuePrefix;

impl FromStr for QueuePrefix {
    type Err = NoQueuePrefix;

    fn from_str(pattern: &str) -> Result<QueuePrefix, NoQueuePrefix> {
        let (before, after) = pattern.trim().split_once("{queue}").ok_or(NoQueuePrefix)?;
        let good = !after.is_empty() && !after.contains("{queue}") && pattern.len() <= 64;
        good.then(|| QueuePrefix { before: before.to_owned(), after: after.to_owned() }).ok_or(NoQueuePrefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_has_one_place_for_the_queue_and_an_end() {
        for good in ["Q-{queue}:", "{queue}:", "[{queue}]", " ({queue}) "] {
            assert!(good.parse::<QueuePrefix>().is_ok(), "{good}");
        }
        for bad in ["", "Q-", "Q-{queue}", "{queue}{queue}:", "{Queue}:"] {
            assert!(bad.parse::<QueuePrefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_prefix_is_split_off_in_any_script() {
        let split = |prefix: &str, name: &str| {
            let prefix: QueuePrefix = prefix.parse().expect("a prefix");
            prefix.split(name).map(|(queue, rest)| format!("{queue}|{rest}"))
        };
        assert_eq!(split("[{queue}]", "[תמיכה] דנה").as_deref(), Some("תמיכה|דנה"));
        assert_eq!(split("תור-{queue}:", "תור-תמיכה: דנה").as_deref(), Some("תמיכה|דנה"));
        assert_eq!(split("Q-{queue}:", "תור"), None);
        assert_eq!(split("{queue}:", &format!("{}: x", "q".repeat(65))), None);
    }
}
