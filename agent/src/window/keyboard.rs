//! Gets the keyboard for the pop-up while the person writes in it, and gives it back to the window that had
//! it. Nobody else may: the pop-up must never take the keyboard by itself. Errors are said once in the log;
//! all else goes on without.

use egui::{Context, ViewportCommand, ViewportId};

#[cfg(target_os = "linux")]
use super::x11;

/// The keyboard, as the pop-up asks for it.
#[derive(Debug)]
pub struct Keyboard {
    window: ViewportId,
    /// By this our window is found among those of the screen.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "elsewhere egui finds it"))]
    title: &'static str,
    taken: Option<Before>,
    way: Way,
    /// An error was told; the next says nothing new.
    #[cfg(target_os = "linux")]
    told: bool,
}

/// How the keyboard is asked for.
#[derive(Debug)]
enum Way {
    /// Nobody wrote yet.
    Unknown,
    /// From the X server itself.
    #[cfg(target_os = "linux")]
    X11(Box<x11::Screen>),
    /// From the desktop, by egui.
    Desktop,
}

/// Who had the keyboard, where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    #[cfg(target_os = "linux")]
    Window(x11::Focus),
    Unknown,
}

impl Keyboard {
    /// For the window of this viewport with this title; nothing is asked yet.
    pub fn new(window: ViewportId, title: &'static str) -> Self {
        Keyboard {
            window,
            title,
            taken: None,
            way: Way::Unknown,
            #[cfg(target_os = "linux")]
            told: false,
        }
    }

    /// Whether it was taken and not given back; the person may have gone elsewhere since.
    pub fn is_taken(&self) -> bool {
        self.taken.is_some()
    }

    /// What the person types goes to our window from now on. To be called when a field in it was clicked;
    /// may be called again at every click.
    pub fn take(&mut self, ctx: &Context) {
        self.connect();
        match &self.way {
            #[cfg(target_os = "linux")]
            Way::X11(screen) => match screen.take(self.title) {
                Ok(Some(before)) => self.taken = Some(Before::Window(before)),
                Ok(None) => {}
                Err(error) => {
                    self.warn("not taken for the pop-up", &error);
                    self.ask_the_desktop(ctx);
                }
            },
            Way::Desktop | Way::Unknown => self.ask_the_desktop(ctx),
        }
    }

    /// The window that had the keyboard has it again, unless the person went elsewhere meanwhile. To be
    /// called when nothing is written any more, or the pop-up goes; does nothing when nothing was taken.
    pub fn give_back(&mut self) {
        match (self.taken.take(), &self.way) {
            #[cfg(target_os = "linux")]
            (Some(Before::Window(before)), Way::X11(screen)) => {
                if let Err(error) = screen.give_back(self.title, before) {
                    self.warn("not given back", &error);
                }
            }
            // Where the desktop gave it, the desktop passes it on when the pop-up is hidden.
            _ => {}
        }
    }

    /// Quirk(Wayland, Windows, macOS): the desktop decides who has the keyboard, and lets a window that was
    /// clicked have it.
    fn ask_the_desktop(&mut self, ctx: &Context) {
        self.taken = Some(Before::Unknown);
        ctx.send_viewport_cmd_to(self.window, ViewportCommand::Focus);
    }

    #[cfg(not(target_os = "linux"))]
    fn connect(&mut self) {
        self.way = Way::Desktop;
    }

    /// Quirk(X11): winit asks the window manager for the keyboard, and that does not manage the pop-up (see
    /// `override_redirect` in `window`). Hence a connection of our own.
    #[cfg(target_os = "linux")]
    fn connect(&mut self) {
        if !matches!(self.way, Way::Unknown) {
            return;
        }
        self.way = if super::life() == super::Life::WhileSeen {
            Way::Desktop
        } else {
            match x11::Screen::open() {
                Ok(screen) => Way::X11(Box::new(screen)),
                Err(error) => {
                    tracing::warn!("writing in the pop-up may need a click in another window: {error}");
                    Way::Desktop
                }
            }
        };
    }

    #[cfg(target_os = "linux")]
    fn warn(&mut self, what: &str, error: &x11::Error) {
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!("the keyboard was {what}: {error}");
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_keyboard_is_not_taken_from_a_window_the_person_went_to_meanwhile() {
        let (ours, root, theirs) = (0x60_0001, 0x1e7, 0x80_0004);
        assert!(x11::is_ours_to_give(ours, Some(ours), root));
        // Our window was hidden, and the keyboard fell to nobody.
        for nobody in [0, 1, root] {
            assert!(x11::is_ours_to_give(nobody, None, root));
        }
        assert!(!x11::is_ours_to_give(theirs, Some(ours), root));
        assert!(!x11::is_ours_to_give(theirs, None, root));
    }

    #[test]
    fn what_was_never_taken_is_not_given_back() {
        let mut keyboard = Keyboard::new(ViewportId::ROOT, "no window has this title");
        keyboard.give_back();
        assert!(!keyboard.is_taken());
    }
}
