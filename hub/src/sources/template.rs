//! Text with places for what a question brings, such as `{number}` or `{customer.id}`. What is put there
//! is hostile (anyone can claim any number), so a template only says *where*; each kind of source puts
//! the value there in its own safe way and none ever pastes it.

use std::borrow::Cow;

use pinkas_protocol::{Failure, TagName};

use super::sought::like;
use super::{Needs, Question};

/// What a place in a template stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The caller's number: E.164, or the digits of an internal number.
    Number,
    /// The caller's number as its own country dials it, digits only.
    National,
    /// The customer's key.
    CustomerId,
    /// What another system knows the customer by, as a directory said.
    CustomerKey(TagName),
    /// What the phone system says of the call.
    Tag(TagName),
    /// What an agent looks for, as typed.
    Text,
    /// The same as a pattern of SQL's `like`, for whatever holds it.
    TextContains,
    /// The same for whatever begins with it.
    TextBegins,
    /// What an agent looks for, where it reads as a phone number; written as [`Place::Number`] is.
    TextNumber,
    /// The same, written as [`Place::National`] is.
    TextNational,
}

/// What is asked with a template: it decides which places there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// About a call or a customer.
    Lookup,
    /// For whom an agent looks.
    Search,
}

impl Place {
    /// The place that `written`, such as `{number}`, stands for.
    fn read(written: &str, asks: Asks) -> Option<Place> {
        let inner = written.strip_prefix('{')?.strip_suffix('}')?;
        if asks == Asks::Search {
            return match inner {
                "text" => Some(Place::Text),
                "text.contains" => Some(Place::TextContains),
                "text.begins" => Some(Place::TextBegins),
                "text.number" => Some(Place::TextNumber),
                "text.number.national" => Some(Place::TextNational),
                _ => None,
            };
        }
        match inner {
            "number" => Some(Place::Number),
            "number.national" => Some(Place::National),
            "customer.id" => Some(Place::CustomerId),
            // Not keys of other systems, whatever a directory calls them: these would be taken for more.
            "customer.name" | "customer.number" => None,
            _ => match inner.split_once('.')? {
                ("customer", name) => plain_name(name).map(Place::CustomerKey),
                ("tag", name) => plain_name(name).map(Place::Tag),
                _ => None,
            },
        }
    }

    /// As it is written.
    pub fn written(&self) -> String {
        match self {
            Place::Number => "{number}".to_owned(),
            Place::National => "{number.national}".to_owned(),
            Place::CustomerId => "{customer.id}".to_owned(),
            Place::CustomerKey(name) => format!("{{customer.{name}}}"),
            Place::Tag(name) => format!("{{tag.{name}}}"),
            Place::Text => "{text}".to_owned(),
            Place::TextContains => "{text.contains}".to_owned(),
            Place::TextBegins => "{text.begins}".to_owned(),
            Place::TextNumber => "{text.number}".to_owned(),
            Place::TextNational => "{text.number.national}".to_owned(),
        }
    }

    /// What the question brings for it; else what is lacking, in words.
    pub fn value<'a>(&self, question: &'a Question) -> Result<Cow<'a, str>, Failure> {
        let customer = question.customer.as_ref();
        let sought = question.sought.as_ref();
        let no_text = || "nobody is looked for".to_owned();
        let no_number = || "what is looked for is no phone number".to_owned();
        let (value, lacking) = match self {
            Place::Number => (
                question.number.as_ref().and_then(|number| number.key()).map(Cow::Borrowed),
                "the call brings no number".to_owned(),
            ),
            Place::National => (
                question.number.as_ref().and_then(|number| number.national()).map(Cow::Owned),
                "the call brings no number".to_owned(),
            ),
            Place::CustomerId => {
                (customer.map(|known| Cow::Borrowed(known.key.as_str())), "no customer is known".to_owned())
            }
            Place::CustomerKey(name) => (
                customer.and_then(|known| known.keys.get(name)).map(|key| Cow::Borrowed(key.0.as_str())),
                match customer {
                    Some(_) => format!("this customer has no {name}"),
                    None => "no customer is known".to_owned(),
                },
            ),
            Place::Tag(name) => (
                question.tags.get(name).map(|value| Cow::Borrowed(value.0.as_str())),
                format!("the call brings no {name}"),
            ),
            Place::Text => (sought.map(|sought| Cow::Borrowed(sought.text())), no_text()),
            Place::TextContains => {
                (sought.map(|sought| Cow::Owned(format!("%{}%", like(sought.text())))), no_text())
            }
            Place::TextBegins => {
                (sought.map(|sought| Cow::Owned(format!("{}%", like(sought.text())))), no_text())
            }
            Place::TextNumber => {
                (sought.and_then(|sought| sought.number()?.key()).map(Cow::Borrowed), no_number())
            }
            Place::TextNational => {
                (sought.and_then(|sought| sought.number()?.national()).map(Cow::Owned), no_number())
            }
        };
        value.ok_or(Failure::NotAsked { what: lacking })
    }

    /// Whether it is the caller's number, however written.
    pub fn is_number(&self) -> bool {
        matches!(self, Place::Number | Place::National)
    }

    /// Whether it is a pattern of SQL's `like`.
    pub fn is_pattern(&self) -> bool {
        matches!(self, Place::TextContains | Place::TextBegins)
    }

    fn needs(&self) -> Needs {
        match self {
            Place::Number | Place::National | Place::Tag(_) => Needs::Call,
            // Never asked about: a search has places of its own.
            Place::Text
            | Place::TextContains
            | Place::TextBegins
            | Place::TextNumber
            | Place::TextNational => Needs::Call,
            Place::CustomerId | Place::CustomerKey(_) => Needs::Customer,
        }
    }
}

/// A name that may stand in a place: of the letters that no kind of source has a meaning for.
fn plain_name(name: &str) -> Option<TagName> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    name.chars().all(plain).then(|| TagName::parse(name).ok()).flatten()
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As written.
    Text(String),
    /// A value goes here.
    Place(Place),
}

/// What braces that are no place mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Braces {
    /// A mistake.
    Places,
    /// Text like any other, as in JSON or GraphQL; what begins like a place must be one all the same.
    Text,
}

/// Splits `text` at its places. The error is a sentence about the first `{…}` that is no place.
pub fn pieces(text: &str, braces: Braces, asks: Asks) -> Result<Vec<Piece>, String> {
    let mut pieces: Vec<Piece> = Vec::new();
    let add_text = |pieces: &mut Vec<Piece>, text: &str| match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Text(before)) => before.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    };
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        add_text(&mut pieces, before);
        let close = from.find('}');
        let written = close.and_then(|close| from.get(..=close));
        if let Some(place) = written.and_then(|written| Place::read(written, asks)) {
            pieces.push(Piece::Place(place));
            rest = &from[written.map_or(0, str::len)..];
            continue;
        }
        let starts: &[&str] = match asks {
            Asks::Lookup => &["{number", "{customer.", "{tag."],
            Asks::Search => &["{text.", "{number", "{customer.", "{tag."],
        };
        let meant = starts.iter().any(|start| from.starts_with(start));
        if braces == Braces::Places || meant {
            let Some(written) = written else { return Err("a `{` is not closed".to_owned()) };
            return Err(match asks {
                Asks::Lookup if written.starts_with("{text") => {
                    format!("{written} is what an agent looks for: it belongs in `search`")
                }
                Asks::Lookup => format!(
                    "{written} is not known; {{number}}, {{number.national}}, {{customer.id}}, {{customer.KEY}} and {{tag.NAME}} are"
                ),
                Asks::Search => format!(
                    "{written} is not known in a search; {{text}}, {{text.contains}}, {{text.begins}}, {{text.number}} and {{text.number.national}} are"
                ),
            });
        }
        add_text(&mut pieces, "{");
        rest = &from[1..];
    }
    add_text(&mut pieces, rest);
    Ok(pieces)
}

/// The places among `pieces`, in their order.
pub fn places(pieces: &[Piece]) -> Vec<Place> {
    let place = |piece: &Piece| match piece {
        Piece::Place(place) => Some(place.clone()),
        Piece::Text(_) => None,
    };
    pieces.iter().filter_map(place).collect()
}

/// Whether the places are the right ones for what the source is to give, and then what it needs; the
/// error says what to write.
pub fn fitting(places: &[Place], asks_who: bool) -> Result<Needs, String> {
    let needs = places.iter().map(Place::needs).max().ok_or_else(|| {
        let everyone = match asks_who {
            true => "it holds no {number}, so it would find the same customer for every caller",
            false => "it holds no {customer.id}, so every customer would get the same answer",
        };
        everyone.to_owned()
    })?;
    match places.iter().find(|place| place.needs() == Needs::Customer) {
        Some(place) if asks_who => {
            Err(format!("{} is not known yet when a directory is asked; use {{number}}", place.written()))
        }
        _ => Ok(needs),
    }
}

/// Whether a search asks for what the agent typed; the error says what to write.
pub fn searching(places: &[Place]) -> Result<(), String> {
    match places {
        [] => Err("it holds no {text}, so it would find the same customers whoever is looked for".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinkas_protocol::Private;

    use crate::sources::testing::question;

    fn name(text: &str) -> TagName {
        TagName::parse(text).expect("a name")
    }

    #[test]
    fn a_template_is_split_at_its_places() {
        let found =
            pieces("a/{customer.id}?n={number}&t={tag.vip}{customer.tax_id}", Braces::Places, Asks::Lookup);
        let expected = vec![
            Piece::Text("a/".to_owned()),
            Piece::Place(Place::CustomerId),
            Piece::Text("?n=".to_owned()),
            Piece::Place(Place::Number),
            Piece::Text("&t=".to_owned()),
            Piece::Place(Place::Tag(name("vip"))),
            Piece::Place(Place::CustomerKey(name("tax_id"))),
        ];
        assert_eq!(found, Ok(expected));
        let graph = pieces("query { balance(of: \"{number.national}\") }", Braces::Text, Asks::Lookup);
        let expected = vec![
            Piece::Text("query { balance(of: \"".to_owned()),
            Piece::Place(Place::National),
            Piece::Text("\") }".to_owned()),
        ];
        assert_eq!(graph, Ok(expected));
    }

    #[test]
    fn what_is_no_place_is_told() {
        for wrong in ["{customer.name}", "{number.e164}", "{tag.}", "{customer.a b}", "{tag.a'b}", "{x}"] {
            let told = pieces(&format!("x{wrong}"), Braces::Places, Asks::Lookup).expect_err("no place");
            assert!(told.starts_with(&format!("{wrong} is not known; {{number}}")), "{told}");
        }
        assert_eq!(pieces("x{number", Braces::Places, Asks::Lookup), Err("a `{` is not closed".to_owned()));
        assert!(pieces("{ \"x\": {customer.name} }", Braces::Text, Asks::Lookup).is_err());
    }

    #[test]
    fn a_search_has_places_of_its_own_and_no_others() {
        let found = pieces("{text}{text.contains}{text.begins}{text.number}", Braces::Places, Asks::Search);
        let written: Vec<_> = places(&found.expect("places")).iter().map(|place| place.written()).collect();
        assert_eq!(written, ["{text}", "{text.contains}", "{text.begins}", "{text.number}"]);
        for wrong in ["{number}", "{customer.id}", "{tag.vip}", "{text.ends}"] {
            let told = pieces(wrong, Braces::Text, Asks::Search).expect_err("no place of a search");
            assert!(told.starts_with(&format!("{wrong} is not known in a search; {{text}}")), "{told}");
        }
        let told = pieces("{text}", Braces::Places, Asks::Lookup).expect_err("a place of a search");
        assert!(told.contains("belongs in `search`"), "{told}");
        // GraphQL, squeezed.
        assert!(pieces("notes{text date}", Braces::Text, Asks::Search).is_ok());
        assert!(
            pieces("notes{text}", Braces::Text, Asks::Lookup).is_ok_and(|found| places(&found).is_empty())
        );
        assert!(searching(&[]).is_err() && searching(&[Place::Text]).is_ok());
    }

    #[test]
    fn a_directory_is_asked_by_what_the_call_brings_and_everything_else_by_either() {
        let who = [Place::Number, Place::Tag(name("customer"))];
        assert_eq!(fitting(&who, true), Ok(Needs::Call));
        assert!(fitting(&[Place::CustomerId], true).is_err());
        assert!(fitting(&[], true).is_err());
        assert_eq!(fitting(&[Place::CustomerId, Place::Number], false), Ok(Needs::Customer));
        assert_eq!(fitting(&who, false), Ok(Needs::Call));
        assert!(fitting(&[], false).is_err());
    }

    #[test]
    fn what_a_question_does_not_bring_is_told_in_words() {
        let mut asked = question("1001");
        let value = |place: &Place, asked: &Question| {
            place.value(asked).map(Cow::into_owned).map_err(|failure| failure.to_string())
        };
        assert_eq!(value(&Place::National, &asked), Ok("0501234567".to_owned()));
        let tax = Place::CustomerKey(name("tax_id"));
        assert_eq!(value(&tax, &asked), Err("not asked: this customer has no tax_id".to_owned()));
        asked.customer.as_mut().expect("a customer").keys.insert(name("tax_id"), Private("51".to_owned()));
        assert_eq!(value(&tax, &asked), Ok("51".to_owned()));
        let vip = Place::Tag(name("vip"));
        assert_eq!(value(&vip, &asked), Err("not asked: the call brings no vip".to_owned()));
        asked.tags.insert(name("vip"), Private("yes".to_owned()));
        assert_eq!(value(&vip, &asked), Ok("yes".to_owned()));
        asked.number = None;
        asked.customer = None;
        assert_eq!(value(&Place::Number, &asked), Err("not asked: the call brings no number".to_owned()));
        assert_eq!(value(&tax, &asked), Err("not asked: no customer is known".to_owned()));
    }
}
