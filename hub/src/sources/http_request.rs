//! What a web service is asked and how its answer is read: its address, what is posted, and where in the JSON the
//! fields are. A directory has two of them: by number, and for whom an agent looks. Both go to one host, because what
//! says who asks goes along.

use pinkas_config::Section;
use pinkas_protocol::Gives;

use super::address::Address;
use super::fields::Field;
use super::http_body::Body;
use super::json::{self, Rows, Shape};
use super::template::{self, Asks, Place};
use super::{About, Needs, sought};

/// See the file's own comment.
pub struct Request {
    /// Where it goes.
    pub address: Address,
    /// What is posted; nothing is when the service is only asked to give.
    pub body: Option<Body>,
    /// What the answer looks like.
    pub shape: Shape,
}

impl Request {
    /// What has to be put in it.
    pub fn places(&self) -> Vec<Place> {
        places(&self.address, self.body.as_ref())
    }
}

fn places(address: &Address, body: Option<&Body>) -> Vec<Place> {
    let mut places = address.places();
    places.extend(body.into_iter().flat_map(Body::places));
    places
}

/// Reads what a source is asked about calls and customers, noting every mistake.
pub fn read(table: &mut Section<'_>, about: &About, named: &[String]) -> Option<(Request, Needs)> {
    let cannot = |what| format!("this address cannot be used: {what}");
    let address = table.text("http").and_then(|text| {
        Address::new(&text, Asks::Lookup).map_err(|what| table.note("http", cannot(what))).ok()
    });
    let body = body(table);
    let needs = address.as_ref().zip(body.as_ref()).and_then(|(address, body)| {
        let places = places(address, body.as_ref());
        template::fitting(&places, about.gives == Gives::Customer)
            .map_err(|what| table.note("http", cannot(what)))
            .ok()
    });
    let rows = rows(table, "rows");
    let shape = shape(table, about, named, rows);
    Some((Request { address: address?, body: body?, shape: shape? }, needs?))
}

/// Reads what a directory is asked for whom an agent looks; the outer `None`: there is a mistake, which was noted.
pub fn read_search(table: &mut Section<'_>, about: &About, lookup: &Request) -> Option<Option<Request>> {
    let cannot = |what| format!("`search_body` cannot be used: {what}");
    let body =
        table.text("search_body").map(|text| Body::new(&text, Asks::Search).map_err(cannot)).transpose();
    let body = body.map_err(|what| table.note("search_body", what)).ok();
    let rows = rows(table, "search_rows");
    let address = sought::read(table, about, |text| {
        let address = Address::new(text, Asks::Search)?;
        if address.origin() != lookup.address.origin() {
            return Err("it must be at the host of `http`, where what says who asks belongs".to_owned());
        }
        let places = places(&address, body.as_ref().and_then(Option::as_ref));
        template::searching(&places)?;
        match places.iter().find(|place| place.is_pattern()) {
            Some(place) => Err(format!("{} is for SQL: write {{text}}", place.written())),
            None => Ok(address),
        }
    });
    let (address, body, rows) = (address?, body?, rows?);
    let Some(address) = address else {
        for key in ["search_body", "search_rows"] {
            if table.has(key) {
                table.note(key, format!("`{key}` needs `search`, the address that is asked"));
            }
        }
        return Some(None);
    };
    let Some(rows) = rows.or_else(|| lookup.shape.rows.clone()) else {
        table.note(
            "search",
            "a search answers with a list: say where it is, with `search_rows = \"$.…\"`, or \"$\" for the whole answer",
        );
        return None;
    };
    let shape = Shape { rows: Some(rows), ..lookup.shape.clone() };
    Some(Some(Request { address, body, shape }))
}

fn rows(table: &mut Section<'_>, key: &str) -> Option<Option<Rows>> {
    match table.text(key).map(|text| Rows::new(&text)) {
        None => Some(None),
        Some(Ok(rows)) => Some(Some(rows)),
        Some(Err(what)) => {
            table.note(key, format!("`{key}`: {what}"));
            None
        }
    }
}

/// `method` and `body`: nothing is posted unless there is something to post.
fn body(table: &mut Section<'_>) -> Option<Option<Body>> {
    let post = match table.text("method").as_deref() {
        None => None,
        Some("GET") => Some(false),
        Some("POST") => Some(true),
        Some(_) => {
            table.note("method", "`method` must be \"GET\" or \"POST\": a source is only asked");
            return None;
        }
    };
    match (post, table.text("body")) {
        (None | Some(false), None) => Some(None),
        (Some(true), None) => {
            table.note(
                "method",
                "a POST needs `body`: write the JSON to send, such as '{\"customer\": \"{customer.id}\"}'",
            );
            None
        }
        (Some(false), Some(_)) => {
            table.note("body", "a GET sends no `body`: write method = \"POST\"");
            None
        }
        (_, Some(text)) => match Body::new(&text, Asks::Lookup) {
            Ok(body) => Some(Some(body)),
            Err(what) => {
                table.note("body", format!("`body` cannot be used: {what}"));
                None
            }
        },
    }
}

fn shape(
    table: &mut Section<'_>,
    about: &About,
    named: &[String],
    rows: Option<Option<Rows>>,
) -> Option<Shape> {
    let fields = super::mapping(table, about.gives, json::path);
    let named: Result<Vec<_>, String> = named.iter().map(|text| json::path(text)).collect();
    let names = if about.gives == Gives::Customer { "keys" } else { "show" };
    let named = named.map_err(|what| table.note(names, format!("[source.{names}]: {what}"))).ok();
    let fields = fields?;
    let mapped = |field: &Field| fields.iter().any(|(mapped, _)| mapped == field);
    let missing: Vec<_> =
        Field::needed(about.gives).iter().filter(|field| !mapped(field)).map(|f| f.word()).collect();
    if (!missing.is_empty() || fields.is_empty()) && !about.has_own_rows() {
        let example = missing.first().unwrap_or(&"limit");
        let what = format!("[source.fields] does not say where `{example}` is: write {example} = \"$.…\"");
        table.note("fields", what);
        return None;
    }
    Some(Shape { rows: rows?, fields, named: named? })
}
