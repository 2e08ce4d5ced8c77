//! Who is calling, out of what the directories said: the same person known to several of them is made one,
//! each is given the reason for being offered, and the likeliest come first. Pure. A guess is always marked,
//! and caller ID is only a claim: what is made of it here is an offer to a person, never a proof.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use pinkas_protocol::card::{MOST_KEYS, MOST_NUMBERS, Match};
use pinkas_protocol::{CallFacts, Customer, CustomerKey, Failure, Number, Private, TagName};

/// More customers on one number than an agent could choose from are not offered.
pub const MOST_OFFERED: usize = 10;

/// When more customers than these could be guessed, none is: it would be no guess.
pub const MOST_GUESSES: usize = 5;

/// The most last digits in which numbers of one company may differ.
pub const LONGEST_STEM: u8 = 4;

/// The fewest last digits that may stand for a whole number.
pub const FEWEST_DIGITS: u8 = 7;

/// What the configuration says about finding customers; by default only by whole numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// The tag that carries the customer number a caller keyed in.
    pub customer_tag: Option<TagName>,
    /// How a customer may be guessed where no directory knows the whole number.
    pub guess: Guess,
}

/// How a customer may be guessed; 0 is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Guess {
    /// A caller whose number differs from a customer's in at most so many last digits is taken for a phone of
    /// that company; at most [`LONGEST_STEM`].
    pub stem: u8,
    /// A caller whose last so many digits are a customer's is taken for that customer; at least
    /// [`FEWEST_DIGITS`].
    pub last_digits: u8,
}

/// What a call brings that sources are asked with. What was found by other things is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Brought {
    /// The caller's number, as claimed; nothing when the caller withheld it.
    pub number: Option<Number>,
    /// What the phone system says besides.
    pub tags: BTreeMap<TagName, Private<String>>,
}

impl Brought {
    /// What a call brings, as far as it is known.
    pub fn by(facts: &CallFacts) -> Brought {
        let number = facts.caller.number.clone().filter(|_| !facts.caller.withheld);
        Brought { number, tags: facts.tags.clone() }
    }

    /// The customer number the caller keyed in.
    pub fn keyed_in(&self, rules: &Rules) -> Option<&str> {
        let keyed = self.tags.get(rules.customer_tag.as_ref()?)?.0.trim();
        // A caller ends with `#` what a menu asks for.
        let keyed = keyed.strip_suffix('#').unwrap_or(keyed).trim();
        (!keyed.is_empty()).then_some(keyed)
    }

    /// Whether there is anything by which a directory could find somebody.
    pub fn can_be_asked(&self, rules: &Rules) -> bool {
        self.number.as_ref().is_some_and(|number| number.key().is_some()) || self.keyed_in(rules).is_some()
    }

    /// The number by which a customer may be guessed: never a phone of the company, and none without a number.
    pub fn guessable(&self, rules: &Rules) -> Option<&Number> {
        let wanted = rules.guess.stem > 0 || rules.guess.last_digits > 0;
        self.number.as_ref().filter(|number| wanted && matches!(number, Number::E164 { .. }))
    }
}

/// What may be looked for in a directory that holds all its customers in memory.
#[derive(Debug, Clone)]
pub enum Search {
    /// Whoever has this key, or is known by it elsewhere.
    Key(Private<String>),
    /// Whoever may be guessed by this number.
    Like(Number, Guess),
}

impl Search {
    /// Why a customer who has `number` in the directory is one of those looked for, if so.
    pub fn finds(&self, customer: &Customer, number: &str) -> Option<Match> {
        match self {
            Search::Key(key) => is_known_by(customer, &key.0).then_some(Match::KeyedIn),
            Search::Like(caller, guess) => guessed(caller.key()?, number, *guess),
        }
    }
}

/// How well a customer fits what an agent looks for, the smaller the better; `None`: not at all. `text` is in small
/// letters, `number` what it reads as, and `theirs` one of the customer's numbers in the same form.
pub fn fits(customer: &Customer, theirs: &str, text: &str, number: Option<&str>) -> Option<u8> {
    if is_known_by(customer, text) || customer.key.as_str().to_lowercase() == text {
        return Some(0);
    }
    if number == Some(theirs) {
        return Some(1);
    }
    let name = customer.name.0.to_lowercase();
    name.find(text).map(|at| if at == 0 { 2 } else { 3 })
}

/// What of the whole is the caller's number in that of a customer, if anything. Both in E.164 form.
pub fn guessed(caller: &str, theirs: &str, guess: Guess) -> Option<Match> {
    if caller == theirs || !caller.starts_with('+') || !theirs.starts_with('+') {
        return None;
    }
    let begins = caller.bytes().zip(theirs.bytes()).take_while(|(one, two)| one == two).count();
    let ends = caller.bytes().rev().zip(theirs.bytes().rev()).take_while(|(one, two)| one == two).count();
    let differ = caller.len() - begins;
    if caller.len() == theirs.len() && differ <= usize::from(guess.stem.min(LONGEST_STEM)) {
        return Some(Match::CompanyNumber);
    }
    let enough = guess.last_digits > 0 && ends >= usize::from(guess.last_digits.max(FEWEST_DIGITS));
    enough.then(|| Match::LastDigits { digits: u8::try_from(ends).unwrap_or(u8::MAX) })
}

/// Everyone the directories found, the same person once; a failure only when nobody was found. The order is
/// that of the directories, and in each its own.
pub fn merged(
    answers: Vec<Result<Vec<Customer>, Failure>>,
    brought: &Brought,
    rules: &Rules,
) -> Result<Vec<Customer>, Failure> {
    let mut found = Vec::new();
    let mut failed = None;
    for answer in answers {
        match answer {
            Ok(customers) => found.extend(customers.into_iter().filter_map(|c| reasoned(c, brought, rules))),
            // A directory that is asked by something this call does not bring.
            Err(Failure::NotAsked { .. }) => {}
            Err(failure) => failed = failed.or(Some(failure)),
        }
    }
    match failed {
        Some(failure) if found.is_empty() => Err(failure),
        _ => Ok(joined(found)),
    }
}

/// The customer with what ties it to the call; `None` when that is nothing.
fn reasoned(mut customer: Customer, brought: &Brought, rules: &Rules) -> Option<Customer> {
    let number = brought.number.as_ref().filter(|number| number.key().is_some());
    let keyed = brought.keyed_in(rules);
    customer.matched = match (keyed, number) {
        (Some(keyed), _) if is_known_by(&customer, keyed) => Match::KeyedIn,
        // There was nothing else to ask with, so what was keyed in is theirs in some way.
        (Some(_), None) => Match::KeyedIn,
        (_, Some(number)) if customer.matched == Match::Number => by_numbers(&customer, number)?,
        _ => customer.matched,
    };
    Some(customer)
}

/// A directory may find people by part of a number. Where it tells their numbers, that can be seen.
fn by_numbers(customer: &Customer, caller: &Number) -> Option<Match> {
    if customer.numbers.is_empty() || customer.numbers.contains(caller) {
        return Some(Match::Number);
    }
    // A phone of the company is never one of a customer's by part of its number.
    let Number::E164 { e164 } = caller else { return None };
    let guess = Guess { stem: LONGEST_STEM, last_digits: FEWEST_DIGITS };
    let like = customer.numbers.iter().filter_map(|theirs| guessed(e164, theirs.key()?, guess));
    // Nothing in common: the directory found them by a number that it does not tell.
    Some(like.min_by_key(|matched| rank(*matched)).unwrap_or(Match::Number))
}

fn is_known_by(customer: &Customer, key: &str) -> bool {
    customer.key.as_str() == key || customer.keys.values().any(|theirs| theirs.0 == key)
}

/// The same person from several directories made one: by the same key, or by one key of another system that
/// both tell. Of each fact the first directory's word counts, the others fill gaps. Two customers of one
/// directory stay two, whatever they share: branches of a company share its tax number.
pub fn joined(found: Vec<Customer>) -> Vec<Customer> {
    // Places in `found`, those of one person together.
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (at, customer) in found.iter().enumerate() {
        let mut home = vec![at];
        // Whoever links several groups makes one of them, where each directory still has one customer in it.
        groups.retain(|group| {
            let same = group.iter().any(|other| same_person(&found[*other], customer));
            let fits = group.iter().all(|a| home.iter().all(|b| may_be_one(&found[*a], &found[*b])));
            if same && fits {
                home.extend(group);
            }
            !(same && fits)
        });
        home.sort_unstable();
        groups.push(home);
    }
    groups.sort_unstable();
    let mut found: Vec<Option<Customer>> = found.into_iter().map(Some).collect();
    let whole = |group: Vec<usize>| group.into_iter().filter_map(|at| found[at].take()).reduce(filled);
    groups.into_iter().filter_map(whole).collect()
}

fn same_person(one: &Customer, two: &Customer) -> bool {
    let shared =
        |(name, key): (&TagName, &Private<String>)| two.keys.get(name) == Some(key) && is_a_key(&key.0);
    one.key == two.key || one.keys.iter().any(shared)
}

/// What people write where there is none would make everyone one.
fn is_a_key(key: &str) -> bool {
    key.chars().any(|c| c.is_alphanumeric() && c != '0')
}

fn may_be_one(one: &Customer, two: &Customer) -> bool {
    one.source != two.source || one.key == two.key
}

fn filled(first: Customer, other: Customer) -> Customer {
    let mut numbers = first.numbers;
    numbers.extend(other.numbers);
    let mut seen = std::collections::BTreeSet::new();
    numbers.retain(|number| seen.insert(number.clone()));
    numbers.truncate(MOST_NUMBERS);
    let mut keys = first.keys;
    for (name, key) in other.keys {
        if keys.len() < MOST_KEYS {
            keys.entry(name).or_insert(key);
        }
    }
    Customer {
        matched: if rank(other.matched) < rank(first.matched) { other.matched } else { first.matched },
        chosen_before: first.chosen_before || other.chosen_before,
        class: first.class.or(other.class),
        place: first.place.or(other.place),
        account_manager: first.account_manager.or(other.account_manager),
        language: first.language.or(other.language),
        numbers,
        keys,
        key: first.key,
        name: first.name,
        source: first.source,
    }
}

/// What is to be said of who is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offered {
    /// Nobody was found.
    Nobody,
    /// This customer, and no other comes into question.
    One(Customer),
    /// Whoever answers has to choose.
    Several(Vec<Customer>),
}

/// What an agent said before of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before<'a> {
    /// Nothing.
    Nothing,
    /// It was this customer.
    Chose(&'a CustomerKey),
    /// It was none of those found.
    ChoseNone,
}

/// Whom to offer, the likeliest first. What was keyed in outranks caller ID; guesses count only where nobody
/// has the whole number, and when they are few, or when they were chosen before. Who was chosen before is
/// offered first and, among several, still never taken silently.
pub fn offered(mut found: Vec<Customer>, before: &Before<'_>) -> Offered {
    for customer in &mut found {
        customer.chosen_before = matches!(before, Before::Chose(key) if customer.key == **key);
    }
    let keyed_in = found.iter().any(|customer| customer.matched == Match::KeyedIn);
    let exact = found.iter().any(|customer| !customer.matched.is_guess());
    let guesses = found.iter().filter(|customer| customer.matched.is_guess()).count();
    found.retain(|customer| {
        let guess = customer.matched.is_guess();
        let usable = !guess || customer.chosen_before || (!exact && guesses <= MOST_GUESSES);
        if keyed_in { customer.matched == Match::KeyedIn } else { usable }
    });
    found.sort_by_key(|customer| (!customer.chosen_before, rank(customer.matched)));
    found.truncate(MOST_OFFERED);
    let doubted = *before == Before::ChoseNone && !keyed_in;
    match found.len() {
        0 => Offered::Nobody,
        1 if !doubted => found.pop().map_or(Offered::Nobody, Offered::One),
        _ => Offered::Several(found),
    }
}

/// The smaller the surer.
fn rank(matched: Match) -> (u8, u8) {
    match matched {
        Match::KeyedIn => (0, 0),
        Match::Number => (1, 0),
        Match::CompanyNumber => (2, 0),
        Match::LastDigits { digits } => (3, u8::MAX - digits),
        Match::Searched => (1, 1),
    }
}

/// Why a customer is offered, in words for people; nothing where the whole number is theirs.
pub fn reason(matched: Match) -> Option<String> {
    match matched {
        Match::Number => None,
        Match::KeyedIn => Some("keyed in".to_owned()),
        Match::Searched => Some("said by an agent".to_owned()),
        Match::CompanyNumber => Some("a guess: the number begins like theirs".to_owned()),
        Match::LastDigits { digits } => Some(format!("a guess: the last {digits} digits are theirs")),
    }
}
