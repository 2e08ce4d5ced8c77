//! What happened to a call, in sentences for a person, with times from the packet on. Pure.

use std::fmt::Write;

use jiff::Timestamp;
use pinkas_protocol::{CallChange, CallView, EndedHow, Line, LineState, Who, Withdrawal};

use super::moment;
use crate::core::trace::{Came, Counted, Found, NoPop, NotTaken, Phone, Step, What, Whom};
use crate::core::{Account, MOST_ENDED};

/// The account as text; each line ends with a line break.
pub fn told(account: &Account) -> String {
    let mut text = String::new();
    let mut say = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    let Some(view) = &account.call else {
        say(&format!(
            "The hub holds no such call. It holds those that go on and the last {MOST_ENDED} that ended."
        ));
        say(
            "A call between two phones of the company makes no pop, and one that no adapter heard is not known here.",
        );
        adapters(account).iter().for_each(|line| say(line));
        return text;
    };
    head(view).iter().for_each(|line| say(line));
    if account.steps.is_empty() {
        say("Nothing is noted of what happened to it: it is of an older hub, or its record was imported.");
    }
    let line = account.phone.as_ref().map(|phone| &phone.line);
    let mut last = None;
    for (number, step) in &account.steps {
        if last.is_some_and(|last| last + 1 != *number) {
            say("           … (steps in between are left out)");
        }
        last = Some(*number);
        if line.is_none_or(|line| concerns(&step.what, line)) {
            let at = relative(view.arrived_at, moment_of(step));
            say(&format!("{at:>10}  {}", step_words(view, step)));
        }
    }
    let lines: Vec<&Line> = match line {
        Some(line) => vec![line],
        None => view.offers.keys().collect(),
    };
    say("");
    if lines.is_empty() {
        say("It rang at no phone, so nothing could pop.");
    }
    for line in lines {
        say(&verdict(account, view, line));
    }
    if let Some(phone) = &account.phone {
        phone_words(phone).iter().for_each(|line| say(line));
    }
    adapters(account).iter().for_each(|line| say(line));
    if !account.earlier.is_empty() {
        say("Earlier calls from this number:");
        account.earlier.iter().for_each(|call| say(&format!("  {call}")));
    }
    text
}

fn head(view: &CallView) -> Vec<String> {
    let caller = &view.facts.caller;
    let number = caller.number.as_ref().map(|number| number.shown());
    let from = number.unwrap_or_else(|| match caller.withheld {
        true => "a withheld number".to_owned(),
        false => "an unknown number".to_owned(),
    });
    let trial = if view.trial { "Pretended call" } else { "Call" };
    let mut first = format!("{trial} {} from {from}", view.id);
    if let Some(queue) = &view.facts.queue {
        let _ = write!(first, ", queue {queue}");
    }
    let customer = match &view.who {
        Who::Asking => "The directories are being asked who it is.".to_owned(),
        Who::Unknown { .. } => "No directory knows the number.".to_owned(),
        Who::NoneOf { .. } => "Somebody said that it is none of the customers found.".to_owned(),
        Who::NoNumber => "There is no number to look up.".to_owned(),
        Who::Failed { failure } => format!("Who it is is not known: {failure}."),
        who @ (Who::Known { .. } | Who::Several { .. }) => match who.customer() {
            Some(customer) => format!("{} ({})", customer.name.0, customer.key),
            None => format!("{} customers have this number, and nobody has chosen.", who.found().len()),
        },
    };
    vec![
        first,
        customer,
        format!(
            "Its first message reached the adapter on {}; times count from then.",
            moment(view.arrived_at)
        ),
    ]
}

/// What an adapter heard counts from when it heard it, all else by the hub's clock.
fn moment_of(step: &Step) -> Timestamp {
    match &step.what {
        What::Heard { heard_at, .. } => *heard_at,
        _ => step.at,
    }
}

fn relative(from: Timestamp, at: Timestamp) -> String {
    span(at.duration_since(from).as_millis())
}

fn span(ms: i128) -> String {
    match ms {
        -9_999..=9_999 => format!("{ms} ms"),
        _ => format!("{}.{} s", ms / 1_000, (ms % 1_000).abs() / 100),
    }
}

/// What is said of every phone, or of this one.
fn concerns(what: &What, line: &Line) -> bool {
    let of = match what {
        What::Heard { change, .. } => match change {
            CallChange::Offered { line, .. }
            | CallChange::Withdrawn { line, .. }
            | CallChange::Answered { line }
            | CallChange::Held { line }
            | CallChange::Resumed { line }
            | CallChange::Left { line, .. } => Some(line),
            CallChange::Arrived(_)
            | CallChange::Known(_)
            | CallChange::Waits { .. }
            | CallChange::Ended { .. } => None,
        },
        What::Popped { line, .. } | What::PoppedAtLogin { line, .. } | What::NoPop { line, .. } => Some(line),
        _ => None,
    };
    of.is_none_or(|of| of == line)
}

fn step_words(view: &CallView, step: &Step) -> String {
    match &step.what {
        What::Heard { adapter, heard_at, change, counted } => {
            let mut words = change_words(change);
            match counted {
                Counted::New => {}
                Counted::AfterTheEnd => words.push_str("; not counted, as the call had ended"),
            }
            let under_way = step.at.duration_since(*heard_at).as_millis();
            if !(0..=1_000).contains(&under_way) {
                let _ = match under_way {
                    ..0 => write!(words, "; the clock of {adapter} is {} ahead", span(-under_way)),
                    _ => write!(words, "; {adapter} told it {} later", span(under_way)),
                };
            }
            words
        }
        What::Asked { whom: Whom::Directories } => "the directories are asked who it is".to_owned(),
        What::Asked { whom: Whom::ByCall } => "the sources that need only the call are asked".to_owned(),
        What::Asked { whom: Whom::ByCustomer } => "the sources that need the customer are asked".to_owned(),
        What::Found { found } => match found {
            Found::Asking => "it is asked anew who it is".to_owned(),
            Found::One => "it is settled who the customer is".to_owned(),
            Found::Several { customers } => {
                format!(
                    "{customers} customers fit: no card that needs one is asked for until somebody chooses"
                )
            }
            Found::Unknown => "no directory knows the number".to_owned(),
            Found::NoneOf => "it is none of the customers found".to_owned(),
            Found::NoNumber => "there is nothing to look up".to_owned(),
            Found::Failed { failure } => format!("no directory could say who it is: {failure}"),
        },
        What::Outdated => "directories answered about another number, which is dropped".to_owned(),
        What::Card { source, came } => format!("card of {source}: {}", came_words(came)),
        What::Popped { agent, line, desktops, heard_at } => {
            let after = span(step.at.duration_since(*heard_at).as_millis());
            let desktops = match desktops {
                1 => String::new(),
                more => format!(" ({more} desktops)"),
            };
            format!("{line}: popped at {agent}'s desktop{desktops}, {after} after it was heard")
        }
        What::PoppedAtLogin { agent, line } => {
            format!("{line}: popped at {agent}'s desktop, which connected only now")
        }
        What::NoPop { line, why } => format!("{line}: no pop, because {}", no_pop_words(why)),
        What::Listed { agents, more } => {
            let names: Vec<&str> = agents.iter().map(|agent| agent.as_str()).collect();
            let more = if *more == 0 { String::new() } else { format!(" and {more} more") };
            format!(
                "in the list of {}{more}; no pop there, as it is not at a phone of theirs",
                names.join(", ")
            )
        }
        What::NotTaken { agent, because: NotTaken::QueueFull } => {
            format!(
                "a desktop of {agent} was cut off, as its queue was full: look at its machine and network"
            )
        }
        What::NotTaken { agent, because: NotTaken::LinkEnded } => {
            format!("a desktop of {agent} was not reached: its link had just ended")
        }
        What::Chose { agent } => format!("{agent} chose the customer"),
        What::ChoseNone { agent } => format!("{agent} said that it is none of those found"),
        What::Identified { agent } => format!("{agent} said how the caller was identified"),
        What::AdapterGone { adapter } => {
            format!("the link of adapter {adapter} ended: what happens now is heard when it is back")
        }
        What::AdapterBack { adapter } => format!("adapter {adapter} is back"),
        What::Lost { adapter } => format!("adapter {adapter} lost sight of it{}", ended_words(view)),
    }
}

fn ended_words(view: &CallView) -> &'static str {
    if view.ended.is_some() { ", so it counts as over" } else { "" }
}

fn change_words(change: &CallChange) -> String {
    match change {
        CallChange::Arrived(facts) => match &facts.queue {
            Some(queue) => format!("the call is there, for queue {queue}"),
            None => "the call is there".to_owned(),
        },
        CallChange::Known(_) => "more is known of who calls and what was called".to_owned(),
        CallChange::Waits { queue, position } => format!("waits in queue {queue} at place {position}"),
        CallChange::Offered { line, passed_on_by: Some(by) } => format!("{line}: rings, passed on by {by}"),
        CallChange::Offered { line, passed_on_by: None } => format!("{line}: rings"),
        CallChange::Withdrawn { line, why } => {
            let why = match why {
                Withdrawal::AnsweredElsewhere { by } => format!("answered at {by}"),
                Withdrawal::CallerGaveUp => "the caller hung up".to_owned(),
                Withdrawal::Declined => "declined there".to_owned(),
                Withdrawal::NoAnswer => "not answered there".to_owned(),
                Withdrawal::StoppedRinging => "the phone system does not say why".to_owned(),
            };
            format!("{line}: rings no more ({why})")
        }
        CallChange::Answered { line } => format!("{line}: answered"),
        CallChange::Held { line } => format!("{line}: put on hold"),
        CallChange::Resumed { line } => format!("{line}: taken off hold"),
        CallChange::Left { line, moved_to: Some(to) } => format!("{line}: passed on to {to}"),
        CallChange::Left { line, moved_to: None } => format!("{line}: left the call"),
        CallChange::Ended { how } => match how {
            EndedHow::Completed => "hung up after a conversation".to_owned(),
            EndedHow::Abandoned => "the caller hung up before anybody answered".to_owned(),
            EndedHow::Declined => "declined, and the caller was sent away".to_owned(),
            EndedHow::Unanswered => "nobody answered, and the caller was sent away".to_owned(),
            EndedHow::Joined { into } => format!("joined with call {into}, which goes on"),
            EndedHow::Lost => "the adapter lost sight of it".to_owned(),
        },
    }
}

fn came_words(came: &Came) -> String {
    match came {
        Came::Waiting => "asked anew".to_owned(),
        Came::Late { deadline_ms } => format!("no answer in {deadline_ms} ms; it is still waited for"),
        Came::Filled { took_ms, old: Some(failure), .. } => {
            format!("after {took_ms} ms with what the source gave earlier, as now: {failure}")
        }
        Came::Filled { took_ms, late: true, .. } => format!("filled after {took_ms} ms, late"),
        Came::Filled { took_ms, .. } => format!("filled after {took_ms} ms"),
        Came::Nothing { took_ms } => format!("the source has nothing on this customer ({took_ms} ms)"),
        Came::Failed { failure, took_ms } => format!("{failure} ({took_ms} ms)"),
    }
}

fn no_pop_words(why: &NoPop) -> String {
    match why {
        NoPop::NobodyHasThisPhone => {
            "this phone is in nobody's `lines` (`hub.toml`, or `pinkas-hub user`)".to_owned()
        }
        NoPop::NotLoggedIn { agents } => {
            let names: Vec<&str> = agents.iter().map(|agent| agent.as_str()).collect();
            format!("nobody who has it was connected ({})", names.join(", "))
        }
    }
}

/// In one sentence, whether it popped at a phone.
fn verdict(account: &Account, view: &CallView, line: &Line) -> String {
    let mut popped = Vec::<&str>::new();
    let (mut why_not, mut slow) = (None, Vec::<&str>::new());
    for step in account.steps.values() {
        match &step.what {
            What::Popped { agent, line: at, .. } | What::PoppedAtLogin { agent, line: at } if at == line => {
                popped.push(agent.as_str());
            }
            What::NoPop { line: at, why } if at == line => why_not = Some(no_pop_words(why)),
            What::NotTaken { agent, .. } => slow.push(agent.as_str()),
            _ => {}
        }
    }
    // Who logged in again, or at whose phone it rang again, is named once.
    let mut named = std::collections::BTreeSet::new();
    popped.retain(|agent| named.insert(*agent));
    if !popped.is_empty() {
        let cut: Vec<&str> = popped.iter().copied().filter(|agent| slow.contains(agent)).collect();
        let but = match cut.is_empty() {
            true => String::new(),
            false => format!("; but {} was not reached meanwhile", cut.join(", ")),
        };
        return format!("At {line} it popped for {}{but}.", popped.join(", "));
    }
    match why_not {
        Some(why) => format!("At {line} it did not pop: {why}."),
        None if view.offers.contains_key(line) => {
            format!("At {line} it did not pop: it was not at that phone while the hub was told of it.")
        }
        None => {
            format!("At {line} it did not pop: as far as the phone system said, it was never at that phone.")
        }
    }
}

fn phone_words(phone: &Phone) -> Vec<String> {
    let names: Vec<&str> = phone.agents.iter().map(|agent| agent.as_str()).collect();
    let has = match names.is_empty() {
        true => format!("Nobody has {} in their `lines`.", phone.line),
        false => format!("{} belongs to {}.", phone.line, names.join(", ")),
    };
    let followed = match &phone.view {
        None => "No adapter follows it: is it in `lines` of `adapter.toml`?".to_owned(),
        Some(view) if view.state == LineState::Unknown => {
            "Its adapter does not hear it: `pinkas-sip-adapter check` says why.".to_owned()
        }
        Some(_) => "An adapter follows it.".to_owned(),
    };
    let closed = "A card that somebody closed by hand is known to that desktop only.".to_owned();
    vec![has, followed, closed]
}

fn adapters(account: &Account) -> Vec<String> {
    let gone = account.adapters.iter().filter(|(_, view)| !view.connected);
    gone.map(|(name, view)| {
        format!("Adapter {name} is not connected since {}: what it hears is told later.", moment(view.since))
    })
    .collect()
}
