//! Tells the desktop by D-Bus (`org.freedesktop.Notifications`), in a thread of its own: a desktop that hangs holds up
//! nothing that is drawn. Only the newest is told, so nothing piles up; what fails is said in words once and tried
//! again with the next call.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use zbus::zvariant::Value;

use super::{Deed, Notice, Shown, escaped};
use crate::net::Wake;

/// The longest a desktop is waited for.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// How long a notification stays that only says why a call no longer rings, in milliseconds.
const GOES_AFTER: i32 = 5_000;
/// It stays until it is taken away.
const STAYS: i32 = 0;
/// The action that a click on the notification itself means.
const CLICK: &str = "default";

/// The person clicked the notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clicked;

/// The thread and the ways to it.
#[derive(Debug)]
pub struct Notifier {
    wanted: watch::Sender<Option<Notice>>,
    /// What the person did.
    pub said: mpsc::Receiver<Clicked>,
}

#[zbus::proxy(
    interface = "org.freedesktop.Notifications",
    default_service = "org.freedesktop.Notifications",
    default_path = "/org/freedesktop/Notifications",
    gen_blocking = false
)]
trait Notifications {
    #[expect(clippy::too_many_arguments, reason = "the specification's")]
    fn notify(
        &self,
        app_name: &str,
        replaces_id: u32,
        app_icon: &str,
        summary: &str,
        body: &str,
        actions: &[&str],
        hints: HashMap<&str, Value<'_>>,
        expire_timeout: i32,
    ) -> zbus::Result<u32>;

    fn close_notification(&self, id: u32) -> zbus::Result<()>;

    fn get_capabilities(&self) -> zbus::Result<Vec<String>>;

    #[zbus(signal)]
    fn action_invoked(&self, id: u32, action_key: &str) -> zbus::Result<()>;

    #[zbus(signal)]
    fn notification_closed(&self, id: u32, reason: u32) -> zbus::Result<()>;
}

impl Notifier {
    /// Starts the thread; the bus is asked for nothing before the first call.
    pub fn start(wake: Wake) -> std::io::Result<Notifier> {
        let (wanted, wanted_out) = watch::channel(None);
        let (say, said) = mpsc::channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let work = move || runtime.block_on(work(wanted_out, &say, &wake));
        // Not joined: it ends with the program, and the desktop takes away what a program leaves.
        std::thread::Builder::new().name("notifications".to_owned()).spawn(work)?;
        Ok(Notifier { wanted, said })
    }

    /// Shows this, or nothing.
    pub fn show(&self, notice: Option<Notice>) {
        self.wanted.send_if_modified(|wanted| {
            let other = *wanted != notice;
            if other {
                *wanted = notice;
            }
            other
        });
    }
}

async fn work(mut wanted: watch::Receiver<Option<Notice>>, say: &mpsc::Sender<Clicked>, wake: &Wake) {
    let mut told = false;
    // Ends when the program does.
    while wanted.wait_for(|notice| notice.as_ref().is_some_and(|notice| notice.rings)).await.is_ok() {
        if let Err(error) = serve(&mut wanted, say, wake).await {
            if !std::mem::replace(&mut told, true) {
                tracing::warn!("the desktop shows no notification of calls: {error}");
            }
            // Tried again when there is something new to show.
            if wanted.changed().await.is_err() {
                return;
            }
        } else {
            return;
        }
    }
}

/// Shows what is wanted until the program ends, or the desktop fails.
async fn serve(
    wanted: &mut watch::Receiver<Option<Notice>>,
    say: &mpsc::Sender<Clicked>,
    wake: &Wake,
) -> Result<(), Trouble> {
    let bus = in_time(zbus::Connection::session()).await?;
    let desktop = in_time(NotificationsProxy::new(&bus)).await?;
    let mut clicks = in_time(desktop.receive_action_invoked()).await?;
    let mut closings = in_time(desktop.receive_notification_closed()).await?;
    let skills = in_time(desktop.get_capabilities()).await?;
    let reads_markup = skills.iter().any(|skill| skill == "body-markup");
    let mut shown = Shown::default();
    loop {
        let now = wanted.borrow_and_update().clone();
        match shown.next(now.as_ref()) {
            Deed::Show(notice, replaces) => {
                let id = show(&desktop, &notice, replaces, reads_markup).await?;
                shown.is_shown(id, notice);
            }
            Deed::Close(id) => {
                shown.is_taken_away();
                // One that is gone already is an error by the specification, and none here.
                match in_time(desktop.close_notification(id)).await {
                    Ok(()) | Err(Trouble::Bus(zbus::Error::MethodError(..))) => {}
                    Err(other) => return Err(other),
                }
            }
            Deed::Nothing => {}
        }
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() {
                return Ok(());
            },
            Some(click) = clicks.next() => if let Ok(click) = click.args()
                && shown.has(*click.id())
                && *click.action_key() == CLICK
            {
                let _ = say.try_send(Clicked);
                wake();
            },
            Some(closing) = closings.next() => if let Ok(closing) = closing.args() {
                shown.is_gone(*closing.id());
            },
            else => return Err(Trouble::Gone),
        }
    }
}

async fn show(
    desktop: &NotificationsProxy<'_>,
    notice: &Notice,
    replaces: u32,
    reads_markup: bool,
) -> Result<u32, Trouble> {
    let body = if reads_markup { escaped(&notice.body) } else { notice.body.clone() };
    let hints = HashMap::from([
        ("category", Value::from("call.incoming")),
        ("desktop-entry", Value::from("pinkas-agent")),
        // The sound of a call is chosen elsewhere.
        ("suppress-sound", Value::from(true)),
        ("transient", Value::from(true)),
    ]);
    let lasts = if notice.rings { STAYS } else { GOES_AFTER };
    let actions = [CLICK, notice.click.as_str()];
    in_time(desktop.notify("Pinkas", replaces, "", &notice.title, &body, &actions, hints, lasts)).await
}

/// Why the desktop shows nothing.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Bus(#[from] zbus::Error),
    #[error("it did not answer within {} s", ANSWERS_WITHIN.as_secs())]
    Slow,
    #[error("the session bus is gone")]
    Gone,
}

async fn in_time<T>(asked: impl Future<Output = zbus::Result<T>>) -> Result<T, Trouble> {
    timeout(ANSWERS_WITHIN, asked).await.map_err(|_| Trouble::Slow)?.map_err(Trouble::Bus)
}
