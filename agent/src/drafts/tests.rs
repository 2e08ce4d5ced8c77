//! What was written survives: every order of saving, sending, answering and crashing ends with each entry
//! at the hub once and nothing left on the disk.

use std::collections::BTreeSet;
use std::path::Path;

use pinkas_protocol::AgentId;
use pinkas_protocol::record::LONGEST_NOTE;

use super::folder::{Folder, Found};
use super::*;
use crate::sample::{at, call};

fn note(id: u128, text: &str) -> AgentSays {
    let what = Written::Note { text: Private(text.to_owned()) };
    AgentSays::Write { id: Uuid::from_u128(id), call: call(1), what }
}

fn folder(dir: &Path) -> Folder {
    of(dir, "ws://hub:7420", "ana")
}

fn of(dir: &Path, hub: &str, agent: &str) -> Folder {
    Folder::below(dir, hub, &AgentId::parse(agent).expect("a name")).expect("a folder")
}

/// A desktop as it starts: with what lies on the disk.
fn started(folder: &Folder) -> Drafts {
    let mut drafts = Drafts::default();
    let Found { entries, texts, damaged } = folder.load().expect("readable");
    drafts.disk_said(DiskSays::Loaded { entries, texts, damaged });
    drafts
}

/// Does one job; whether there was one.
fn one_job(drafts: &mut Drafts, folder: &Folder, now: Timestamp) -> bool {
    let Some(job) = drafts.next_job(now) else { return false };
    folder.obey(&job).expect("a sound disk");
    if let Job::Save(kept) = job {
        drafts.disk_said(DiskSays::Saved(kept.id));
    }
    true
}

fn all_jobs(drafts: &mut Drafts, folder: &Folder, now: Timestamp) {
    while one_job(drafts, folder, now) {}
}

fn stages(drafts: &Drafts) -> Vec<Stage> {
    drafts.all().map(|entry| entry.stage).collect()
}

#[test]
fn an_entry_is_told_only_once_it_is_on_the_disk_and_again_after_each_reconnect_until_it_is_kept() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let folder = folder(dir.path());
    let mut drafts = Drafts::default();
    drafts.enter(Uuid::from_u128(1), at(0), note(1, "call back"));
    assert_eq!((stages(&drafts), drafts.next_told()), (vec![Stage::Saving], None));
    all_jobs(&mut drafts, &folder, at(0));
    assert_eq!(stages(&drafts), [Stage::Waiting]);
    assert_eq!(drafts.next_told(), Some(note(1, "call back")));
    assert_eq!(drafts.next_told(), None, "told once on one link");
    drafts.connected();
    assert_eq!(drafts.next_told(), Some(note(1, "call back")));
    drafts.kept(Uuid::from_u128(1));
    all_jobs(&mut drafts, &folder, at(1));
    drafts.connected();
    assert_eq!((stages(&drafts), drafts.next_told()), (vec![Stage::Kept], None));
    assert_eq!(folder.load(), Ok(Found::default()));
}

#[test]
fn what_is_refused_stays_with_its_reason_through_a_crash_until_it_is_sent_again_or_forgotten() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let folder = folder(dir.path());
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let mut drafts = Drafts::default();
    drafts.enter(one, at(0), note(1, "a"));
    drafts.enter(two, at(0), note(2, "b"));
    all_jobs(&mut drafts, &folder, at(0));
    drafts.refused(one, Refusal::RecordStopped);
    drafts.refused(two, Refusal::NotYourCall);
    all_jobs(&mut drafts, &folder, at(0));
    let mut drafts = started(&folder);
    let refused = |why| Stage::Refused(Why::Hub(why));
    assert_eq!(stages(&drafts), [refused(Refusal::RecordStopped), refused(Refusal::NotYourCall)]);
    assert_eq!(drafts.next_told(), None);
    drafts.send_again(one);
    drafts.discard(two);
    all_jobs(&mut drafts, &folder, at(0));
    assert_eq!(drafts.next_told(), Some(note(1, "a")));
    assert_eq!(stages(&started(&folder)), [Stage::Waiting]);
}

#[test]
fn a_text_longer_than_the_hub_takes_is_refused_here_and_kept_to_be_shortened() {
    let mut drafts = Drafts::default();
    let long = "x".repeat(LONGEST_NOTE + 1);
    drafts.type_text(call(1), &long, at(0));
    drafts.enter(Uuid::from_u128(1), at(0), note(1, &long));
    assert_eq!(stages(&drafts), [Stage::Refused(Why::Hub(Refusal::TooLong))]);
    assert_eq!(drafts.text(call(1)), long);
    drafts.send_again(Uuid::from_u128(1));
    assert_eq!(drafts.next_told(), None);
}

#[test]
fn a_disk_that_takes_nothing_is_said_and_the_entry_goes_to_the_hub_nevertheless() {
    let mut drafts = Drafts::default();
    drafts.enter(Uuid::from_u128(1), at(0), note(1, "a"));
    let Some(Job::Save(kept)) = drafts.next_job(at(0)) else { panic!("a job") };
    drafts.disk_said(DiskSays::NotSaved(kept.id, "no space".to_owned()));
    assert_eq!(drafts.trouble(), Some("no space"));
    assert_eq!(drafts.next_told(), Some(note(1, "a")));
}

#[test]
fn what_waits_is_bounded_and_what_does_not_fit_says_so() {
    let mut drafts = Drafts::default();
    for n in 0..MOST_WAITING as u128 + 200 {
        drafts.enter(Uuid::from_u128(n), at(0), note(n, "a"));
    }
    assert_eq!(drafts.waiting(), MOST_WAITING);
    assert_eq!(drafts.all().count(), MOST_WAITING + MOST_KEPT);
    assert_eq!(drafts.all().last().map(|entry| entry.stage), Some(Stage::Refused(Why::TooMuchWaits)));
    for n in 0..MOST_WAITING as u128 {
        drafts.kept(Uuid::from_u128(n));
    }
    assert_eq!(drafts.all().count(), 2 * MOST_KEPT);
    for n in 1..MOST_TEXTS as u128 + 10 {
        drafts.type_text(call(n), "a", at(0));
    }
    let texts = drafts.texts.values().filter(|text| !text.text.0.is_empty()).count();
    assert_eq!((texts, drafts.text(call(1))), (MOST_TEXTS, ""), "the oldest is forgotten");
}

#[test]
fn typing_is_on_the_disk_within_a_second_of_its_first_letter_and_written_once_for_many() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let folder = folder(dir.path());
    let mut drafts = Drafts::default();
    drafts.type_text(call(1), "d", at(0));
    drafts.type_text(call(1), "דו", at(0));
    assert_eq!(drafts.next_job(at(0)), None);
    assert!(drafts.next_due().is_some_and(|due| due > at(0) && due < at(1)));
    assert!(one_job(&mut drafts, &folder, at(1)));
    assert!(!one_job(&mut drafts, &folder, at(1)));
    assert_eq!(drafts.next_due(), None);
    assert_eq!(started(&folder).text(call(1)), "דו");
    drafts.type_text(call(1), "", at(2));
    all_jobs(&mut drafts, &folder, at(3));
    assert_eq!(folder.load(), Ok(Found::default()));
}

#[test]
fn a_note_that_was_entered_is_no_draft_any_more_even_when_the_program_ends_between() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let folder = folder(dir.path());
    let mut drafts = Drafts::default();
    drafts.type_text(call(1), "call back", at(0));
    all_jobs(&mut drafts, &folder, at(1));
    drafts.enter(Uuid::from_u128(1), at(1), note(1, "call back"));
    assert_eq!(drafts.text(call(1)), "call back", "until the entry is on the disk");
    assert!(one_job(&mut drafts, &folder, at(1)));
    assert_eq!(drafts.text(call(1)), "");
    let mut again = started(&folder);
    assert_eq!((again.text(call(1)), again.of(call(1)).count()), ("", 1));
    all_jobs(&mut again, &folder, at(1));
    assert!(folder.load().expect("readable").texts.is_empty());
}

#[test]
fn what_one_login_wrote_is_never_read_by_another() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mine = folder(dir.path());
    let mut drafts = Drafts::default();
    drafts.enter(Uuid::from_u128(1), at(0), note(1, "a"));
    drafts.type_text(call(1), "b", at(0));
    all_jobs(&mut drafts, &mine, at(1));
    for other in [of(dir.path(), "ws://hub:7420", "bob"), of(dir.path(), "ws://other:7420", "ana")] {
        assert_eq!(other.load(), Ok(Found::default()));
        // Not even where the files were copied by hand.
        for file in files(dir.path(), ".json") {
            let there = files_dir(dir.path(), &other).join(file.file_name().expect("a name"));
            std::fs::copy(&file, &there).expect("copied");
            assert_eq!(other.load(), Ok(Found::default()));
            std::fs::remove_file(there).expect("removed");
        }
    }
    assert_eq!(mine.load().map(|found| (found.entries.len(), found.texts.len())), Ok((1, 1)));
}

#[cfg(unix)]
#[test]
fn nobody_else_on_this_computer_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut drafts = Drafts::default();
    drafts.enter(Uuid::from_u128(1), at(0), note(1, "a"));
    let folder = folder(dir.path());
    all_jobs(&mut drafts, &folder, at(1));
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    for file in files(dir.path(), ".json") {
        assert_eq!((mode(&file), mode(file.parent().expect("a folder"))), (0o600, 0o700));
    }
}

#[test]
fn a_file_cut_anywhere_or_full_of_junk_is_moved_aside_and_takes_no_other_along() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let folder = folder(dir.path());
    let mut drafts = Drafts::default();
    drafts.enter(Uuid::from_u128(1), at(0), note(1, "one"));
    drafts.enter(Uuid::from_u128(2), at(0), note(2, "two"));
    drafts.type_text(call(3), "three", at(0));
    all_jobs(&mut drafts, &folder, at(1));
    let whole = files(dir.path(), ".json");
    assert_eq!(whole.len(), 3);
    for file in &whole {
        let bytes = std::fs::read(file).expect("readable");
        let cuts = (0..bytes.len()).step_by(7).map(|end| bytes[..end].to_vec());
        for damaged in cuts.chain([vec![0; 300], b"[]".to_vec(), b"{\"hub\":\"x\"}".to_vec()]) {
            std::fs::write(file, damaged).expect("written");
            let found = folder.load().expect("readable");
            assert_eq!((found.damaged, found.entries.len() + found.texts.len()), (1, 2));
            assert!(!file.exists());
            std::fs::write(file, &bytes).expect("written");
        }
    }
    assert_eq!(files(dir.path(), ".damaged").len(), 3);
    assert_eq!(started(&folder).all().count(), 2);
}

#[test]
fn what_was_being_written_when_the_program_ended_was_not_entered() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let folder = folder(dir.path());
    let place = files_dir(dir.path(), &folder);
    std::fs::write(place.join(".new-abc"), "{\"hub\"").expect("written");
    assert_eq!(folder.load(), Ok(Found::default()));
    assert_eq!(files(dir.path(), "").len(), 0);
}

/// A hub that keeps what it is told, once.
#[derive(Default)]
struct Hub {
    has: BTreeSet<Uuid>,
}

/// What the desktop does next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Enter(u128),
    Disk,
    Tell,
    Answer,
    Reconnect,
    Crash,
}

/// Plays the steps; then all that counted as entered must be at the hub, and the disk empty.
fn play(steps: &[Step]) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let folder = folder(dir.path());
    let (mut drafts, mut hub, mut answers) = (Drafts::default(), Hub::default(), Vec::new());
    let mut entered = BTreeSet::new();
    let finish = [Step::Crash, Step::Disk, Step::Disk, Step::Tell, Step::Tell, Step::Tell];
    let finish = finish.into_iter().chain([Step::Answer; 4]).chain([Step::Disk; 4]);
    for step in steps.iter().copied().chain(finish) {
        match step {
            Step::Enter(n) => drafts.enter(Uuid::from_u128(n), at(n as i64), note(n, &n.to_string())),
            Step::Disk => {
                one_job(&mut drafts, &folder, at(60));
            }
            Step::Tell => {
                if let Some(id) = drafts.next_told().as_ref().and_then(id_of) {
                    hub.has.insert(id);
                    answers.push(id);
                }
            }
            Step::Answer => {
                if !answers.is_empty() {
                    drafts.kept(answers.remove(0));
                }
            }
            Step::Reconnect => {
                answers.clear();
                drafts.connected();
            }
            Step::Crash => {
                answers.clear();
                drafts = started(&folder);
            }
        }
        entered.extend(drafts.all().filter(|entry| entry.stage != Stage::Saving).map(|entry| entry.id));
    }
    assert!(entered.is_subset(&hub.has), "lost: {:?} of {steps:?}", entered.difference(&hub.has));
    assert_eq!(folder.load(), Ok(Found::default()), "left behind after {steps:?}");
}

#[test]
fn a_crash_between_any_two_steps_loses_nothing_that_was_entered() {
    use Step::{Answer, Crash, Disk, Enter, Tell};
    let day = [Enter(1), Disk, Enter(2), Tell, Disk, Tell, Answer, Disk, Answer, Disk];
    for crash in 0..=day.len() {
        for again in crash..=day.len() {
            let mut steps = day.to_vec();
            steps.insert(again, Crash);
            steps.insert(crash, Crash);
            play(&steps);
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn no_order_of_crashes_and_reconnects_loses_or_doubles_anything(
        steps in proptest::collection::vec(0_u8..6, 0..30),
    ) {
        let mut entered = 0;
        let steps: Vec<Step> = steps.into_iter().map(|step| match step {
            // As many as the end of `play` has steps for.
            0 if entered < 3 => { entered += 1; Step::Enter(entered) }
            1 => Step::Tell,
            2 => Step::Answer,
            3 => Step::Reconnect,
            4 => Step::Crash,
            _ => Step::Disk,
        }).collect();
        play(&steps);
    }
}

fn files(dir: &Path, end: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for place in std::fs::read_dir(dir).expect("a folder").map(|place| place.expect("there").path()) {
        let inside = std::fs::read_dir(place).expect("a folder").map(|file| file.expect("there").path());
        found.extend(inside.filter(|file| file.to_string_lossy().ends_with(end)));
    }
    found.sort();
    found
}

/// Where a folder's own files lie: a new one shows it.
fn files_dir(dir: &Path, folder: &Folder) -> std::path::PathBuf {
    let id = Uuid::from_u128(0xF00D);
    let kept = Kept { id, at: at(0), says: note(0xF00D, "x"), refused: None };
    folder.obey(&Job::Save(kept)).expect("saved");
    let shown = files(dir, &format!("{id}.json"));
    folder.obey(&Job::Remove(id)).expect("removed");
    shown.first().and_then(|file| file.parent()).expect("a folder").to_owned()
}

#[test]
fn two_desktops_of_one_login_do_not_share_a_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let one = folder(dir.path());
    let held = one.lock().expect("a lock").expect("nobody has it");
    assert!(folder(dir.path()).lock().expect("asked").is_none(), "it is open already");
    let other = of(dir.path(), "ws://127.0.0.1:7420", "bob");
    assert!(other.lock().expect("asked").is_some(), "another login has its own");
    drop(held);
    assert!(one.lock().expect("asked").is_some());
}
