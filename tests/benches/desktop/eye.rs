//! What can be seen on the X screen, and when: the server tells of each drawing into a window (DAMAGE), and the
//! place of the caller's name is then looked at, so that neither an empty window nor an old picture counts.

use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::damage::{ConnectionExt as _, ReportLevel};
use x11rb::protocol::xproto::{
    AtomEnum, ChangeWindowAttributesAux, ConnectionExt as _, CreateWindowAux, EventMask, ImageFormat, Window,
    WindowClass,
};
use x11rb::rust_connection::RustConnection;

/// Where the name of the caller stands in the pop-up: left, top, width, height in pixels.
const NAME: (i16, i16, u16, u16) = (16, 52, 200, 32);

/// Between two looks for news from the server.
const LOOKS_EVERY: Duration = Duration::from_micros(200);

/// A connection to the screen.
pub struct Eye {
    connection: RustConnection,
    root: Window,
}

/// What happened to a window that is watched.
pub enum Seen {
    /// Something was drawn into it.
    Drawn(Window),
    /// It is not on the screen any more.
    Hidden(Window),
}

impl Eye {
    /// Connects to a display such as `:99`.
    pub fn open(display: &str) -> anyhow::Result<Eye> {
        let (connection, screen) = x11rb::connect(Some(display))?;
        let root = connection.setup().roots.get(screen).context("no screen")?.root;
        connection.damage_query_version(1, 1)?.reply().context("the X server tells no damage")?;
        Ok(Eye { connection, root })
    }

    /// The window with this title, wherever a window manager has put it.
    pub fn find(&self, title: &[u8]) -> anyhow::Result<Option<Window>> {
        let mut left = vec![self.root];
        while let Some(window) = left.pop() {
            // A window may go while it is asked.
            let name =
                self.connection.get_property(false, window, AtomEnum::WM_NAME, AtomEnum::ANY, 0, 64)?;
            if name.reply().is_ok_and(|name| name.value == title) {
                return Ok(Some(window));
            }
            if let Ok(tree) = self.connection.query_tree(window)?.reply() {
                left.extend(tree.children);
            }
        }
        Ok(None)
    }

    /// From now on tells of this window.
    pub fn watch(&self, window: Window) -> anyhow::Result<()> {
        let id = self.connection.generate_id()?;
        self.connection.damage_create(id, window, ReportLevel::RAW_RECTANGLES)?.check()?;
        let mask = ChangeWindowAttributesAux::new().event_mask(EventMask::STRUCTURE_NOTIFY);
        Ok(self.connection.change_window_attributes(window, &mask)?.check()?)
    }

    /// The next thing that happens to what is watched; `None` when nothing does until then.
    pub fn next(&self, until: Instant) -> anyhow::Result<Option<Seen>> {
        loop {
            while let Some(event) = self.connection.poll_for_event()? {
                match event {
                    Event::DamageNotify(drawn) => return Ok(Some(Seen::Drawn(drawn.drawable))),
                    Event::UnmapNotify(hidden) => return Ok(Some(Seen::Hidden(hidden.window))),
                    _ => {}
                }
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            std::thread::park_timeout(LOOKS_EVERY);
        }
    }

    /// The pixels of the caller's name in the pop-up; `None` while there are no letters there.
    pub fn name(&self, popup: Window) -> anyhow::Result<Option<Vec<u8>>> {
        let (x, y, width, height) = NAME;
        let asked = self.connection.get_image(ImageFormat::Z_PIXMAP, popup, x, y, width, height, !0)?;
        // A hidden window has no pixels.
        let Ok(image) = asked.reply() else { return Ok(None) };
        let is_one_colour = image.data.chunks_exact(4).all(|pixel| image.data.starts_with(pixel));
        Ok(Some(image.data).filter(|_| !is_one_colour))
    }

    /// Waits until another name than `before` can be read in the pop-up.
    pub fn other_name(
        &self,
        popup: Window,
        before: &[u8],
        until: Instant,
    ) -> anyhow::Result<Option<Vec<u8>>> {
        while let Some(seen) = self.next(until)? {
            if !matches!(seen, Seen::Drawn(window) if window == popup) {
                continue;
            }
            if let Some(name) = self.name(popup)?.filter(|name| name != before) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Waits until the window is not on the screen.
    pub fn hidden(&self, window: Window, until: Instant) -> anyhow::Result<bool> {
        while let Some(seen) = self.next(until)? {
            if matches!(seen, Seen::Hidden(hidden) if hidden == window) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets what has happened so far.
    pub fn drain(&self) -> anyhow::Result<()> {
        while self.next(Instant::now())?.is_some() {}
        Ok(())
    }

    /// A window over the whole screen, as another program's would be.
    pub fn cover(&self) -> anyhow::Result<Window> {
        let place = self.connection.get_geometry(self.root)?.reply()?;
        let id = self.connection.generate_id()?;
        let looks = CreateWindowAux::new().background_pixel(0x0040_4040);
        let (depth, class, visual) =
            (x11rb::COPY_FROM_PARENT as u8, WindowClass::INPUT_OUTPUT, x11rb::COPY_FROM_PARENT);
        let (width, height) = (place.width, place.height);
        self.connection
            .create_window(depth, id, self.root, 0, 0, width, height, 0, class, visual, &looks)?
            .check()?;
        self.connection.map_window(id)?.check()?;
        Ok(id)
    }

    /// Takes it away.
    pub fn uncover(&self, cover: Window) -> anyhow::Result<()> {
        Ok(self.connection.destroy_window(cover)?.check()?)
    }
}
