//! Gives the sign to the desktop's tray by D-Bus (StatusNotifierItem), in a thread of its own: nothing that is drawn
//! waits for a tray. Where no tray runs nothing is shown, and who would hide a window behind it is told so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ksni::menu::{CheckmarkItem, MenuItem, StandardItem};
use ksni::{Icon, OfflineReason, ToolTip, TrayMethods};
use tokio::sync::{mpsc, watch};

use super::{Row, Sign, picture};
use crate::command::Command;
use crate::net::Wake;
use crate::text::Direction;

/// How many clicks wait for the program; a further one is lost and can be repeated.
const MOST_SAID: usize = 8;
/// The sizes of the picture, in pixels; the tray takes the one it likes.
const SIDES: [u16; 3] = [16, 24, 48];

/// The thread and the ways to it.
#[derive(Debug)]
pub struct Tray {
    wanted: watch::Sender<Option<Sign>>,
    seen: Arc<AtomicBool>,
    /// What the person asked for there.
    pub said: mpsc::Receiver<Command>,
}

impl Tray {
    /// Starts the thread; nothing is shown yet.
    pub fn start(wake: Wake) -> std::io::Result<Tray> {
        let (wanted, wanted_out) = watch::channel(None);
        let (say, said) = mpsc::channel(MOST_SAID);
        let seen = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let outlet = Outlet { say, wake, seen: seen.clone() };
        let work = move || runtime.block_on(work(wanted_out, outlet));
        // Not joined: it ends with the program, and a tray drops the sign of a program that is gone.
        std::thread::Builder::new().name("tray".to_owned()).spawn(work)?;
        Ok(Tray { wanted, seen, said })
    }

    /// Shows this, or nothing.
    pub fn show(&self, sign: Option<Sign>) {
        self.wanted.send_if_modified(|wanted| {
            let other = *wanted != sign;
            if other {
                *wanted = sign;
            }
            other
        });
    }

    /// Whether a tray shows it now.
    pub fn is_seen(&self) -> bool {
        self.seen.load(Ordering::Acquire)
    }
}

/// The way back to the program.
#[derive(Clone)]
struct Outlet {
    say: mpsc::Sender<Command>,
    wake: Wake,
    seen: Arc<AtomicBool>,
}

impl Outlet {
    fn say(&self, wish: Command) {
        let _ = self.say.try_send(wish);
        (self.wake)();
    }

    fn lost(&self) {
        // A window hidden behind a sign that nobody sees has to come back.
        if self.seen.swap(false, Ordering::AcqRel) {
            self.say(Command::Raise);
        }
    }
}

async fn work(mut wanted: watch::Receiver<Option<Sign>>, outlet: Outlet) {
    let mut told = false;
    // Ends when the program does.
    while let Ok(first) = wanted.wait_for(Option::is_some).await.map(|sign| sign.clone()) {
        let Some(sign) = first else { continue };
        outlet.seen.store(true, Ordering::Release);
        let shown = Shown { sign, outlet: outlet.clone() };
        // A tray may start after this program, or again.
        let handle = match shown.assume_sni_available(true).spawn().await {
            Ok(handle) => handle,
            Err(error) => {
                outlet.lost();
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!("the tray shows no sign of this program: {error}");
                }
                if wanted.changed().await.is_err() {
                    return;
                }
                // Not again for each new state, but when it is switched on anew.
                if wanted.wait_for(Option::is_none).await.is_err() {
                    return;
                }
                continue;
            }
        };
        loop {
            if wanted.changed().await.is_err() {
                return;
            }
            let now = wanted.borrow_and_update().clone();
            match now {
                Some(sign) => {
                    handle.update(|shown: &mut Shown| shown.sign = sign).await;
                }
                None => {
                    handle.shutdown().await;
                    outlet.lost();
                    break;
                }
            }
        }
    }
}

/// The sign as the tray asks for it.
struct Shown {
    sign: Sign,
    outlet: Outlet,
}

impl ksni::Tray for Shown {
    fn id(&self) -> String {
        "pinkas-agent".to_owned()
    }

    fn title(&self) -> String {
        format!("Pinkas: {}", self.sign.state)
    }

    fn category(&self) -> ksni::Category {
        ksni::Category::Communications
    }

    fn tool_tip(&self) -> ToolTip {
        let description = self.sign.missed.clone().unwrap_or_default();
        ToolTip { title: self.title(), description, ..ToolTip::default() }
    }

    fn icon_pixmap(&self) -> Vec<Icon> {
        let icon = |side: u16| Icon {
            width: i32::from(side),
            height: i32::from(side),
            data: picture(self.sign.tone, side),
        };
        SIDES.map(icon).into()
    }

    fn text_direction(&self) -> ksni::TextDirection {
        match self.sign.direction {
            Direction::LeftToRight => ksni::TextDirection::LeftToRight,
            Direction::RightToLeft => ksni::TextDirection::RightToLeft,
        }
    }

    fn activate(&mut self, _: i32, _: i32) {
        self.outlet.say(Command::Raise);
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        self.sign.rows.iter().map(item).collect()
    }

    fn watcher_online(&self) {
        self.outlet.seen.store(true, Ordering::Release);
    }

    fn watcher_offline(&self, _: OfflineReason) -> bool {
        self.outlet.lost();
        true
    }
}

fn item(row: &Row) -> MenuItem<Shown> {
    // A single underscore would mark a key.
    let (label, enabled, wish) = (row.text.replace('_', "__"), row.live, row.wish.clone());
    match row.tick {
        Some(checked) => CheckmarkItem {
            label,
            enabled,
            checked,
            activate: Box::new(move |shown: &mut Shown| shown.outlet.say(wish.clone())),
            ..Default::default()
        }
        .into(),
        None => StandardItem {
            label,
            enabled,
            activate: Box::new(move |shown: &mut Shown| shown.outlet.say(wish.clone())),
            ..Default::default()
        }
        .into(),
    }
}
