//! Where the pop-up stands: at an edge of the main window's monitor, or where the person put it, and then never
//! off the screen. Pure: monitors and places in, a place out. What is kept is in points from a monitor's own
//! corner, so that it is the same place wherever that monitor stands among others.

use egui::{Pos2, Vec2};
use serde_json::{Map, Value, json};

use crate::settings::Edge;
use crate::theme::CARD_WIDTH;

/// From the pop-up to the edge of the screen, in points.
const MARGIN: f32 = 16.0;
/// The most of the screen's height a card takes.
const MOST_OF_SCREEN: f32 = 0.8;
/// What a card's head and foot take while there is something to write: on a small screen they count more than a fifth
/// of it left free.
const HEAD_AND_FOOT: f32 = 480.0;
/// How many monitors' places are kept: who works at several desks has as many.
const MOST_KEPT: usize = 16;
/// The longest name of a monitor that is kept, in letters.
const LONGEST_NAME: usize = 64;
/// Where a card put at a height is held: in the middle of its head, in points below its upper edge.
const GRIP: f32 = 20.0;

/// One monitor, in pixels of the whole desktop.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// What the system calls it.
    pub name: String,
    /// Its upper left corner.
    pub origin: Pos2,
    /// How large it is.
    pub size: Vec2,
    /// How many pixels a point has there.
    pub scale: f32,
}

impl Monitor {
    /// By this a monitor is known again: another one on the same socket has another size, mostly.
    pub fn key(&self) -> String {
        let name: String = self.name.chars().take(LONGEST_NAME).collect();
        format!("{name} {}x{}", self.size.x, self.size.y)
    }

    /// How large it is in points.
    fn room(&self) -> Vec2 {
        self.size / self.scale
    }

    /// From a point of the desktop to this monitor; 0 on it.
    fn distance(&self, to: Pos2) -> f32 {
        egui::Rect::from_min_size(self.origin, self.size).distance_to_pos(to)
    }
}

/// How the pop-up came to stand where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stand {
    /// At the edge that the settings say.
    #[default]
    AtEdge,
    /// Where the person put it.
    WherePut,
}

/// Place and size of the pop-up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Its upper left corner, in pixels of the whole desktop.
    pub position: Pos2,
    /// In points.
    pub size: Vec2,
    /// Why there.
    pub stand: Stand,
}

/// A card of this height on a monitor; `put` is where the person wants it there, in points from the corner.
pub fn place(monitor: &Monitor, height: f32, edge: Edge, put: Option<Vec2>) -> Place {
    let room = monitor.room();
    let width = CARD_WIDTH.min(room.x);
    let small = HEAD_AND_FOOT.min(room.y - 2.0 * MARGIN);
    let size = Vec2::new(width, height.min((room.y * MOST_OF_SCREEN).max(small)).ceil());
    let free = (room - size).max(Vec2::ZERO);
    let from_corner = match (put, edge) {
        (Some(put), _) => put.clamp(Vec2::ZERO, free),
        (None, Edge::Left) => Vec2::new(MARGIN.min(free.x), MARGIN),
        (None, Edge::Right) => Vec2::new((free.x - MARGIN).max(0.0), MARGIN),
    };
    let stand = if put.is_some() { Stand::WherePut } else { Stand::AtEdge };
    Place { position: monitor.origin + from_corner * monitor.scale, size, stand }
}

/// Where the person put the pop-up on each monitor.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Places {
    /// By a monitor's key, in points from its corner; what was put last stands last.
    kept: Vec<(String, Vec2)>,
    /// The monitor the person put it on although the main window was on another one.
    on: Option<String>,
}

impl Places {
    /// Whether nothing was put anywhere.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.on.is_none()
    }

    /// Of these monitors the one for the pop-up: the one it was put on while that is there, else the main window's.
    pub fn monitor<'a>(&self, monitors: &'a [Monitor], main: Option<&str>) -> Option<&'a Monitor> {
        let with = |key: &str| monitors.iter().find(|monitor| monitor.key() == key);
        self.on.as_deref().and_then(with).or_else(|| main.and_then(with)).or(monitors.first())
    }

    /// Where the person put it on this monitor.
    pub fn on(&self, monitor: &Monitor) -> Option<Vec2> {
        let key = monitor.key();
        self.kept.iter().find(|(kept, _)| *kept == key).map(|(_, put)| *put)
    }

    /// The person let go of a card of this size with its corner here, both in pixels of the whole desktop. Where it
    /// was let go of half off the screen it is put beside the edge.
    pub fn put(&mut self, monitors: &[Monitor], main: Option<&str>, corner: Pos2, size: Vec2) {
        let head = corner + Vec2::new(size.x / 2.0, GRIP);
        let Some(monitor) =
            monitors.iter().min_by(|one, other| one.distance(head).total_cmp(&other.distance(head)))
        else {
            return;
        };
        let key = monitor.key();
        let free = (monitor.size - size).max(Vec2::ZERO);
        let put = ((corner - monitor.origin).clamp(Vec2::ZERO, free) / monitor.scale).round();
        self.on = Some(key.clone()).filter(|key| main.is_some_and(|main| main != key));
        self.keep(key, put);
    }

    /// On this monitor it stands at the edge again, and goes with the main window.
    pub fn forget(&mut self, monitor: &Monitor) {
        let key = monitor.key();
        self.kept.retain(|(kept, _)| *kept != key);
        self.on = None;
    }

    fn keep(&mut self, key: String, put: Vec2) {
        self.kept.retain(|(kept, _)| *kept != key);
        let over = (self.kept.len() + 1).saturating_sub(MOST_KEPT);
        self.kept.drain(..over);
        self.kept.push((key, put));
    }

    /// What a settings file says of them; what cannot be read is left out.
    pub fn read(said: &Map<String, Value>) -> Places {
        let mut places = Places::default();
        let rows = said.get("places").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for row in rows {
            let number = |key: &str| row.get(key).and_then(Value::as_f64).map(|number| number as f32);
            let name = row.get("monitor").and_then(Value::as_str).filter(|name| is_key(name));
            if let (Some(name), Some(x), Some(y)) = (name, number("x"), number("y"))
                && x.is_finite()
                && y.is_finite()
            {
                places.keep(name.to_owned(), Vec2::new(x, y));
            }
        }
        let on = said.get("popup_on").and_then(Value::as_str).filter(|name| is_key(name));
        places.on = on.map(str::to_owned);
        places
    }

    /// Writes them into a settings file.
    pub fn write(&self, said: &mut Map<String, Value>) {
        if !self.kept.is_empty() {
            let rows = self.kept.iter().map(|(name, put)| json!({"monitor": name, "x": put.x, "y": put.y}));
            said.insert("places".to_owned(), rows.collect());
        }
        if let Some(on) = &self.on {
            said.insert("popup_on".to_owned(), json!(on));
        }
    }
}

/// Whether this may be a monitor's key, with what its size adds to a name.
fn is_key(text: &str) -> bool {
    text.chars().count() <= LONGEST_NAME + 24
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(name: &str, x: f32, size: (f32, f32), scale: f32) -> Monitor {
        Monitor { name: name.to_owned(), origin: Pos2::new(x, 0.0), size: size.into(), scale }
    }

    fn card() -> Vec2 {
        Vec2::new(CARD_WIDTH, 300.0)
    }

    fn screen(width: f32, height: f32) -> Monitor {
        monitor("one", 0.0, (width, height), 1.0)
    }

    #[test]
    fn the_popup_stands_at_the_top_right_and_leaves_a_fifth_of_the_screen() {
        let found = place(&screen(1920.0, 1080.0), 2000.0, Edge::Right, None);
        assert_eq!(found.position, Pos2::new(1920.0 - CARD_WIDTH - MARGIN, MARGIN));
        assert_eq!(found.size, Vec2::new(CARD_WIDTH, 864.0));
        let aside = place(&screen(1920.0, 1080.0), 2000.0, Edge::Left, None);
        assert_eq!((aside.position, aside.size), (Pos2::new(MARGIN, MARGIN), found.size));
    }

    #[test]
    fn on_a_small_screen_the_buttons_stay_in_sight() {
        for (height, expected) in [(1080.0, 864.0), (540.0, 480.0), (500.0, 468.0), (384.0, 352.0)] {
            let found = place(&screen(640.0, height), 2000.0, Edge::Right, None);
            assert_eq!(found.size.y, expected, "on {height}");
            assert!(found.position.y + found.size.y <= height);
        }
    }

    #[test]
    fn a_screen_narrower_than_the_card_still_shows_its_beginning() {
        for edge in [Edge::Left, Edge::Right] {
            let found = place(&screen(320.0, 480.0), 100.0, edge, None);
            assert_eq!((found.position.x, found.size.x), (0.0, 320.0));
        }
    }

    #[test]
    fn it_stands_on_the_main_windows_monitor_wherever_that_begins_and_however_fine_it_is() {
        let monitors = [screen(1920.0, 1080.0), monitor("two", 1920.0, (3840.0, 2160.0), 2.0)];
        let places = Places::default();
        for (main, expected) in [(0, 1920.0 - CARD_WIDTH - MARGIN), (1, 5760.0 - 2.0 * (CARD_WIDTH + MARGIN))]
        {
            let key = monitors[main].key();
            let on = places.monitor(&monitors, Some(&key)).expect("a monitor");
            assert_eq!(on, &monitors[main]);
            assert_eq!(place(on, 300.0, Edge::Right, places.on(on)).position.x, expected);
        }
        let unknown = places.monitor(&monitors, Some("gone 1x1"));
        assert_eq!([unknown, places.monitor(&monitors, None)], [Some(&monitors[0]); 2]);
        assert_eq!(places.monitor(&[], None), None);
    }

    #[test]
    fn where_it_was_put_it_stands_again_on_that_monitor_only_until_it_is_sent_back() {
        let monitors = [screen(1920.0, 1080.0), monitor("two", 1920.0, (3840.0, 2160.0), 2.0)];
        let [one, two] = monitors.clone().map(|monitor| monitor.key());
        let mut places = Places::default();
        places.put(&monitors, Some(&one), Pos2::new(300.0, 200.0), card());
        places.put(&monitors, Some(&two), Pos2::new(1920.0 + 200.0, 100.0), 2.0 * card());
        let stands = |places: &Places, main: &str| {
            let on = places.monitor(&monitors, Some(main)).expect("a monitor");
            let place = place(on, 300.0, Edge::Right, places.on(on));
            (place.position, place.stand)
        };
        assert_eq!(stands(&places, &one), (Pos2::new(300.0, 200.0), Stand::WherePut));
        assert_eq!(stands(&places, &two), (Pos2::new(2120.0, 100.0), Stand::WherePut));
        places.forget(&monitors[0]);
        assert_eq!(stands(&places, &one).1, Stand::AtEdge);
        assert_eq!(stands(&places, &two).1, Stand::WherePut);
    }

    #[test]
    fn put_on_another_monitor_than_the_main_windows_it_stays_there_while_that_is_plugged_in() {
        let monitors = [screen(1920.0, 1080.0), monitor("two", -1280.0, (1280.0, 1024.0), 1.0)];
        let main = monitors[0].key();
        let mut places = Places::default();
        // More of its head is there than here.
        places.put(&monitors, Some(&main), Pos2::new(-300.0, 60.0), card());
        let on = |monitors: &[Monitor], places: &Places| {
            places.monitor(monitors, Some(&main)).map(|monitor| monitor.name.clone())
        };
        assert_eq!(on(&monitors, &places).as_deref(), Some("two"));
        let cut = place(&monitors[1], 300.0, Edge::Right, places.on(&monitors[1]));
        assert_eq!(cut.position.x + cut.size.x, 0.0, "all of it on that monitor");
        assert_eq!(on(&monitors[..1], &places).as_deref(), Some("one"));
        // Back beside the main window it goes with that again.
        places.put(&monitors, Some(&main), Pos2::new(100.0, 60.0), card());
        assert_eq!(on(&monitors, &places).as_deref(), Some("one"));
    }

    #[test]
    fn let_go_of_half_off_the_screen_it_is_put_beside_the_edge_and_stays_there_for_lower_cards() {
        let monitors = [screen(1280.0, 800.0)];
        let mut places = Places::default();
        places.put(&monitors, None, Pos2::new(-74.0, 776.0), card());
        for height in [300.0, 100.0] {
            let found = place(&monitors[0], height, Edge::Right, places.on(&monitors[0]));
            assert_eq!(found.position, Pos2::new(0.0, 500.0));
        }
    }

    #[test]
    fn a_place_is_never_off_the_screen_however_high_the_card_and_whatever_was_kept() {
        for (width, height, scale) in [(1280.0, 800.0, 1.0), (640.0, 400.0, 1.0), (3840.0, 2160.0, 2.5)] {
            let monitor = monitor("one", 77.0, (width, height), scale);
            for put in [(-5.0, -5.0), (0.0, 0.0), (900.0, 700.0), (1e9, 1e9)] {
                for card in [90.0, 500.0, 5000.0] {
                    let found = place(&monitor, card, Edge::Left, Some(put.into()));
                    let taken = egui::Rect::from_min_size(found.position, found.size * scale).expand(-0.1);
                    let whole = egui::Rect::from_min_size(monitor.origin, monitor.size);
                    assert!(whole.contains_rect(taken), "{monitor:?} {put:?} {card}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn places_are_read_as_they_were_written_and_what_cannot_be_read_is_left_out() {
        let monitors = [screen(1920.0, 1080.0), monitor("Łódź 4K", 1920.0, (3840.0, 2160.0), 2.0)];
        let mut places = Places::default();
        let main = monitors[0].key();
        places.put(&monitors, Some(&main), Pos2::new(10.0, 20.0), card());
        places.put(&monitors, Some(&main), Pos2::new(2500.0, 20.0), card());
        let mut said = Map::new();
        places.write(&mut said);
        assert_eq!(Places::read(&said), places);
        let bad = json!({"places": [7, {"monitor": "m", "x": "1", "y": 2}, {"monitor": "x".repeat(999), "x": 1, "y": 1},
            {"monitor": "m", "x": 1e300, "y": 1}], "popup_on": ["m"]});
        assert!(Places::read(bad.as_object().expect("an object")).is_empty());
        let many: Vec<Value> = (0..50).map(|n| json!({"monitor": format!("m{n}"), "x": n, "y": n})).collect();
        let many = Places::read(json!({ "places": many }).as_object().expect("an object"));
        assert_eq!(many.kept.len(), MOST_KEPT);
        assert_eq!(many.kept.last().map(|(name, _)| name.as_str()), Some("m49"));
    }
}
