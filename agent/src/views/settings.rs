//! What a person chooses for themselves: one row for each choice, every value in sight, in force at once.

use egui::{Rect, Ui};
use jiff::SignedDuration;

use super::login::{self, LoginLine};
use super::pen::{Live, Pen, Side, beside, part, strong};
use crate::command::Command;
use crate::model::login::Login;
use crate::model::{Habits, Pops};
use crate::place::Stand;
use crate::settings::{Edge, Settings, Shade, Switch};
use crate::theme::{self, Theme, Tone};
use crate::words::{Language, Words};

/// What the page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsData {
    /// In the order of reading.
    pub rows: Vec<ChoiceRow>,
    /// Who is logged in, where the desktop has asked for the secret.
    pub login: Option<LoginLine>,
}

/// One thing to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChoiceRow {
    /// What it is.
    pub label: String,
    /// Its values.
    pub options: Vec<ChoiceOption>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChoiceOption {
    /// As it is called.
    pub text: String,
    /// It is the one in force.
    pub chosen: bool,
    /// What is asked for by choosing it.
    pub wish: Command,
}

/// What can be chosen on this machine only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// A sound is configured.
    pub sound: Offered,
    /// Notifications and a sign in the tray can be had.
    pub session: Offered,
    /// Whether the desktop starts with the session; `None`: the system has no place to say so.
    pub autostart: Option<Switch>,
    /// Whether the person has put the pop-up elsewhere than at the edge, on any monitor.
    pub stand: Stand,
}

/// Whether there is something to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// There is.
    Yes,
    /// There is not.
    No,
}

/// The room for what is chosen, before its values, in points.
pub(super) const LABEL: f32 = 232.0;

/// How long a card may stay after a talk, in seconds.
const WRAP_UPS: [i64; 4] = [15, 30, 60, 120];

/// Builds the page.
pub fn data(words: &Words, now: &Settings, machine: Machine, login: &Login) -> SettingsData {
    let now = *now;
    let row = |label: &'static str, options: Vec<(String, Settings)>| ChoiceRow {
        label: words.say(label),
        options: options
            .into_iter()
            .map(|(text, settings)| ChoiceOption {
                text,
                chosen: settings == now,
                wish: Command::Set(settings),
            })
            .collect(),
    };
    let languages = Language::all()
        .map(|language| (Words::of(language).say("language-name"), Settings { language, ..now }));
    let shades = [("dark", Shade::Dark), ("light", Shade::Light)]
        .map(|(id, shade)| (words.say(id), Settings { shade, ..now }));
    let edge = |id, edge| {
        let chosen = machine.stand == Stand::AtEdge && now.edge == edge;
        ChoiceOption { text: words.say(id), chosen, wish: Command::Edge(edge) }
    };
    let mut edges = vec![edge("edge-left", Edge::Left), edge("edge-right", Edge::Right)];
    if machine.stand == Stand::WherePut {
        let wish = Command::Set(now);
        edges.push(ChoiceOption { text: words.say("edge-put"), chosen: true, wish });
    }
    let pops = [("pops-ring", Pops::AtRing), ("pops-answer", Pops::AtAnswer), ("pops-never", Pops::Never)];
    let pops = pops.map(|(id, pops)| {
        let habits = Habits { pops, ..now.habits };
        (words.say(id), Settings { habits, ..now })
    });
    let wrap_up = |wrap_up| Settings { habits: Habits { wrap_up, ..now.habits }, ..now };
    // What is configured otherwise is one of the values, too.
    let mut lasts: Vec<i64> =
        WRAP_UPS.into_iter().chain(now.habits.wrap_up.map(|lasts| lasts.as_secs())).collect();
    lasts.sort_unstable();
    lasts.dedup();
    let lasts = lasts.into_iter().map(|seconds| {
        let text = words.tell("seconds", &[("count", seconds.unsigned_abs().into())]);
        (text, wrap_up(Some(SignedDuration::from_secs(seconds))))
    });
    let wrap_ups = std::iter::once((words.say("until-closed"), wrap_up(None))).chain(lasts);
    let switch = [("on", Switch::On), ("off", Switch::Off)];
    let sounds = switch.map(|(id, sound)| (words.say(id), Settings { sound, ..now }));
    let flashes = switch.map(|(id, flash)| (words.say(id), Settings { flash, ..now }));
    let notices = switch.map(|(id, notify)| (words.say(id), Settings { notify, ..now }));
    let trays = switch.map(|(id, tray)| (words.say(id), Settings { tray, ..now }));
    let mut rows = vec![
        row("language", languages.collect()),
        row("colours", shades.into()),
        row("pops-when", pops.into()),
        row("stays-after-talk", wrap_ups.collect()),
        ChoiceRow { label: words.say("edge"), options: edges },
    ];
    if machine.sound == Offered::Yes {
        rows.push(row("sound-at-ring", sounds.into()));
    }
    rows.push(row("flash-at-ring", flashes.into()));
    if machine.session == Offered::Yes {
        rows.push(row("notify-at-ring", notices.into()));
    }
    if machine.session == Offered::Yes {
        rows.push(row("in-the-tray", trays.into()));
    }
    if let Some(starts) = machine.autostart {
        let options = switch.map(|(id, to)| ChoiceOption {
            text: words.say(id),
            chosen: to == starts,
            wish: Command::Autostart(to),
        });
        rows.push(ChoiceRow { label: words.say("starts-with-session"), options: options.into() });
    }
    SettingsData { rows, login: login::line(words, login) }
}

/// Draws the page into all of `ui`.
pub fn ui(ui: &mut Ui, theme: &Theme, data: &SettingsData) -> Vec<Command> {
    let mut wishes = Vec::new();
    egui::ScrollArea::vertical().auto_shrink(false).id_salt("settings").show(ui, |ui| {
        let mut pen = Pen::new(ui, theme);
        pen.space(theme::PAD);
        if let Some(login) = &data.login {
            wishes.extend(login::line_ui(&mut pen, login));
        }
        for row in &data.rows {
            let mut line = pen.padded_line(theme::TALL_ROW);
            let label = part(line, Side::Start, LABEL);
            pen.text(label, Side::Start, &row.label, strong(theme::TEXT, Tone::Text));
            line = beside(line, Side::Start, LABEL + theme::PAD);
            for option in &row.options {
                let width = pen.button_width(&option.text);
                if width > line.width() {
                    pen.space(theme::STEP);
                    line = beside(pen.padded_line(theme::TALL_ROW), Side::Start, LABEL + theme::PAD);
                }
                if option_ui(&mut pen, part(line, Side::Start, width), option) {
                    wishes.push(option.wish.clone());
                }
                line = beside(line, Side::Start, width + 8.0);
            }
            pen.space(theme::PAD / 2.0);
        }
    });
    wishes
}

fn option_ui(pen: &mut Pen<'_>, place: Rect, option: &ChoiceOption) -> bool {
    let clicked = pen.button(place, &option.text, Live::Yes);
    if option.chosen {
        let color = pen.theme.accent;
        pen.outline(place, egui::Stroke::new(1.5, color), theme::CORNER);
    }
    clicked
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Settings = Settings {
        shade: Shade::Dark,
        edge: Edge::Left,
        language: Language::ENGLISH,
        habits: Habits { pops: Pops::AtRing, wrap_up: None },
        sound: Switch::On,
        flash: Switch::On,
        notify: Switch::Off,
        tray: Switch::Off,
    };

    fn rows(machine: Machine) -> Vec<ChoiceRow> {
        data(&Words::of(Language::ENGLISH), &NOW, machine, &Login::configured()).rows
    }

    fn row(machine: Machine, label: &str) -> Option<Vec<(String, bool, Command)>> {
        let row = rows(machine).into_iter().find(|row| row.label == label)?;
        Some(row.options.into_iter().map(|option| (option.text, option.chosen, option.wish)).collect())
    }

    const MACHINE: Machine =
        Machine { sound: Offered::No, session: Offered::No, autostart: None, stand: Stand::AtEdge };

    #[test]
    fn a_place_of_ones_own_is_neither_edge_until_one_of_them_is_chosen() {
        let chosen = |machine| {
            let row = row(machine, "Edge of the screen").expect("a row");
            row.into_iter().map(|(text, chosen, wish)| (text, chosen, matches!(wish, Command::Edge(_))))
        };
        let said = |text: &str, chosen, edge| (text.to_owned(), chosen, edge);
        assert!(chosen(MACHINE).eq([said("Left", true, true), said("Right", false, true)]));
        let put = Machine { stand: Stand::WherePut, ..MACHINE };
        let own = said("Where I put it", true, false);
        assert!(chosen(put).eq([said("Left", false, true), said("Right", false, true), own]));
    }

    #[test]
    fn what_a_machine_does_not_offer_is_no_setting() {
        let labels: Vec<String> = rows(MACHINE).into_iter().map(|row| row.label).collect();
        assert!(labels.iter().any(|label| label == "Taskbar flashes when a call rings"), "{labels:?}");
        assert!(
            !labels.iter().any(|label| label.contains("Sound") || label.contains("log in")),
            "{labels:?}"
        );
    }

    #[test]
    fn notification_and_tray_are_switched_where_the_system_has_them() {
        let session = Machine { session: Offered::Yes, ..MACHINE };
        for (label, on) in [
            ("Notification when a call rings", Settings { notify: Switch::On, ..NOW }),
            ("In the tray, also when closed", Settings { tray: Switch::On, ..NOW }),
        ] {
            assert_eq!(row(MACHINE, label), None, "{label}");
            let expected =
                [("On".to_owned(), false, Command::Set(on)), ("Off".to_owned(), true, Command::Set(NOW))];
            assert_eq!(row(session, label).as_deref(), Some(&expected[..]), "{label}");
        }
    }
}
