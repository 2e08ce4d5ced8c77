//! What agents said of who calls from a number is there again after a restart of the hub.

use std::path::Path;

use jiff::Timestamp;
use pinkas_hub::core::{Choice, Keep};
use pinkas_hub::store;
use pinkas_protocol::{Number, NumberPlan};

fn number(raw: &str) -> Number {
    NumberPlan::default().read(raw).expect("a number")
}

async fn kept_after(folder: &Path, keeps: Vec<Keep>) -> Vec<(Number, Choice)> {
    let (store, _) = store::open(folder, NumberPlan::default()).expect("opened");
    store.keep.send(keeps).await.expect("taken");
    store.close().await.expect("closed");
    let (store, kept) = store::open(folder, NumberPlan::default()).expect("opened again");
    store.close().await.expect("closed");
    kept.choices.into_iter().collect()
}

#[tokio::test]
async fn a_choice_outlives_a_restart_and_what_was_forgotten_is_gone() {
    let dir = tempfile::tempdir().expect("a folder");
    let choice = |customer: Option<&str>| {
        let customer = customer.map(|key| key.parse().expect("a key"));
        Choice { customer, linked: None, by: "ana".parse().expect("a name"), at: Timestamp::UNIX_EPOCH }
    };
    let keep = |raw: &str, kept| Keep::Choice { number: number(raw), kept };
    let (one, two) = ("+48123456701", "101");
    let keeps = vec![
        keep(one, Some(choice(Some("C1")))),
        keep(two, Some(choice(None))),
        keep(one, Some(choice(Some("C2")))),
    ];
    let expected = vec![(number(one), choice(Some("C2"))), (number(two), choice(None))];
    assert_eq!(kept_after(dir.path(), keeps).await, expected);
    assert_eq!(kept_after(dir.path(), vec![keep(one, None)]).await, expected[1..]);
}
