//! Who it is, from what the directories said: each rule in a table of small cases.

use super::*;

fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("an id")
}

fn e164(digits: &str) -> Number {
    Number::E164 { e164: digits.to_owned() }
}

/// `directory:key tax=5 +972501234567 class`: one customer, with keys, numbers and facts.
fn customer(text: &str) -> Customer {
    let (directory, rest) = text.split_once(':').expect("a directory");
    let mut words = rest.split_whitespace();
    let key = words.next().expect("a key");
    let mut customer = Customer::new(id(key), format!("{directory}{key}"), id(directory));
    for word in words {
        match word.split_once('=') {
            Some(("class", class)) => customer.class = Some(class.to_owned()),
            Some(("manager", manager)) => customer.account_manager = Some(manager.to_owned()),
            Some(("last", digits)) => {
                customer.matched = Match::LastDigits { digits: digits.parse().expect("a count") };
            }
            Some((name, key)) => drop(customer.keys.insert(id(name), Private(key.to_owned()))),
            None if word == "stem" => customer.matched = Match::CompanyNumber,
            None => customer.numbers.push(e164(word)),
        }
    }
    customer
}

fn customers(text: &str) -> Vec<Customer> {
    text.split(';').filter(|one| !one.trim().is_empty()).map(|one| customer(one.trim())).collect()
}

fn keys(customers: &[Customer]) -> String {
    customers.iter().map(|customer| customer.key.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_same_person_from_several_directories_is_one() {
    for (found, expected) in [
        ("", ""),
        ("a:1; b:2", "1 2"),
        ("a:1; b:1", "1"),
        ("a:1 tax=5; b:9 tax=5", "1"),
        ("a:1 tax=5; b:9 tax=6", "1 9"),
        ("a:1 tax=5; b:9 shop=5", "1 9"),
        // One who links two makes all of them one, in whatever order they come.
        ("a:1 tax=5; b:9 shop=7; c:8 tax=5 shop=7", "1"),
        ("a:1 tax=5; c:8 tax=5 shop=7; b:9 shop=7", "1"),
        ("a:1 tax=5; b:9; c:9 tax=5", "1"),
        // Branches that share a tax number are two customers, and stay two whoever else knows it.
        ("a:1 tax=5; a:2 tax=5", "1 2"),
        ("a:1 tax=5; a:2 tax=5; b:9 tax=5", "1 2"),
        ("a:1 tax=5; a:2 shop=7; b:9 tax=5 shop=7", "1 2"),
        // What stands where there is no number makes nobody one.
        ("a:1 tax=0; b:2 tax=0; a:3 tax=-; b:4 tax=-; a:5 tax=000; b:6 tax=000", "1 2 3 4 5 6"),
    ] {
        assert_eq!(keys(&joined(customers(found))), expected, "{found}");
    }
}

#[test]
fn the_first_directory_counts_and_the_others_fill_gaps() {
    let found = "a:1 tax=5 class=VIP +4811; b:9 tax=5 shop=7 class=new manager=Dana +4811 +4822";
    let joined = joined(customers(found));
    let expected = Customer {
        name: Private("a1".to_owned()),
        ..customer("a:1 tax=5 shop=7 class=VIP manager=Dana +4811 +4822")
    };
    assert_eq!(joined, vec![expected]);
}

#[test]
fn a_guess_needs_the_same_beginning_or_enough_of_the_end() {
    let check = |caller, theirs, stem, last_digits, expected: Option<Match>| {
        assert_eq!(
            guessed(caller, theirs, Guess { stem, last_digits }),
            expected,
            "{caller} {theirs} {stem} {last_digits}"
        );
    };
    let company = Some(Match::CompanyNumber);
    let last = |digits| Some(Match::LastDigits { digits });
    check("+97235550142", "+97235550100", 2, 0, company);
    check("+97235550100", "+97235550142", 2, 0, company);
    check("+97235550142", "+97235550100", 1, 0, None);
    check("+97235550242", "+97235550100", 2, 0, None);
    check("+97235550242", "+97235550100", 3, 0, company);
    check("+9723555014", "+97235550100", 4, 0, None);
    check("+97235550100", "+97235550100", 4, 7, None);
    check("+48123456789", "+972123456789", 0, 9, last(9));
    check("+48123456789", "+972123456789", 0, 7, last(9));
    check("+48123456789", "+972023456789", 0, 9, None);
    check("+48123456789", "+972023456789", 0, 8, last(8));
    check("+48123456789", "+972993456789", 0, 0, None);
    // A configuration can ask for no less than these.
    check("+48123456789", "+972990006789", 0, 4, None);
    check("+48123456789", "+48123000000", 9, 0, None);
    // What is no number of the public network is never part of one.
    check("101", "+97235550101", 4, 7, None);
    check("+97235550101", "5550101", 4, 7, None);
}

fn brought(number: &str, tag: Option<&str>) -> Brought {
    let number = match number {
        "" => None,
        digits if digits.starts_with('+') => Some(e164(digits)),
        digits => Some(Number::Extension { digits: digits.to_owned() }),
    };
    let tags = tag.map(|tag| (id("customer"), Private(tag.to_owned()))).into_iter().collect();
    Brought { number, tags }
}

fn rules() -> Rules {
    Rules { customer_tag: Some(id("customer")), guess: Guess { stem: 2, last_digits: 9 } }
}

fn reasons(number: &str, tag: Option<&str>, found: &str) -> String {
    let merged = merged(vec![Ok(customers(found))], &brought(number, tag), &rules()).expect("somebody");
    let told = merged.iter().map(|customer| match customer.matched {
        Match::Searched => "searched".to_owned(),
        Match::KeyedIn => format!("{} keyed", customer.key),
        Match::Number => format!("{} number", customer.key),
        Match::CompanyNumber => format!("{} company", customer.key),
        Match::LastDigits { digits } => format!("{} last {digits}", customer.key),
    });
    told.collect::<Vec<_>>().join("; ")
}

#[test]
fn everyone_is_given_the_reason_for_being_offered() {
    let caller = "+972501234567";
    for (number, tag, found, expected) in [
        (caller, None, "a:1; b:2", "1 number; 2 number"),
        (caller, Some("2"), "a:1; b:2", "1 number; 2 keyed"),
        (caller, Some(" 2# "), "a:1; b:2", "1 number; 2 keyed"),
        (caller, Some("514"), "a:1; b:2 tax=514", "1 number; 2 keyed"),
        (caller, Some("9"), "a:1", "1 number"),
        ("", Some("9"), "a:1", "1 keyed"),
        // A directory that finds by part of a number, and tells the numbers: what it found is seen for what it is.
        (caller, None, "a:1 +972501234567 +4811", "1 number"),
        (caller, None, "a:1 +4811; a:2 +972501234599", "1 number; 2 company"),
        (caller, None, "a:1 +48501234567", "1 last 9"),
        // Nobody has part of a phone of the company.
        ("101", None, "a:1 +97235550101", ""),
        ("101", None, "a:1", "1 number"),
        // The surest reason counts when two directories know the same person.
        (caller, None, "a:1 last=9; b:1", "1 number"),
    ] {
        assert_eq!(reasons(number, tag, found), expected, "{number} {tag:?} {found}");
    }
}

#[test]
fn only_when_nobody_is_found_does_it_matter_that_a_directory_failed() {
    let down = || Err(Failure::Unreachable);
    let merged = |answers| merged(answers, &brought("+4811", None), &rules()).map(|found| keys(&found));
    assert_eq!(merged(vec![down(), Ok(customers("a:1"))]), Ok("1".to_owned()));
    assert_eq!(merged(vec![Ok(Vec::new()), down(), Err(Failure::Busy)]), Err(Failure::Unreachable));
    let not_asked = || Err(Failure::NotAsked { what: "the call brings no customer".to_owned() });
    assert_eq!(merged(vec![not_asked(), Ok(Vec::new())]), Ok(String::new()));
    assert_eq!(merged(vec![]), Ok(String::new()));
}

#[test]
fn the_likeliest_come_first_and_nobody_among_several_is_taken_silently() {
    let chose = |key: &str| Some(Some(id::<CustomerKey>(key)));
    let none = Some(None);
    for (found, before, expected) in [
        ("", None, "nobody"),
        ("a:1", None, "1"),
        ("a:1; a:2", None, "? 1 2"),
        ("a:1; a:2; a:3", chose("2"), "? 2 1 3"),
        ("a:1; a:2", chose("9"), "? 1 2"),
        ("a:1", chose("1"), "1"),
        // Last time it was somebody else who called from this number.
        ("a:1", none.clone(), "? 1"),
        ("a:1; a:2", none.clone(), "? 1 2"),
        // A guess alone is offered, marked; beside a whole number it is left out, unless it was right before.
        ("a:1 stem", None, "1"),
        ("a:1 stem; a:2", None, "2"),
        ("a:1 stem; a:2", chose("1"), "? 1 2"),
        ("a:1 last=7; a:2 stem; a:3 last=9", None, "? 2 3 1"),
        ("a:1 stem; a:2 stem; a:3 stem; a:4 stem; a:5 stem", None, "? 1 2 3 4 5"),
        ("a:1 stem; a:2 stem; a:3 stem; a:4 stem; a:5 stem; a:6 stem", None, "nobody"),
        ("a:1 stem; a:2 stem; a:3 stem; a:4 stem; a:5 stem; a:6 stem", chose("6"), "6"),
    ] {
        check_offered(customers(found), before, expected);
    }
    let mut found = customers("a:1; a:2; a:3");
    found[2].matched = Match::KeyedIn;
    check_offered(found.clone(), None, "3");
    check_offered(found.clone(), chose("1"), "3");
    check_offered(found, none, "3");
    let many: String = (0..30).map(|n| format!("a:{n};")).collect();
    check_offered(customers(&many), chose("29"), "? 29 0 1 2 3 4 5 6 7 8");
}

fn check_offered(found: Vec<Customer>, before: Option<Option<CustomerKey>>, expected: &str) {
    let said = match &before {
        None => Before::Nothing,
        Some(None) => Before::ChoseNone,
        Some(Some(key)) => Before::Chose(key),
    };
    let offered = offered(found, &said);
    let (told, all) = match offered {
        Offered::Nobody => ("nobody".to_owned(), Vec::new()),
        Offered::One(customer) => (customer.key.to_string(), vec![customer]),
        Offered::Several(customers) => (format!("? {}", keys(&customers)), customers),
    };
    assert_eq!(told, expected, "{before:?}");
    for customer in all {
        let chosen = before.as_ref().and_then(Option::as_ref) == Some(&customer.key);
        assert_eq!(customer.chosen_before, chosen, "{}", customer.key);
    }
}

#[test]
fn a_call_is_asked_about_when_it_brings_something_to_ask_with() {
    let asked = |number: &str, tag| brought(number, tag).can_be_asked(&rules());
    assert!(asked("+4811", None) && asked("101", None) && asked("", Some("7")));
    assert!(!asked("", None) && !asked("", Some(" # ")));
    let without_a_tag = Rules { customer_tag: None, ..rules() };
    assert!(!brought("", Some("7")).can_be_asked(&without_a_tag));
    let guessable = |number: &str, rules: &Rules| brought(number, Some("7")).guessable(rules).is_some();
    assert!(guessable("+48123456789", &rules()));
    assert!(!guessable("101", &rules()) && !guessable("", &rules()));
    assert!(!guessable("+48123456789", &Rules::default()), "never unless the configuration says so");
}

proptest::proptest! {
    /// Whatever directories say: nobody is invented, nobody is offered twice, and of one directory nobody is
    /// made one with another.
    #[test]
    fn whatever_is_found_nobody_is_invented_or_offered_twice(
        found in proptest::collection::vec((0u8..4, 0u8..6, 0u8..4, 0u8..4, 0u8..4), 0..25),
        before in 0u8..8,
    ) {
        let all: Vec<Customer> = found.iter().map(|(directory, key, tax, shop, guess)| {
            let guess = ["", "stem", "last=8", "last=9"][usize::from(*guess)];
            customer(&format!("d{directory}:{key} tax={tax} shop={shop} {guess}"))
        }).collect();
        let keys_of = |of: &[Customer], directory: &str| -> std::collections::BTreeSet<CustomerKey> {
            of.iter().filter(|c| c.source.as_str() == directory).map(|c| c.key.clone()).collect()
        };
        let made = joined(all.clone());
        proptest::prop_assert!(made.iter().all(|c| all.iter().any(|o| (&o.key, &o.source) == (&c.key, &c.source))));
        let of_one = (0..4).map(|directory| keys_of(&all, &format!("d{directory}")).len()).max();
        proptest::prop_assert!(Some(made.len()) >= of_one);
        let key: CustomerKey = id(&before.to_string());
        let said = if before > 6 { Before::ChoseNone } else { Before::Chose(&key) };
        let offered = match offered(made, &said) {
            Offered::Nobody => Vec::new(),
            Offered::One(customer) => vec![customer],
            Offered::Several(customers) => customers,
        };
        proptest::prop_assert!(offered.len() <= MOST_OFFERED);
        let exact = offered.iter().any(|c| !c.matched.is_guess());
        proptest::prop_assert!(!exact || offered.iter().all(|c| !c.matched.is_guess() || c.chosen_before));
    }
}
