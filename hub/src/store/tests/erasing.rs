//! One caller or customer erased: no file of the folder holds anything of them, and the rest is as it was.

use super::*;
use crate::core::KeptMissed;
use crate::last::tests::{facts, label, source};
use crate::last::{self, Label};
use crate::sources::bounds::KEEP_LAST;

const GONE: &str = "+48999888777";
const STAYS: &str = "+48123456789";

pub(super) fn view(n: u64, from: &str, who: Who) -> Keep {
    let view = CallView {
        id: call(n),
        facts: CallFacts {
            caller: Caller { number: number(from), ..Caller::default() },
            ..CallFacts::default()
        },
        arrived_at: at(n),
        waits: None,
        offers: Default::default(),
        who,
        cards: Vec::new(),
        identified: None,
        ended: Some(Ended { at: at(n + 9), how: EndedHow::Abandoned }),
        entries: Vec::new(),
        trial: false,
    };
    Keep::Call { call: call(n), kept: Some(Box::new(KeptCall { adapter: id("main"), view })) }
}

fn customer(key: &str) -> Customer {
    Customer::new(id(key), format!("Name of {key}"), id("customers"))
}

async fn shelf() -> Shelf {
    let shelf = Shelf::new();
    let several = |keys: &[&str], chosen: Option<&str>| Who::Several {
        customers: keys.iter().map(|key| customer(key)).collect(),
        chosen: chosen.map(id),
    };
    let missed = |n, from: &str| {
        let row = Missed {
            id: call(n),
            caller: Caller { number: number(from), ..Caller::default() },
            customer: None,
            queue: None,
            count: 1,
            first: at(n),
            last: at(n),
            handled: Some(Settled { at: at(n), name: None }),
        };
        let kept = KeptMissed { row, lines: Default::default(), last_call: call(n) };
        Keep::Missed { row: call(n), kept: Some(Box::new(kept)) }
    };
    let follow_up = |n, from: &str| {
        let caller = Caller { number: number(from), ..Caller::default() };
        let entry = Entry {
            what: Written::FollowUp {
                due: jiff::civil::date(2026, 12, 1),
                text: Private("CANARY-DUE".to_owned()),
            },
            ..entry(n, "")
        };
        let id = entry.id;
        Keep::FollowUp { id, kept: Some(Box::new(FollowUp { call: call(n), caller, customer: None, entry })) }
    };
    shelf
        .keeps(vec![
            seen(1, "CANARY-KEY"),
            seen(2, "C2"),
            seen(2, "CANARY-KEY"),
            choice(GONE, "C2"),
            choice(STAYS, "CANARY-KEY"),
            choice("101", "C2"),
            noted(1, call(1), GONE),
            noted(2, call(2), STAYS),
            view(1, GONE, Who::Known { customer: customer("CANARY-KEY") }),
            view(2, STAYS, several(&["CANARY-KEY", "C2"], Some("C2"))),
            keep_past(past(1, GONE, Some("CANARY-KEY"), "101")),
            keep_past(past(2, STAYS, Some("C2"), "101")),
            Keep::Entry { call: call(1), entry: Box::new(entry(1, "CANARY-NOTE")) },
            Keep::Entry { call: call(2), entry: Box::new(entry(2, "see also +48999888777, they said")) },
            missed(1, GONE),
            missed(2, STAYS),
            follow_up(1, GONE),
            step(1, "CANARY-STEP"),
            step(2, "of the other"),
        ])
        .await;
    // Written over and over: sled keeps old values in its file.
    for _ in 0..20 {
        shelf.keeps(vec![keep_past(past(1, GONE, Some("CANARY-KEY"), "101"))]).await;
    }
    shelf
}

/// The files of the folder in which one of these stands.
fn grep(shelf: &Shelf, canaries: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let near = shelf.folder.parent().expect("a folder");
    let mut folders = vec![near.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it is there") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).expect("it is there");
            for canary in canaries {
                if bytes.windows(canary.len()).any(|window| window == canary.as_bytes()) {
                    found.push(format!("{canary} in {}", path.display()));
                }
            }
        }
    }
    found
}

fn place(shelf: &Shelf) -> last::Place {
    last::Place { state: shelf.folder.clone(), key: key_of(shelf) }
}

fn key_of(shelf: &Shelf) -> PathBuf {
    shelf.folder.with_file_name("last-known.key")
}

/// Last figures of three answers: on a call from the number, about the customer, and with the number in their text.
async fn last_figures(shelf: &Shelf) {
    let (last, keeper) = last::open(&place(shelf), &[source("notes", Some(KEEP_LAST))]).expect("a thread");
    for (n, from, customer, text) in [
        (1, GONE, "C2", "CANARY-FIGURES"),
        (2, STAYS, "CANARY-KEY", "their figures"),
        (3, STAYS, "C2", "call 48999888777"),
        (4, STAYS, "C2", "these stay"),
    ] {
        let label = Label { customer: Some(id(customer)), number: number(from), ..label(n, "notes") };
        last.keep(label, &facts(text));
    }
    keeper.expect("one").close().await.expect("it ends");
}

#[tokio::test]
async fn nothing_is_left_of_an_erased_caller_in_the_last_figures_of_sources() {
    let by_number = Whom { number: Some(GONE.to_owned()), customer: None };
    let by_customer = Whom { number: None, customer: Some(id("CANARY-KEY")) };
    for (whom, canaries, answers) in [
        (by_number, &["CANARY-FIGURES", "48999888777"][..], 2),
        (by_customer, &["CANARY-KEY", "their figures"][..], 1),
    ] {
        let shelf = shelf().await;
        last_figures(&shelf).await;
        fs::copy(shelf.folder.join(last::FILE), shelf.folder.join("last-known.new")).expect("copied");
        assert!(
            canaries.iter().all(|canary| last::plain(&place(&shelf)).contains(canary)),
            "they were there"
        );
        assert!(grep(&shelf, &["FIGURES", "figures", "these stay"]).is_empty(), "no file shows them at all");
        let erased = erase(&shelf.folder, &key_of(&shelf), &whom).expect("erased");
        assert_eq!(erased.last, LastErased { answers, all: false });
        let plain = last::plain(&place(&shelf));
        assert!(canaries.iter().all(|canary| !plain.contains(canary)) && plain.contains("these stay"));
        assert!(!shelf.folder.join("last-known.new").exists(), "what a crash left is gone too");
        // A key that is lost: none can be told from another, so all go.
        fs::remove_file(key_of(&shelf)).expect("removed");
        let erased = erase(&shelf.folder, &key_of(&shelf), &whom).expect("erased");
        assert!(erased.last.all && !shelf.folder.join(last::FILE).exists());
    }
}

#[tokio::test]
async fn nothing_is_left_of_an_erased_number_in_any_file() {
    let shelf = shelf().await;
    let canaries = ["48999888777", "CANARY-NOTE", "CANARY-DUE", "CANARY-STEP"];
    assert_eq!(grep(&shelf, &canaries).len(), 4, "they were there");
    let whom = Whom { number: Some(GONE.to_owned()), customer: None };
    let erased = erase(&shelf.folder, &key_of(&shelf), &whom).expect("erased");
    assert_eq!((erased.calls, erased.cleaned), (1, 1));
    assert_eq!(grep(&shelf, &canaries), Vec::<String>::new());
    assert!(erased.not_looked_into.is_empty());
    let (store, kept) = shelf.open();
    assert_eq!((kept.calls.len(), kept.missed.len(), kept.follow_ups.len()), (1, 1, 0));
    assert_eq!(kept.choices.len(), 2);
    assert_eq!(kept.durable.values().copied().max(), Some(2), "the adapter need not say all again");
    store.close().await.expect("it closes");
    assert_eq!(shelf.seen().len(), 2, "those of the other call");
    assert_eq!(shelf.finds(Scope::Everything, None, "").0, [call(2)]);
    assert!(shelf.exported().contains("see also …, they said"));
    assert!(shelf.exported().contains("of the other"), "what happened to the other call");
    let again = erase(&shelf.folder, &key_of(&shelf), &whom).expect("erased");
    assert_eq!((again.calls, again.rows, again.cleaned), (0, 0, 0));
}

#[tokio::test]
async fn nothing_is_left_of_an_erased_customer_in_any_file() {
    let shelf = shelf().await;
    let canaries = ["CANARY-KEY", "Name of CANARY", "CANARY-NOTE", "CANARY-DUE", "CANARY-STEP"];
    assert_eq!(grep(&shelf, &canaries).len(), 5, "they were there");
    let whom = Whom { number: None, customer: Some(id("CANARY-KEY")) };
    let erased = erase(&shelf.folder, &key_of(&shelf), &whom).expect("erased");
    assert_eq!(erased.calls, 1);
    assert_eq!(grep(&shelf, &canaries), Vec::<String>::new());
    let (store, kept) = shelf.open();
    let left = &kept.calls[&call(2)].view.who;
    assert_eq!(left.customer().map(|customer| customer.key.as_str()), Some("C2"), "the other stays chosen");
    assert!(kept.choices.values().all(|choice| choice.customer == Some(id("C2"))));
    assert_eq!(kept.choices.len(), 2, "no choice becomes one of nobody");
    store.close().await.expect("it closes");
    assert_eq!(shelf.seen().len(), 1, "who saw the other customer stays known");
    let whom = Whom { number: Some("101".to_owned()), customer: None };
    assert_eq!(
        erase(&shelf.folder, &key_of(&shelf), &whom).expect("erased").rows,
        1,
        "a short number's choice goes too"
    );
}

#[tokio::test]
async fn the_door_that_a_killed_hub_left_is_in_nobodys_way() {
    let shelf = shelf().await;
    let left = std::os::unix::net::UnixListener::bind(shelf.folder.join(crate::admin::DOOR)).expect("a door");
    drop(left);
    let whom = Whom { number: Some(GONE.to_owned()), customer: None };
    assert_eq!(erase(&shelf.folder, &key_of(&shelf), &whom).expect("erased").calls, 1);
    assert!(!shelf.folder.join(crate::admin::DOOR).exists());
}

#[tokio::test]
async fn an_erasure_that_was_interrupted_is_ended_or_said() {
    let shelf = shelf().await;
    let old = shelf.folder.with_file_name("state.before-erasure");
    fs::rename(&shelf.folder, &old).expect("renamed");
    let said = open(&shelf.folder, plan()).err().expect("not in silence");
    assert!(format!("{said:#}").contains("an erasure was interrupted: rename"), "{said:#}");
    fs::rename(&old, &shelf.folder).expect("renamed");
    fs::create_dir(&old).expect("made");
    shelf.open().0.close().await.expect("it closes");
    assert!(!old.exists(), "what was to be deleted is");
}
