//! What happened to a call lies in few rows, and comes back step for step.

use super::*;

fn numbered(number: u32, text: &str) -> Keep {
    match step(7, text) {
        Keep::Step { call, step, .. } => Keep::Step { call, number, step },
        _ => panic!("a step"),
    }
}

fn left_out(number: u32) -> Keep {
    Keep::Step { call: call(7), number, step: None }
}

fn there(shelf: &Shelf) -> (Vec<u32>, usize) {
    let db = opening::open_db(&shelf.folder).expect("it opens");
    let kept = read(&db).expect("it is readable");
    let numbers = kept.traces.get(&call(7)).map(|trace| trace.keys().copied().collect());
    (numbers.unwrap_or_default(), db.scan_prefix([rows::STEP]).count())
}

#[tokio::test]
async fn steps_that_come_together_lie_together_and_are_left_out_one_by_one() {
    let shelf = Shelf::new();
    shelf
        .keeps(vec![erasing::view(7, "+48123456789", Who::NoNumber), numbered(0, "a"), numbered(1, "b")])
        .await;
    shelf.keeps(vec![numbered(2, "c"), numbered(3, "d"), numbered(4, "e")]).await;
    assert_eq!(there(&shelf), (vec![0, 1, 2, 3, 4], 2));
    // Of one row two, of another one, and one that is new in the same group.
    shelf.keeps(vec![numbered(5, "f"), left_out(2), left_out(5), left_out(4), left_out(1)]).await;
    assert_eq!(there(&shelf), (vec![0, 3], 2));
    shelf.keeps(vec![left_out(3), numbered(6, "g")]).await;
    assert_eq!(there(&shelf), (vec![0, 6], 2), "an empty row is none");
    shelf.keeps(vec![numbered(7, "h"), Keep::Call { call: call(7), kept: None }]).await;
    assert_eq!(there(&shelf), (vec![], 0), "they go with their call");
}

#[tokio::test]
async fn a_step_that_an_older_hub_wrote_alone_is_read_exported_and_imported() {
    let shelf = Shelf::new();
    shelf.keeps(vec![erasing::view(7, "+48123456789", Who::NoNumber), numbered(5, "new")]).await;
    let Keep::Step { step: Some(old), .. } = step(7, "old") else { panic!("a step") };
    {
        let db = opening::open_db(&shelf.folder).expect("it opens");
        db.insert(rows::step_key(call(7), 3), rows::encode(&old)).expect("it is written");
        db.flush().expect("it is written");
    }
    assert_eq!(there(&shelf), (vec![3, 5], 2));
    let other = Shelf::new();
    import(&other.folder, shelf.exported().as_bytes(), |_| {}).expect("an import");
    assert_eq!(there(&other), (vec![3, 5], 2));
    other.keeps(vec![left_out(3)]).await;
    assert_eq!(there(&other), (vec![5], 1));
}
