//! The sign in the desktop's tray: whether this person takes calls, how many were missed, and what can be asked for
//! there. Pure, its picture too; `bus` gives it to the desktop.

#[cfg(target_os = "linux")]
pub mod bus;

use egui::{Color32, Pos2, Rect, Vec2};

use crate::command::Command;
use crate::model::Model;
use crate::settings::Shade;
use crate::text::Direction;
use crate::theme::{Theme, Tone};
use crate::views::own_state;
use pinkas_protocol::{OwnState, PersonState};

/// What the tray shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// What this person does, or that the hub is not heard: `Not ready: Lunch`.
    pub state: String,
    /// The colour of it.
    pub tone: Tone,
    /// How many callers were missed, where there are any: `Missed (3)`.
    pub missed: Option<String>,
    /// What can be asked for, a row of a menu each.
    pub rows: Vec<Row>,
    /// Which way the person reads.
    pub direction: Direction,
}

/// Something to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// As it is called.
    pub text: String,
    /// What is so already has a tick, what cannot be so has no place for one.
    pub tick: Option<bool>,
    /// It can be asked for now.
    pub live: bool,
    /// What is asked for.
    pub wish: Command,
}

/// The sign now.
pub fn of(model: &Model) -> Sign {
    let words = &model.words;
    let own = model.own_state().map(|view| &view.state);
    let (state, tone) = match own {
        _ if !model.connected() => (words.say("offline"), Tone::Bad),
        Some(state) => (own_state::state_words(model, state), own_state::tone(state)),
        None => (words.say("connected"), Tone::Good),
    };
    let open = model.missed().into_iter().filter(|row| model.is_open(row)).count();
    let name = words.say("missed-calls");
    let missed =
        (open > 0).then(|| words.tell("tab-with", &[("name", (&name).into()), ("count", open.into())]));
    let plain = |id, wish| Row { text: words.say(id), tick: None, live: true, wish };
    let says = |text, tick, state| Row {
        text,
        tick: Some(tick),
        live: model.connected(),
        wish: Command::State(state),
    };
    let mut rows = vec![plain("show-window", Command::Raise)];
    if let Some(own) = own {
        let takes_calls = matches!(own, PersonState::Ready | PersonState::WrapUp);
        rows.push(says(words.say("ready"), takes_calls, OwnState::Ready));
        rows.extend(model.reasons().iter().map(|reason| {
            let state = PersonState::NotReady { reason: reason.code.clone() };
            let text = own_state::state_words(model, &state);
            says(text, *own == state, OwnState::NotReady { reason: reason.code.clone() })
        }));
    }
    rows.push(plain("quit", Command::Quit));
    Sign { state, tone, missed, rows, direction: words.direction() }
}

/// The picture as ARGB, row by row from the top, `side` pixels wide and high: a notebook with a dot in the colour of
/// the state. Each pixel is looked at in several places, so that edges are smooth.
pub fn picture(tone: Tone, side: u16) -> Vec<u8> {
    const LOOKS: u16 = 4;
    let theme = Theme::of(Shade::Dark);
    let unit = f32::from(side * LOOKS);
    let mut out = Vec::with_capacity(usize::from(side) * usize::from(side) * 4);
    for y in 0..side {
        for x in 0..side {
            let mut sum = [0_u32; 4];
            for (dx, dy) in (0..LOOKS).flat_map(|dx| (0..LOOKS).map(move |dy| (dx, dy))) {
                let at = |pixel: u16, look: u16| (f32::from(pixel * LOOKS + look) + 0.5) / unit;
                let color = color_at(&theme, tone, Pos2::new(at(x, dx), at(y, dy)));
                for (sum, part) in sum.iter_mut().zip(color.to_array()) {
                    *sum += u32::from(part);
                }
            }
            let looks = u32::from(LOOKS * LOOKS);
            // Colours of half-clear pixels stand for themselves there, not for what they add to the ground.
            let [red, green, blue, alpha] = sum.map(|sum| sum / looks);
            let whole = |part: u32| (part * 255).checked_div(alpha).unwrap_or(0).min(255);
            out.extend([alpha, whole(red), whole(green), whole(blue)].map(|part| part as u8));
        }
    }
    out
}

/// The colour at a point of the picture, whose sides are 1 long.
fn color_at(theme: &Theme, tone: Tone, at: Pos2) -> Color32 {
    const DOT: Pos2 = Pos2::new(0.74, 0.74);
    let from_dot = at.distance(DOT);
    if from_dot < 0.22 {
        return theme.tone(tone);
    }
    if from_dot < 0.28 {
        return Color32::TRANSPARENT;
    }
    let book = Rect::from_min_max(Pos2::new(0.16, 0.06), Pos2::new(0.84, 0.94));
    // Round corners: within a smaller rectangle, or near to it.
    let round = 0.1;
    if book.shrink(round).distance_to_pos(at) > round {
        return Color32::TRANSPARENT;
    }
    let lines =
        [0.28, 0.44, 0.60].map(|top| Rect::from_min_size(Pos2::new(0.36, top), Vec2::new(0.36, 0.07)));
    let back = at.x < 0.26;
    if back || lines.iter().any(|line| line.contains(at)) { theme.accent } else { theme.text }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use pinkas_link::Ended;
    use pinkas_protocol::record::{Missed, Settled};
    use pinkas_protocol::{Board, ReasonCode, Update};

    use super::*;
    use crate::net::NetEvent;
    use crate::sample::{self, at, call};

    fn model() -> Model {
        let mut model = Model::new(TimeZone::UTC);
        model.apply(sample::welcome(0, Board::default()));
        model
    }

    #[test]
    fn the_sign_says_what_the_person_does_and_offers_to_change_it() {
        let mut model = model();
        let lunch = sample::not_ready("lunch");
        model.apply(sample::update(1, sample::person("dana", "Dana Levi", &["101"], lunch, at(1))));
        let sign = of(&model);
        assert_eq!((sign.state.as_str(), sign.tone), ("Not ready: Lunch", Tone::Warn));
        let ticked: Vec<&str> =
            sign.rows.iter().filter(|row| row.tick == Some(true)).map(|row| row.text.as_str()).collect();
        assert_eq!(ticked, ["Not ready: Lunch"]);
        let says: Vec<&Command> = sign.rows.iter().filter(|row| row.live).map(|row| &row.wish).collect();
        assert_eq!(says.first(), Some(&&Command::Raise));
        assert_eq!(says.last(), Some(&&Command::Quit));
        let lunch = ReasonCode::parse("lunch").expect("a code");
        for wish in [OwnState::Ready, OwnState::NotReady { reason: lunch }] {
            assert!(says.contains(&&Command::State(wish.clone())), "{wish:?} in {says:?}");
        }
    }

    #[test]
    fn where_the_hub_is_not_heard_the_sign_is_offline_and_nothing_is_told() {
        let mut model = model();
        model.apply(sample::update(
            1,
            sample::person("dana", "Dana Levi", &["101"], PersonState::Ready, at(1)),
        ));
        assert_eq!(of(&model).tone, Tone::Good);
        model.apply(NetEvent::Disconnected { at: at(2), why: Ended::Broken });
        let sign = of(&model);
        assert_eq!((sign.state.as_str(), sign.tone), ("Offline", Tone::Bad));
        assert!(sign.rows.iter().filter(|row| row.live).all(|row| row.tick.is_none()), "{sign:?}");
    }

    #[test]
    fn missed_callers_are_counted_until_somebody_has_spoken_with_them() {
        let mut model = model();
        assert_eq!(of(&model).missed, None);
        let settled = Settled { name: Some("Bea".to_owned()), at: at(2) };
        for (n, handled) in [(1, None), (2, None), (3, Some(settled.clone()))] {
            let row = sample::missed(call(n), "+48123456789", None, 1, (at(1), at(1)));
            let row = Box::new(Missed { handled, ..row });
            model.apply(sample::update(1, Update::Missed { row }));
        }
        assert_eq!(of(&model).missed.as_deref(), Some("Missed (2)"));
    }

    #[test]
    fn the_picture_is_clear_around_a_notebook_and_its_dot_has_the_colour_of_the_state() {
        for side in [16_u16, 22, 48] {
            let looks = |tone: Tone| {
                let picture = picture(tone, side);
                assert_eq!(picture.len(), usize::from(side) * usize::from(side) * 4);
                let pixel = |x: f32, y: f32| {
                    let [x, y] = [x, y].map(|part| (part * f32::from(side)) as usize);
                    let first = (y * usize::from(side) + x) * 4;
                    <[u8; 4]>::try_from(&picture[first..first + 4]).expect("a pixel")
                };
                (pixel(0.0, 0.0), pixel(0.74, 0.74))
            };
            let (clear, good) = looks(Tone::Good);
            let [red, green, blue, _] = Theme::of(Shade::Dark).tone(Tone::Good).to_array();
            assert_eq!((clear, good), ([0; 4], [255, red, green, blue]), "{side}");
            assert_ne!(looks(Tone::Bad).1, good);
        }
    }
}
