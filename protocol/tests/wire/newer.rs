//! What a newer hub says to this desktop: fields and kinds of cards that nobody here knows. They are passed
//! over or shown as what they are; the rest of the message comes through whole.

use serde_json::{Value, json};

use super::*;

/// Members whose value is a map by a name of somebody's, or names one of several kinds: one more would be no field.
const MAPS: [&str; 9] = ["how", "calls", "lines", "adapters", "missed", "offers", "pauses", "tags", "keys"];

#[test]
fn a_field_that_is_not_known_is_passed_over_wherever_it_stands() {
    let text = hub_says_to_desktop();
    let messages: Vec<&str> = text.lines().skip(1).step_by(2).collect();
    assert!(messages.len() > 20);
    for message in messages {
        let mut newer: Value = serde_json::from_str(message).expect("a message");
        let added = add_fields(&mut newer, Object::Message);
        assert!(added > 0);
        assert_eq!(decode(&newer.to_string()), decode(message), "{newer}");
    }
    for text in cards_in_every_state().lines().skip(1).step_by(2) {
        let mut newer: Value = serde_json::from_str(text).expect("a card");
        add_fields(&mut newer, Object::Message);
        assert_eq!(wire::decode::<Card>(&newer.to_string()), wire::decode::<Card>(text), "{newer}");
    }
}

#[test]
fn a_card_of_a_kind_that_is_not_known_is_one_among_the_others() {
    let forecast = json!({
        "source": "insight", "gives": "forecast", "title": "Next purchase", "customer": "1001", "state": "filled",
        "facts": {"gives": "forecast", "product": "Paint", "chance": 0.7, "of": [{"deep": [1, null]}]},
        "as_of": "2026-11-22T10:00:00Z", "took_ms": 4,
    });
    let known = wire::encode(&cards()[0]);
    let known: Value = serde_json::from_str(&known).expect("a card");
    let who = json!({"say": "update", "update": {
        "update": "who", "call": call(), "who": "no_number", "cards": [known, forecast],
    }});
    let HubToAgent::Update { update: Update::Who { cards: found, .. } } = decode(&who.to_string()) else {
        panic!("an update")
    };
    assert_eq!(found[0], cards()[0]);
    let newer = &found[1];
    assert_eq!(
        (newer.gives, newer.title(), newer.source.as_str()),
        (Gives::Custom, "Next purchase", "insight")
    );
    let CardState::Filled { facts, took_ms: 4, .. } = &newer.state else { panic!("filled") };
    assert_eq!(*facts, Facts::Newer);

    let mut waits = forecast;
    waits["state"] = json!("waiting");
    let alone = json!({"say": "update", "update": {"update": "card", "call": call(), "card": waits}});
    let HubToAgent::Update { update: Update::Card { card, .. } } = decode(&alone.to_string()) else {
        panic!("an update")
    };
    assert_eq!((card.gives, card.state), (Gives::Custom, CardState::Waiting));
}

fn decode(text: &str) -> HubToAgent {
    wire::decode(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

enum Object {
    Message,
    Map,
}

/// Puts an unknown field into every object; how many.
fn add_fields(value: &mut Value, kind: Object) -> usize {
    match value {
        Value::Array(items) => items.iter_mut().map(|item| add_fields(item, Object::Message)).sum(),
        Value::Object(members) => {
            let inside = members.iter_mut().map(|(name, value)| {
                let map = MAPS.contains(&name.as_str());
                add_fields(value, if map { Object::Map } else { Object::Message })
            });
            let inside: usize = inside.sum();
            if matches!(kind, Object::Map) {
                return inside;
            }
            members.insert("newer".to_owned(), json!({"deep": [1, "two", null, {"three": 3.5}]}));
            inside + 1
        }
        _ => 0,
    }
}
