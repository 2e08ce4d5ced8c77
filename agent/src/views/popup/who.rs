//! Who is calling, as far as anybody knows: the small words beside the number, the sentence where there is
//! no customer, and those among whom a person may choose.

use pinkas_protocol::{CallView, Caller, Customer, Verdict, Who};

use super::{Chip, ChoiceData, Note};
use crate::model::{Here, Model};
use crate::theme::Tone;
use crate::words::{self, Words};

pub(super) fn chips(words: &Words, view: &CallView) -> Vec<Chip> {
    let mut chips = Vec::new();
    let mut add = |text: String, tone| chips.push(Chip { text, tone });
    let customer = view.who.customer();
    let caller = &view.facts.caller;
    if view.trial {
        add(words.say("trial"), Tone::Warn);
    }
    match trust(caller) {
        Some(Verdict::Passed) => add(words.say("number-verified"), Tone::Dim),
        Some(Verdict::Failed) => add(words.say("number-forged"), Tone::Warn),
        Some(Verdict::Unchecked) | None => {}
    }
    if let Some(guess) = customer.and_then(|customer| words.guess(customer.matched)) {
        add(guess, Tone::Warn);
    }
    if let Some(class) = customer.and_then(|customer| customer.class.as_deref()) {
        add(words::plain(class), Tone::Good);
    }
    // Without any name it is the name already.
    if caller.withheld && (customer.is_some() || caller.name.is_some()) {
        add(words.say("number-withheld"), Tone::Warn);
    }
    match &view.who {
        Who::Several { customers, .. } if customers.len() > 1 => add(sharers(words, customers), Tone::Warn),
        Who::Unknown { country: Some(code), .. } | Who::NoneOf { country: Some(code), .. } => {
            add(words.country(code), Tone::Dim)
        }
        _ => {}
    }
    if let Some(place) = customer.and_then(|customer| customer.place.as_ref()) {
        add(words::plain(&place.0), Tone::Dim);
    }
    chips
}

/// What may be said of the number: a good signature is worth a word only where it vouches for the number.
fn trust(caller: &Caller) -> Option<Verdict> {
    let said = caller.stir.filter(|_| caller.number.is_some())?;
    (said.verdict != Verdict::Passed || caller.is_verified()).then_some(said.verdict)
}

fn sharers(words: &Words, customers: &[Customer]) -> String {
    // Of a guess the number is not known to be theirs.
    let certain = customers.iter().all(|customer| !customer.matched.is_guess());
    let id = if certain { "share-this-number" } else { "may-be-calling" };
    words.tell(id, &[("count", customers.len().into())])
}

pub(super) fn note(words: &Words, view: &CallView) -> Option<Note> {
    let (text, tone) = match &view.who {
        Who::Asking => (words.say("looking-up"), Tone::Dim),
        Who::Unknown { .. } => (words.say("no-customer"), Tone::Dim),
        Who::NoneOf { .. } => (words.say("none-of-them"), Tone::Dim),
        Who::NoNumber => (words.say("ask-for-number"), Tone::Dim),
        Who::Failed { failure } => {
            (words.tell("not-looked-up", &[("why", (&words.failure(failure)).into())]), Tone::Warn)
        }
        Who::Known { customer } => {
            let manager = words::plain(customer.account_manager.as_deref()?);
            (words.tell("looked-after-by", &[("name", (&manager).into())]), Tone::Dim)
        }
        Who::Several { .. } => return None,
    };
    Some(Note { text, tone })
}

/// Those among whom a person may choose, and none of them. A guess may be confirmed or denied.
pub(super) fn choices(words: &Words, view: &CallView) -> Vec<ChoiceData> {
    let (customers, chosen, none) = match &view.who {
        Who::Several { customers, chosen } => (customers.as_slice(), chosen.as_ref(), false),
        // It may have been a mistake.
        Who::NoneOf { customers, .. } => (customers.as_slice(), None, true),
        Who::Known { customer } if customer.matched.is_guess() => {
            (std::slice::from_ref(customer), None, false)
        }
        _ => return Vec::new(),
    };
    let customers = customers.iter().map(|customer| {
        let class = customer.class.as_deref().map(words::plain);
        let place = customer.place.as_ref().map(|place| words::plain(&place.0));
        let key = words::plain(customer.key.as_str());
        let guess = words.guess(customer.matched);
        let before = customer.chosen_before.then(|| words.say("chosen-before"));
        let details = [guess, before, class, place, Some(key)];
        ChoiceData {
            customer: Some(customer.key.clone()),
            key: None,
            name: words::plain(&customer.name.0),
            detail: words.dots(details.into_iter().flatten()),
            chosen: chosen == Some(&customer.key),
        }
    });
    let none = ChoiceData {
        customer: None,
        key: None,
        name: words.say("none-of-these"),
        detail: String::new(),
        chosen: none,
    };
    let mut choices: Vec<ChoiceData> = customers.chain([none]).collect();
    for (choice, key) in choices.iter_mut().zip(1..=9) {
        choice.key = Some(key);
    }
    choices
}

/// Something is kept back until this person, who talked with the caller, says how the caller was identified.
pub(super) fn can_identify(model: &Model, view: &CallView) -> bool {
    let talked = matches!(model.here(view), Here::Answered { .. } | Here::Left { .. });
    talked && view.cards.iter().any(|card| !card.folded.is_empty())
}
