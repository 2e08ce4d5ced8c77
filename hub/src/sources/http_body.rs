//! The JSON that is posted to a web service, with places for what a question brings. It is read as JSON
//! when the configuration is, and a value is put into a text of it as a value: whatever it holds, the
//! shape of what is sent stays that of the configuration.

use pinkas_protocol::Failure;
use serde_json::Value;

use super::Question;
use super::template::{self, Asks, Braces, Piece, Place};

/// What is posted.
pub struct Body {
    shape: Value,
    asks: Asks,
}

impl Body {
    /// Reads a template; the error is a sentence about what is wrong with it.
    pub fn new(text: &str, asks: Asks) -> Result<Self, String> {
        let shape: Value = serde_json::from_str(text).map_err(|e| {
            format!("it is not JSON (line {}, column {}); places stand inside quotes", e.line(), e.column())
        })?;
        let body = Body { shape, asks };
        let mut mistake = None;
        body.each_text(&body.shape, &mut |text| {
            if let Err(what) = template::pieces(text, Braces::Text, asks) {
                mistake = mistake.take().or(Some(what));
            }
        });
        match mistake {
            Some(what) => Err(what),
            None => Ok(body),
        }
    }

    /// What has to be put in it.
    pub fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        self.each_text(&self.shape, &mut |text| {
            let pieces = template::pieces(text, Braces::Text, self.asks).unwrap_or_default();
            places.extend(template::places(&pieces));
        });
        places
    }

    /// What to send for `question`; an error when it does not bring all that belongs there.
    pub fn for_question(&self, question: &Question) -> Result<Vec<u8>, Failure> {
        let filled = filled(&self.shape, self.asks, question)?;
        Ok(filled.to_string().into_bytes())
    }

    // serde_json bounds how deep a value may be, so these may call themselves.
    fn each_text(&self, value: &Value, with: &mut impl FnMut(&str)) {
        match value {
            Value::String(text) => with(text),
            Value::Array(items) => items.iter().for_each(|item| self.each_text(item, with)),
            Value::Object(members) => members.values().for_each(|member| self.each_text(member, with)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn filled(value: &Value, asks: Asks, question: &Question) -> Result<Value, Failure> {
    Ok(match value {
        Value::String(text) => {
            let mut out = String::new();
            for piece in template::pieces(text, Braces::Text, asks).unwrap_or_default() {
                match piece {
                    Piece::Text(text) => out.push_str(&text),
                    Piece::Place(place) => out.push_str(&place.value(question)?),
                }
            }
            Value::String(out)
        }
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| filled(item, asks, question)).collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let filled =
                members.iter().map(|(name, member)| Ok((name.clone(), filled(member, asks, question)?)));
            Value::Object(filled.collect::<Result<_, Failure>>()?)
        }
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::sources::testing::{HOSTILE, question};

    #[test]
    fn a_hostile_value_stays_one_text_of_the_body() {
        let text = r#"{"query": "query($id: ID!) { balance(of: $id) }", "variables": {"id": "{customer.id}", "n": [7, "tel:{number}"]}}"#;
        let body = Body::new(text, Asks::Lookup).expect("a right body");
        for key in HOSTILE.into_iter().chain(["\"}, \"admin\": true, \"x\": {\"", "\\", "{number}"]) {
            let sent: Value =
                serde_json::from_slice(&body.for_question(&question(key)).expect("sent")).expect("JSON");
            let expected = serde_json::json!({
                "query": "query($id: ID!) { balance(of: $id) }",
                "variables": {"id": key, "n": [7, "tel:+972501234567"]},
            });
            assert_eq!(sent, expected);
        }
    }

    #[test]
    fn what_cannot_be_posted_is_told() {
        let wrong = |text: &str| Body::new(text, Asks::Lookup).err().unwrap_or_default();
        assert!(wrong("{\"id\": {customer.id}}").contains("not JSON (line 1, column 9)"));
        assert!(wrong("{\"id\": \"{customer.nam e}\"}").contains("is not known"));
        let places = |text: &str, asks| Body::new(text, asks).map(|body| body.places().len()).ok();
        assert_eq!(places("{\"id\": \"{tag.vip}\"}", Asks::Lookup), Some(1));
        assert_eq!(places("{\"filter\": [\"{text}\", \"{text.number}\"]}", Asks::Search), Some(2));
    }
}
