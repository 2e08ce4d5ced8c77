//! What a person's desktop session shows of the agent besides its windows, on a bus of the test's own: the call that
//! rings as a notification, the sign in the tray behind which a closed window stays, and keys heard everywhere.
#![cfg(target_os = "linux")]
#![allow(missing_docs, reason = "what zbus makes of an interface has none")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pinkas_demo::company::customers::LEVI;
use pinkas_demo::pbx::PretendCaller;
use pinkas_tests::lab::keyring::Keyring;
use pinkas_tests::lab::process::{Running, bounded, until};
use pinkas_tests::lab::xvfb::Xvfb;
use pinkas_tests::or_skip;
use pinkas_tests::site::{Site, line, program};
use tokio::sync::mpsc;
use tokio::time::timeout;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt, GrabMode, ModMask};
use x11rb::rust_connection::RustConnection;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{ObjectPath, OwnedValue, Value};

const SOON: Duration = Duration::from_secs(60);
const MAIN: &str = "^Pinkas$";

/// What a desktop was asked to show.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Notify { replaces: u32, title: String, body: String, actions: Vec<String>, lasts: i32 },
    Close(u32),
}

/// The part of a desktop that shows notifications, which reads markup.
struct Notifications {
    asked: mpsc::Sender<Asked>,
    last: u32,
}

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Notifications {
    #[expect(clippy::too_many_arguments, reason = "the specification's")]
    fn notify(
        &mut self,
        app_name: &str,
        replaces_id: u32,
        app_icon: &str,
        summary: String,
        body: String,
        actions: Vec<String>,
        hints: HashMap<String, OwnedValue>,
        expire_timeout: i32,
    ) -> u32 {
        assert_eq!((app_name, app_icon), ("Pinkas", ""));
        assert!(hints.contains_key("suppress-sound"), "{hints:?}");
        self.last = if replaces_id == 0 { self.last + 1 } else { replaces_id };
        let told =
            Asked::Notify { replaces: replaces_id, title: summary, body, actions, lasts: expire_timeout };
        self.asked.try_send(told).unwrap();
        self.last
    }

    fn close_notification(&self, id: u32) {
        self.asked.try_send(Asked::Close(id)).unwrap();
    }

    fn get_capabilities(&self) -> Vec<String> {
        ["actions", "body", "body-markup"].map(str::to_owned).into()
    }

    #[zbus(signal)]
    async fn action_invoked(emitter: &SignalEmitter<'_>, id: u32, key: &str) -> zbus::Result<()>;
}

/// The part of a desktop that knows what is in its tray.
struct Tray {
    there: mpsc::Sender<String>,
}

#[zbus::interface(name = "org.kde.StatusNotifierWatcher")]
impl Tray {
    fn register_status_notifier_item(&self, service: String) {
        self.there.try_send(service).unwrap();
    }

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }
}

/// A session: its bus, its screen, and the agent in it with these lines in its configuration.
struct Session {
    agent: Running,
    _hub: Running,
    _adapter: Running,
    site: Site,
    screen: Xvfb,
}

/// A connection of the test's own to the session's bus.
async fn bus(session: &Keyring) -> zbus::Connection {
    let mut command = bounded("true");
    session.reach(&mut command);
    let address = command.get_envs().find(|(name, _)| *name == "DBUS_SESSION_BUS_ADDRESS");
    let address = address.and_then(|(_, value)| value?.to_str()).unwrap();
    zbus::connection::Builder::address(address).unwrap().build().await.unwrap()
}

impl Session {
    async fn open(screen: Xvfb, session: &Keyring, lines: &str) -> Session {
        let site = Site::open().await.unwrap();
        let file = &site.office.agents["ana"];
        let said = std::fs::read_to_string(file).unwrap();
        // Keys of the file itself stand before its tables.
        let said =
            if lines.starts_with('[') { format!("{said}\n{lines}") } else { format!("{lines}\n{said}") };
        std::fs::write(file, said).unwrap();
        let (hub, adapter, _) = site.all(&[]).await.unwrap();
        let mut command = bounded(program("pinkas-agent").unwrap());
        command.arg("--config").arg(file);
        session.reach(&mut command);
        command.env("DISPLAY", screen.display()).env_remove("WAYLAND_DISPLAY").env("RUST_LOG", "info");
        let agent = Running::start("pinkas-agent", command, &site.dir().join("window.log")).unwrap();
        let opened = Session { agent, _hub: hub, _adapter: adapter, site, screen };
        opened.site.logs("window.log", "connected to the hub").await.unwrap();
        opened.main(true).await;
        opened
    }

    async fn minimise(&self) {
        let found = self.screen.run("xdotool", &["search", "--onlyvisible", "--name", MAIN]).await.unwrap();
        let id = found.lines().last().unwrap().trim();
        self.screen.run("xdotool", &["windowminimize", id]).await.unwrap();
        self.main(false).await;
    }

    /// Waits until the main window is seen, or is not.
    async fn main(&self, wanted: bool) {
        let seen = || self.screen.run("xdotool", &["search", "--onlyvisible", "--name", MAIN]);
        until(format!("the main window to be seen: {wanted}"), SOON, async || {
            (seen().await.is_ok_and(|found| !found.trim().is_empty()) == wanted).then_some(())
        })
        .await
        .unwrap_or_else(|error| panic!("{error:#}\n{}", self.site.log("window.log")));
    }
}

async fn screen() -> Result<Xvfb, pinkas_tests::lab::Trouble> {
    Xvfb::start().await?.with_window_manager().await
}

#[tokio::test]
async fn a_call_is_a_notification_that_moves_on_with_it_and_a_click_brings_the_window() {
    let session = or_skip!(Keyring::none_on_a_bus().await);
    let screen = or_skip!(screen().await);
    let bus = bus(&session).await;
    let (say, mut asked) = mpsc::channel(64);
    let path = "/org/freedesktop/Notifications";
    bus.object_server().at(path, Notifications { asked: say, last: 40 }).await.unwrap();
    bus.request_name("org.freedesktop.Notifications").await.unwrap();
    let desk = Session::open(screen, &session, "notifications = true").await;

    let mut next = async || timeout(SOON, asked.recv()).await.unwrap().unwrap();
    let call = desk.site.pbx().call(PretendCaller::new(LEVI.e164, LEVI.name), &[line("101")]).await;
    let Asked::Notify { replaces: 0, body, actions, lasts: 0, .. } = next().await else {
        panic!("a notification that stays")
    };
    assert!(body.starts_with("Ringing on 101"), "{body}");
    assert_eq!(actions, ["default", "Show Pinkas"]);

    desk.minimise().await;
    let emitter = SignalEmitter::new(&bus, path).unwrap();
    Notifications::action_invoked(&emitter, 7, "default").await.unwrap();
    Notifications::action_invoked(&emitter, 41, "default").await.unwrap();
    desk.main(true).await;

    // The customer may have come after the call: then the same notification says so. Then why it stopped, then nothing.
    call.hang_up().await;
    let mut titles = Vec::new();
    let last = loop {
        match next().await {
            Asked::Notify { replaces, title, body, lasts, .. } => {
                assert_eq!(replaces, 41);
                titles.push((title, body, lasts));
            }
            other => break other,
        }
    };
    assert_eq!(last, Asked::Close(41));
    let (title, body, lasts) = titles.last().unwrap();
    assert!(title.contains(LEVI.name) && *lasts > 0, "{titles:?}");
    assert!(body.starts_with("The caller hung up"), "{titles:?}");
}

#[tokio::test]
async fn a_closed_window_stays_behind_its_sign_in_the_tray_and_comes_back_when_the_tray_goes() {
    let session = or_skip!(Keyring::none_on_a_bus().await);
    let screen = or_skip!(screen().await);
    let bus = bus(&session).await;
    let (say, mut there) = mpsc::channel(8);
    bus.object_server().at("/StatusNotifierWatcher", Tray { there: say }).await.unwrap();
    bus.request_name("org.kde.StatusNotifierWatcher").await.unwrap();
    let mut desk = Session::open(screen, &session, "tray = true").await;
    let item = timeout(SOON, there.recv()).await.unwrap().unwrap();

    // Asked anew each time: a sign says by a signal of its own that it has changed.
    let sign = zbus::proxy::Builder::<zbus::Proxy<'_>>::new(&bus)
        .destination(item.as_str())
        .and_then(|sign| sign.path("/StatusNotifierItem"))
        .and_then(|sign| sign.interface("org.kde.StatusNotifierItem"))
        .unwrap()
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
        .unwrap();
    until("the sign to say that the person takes calls", SOON, async || {
        let title: String = sign.get_property("Title").await.ok()?;
        (title == "Pinkas: Ready").then_some(())
    })
    .await
    .unwrap();
    let pictures: Vec<(i32, i32, Vec<u8>)> = sign.get_property("IconPixmap").await.unwrap();
    assert!(pictures.iter().all(|(width, height, bytes)| bytes.len() as i32 == width * height * 4));
    assert!(!pictures.is_empty());

    desk.screen.run("wmctrl", &["-c", "Pinkas"]).await.unwrap();
    desk.main(false).await;
    desk.agent.must_run().unwrap();
    sign.call_method("Activate", &(0, 0)).await.unwrap();
    desk.main(true).await;

    // Calls pop also while the window is behind the sign.
    desk.screen.run("wmctrl", &["-c", "Pinkas"]).await.unwrap();
    desk.main(false).await;
    let call = desk.site.pbx().call(PretendCaller::new(LEVI.e164, LEVI.name), &[line("101")]).await;
    until("the card", SOON, async || {
        let found = desk.screen.run("xdotool", &["search", "--onlyvisible", "--name", "^Pinkas call$"]).await;
        found.is_ok_and(|found| !found.trim().is_empty()).then_some(())
    })
    .await
    .unwrap();
    call.hang_up().await;

    // Nobody is left with a program that nobody sees.
    bus.release_name("org.kde.StatusNotifierWatcher").await.unwrap();
    desk.main(true).await;

    bus.request_name("org.kde.StatusNotifierWatcher").await.unwrap();
    timeout(SOON, there.recv()).await.unwrap().unwrap();
    let menu: ObjectPath<'_> = sign.get_property("Menu").await.unwrap();
    let menu = zbus::Proxy::new(&bus, item.as_str(), menu, "com.canonical.dbusmenu").await.unwrap();
    type Rows = (u32, (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>));
    let (_, (_, _, rows)): Rows = menu.call("GetLayout", &(0, -1, Vec::<String>::new())).await.unwrap();
    assert!(rows.len() >= 3, "show, ready, quit: {rows:?}");
    let Some(Value::Structure(row)) = rows.last().map(|row| &**row) else { panic!("{rows:?}") };
    let [Value::I32(quit), properties, ..] = row.fields() else { panic!("{row:?}") };
    assert!(format!("{properties:?}").contains("Quit"), "{properties:?}");
    let _unused: () = menu.call("Event", &(*quit, "clicked", Value::from(""), 0_u32)).await.unwrap();
    desk.agent.end(SOON).await.unwrap();
}

#[tokio::test]
async fn keys_are_heard_whichever_program_has_the_keyboard_and_one_that_is_taken_is_named() {
    let session = or_skip!(Keyring::none_on_a_bus().await);
    let screen = or_skip!(screen().await);
    let other = other_program_has(&screen, "x");
    let desk = Session::open(
        screen,
        &session,
        "[shortcuts]\nshow = \"Ctrl+Alt+P\"\nclose_card = \"Ctrl+Alt+X\"\nwrite_note = \"Super+Shift+F7\"",
    )
    .await;
    desk.site.logs("window.log", "another program has Ctrl+Alt+X already").await.unwrap();
    drop(other);

    desk.minimise().await;
    desk.screen.run("xdotool", &["key", "ctrl+alt+p"]).await.unwrap();
    desk.main(true).await;

    let call = desk.site.pbx().call(PretendCaller::new(LEVI.e164, LEVI.name), &[line("101")]).await;
    call.answer(&line("101")).await;
    let drafts = || {
        let mut said = Vec::new();
        for entry in walk(desk.site.dir()) {
            said.extend(std::fs::read(entry).unwrap_or_default());
        }
        String::from_utf8_lossy(&said).contains("paid twice")
    };
    // Pressed and typed until it arrives: a loaded window may not show the field yet.
    until("the note to be on the disk", SOON, async || {
        desk.screen.run("xdotool", &["key", "super+shift+F7"]).await.ok()?;
        desk.screen.run("xdotool", &["type", "--delay", "40", "paid twice "]).await.ok()?;
        until("a second", Duration::from_secs(3), async || drafts().then_some(())).await.ok()
    })
    .await
    .unwrap();
}

/// Every file below a folder.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else if path.extension().is_none_or(|kind| kind != "log") {
            files.push(path);
        }
    }
    files
}

/// Another program that has taken Ctrl+Alt and this letter, while it is held.
fn other_program_has(screen: &Xvfb, letter: &str) -> RustConnection {
    let (connection, number) = x11rb::connect(Some(screen.display())).unwrap();
    let setup = connection.setup();
    let (root, first) = (setup.roots[number].root, setup.min_keycode);
    let count = setup.max_keycode - first + 1;
    let mapping = connection.get_keyboard_mapping(first, count).unwrap().reply().unwrap();
    let sign = u32::from(letter.bytes().next().unwrap());
    let width = usize::from(mapping.keysyms_per_keycode);
    let row = mapping.keysyms.chunks(width).position(|signs| signs.contains(&sign)).unwrap();
    let key = first + u8::try_from(row).unwrap();
    let held = ModMask::CONTROL | ModMask::M1;
    connection.grab_key(false, root, held, key, GrabMode::ASYNC, GrabMode::ASYNC).unwrap().check().unwrap();
    connection
}
