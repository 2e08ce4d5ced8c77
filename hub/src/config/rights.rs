//! `[rights]`: what roles may not see and what is kept back. A name that fits no card is a mistake: a typing
//! error must not show what was meant to be hidden.

use pinkas_config::Section;
use pinkas_protocol::agent_link::Role;
use pinkas_protocol::{Gives, SourceName};

use crate::core::{Field, Fields, Of, Rights, fields_of};

const KINDS: [(&str, Gives); 6] = [
    ("customer", Gives::Customer),
    ("balance", Gives::Balance),
    ("credit", Gives::Credit),
    ("purchases", Gives::Purchases),
    ("notes", Gives::Notes),
    ("custom", Gives::Custom),
];

/// Reads `[rights]` for these sources.
pub(super) fn read(section: &mut Section<'_>, sources: &[(SourceName, Gives)]) -> Rights {
    let mut table = section.table("rights");
    let mut rights = Rights { sensitive: fields(&mut table, "sensitive", sources), ..Rights::default() };
    for (name, role) in [("agent", Role::Agent), ("supervisor", Role::Supervisor), ("admin", Role::Admin)] {
        let mut table = table.table(name);
        rights.hide.insert(role, fields(&mut table, "hide", sources));
    }
    rights
}

fn fields(table: &mut Section<'_>, key: &str, sources: &[(SourceName, Gives)]) -> Fields {
    let mut fields = Fields::new();
    for text in table.texts(key) {
        match field(&text, sources) {
            Ok(field) => drop(fields.insert(field)),
            Err(why) => table.note(key, format!("`{key}`: \"{text}\" {why}")),
        }
    }
    fields
}

fn field(text: &str, sources: &[(SourceName, Gives)]) -> Result<Field, String> {
    let (name, field) = match text.split_once('.') {
        Some((name, field)) => (name.trim(), Some(field.trim())),
        None => (text, None),
    };
    let kind = KINDS.iter().find(|(word, _)| *word == name).map(|(_, gives)| (Of::Gives(*gives), *gives));
    let source = sources.iter().find(|(source, _)| source.as_str() == name);
    let source = source.map(|(source, gives)| (Of::Source(source.clone()), *gives));
    let Some((of, gives)) = source.or(kind) else {
        return Err(
            "is neither a source of this file nor one of balance, credit, purchases, notes, custom, customer"
                .to_owned(),
        );
    };
    let known = fields_of(gives);
    match field {
        Some(field) if !known.is_empty() && !known.contains(&field) => {
            Err(format!("names no field; those of {name} are {}", known.join(", ")))
        }
        Some("") => Err("names no field".to_owned()),
        _ => Ok(Field { of, field: field.map(str::to_owned) }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn rights(text: &str) -> Result<Rights, String> {
        let sources = [("books", Gives::Balance), ("more", Gives::Custom)]
            .map(|(name, gives)| (name.parse().expect("a name"), gives));
        pinkas_config::parse(Path::new("hub.toml"), text, |section| Some(read(section, &sources)))
            .map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn cards_and_fields_are_named_by_kind_or_by_source() {
        let read = rights(
            "[rights]\nsensitive = [\"balance\", \"more.Tax number\"]\n[rights.agent]\nhide = [\"credit\", \"books.overdue\"]\n",
        )
        .expect("no mistakes");
        let whole = |gives| Field { of: Of::Gives(gives), field: None };
        let of = |source: &str, field: &str| Field {
            of: Of::Source(source.parse().expect("a name")),
            field: Some(field.to_owned()),
        };
        assert_eq!(read.sensitive, [whole(Gives::Balance), of("more", "Tax number")].into());
        assert_eq!(read.hide[&Role::Agent], [whole(Gives::Credit), of("books", "overdue")].into());
        assert!(read.hide[&Role::Supervisor].is_empty());
    }

    #[test]
    fn a_name_that_fits_nothing_is_a_mistake() {
        for (wrong, why) in [
            ("balanse", "is neither a source"),
            ("books.overdu", "those of books are balance, overdue, oldest_due"),
            ("more.", "names no field"),
        ] {
            let told = rights(&format!("[rights]\nsensitive = [\"{wrong}\"]\n")).expect_err("a mistake");
            assert!(told.contains("hub.toml:2:") && told.contains(why), "{told}");
        }
        let told = rights("[rights.agents]\nhide = []\n").expect_err("a mistake");
        assert!(told.contains("`agents` is not a key here"), "{told}");
    }
}
