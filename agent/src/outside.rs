//! What the desktop shows of this program besides its windows: a notification of the call that rings. Started only
//! when somebody wants it; where it cannot be had, that is said in the log and all else goes on.

use crate::command::Command;
use crate::net::Wake;
use crate::notice::Notice;
use crate::views::settings::Offered;

#[cfg(target_os = "linux")]
use crate::notice::bus::Notifier;

/// Whether this system has notifications that this program knows how to show.
pub const NOTIFICATIONS: Offered = if cfg!(target_os = "linux") { Offered::Yes } else { Offered::No };

/// What was started.
pub struct Outside {
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nothing is started there"))]
    wake: Wake,
    #[cfg(target_os = "linux")]
    notifier: Start<Notifier>,
}

/// Something that is started when it is first wanted.
#[cfg(target_os = "linux")]
enum Start<T> {
    NotYet,
    Runs(T),
    Failed,
}

impl Outside {
    /// Nothing is started yet.
    pub fn new(wake: Wake) -> Self {
        Outside {
            wake,
            #[cfg(target_os = "linux")]
            notifier: Start::NotYet,
        }
    }

    /// Shows this notification, or none.
    #[cfg(target_os = "linux")]
    pub fn notify(&mut self, notice: Option<Notice>) {
        if matches!(self.notifier, Start::NotYet) && notice.is_some() {
            self.notifier = match Notifier::start(self.wake.clone()) {
                Ok(notifier) => Start::Runs(notifier),
                Err(error) => {
                    tracing::warn!("no notification of calls can be shown: {error}");
                    Start::Failed
                }
            };
        }
        if let Start::Runs(notifier) = &self.notifier {
            notifier.show(notice);
        }
    }

    /// Shows this notification, or none.
    #[cfg(not(target_os = "linux"))]
    pub fn notify(&mut self, _: Option<Notice>) {}

    /// What the person asked for there, if anything.
    #[cfg(target_os = "linux")]
    pub fn said(&mut self) -> Option<Command> {
        let Start::Runs(notifier) = &mut self.notifier else { return None };
        notifier.said.try_recv().ok().map(|_clicked| Command::Raise)
    }

    /// What the person asked for there, if anything.
    #[cfg(not(target_os = "linux"))]
    pub fn said(&mut self) -> Option<Command> {
        None
    }
}
