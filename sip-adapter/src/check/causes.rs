//! Errors in words, as `check` says them. Our own sentences stand as they are; below them come words for what a
//! library said.

use pinkas_link::causes;

/// An error as one line, each cause behind the one before.
pub fn in_words(error: &anyhow::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    for cause in error.chain() {
        let io = cause.downcast_ref().map(causes::io);
        let words = io.or_else(|| cause.downcast_ref().map(causes::tls));
        let last = words.is_some();
        said.push(words.unwrap_or_else(|| cause.to_string()));
        // What a library says below that is the same once more.
        if last {
            break;
        }
    }
    said.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_sentences_stand_and_a_librarys_do_not() {
        let refused = anyhow::Error::new(std::io::Error::from_raw_os_error(111)).context("cannot connect");
        assert_eq!(in_words(&refused), "cannot connect: nothing listens there");
        assert_eq!(in_words(&anyhow::anyhow!("as we said it")), "as we said it");
    }
}
