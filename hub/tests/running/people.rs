//! What a person says of themselves, over real links and through a kill of the hub.

use serde_json::json;

use super::office::Office;

#[tokio::test]
async fn a_lunch_outlives_a_kill_of_the_hub_and_is_over_when_its_person_says_so() {
    let mut office = Office::open().await;
    let (mut ana, mut other) = (office.ana().await, office.ana().await);
    ana.say(json!({"say": "state", "state": "not_ready", "reason": "dancing"})).await;
    ana.say(json!({"say": "state", "state": "not_ready", "reason": "lunch"})).await;
    let told = other.until("\"update\":\"person\"").await;
    assert!(told.contains("\"state\":\"not_ready\",\"reason\":\"lunch\""), "{told}");
    // What is said after it is on the disk after it, and this is answered.
    let id = "019d0000-0000-7000-8000-0000000000e1";
    ana.say(json!({"say": "done", "id": id, "follow_up": id})).await;
    ana.until("kept").await;
    office.kill().await;
    office.start().await;
    let mut ana = office.ana().await;
    let welcome = &ana.welcome;
    assert!(welcome.contains("\"state\":\"not_ready\",\"reason\":\"lunch\""), "{welcome}");
    for reason in ["break", "lunch", "training", "back_office"] {
        assert!(welcome.contains(&format!("{{\"code\":\"{reason}\"}}")), "{reason}: {welcome}");
    }
    ana.say(json!({"say": "state", "state": "ready"})).await;
    ana.until("\"state\":\"ready\"").await;
}
