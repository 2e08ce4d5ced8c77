//! A store that was cut, changed or taken back in time: it opens with what it has or is moved aside, never
//! panics out, and what is lost is said.

use super::*;

/// Five hundred notes, closed as a hub would.
async fn full() -> Shelf {
    let shelf = Shelf::new();
    for part in 0..5 {
        let notes = (0..100).map(|n| part * 100 + n);
        let keep = notes.flat_map(|n| {
            let text = format!("note {n} {}", "x".repeat(300));
            [
                noted(n + 1, call(n), "+48123456789"),
                Keep::Entry { call: call(n), entry: Box::new(entry(n, &text)) },
            ]
        });
        shelf.keeps(keep.collect()).await;
    }
    shelf
}

/// Opens it as a starting hub does; whether it was whole, and the folders beside it.
async fn start(shelf: &Shelf) -> (u64, Vec<String>) {
    let (store, kept) = shelf.open();
    let near = fs::read_dir(shelf.folder.parent().expect("a folder")).expect("it is there");
    let names = near.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let names = names.filter(|name| name != "state").collect();
    // A store that opened takes new words, whatever it lost.
    store.keep.send(vec![noted(9_999, call(9_999), "+48220000000")]).await.expect("it writes");
    store.close().await.expect("it closes");
    (kept.durable.values().copied().max().unwrap_or(0), names)
}

fn copy_of(shelf: &Shelf) -> Shelf {
    let copy = Shelf::new();
    fs::create_dir_all(copy.folder.join("blobs")).expect("a folder");
    for entry in fs::read_dir(&shelf.folder).expect("it is there") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            fs::copy(&path, copy.folder.join(path.file_name().expect("a name"))).expect("copied");
        }
    }
    copy
}

#[tokio::test]
async fn a_store_cut_anywhere_opens_with_what_it_has_or_is_moved_aside() {
    let whole = full().await;
    let size = fs::metadata(whole.folder.join("db")).expect("it is there").len();
    let (mut aside, mut older) = (0, 0);
    for part in 0..16 {
        let cut = copy_of(&whole);
        let db = fs::File::options().write(true).open(cut.folder.join("db")).expect("it is there");
        db.set_len(size * part / 16).expect("cut");
        let before = opening::written_last(&cut.folder);
        let (durable, beside) = start(&cut).await;
        match beside.as_slice() {
            [] => older += usize::from(durable < 500),
            [name] => {
                assert!(name.starts_with("state.damaged-"), "{name}");
                let kept = cut.folder.with_file_name(name).join("db");
                // sled fills its file up to a whole segment.
                assert!(
                    fs::metadata(kept).expect("it is there").len() >= size * part / 16,
                    "nothing cut off"
                );
                aside += 1;
            }
            more => panic!("{more:?}"),
        }
        assert!(before > 0);
    }
    assert!(aside > 0, "some are beyond reading: {aside} moved aside, {older} older");
}

#[tokio::test]
async fn a_changed_byte_anywhere_is_survived() {
    let whole = full().await;
    let size = fs::metadata(whole.folder.join("db")).expect("it is there").len();
    for part in 0..24u64 {
        let changed = copy_of(&whole);
        let mut bytes = fs::read(changed.folder.join("db")).expect("it is there");
        let place = usize::try_from(size * part / 24 + part * 37).expect("a place") % bytes.len();
        bytes[place] ^= 1 << (part % 8);
        fs::write(changed.folder.join("db"), bytes).expect("written");
        let (durable, beside) = start(&changed).await;
        assert!(durable <= 500 && beside.len() <= 1, "{durable} {beside:?}");
        if let [name] = beside.as_slice() {
            assert!(name.starts_with("state.damaged-"), "{name}");
        }
    }
}

#[tokio::test]
async fn a_store_that_is_gone_but_for_its_mark_is_never_replaced_in_silence() {
    let whole = full().await;
    for file in ["db", "conf"] {
        let lost = copy_of(&whole);
        fs::remove_file(lost.folder.join(file)).expect("removed");
        let (durable, beside) = start(&lost).await;
        assert!(durable == 500 || beside.len() == 1, "{file}: {durable} {beside:?}");
    }
    let back = copy_of(&whole);
    opening::Mark::open(&back.folder).expect("it opens").set(1_000_000);
    assert_eq!(start(&back).await, (500, vec![]), "an older copy is used, and said");
    assert!(opening::written_last(&back.folder) < 1_000, "and said once");
}

#[tokio::test]
async fn a_store_that_another_program_uses_is_left_alone() {
    let shelf = full().await;
    let (store, _) = shelf.open();
    let second = open(&shelf.folder, plan()).err().expect("it is in use");
    assert!(format!("{second:#}").contains("another program uses"), "{second:#}");
    let stopped = print_log(&shelf.folder, &mut Vec::new()).expect_err("it is in use");
    assert!(format!("{stopped:#}").contains("stop the hub first"), "{stopped:#}");
    store.close().await.expect("it closes");
    assert_eq!(start(&shelf).await, (500, vec![]));
}
