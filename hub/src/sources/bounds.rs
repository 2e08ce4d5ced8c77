//! How much is asked of a source, and how long its answers serve: what a `[[source]]` table says about that,
//! read and checked.

use std::time::Duration;

use pinkas_config::Section;
use pinkas_protocol::Gives;

use super::breaker::Rule;

/// See the file's own comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The most questions it has at a time; the next one is told busy.
    pub at_once: usize,
    /// When it is left alone; `None`: never.
    pub rest: Option<Rule>,
    /// For how long a good answer is used again; `None`: not at all.
    pub fresh: Option<Duration>,
    /// For how long its last figures are kept, to be shown when it gives none; `None`: not at all.
    pub keep_last: Option<Duration>,
    /// How long an agent who looks for a customer waits for it; `None`: as long as for anything else.
    pub search: Option<Duration>,
}

/// The most questions a source has at a time, unless the configuration says otherwise.
pub const AT_ONCE: usize = 16;

/// When a source is left alone, unless the configuration says otherwise.
pub const REST: Rule = Rule { after: 5, lasts: Duration::from_secs(15) };

/// For how long last figures are kept, unless the configuration says otherwise.
pub const KEEP_LAST: Duration = Duration::from_secs(7 * DAY);

/// A person sits there and waits.
const LONGEST_SEARCH: Duration = Duration::from_secs(10);

const DAY: u64 = 24 * 60 * 60;
/// More would be no bound.
const MOST_AT_ONCE: i64 = 1000;
const MOST_DAYS: u64 = 3650;

impl Default for Bounds {
    fn default() -> Self {
        Bounds { at_once: AT_ONCE, rest: Some(REST), fresh: None, keep_last: Some(KEEP_LAST), search: None }
    }
}

impl Bounds {
    /// Reads the keys of one source; `keep_last` is what the file says of all of them.
    pub(super) fn read(table: &mut Section<'_>, gives: Option<Gives>, keep_last: Option<Duration>) -> Bounds {
        let at_once = table.integer("at_once", 1, MOST_AT_ONCE).and_then(|most| usize::try_from(most).ok());
        let after = table.integer("rest_after", 0, 1000).and_then(|after| u32::try_from(after).ok());
        let lasts = table.duration("rest");
        if after == Some(0) && lasts.is_some() {
            table.note("rest", "with `rest_after = 0` the source is never left alone: remove `rest`");
        }
        let after = after.unwrap_or(REST.after);
        let rest = (after > 0).then(|| Rule { after, lasts: lasts.unwrap_or(REST.lasts) });
        let own = read_keep_last(table);
        let keep_last = match gives {
            Some(Gives::Customer) => {
                if own.is_some() {
                    table.note("keep_last", "what a directory says is never kept: remove `keep_last` here");
                }
                None
            }
            _ => own.unwrap_or(keep_last),
        };
        let search = table.duration("search_deadline");
        if search.is_some_and(|search| search > LONGEST_SEARCH) {
            table.note("search_deadline", "`search_deadline` can be at most \"10s\": somebody waits for it");
        }
        let at_once = at_once.unwrap_or(AT_ONCE);
        Bounds { at_once, rest, fresh: table.duration("fresh"), keep_last, search }
    }
}

/// Reads `keep_last`; the outer `None`: it is not written, or was noted as a mistake.
pub(super) fn read_keep_last(section: &mut Section<'_>) -> Option<Option<Duration>> {
    let written = section.text("keep_last")?;
    if written == "off" {
        return Some(None);
    }
    let days = written.strip_suffix("days").or_else(|| written.strip_suffix("day"));
    let days = days.and_then(|days| days.trim().parse().ok()).filter(|days| (1..=MOST_DAYS).contains(days));
    if days.is_none() {
        section.note("keep_last", "`keep_last` must be a number of days such as \"7 days\", or \"off\"");
    }
    days.map(|days| Some(Duration::from_secs(days * DAY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeSet;
    use std::path::Path;

    use pinkas_protocol::NumberPlan;

    use crate::sources::read;

    #[tokio::test]
    async fn how_much_is_asked_and_kept_is_read_and_checked() {
        let plan = NumberPlan::default();
        let told = |above: &str, more: &str, gives: &str| {
            let text = format!(
                "{above}[[source]]\nname = \"a\"\ngives = \"{gives}\"\nsql = \"postgres://x@h/d\"\n\
                 query = \"select id, name from t where n = {{number}}\"\n{more}"
            );
            match pinkas_config::parse(Path::new("hub.toml"), &text, |s| Some(read(s, &plan))) {
                Ok(sources) => {
                    let Bounds { at_once, rest, fresh, keep_last, search } = sources[0].bounds;
                    let rest = rest.map(|rule| (rule.after, rule.lasts));
                    let keep_last = keep_last.map(|keep| keep.as_secs() / 86_400);
                    let search = search.map(|search| format!(" {search:?}")).unwrap_or_default();
                    format!("{at_once} {rest:?} {fresh:?} {keep_last:?}{search}")
                }
                Err(told) => told.mistakes.iter().map(|m| format!("{}: {};", m.line, m.what)).collect(),
            }
        };
        for (above, more, gives, expected) in [
            ("", "", "custom", "16 Some((5, 15s)) None Some(7)"),
            ("", "", "customer", "16 Some((5, 15s)) None None"),
            ("keep_last = \"off\"\n", "", "custom", "16 Some((5, 15s)) None None"),
            ("keep_last = \"off\"\n", "keep_last = \"1 day\"\n", "custom", "16 Some((5, 15s)) None Some(1)"),
            ("keep_last = \"2 days\"\n", "keep_last = \"off\"\n", "custom", "16 Some((5, 15s)) None None"),
            (
                "keep_last = \"2 days\"\n",
                "at_once = 4\nrest_after = 3\nrest = \"1m\"\nfresh = \"30s\"\n",
                "custom",
                "4 Some((3, 60s)) Some(30s) Some(2)",
            ),
            ("", "rest_after = 0\n", "custom", "16 None None Some(7)"),
            (
                "",
                "search = \"select id, name from t where name like {text.contains}\"\nsearch_deadline = \"3s\"\n",
                "customer",
                "16 Some((5, 15s)) None None 3s",
            ),
            (
                "",
                "search_deadline = \"1m\"\n",
                "customer",
                "6: `search_deadline` needs `search`;6: `search_deadline` can be at most \"10s\": somebody waits for it;",
            ),
            (
                "",
                "search = \"x\"\n",
                "custom",
                "6: `search` is for directories (gives = \"customer\"): remove it here;",
            ),
            (
                "keep_last = \"a week\"\n",
                "at_once = 0\nrest_after = 0\nrest = \"1m\"\nkeep_last = \"0 days\"\n",
                "custom",
                "7: `at_once` must be a whole number from 1 to 1000, without quotes;\
                 9: with `rest_after = 0` the source is never left alone: remove `rest`;\
                 1: `keep_last` must be a number of days such as \"7 days\", or \"off\";\
                 10: `keep_last` must be a number of days such as \"7 days\", or \"off\";",
            ),
            (
                "",
                "keep_last = \"1 day\"\n",
                "customer",
                "6: what a directory says is never kept: remove `keep_last` here;",
            ),
        ] {
            let told = told(above, more, gives);
            // In whatever order mistakes are found.
            let sorted = |text: &str| text.split_inclusive(';').map(str::to_owned).collect::<BTreeSet<_>>();
            assert_eq!(sorted(&told), sorted(expected), "{above}{more}");
        }
    }

    #[test]
    fn figures_from_another_configuration_are_told_from_those_of_this_one() {
        let plan = NumberPlan::default();
        let print = |text: &str| {
            let file = Path::new("hub.toml");
            let read = pinkas_config::parse(file, text, |section| Some(read(section, &plan)));
            read.unwrap_or_else(|mistakes| panic!("{mistakes}"))[0].print
        };
        let text = "[[source]]\nname = \"a\"\ngives = \"custom\"\ntitle = \"x\"\nhttp = \"http://h/{customer.id}\"\n\
                    [source.show]\nDebt = \"$.debt\"\n";
        let first = print(text);
        assert_eq!(print(&text.replace("\"x\"", "\"y\"")), first);
        for (from, to) in
            [("http://h", "http://i"), ("Debt", "Limit"), ("$.debt", "$.d"), ("title", "currency")]
        {
            assert_ne!(
                print(&text.replace(from, to).replace("currency = \"x\"", "currency = \"PLN\"")),
                first
            );
        }
    }
}
