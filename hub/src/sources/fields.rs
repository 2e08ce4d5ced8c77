//! From the rows a source gave to the facts a card shows: which fields each kind of fact has, and how
//! a row of cells becomes a customer, a balance, terms or purchases. Every kind of source ends here, so
//! all of them are strict in the same way. Failure texts name fields, never what was in them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pinkas_protocol::card::{
    Balance, Credit, CustomRow, MOST_NOTES, MOST_NUMBERS, MOST_PURCHASES, MOST_ROWS, Purchase, SourceNote,
};
use pinkas_protocol::text::{LONGEST, plain};
use pinkas_protocol::{
    Customer, CustomerKey, Facts, Failure, Gives, Money, Number, NumberPlan, Private, SourceName, TagName,
};

use super::Answer;
use super::cell::{Cell, Wrong};

/// One thing a source can say; its word is the key in `[source.fields]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The customer's key.
    Id,
    /// The customer's name.
    Name,
    /// A word such as `VIP`.
    Class,
    /// Where the customer is.
    Place,
    /// The colleague who looks after the customer.
    AccountManager,
    /// All that is open.
    Balance,
    /// The part past its due date.
    Overdue,
    /// The oldest due date among the overdue.
    OldestDue,
    /// ISO 4217 code of the row's amounts.
    Currency,
    /// The most the customer may owe.
    Limit,
    /// What is left of the limit.
    Available,
    /// Days until an invoice is due.
    Days,
    /// Sales on credit are stopped.
    Hold,
    /// Free text about the terms.
    Note,
    /// Day of a sale.
    Date,
    /// What was sold.
    Product,
    /// How many.
    Quantity,
    /// For how much.
    Amount,
    /// When the figures were true.
    AsOf,
    /// What may be offered to the customer.
    Offer,
    /// The language to speak with the customer.
    Language,
    /// The customer's phone numbers, separated by `;`.
    Numbers,
    /// What a note says.
    Text,
    /// Who wrote a note.
    By,
    /// What a custom row is.
    Label,
    /// What a custom row says.
    Value,
    /// Where more of a custom row can be read.
    Link,
}

impl Field {
    /// The fields of one kind of fact.
    pub fn of(gives: Gives) -> &'static [Field] {
        use Field::*;
        match gives {
            Gives::Customer => &[Id, Name, Class, Place, AccountManager, Language, Numbers],
            Gives::Balance => &[Balance, Overdue, OldestDue, Currency, AsOf],
            Gives::Credit => &[Limit, Available, Days, Hold, Offer, Note, Currency, AsOf],
            Gives::Purchases => &[Date, Product, Quantity, Amount, Currency],
            Gives::Notes => &[Date, Text, By],
            Gives::Custom => &[Label, Value, Link],
        }
    }

    /// The fields without which there is no such fact. Terms have none: any one of theirs will do.
    pub fn needed(gives: Gives) -> &'static [Field] {
        match gives {
            Gives::Customer => &[Field::Id, Field::Name],
            Gives::Balance => &[Field::Balance],
            Gives::Credit => &[],
            Gives::Purchases => &[Field::Product],
            Gives::Notes => &[Field::Text],
            Gives::Custom => &[Field::Label],
        }
    }

    /// The field's name in a configuration, and the column it is looked for in.
    pub fn word(self) -> &'static str {
        match self {
            Field::Id => "id",
            Field::Name => "name",
            Field::Class => "class",
            Field::Place => "place",
            Field::AccountManager => "account_manager",
            Field::Balance => "balance",
            Field::Overdue => "overdue",
            Field::OldestDue => "oldest_due",
            Field::Currency => "currency",
            Field::Limit => "limit",
            Field::Available => "available",
            Field::Days => "days",
            Field::Hold => "hold",
            Field::Note => "note",
            Field::Date => "date",
            Field::Product => "product",
            Field::Quantity => "quantity",
            Field::Amount => "amount",
            Field::AsOf => "as_of",
            Field::Offer => "offer",
            Field::Language => "language",
            Field::Numbers => "numbers",
            Field::Text => "text",
            Field::By => "by",
            Field::Label => "label",
            Field::Value => "value",
            Field::Link => "link",
        }
    }

    /// Another usual name of the column: `limit` is a word of SQL, and a sale has a `sold_on`.
    pub fn other_word(self) -> Option<&'static str> {
        match self {
            Field::Limit => Some("credit_limit"),
            Field::Date => Some("sold_on"),
            Field::Id => Some("customer_id"),
            _ => None,
        }
    }
}

/// One record of a source.
#[derive(Default)]
pub struct Row {
    /// The cells of the fields that were asked of it.
    pub cells: Vec<(Field, Cell)>,
    /// Those that the configuration gave names of its own ([`Named`]), in its order.
    pub named: Vec<Cell>,
}

/// What the configuration gave names of its own: the keys of a directory's customers
/// (`[source.keys]`), the rows of a card (`[source.show]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// Keys other systems know a customer by.
    Keys(Vec<TagName>),
    /// The labels of a card that has the same rows for every customer.
    Rows(Vec<String>),
}

impl Row {
    fn cell(&self, field: Field) -> &Cell {
        self.cells.iter().find(|(name, _)| *name == field).map_or(&Cell::Missing, |(_, cell)| cell)
    }

    fn read<T>(&self, field: Field, read: fn(&Cell) -> Result<T, Wrong>) -> Result<T, Failure> {
        read(self.cell(field)).map_err(|Wrong(what)| not_understood(field, what))
    }

    fn text(&self, field: Field) -> Result<Option<String>, Failure> {
        Ok(self.read(field, Cell::text)?.and_then(|text| plain(&text, LONGEST)))
    }

    fn money(&self, field: Field, asked: &Asked<'_>) -> Result<Option<Money>, Failure> {
        let Some(amount) = self.read(field, Cell::decimal)? else { return Ok(None) };
        let written = self.read(Field::Currency, Cell::text)?;
        let currency = written.as_deref().and_then(currency).or_else(|| asked.currency.map(str::to_owned));
        Ok(Some(Money { amount, currency }))
    }
}

/// What a source is to give, and what the configuration says about it.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The kind of fact.
    pub gives: Gives,
    /// Whose word it is.
    pub source: &'a SourceName,
    /// The currency of amounts that come without one.
    pub currency: Option<&'a str>,
    /// How phone numbers are read: as callers' numbers are.
    pub plan: &'a NumberPlan,
    /// What has names of its own.
    pub named: &'a Named,
}

/// The most customers taken from one directory for one number.
pub const MOST_CUSTOMERS: usize = 20;

/// How many rows an answer of this kind can use.
pub fn most_rows(gives: Gives) -> usize {
    match gives {
        Gives::Customer => MOST_CUSTOMERS,
        Gives::Purchases => MOST_PURCHASES,
        Gives::Notes => MOST_NOTES,
        Gives::Custom => MOST_ROWS,
        Gives::Balance | Gives::Credit => 1,
    }
}

/// The facts in `rows`; more rows than the answer can use are left alone.
pub fn answer(asked: &Asked<'_>, rows: &[Row]) -> Result<Answer, Failure> {
    let rows = rows.get(..most_rows(asked.gives)).unwrap_or(rows);
    match asked.gives {
        Gives::Customer => {
            let found: Result<Vec<_>, _> = rows.iter().map(|row| customer(asked, row)).collect();
            Ok(Answer::Customers(found?.into_iter().flatten().collect()))
        }
        Gives::Purchases => {
            list(rows, |row| purchase(asked, row), |purchases| Facts::Purchases { purchases })
        }
        Gives::Notes => list(rows, note, |notes| Facts::Notes { notes }),
        Gives::Custom => match asked.named {
            Named::Rows(labels) if !labels.is_empty() => labelled(labels, rows.first()),
            _ => list(rows, custom, |rows| Facts::Custom { rows }),
        },
        Gives::Balance => facts(rows, |row| Ok(balance(asked, row)?.map(Facts::Balance))),
        Gives::Credit => facts(rows, |row| Ok(credit(asked, row)?.map(Facts::Credit))),
    }
}

/// Facts of many rows; rows that hold nothing are left out.
fn list<T>(
    rows: &[Row],
    read: impl Fn(&Row) -> Result<Option<T>, Failure>,
    facts: impl FnOnce(Vec<T>) -> Facts,
) -> Result<Answer, Failure> {
    let found: Result<Vec<_>, _> = rows.iter().map(read).collect();
    let found: Vec<T> = found?.into_iter().flatten().collect();
    if found.is_empty() {
        return Ok(Answer::Nothing);
    }
    Ok(Answer::Facts { facts: facts(found), as_of: None })
}

fn facts(rows: &[Row], read: impl Fn(&Row) -> Result<Option<Facts>, Failure>) -> Result<Answer, Failure> {
    let Some(row) = rows.first() else { return Ok(Answer::Nothing) };
    let Some(facts) = read(row)? else { return Ok(Answer::Nothing) };
    Ok(Answer::Facts { facts, as_of: row.read(Field::AsOf, Cell::time)? })
}

/// A customer without a usable key is skipped: no other source could be asked for it.
fn customer(asked: &Asked<'_>, row: &Row) -> Result<Option<Customer>, Failure> {
    let id = needed(row, Field::Id)?.text().map_err(|Wrong(what)| not_understood(Field::Id, what))?;
    let Some(key) = id.and_then(|id| CustomerKey::parse(&id).ok()) else { return Ok(None) };
    needed(row, Field::Name)?;
    let name = row.text(Field::Name)?.unwrap_or_else(|| key.to_string());
    Ok(Some(Customer {
        class: row.text(Field::Class)?,
        place: row.text(Field::Place)?.map(Private),
        account_manager: row.text(Field::AccountManager)?,
        language: row.text(Field::Language)?,
        numbers: numbers(asked, row)?,
        keys: keys(asked, row)?,
        ..Customer::new(key, name, asked.source.clone())
    }))
}

/// The numbers of a customer that can be looked up, each once.
fn numbers(asked: &Asked<'_>, row: &Row) -> Result<Vec<Number>, Failure> {
    let written = row.read(Field::Numbers, Cell::text)?.unwrap_or_default();
    Ok(split_numbers(asked.plan, &written))
}

/// Reads numbers separated by `;`; what is no number that can be looked up is left out.
pub fn split_numbers(plan: &NumberPlan, written: &str) -> Vec<Number> {
    let mut numbers: Vec<Number> = Vec::new();
    for number in written.split(';').filter_map(|written| plan.read(written)) {
        if numbers.len() < MOST_NUMBERS && number.key().is_some() && !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    numbers
}

/// A key is taken as it is or not at all: one that was cut or cleaned would find somebody else.
fn keys(asked: &Asked<'_>, row: &Row) -> Result<BTreeMap<TagName, Private<String>>, Failure> {
    let Named::Keys(names) = asked.named else { return Ok(BTreeMap::new()) };
    let mut keys = BTreeMap::new();
    for (name, cell) in names.iter().zip(&row.named) {
        let wrong = |what: &str| Failure::NotUnderstood { what: format!("key {name}: {what}") };
        let text = match cell {
            Cell::Missing => return Err(wrong("missing")),
            cell => cell.text().map_err(|Wrong(what)| wrong(what))?,
        };
        if let Some(key) = text.and_then(|text| CustomerKey::parse(&text).ok()) {
            keys.insert(name.clone(), Private(key.as_str().to_owned()));
        }
    }
    Ok(keys)
}

fn balance(asked: &Asked<'_>, row: &Row) -> Result<Option<Balance>, Failure> {
    needed(row, Field::Balance)?;
    // A sum over no invoices at all is NULL in SQL: nothing is known, which is not a balance of zero.
    let Some(balance) = row.money(Field::Balance, asked)? else { return Ok(None) };
    Ok(Some(Balance {
        balance: Some(balance),
        overdue: row.money(Field::Overdue, asked)?,
        oldest_due: row.read(Field::OldestDue, Cell::date)?,
    }))
}

fn credit(asked: &Asked<'_>, row: &Row) -> Result<Option<Credit>, Failure> {
    let terms = [Field::Limit, Field::Available, Field::Days, Field::Hold, Field::Offer, Field::Note];
    if terms.iter().all(|field| matches!(row.cell(*field), Cell::Missing)) {
        return Err(Failure::NotUnderstood { what: "none of the fields of credit is there".to_owned() });
    }
    let credit = Credit {
        limit: row.money(Field::Limit, asked)?,
        available: row.money(Field::Available, asked)?,
        days: row.read(Field::Days, Cell::count)?,
        hold: row.read(Field::Hold, Cell::yes_or_no)?,
        offer: row.text(Field::Offer)?,
        note: row.text(Field::Note)?,
    };
    Ok((credit != Credit::default()).then_some(credit))
}

fn purchase(asked: &Asked<'_>, row: &Row) -> Result<Option<Purchase>, Failure> {
    needed(row, Field::Product)?;
    let Some(product) = row.text(Field::Product)? else { return Ok(None) };
    Ok(Some(Purchase {
        date: row.read(Field::Date, Cell::date)?,
        product,
        quantity: row.read(Field::Quantity, Cell::decimal)?,
        amount: row.money(Field::Amount, asked)?,
    }))
}

fn note(row: &Row) -> Result<Option<SourceNote>, Failure> {
    needed(row, Field::Text)?;
    let Some(text) = row.text(Field::Text)? else { return Ok(None) };
    let date = row.read(Field::Date, Cell::date)?;
    Ok(Some(SourceNote { date, text: Private(text), by: row.text(Field::By)? }))
}

fn custom(row: &Row) -> Result<Option<CustomRow>, Failure> {
    needed(row, Field::Label)?;
    let Some(label) = row.text(Field::Label)? else { return Ok(None) };
    let link = row.read(Field::Link, Cell::text)?.filter(|link| is_page(link));
    Ok(Some(CustomRow { label, value: row.text(Field::Value)?.map(Private), link: link.map(Private) }))
}

/// One record as rows, each of which the configuration names; nothing when all of it is empty.
fn labelled(labels: &[String], row: Option<&Row>) -> Result<Answer, Failure> {
    let Some(row) = row else { return Ok(Answer::Nothing) };
    let mut rows = Vec::new();
    for (label, cell) in labels.iter().zip(&row.named) {
        let wrong = |what: &str| Failure::NotUnderstood { what: format!("row {label}: {what}") };
        let text = match cell {
            Cell::Missing => return Err(wrong("missing")),
            cell => cell.shown().map_err(|Wrong(what)| wrong(what))?,
        };
        let link = text.clone().filter(|text| is_page(text)).map(Private);
        let value = text.and_then(|text| plain(&text, LONGEST)).map(Private);
        rows.push(CustomRow { label: label.clone(), value, link });
    }
    if rows.iter().all(|row| row.value.is_none()) {
        return Ok(Answer::Nothing);
    }
    Ok(Answer::Facts { facts: Facts::Custom { rows }, as_of: None })
}

/// Anything else than a page, such as a program to start, is not passed on as a link.
fn is_page(link: &str) -> bool {
    url::Url::parse(link).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

fn needed(row: &Row, field: Field) -> Result<&Cell, Failure> {
    match row.cell(field) {
        Cell::Missing => Err(not_understood(field, "missing")),
        cell => Ok(cell),
    }
}

fn not_understood(field: Field, what: &str) -> Failure {
    Failure::NotUnderstood { what: format!("field {}: {what}", field.word()) }
}

/// An ISO 4217 code in upper case, or nothing: a currency sign or a name is not guessed at.
pub fn currency(raw: &str) -> Option<String> {
    let code = raw.trim().to_ascii_uppercase();
    (code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase())).then_some(code)
}

/// A source's own word on when its figures were true, which cannot be later than now.
pub fn not_in_the_future(as_of: Timestamp, now: Timestamp) -> Timestamp {
    as_of.min(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> NumberPlan {
        NumberPlan::new("IL", 4).expect("a known country")
    }

    fn check(gives: Gives, rows: &[&[(Field, &str)]], expected: &str) {
        let source = SourceName::parse("s").expect("a name");
        let cell = |text: &str| if text.is_empty() { Cell::Null } else { Cell::Text(text.to_owned()) };
        let rows: Vec<Row> = rows
            .iter()
            .map(|row| Row {
                cells: row.iter().map(|(field, text)| (*field, cell(text))).collect(),
                named: Vec::new(),
            })
            .collect();
        let (plan, named) = (plan(), Named::Keys(Vec::new()));
        let asked = Asked { gives, source: &source, currency: Some("ILS"), plan: &plan, named: &named };
        let found = match answer(&asked, &rows) {
            Ok(Answer::Customers(customers)) => {
                customers.iter().map(|c| format!("{} {};", c.key, c.name.0)).collect()
            }
            Ok(Answer::Facts { facts, .. }) => format!("{facts:?}"),
            Ok(Answer::Nothing) => "nothing".to_owned(),
            Err(failure) => failure.to_string(),
        };
        assert!(found.contains(expected), "{found} does not hold {expected}");
    }

    #[test]
    fn a_balance_needs_its_amount_and_null_is_not_zero() {
        use Field::{Balance, Currency, Overdue};
        check(
            Gives::Balance,
            &[&[(Balance, "1250.50"), (Currency, "usd")]],
            "amount: 1250.50, currency: Some(\"USD\")",
        );
        check(Gives::Balance, &[&[(Balance, "-3"), (Currency, "$")]], "amount: -3, currency: Some(\"ILS\")");
        check(Gives::Balance, &[&[(Balance, "")]], "nothing");
        check(Gives::Balance, &[], "nothing");
        check(Gives::Balance, &[&[(Overdue, "1")]], "answer not understood: field balance: missing");
        check(Gives::Balance, &[&[(Balance, "1,250.50")]], "field balance: not a number");
    }

    #[test]
    fn customers_without_a_usable_key_are_skipped_and_names_are_plain_text() {
        use Field::{Id, Name};
        let long = "9".repeat(65);
        check(
            Gives::Customer,
            &[&[(Id, &long), (Name, "A")], &[(Id, "7"), (Name, "\u{202E}B\nC")], &[(Id, "8"), (Name, "")]],
            "7 B C;8 8;",
        );
        check(Gives::Customer, &[&[(Id, "7")]], "field name: missing");
    }

    #[test]
    fn a_customers_numbers_and_keys_are_read_and_what_cannot_be_used_is_left_out() {
        let source = SourceName::parse("s").expect("a name");
        let name = |text: &str| TagName::parse(text).expect("a name");
        let named = Named::Keys(vec![name("tax_id"), name("shop"), name("old")]);
        let text = |text: &str| Cell::of_text(text);
        let row = |tax: Cell| Row {
            cells: vec![
                (Field::Id, text("7")),
                (Field::Name, text("Levi")),
                (Field::Numbers, text("050-123-4567; 03 555 0100;+972501234567;x;101")),
            ],
            named: vec![tax, text(&"9".repeat(65)), Cell::Null],
        };
        let plan = plan();
        let asked =
            Asked { gives: Gives::Customer, source: &source, currency: None, plan: &plan, named: &named };
        let Ok(Answer::Customers(found)) = answer(&asked, &[row(text(" 51-4 "))]) else {
            panic!("a customer expected")
        };
        let numbers: Vec<_> = found[0].numbers.iter().filter_map(Number::key).collect();
        assert_eq!(numbers, ["+972501234567", "+97235550100", "101"]);
        let keys: Vec<_> = found[0].keys.iter().map(|(name, key)| format!("{name}={}", key.0)).collect();
        assert_eq!(keys, ["tax_id=51-4"]);
        let said = answer(&asked, &[row(Cell::Missing)]).map_err(|failure| failure.to_string());
        assert_eq!(said, Err("answer not understood: key tax_id: missing".to_owned()));
    }

    #[test]
    fn a_record_is_shown_as_the_rows_that_the_configuration_names() {
        let source = SourceName::parse("s").expect("a name");
        let named = Named::Rows(vec!["Open tickets".to_owned(), "Page".to_owned(), "Contract".to_owned()]);
        let plan = plan();
        let asked =
            Asked { gives: Gives::Custom, source: &source, currency: None, plan: &plan, named: &named };
        let said = |cells: [Cell; 3]| match answer(&asked, &[Row { cells: Vec::new(), named: cells.into() }])
        {
            Ok(Answer::Facts { facts: Facts::Custom { rows }, .. }) => rows
                .iter()
                .map(|row| {
                    let link = row.link.as_ref().map_or("", |_| " (link)");
                    format!("{}={}{link};", row.label, row.value.as_ref().map_or("?", |value| &value.0))
                })
                .collect(),
            Ok(answer) => format!("{answer:?}"),
            Err(failure) => failure.to_string(),
        };
        let page = || Cell::of_text("https://crm.example/7");
        assert_eq!(
            said([Cell::Number(3.into()), page(), Cell::Bool(true)]),
            "Open tickets=3;Page=https://crm.example/7 (link);Contract=yes;"
        );
        assert_eq!(
            said([Cell::Null, Cell::of_text("javascript:x"), Cell::Null]),
            "Open tickets=?;Page=javascript:x;Contract=?;"
        );
        assert_eq!(said([Cell::Null, Cell::Null, Cell::Null]), "Nothing");
        assert_eq!(said([Cell::Null, Cell::Missing, Cell::Null]), "answer not understood: row Page: missing");
        assert_eq!(
            said([Cell::Odd, page(), Cell::Null]),
            "answer not understood: row Open tickets: not text"
        );
    }

    #[test]
    fn terms_need_any_one_field() {
        check(Gives::Credit, &[&[(Field::Days, "30")]], "days: Some(30)");
        check(Gives::Credit, &[&[(Field::Days, "")]], "nothing");
        check(Gives::Credit, &[&[(Field::Hold, "maybe")]], "field hold: not yes or no");
        check(Gives::Credit, &[&[(Field::Currency, "ILS")]], "none of the fields of credit is there");
    }

    #[test]
    fn notes_and_rows_need_what_they_say_and_a_link_is_a_page() {
        use Field::{By, Date, Label, Link, Text, Value};
        check(Gives::Notes, &[&[(Date, "2026-11-20"), (Text, "Moves"), (By, "Dana")]], "by: Some(\"Dana\")");
        check(Gives::Notes, &[&[(Text, "")]], "nothing");
        check(Gives::Notes, &[&[(By, "Dana")]], "field text: missing");
        check(
            Gives::Custom,
            &[&[(Label, "Order"), (Value, "7"), (Link, "https://a.example/7")]],
            "link: Some(…)",
        );
        for hostile in ["javascript:alert(1)", "file:///etc/passwd", "7", "calc.exe"] {
            check(Gives::Custom, &[&[(Label, "Order"), (Link, hostile)]], "value: None, link: None");
        }
        check(Gives::Custom, &[&[(Value, "7")]], "field label: missing");
    }

    #[test]
    fn no_more_purchases_are_taken_than_a_card_holds() {
        let row: &[(Field, &str)] = &[(Field::Product, "flour"), (Field::Date, "2026-11-20 10:00:00")];
        let many: Vec<_> = std::iter::repeat_n(row, 50).collect();
        let source = SourceName::parse("s").expect("a name");
        let rows: Vec<Row> = many
            .iter()
            .map(|row| Row {
                cells: row.iter().map(|(f, t)| (*f, Cell::Text((*t).to_owned()))).collect(),
                named: Vec::new(),
            })
            .collect();
        let (plan, named) = (plan(), Named::Keys(Vec::new()));
        let asked =
            Asked { gives: Gives::Purchases, source: &source, currency: None, plan: &plan, named: &named };
        match answer(&asked, &rows) {
            Ok(Answer::Facts { facts: Facts::Purchases { purchases }, .. }) => {
                assert_eq!(purchases.len(), MOST_PURCHASES);
                assert_eq!(purchases[0].date, Some(jiff::civil::date(2026, 11, 20)));
            }
            _ => panic!("purchases expected"),
        }
    }
}
