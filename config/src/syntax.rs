//! What is no TOML, in words: the two mistakes that people make most are named by key and line, the others by what the
//! reader of TOML says. Never quotes a value: it may be a secret.

use toml::de::Error;

use super::section::Notes;

/// Notes what is wrong with the writing of `text`, once for each line.
pub(crate) fn note(text: &str, errors: &[Error], notes: &Notes<'_>) {
    let mut told = Vec::new();
    for error in errors {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        if told.contains(&start) {
            continue;
        }
        told.push(start);
        let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let what = match error.message().contains("duplicate key") {
            true => twice(text, start, line),
            false => unquoted(line),
        };
        notes.add(at, what.unwrap_or_else(|| format!("this is not TOML: {}", error.message())));
    }
}

/// `country = IL`.
fn unquoted(line: &str) -> Option<String> {
    let (key, value) = line.split_once('=')?;
    let (key, value) = (bare(key)?, value.trim());
    if value.is_empty() || value.starts_with('#') {
        return Some(format!("`{key}` has no value: write one, in quotes where it is text"));
    }
    let word = value.chars().next().is_some_and(char::is_alphabetic) && !value.contains(['"', '\'']);
    word.then(|| format!("`{key}` must be in quotes, as all text: write {key} = \"…\""))
}

/// The same key or the same header stands above it. `line` begins at `start`.
fn twice(text: &str, start: usize, line: &str) -> Option<String> {
    let before = text.get(..start)?;
    let header = |line: &str| {
        line.trim()
            .strip_prefix('[')?
            .split(']')
            .next()
            .map(|name| name.trim_start_matches('[').trim().to_owned())
    };
    if let Some(name) = header(line) {
        let first = before.lines().position(|line| header(line).as_ref() == Some(&name));
        let first = first.map_or_else(String::new, |at| format!(", first in line {}", at + 1));
        return Some(format!("[{name}] is written twice{first}: put all its keys under one"));
    }
    let key = bare(line.split('=').next()?)?;
    // Nearest first, and not beyond the header above.
    let above = before.lines().count();
    let mut lines = before.lines().rev().take_while(|line| !line.trim_start().starts_with('['));
    let first = lines.position(|line| line.split_once('=').and_then(|(key, _)| bare(key)) == Some(key));
    let first = first.map_or_else(String::new, |at| format!(", first in line {}", above - at));
    Some(format!("`{key}` is written twice{first}: keep one"))
}

/// A key as it is usually written.
fn bare(key: &str) -> Option<&str> {
    let key = key.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    (!key.is_empty() && key.chars().all(plain)).then_some(key)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn check(text: &str, expected: &str) {
        let read = crate::parse(Path::new("x.toml"), text, |section| {
            section.text("country");
            Some(())
        });
        assert_eq!(read.expect_err("a mistake").to_string(), expected, "{text}");
    }

    #[test]
    fn what_is_no_toml_is_told_by_key_and_line() {
        check(
            "\ncountry = IL\n",
            "x.toml:2: `country` must be in quotes, as all text: write country = \"…\"",
        );
        check("listen = \n", "x.toml:1: `listen` has no value: write one, in quotes where it is text");
        check(
            "[pbx]\na = 1\n\n[other]\na = 1\nb = 1\na = 2\n",
            "x.toml:7: `a` is written twice, first in line 5: keep one",
        );
        check(
            "[pbx]\na = 1\n[ami]\n[pbx]\nb = 2\n",
            "x.toml:4: [pbx] is written twice, first in line 1: put all its keys under one",
        );
        check("country = \"IL\"\n???\n", "x.toml:2: this is not TOML: key with no value, expected `=`");
    }
}
