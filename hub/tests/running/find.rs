//! A customer whom no directory knows by the number is looked for, chosen, and known the next time.

use serde_json::json;

use super::office::{CALL, Office};

#[tokio::test]
async fn a_customer_is_found_by_part_of_a_name_and_belongs_to_the_number_from_then_on() {
    let office = Office::open().await;
    let mut adapter = office.adapter().await;
    let mut ana = office.ana().await;
    let caller = json!({"number": {"kind": "e164", "e164": "+48601234567"}});
    adapter.event(1, json!({"change": "arrived", "caller": caller})).await;
    adapter.event(2, json!({"change": "offered", "line": "101"})).await;
    ana.until("\"who\":\"unknown\"").await;
    for (ask, text, expected) in
        [(1, "lev", "K1"), (2, "k1", "K1"), (3, "050-123-4567", "K1"), (4, "' or 1=1 --", "[]")]
    {
        ana.say(json!({"say": "find_customer", "ask": ask, "call": CALL, "text": text})).await;
        let told = ana.until(&format!("\"ask\":{ask}")).await;
        assert!(told.contains("customers") && told.contains(expected), "{text}: {told}");
    }
    ana.say(json!({"say": "find_customer", "ask": 5, "call": CALL, "text": "Levi"})).await;
    ana.until("\"ask\":5").await;
    ana.say(json!({"say": "choose", "call": CALL, "customer": "K1"})).await;
    let told = ana.until("\"chosen\":\"K1\"").await;
    assert!(told.contains("Levi"), "{told}");
    let terms = ana.until("\"state\":\"filled\"").await;
    assert!(terms.contains("5000"), "{terms}");
}
