//! What a card opens: the company's page for a new customer where nobody was found, and its other buttons.

use pinkas_protocol::agent_link::AgentSays;

use super::*;
use crate::links::{Links, Target};

const LINKS: &str = "new_customer = \"https://crm.example/new?phone={number}\"\n\
    [[open]]\nlabel = \"CRM\"\nurl = \"https://crm.example/c/{customer.id}\"\n\
    [[open]]\nlabel = \"Tickets\"\nrun = [\"tickets\", \"--phone={number}\"]\n";

fn links(text: &str) -> Links {
    let read =
        pinkas_config::parse(std::path::Path::new("agent.toml"), text, |section| Some(Links::read(section)));
    read.unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// A call that rings here, in this language.
fn model(number: &str, who: Who, text: &str, language: Language) -> Model {
    let view = sample::arrived(call(1), number, Some("Zofia W"), who, at(0));
    let mut model = model_with(sample::rings_as(view, "101", at(0)));
    (model.links, model.words) = (links(text), Words::of(language));
    model
}

fn card(model: &Model) -> PopupData {
    PopupData::now(model, at(4)).expect("a card")
}

fn unknown() -> Who {
    Who::Unknown { country: None, earlier: Vec::new() }
}

fn page(address: &str) -> Command {
    Command::Launch(Target::Page(Private(address.to_owned())))
}

#[test]
fn a_customer_is_made_for_an_unknown_number_with_one_click() {
    for (language, word) in [("en", "New customer…"), ("he", "לקוח חדש…"), ("pl", "Nowy klient…")]
    {
        let language: Language = language.parse().expect("a language");
        let model = model("+48123456789", unknown(), LINKS, language);
        let theme = Theme::of(Shade::Dark).read(language.direction());
        let data = card(&model);
        let size = egui::Vec2::new(CARD_WIDTH, popup::height(&data));
        let mut harness = shown_with(data, theme, size);
        assert!(harness.query_by_label("CRM").is_none(), "there is no customer whose page it could be");
        harness.get_by_label(word).click();
        harness.run();
        assert_eq!(harness.state(), &[page("https://crm.example/new?phone=%2B48123456789")]);
    }
}

#[test]
fn it_stays_there_beside_a_search_that_found_nobody() {
    let mut model = model("+48123456789", unknown(), LINKS, Language::default());
    model.find_mut().open(call(1));
    let asked = model.find_mut().ask(call(1), Private("nobody".to_owned()));
    let AgentSays::FindCustomer { ask, .. } = asked else { panic!("a question") };
    let searched = pinkas_protocol::record::Searched::Fully;
    model.find_mut().answered(ask, call(1), Vec::new(), searched);
    let mut harness = shown(card(&model), Shade::Light);
    harness.get_by_label("Nothing was found");
    harness.get_by_label("New customer…").click();
    harness.run();
    assert_eq!(harness.state(), &[page("https://crm.example/new?phone=%2B48123456789")]);
}

#[test]
fn nobody_is_made_where_somebody_was_found_or_the_number_is_withheld() {
    for (number, who, text, there) in [
        ("+48123456789", known("Zofia"), LINKS, false),
        ("+48123456789", Who::Asking, LINKS, false),
        ("", Who::NoNumber, LINKS, false),
        ("", Who::NoNumber, "new_customer = \"https://crm.example/new\"", true),
        ("+48123456789", unknown(), "", false),
    ] {
        let harness = shown(card(&model(number, who.clone(), text, Language::default())), Shade::Dark);
        assert_eq!(harness.query_by_label("New customer…").is_some(), there, "{who:?}");
    }
}

#[test]
fn the_companys_own_buttons_open_its_programs_with_the_callers_data() {
    let model = model("+48123456789", known("Zofia"), LINKS, Language::default());
    let mut harness = shown(card(&model), Shade::Dark);
    harness.get_by_label("CRM").click();
    harness.run();
    harness.get_by_label("Tickets").click();
    harness.run();
    let run = Target::Run {
        program: "tickets".to_owned(),
        arguments: Private(vec!["--phone=+48123456789".to_owned()]),
    };
    assert_eq!(harness.state(), &[page("https://crm.example/c/C-1"), Command::Launch(run)]);
    // A call that is over, or whose link to the hub is cut, can still be looked up there.
    let mut over = model.clone();
    over.apply(crate::net::NetEvent::Disconnected { at: at(3), why: pinkas_link::Ended::Broken });
    let harness = shown(card(&over), Shade::Dark);
    assert!(!harness.get_by_label("CRM").accesskit_node().is_disabled());
}

#[test]
fn as_many_buttons_as_there_may_be_stay_inside_the_card() {
    let mut text = "new_customer = \"https://crm.example/new\"\n".to_owned();
    for n in 0..crate::links::MOST_LINKS {
        text += &format!("[[open]]\nlabel = \"{n} with a word so long\"\nurl = \"https://x/{n}\"\n");
    }
    let harness = shown(card(&model("+48123456789", unknown(), &text, Language::default())), Shade::Dark);
    let mut tops = Vec::new();
    for n in 0..crate::links::MOST_LINKS {
        let place = harness.get_by_label(&format!("{n} with a word so long")).rect();
        assert!(place.left() >= 0.0 && place.right() <= CARD_WIDTH, "{place:?}");
        tops.push(place.top());
    }
    tops.dedup();
    assert_eq!(tops.len(), 2, "three in a line");
    let find = harness.get_by_label("This number belongs to…").rect();
    assert!(find.right() < harness.get_by_label("New customer…").rect().left());
}
