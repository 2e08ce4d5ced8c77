//! What the desktop shows of this program besides its windows: a notification of the call that rings, a sign in the
//! tray. Each is started only when somebody wants it; where it cannot be had, that is said in the log and all else
//! goes on.

use crate::command::Command;
use crate::net::Wake;
use crate::notice::Notice;
use crate::tray::Sign;
use crate::views::settings::Offered;

/// Whether this system has notifications and a tray that this program knows how to use.
pub const SESSION: Offered = if cfg!(target_os = "linux") { Offered::Yes } else { Offered::No };

#[cfg(target_os = "linux")]
pub use session::Outside;

#[cfg(target_os = "linux")]
mod session {
    use super::{Command, Notice, Sign, Wake};
    use crate::notice::bus::Notifier;
    use crate::tray::bus::Tray;

    /// What was started.
    pub struct Outside {
        wake: Wake,
        notifier: Start<Notifier>,
        tray: Start<Tray>,
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
        /// Nothing is started yet.
        pub fn new(wake: Wake) -> Self {
            Outside { wake, notifier: Start::NotYet, tray: Start::NotYet }
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
            clicked.or_else(|| match &mut self.tray {
                Start::Runs(tray) => tray.said.try_recv().ok(),
                Start::NotYet | Start::Failed => None,
            })
        }
    }
}

/// Nothing of this is known here.
#[cfg(not(target_os = "linux"))]
pub struct Outside;

#[cfg(not(target_os = "linux"))]
impl Outside {
    /// Nothing is started.
    pub fn new(_: Wake) -> Self {
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
