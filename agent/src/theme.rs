//! Every colour and size of the screen, dark and light. Views take them from here and nowhere else.
//! Text is at least 7:1 and dim text 4.5:1 against what it stands on; a test measures it.

use egui::{Color32, CornerRadius, FontFamily, FontId, Stroke, Vec2};

use crate::settings::Shade;
use crate::text::Direction;

/// Width of the pop-up and of a card, in points.
pub const CARD_WIDTH: f32 = 440.0;
/// From a card's edge to its text.
pub const PAD: f32 = 16.0;
/// Above and below a card's content.
pub const PAD_Y: f32 = 12.0;
/// The grid.
pub const STEP: f32 = 4.0;
/// Height of one line of text.
pub const ROW: f32 = 22.0;
/// Height of a table row and of anything that is clicked in a list.
pub const TALL_ROW: f32 = 34.0;
/// Corners of controls.
pub const CORNER: u8 = 8;
/// The name family of strong text; see `fonts`.
pub const STRONG: &str = "strong";

/// The largest text: who is calling.
pub const NAME: f32 = 24.0;
/// The balance.
pub const FIGURE: f32 = 21.0;
/// Other figures and headings.
pub const HEADING: f32 = 16.0;
/// Text.
pub const TEXT: f32 = 14.0;
/// Labels and sources.
pub const LABEL: f32 = 12.0;

/// The colours of one shade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Behind everything.
    pub ground: Color32,
    /// Cards.
    pub panel: Color32,
    /// Head, foot and controls.
    pub raised: Color32,
    /// Lines of one point.
    pub line: Color32,
    /// Text.
    pub text: Color32,
    /// Less important text.
    pub dim: Color32,
    /// The quietest text.
    pub faint: Color32,
    /// What is live, and the main action.
    pub accent: Color32,
    /// Money owed late, and alarms.
    pub bad: Color32,
    /// Trouble said in words.
    pub warn: Color32,
    /// All is well.
    pub good: Color32,
    /// How lines run in the person's language: lists and cards are mirrored with them.
    pub direction: Direction,
    dark: bool,
}

/// A colour by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Text.
    Text,
    /// Less important text.
    Dim,
    /// The quietest text.
    Faint,
    /// What is live.
    Accent,
    /// Owed late, alarm.
    Bad,
    /// Trouble.
    Warn,
    /// All is well.
    Good,
}

impl Theme {
    /// The colours of `shade`.
    pub fn of(shade: Shade) -> Self {
        match shade {
            Shade::Dark => Theme {
                ground: rgb(0x14171c),
                panel: rgb(0x1b2027),
                raised: rgb(0x232a33),
                line: rgb(0x2e3742),
                text: rgb(0xe9edf2),
                dim: rgb(0x9aa6b4),
                faint: rgb(0x6b7785),
                accent: rgb(0x4cc2b0),
                bad: rgb(0xf0716b),
                warn: rgb(0xe8b45a),
                good: rgb(0x6fcf97),
                direction: Direction::LeftToRight,
                dark: true,
            },
            Shade::Light => Theme {
                ground: rgb(0xeef1f4),
                panel: rgb(0xffffff),
                raised: rgb(0xf5f7f9),
                line: rgb(0xdde3e9),
                text: rgb(0x17202b),
                dim: rgb(0x566374),
                faint: rgb(0x8a95a3),
                accent: rgb(0x0c8f7d),
                bad: rgb(0xc5362f),
                warn: rgb(0x9a6a10),
                good: rgb(0x1d8a4c),
                direction: Direction::LeftToRight,
                dark: false,
            },
        }
    }

    /// The same for a language whose lines run this way.
    pub fn read(self, direction: Direction) -> Self {
        Theme { direction, ..self }
    }

    /// The colour of a tone.
    pub fn tone(&self, tone: Tone) -> Color32 {
        match tone {
            Tone::Text => self.text,
            Tone::Dim => self.dim,
            Tone::Faint => self.faint,
            Tone::Accent => self.accent,
            Tone::Bad => self.bad,
            Tone::Warn => self.warn,
            Tone::Good => self.good,
        }
    }

    /// The ground of a chip in this tone.
    pub fn chip(&self, tone: Tone) -> Color32 {
        self.panel.lerp_to_gamma(self.tone(tone), if self.dark { 0.18 } else { 0.12 })
    }

    /// The letters on a chip: its tone, nearer to text, as the ground is of that tone too.
    pub fn chip_ink(&self, tone: Tone) -> Color32 {
        self.tone(tone).lerp_to_gamma(self.text, if self.dark { 0.1 } else { 0.35 })
    }

    /// A line of one point.
    pub fn hairline(&self) -> Stroke {
        Stroke::new(1.0, self.line)
    }

    /// Makes egui's own controls look like ours.
    pub fn apply(&self, ctx: &egui::Context) {
        let base = if self.dark { egui::Theme::Dark } else { egui::Theme::Light };
        ctx.set_theme(base);
        let theme = *self;
        ctx.style_mut_of(base, move |style| theme.restyle(style));
    }

    fn restyle(&self, style: &mut egui::Style) {
        // Nothing moves on the screen of someone who talks with a customer.
        style.animation_time = 0.0;
        style.spacing.item_spacing = Vec2::ZERO;
        style.spacing.button_padding = Vec2::new(14.0, 6.0);
        style.interaction.selectable_labels = false;
        // That there is more below must show without the pointer over it.
        style.spacing.scroll.dormant_handle_opacity = 0.7;
        style.spacing.scroll.floating_width = 4.0;
        let visuals = &mut style.visuals;
        visuals.panel_fill = self.ground;
        visuals.window_fill = self.panel;
        visuals.extreme_bg_color = self.ground;
        visuals.override_text_color = None;
        visuals.window_stroke = self.hairline();
        visuals.popup_shadow = egui::Shadow::NONE;
        visuals.window_shadow = egui::Shadow::NONE;
        visuals.selection.bg_fill = self.chip(Tone::Accent);
        visuals.selection.stroke = Stroke::new(1.0, self.accent);
        let widgets = &mut visuals.widgets;
        for (widget, stroke) in [
            (&mut widgets.noninteractive, self.line),
            (&mut widgets.inactive, self.line),
            (&mut widgets.hovered, self.faint),
            (&mut widgets.active, self.accent),
            (&mut widgets.open, self.line),
        ] {
            widget.bg_fill = self.raised;
            widget.weak_bg_fill = self.raised;
            widget.bg_stroke = Stroke::new(1.0, stroke);
            widget.fg_stroke = Stroke::new(1.0, self.text);
            widget.corner_radius = CornerRadius::same(CORNER);
            widget.expansion = 0.0;
        }
    }
}

/// A size in the normal or the strong family.
pub fn font(size: f32, weight: Weight) -> FontId {
    match weight {
        Weight::Normal => FontId::new(size, FontFamily::Proportional),
        Weight::Strong => FontId::new(size, FontFamily::Name(STRONG.into())),
    }
}

/// How heavy letters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// As everything.
    Normal,
    /// Names, figures and titles.
    Strong,
}

fn rgb(code: u32) -> Color32 {
    let [_, r, g, b] = code.to_be_bytes();
    Color32::from_rgb(r, g, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_on_a_chip_can_be_read() {
        for shade in [Shade::Dark, Shade::Light] {
            let theme = Theme::of(shade);
            for tone in [Tone::Good, Tone::Warn, Tone::Bad, Tone::Accent, Tone::Dim] {
                let found = contrast(theme.chip_ink(tone), theme.chip(tone));
                assert!(found >= 4.5, "{tone:?}, {shade:?}: {found}");
            }
        }
    }

    /// WCAG 2.2 contrast ratio.
    fn contrast(a: Color32, b: Color32) -> f32 {
        let light = |c: Color32| {
            let [r, g, b, _] = egui::Rgba::from(c).to_array();
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        let (a, b) = (light(a) + 0.05, light(b) + 0.05);
        if a > b { a / b } else { b / a }
    }

    #[test]
    fn text_can_be_read_on_everything_it_stands_on() {
        for shade in [Shade::Dark, Shade::Light] {
            let theme = Theme::of(shade);
            for ground in [theme.ground, theme.panel, theme.raised] {
                assert!(contrast(theme.text, ground) >= 7.0, "text, {shade:?}");
                assert!(contrast(theme.dim, ground) >= 4.5, "dim, {shade:?}");
                for tone in [Tone::Warn, Tone::Bad] {
                    assert!(contrast(theme.tone(tone), ground) >= 4.0, "{tone:?}, {shade:?}");
                }
            }
        }
    }
}
