//! A list of any length of which only the rows in sight are laid out, and one beyond each end, so that the
//! arrow keys reach it. A row is a button by pointer, keyboard and screen reader.

use egui::{Id, Key, Rect, Sense, Ui, UiBuilder, Vec2, WidgetInfo};

use crate::text;
use crate::theme::{self, Theme};

/// Draws the rows in sight into all of `ui`; `draw` gets a row's own surface and its number.
pub fn rows(ui: &mut Ui, name: &'static str, count: usize, mut draw: impl FnMut(&mut Ui, usize)) {
    let height = theme::TALL_ROW;
    egui::ScrollArea::vertical().auto_shrink(false).id_salt(name).show_viewport(ui, |ui, seen| {
        ui.set_height(height * count as f32);
        let whole = ui.max_rect();
        // A length beyond what a float counts exactly is a hundred times longer than any record.
        let first = ((seen.min.y / height).floor() as usize).saturating_sub(1);
        let last = ((seen.max.y / height).ceil() as usize).saturating_add(1).min(count);
        for number in first..last {
            let top = whole.top() + number as f32 * height;
            let place =
                Rect::from_min_size(egui::Pos2::new(whole.left(), top), Vec2::new(whole.width(), height));
            // The same name wherever it is scrolled to: what has the keyboard keeps it.
            let builder = UiBuilder::new().max_rect(place).scope_id(Id::unique((name, number)));
            ui.scope_builder(builder, |ui| draw(ui, number));
        }
        let typing = ui.ctx().egui_wants_keyboard_input();
        let page = seen.height() - height;
        for (key, by) in [(Key::PageUp, page), (Key::PageDown, -page)] {
            if !typing && ui.input(|input| input.key_pressed(key)) {
                ui.scroll_with_delta(Vec2::new(0.0, by));
            }
        }
    });
}

/// The ground of a row, as a control; whether it was pressed. Drawn before what stands on it.
pub fn row(ui: &mut Ui, theme: &Theme, name: &str) -> bool {
    let whole = ui.max_rect();
    let response = ui.interact(whole, ui.scope_id().with("row"), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, text::spoken(name)));
    if response.gained_focus() {
        response.scroll_to_me(None);
    }
    if response.hovered() || response.has_focus() {
        ui.painter().rect_filled(whole.shrink2(Vec2::new(8.0, 1.0)), theme::CORNER, theme.raised);
    }
    if response.has_focus() {
        let stroke = egui::Stroke::new(1.0, theme.accent);
        let place = whole.shrink2(Vec2::new(8.0, 1.0));
        ui.painter().rect_stroke(place, theme::CORNER, stroke, egui::StrokeKind::Inside);
    }
    ui.painter().rect_filled(whole.with_min_y(whole.bottom() - 1.0), 0.0, theme.line);
    response.clicked()
}
