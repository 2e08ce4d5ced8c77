//! The picture of the program in a taskbar: a notebook, drawn here at the size that is asked for. Without one eframe
//! shows its own, which it keeps in memory at a quarter of a million pixels.

use egui::{Color32, IconData};

use crate::settings::Shade;
use crate::theme::Theme;

/// A square of `side` pixels, a multiple of four.
pub fn icon(side: u32) -> IconData {
    let theme = Theme::of(Shade::Light);
    let pixels = (0..side * side).flat_map(|n| {
        // In 64ths of the square, whatever its size.
        let at = |pixels: u32| pixels as f32 * 64.0 / side as f32;
        color(&theme, at(n % side), at(n / side)).to_srgba_unmultiplied()
    });
    IconData { rgba: pixels.collect(), width: side, height: side }
}

fn color(theme: &Theme, x: f32, y: f32) -> Color32 {
    let within = |left: f32, top: f32, right: f32, bottom: f32| {
        (left..right).contains(&x) && (top..bottom).contains(&y)
    };
    let written = [20.0, 30.0, 40.0].iter().any(|top| within(26.0, *top, 48.0, top + 4.0));
    match () {
        () if !within(8.0, 4.0, 56.0, 60.0) => Color32::TRANSPARENT,
        () if within(16.0, 4.0, 19.0, 60.0) || written => theme.panel,
        () => theme.accent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_any_size_it_is_a_notebook_on_nothing() {
        for side in [16, 32, 64, 128] {
            let icon = icon(side);
            assert_eq!(icon.rgba.len() as u32, icon.width * icon.height * 4);
            let pixel = |x: u32, y: u32| {
                let at = ((y * side / 64 * side + x * side / 64) * 4) as usize;
                [icon.rgba[at], icon.rgba[at + 1], icon.rgba[at + 2], icon.rgba[at + 3]]
            };
            let theme = Theme::of(Shade::Light);
            assert_eq!(pixel(0, 0)[3], 0, "nothing around it");
            assert_eq!(pixel(12, 32), theme.accent.to_array(), "its cover");
            assert_eq!(pixel(32, 20), theme.panel.to_array(), "what is written");
        }
    }
}
