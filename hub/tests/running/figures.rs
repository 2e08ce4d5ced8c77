//! Its page of figures.

use serde_json::json;

use super::office::{CALL, Office};

#[tokio::test]
async fn the_page_of_figures_counts_what_happens_names_nobody_and_is_that_of_the_guide() {
    let office = Office::open().await;
    let (mut ana, mut adapter) = (office.ana().await, office.adapter().await);
    let number = json!({"number": {"kind": "e164", "e164": "+972501234567"}, "name": "Canary"});
    adapter.event(1, json!({"change": "arrived", "caller": number})).await;
    adapter.event(2, json!({"change": "offered", "line": "101"})).await;
    adapter.event(3, json!({"change": "offered", "line": "102"})).await;
    ana.until("\"days\":30").await;
    adapter.until("\"durable\",\"sequence\":3").await;
    let (fine, text) =
        office.asks(&["simulate", "--number", "050-123-4567", "--line", "101", "--for", "50ms"]).await;
    assert!(fine, "{text}");
    let page = office.figures().await;
    for figure in [
        "pinkas_hub_calls_total 1",
        "pinkas_hub_calls_live 1",
        "pinkas_hub_pops_total{at=\"phone\"} 1",
        "pinkas_hub_no_pops_total{why=\"nobody_has_this_phone\"} 1",
        "pinkas_hub_heard_to_told_seconds_count 1",
        "pinkas_hub_heard_to_hub_seconds_count{adapter=\"main\"} 3",
        // A trial asks real sources.
        "pinkas_hub_source_answers_total{source=\"terms\",came=\"filled\"} 2",
        "pinkas_hub_source_seconds_count{source=\"people\"} 2",
        "pinkas_hub_source_rests{source=\"terms\"} 0",
        "pinkas_hub_desktops{role=\"agent\"} 1",
        "pinkas_hub_desktops{role=\"supervisor\"} 0",
        "pinkas_hub_adapters 1",
        "pinkas_hub_unacknowledged_events{adapter=\"main\"} 0",
        "pinkas_hub_store_waiting 0",
        "pinkas_hub_store_stopped 0",
    ] {
        assert!(page.lines().any(|line| line == figure), "{figure}: {page}");
    }
    for word in ["972501234567", "501234567", "Canary", "Levi", "K1", CALL] {
        assert!(!page.contains(word), "{word}: {page}");
    }
    adapter.event(4, json!({"change": "ended", "how": "completed"})).await;
    adapter.until("\"durable\",\"sequence\":4").await;
    let page = office.figures().await;
    assert!(page.contains("pinkas_hub_calls_ended_total{how=\"completed\"} 1"), "{page}");
    assert!(page.contains("\npinkas_hub_calls_live 0\n"), "{page}");
    let guide = include_str!("../../../docs/running.md");
    let shown = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let missing: Vec<_> = shown.filter(|name| !guide.contains(&format!("`{name}"))).collect();
    assert!(missing.is_empty(), "docs/running.md does not explain {missing:?}");
}
