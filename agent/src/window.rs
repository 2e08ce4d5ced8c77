//! The pop-up as a window: its place, its size, and the quirks of each desktop. It must never take the
//! keyboard from whatever the agent types into. The window is made once and hidden: a hidden or
//! minimised main window could not make a new one (eframe 0.37 runs only `logic` then).

pub mod keyboard;

use std::sync::{Arc, Mutex, PoisonError};

use egui::{Context, Key, Pos2, UserAttentionType, Vec2, ViewportBuilder, ViewportCommand, ViewportId};
use tokio::sync::mpsc;

use crate::command::Command;
use crate::icon::icon;
use crate::settings::Edge;
use crate::theme::{CARD_WIDTH, Theme};
use crate::views::popup::{self, PopupData};
use keyboard::Keyboard;

/// From the pop-up to the edge of the screen, in points.
const MARGIN: f32 = 16.0;
/// The most of the screen's height a card takes.
const MOST_OF_SCREEN: f32 = 0.8;
/// What a card's head and foot take while there is something to write: on a small screen they count more than a fifth
/// of it left free.
const HEAD_AND_FOOT: f32 = 480.0;
/// Where nothing is known about the screen, in points.
const FALLBACK_SCREEN: Vec2 = Vec2::new(1280.0, 720.0);

/// By this title the pop-up is found among the windows of the screen.
const TITLE: &str = "Pinkas call";

/// The pop-up window and what it shows.
pub struct PopupWindow {
    theme: Theme,
    /// Shared with the window's own frames; locked only to copy.
    shown: Arc<Mutex<Option<PopupData>>>,
    /// What the person asked for in the pop-up. When full, the click is lost and can be repeated.
    wishes: mpsc::Sender<Command>,
    visible: bool,
    /// Where it stands; what the person chose holds until the program ends.
    edge: Edge,
    place: Place,
    life: Life,
    keyboard: Keyboard,
}

/// Whether the call on the card rings here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bell {
    /// It has just begun to.
    Begins,
    /// It still does.
    RingsOn,
    /// It does not, or there is none.
    Silent,
}

/// The taskbar says that somebody calls; the window manager leaves the window with the keyboard in peace.
pub fn flash(ctx: &Context) {
    let attention = ViewportCommand::RequestUserAttention(UserAttentionType::Informational);
    ctx.send_viewport_cmd_to(ViewportId::ROOT, attention);
}

/// When the pop-up's window exists.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Always, mostly hidden.
    Always,
    /// While it is seen, where windows cannot be hidden: a minimised main window then shows no pop-up.
    WhileSeen,
}

/// How eframe opens the main window.
pub fn options() -> eframe::NativeOptions {
    eframe::NativeOptions {
        viewport: ViewportBuilder::default()
            .with_title("Pinkas")
            .with_app_id("pinkas-agent")
            .with_icon(icon(64))
            .with_inner_size([880.0, 560.0])
            .with_min_inner_size([640.0, 320.0]),
        event_loop_builder: platform(),
        ..Default::default()
    }
}

/// Quirk(Wayland): a window may not stand on top, choose its place or be hidden. Through XWayland, which
/// desktops with Wayland bring along, it may.
#[cfg(target_os = "linux")]
fn platform() -> Option<eframe::EventLoopBuilderHook> {
    use winit::platform::x11::EventLoopBuilderExtX11;
    if life() == Life::WhileSeen {
        return None;
    }
    Some(Box::new(|builder| {
        builder.with_x11();
    }))
}

#[cfg(not(target_os = "linux"))]
fn platform() -> Option<eframe::EventLoopBuilderHook> {
    None
}

fn life() -> Life {
    let x11 = std::env::var_os("DISPLAY").is_some_and(|display| !display.is_empty());
    if cfg!(target_os = "linux") && !x11 { Life::WhileSeen } else { Life::Always }
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    position: Pos2,
    size: Vec2,
}

impl PopupWindow {
    /// A hidden pop-up; what is asked for in it comes out of the receiver of `wishes`.
    pub fn new(theme: Theme, edge: Edge, wishes: mpsc::Sender<Command>) -> Self {
        let place = place(FALLBACK_SCREEN, 200.0, edge);
        let shown = Arc::new(Mutex::new(None));
        let keyboard = Keyboard::new(Self::id(), TITLE);
        PopupWindow { theme, shown, wishes, visible: false, edge, place, life: life(), keyboard }
    }

    /// What the window shows.
    pub fn id() -> ViewportId {
        ViewportId::from_hash_of("call card")
    }

    /// Shows this card, or nothing; works also while the main window is hidden. Says whether a call has begun to ring.
    pub fn set(&mut self, ctx: &Context, data: Option<PopupData>) -> Bell {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown == data {
            return if data.is_some_and(|data| data.rings) { Bell::RingsOn } else { Bell::Silent };
        }
        let visible = data.is_some();
        let bell = match &data {
            Some(data) if data.rings && shown.as_ref().is_none_or(|old| old.call != data.call) => {
                Bell::Begins
            }
            Some(data) if data.rings => Bell::RingsOn,
            _ => Bell::Silent,
        };
        let height = data.as_ref().map(popup::height);
        let place = height.map_or(self.place, |height| place(screen(ctx), height, self.edge));
        let other = shown.as_ref().map(|data| data.call) != data.as_ref().map(|data| data.call);
        *shown = data;
        drop(shown);
        if other {
            self.keyboard.give_back();
        }
        let say = |command| ctx.send_viewport_cmd_to(Self::id(), command);
        if place != self.place {
            say(ViewportCommand::InnerSize(place.size));
            say(ViewportCommand::OuterPosition(place.position));
            self.place = place;
        }
        if visible != self.visible {
            say(ViewportCommand::Visible(visible));
            self.visible = visible;
        }
        ctx.request_repaint_of(Self::id());
        bell
    }

    /// Puts the window at this edge of the screen, in these colours.
    pub fn set_look(&mut self, ctx: &Context, theme: Theme, edge: Edge) {
        self.theme = theme;
        if edge != self.edge {
            self.aside(ctx, edge);
        }
        ctx.request_repaint_of(Self::id());
    }

    /// What the person types goes to the pop-up, in which a field was clicked.
    pub fn take_keyboard(&mut self, ctx: &Context) {
        self.keyboard.take(ctx);
    }

    /// What the person types goes where it went before.
    pub fn give_keyboard_back(&mut self) {
        self.keyboard.give_back();
    }

    fn aside(&mut self, ctx: &Context, edge: Edge) {
        self.edge = edge;
        self.place.position = place(screen(ctx), self.place.size.y, self.edge).position;
        ctx.send_viewport_cmd_to(Self::id(), ViewportCommand::OuterPosition(self.place.position));
    }

    /// Keeps the window alive: once in every frame of the main window.
    pub fn show(&self, ctx: &Context) {
        if self.life == Life::WhileSeen && !self.visible {
            return;
        }
        let (shown, theme, wishes) = (self.shown.clone(), self.theme, self.wishes.clone());
        ctx.show_viewport_deferred(Self::id(), self.builder(), move |ui, _| {
            let data = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let Some(data) = data else { return };
            let mut asked = popup::ui(ui, &theme, &data);
            // Escape ends writing first; Tab from a field to a button keeps the keyboard.
            let left = asked.contains(&Command::GiveKeyboardBack);
            if ui.memory(|memory| memory.focused()).is_some() {
                asked.retain(|wish| *wish != Command::GiveKeyboardBack);
            }
            let escape = |input: &egui::InputState| input.key_pressed(Key::Escape) && !left;
            if ui.input(|input| escape(input) || input.viewport().close_requested()) {
                asked.push(Command::Close(data.call));
            }
            if !asked.is_empty() {
                for wish in asked {
                    let _ = wishes.try_send(wish);
                }
                ui.ctx().request_repaint_of(ViewportId::ROOT);
            }
        });
    }

    fn builder(&self) -> ViewportBuilder {
        ViewportBuilder::default()
            .with_title(TITLE)
            .with_inner_size(self.place.size)
            .with_position(self.place.position)
            .with_visible(self.visible)
            .with_decorations(false)
            .with_resizable(false)
            .with_taskbar(false)
            .with_always_on_top()
            // Windows honours this one; X11 needs the next: without it the window manager gives the
            // pop-up the keyboard (seen under openbox).
            .with_active(false)
            .with_override_redirect(true)
    }
}

/// The size of the screen that the main window is on.
fn screen(ctx: &Context) -> Vec2 {
    let known = ctx.input(|input| input.viewport().monitor_size);
    known.filter(|size| size.x > 1.0 && size.y > 1.0).unwrap_or(FALLBACK_SCREEN)
}

fn place(screen: Vec2, height: f32, edge: Edge) -> Place {
    let width = CARD_WIDTH.min(screen.x);
    let small = HEAD_AND_FOOT.min(screen.y - 2.0 * MARGIN);
    let size = Vec2::new(width, height.min((screen.y * MOST_OF_SCREEN).max(small)).ceil());
    let x = match edge {
        Edge::Left => MARGIN.min(screen.x - width),
        Edge::Right => (screen.x - width - MARGIN).max(0.0),
    };
    Place { position: Pos2::new(x, MARGIN), size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_popup_stands_at_the_top_right_and_leaves_a_fifth_of_the_screen() {
        let found = place(Vec2::new(1920.0, 1080.0), 2000.0, Edge::Right);
        assert_eq!(found.position, Pos2::new(1920.0 - CARD_WIDTH - MARGIN, MARGIN));
        assert_eq!(found.size, Vec2::new(CARD_WIDTH, 864.0));
        let aside = place(Vec2::new(1920.0, 1080.0), 2000.0, Edge::Left);
        assert_eq!(aside, Place { position: Pos2::new(MARGIN, MARGIN), size: found.size });
    }

    #[test]
    fn on_a_small_screen_the_buttons_stay_in_sight() {
        for (screen, expected) in [(1080.0, 864.0), (540.0, 480.0), (500.0, 468.0), (384.0, 352.0)] {
            let found = place(Vec2::new(640.0, screen), 2000.0, Edge::Right);
            assert_eq!(found.size.y, expected, "on {screen}");
            assert!(found.position.y + found.size.y <= screen);
        }
    }

    #[test]
    fn a_screen_narrower_than_the_card_still_shows_its_beginning() {
        for edge in [Edge::Left, Edge::Right] {
            let found = place(Vec2::new(320.0, 480.0), 100.0, edge);
            assert_eq!(found.position.x, 0.0);
            assert_eq!(found.size.x, 320.0);
        }
    }
}
