//! Text with places for what a question brings: `{number}` and `{customer.id}`. What is put there is
//! hostile (anyone can claim any number), so a template only says *where*; each kind of source puts the
//! value there in its own safe way and none ever pastes it.

use super::Question;

/// What a place in a template stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The caller's number: E.164, or the digits of an internal number.
    Number,
    /// The customer's key.
    CustomerId,
}

impl Place {
    /// As it is written.
    pub fn written(self) -> &'static str {
        match self {
            Place::Number => "{number}",
            Place::CustomerId => "{customer.id}",
        }
    }

    /// What the question brings for it; `None` when it brings nothing that may be looked up.
    pub fn value(self, question: &Question) -> Option<&str> {
        match self {
            Place::Number => question.number.as_ref()?.key(),
            Place::CustomerId => question.customer.as_ref().map(|customer| customer.key.as_str()),
        }
    }
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As written.
    Text(String),
    /// A value goes here.
    Place(Place),
}

/// Splits `text` at its places. The error is a sentence about the first `{…}` that is no place.
pub fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        let Some(close) = from.find('}') else {
            return Err("a `{` is not closed".to_owned());
        };
        let (written, after) = from.split_at(close + 1);
        let place = [Place::Number, Place::CustomerId].into_iter().find(|place| place.written() == written);
        let Some(place) = place else {
            return Err(format!("{written} is not known; {{number}} and {{customer.id}} are"));
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Place(place));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// Whether the places are the right ones for what the source is to give; the error says what to write.
pub fn fitting(places: &[Place], asks_who: bool) -> Result<(), String> {
    if asks_who && places.contains(&Place::CustomerId) {
        Err("{customer.id} is not known yet when a directory is asked; use {number}".to_owned())
    } else if asks_who && places.is_empty() {
        Err("it holds no {number}, so it would find the same customer for every caller".to_owned())
    } else if places.is_empty() {
        Err("it holds no {customer.id}, so every customer would get the same answer".to_owned())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_split_at_its_places() {
        let found = pieces("a/{customer.id}?n={number}");
        let expected = vec![
            Piece::Text("a/".to_owned()),
            Piece::Place(Place::CustomerId),
            Piece::Text("?n=".to_owned()),
            Piece::Place(Place::Number),
        ];
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn what_is_no_place_is_told() {
        assert_eq!(
            pieces("x{customer.name}"),
            Err("{customer.name} is not known; {number} and {customer.id} are".to_owned())
        );
        assert_eq!(pieces("x{number"), Err("a `{` is not closed".to_owned()));
    }

    #[test]
    fn a_directory_is_asked_by_number_and_everything_else_by_customer() {
        assert!(fitting(&[Place::Number], true).is_ok());
        assert!(fitting(&[Place::CustomerId], true).is_err());
        assert!(fitting(&[], true).is_err());
        assert!(fitting(&[Place::CustomerId], false).is_ok());
        assert!(fitting(&[], false).is_err());
    }
}
