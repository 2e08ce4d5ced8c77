//! Who a SIP message claims is calling, and all else it says of the call.
//! A caller's number comes from a URI alone, never from text that a caller may choose freely: a display
//! name that looks like an address stays a name. Who asked to be withheld is withheld, whoever asserts more.

use std::net::IpAddr;

use pinkas_protocol::{CallFacts, Caller, Number, NumberPlan, Private, QueueName, TagName, text};

use super::charset::Charset;
use super::display::{self, QueuePrefix};
use super::message::Message;
use super::name_addr::NameAddr;
use super::tags::HeaderName;
use super::uri::Uri;
use super::{diversion, stir, tags};

/// How messages are to be understood at one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How numbers are read.
    pub numbers: NumberPlan,
    /// Whose P-Asserted-Identity, Remote-Party-ID and STIR/SHAKEN verdicts are believed.
    pub trusted: Vec<IpAddr>,
    /// What phone systems write before a caller's name to tell the queue.
    pub queue_prefixes: Vec<QueuePrefix>,
    /// Which header tells the queue.
    pub queue_header: HeaderName,
    /// Which header tells the company's number that was dialled.
    pub did_header: HeaderName,
    /// The charset of headers that are not UTF-8; guessed when absent.
    pub charset: Option<Charset>,
    /// Which headers become tags of a call.
    pub tags: Vec<(TagName, HeaderName)>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            numbers: NumberPlan::default(),
            trusted: Vec::new(),
            queue_prefixes: Vec::new(),
            queue_header: HeaderName::known("X-Queue"),
            did_header: HeaderName::known("X-DID"),
            charset: None,
            tags: Vec::new(),
        }
    }
}

impl Rules {
    /// Whether what a peer asserts is believed.
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        peer.is_some_and(|peer| self.trusted.iter().any(|known| known.to_canonical() == peer.to_canonical()))
    }
}

/// What one INVITE says, and by which header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// All it says of the call.
    pub facts: CallFacts,
    /// Where the caller's number was taken from.
    pub asserted_by: Option<&'static str>,
    /// What would have counted, had the peer been trusted.
    pub not_believed: Vec<&'static str>,
    /// The digits of every address of a caller who asked to be withheld: what no other leg of the call may tell.
    pub kept_back: Private<Vec<String>>,
}

/// The most addresses of one kind that are looked at; RFC 3325 section 9.1 allows two.
const MOST_CLAIMS: usize = 8;
const ASSERTED: &str = "P-Asserted-Identity";
const REMOTE_PARTY: &str = "Remote-Party-ID";
const FROM: &str = "From";

/// Everything an INVITE (or a re-INVITE) from `peer` says of a call.
pub fn facts(invite: &Message, peer: Option<IpAddr>, rules: &Rules) -> CallFacts {
    read(invite, peer, rules).facts
}

/// As [`read`], of a message whose From and To were read already.
pub fn between(
    invite: &Message,
    (from, to): (&NameAddr<'_>, &NameAddr<'_>),
    peer: Option<IpAddr>,
    rules: &Rules,
) -> Identity {
    read_between(invite, (Some(from), Some(to)), peer, rules)
}

/// As [`facts`], with where the caller was found.
pub fn read(invite: &Message, peer: Option<IpAddr>, rules: &Rules) -> Identity {
    let (from, to) = (invite.from(), invite.to());
    read_between(invite, (from.as_ref(), to.as_ref()), peer, rules)
}

fn read_between(
    invite: &Message,
    (from, to): (Option<&NameAddr<'_>>, Option<&NameAddr<'_>>),
    peer: Option<IpAddr>,
    rules: &Rules,
) -> Identity {
    let trusted = rules.trusts(peer);
    let asserted: Vec<NameAddr> =
        invite.headers(ASSERTED).flat_map(NameAddr::read_list).take(MOST_CLAIMS).collect();
    let remote = invite.headers(REMOTE_PARTY).flat_map(NameAddr::read_list).filter(is_calling);
    let remote: Vec<NameAddr> = remote.take(MOST_CLAIMS).collect();
    let withheld = asks_for_privacy(invite)
        || remote.iter().any(remote_withholds)
        || asserted.iter().chain(&remote).chain(from).any(|address| address.parts().is_some_and(withholds));

    let claim = |address: &NameAddr| {
        Claim::of(address.parts(), address.display.as_deref(), &rules.numbers, &rules.queue_prefixes)
    };
    let mut claims: Vec<(&'static str, Claim)> = Vec::new();
    if trusted {
        claims.extend(asserted.iter().map(|address| (ASSERTED, claim(address))));
        claims.extend(remote.iter().map(|address| (REMOTE_PARTY, claim(address))));
    }
    claims.extend(from.map(|address| (FROM, claim(address))));

    let queue = invite.headers(rules.queue_header.as_str()).find_map(queue_name);
    let queue = queue.or_else(|| claims.iter().find_map(|(_, claim)| claim.queue.clone()));
    let stir = trusted.then(|| stir::verdict(invite, &asserted, from)).flatten();
    let (asserted_by, caller) =
        if withheld { (None, Caller { withheld: true, ..Caller::default() }) } else { chosen(claims) };
    let mut facts = CallFacts {
        caller: Caller { stir, ..caller },
        queue,
        dialled: dialled(invite, to, rules),
        diverted_by: diversion::diverted_by(invite).and_then(|by| number(by.parts()?, &rules.numbers)),
        tags: tags::read(invite, &rules.tags),
    };
    let mut kept_back = Vec::new();
    if withheld {
        let contact = invite.contact();
        let addresses = asserted.iter().chain(&remote).chain(from).chain(&contact);
        kept_back.extend(addresses.filter_map(|address| Some(tags::digits(&address.user()?))));
        kept_back.retain(|digits| !digits.is_empty());
        tags::keep_back(&mut facts, &kept_back);
    }
    let present = |header: &str| invite.header(header).is_some();
    let unheard =
        [ASSERTED, REMOTE_PARTY, "Identity"].into_iter().filter(|header| !trusted && present(header));
    Identity { facts, asserted_by, not_believed: unheard.collect(), kept_back: Private(kept_back) }
}

/// A caller out of a URI and display name as dialog-info carries them (RFC 4235 section 4.1.5):
/// unescaped, without angle brackets.
pub fn caller(uri: &str, display: Option<&str>, plan: &NumberPlan) -> Caller {
    named(Uri::read(uri), display, plan, &[]).0
}

/// As [`caller`], with the queue that a phone system wrote before the name.
pub fn caller_and_queue(uri: &str, display: Option<&str>, rules: &Rules) -> (Caller, Option<QueueName>) {
    named(Uri::read(uri), display, &rules.numbers, &rules.queue_prefixes)
}

fn named(
    uri: Option<Uri<'_>>,
    display: Option<&str>,
    plan: &NumberPlan,
    prefixes: &[QueuePrefix],
) -> (Caller, Option<QueueName>) {
    let Claim { number, name, queue } = Claim::of(uri, display, plan, prefixes);
    let caller = match uri.is_some_and(withholds) {
        true => Caller { withheld: true, ..Caller::default() },
        false => Caller { number, name: name.map(Private), ..Caller::default() },
    };
    (caller, queue)
}

/// The number a URI names: an extension, a public number, or what else stands there.
pub fn number(uri: Uri<'_>, plan: &NumberPlan) -> Option<Number> {
    let user = uri.unescaped_user()?;
    if ["unknown", "unavailable"].iter().any(|word| user.eq_ignore_ascii_case(word)) {
        return None;
    }
    let local = plan.read(&user)?;
    // RFC 3966 section 5.1.5: the number is meant within this prefix. Extensions and short codes are not
    // public numbers, whatever prefix is written beside them.
    let context = uri.param("phone-context").filter(|context| context.starts_with('+'));
    let Some(context) = context.filter(|_| !user.starts_with('+')) else { return Some(local) };
    let (prefix, digits) = (tags::digits(context), tags::digits(&user));
    let only_number = user.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '.' | '(' | ')' | ' '));
    let long_enough = only_number && digits.len() >= 6 && !matches!(local, Number::Extension { .. });
    let joined = long_enough.then(|| plan.read(&format!("+{prefix}{digits}"))).flatten();
    joined.filter(|number| matches!(number, Number::E164 { .. })).or(Some(local))
}

/// What one address claims.
struct Claim {
    number: Option<Number>,
    name: Option<String>,
    queue: Option<QueueName>,
}

impl Claim {
    fn of(uri: Option<Uri<'_>>, display: Option<&str>, plan: &NumberPlan, prefixes: &[QueuePrefix]) -> Claim {
        let number = uri.and_then(|uri| number(uri, plan));
        let shown = display.and_then(display::read);
        let prefixed =
            shown.as_deref().and_then(|shown| prefixes.iter().find_map(|prefix| prefix.split(shown)));
        let (queue, name) = match prefixed {
            Some((queue, name)) => (Some(queue), text::plain(name, text::LONGEST)),
            // What is plain text already stays as it is.
            None if shown.as_ref().is_none_or(|shown| shown.len() <= text::LONGEST) => (None, shown),
            None => (None, shown.and_then(|shown| text::plain(&shown, text::LONGEST))),
        };
        let name = name.filter(|name| display::names_someone(name, number.as_ref(), plan));
        Claim { number, name, queue }
    }
}

/// The first header that claims a number, and of its addresses one whose number can be looked up; where none
/// claims a number, the first name. A name is also taken from another claim of the same number: carriers
/// assert numbers without names.
fn chosen(claims: Vec<(&'static str, Claim)>) -> (Option<&'static str>, Caller) {
    let rank = |claim: &Claim| match &claim.number {
        Some(number) if number.key().is_some() => 0,
        Some(_) => 1,
        None if claim.name.is_some() => 2,
        None => 3,
    };
    let first = claims.iter().find(|(_, claim)| claim.number.is_some()).map(|(by, _)| *by);
    let candidates = claims.iter().filter(|(by, _)| first.is_none_or(|first| first == *by));
    let Some((by, best)) = candidates.min_by_key(|(_, claim)| rank(claim)) else {
        return (None, Caller::default());
    };
    let mut alike = claims.iter().filter(|(_, claim)| claim.number == best.number);
    let name = best.name.clone().or_else(|| alike.find_map(|(_, claim)| claim.name.clone()));
    let by = (rank(best) < 3).then_some(*by);
    (by, Caller { number: best.number.clone(), name: name.map(Private), ..Caller::default() })
}

/// `Privacy` (RFC 3323, RFC 3325). `none`, `critical` and `history` do not ask to be withheld.
fn asks_for_privacy(message: &Message) -> bool {
    let asks = |word: &str| {
        matches!(word.trim().to_ascii_lowercase().as_str(), "id" | "header" | "user" | "session")
    };
    message.headers("Privacy").any(|value| value.split([';', ',']).any(asks))
}

fn is_calling(remote: &NameAddr) -> bool {
    remote.param("party").is_none_or(|party| party.eq_ignore_ascii_case("calling"))
}

/// `privacy` of Remote-Party-ID: `full`, `uri` or `name`, several joined with `;` or `,`.
fn remote_withholds(remote: &NameAddr) -> bool {
    let asks = |word: &str| matches!(word.trim().to_ascii_lowercase().as_str(), "full" | "uri" | "name");
    remote.param("privacy").is_some_and(|value| value.split([';', ',', ' ']).any(asks))
}

/// RFC 3323 section 4.1.1.3, and what phone systems write instead.
fn withholds(uri: Uri<'_>) -> bool {
    let host = uri.host.trim_end_matches('.');
    let user = uri.unescaped_user().unwrap_or_default();
    host.eq_ignore_ascii_case("anonymous.invalid")
        || ["anonymous", "restricted", "private", "withheld"]
            .iter()
            .any(|word| user.eq_ignore_ascii_case(word))
}

fn queue_name(raw: &str) -> Option<QueueName> {
    QueueName::parse(&text::plain(raw, text::LONGEST)?).ok()
}

/// The company's number that was dialled. A phone's own extension is none: that is where the call went.
fn dialled(invite: &Message, to: Option<&NameAddr<'_>>, rules: &Rules) -> Option<Number> {
    let plan = &rules.numbers;
    let of_address = |value: &str| number(NameAddr::read(value)?.parts()?, plan);
    if let Some(value) = invite.headers(rules.did_header.as_str()).find(|value| !value.is_empty()) {
        return of_address(value).or_else(|| plan.read(value));
    }
    let public = |number: &Number| match number {
        Number::E164 { .. } => true,
        Number::Extension { .. } => false,
        Number::Other { text } => text.bytes().all(|byte| byte.is_ascii_digit()),
    };
    let called = invite.header("P-Called-Party-ID").and_then(of_address).filter(public);
    let request = || number(Uri::read(invite.request_uri()?)?, plan).filter(public);
    let to = || to.and_then(|to| number(to.parts()?, plan)).filter(public);
    called.or_else(request).or_else(to)
}

#[cfg(test)]
mod tests;
