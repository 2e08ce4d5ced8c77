//! Reading a TOML configuration so that a person gets all mistakes at once, each with file, line and
//! what to do. Used by every program; the only place that opens configuration and secret files.
//! Every key a program reads it names here; keys nobody asked for are reported as unknown.

pub mod program;
mod section;
mod syntax;

use std::fmt;
use std::path::{Path, PathBuf};

use pinkas_protocol::Private;

pub use section::{Section, duration};

/// One thing wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// From 1.
    pub line: usize,
    /// What is wrong and what to write instead. Never quotes a secret.
    pub what: String,
}

/// Everything wrong with one configuration file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    /// The file, as the person named it.
    pub file: PathBuf,
    /// At least one.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.mistakes.iter().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{}: {}", self.file.display(), mistake.line, mistake.what)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Reads `file` with `build`, which names every key it knows. Paths in the file are relative to it.
///
/// The value is returned only when there was no mistake at all.
pub fn load<T>(file: &Path, build: impl FnOnce(&mut Section<'_>) -> Option<T>) -> Result<T, Mistakes> {
    match std::fs::read_to_string(file) {
        Ok(text) => parse(file, &text, build),
        Err(e) => Err(Mistakes {
            file: file.to_owned(),
            mistakes: vec![Mistake {
                line: 1,
                what: format!("cannot read this file: {e}; --print-default prints one to start from"),
            }],
        }),
    }
}

/// As [`load`], from text already read; `file` names it in messages and is what paths are relative to.
pub fn parse<T>(
    file: &Path,
    text: &str,
    build: impl FnOnce(&mut Section<'_>) -> Option<T>,
) -> Result<T, Mistakes> {
    let notes = section::Notes::new(file, text);
    let (table, errors) = toml::de::DeTable::parse_recoverable(text);
    syntax::note(text, &errors, &notes);
    let value = if notes.is_empty() {
        let mut section = Section::root(table.get_ref(), &notes);
        build(&mut section)
    } else {
        None
    };
    let mut mistakes = notes.into_mistakes();
    mistakes.sort_by_key(|mistake| mistake.line);
    match value {
        Some(value) if mistakes.is_empty() => Ok(value),
        _ => {
            if mistakes.is_empty() {
                mistakes.push(Mistake { line: 1, what: "something needed is missing".to_owned() });
            }
            Err(Mistakes { file: file.to_owned(), mistakes })
        }
    }
}

/// A secret, from where the configuration says it is.
pub type Secret = Private<String>;

fn secret_from_env(name: &str) -> Result<Secret, String> {
    match std::env::var(name) {
        Ok(value) if !value.trim().is_empty() => Ok(Private(value.trim().to_owned())),
        Ok(_) => Err(format!(
            "the environment variable {name} is empty; put the secret there, or name a file with `…_file` instead"
        )),
        Err(_) => Err(format!(
            "the environment variable {name} is not set; put the secret there, or name a file with `…_file` instead"
        )),
    }
}

fn secret_from_file(path: &Path) -> Result<Secret, String> {
    match std::fs::read_to_string(path) {
        Ok(value) if !value.trim().is_empty() => Ok(Private(value.trim().to_owned())),
        Ok(_) => Err(format!("the file {} is empty; put the secret there", path.display())),
        Err(e) => Err(format!("cannot read the secret from {}: {e}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[derive(Debug, PartialEq)]
    struct Sample {
        listen: std::net::SocketAddr,
        deadline: Duration,
        lines: Vec<String>,
    }

    fn sample(section: &mut Section<'_>) -> Option<Sample> {
        let listen = section.need_parsed("listen", "an address and port such as \"127.0.0.1:7420\"");
        let deadline = section.duration("deadline").unwrap_or(Duration::from_secs(1));
        let lines = section.texts("lines");
        Some(Sample { listen: listen?, deadline, lines })
    }

    fn check(text: &str, expected: &str) {
        let found = match parse(Path::new("x.toml"), text, sample) {
            Ok(sample) => format!("{sample:?}"),
            Err(mistakes) => mistakes.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_right_file_is_read() {
        check(
            "listen = \"127.0.0.1:7420\"\ndeadline = \"800ms\"\nlines = [\"101\"]",
            "Sample { listen: 127.0.0.1:7420, deadline: 800ms, lines: [\"101\"] }",
        );
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_lines() {
        check(
            "deadlin = \"1s\"\n\nlines = [1, \"\"]\ndeadline = \"soon\"",
            "x.toml:1: `listen` is missing: write an address and port such as \"127.0.0.1:7420\"\n\
             x.toml:1: `deadlin` is not a key here; did you mean `deadline`?\n\
             x.toml:3: `lines` holds something that is not text: write it in quotes\n\
             x.toml:4: `deadline` must be a duration such as \"800ms\", \"30s\" or \"5m\"",
        );
    }

    #[test]
    fn a_secret_comes_from_a_file_and_its_absence_names_the_place() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("secret"), "s3cret\n").expect("written");
        let read =
            |text: &str| parse(&dir.path().join("c.toml"), text, |section| section.need_secret("secret"));
        assert_eq!(read("secret_file = \"secret\"").expect("a secret").0, "s3cret");
        let missing = read("").expect_err("no secret").to_string();
        assert!(missing.contains("`secret_env` or `secret_file` is missing"), "{missing}");
        let inline = read("secret = \"abc\"").expect_err("a secret in the file").to_string();
        assert!(inline.contains("c.toml:1: do not write the secret here"), "{inline}");
        assert!(!inline.contains("abc"), "{inline}");
    }
}
