//! Asks the X server for the keys and waits for them, in a thread and on a connection of its own: between two presses
//! it does nothing at all. Keys that another program has are named in the log; the others work.

use tokio::sync::mpsc;
use x11rb::connection::Connection;
use x11rb::errors::{ReplyError, ReplyOrIdError};
use x11rb::protocol::xproto::{
    ConnectionExt, GrabMode, KeyButMask, Keycode, Keysym, Mapping, ModMask, Window,
};
use x11rb::protocol::{ErrorKind, Event};
use x11rb::rust_connection::RustConnection;

use super::{Key, Shortcut, Shortcuts};
use crate::command::Command;
use crate::net::Wake;

/// How many presses wait for the program; a further one is lost and can be repeated.
const MOST_SAID: usize = 8;
/// Caps Lock, and by custom Num Lock: a key is meant whether these are on or not.
const LOCKS: [u16; 2] = [0x02, 0x10];
/// Shift, Ctrl, and by custom Alt and Super: these make a key another key.
const HELD: u16 = 0x01 | 0x04 | 0x08 | 0x40;

/// Starts the thread; what the keys ask for comes out of the receiver.
pub fn start(shortcuts: &Shortcuts, wake: Wake) -> std::io::Result<mpsc::Receiver<Command>> {
    let (say, said) = mpsc::channel(MOST_SAID);
    let wanted: Vec<Wanted> = shortcuts.all().map(|(name, keys, wish)| Wanted { name, keys, wish }).collect();
    let work = move || {
        if let Err(error) = work(&wanted, &say, &wake) {
            tracing::warn!("no global shortcut works any more: {error}");
        }
    };
    // Not joined: it ends with the program, and the keys with its connection.
    std::thread::Builder::new().name("shortcuts".to_owned()).spawn(work)?;
    Ok(said)
}

/// What is asked of the X server for one of them.
#[derive(Debug)]
struct Wanted {
    name: &'static str,
    keys: Shortcut,
    wish: Command,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the X server lets no further connection in: {0}")]
    Connect(#[from] x11rb::errors::ConnectError),
    #[error("the X server refused: {0}")]
    Reply(#[from] ReplyError),
    #[error("the X server refused: {0}")]
    Other(#[from] ReplyOrIdError),
    #[error("the X server is gone: {0}")]
    Gone(#[from] x11rb::errors::ConnectionError),
    #[error("the X server has no screen")]
    NoScreen,
}

fn work(wanted: &[Wanted], say: &mpsc::Sender<Command>, wake: &Wake) -> Result<(), Trouble> {
    let (connection, number) = x11rb::connect(None)?;
    let root = connection.setup().roots.get(number).map(|screen| screen.root).ok_or(Trouble::NoScreen)?;
    let mut grabbed = grab(&connection, root, wanted)?;
    loop {
        match connection.wait_for_event()? {
            Event::KeyPress(press) => {
                let state = u16::from(press.state) & HELD;
                let found = grabbed.iter().find(|(key, held, _)| *key == press.detail && *held == state);
                if let Some((_, _, wish)) = found {
                    let _ = say.try_send(wish.clone());
                    wake();
                }
            }
            // The keys lie elsewhere now.
            Event::MappingNotify(change) if change.request != Mapping::POINTER => {
                for (key, held, _) in &grabbed {
                    for locks in every_lock() {
                        connection.ungrab_key(*key, root, ModMask::from(held | locks))?;
                    }
                }
                grabbed = grab(&connection, root, wanted)?;
            }
            _ => {}
        }
    }
}

/// Asks for all of them; those that could be had, each as key, what is held with it, and what it asks for.
fn grab(
    connection: &RustConnection,
    root: Window,
    wanted: &[Wanted],
) -> Result<Vec<(Keycode, u16, Command)>, Trouble> {
    let setup = connection.setup();
    let (first, count) = (setup.min_keycode, setup.max_keycode - setup.min_keycode + 1);
    let mapping = connection.get_keyboard_mapping(first, count)?.reply()?;
    let width = usize::from(mapping.keysyms_per_keycode).max(1);
    let mut grabbed = Vec::new();
    for Wanted { name, keys, wish } in wanted {
        let sought = keysym(keys.key);
        let rows = (first..=setup.max_keycode).zip(mapping.keysyms.chunks(width));
        let Some(key) = rows.into_iter().find(|(_, signs)| signs.contains(&sought)).map(|(key, _)| key)
        else {
            tracing::warn!("`shortcuts.{name}`: this keyboard has no key for {keys}");
            continue;
        };
        let held = held(keys);
        let mut taken = false;
        for locks in every_lock() {
            let asked = connection.grab_key(
                false,
                root,
                ModMask::from(held | locks),
                key,
                GrabMode::ASYNC,
                GrabMode::ASYNC,
            )?;
            match asked.check() {
                Ok(()) => {}
                Err(ReplyError::X11Error(error)) if error.error_kind == ErrorKind::Access => taken = true,
                Err(other) => return Err(other.into()),
            }
        }
        if taken {
            tracing::warn!("`shortcuts.{name}`: another program has {keys} already: choose other keys");
        }
        grabbed.push((key, held, wish.clone()));
    }
    Ok(grabbed)
}

fn every_lock() -> [u16; 4] {
    let [caps, num] = LOCKS;
    [0, caps, num, caps | num]
}

fn held(keys: &Shortcut) -> u16 {
    let parts = [
        (keys.shift, KeyButMask::SHIFT),
        (keys.ctrl, KeyButMask::CONTROL),
        (keys.alt, KeyButMask::MOD1),
        (keys.command, KeyButMask::MOD4),
    ];
    parts.into_iter().filter(|(held, _)| *held).fold(0, |sum, (_, part)| sum | u16::from(part))
}

/// The X server's name for what is printed on a key: letters by their small form, as keyboards have them first.
fn keysym(key: Key) -> Keysym {
    /// The name of F1; the others follow it.
    const F1: Keysym = 0xffbe;
    match key {
        Key::Sign(sign) => Keysym::from(sign.to_ascii_lowercase()),
        Key::Function(number) => F1 + Keysym::from(number) - 1,
    }
}
