//! An LDAP filter with places for what a question brings. It is read into its parts when the
//! configuration is, and a value is put into a part as a value: on the wire it is a string of its own
//! (RFC 4511 section 4.5.1.7), so nothing in it can be taken for a filter and nothing has to be escaped.

use ldap3_proto::proto::{LdapFilter, LdapMatchingRuleAssertion, LdapSubstringFilter};
use pinkas_protocol::{Failure, Gives};

use super::template::{self, Braces, Piece, Place};
use super::{Needs, Question};

/// A filter with places.
pub struct Filter {
    shape: LdapFilter,
    places: Vec<Place>,
}

impl Filter {
    /// Reads a filter; the error is a sentence about what is wrong with it.
    pub fn new(text: &str, gives: Gives) -> Result<(Self, Needs), String> {
        let shape = ldap3_proto::parse_ldap_filter_str(text).map_err(|e| {
            format!("it is not a filter such as (telephoneNumber={{number}}) (column {})", e.location.column)
        })?;
        let mut places = Vec::new();
        let read = mapped(&shape, &mut |text| {
            places.extend(template::places(&template::pieces(text, Braces::Places)?));
            Ok::<String, String>(String::new())
        });
        read?;
        let needs = template::fitting(&places, gives == Gives::Customer)?;
        Ok((Filter { shape, places }, needs))
    }

    /// What has to be put in it.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The filter for `question`; an error when it does not bring all that belongs there.
    pub fn for_question(&self, question: &Question) -> Result<LdapFilter, Failure> {
        mapped(&self.shape, &mut |text| {
            let mut out = String::new();
            // That it can be split was seen when it was read.
            for piece in template::pieces(text, Braces::Places).unwrap_or_default() {
                match piece {
                    Piece::Text(text) => out.push_str(&text),
                    Piece::Place(place) => out.push_str(&place.value(question)?),
                }
            }
            Ok(out)
        })
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
    fn what_is_no_filter_is_told() {
        let wrong = |text: &str, gives| Filter::new(text, gives).err().unwrap_or_default();
        assert!(wrong("telephoneNumber={number}", Gives::Customer).contains("not a filter such as"));
        assert!(wrong("(uid=x)", Gives::Customer).contains("same customer for every caller"));
        assert!(wrong("(uid={customer.id})", Gives::Customer).contains("not known yet"));
        assert!(wrong("(uid={customer.name})", Gives::Custom).contains("is not known"));
    }
}
