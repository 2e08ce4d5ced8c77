//! The pop-up in the person's hand: it goes where the pointer goes while its head is held. No window manager does
//! that for a window without a frame that is not theirs to place. Only where a window may choose its place.

use egui::{Pos2, Ui, Vec2, ViewportCommand};

use super::Life;
use crate::command::{Command, Pull};

/// What is shared by the window's own frames, which move it, and the main window's, which must not meanwhile.
#[derive(Debug)]
pub struct Grip {
    life: Life,
    held: Option<Held>,
    #[cfg(target_os = "linux")]
    screen: Option<super::x11::Screen>,
}

/// In pixels.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// From the window's corner to where it is held.
    by: Vec2,
    /// Where the window's corner was brought to.
    to: Option<Pos2>,
}

impl Grip {
    /// Not held.
    pub fn new(life: Life) -> Self {
        Grip {
            life,
            held: None,
            #[cfg(target_os = "linux")]
            screen: None,
        }
    }

    /// Whether the person holds it.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Nobody holds a window that is not seen. Whether somebody did.
    pub fn let_go(&mut self) -> bool {
        self.held.take().is_some()
    }

    /// Moves the window whose frame this is. Says in the end where it was put.
    pub fn pull(&mut self, ui: &Ui, pull: Pull) -> Option<Command> {
        if self.life == Life::WhileSeen {
            // Quirk(Wayland): the compositor moves it, and tells nobody where to.
            if matches!(pull, Pull::Begins { .. }) {
                ui.ctx().send_viewport_cmd(ViewportCommand::StartDrag);
            }
            return None;
        }
        let scale = ui.pixels_per_point();
        match pull {
            Pull::Begins { x, y } => {
                self.begin();
                self.held = Some(Held { by: Vec2::new(x as f32, y as f32) / 10.0 * scale, to: None });
                None
            }
            Pull::Goes => {
                let pointer = self.pointer(ui)?;
                let held = self.held.as_mut()?;
                let to = (pointer - held.by).round();
                if held.to.is_some_and(|before| before != to) || held.to.is_none() && moved(ui) {
                    held.to = Some(to);
                    ui.ctx().send_viewport_cmd(ViewportCommand::OuterPosition(to / scale));
                }
                None
            }
            // A click that moved nothing puts it nowhere.
            Pull::Ends => {
                let to = self.held.take()?.to?;
                Some(Command::Put { x: to.x as i32, y: to.y as i32 })
            }
        }
    }

    /// Quirk(X11): where the pointer is in the window is told of the place the window had then. Hence the server is
    /// asked where the pointer is on the desktop.
    #[cfg(target_os = "linux")]
    fn begin(&mut self) {
        if self.screen.is_none() {
            match super::x11::Screen::open() {
                Ok(screen) => self.screen = Some(screen),
                Err(error) => tracing::warn!("the pop-up may follow the pointer badly: {error}"),
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn begin(&mut self) {}

    /// Where the pointer is on the desktop, in pixels.
    fn pointer(&mut self, ui: &Ui) -> Option<Pos2> {
        #[cfg(target_os = "linux")]
        if let Some(screen) = &self.screen {
            match screen.pointer() {
                Ok((x, y)) => return Some(Pos2::new(f32::from(x), f32::from(y))),
                Err(_) => self.screen = None,
            }
        }
        let (corner, pointer) =
            ui.input(|input| (input.viewport().outer_rect.map(|rect| rect.min), input.pointer.latest_pos()));
        Some((corner?.to_vec2() + pointer?.to_vec2()).to_pos2() * ui.pixels_per_point())
    }
}

/// Whether the pointer left the place where it was pressed: a hand that only clicks shakes.
fn moved(ui: &Ui) -> bool {
    const SHAKES: f32 = 3.0;
    ui.input(|input| {
        let pointer = &input.pointer;
        pointer.press_origin().zip(pointer.latest_pos()).is_some_and(|(from, to)| from.distance(to) > SHAKES)
    })
}
