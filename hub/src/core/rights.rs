//! What of a card a role may see, and what is kept back until the caller is identified: applied to every
//! message on its way out, at one place, so that no other room can forget it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use pinkas_protocol::agent_link::Role;
use pinkas_protocol::{CallView, Card, CardState, Customer, Facts, Gives, SourceName, Who};

/// What a role may not see, and what is sensitive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// Never shown, by role.
    pub hide: BTreeMap<Role, Fields>,
    /// Kept back while the caller's number is not verified, until an agent says how the caller was identified.
    pub sensitive: Fields,
}

/// Cards and fields, as the configuration names them.
pub type Fields = BTreeSet<Field>;

/// A card, or one field of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    /// Which cards.
    pub of: Of,
    /// Which field of them; `None`: the whole card.
    pub field: Option<String>,
}

/// Which cards a [`Field`] is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// All that give this.
    Gives(Gives),
    /// Those of this source.
    Source(SourceName),
}

/// The fields of each kind of card, as the configuration names them. A card of rows has the fields its
/// configuration made up.
pub fn fields_of(gives: Gives) -> &'static [&'static str] {
    match gives {
        Gives::Customer => &["class", "place", "account_manager", "language", "numbers", "keys"],
        Gives::Balance => &["balance", "overdue", "oldest_due"],
        Gives::Credit => &["limit", "available", "days", "hold", "offer", "note"],
        Gives::Purchases => &["date", "product", "quantity", "amount"],
        Gives::Notes => &["date", "text", "by"],
        Gives::Custom => &[],
    }
}

/// What of a call's cards is shown to one role.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight<'a> {
    hide: Option<&'a Fields>,
    folded: Option<&'a Fields>,
}

impl Rights {
    /// Everybody sees everything.
    pub(super) fn hides_nothing(&self) -> bool {
        self.sensitive.is_empty() && self.hide.values().all(BTreeSet::is_empty)
    }

    /// What a role sees of this call.
    pub(super) fn sight(&self, role: Role, view: &CallView) -> Sight<'_> {
        Sight { hide: self.hide.get(&role), folded: (!is_open(view)).then_some(&self.sensitive) }
    }

    /// The names of a card's fields that are shown only because the caller was identified.
    pub(super) fn unfolded(&self, card: &Card) -> Vec<String> {
        let mut card = card.clone();
        let everything = Sight { hide: None, folded: Some(&self.sensitive) };
        if everything.card(&mut card) { card.folded } else { Vec::new() }
    }
}

/// The number is the caller's, and by it alone they are this customer: neither guessed nor claimed by what
/// was keyed in. Where no customer is settled, a card may have been asked by what was keyed in.
pub(super) fn is_verified(view: &CallView) -> bool {
    let by_number = view.who.customer().is_some_and(|customer| customer.matched.is_exact());
    view.facts.caller.is_verified() && by_number
}

/// Nothing is kept back: the number is verified, or somebody vouches for the caller being this customer.
pub(super) fn is_open(view: &CallView) -> bool {
    let settled = view.who.customer().map(|customer| &customer.key);
    let vouched = view.identified.as_ref().is_some_and(|said| Some(&said.customer) == settled);
    is_verified(view) || vouched
}

impl Sight<'_> {
    /// Leaves of a call what may be seen.
    pub(super) fn call(&self, view: &mut CallView) {
        self.who(&mut view.who);
        view.cards.retain_mut(|card| self.card(card));
    }

    /// Leaves of a caller's customers what may be seen.
    pub(super) fn who(&self, who: &mut Who) {
        match who {
            Who::Known { customer } => self.customer(customer),
            Who::Several { customers, .. } | Who::NoneOf { customers, .. } => {
                customers.iter_mut().for_each(|one| self.customer(one))
            }
            Who::Asking | Who::Unknown { .. } | Who::NoNumber | Who::Failed { .. } => {}
        }
    }

    fn customer(&self, customer: &mut Customer) {
        let source = customer.source.clone();
        let gone = |field: &str| {
            let named = |fields: Option<&Fields>| {
                names(fields, Gives::Customer, &source, None)
                    || names(fields, Gives::Customer, &source, Some(field))
            };
            named(self.hide) || named(self.folded)
        };
        take_if(&mut customer.class, gone("class"));
        take_if(&mut customer.place, gone("place"));
        take_if(&mut customer.account_manager, gone("account_manager"));
        take_if(&mut customer.language, gone("language"));
        if gone("numbers") {
            customer.numbers.clear();
        }
        if gone("keys") {
            customer.keys.clear();
        }
    }

    /// Leaves of a card what may be seen; `false`: nothing of it, not even that it is there.
    pub(super) fn card(&self, card: &mut Card) -> bool {
        if names(self.hide, card.gives, &card.source, None) {
            return false;
        }
        let Card { source, gives, state, folded, .. } = card;
        let CardState::Filled { facts, .. } = state else { return true };
        let whole = names(self.folded, *gives, source, None);
        let mut left_out = |field: &str, is_there: IsThere| {
            if names(self.hide, *gives, source, Some(field)) {
                return true;
            }
            let fold = whole || names(self.folded, *gives, source, Some(field));
            if fold && is_there == IsThere::Yes && !folded.iter().any(|name| name == field) {
                folded.push(field.to_owned());
            }
            fold
        };
        leave_out(facts, &mut left_out);
        true
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IsThere {
    Yes,
    No,
}

fn names(fields: Option<&Fields>, gives: Gives, source: &SourceName, field: Option<&str>) -> bool {
    fields.is_some_and(|fields| {
        fields.iter().any(|named| {
            let of = match &named.of {
                Of::Gives(kind) => *kind == gives,
                Of::Source(name) => name == source,
            };
            of && named.field.as_deref() == field
        })
    })
}

fn take_if<T>(value: &mut Option<T>, gone: bool) {
    if gone {
        *value = None;
    }
}

/// Empties every field of which `gone` says so.
fn leave_out(facts: &mut Facts, gone: &mut impl FnMut(&str, IsThere) -> bool) {
    fn one<T>(name: &str, value: &mut Option<T>, gone: &mut impl FnMut(&str, IsThere) -> bool) {
        let is_there = if value.is_some() { IsThere::Yes } else { IsThere::No };
        take_if(value, gone(name, is_there));
    }
    match facts {
        Facts::Balance(balance) => {
            one("balance", &mut balance.balance, gone);
            one("overdue", &mut balance.overdue, gone);
            one("oldest_due", &mut balance.oldest_due, gone);
        }
        Facts::Credit(credit) => {
            one("limit", &mut credit.limit, gone);
            one("available", &mut credit.available, gone);
            one("days", &mut credit.days, gone);
            one("hold", &mut credit.hold, gone);
            one("offer", &mut credit.offer, gone);
            one("note", &mut credit.note, gone);
        }
        Facts::Purchases { purchases } => {
            for purchase in purchases.iter_mut() {
                one("date", &mut purchase.date, gone);
                one("quantity", &mut purchase.quantity, gone);
                one("amount", &mut purchase.amount, gone);
            }
            // A purchase without its product is none.
            purchases.retain(|_| !gone("product", IsThere::Yes));
        }
        Facts::Notes { notes } => {
            for note in notes.iter_mut() {
                one("date", &mut note.date, gone);
                one("by", &mut note.by, gone);
            }
            // A note without its text is none.
            notes.retain(|_| !gone("text", IsThere::Yes));
        }
        // How a row is called tells that it is there, which folding may say and hiding may not.
        Facts::Custom { rows } => rows.retain(|row| !gone(&row.label, IsThere::Yes)),
        Facts::Newer => {}
    }
}
