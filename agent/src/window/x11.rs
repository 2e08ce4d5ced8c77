//! The X server asked by ourselves: who has the keyboard, which window is ours, where the pointer is. Only for what
//! winit does not tell or do; nothing here waits for anything but the server's answer.

use x11rb::connection::Connection;
use x11rb::errors::{ConnectError, ConnectionError, ReplyError};
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt, InputFocus, Window};
use x11rb::rust_connection::RustConnection;

/// The longest title that is compared, in units of four bytes.
const TITLE: u32 = 64;

/// What can go wrong with the X server.
#[derive(Debug)]
pub enum Error {
    /// It lets no further connection in.
    Connect(ConnectError),
    /// It refused something, or is gone.
    Reply(ReplyError),
    /// Our window is not on the screen.
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
    /// Connects to the screen that `DISPLAY` names.
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

    /// Where the pointer is on the whole desktop, in pixels.
    pub fn pointer(&self) -> Result<(i16, i16), Error> {
        let reply = self.connection.query_pointer(self.root)?.reply()?;
        Ok((reply.root_x, reply.root_y))
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
