//! The head of a card as a handle: it says that the person pulls, and the window goes along. What is drawn there lies
//! above and takes no click.

use egui::{CursorIcon, Id, Rect, Sense, Ui, WidgetInfo};

use crate::command::{Command, Pull};
use crate::words::Words;

/// What the pointer does at this place, which nothing else has asked for.
pub(super) fn ui(ui: &mut Ui, place: Rect, words: &Words) -> Option<Command> {
    let held = ui.interact(place, Id::unique("head of the card"), Sense::drag());
    held.widget_info(|| WidgetInfo::labeled(egui::Role::TitleBar, true, words.say("move-card")));
    if held.dragged() {
        ui.set_cursor_icon(CursorIcon::Grabbing);
    }
    let tenths = |points: f32| (points * 10.0).round() as i32;
    let pull = if held.drag_started() {
        let at = ui.input(|input| input.pointer.press_origin())?;
        Pull::Begins { x: tenths(at.x), y: tenths(at.y) }
    } else if held.drag_stopped() {
        Pull::Ends
    } else if held.dragged() {
        Pull::Goes
    } else {
        return None;
    };
    Some(Command::Pull(pull))
}

#[cfg(test)]
mod tests {
    use egui::{Event, Modifiers, PointerButton, Pos2};
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable;

    use jiff::tz::TimeZone;
    use pinkas_protocol::{Board, Who};

    use crate::command::{Command, Pull};
    use crate::model::Model;
    use crate::place::Stand;
    use crate::sample;
    use crate::settings::Shade;
    use crate::theme::{CARD_WIDTH, Theme};
    use crate::views::popup::{self, PopupData};

    fn card(stand: Stand) -> Harness<'static, Vec<Command>> {
        let who = Who::Known { customer: sample::customer("C-1", "Zofia Wiśniewska", None) };
        let view = sample::arrived(sample::call(1), "+48123456789", None, who, sample::at(0));
        let mut model = Model::new(TimeZone::UTC);
        model.apply(sample::welcome(0, Board::default()));
        model.apply(sample::update(1, sample::rings_as(view, "101", sample::at(0))));
        let data = PopupData { stand, ..PopupData::now(&model, sample::at(2)).expect("a card") };
        let theme = Theme::of(Shade::Dark);
        // The harness leaves 8 points free on each side.
        let size = egui::Vec2::new(CARD_WIDTH, popup::height(&data)) + egui::Vec2::splat(16.0);
        Harness::builder()
            .with_size(size)
            .with_context_setup(move |ctx| {
                crate::fonts::install(ctx);
                theme.apply(ctx);
            })
            .build_ui_state(
                move |ui, said: &mut Vec<Command>| said.extend(popup::ui(ui, &theme, &data)),
                Vec::new(),
            )
    }

    fn press(harness: &mut Harness<'_, Vec<Command>>, pos: Pos2, pressed: bool) {
        let (button, modifiers) = (PointerButton::Primary, Modifiers::NONE);
        harness.event(Event::PointerButton { pos, button, pressed, modifiers });
        harness.step();
    }

    #[test]
    fn pulled_by_its_head_a_card_says_where_it_is_held_and_when_it_is_let_go() {
        let mut harness = card(Stand::AtEdge);
        let name = harness.get_by_label("Zofia Wiśniewska").rect().center();
        for pos in [name, Pos2::new(200.0, 10.0)] {
            harness.state_mut().clear();
            harness.event(Event::PointerMoved(pos));
            harness.step();
            press(&mut harness, pos, true);
            harness.event(Event::PointerMoved(pos + egui::Vec2::splat(30.0)));
            harness.step();
            press(&mut harness, pos + egui::Vec2::splat(30.0), false);
            harness.step();
            let [x, y] = [pos.x, pos.y].map(|points| (points * 10.0).round() as i32);
            let said: Vec<Pull> = harness
                .state()
                .iter()
                .filter_map(|wish| if let Command::Pull(pull) = wish { Some(*pull) } else { None })
                .collect();
            assert_eq!(said, [Pull::Begins { x, y }, Pull::Goes, Pull::Ends], "at {pos:?}");
        }
    }

    #[test]
    fn a_card_that_was_put_somewhere_offers_the_way_back_to_the_edge() {
        assert!(card(Stand::AtEdge).query_by_label("Back to the edge").is_none());
        let mut harness = card(Stand::WherePut);
        harness.get_by_label("Back to the edge").click();
        harness.run();
        assert_eq!(harness.state()[..], [Command::Aside]);
    }
}
