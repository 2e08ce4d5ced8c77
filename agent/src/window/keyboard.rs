//! Gets the keyboard for the pop-up while the person writes in it, and gives it back to the window that had
//! it. Nobody else may: the pop-up must never take the keyboard by itself. Errors are said once in the log;
//! all else goes on without.

use egui::{Context, ViewportCommand, ViewportId};

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

#[cfg(target_os = "linux")]
mod x11 {
    //! The X server's side: who has the keyboard, and which window is ours.

    use x11rb::connection::Connection;
    use x11rb::errors::{ConnectError, ConnectionError, ReplyError};
    use x11rb::protocol::xproto::{AtomEnum, ConnectionExt, InputFocus, Window};
    use x11rb::rust_connection::RustConnection;

    /// The longest title that is compared, in units of four bytes.
    const TITLE: u32 = 64;

    /// What can go wrong with the X server.
    #[derive(Debug)]
    pub enum Error {
        Connect(ConnectError),
        Reply(ReplyError),
        NoWindow,
    }

    impl std::fmt::Display for Error {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match self {
                Error::Connect(error) => write!(f, "the X server lets no second connection in: {error}"),
                Error::Reply(error) => write!(f, "the X server refused: {error}"),
                Error::NoWindow => f.write_str("our window is not on the screen"),
            }
        }
    }

    impl From<ReplyError> for Error {
        fn from(error: ReplyError) -> Self {
            Error::Reply(error)
        }
    }

    impl From<ConnectionError> for Error {
        fn from(error: ConnectionError) -> Self {
            Error::Reply(error.into())
        }
    }

    /// Who has the keyboard.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Focus {
        /// 0: nobody; 1: who is under the pointer.
        pub window: Window,
        /// Who gets it when that window goes.
        pub then: InputFocus,
    }

    /// A connection, and what is asked about again and again.
    #[derive(Debug)]
    pub struct Screen {
        connection: RustConnection,
        root: Window,
        pid: u32,
    }

    impl Screen {
        pub fn open() -> Result<Self, Error> {
            let (connection, number) = x11rb::connect(None).map_err(Error::Connect)?;
            let root = connection.setup().roots.get(number).map(|screen| screen.root);
            let root = root.ok_or(Error::NoWindow)?;
            let pid = connection.intern_atom(false, b"_NET_WM_PID")?.reply()?.atom;
            Ok(Screen { connection, root, pid })
        }

        /// Who had the keyboard until now; nothing, when we did.
        pub fn take(&self, title: &str) -> Result<Option<Focus>, Error> {
            let ours = self.ours(title)?.ok_or(Error::NoWindow)?;
            let before = self.focus()?;
            if before.window == ours {
                return Ok(None);
            }
            // When the pop-up is hidden, the window manager or the pointer decides.
            self.set(Focus { window: ours, then: InputFocus::POINTER_ROOT })?;
            Ok(Some(before))
        }

        /// Gives the keyboard to `before`, where it is ours or nobody's.
        pub fn give_back(&self, title: &str, before: Focus) -> Result<(), Error> {
            let now = self.focus()?;
            if !is_ours_to_give(now.window, self.ours(title)?, self.root) {
                return Ok(());
            }
            match self.set(before) {
                // It is gone or hidden meanwhile.
                Err(Error::Reply(ReplyError::X11Error(_))) => {
                    self.set(Focus { window: POINTER, then: InputFocus::POINTER_ROOT })
                }
                done => done,
            }
        }

        fn focus(&self) -> Result<Focus, Error> {
            let reply = self.connection.get_input_focus()?.reply()?;
            Ok(Focus { window: reply.focus, then: reply.revert_to })
        }

        fn set(&self, focus: Focus) -> Result<(), Error> {
            let now = x11rb::CURRENT_TIME;
            Ok(self.connection.set_input_focus(focus.then, focus.window, now)?.check()?)
        }

        /// Our window with this title: the window manager leaves it a child of the root.
        fn ours(&self, title: &str) -> Result<Option<Window>, Error> {
            let children = self.connection.query_tree(self.root)?.reply()?.children;
            for window in children {
                // A window may go while it is asked.
                let asked = |property: u32, kind: AtomEnum, length: u32| {
                    let cookie = self.connection.get_property(false, window, property, kind, 0, length);
                    Ok::<_, ConnectionError>(cookie?.reply().ok())
                };
                let pid = asked(self.pid, AtomEnum::CARDINAL, 1)?;
                if pid.and_then(|pid| pid.value32()?.next()) != Some(std::process::id()) {
                    continue;
                }
                let name = asked(AtomEnum::WM_NAME.into(), AtomEnum::ANY, TITLE)?;
                if name.is_some_and(|name| name.value == title.as_bytes()) {
                    return Ok(Some(window));
                }
            }
            Ok(None)
        }
    }

    /// No window, but who is under the pointer.
    const POINTER: Window = 1;

    /// Whether nobody else got the keyboard since it was taken: hidden windows lose it to nobody.
    pub fn is_ours_to_give(now: Window, ours: Option<Window>, root: Window) -> bool {
        now <= POINTER || now == root || Some(now) == ours
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
