//! What the desktop shows of this program besides its windows: a notification of the call that rings, a sign in the
//! tray, keys that are heard everywhere. Each is started only when somebody wants it; where it cannot be had, that is said in the log and all else
//! goes on.

use crate::command::Command;
use crate::net::Wake;
use crate::notice::Notice;
use crate::shortcuts::Shortcuts;
use crate::tray::Sign;
use crate::views::settings::Offered;

/// Whether this system has notifications and a tray that this program knows how to use.
pub const SESSION: Offered = if cfg!(target_os = "linux") { Offered::Yes } else { Offered::No };

#[cfg(target_os = "linux")]
pub use session::Outside;

#[cfg(target_os = "linux")]
mod session {
    use tokio::sync::mpsc;

    use super::{Command, Notice, Shortcuts, Sign, Wake};
    use crate::notice::bus::Notifier;
    use crate::shortcuts::grab;
    use crate::tray::bus::Tray;
    use crate::window;

    /// What was started.
    pub struct Outside {
        wake: Wake,
        notifier: Start<Notifier>,
        tray: Start<Tray>,
        /// What the keys ask for, where there are any.
        keys: Option<mpsc::Receiver<Command>>,
    }

    /// Something that is started when it is first wanted.
    enum Start<T> {
        NotYet,
        Runs(T),
        Failed,
    }

    impl<T> Start<T> {
        /// It, where it runs; started with `with` where it is wanted and was not yet.
        fn when(&mut self, wanted: bool, with: impl FnOnce() -> std::io::Result<T>) -> Option<&mut T> {
            if wanted && matches!(self, Start::NotYet) {
                *self = match with() {
                    Ok(started) => Start::Runs(started),
                    Err(error) => {
                        tracing::warn!("neither a notification nor a sign in the tray can be shown: {error}");
                        Start::Failed
                    }
                };
            }
            match self {
                Start::Runs(it) => Some(it),
                Start::NotYet | Start::Failed => None,
            }
        }
    }

    impl Outside {
        /// Only the keys are listened for, where there are any.
        pub fn new(wake: Wake, shortcuts: &Shortcuts) -> Self {
            let keys = keys(shortcuts, &wake);
            Outside { wake, notifier: Start::NotYet, tray: Start::NotYet, keys }
        }

        /// Shows this notification, or none.
        pub fn notify(&mut self, notice: Option<Notice>) {
            let wake = &self.wake;
            if let Some(notifier) = self.notifier.when(notice.is_some(), || Notifier::start(wake.clone())) {
                notifier.show(notice);
            }
        }

        /// Shows this sign in the tray, or none.
        pub fn sign(&mut self, sign: Option<Sign>) {
            let wake = &self.wake;
            if let Some(tray) = self.tray.when(sign.is_some(), || Tray::start(wake.clone())) {
                tray.show(sign);
            }
        }

        /// Whether a tray shows it.
        pub fn has_sign(&self) -> bool {
            matches!(&self.tray, Start::Runs(tray) if tray.is_seen())
        }

        /// What the person asked for there, if anything.
        pub fn said(&mut self) -> Option<Command> {
            let clicked = match &mut self.notifier {
                Start::Runs(notifier) => notifier.said.try_recv().ok().map(|_clicked| Command::Raise),
                Start::NotYet | Start::Failed => None,
            };
            let chosen = || match &mut self.tray {
                Start::Runs(tray) => tray.said.try_recv().ok(),
                Start::NotYet | Start::Failed => None,
            };
            clicked.or_else(chosen).or_else(|| self.keys.as_mut()?.try_recv().ok())
        }
    }

    fn keys(shortcuts: &Shortcuts, wake: &Wake) -> Option<mpsc::Receiver<Command>> {
        shortcuts.all().next()?;
        if !window::stands_on_top() {
            tracing::warn!(
                "`shortcuts`: a desktop with Wayland alone lets no program hear keys that are not its own"
            );
            return None;
        }
        if std::env::var_os("WAYLAND_DISPLAY").is_some() {
            tracing::info!(
                "`shortcuts`: on a desktop with Wayland they are heard only while a program for X has the keyboard"
            );
        }
        match grab::start(shortcuts, wake.clone()) {
            Ok(said) => Some(said),
            Err(error) => {
                tracing::warn!("no global shortcut can be listened for: {error}");
                None
            }
        }
    }
}

/// Nothing of this is known here.
#[cfg(not(target_os = "linux"))]
pub struct Outside;

#[cfg(not(target_os = "linux"))]
impl Outside {
    /// Nothing is started.
    pub fn new(_: Wake, shortcuts: &Shortcuts) -> Self {
        if shortcuts.all().next().is_some() {
            tracing::warn!("`shortcuts`: there are none on this system yet");
        }
        Outside
    }

    /// Shows nothing.
    pub fn notify(&mut self, _: Option<Notice>) {}

    /// Shows nothing.
    pub fn sign(&mut self, _: Option<Sign>) {}

    /// There is none.
    pub fn has_sign(&self) -> bool {
        false
    }

    /// Nothing can be asked for.
    pub fn said(&mut self) -> Option<Command> {
        None
    }
}
