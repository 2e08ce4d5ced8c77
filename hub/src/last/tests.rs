//! Last figures on the disk: there after a restart, unreadable without the key, never a wrong one after damage,
//! gone when they are not to be kept.

use super::*;

use std::path::Path;

use pinkas_protocol::{Gives, NumberPlan};

use crate::sources::bounds::KEEP_LAST;
use crate::sources::sample::Sample;
use crate::sources::showing::Old;

pub(crate) fn source(name: &str, keep_last: Option<Duration>) -> ConfiguredSource {
    let name = SourceName::parse(name).expect("a name");
    let mut source =
        ConfiguredSource::new(name, Gives::Notes, Duration::from_secs(1), Arc::new(Sample { days: 1 }));
    source.bounds.keep_last = keep_last;
    source
}

pub(crate) fn slot(n: u8) -> Slot {
    Slot::from_bytes([n; 16])
}

pub(crate) fn label(n: u8, source: &str) -> Label {
    Label {
        slot: slot(n),
        source: SourceName::parse(source).expect("a name"),
        print: 0,
        customer: CustomerKey::parse(&format!("K-{n}")).ok(),
        number: NumberPlan::default().read("+48123456789"),
        as_of: Timestamp::from_second(i64::from(n)).expect("a time"),
    }
}

pub(crate) fn facts(text: &str) -> Facts {
    let text = pinkas_protocol::Private(text.to_owned());
    Facts::Notes { notes: vec![pinkas_protocol::card::SourceNote { date: None, text, by: None }] }
}

fn place(dir: &Path) -> Place {
    Place { state: dir.join("state"), key: dir.join("last-known.key") }
}

fn folder() -> (tempfile::TempDir, Place) {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("state")).expect("made");
    let place = place(dir.path());
    (dir, place)
}

/// What a hub with these sources finds for questions 1 to 9, one letter each.
async fn opened(place: &Place, sources: &[ConfiguredSource], change: impl FnOnce(&Last)) -> String {
    let (last, keeper) = open(place, sources).expect("a thread");
    change(&last);
    if let Some(keeper) = keeper {
        keeper.close().await.expect("it ends");
    }
    let found = |n| {
        let old = last.find(&slot(n), KEEP_LAST, Timestamp::now())?;
        assert_eq!(old.as_of, label(n, "a").as_of);
        let Old { facts: Facts::Notes { notes }, .. } = old else { return None };
        notes.first().and_then(|note| note.text.0.chars().next())
    };
    (1..=9).filter_map(found).collect()
}

async fn three(place: &Place) {
    let both = [source("a", Some(KEEP_LAST)), source("b", Some(KEEP_LAST))];
    let kept = opened(place, &both, |last| {
        last.keep(label(1, "a"), &facts("old"));
        last.keep(label(2, "a"), &facts("Canary"));
        last.keep(label(3, "b"), &facts("x"));
        last.keep(label(1, "a"), &facts("new"));
        last.keep(label(4, "b"), &facts("gone"));
        last.forget(slot(4));
    });
    assert_eq!(kept.await, "nCx");
}

#[tokio::test]
async fn figures_are_there_after_a_restart_and_no_file_shows_them() {
    let (dir, place) = folder();
    three(&place).await;
    let both = [source("a", Some(KEEP_LAST)), source("b", Some(KEEP_LAST))];
    for _ in 0..2 {
        assert_eq!(opened(&place, &both, |_| ()).await, "nCx");
    }
    let key = std::fs::read(&place.key).expect("the key");
    let file = std::fs::read(place.state.join(FILE)).expect("the file");
    for (canary, bytes) in [("Canary", &file), ("K-2", &file), ("48123456789", &file), ("notes", &file)] {
        assert!(!bytes.windows(canary.len()).any(|window| window == canary.as_bytes()), "{canary}");
    }
    assert!(plain(&place).contains("Canary"), "the test would see it");
    assert!(key.len() > 60 && std::fs::read_dir(dir.path()).expect("a folder").count() == 2);
    #[cfg(unix)]
    for file in [place.key.clone(), place.state.join(FILE)] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(file).expect("there").permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn what_is_not_to_be_kept_any_more_is_deleted() {
    let (_dir, place) = folder();
    let (a, b) = (source("a", Some(KEEP_LAST)), source("b", Some(KEEP_LAST)));
    three(&place).await;
    assert_eq!(opened(&place, &[a.clone(), source("b", None)], |_| ()).await, "nC");
    assert!(!plain(&place).contains("\"b\""), "it is gone from the file");
    assert_eq!(opened(&place, &[a.clone(), b.clone()], |_| ()).await, "nC");
    let changed = ConfiguredSource { print: 7, ..a.clone() };
    assert_eq!(opened(&place, &[changed], |_| ()).await, "", "it may mean something else by now");
    three(&place).await;
    assert_eq!(opened(&place, &[source("a", Some(Duration::ZERO))], |_| ()).await, "");
    assert_eq!(plain(&place), "", "what is too old is gone from the file");
    three(&place).await;
    assert_eq!(opened(&place, &[source("a", None)], |_| ()).await, "");
    assert!(!place.state.join(FILE).exists());
}

#[tokio::test]
async fn without_its_key_the_file_begins_anew_and_without_a_place_figures_stay_in_memory() {
    let (dir, place) = folder();
    let both = [source("a", Some(KEEP_LAST)), source("b", Some(KEEP_LAST))];
    three(&place).await;
    std::fs::remove_file(&place.key).expect("removed");
    assert_eq!(opened(&place, &both, |_| ()).await, "");
    three(&place).await;
    // Another's file in its place is left as it is.
    std::fs::write(&place.key, "something else").expect("written");
    let kept = |last: &Last| last.keep(label(5, "a"), &facts("memory"));
    assert_eq!(opened(&place, &both, kept).await, "m");
    assert_eq!(std::fs::read_to_string(&place.key).expect("there"), "something else");
    assert_eq!(opened(&place, &both, |_| ()).await, "");
    let nowhere = Place { state: dir.path().join("last-known.key").join("x"), ..place.clone() };
    std::fs::remove_file(&place.key).expect("removed");
    let nowhere = Place { key: place.key.clone(), ..nowhere };
    assert_eq!(opened(&nowhere, &both, kept).await, "m", "a disk that fails");
}

#[tokio::test]
async fn no_damage_shows_a_wrong_figure_and_what_was_cut_keeps_its_beginning() {
    let (_dir, place) = folder();
    let both = [source("a", Some(KEEP_LAST)), source("b", Some(KEEP_LAST))];
    three(&place).await;
    let file = place.state.join(FILE);
    let whole = std::fs::read(&file).expect("there");
    let mut seen = std::collections::BTreeSet::new();
    for length in (0..whole.len()).step_by(7) {
        std::fs::write(&file, &whole[..length]).expect("written");
        let found = opened(&place, &both, |_| ()).await;
        assert_eq!(opened(&place, &both, |_| ()).await, found, "it is mended");
        seen.insert(found);
    }
    // As it was after each of the six lines.
    let states = ["", "nCx", "nCxg", "o", "oC", "oCx"].map(str::to_owned);
    assert_eq!(seen, states.into());
    for at in (0..whole.len()).step_by(5) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&file, &flipped).expect("written");
        let found = opened(&place, &both, |_| ()).await;
        assert!(seen.contains(&found), "{found} after a flipped bit at {at}");
    }
    // A line that is moved, or of another file, is none of this one.
    let line = |from: usize| {
        let length = u32::from_le_bytes(whole[from..from + 4].try_into().expect("four bytes")) as usize;
        whole[from..from + 4 + length].to_vec()
    };
    let (first, second) = (line(32), line(32 + line(32).len()));
    std::fs::write(&file, [&whole[..32], &second, &first].concat()).expect("written");
    assert_eq!(opened(&place, &both, |_| ()).await, "");
}

#[tokio::test]
async fn the_file_stays_in_proportion_to_what_it_holds() {
    let (_dir, place) = folder();
    let long = facts(&"x".repeat(20_000));
    for round in 0..8 {
        opened(&place, &[source("a", Some(KEEP_LAST))], |last| {
            (0..20).for_each(|_| last.keep(label(1, "a"), &long));
        })
        .await;
        let length = std::fs::metadata(place.state.join(FILE)).expect("there").len();
        assert!(length < 1_200_000, "{length} after round {round}");
    }
    assert_eq!(opened(&place, &[source("a", Some(KEEP_LAST))], |_| ()).await, "x");
}
