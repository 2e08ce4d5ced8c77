//! The pop-up as a window: its place, its size, and the quirks of each desktop. It must never take the
//! keyboard from whatever the agent types into. The window is made once and hidden: a hidden or
//! minimised main window could not make a new one (eframe 0.37 runs only `logic` then).

mod grip;
pub mod keyboard;
mod screens;
#[cfg(target_os = "linux")]
mod x11;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use egui::{Context, Key, Pos2, UserAttentionType, ViewportBuilder, ViewportCommand, ViewportId};
use pinkas_protocol::CallId;
use tokio::sync::mpsc;

use crate::command::Command;
use crate::icon::icon;
use crate::place::{Monitor, Place, Places, Stand, place};
use crate::settings::Edge;
use crate::theme::Theme;
use crate::views::popup::{self, PopupData};
use grip::Grip;
use keyboard::Keyboard;
pub use screens::Screens;
use screens::Seen;

/// Where the pop-up stands when it was taken out of the person's hand: equal to no place.
const UNKNOWN: Pos2 = Pos2::new(f32::NAN, f32::NAN);

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
    /// Where the person wants it.
    edge: Edge,
    places: Places,
    screens: Screens,
    /// Where it stands.
    place: Place,
    /// The same in points of its own monitor, as egui wants it.
    at: Pos2,
    /// The key of the monitor it is on.
    monitor: String,
    grip: Arc<Mutex<Grip>>,
    /// In the note of this call's card the person wants to write at once.
    writes: Arc<Mutex<Option<CallId>>>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Whether a pop-up can be promised to stand above everything else here.
pub fn stands_on_top() -> bool {
    life() == Life::Always
}

/// The main window comes to the front, as far as the desktop lets it.
pub fn raise(ctx: &Context) {
    for command in [ViewportCommand::Visible(true), ViewportCommand::Minimized(false), ViewportCommand::Focus]
    {
        ctx.send_viewport_cmd_to(ViewportId::ROOT, command);
    }
    if !stands_on_top() {
        // Quirk(Wayland): no window takes the front by itself; the compositor may say that it wants to.
        flash(ctx);
    }
}

fn life() -> Life {
    let x11 = std::env::var_os("DISPLAY").is_some_and(|display| !display.is_empty());
    if cfg!(target_os = "linux") && !x11 { Life::WhileSeen } else { Life::Always }
}

impl PopupWindow {
    /// A hidden pop-up; what is asked for in it comes out of the receiver of `wishes`.
    pub fn new(
        theme: Theme,
        (edge, places): (Edge, Places),
        screens: Screens,
        wishes: mpsc::Sender<Command>,
    ) -> Self {
        let place = place(&Seen::nothing().monitors[0], 200.0, edge, None);
        let life = life();
        PopupWindow {
            theme,
            shown: Arc::new(Mutex::new(None)),
            wishes,
            visible: false,
            edge,
            places,
            screens,
            place,
            at: place.position,
            monitor: String::new(),
            grip: Arc::new(Mutex::new(Grip::new(life))),
            writes: Arc::default(),
            life,
            keyboard: Keyboard::new(Self::id(), TITLE),
        }
    }

    /// What the window shows.
    pub fn id() -> ViewportId {
        ViewportId::from_hash_of("call card")
    }

    /// Shows this card, or nothing; works also while the main window is hidden. Says whether a call has begun to ring.
    pub fn set(&mut self, ctx: &Context, data: Option<PopupData>) -> Bell {
        let stamped = data.map(|data| PopupData { stand: self.place.stand, ..data });
        let shown = lock(&self.shown);
        if *shown == stamped {
            return if stamped.is_some_and(|data| data.rings) { Bell::RingsOn } else { Bell::Silent };
        }
        let mut data = stamped;
        let height = data.as_ref().map(popup::height);
        let bell = match &data {
            Some(data) if data.rings && shown.as_ref().is_none_or(|old| old.call != data.call) => {
                Bell::Begins
            }
            Some(data) if data.rings => Bell::RingsOn,
            _ => Bell::Silent,
        };
        let other = shown.as_ref().map(|data| data.call) != data.as_ref().map(|data| data.call);
        drop(shown);
        if other {
            self.keyboard.give_back();
            // Another call's card goes to where cards belong now.
            self.monitor.clear();
        }
        match height {
            Some(height) => self.stand(ctx, height),
            None if lock(&self.grip).let_go() => self.place.position = UNKNOWN,
            None => {}
        }
        if let Some(data) = &mut data {
            data.stand = self.place.stand;
        }
        *lock(&self.shown) = data;
        let visible = height.is_some();
        let say = |command| ctx.send_viewport_cmd_to(Self::id(), command);
        if visible != self.visible {
            say(ViewportCommand::Visible(visible));
            self.visible = visible;
        }
        ctx.request_repaint_of(Self::id());
        bell
    }

    /// Where the person wants it on each monitor.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Shows the window in these colours.
    pub fn set_look(&mut self, ctx: &Context, theme: Theme) {
        self.theme = theme;
        ctx.request_repaint_of(Self::id());
    }

    /// Puts the window at this edge of the screen, wherever it was put before.
    pub fn set_edge(&mut self, ctx: &Context, edge: Edge) {
        (self.edge, self.places) = (edge, Places::default());
        self.move_there(ctx);
    }

    /// The person let go of it here, in pixels of the whole desktop.
    pub fn put(&mut self, ctx: &Context, corner: Pos2) {
        let seen = self.screens.now(ctx);
        let size = self.place.size * self.scale(ctx);
        self.places.put(&seen.monitors, seen.main.as_deref(), corner, size);
        // It goes where it was let go of, but whole.
        self.monitor.clear();
        self.place.position = corner;
        self.move_there(ctx);
    }

    /// Whether the person put it where it stands.
    pub fn stands(&self) -> Stand {
        self.place.stand
    }

    /// Back to the edge of the monitor it is on.
    pub fn back_to_edge(&mut self, ctx: &Context) {
        let seen = self.screens.now(ctx);
        if let Some(monitor) = self.monitor(&seen) {
            self.places.forget(monitor);
        }
        self.move_there(ctx);
    }

    /// The monitor for it: while a call's card is seen it goes to no other by itself.
    fn monitor<'a>(&self, seen: &'a Seen) -> Option<&'a Monitor> {
        let here = || seen.monitors.iter().find(|monitor| monitor.key() == self.monitor);
        let here = if self.visible { here() } else { None };
        here.or_else(|| self.places.monitor(&seen.monitors, seen.main.as_deref()))
    }

    /// How many pixels a point of the pop-up has.
    fn scale(&self, ctx: &Context) -> f32 {
        let own = ctx.input_for(Self::id(), |input| {
            input.viewport().native_pixels_per_point.map(|_| input.pixels_per_point)
        });
        own.unwrap_or_else(|| ctx.pixels_per_point())
    }

    /// A choice of the person changed where it belongs.
    fn move_there(&mut self, ctx: &Context) {
        let height = lock(&self.shown).as_ref().map(popup::height);
        if let Some(height) = height {
            self.stand(ctx, height);
            if let Some(data) = lock(&self.shown).as_mut() {
                data.stand = self.place.stand;
            }
        }
        ctx.request_repaint_of(Self::id());
    }

    /// Gives a card of this height its size and place; the place only while nobody moves it.
    fn stand(&mut self, ctx: &Context, height: f32) {
        let seen = self.screens.now(ctx);
        let Some(monitor) = self.monitor(&seen) else { return };
        let mut new = place(monitor, height, self.edge, self.places.on(monitor));
        let key = monitor.key();
        let say = |command| ctx.send_viewport_cmd_to(Self::id(), command);
        if new.size != self.place.size {
            say(ViewportCommand::InnerSize(new.size));
        }
        self.monitor = key;
        if lock(&self.grip).is_held() {
            new = Place { size: new.size, ..self.place };
        } else if new.position != self.place.position {
            self.at = (new.position.to_vec2() / self.scale(ctx)).to_pos2();
            say(ViewportCommand::OuterPosition(self.at));
        }
        self.place = new;
    }

    /// What the person types goes to the pop-up, in which a field was clicked.
    pub fn take_keyboard(&mut self, ctx: &Context) {
        self.keyboard.take(ctx);
    }

    /// What the person types goes to the note of the card that is seen, where it has one.
    pub fn write_note(&mut self, ctx: &Context) {
        let call = lock(&self.shown).as_ref().filter(|data| data.writing.is_some()).map(|data| data.call);
        if let Some(call) = call {
            *lock(&self.writes) = Some(call);
            self.keyboard.take(ctx);
            ctx.request_repaint_of(Self::id());
        }
    }

    /// What the person types goes where it went before.
    pub fn give_keyboard_back(&mut self) {
        self.keyboard.give_back();
    }

    /// Keeps the window alive: once in every frame of the main window.
    pub fn show(&self, ctx: &Context) {
        if self.life == Life::WhileSeen && !self.visible {
            return;
        }
        let (shown, theme, wishes) = (self.shown.clone(), self.theme, self.wishes.clone());
        let (grip, writes) = (self.grip.clone(), self.writes.clone());
        ctx.show_viewport_deferred(Self::id(), self.builder(), move |ui, _| {
            let data = lock(&shown).clone();
            let Some(data) = data else { return };
            if lock(&writes).take() == Some(data.call) {
                ui.memory_mut(|memory| memory.request_focus(popup::note_id(data.call)));
            }
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
            let pulled = |wish| match wish {
                Command::Pull(pull) => lock(&grip).pull(ui, pull),
                other => Some(other),
            };
            let asked: Vec<Command> = asked.into_iter().filter_map(pulled).collect();
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
            .with_position(self.at)
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

/// Held only to copy, or for one question to the X server.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
