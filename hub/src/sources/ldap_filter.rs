//! An LDAP filter with places for what a question brings. It is read into its parts when the
//! configuration is, and a value is put into a part as a value: on the wire it is a string of its own
//! (RFC 4511 section 4.5.1.7), so nothing in it can be taken for a filter and nothing has to be escaped.

use ldap3_proto::proto::{LdapFilter, LdapMatchingRuleAssertion, LdapSubstringFilter};
use pinkas_protocol::{Failure, Gives};

use super::template::{self, Asks, Braces, Piece, Place};
use super::{Needs, Question};

/// A filter with places.
pub struct Filter {
    shape: LdapFilter,
    places: Vec<Place>,
    asks: Asks,
}

impl Filter {
    /// Reads a filter; the error is a sentence about what is wrong with it.
    pub fn new(text: &str, gives: Gives) -> Result<(Self, Needs), String> {
        let filter = Filter::read(text, Asks::Lookup, "(telephoneNumber={number})")?;
        let needs = template::fitting(&filter.places, gives == Gives::Customer)?;
        Ok((filter, needs))
    }

    /// Reads the filter of a search; the error as in [`Filter::new`].
    pub fn search(text: &str) -> Result<Self, String> {
        let filter = Filter::read(text, Asks::Search, "(cn=*{text}*)")?;
        template::searching(&filter.places)?;
        match filter.places.iter().find(|place| place.is_pattern()) {
            Some(place) => Err(format!("{} is for SQL: write (cn=*{{text}}*)", place.written())),
            None => Ok(filter),
        }
    }

    fn read(text: &str, asks: Asks, example: &str) -> Result<Self, String> {
        let shape = ldap3_proto::parse_ldap_filter_str(text)
            .map_err(|e| format!("it is not a filter such as {example} (column {})", e.location.column))?;
        let mut places = Vec::new();
        let read = mapped(&shape, &mut |text| {
            places.extend(template::places(&template::pieces(text, Braces::Places, asks)?));
            Ok::<String, String>(String::new())
        });
        read?;
        Ok(Filter { shape, places, asks })
    }

    /// What has to be put in it.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The filter for `question`; an error when it does not bring all that belongs there.
    pub fn for_question(&self, question: &Question) -> Result<LdapFilter, Failure> {
        let mut lacking = Failure::NotAsked { what: String::new() };
        let mut value = |text: &str| {
            let mut out = String::new();
            // That it can be split was seen when it was read.
            for piece in template::pieces(text, Braces::Places, self.asks).unwrap_or_default() {
                match piece {
                    Piece::Text(text) => out.push_str(&text),
                    Piece::Place(place) => out.push_str(&place.value(question)?),
                }
            }
            Ok(out)
        };
        match self.asks {
            Asks::Lookup => mapped(&self.shape, &mut value),
            Asks::Search => known(&self.shape, &mut |part| {
                mapped(part, &mut value).map_err(|failure| lacking = failure).ok()
            })
            .ok_or(lacking),
        }
    }
}

/// The filter without the parts of which `leaf` gives nothing, because what is looked for has no such value: neither
/// they nor what is not them can be said of anybody, as with NULL in SQL.
fn known(
    filter: &LdapFilter,
    leaf: &mut impl FnMut(&LdapFilter) -> Option<LdapFilter>,
) -> Option<LdapFilter> {
    use LdapFilter::*;
    match filter {
        And(filters) => filters.iter().map(|filter| known(filter, leaf)).collect::<Option<_>>().map(And),
        Or(filters) => {
            let known: Vec<_> = filters.iter().filter_map(|filter| known(filter, leaf)).collect();
            (!known.is_empty()).then_some(Or(known))
        }
        Not(filter) => known(filter, leaf).map(|filter| Not(Box::new(filter))),
        part => leaf(part),
    }
}

/// The filter with each of its values made anew. ldap3_proto bounds how deep a filter may be.
fn mapped<E>(
    filter: &LdapFilter,
    value: &mut impl FnMut(&str) -> Result<String, E>,
) -> Result<LdapFilter, E> {
    use LdapFilter::*;
    let each = |filters: &[LdapFilter], value: &mut _| -> Result<Vec<_>, E> {
        filters.iter().map(|filter| mapped(filter, value)).collect()
    };
    Ok(match filter {
        And(filters) => And(each(filters, value)?),
        Or(filters) => Or(each(filters, value)?),
        Not(filter) => Not(Box::new(mapped(filter, value)?)),
        Equality(name, text) => Equality(name.clone(), value(text)?),
        GreaterOrEqual(name, text) => GreaterOrEqual(name.clone(), value(text)?),
        LessOrEqual(name, text) => LessOrEqual(name.clone(), value(text)?),
        Approx(name, text) => Approx(name.clone(), value(text)?),
        Present(name) => Present(name.clone()),
        Substring(name, parts) => Substring(
            name.clone(),
            LdapSubstringFilter {
                initial: parts.initial.as_deref().map(&mut *value).transpose()?,
                any: parts.any.iter().map(|text| value(text)).collect::<Result<_, _>>()?,
                final_: parts.final_.as_deref().map(&mut *value).transpose()?,
            },
        ),
        Extensible(rule) => {
            Extensible(LdapMatchingRuleAssertion { match_value: value(&rule.match_value)?, ..rule.clone() })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use pinkas_protocol::NumberPlan;

    use crate::sources::sought;
    use crate::sources::testing::{HOSTILE, question};

    #[test]
    fn a_hostile_value_stays_one_value_of_the_filter() {
        let text = "(&(objectClass=person)(|(uid={customer.id})(telephoneNumber=*{number.national})(!(cn~={customer.id}))))";
        let (filter, needs) = Filter::new(text, Gives::Custom).expect("a right filter");
        assert_eq!(needs, Needs::Customer);
        for key in HOSTILE.into_iter().chain(["*", "*)(uid=*", "\\2a", "a\0b"]) {
            let Ok(key) = pinkas_protocol::CustomerKey::parse(key) else { continue };
            let equal = |name: &str, value: &str| LdapFilter::Equality(name.to_owned(), value.to_owned());
            let ends = LdapSubstringFilter {
                final_: Some("0501234567".to_owned()),
                ..LdapSubstringFilter::default()
            };
            let expected = LdapFilter::And(vec![
                equal("objectClass", "person"),
                LdapFilter::Or(vec![
                    equal("uid", key.as_str()),
                    LdapFilter::Substring("telephoneNumber".to_owned(), ends),
                    LdapFilter::Not(Box::new(LdapFilter::Approx("cn".to_owned(), key.as_str().to_owned()))),
                ]),
            ]);
            assert!(filter.for_question(&question(key.as_str())).is_ok_and(|found| found == expected));
        }
    }

    #[test]
    fn a_search_leaves_out_what_the_text_does_not_bring() {
        let filter = Filter::search(
            "(&(objectClass=person)(|(cn=*{text}*)(uid={text})(telephoneNumber={text.number})(!(mobile={text.number}))))",
        )
        .expect("a right filter");
        let asked = |typed: &str| {
            let question = sought::question(typed, &NumberPlan::new("IL", 4).expect("a known country"));
            filter.for_question(&question.expect("a question")).expect("a filter")
        };
        let equal = |name: &str, value: &str| LdapFilter::Equality(name.to_owned(), value.to_owned());
        let holds = |value: &str| {
            let parts = LdapSubstringFilter { any: vec![value.to_owned()], ..LdapSubstringFilter::default() };
            LdapFilter::Substring("cn".to_owned(), parts)
        };
        for hostile in HOSTILE.into_iter().chain(["*", "*)(uid=*", "\\2a", "%", "_"]) {
            let or = LdapFilter::Or(vec![holds(hostile), equal("uid", hostile)]);
            assert_eq!(asked(hostile), LdapFilter::And(vec![equal("objectClass", "person"), or]));
        }
        let number = "+972501234567";
        let not = LdapFilter::Not(Box::new(equal("mobile", number)));
        let or =
            vec![holds("050-1234567"), equal("uid", "050-1234567"), equal("telephoneNumber", number), not];
        assert_eq!(
            asked("050-1234567"),
            LdapFilter::And(vec![equal("objectClass", "person"), LdapFilter::Or(or)])
        );
        let by_number = Filter::search("(telephoneNumber={text.number})").expect("a right filter");
        let question = sought::question("Levi", &NumberPlan::default()).expect("a question");
        assert!(matches!(by_number.for_question(&question), Err(Failure::NotAsked { .. })));
    }

    #[test]
    fn what_is_no_filter_is_told() {
        let wrong = |text: &str, gives| Filter::new(text, gives).err().unwrap_or_default();
        assert!(wrong("telephoneNumber={number}", Gives::Customer).contains("not a filter such as"));
        assert!(wrong("(uid=x)", Gives::Customer).contains("same customer for every caller"));
        assert!(wrong("(uid={customer.id})", Gives::Customer).contains("not known yet"));
        assert!(wrong("(uid={customer.name})", Gives::Custom).contains("is not known"));
        let wrong = |text: &str| Filter::search(text).err().unwrap_or_default();
        assert!(wrong("cn=*{text}*").contains("such as (cn=*{text}*)"));
        assert!(wrong("(cn=*)").contains("holds no {text}"));
        assert!(wrong("(cn={text.contains})").contains("is for SQL: write (cn=*{text}*)"));
        assert!(wrong("(cn={number})").contains("not known in a search"));
    }
}
