//! A few whole screens, pixel by pixel: what no tree tells, such as a colour, a line that is missing, a text over
//! another. After a wanted change run `UPDATE_SNAPSHOTS=1 cargo nextest run -p pinkas-agent pictures`, look at what
//! has changed in `agent/tests/pictures/`, and commit it. The letters are egui's own; Hebrew ones are the system's,
//! of one edition.

use std::io::Write as _;

use egui::FontData;
use egui_kittest::SnapshotOptions;
use sha2::{Digest, Sha256};

use super::*;
use pixels::Pixels;

mod pixels;

/// Noto Sans Hebrew as Debian and Ubuntu have had it since 2021, in `fonts-noto-core`, and its SHA-256.
const HEBREW: &str = "/usr/share/fonts/truetype/noto/NotoSansHebrew-Regular.ttf";
const EDITION: &str = "436900d5ad77d33e4234247f3076eaecd25b92b9bea0519514f684140e3566a7";

/// How curves are worked out is left to each system's library: a pixel of an edge may differ.
const MAY_DIFFER: usize = 10;

/// The harness leaves this free around what is drawn.
const AROUND: egui::Vec2 = egui::Vec2::splat(16.0);

fn hebrew_letters() -> Option<FontData> {
    let letters = std::fs::read(HEBREW).ok()?;
    let hash: String = Sha256::digest(&letters).iter().map(|byte| format!("{byte:02x}")).collect();
    (hash == EDITION).then(|| FontData::from_owned(letters))
}

/// Says what is not looked at here; where nothing may be left out, that is a failure.
fn left_out(test: &str) {
    let line = format!("SKIPPED {test}: {HEBREW} of fonts-noto-core 20201225 is not there\n");
    assert_ne!(std::env::var("PINKAS_REQUIRE_ALL").as_deref(), Ok("1"), "{line}");
    print!("{line}");
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "../target".into());
    let list = std::path::Path::new(&target).join("skipped.txt");
    if let Ok(mut list) = std::fs::OpenOptions::new().append(true).create(true).open(list) {
        let _ = list.write_all(line.as_bytes());
    }
}

/// The letters and the colours of a picture.
struct Look {
    shade: Shade,
    theme: Theme,
    hebrew: Option<FontData>,
}

fn look(shade: Shade) -> Look {
    Look { shade, theme: Theme::of(shade), hebrew: None }
}

/// Compares what is drawn with the picture of this name.
fn compare(name: &str, size: egui::Vec2, look: Look, draw: impl FnMut(&mut egui::Ui)) {
    let options = SnapshotOptions::new().output_path("tests/pictures").max_failed_pixels(MAY_DIFFER);
    let Look { shade, theme, hebrew } = look;
    // The harness sets it anew.
    let base = if shade == Shade::Dark { egui::Theme::Dark } else { egui::Theme::Light };
    let mut harness = Harness::builder()
        .with_size(size + AROUND)
        .with_theme(base)
        .with_options(options)
        .renderer(Pixels::new(theme.ground))
        .with_context_setup(move |ctx| {
            fonts::install_built_in(ctx, hebrew);
            theme.apply(ctx);
        })
        .build_ui(draw);
    harness.snapshot(name);
}

fn compare_card(name: &str, model: &Model, look: Look) {
    let (data, theme) = (PopupData::now(model, at(4)).expect("a card"), look.theme);
    let size = egui::Vec2::new(CARD_WIDTH, popup::height(&data));
    compare(name, size, look, move |ui| drop(popup::ui(ui, &theme, &data)));
}

#[test]
fn a_filled_card() {
    let mut view = sample::arrived(call(1), "+48601234567", Some("Z W"), known("Zofia Wiśniewska"), at(0));
    view.cards = sample::cards("C-1", "PLN", ["Exterior paint", "Deck boards", "Steel screws"], at(0));
    compare_card("card", &model_with(sample::rings_as(view, "101", at(0))), look(Shade::Light));
}

#[test]
fn the_same_in_hebrew_mirrored_and_dark() {
    let Some(letters) = hebrew_letters() else { return left_out("the_same_in_hebrew_mirrored_and_dark") };
    let words = Words::of("he".parse().expect("a language"));
    let theme = look(Shade::Dark).theme.read(words.direction());
    let mut view = sample::arrived(call(1), "+972501234567", None, known("דוד כהן — חומרי בניין"), at(0));
    view.cards = sample::cards("C-1", "ILS", ["לכה לעץ, 5 ליטר", "Deck boards", "מסמרים, 5 ק״ג"], at(0));
    let mut model = model_with(sample::rings_as(view, "101", at(0)));
    model.words = words;
    compare_card("card-hebrew", &model, Look { theme, hebrew: Some(letters), ..look(Shade::Dark) });
}

#[test]
fn a_card_in_trouble_with_another_call_below() {
    let mut view = sample::arrived(call(1), "+48601234567", None, known("Zofia Wiśniewska"), at(0));
    view.cards = sample::troubled_cards("C-1");
    let mut model = model_with(sample::rings_as(view, "101", at(0)));
    model.apply(sample::update(2, sample::answered(call(1), "101")));
    let who = Who::Unknown { country: Some("GB".to_owned()), earlier: Vec::new() };
    let second = sample::arrived(call(2), "+442079460958", None, who, at(3));
    model.apply(sample::update(3, sample::rings_as(second, "101", at(3))));
    compare_card("two-calls", &model, look(Shade::Dark));
}

#[test]
fn several_customers_to_choose_from() {
    let before =
        pinkas_protocol::Customer { chosen_before: true, ..sample::customer("C-5", "Ruth Levi", None) };
    let customers = vec![before, sample::customer("C-6", "Levi Bakery", Some("VIP"))];
    let who = Who::Several { customers, chosen: None };
    let view = sample::arrived(call(1), "+972501234567", None, who, at(0));
    compare_card("chooser", &model_with(sample::rings_as(view, "101", at(0))), look(Shade::Light));
}

#[test]
fn the_list_of_a_supervisor() {
    let (model, look) = (supervisor(), look(Shade::Dark));
    let (theme, mut looks) = (look.theme, Looks { tab: Some(Tab::Live), ..Looks::default() });
    compare("supervisor", MAIN_SIZE, look, move |ui| {
        let data = main_window::data(&model, (&SETTINGS, MACHINE), Tab::Live, at(10));
        drop(main_window::ui(ui, &theme, (&model, at(10)), &data, &mut looks));
    });
}
