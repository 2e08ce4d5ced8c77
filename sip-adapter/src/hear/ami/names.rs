//! Whose phone a channel, device or queue member is, by its name. Pure.

use std::str::FromStr;

use pinkas_protocol::Line;

/// How the channels of a line's phone are called: text around `{line}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    before: String,
    after: String,
}

impl FromStr for Pattern {
    type Err = ();

    /// Text with `{line}` in it once, such as `PJSIP/{line}`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (before, after) = text.split_once("{line}").ok_or(())?;
        // `{line}-` is how a channel goes on by itself; written or not, it is the same.
        let after = after.strip_suffix('-').unwrap_or(after);
        if before.is_empty() || after.contains("{line}") {
            return Err(());
        }
        Ok(Pattern { before: before.to_owned(), after: after.to_owned() })
    }
}

impl Pattern {
    /// The line's text in a device such as `PJSIP/101`.
    fn device<'a>(&self, name: &'a str) -> Option<&'a str> {
        let start = name.get(..self.before.len())?;
        if !start.eq_ignore_ascii_case(&self.before) {
            return None;
        }
        name.get(self.before.len()..)?.strip_suffix(self.after.as_str())
    }
}

/// What a channel is to its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// A phone or a trunk.
    Whole,
    /// The half of a Local channel that is dialled, `…;1`: it rings and answers for whoever is behind it.
    One,
    /// The other half, `…;2`: it dials.
    Two,
}

/// The lines that a device such as `PJSIP/101` or a member such as `Local/101@from-queue/n` may be, one
/// for each pattern that fits.
pub fn lines_of_device(name: &str, patterns: &[Pattern]) -> Vec<Line> {
    let fitting = patterns.iter().filter_map(|pattern| pattern.device(name));
    let lines = local(name).into_iter().chain(fitting);
    lines.filter_map(|text| Line::parse(text).ok()).collect()
}

/// The lines that a channel such as `PJSIP/101-0000002a` may be of, and which half it is.
pub fn lines_of_channel(name: &str, patterns: &[Pattern]) -> (Vec<Line>, Half) {
    let half = match name.rsplit_once(';') {
        Some((_, "1")) => Half::One,
        Some((_, "2")) => Half::Two,
        _ => Half::Whole,
    };
    // Names a transfer gave: `AsyncGoto/PJSIP/101-0000002a`, `PJSIP/101-0000002a<ZOMBIE>`.
    let name = name.strip_prefix("AsyncGoto/").unwrap_or(name);
    let name = name.split('<').next().unwrap_or(name);
    let device = if name.starts_with("Local/") {
        name
    } else {
        name.rsplit_once('-').map_or(name, |(device, _)| device)
    };
    (lines_of_device(device, patterns), half)
}

fn local(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("Local/")?;
    let (user, _) = rest.split_once('@')?;
    // FreePBX: `Local/FMPR-101@from-internal`, `Local/RG-600-101@from-internal`
    Some(user.rsplit_once('-').map_or(user, |(_, last)| last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns() -> Vec<Pattern> {
        ["PJSIP/{line}", "SIP/{line}-", "DAHDI/i1/{line}"]
            .iter()
            .map(|p| p.parse().expect("a pattern"))
            .collect()
    }

    #[test]
    fn a_channel_tells_its_line() {
        let check = |name: &str, expected: Option<&str>, half: Half| {
            let (lines, is) = lines_of_channel(name, &patterns());
            assert_eq!((lines.first().map(Line::as_str), is), (expected, half), "{name}");
        };
        check("PJSIP/101-0000002a", Some("101"), Half::Whole);
        check("SIP/101-0000002a", Some("101"), Half::Whole);
        check("PJSIP/desk-7-0000002a", Some("desk-7"), Half::Whole);
        check("Local/101@from-queue-00000001;1", Some("101"), Half::One);
        check("Local/FMPR-101@from-internal-00000001;2", Some("101"), Half::Two);
        check("PJSIP/101-0000002a<ZOMBIE>", Some("101"), Half::Whole);
        check("DAHDI/i1/101-1", Some("101"), Half::Whole);
        check("IAX2/101-55", None, Half::Whole);
        check("", None, Half::Whole);
    }

    #[test]
    fn a_device_or_a_member_tells_its_line() {
        let check = |name: &str, expected: Option<&str>| {
            let lines = lines_of_device(name, &patterns());
            assert_eq!(lines.first().map(Line::as_str), expected, "{name}");
        };
        check("PJSIP/101", Some("101"));
        check("pjsip/101", Some("101"));
        check("Local/101@from-queue/n", Some("101"));
        check("Queue:support_avail", None);
        check("Custom:DND101", None);
    }

    #[test]
    fn a_device_may_fit_several_patterns() {
        let patterns: Vec<Pattern> =
            ["PJSIP/{line}", "PJSIP/99{line}"].iter().map(|p| p.parse().expect("one")).collect();
        let lines = lines_of_device("PJSIP/99101", &patterns);
        assert_eq!(lines.iter().map(Line::as_str).collect::<Vec<_>>(), ["99101", "101"]);
    }

    #[test]
    fn a_pattern_names_the_line_once() {
        for wrong in ["PJSIP/101", "{line}", "A/{line}/{line}"] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }
}
