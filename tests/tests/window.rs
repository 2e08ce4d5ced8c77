//! The agent's real window on a screen in memory, with a real hub and adapter: when it comes, where it
//! stands, that it shows something, when it goes, and that it never takes the keyboard.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pinkas_demo::company::customers::{HARBOUR_STREET, LEVI, Sample, ZOLKIEWSKI};
use pinkas_demo::pbx::PretendCaller;
use pinkas_tests::lab::process::{Running, bounded, until};
use pinkas_tests::lab::xvfb::Xvfb;
use pinkas_tests::or_skip;
use pinkas_tests::site::{Site, line, program};

/// A first frame takes seconds where every pixel is worked out by a loaded processor.
const SOON: Duration = Duration::from_secs(60);
const SCREEN_WIDTH: i32 = 1280;
const SCREEN_HEIGHT: i32 = 800;
const POPUP: &str = "^Pinkas call$";
const MAIN: &str = "^Pinkas$";
/// What rings and what is answered, in the dark theme.
const ACCENT: &str = "#4cc2b0";

#[tokio::test]
async fn a_ringing_call_shows_its_card_and_leaves_the_keyboard_where_it_was() {
    let screen = or_skip!(screen().await);
    let desk = Desk::open(screen, "ana").await;
    desk.main_window().await;
    let (_typed_into, focus) = desk.something_to_type_into().await;

    let call = desk.site.pbx().call(from(&LEVI), &[line("101"), line("102")]).await;
    let popup = desk.popup("to ring").await;
    assert_eq!(popup.width, 440, "{popup:?}");
    let right = SCREEN_WIDTH - (popup.x + popup.width);
    assert!((0..=24).contains(&right), "at the right edge: {popup:?}");
    desk.shows_something(&popup).await;
    assert_eq!(desk.focus().await.as_deref(), Some(focus.as_str()), "the keyboard stays where it was");
    desk.x("xdotool", &["key", "q"]).await.expect("a key is pressed");
    desk.site.logs("typed.log", "keysym 0x71, q").await.expect("the letter arrives where the person types");

    call.answer(&line("102")).await;
    desk.no_popup("after a colleague answered").await;
    assert_eq!(desk.focus().await.as_deref(), Some(focus.as_str()), "nor does its going move the keyboard");
}

#[tokio::test]
async fn not_one_keystroke_is_lost_while_a_hundred_calls_pop_above_what_is_typed_into() {
    let screen = or_skip!(screen().await);
    let desk = Desk::open(screen, "ana").await;
    desk.main_window().await;
    let (_typed_into, below) = desk.something_to_type_into().await;
    let over = std::cell::Cell::new(false);
    let typing = async {
        let letters = "q".repeat(20);
        let mut typed = 0;
        while !over.get() {
            desk.x("xdotool", &["type", "--delay", "20", &letters]).await.expect("typing");
            typed += letters.len();
        }
        typed
    };
    let popping = async {
        for n in 0..100 {
            let call = desk.site.pbx().call(from(&LEVI), &[line("101")]).await;
            desk.live(true, &format!("call {n} to pop")).await;
            let popup = desk.popup("to ring").await;
            assert!(desk.is_above(&popup.id, &below).await, "call {n}");
            call.hang_up().await;
            desk.live(false, &format!("call {n} to fade")).await;
        }
        over.set(true);
    };
    let (typed, ()) = tokio::join!(typing, popping);
    assert!(typed >= 500, "typing went on all the time: {typed}");
    let arrived = || desk.site.log("typed.log").matches("KeyPress event").count();
    until(format!("all {typed} letters"), SOON, async || (arrived() == typed).then_some(())).await.unwrap();
}

#[tokio::test]
async fn a_note_is_typed_into_the_card_only_after_a_click_and_the_keyboard_goes_back() {
    let screen = or_skip!(screen().await);
    let desk = Desk::open(screen, "ana").await;
    desk.main_window().await;
    let (_typed_into, other) = desk.something_to_type_into().await;
    let call = desk.site.pbx().call(from(&ZOLKIEWSKI), &[line("101")]).await;
    desk.popup_as("with every card filled", is_filled).await;
    call.answer(&line("101")).await;
    let popup = desk.popup_as("with room to write", |popup| popup.height >= SCREEN_HEIGHT * 4 / 5).await;
    assert_eq!(desk.focus().await.as_deref(), Some(other.as_str()), "nobody has clicked yet");

    // The field stands above the days for a follow-up, which stand above the last line.
    let (x, y) = ((popup.x + 150).to_string(), (popup.y + popup.height - 120).to_string());
    // Clicked until it works: a loaded window may not show the field yet.
    until("the card to have the keyboard", SOON, async || {
        desk.x("xdotool", &["mousemove", &x, &y, "click", "1"]).await?;
        (desk.focus().await? != other).then_some(())
    })
    .await
    .unwrap();
    let before = desk.site.log("typed.log").matches("KeyPress event").count();
    desk.x("xdotool", &["type", "--delay", "40", "paid twice"]).await.expect("typing");
    until("the note to be on the disk", SOON, async || desk.drafts().contains("paid twice").then_some(()))
        .await
        .unwrap();
    assert_eq!(desk.site.log("typed.log").matches("KeyPress event").count(), before, "no letter went astray");

    desk.x("xdotool", &["key", "Escape"]).await.expect("a key");
    until("the keyboard to go back", SOON, async || (desk.focus().await? == other).then_some(()))
        .await
        .unwrap();
    assert!(desk.window(POPUP).await.is_some(), "Escape ended the writing, not the card");
}

#[tokio::test]
async fn an_answered_calls_card_stays_until_it_is_closed() {
    let screen = or_skip!(screen().await);
    let desk = Desk::open(screen, "ana").await;
    let main = desk.main_window().await;
    let mine = desk.site.pbx().call(from(&ZOLKIEWSKI), &[line("101")]).await;
    let rings = desk.popup_as("with every card filled", is_filled).await;
    desk.shows_something(&rings).await;
    mine.answer(&line("101")).await;
    // As high as a card gets, as there is something to write on it now.
    let full = desk.popup_as("with room to write", |popup| popup.height >= SCREEN_HEIGHT * 4 / 5).await;

    // It stays: its clock goes on for longer than a card that is about to go would last (four seconds).
    desk.goes_on(&full, 8).await;
    assert_eq!(desk.window(POPUP).await.as_ref(), Some(&full), "neither smaller nor elsewhere");

    // "Move aside" stands left of "Close" in the last line.
    let (x, y) = (full.x + full.width - 144, full.y + full.height - 25);
    desk.x("xdotool", &["mousemove", &x.to_string(), &y.to_string(), "click", "1"]).await.expect("a click");
    let aside = desk.popup_as("at the left", |popup| popup.x <= 24).await;
    assert_eq!((aside.width, aside.height), (full.width, full.height));

    mine.hang_up().await;
    desk.x("xdotool", &["windowfocus", "--sync", &main.id]).await.expect("the main window gets the keyboard");
    // Pressed until it works: a loaded window may not have noticed yet that it has the keyboard.
    until("Escape to close the card", SOON, async || {
        desk.x("xdotool", &["key", "Escape"]).await?;
        desk.window(POPUP).await.is_none().then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_card_pulled_by_its_head_stands_there_also_for_the_next_call_and_never_off_the_screen() {
    let screen = or_skip!(screen().await);
    let desk = Desk::open(screen, "ana").await;
    desk.main_window().await;
    let call = desk.site.pbx().call(from(&ZOLKIEWSKI), &[line("101")]).await;
    let popup = desk.popup_as("with every card filled", is_filled).await;
    let focus = desk.focus().await;
    let x = async |arguments: &[&str]| desk.x("xdotool", arguments).await.expect("the pointer");
    let to = async |x: i32, y: i32| {
        let (x, y) = (x.to_string(), y.to_string());
        desk.x("xdotool", &["mousemove", &x, &y]).await.expect("the pointer");
    };
    // Held, and moved a little on its head until it follows: a loaded window that learns at once of a press and of a
    // pointer far away does not take itself for held.
    let take = async |window: &Window| {
        let (left, top) = (window.x + 200, window.y + 20);
        to(left, top).await;
        x(&["mousedown", "1"]).await;
        let mut further = 0;
        until("the card to follow the pointer", SOON, async || {
            further += 1;
            to(left - 20 - 5 * (further % 2), top + 10).await;
            desk.window(POPUP).await.is_some_and(|now| now != *window).then_some(())
        })
        .await
        .unwrap();
        (left, top)
    };
    let (left, top) = take(&popup).await;
    to(left - 300, top + 60).await;
    let put = desk.popup_as("where it is pulled to", |now| (now.x, now.y) == (popup.x - 300, popup.y + 60));
    let put = put.await;
    x(&["mouseup", "1"]).await;
    assert_eq!(desk.focus().await, focus, "pulling takes no keyboard");
    call.hang_up().await;
    desk.no_popup("after the caller hung up").await;

    let _next = desk.site.pbx().call(from(&ZOLKIEWSKI), &[line("101")]).await;
    let next = desk.popup_as("with every card filled", is_filled).await;
    assert_eq!((next.x, next.y), (put.x, put.y), "the same place");

    // Let go of below the screen it is whole on it.
    take(&next).await;
    let mut further = 0;
    until("the card to hang off the screen", SOON, async || {
        further += 1;
        to(150, SCREEN_HEIGHT - 1 - further % 2).await;
        let now = desk.window(POPUP).await?;
        (now.x < 0 && now.y + now.height > SCREEN_HEIGHT).then_some(())
    })
    .await
    .unwrap();
    x(&["mouseup", "1"]).await;
    let whole = desk.popup_as("whole", |now| (now.x, now.y + now.height) == (0, SCREEN_HEIGHT)).await;

    // "Back to the edge" stands left of "Close" in the last line.
    let (left, top) = (whole.x + whole.width - 144, whole.y + whole.height - 25);
    to(left, top).await;
    x(&["click", "1"]).await;
    let back = desk.popup_as("at the edge", |now| now.x == popup.x && now.y == popup.y).await;
    assert_eq!((back.width, back.height), (whole.width, whole.height));
}

#[tokio::test]
async fn a_supervisors_window_shows_the_office_and_nothing_pops() {
    let screen = or_skip!(screen().await);
    let desk = Desk::open(screen, "sima").await;
    let main = desk.main_window().await;
    assert!(main.width >= 640 && main.height >= 320, "{main:?}");
    desk.shows_something(&main).await;
    let quiet = desk.count_of(ACCENT, &main).await.expect("a picture");
    let _call = desk.site.pbx().call(from(&LEVI), &[line("101")]).await;
    until("the call to show in the window", SOON, async || {
        (desk.count_of(ACCENT, &main).await? > quiet + 20).then_some(())
    })
    .await
    .unwrap();
    assert!(desk.window(POPUP).await.is_none(), "nothing pops where no phone rings");
}

/// docs/pictures/make.sh keeps what this takes, and says where; otherwise it only shows that it can be taken.
#[tokio::test]
async fn pictures_of_the_documentation() {
    let wanted = std::env::var_os("PINKAS_PICTURES").map(PathBuf::from);
    let folder = |desk: &Desk| wanted.clone().unwrap_or_else(|| desk.site.dir().to_owned());
    for (file, caller, language) in [("popup.png", &ZOLKIEWSKI, "en"), ("hebrew.png", &LEVI, "he")] {
        let screen = or_skip!(screen().await);
        let desk = Desk::open_in(screen, "ana", language).await;
        desk.main_window().await;
        let call = desk.site.pbx().call(from(caller), &[line("101")]).await;
        let popup = desk.popup_as("with every card filled", is_filled).await;
        desk.goes_on(&popup, 3).await;
        desk.keep(&popup, &folder(&desk).join(file)).await;
        if language == "en" {
            call.answer(&line("101")).await;
            let popup =
                desk.popup_as("with room to write", |popup| popup.height >= SCREEN_HEIGHT * 4 / 5).await;
            desk.goes_on(&popup, 3).await;
            desk.keep(&popup, &folder(&desk).join("talk.png")).await;
        }
    }
    let screen = or_skip!(screen().await);
    let desk = Desk::open(screen, "sima").await;
    let main = desk.main_window().await;
    let call = async |who, at| desk.site.pbx().call(from(who), &[line(at)]).await;
    let levi = call(&LEVI, "102").await;
    levi.answer(&line("102")).await;
    desk.goes_on(&main, 4).await;
    let harbour = call(&HARBOUR_STREET, "103").await;
    harbour.answer(&line("103")).await;
    desk.goes_on(&main, 6).await;
    let _zolkiewski = call(&ZOLKIEWSKI, "101").await;
    desk.goes_on(&main, 5).await;
    desk.keep(&main, &folder(&desk).join("supervisor.png")).await;
}

fn from(customer: &Sample) -> PretendCaller {
    PretendCaller::new(customer.e164, customer.name)
}

/// The sample customers' cards once every source has answered; grey bars take less.
fn is_filled(popup: &Window) -> bool {
    popup.height > 600
}

async fn screen() -> Result<Xvfb, pinkas_tests::lab::Trouble> {
    Xvfb::start().await?.with_window_manager().await
}

/// A person's screen, and the office behind it.
struct Desk {
    _agent: Running,
    _hub: Running,
    _adapter: Running,
    site: Site,
    screen: Xvfb,
}

/// A window that is seen, in pixels of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    id: String,
    x: i32,
    y: i32,
    width: i32,
    height: i32,
}

impl Desk {
    async fn open(screen: Xvfb, who: &str) -> Desk {
        Desk::open_in(screen, who, "en").await
    }

    async fn open_in(screen: Xvfb, who: &str, language: &str) -> Desk {
        let site = Site::open().await.expect("an office");
        let file = &site.office.agents[who];
        let said = std::fs::read_to_string(file).expect("a configuration");
        let said = said.replace("language = \"en\"", &format!("language = \"{language}\""));
        std::fs::write(file, said).expect("written");
        // Out of the way: a row under the pointer is lit.
        screen.run("xdotool", &["mousemove", "0", "0"]).await.expect("xdotool");
        let (hub, adapter, _) = site.all(&[]).await.expect("hub and adapter");
        let mut command = bounded(program("pinkas-agent").expect("the program"));
        command.arg("--config").arg(&site.office.agents[who]);
        command.env("DISPLAY", screen.display()).env_remove("WAYLAND_DISPLAY").env("RUST_LOG", "info");
        let agent =
            Running::start("pinkas-agent", command, &site.dir().join("window.log")).expect("a window");
        let desk = Desk { _agent: agent, _hub: hub, _adapter: adapter, site, screen };
        desk.site.logs("window.log", "connected to the hub").await.expect("a link");
        desk
    }

    async fn x(&self, program: &str, arguments: &[&str]) -> Option<String> {
        self.screen.run(program, arguments).await.ok()
    }

    /// The window of this name, when it can be seen.
    async fn window(&self, name: &str) -> Option<Window> {
        let found = self.x("xdotool", &["search", "--onlyvisible", "--name", name]).await?;
        let id = found.lines().last()?.trim().to_owned();
        // xdotool tells a place that is wrong by the frame, where a window has one.
        let said = self.x("xwininfo", &["-id", &id]).await?;
        let number = |name: &str| {
            said.lines().find_map(|line| line.trim().strip_prefix(name)?.trim().parse::<i32>().ok())
        };
        let (x, y) = (number("Absolute upper-left X:")?, number("Absolute upper-left Y:")?);
        Some(Window { x, y, width: number("Width:")?, height: number("Height:")?, id })
    }

    async fn main_window(&self) -> Window {
        until("the main window", SOON, async || self.window(MAIN).await).await.expect("it opens")
    }

    async fn popup(&self, why: &str) -> Window {
        self.popup_as(why, |_| true).await
    }

    async fn popup_as(&self, what: &str, is_it: impl Fn(&Window) -> bool) -> Window {
        let found = until(format!("the pop-up {what}"), SOON, async || {
            self.window(POPUP).await.filter(|popup| is_it(popup))
        });
        found.await.unwrap_or_else(|error| panic!("{error:#}\n{}", self.site.log("window.log")))
    }

    /// Waits until the pop-up's first line says by its dot that the call goes on, or that it is over.
    async fn live(&self, wanted: bool, what: &str) {
        until(what, SOON, async || {
            let popup = self.window(POPUP).await?;
            let first = Window { height: 38, ..popup };
            (self.count_of(ACCENT, &first).await? > 0).eq(&wanted).then_some(())
        })
        .await
        .expect("it happens");
    }

    /// Whether one window stands in front of another, or of the frame around it.
    async fn is_above(&self, one: &str, other: &str) -> bool {
        let tree = self.x("xwininfo", &["-root", "-tree", "-int"]).await.expect("a tree of windows");
        let place = |id: &str| tree.lines().position(|line| line.trim_start().starts_with(&format!("{id} ")));
        place(one).zip(place(other)).is_some_and(|(one, other)| one < other)
    }

    async fn no_popup(&self, when: &str) {
        until(format!("the pop-up to go {when}"), SOON, async || {
            self.window(POPUP).await.is_none().then_some(())
        })
        .await
        .expect("it happens");
    }

    /// Waits until a window's part of the screen has letters in it: many colours, not one.
    async fn shows_something(&self, window: &Window) {
        let what = format!("something to show at {window:?}");
        until(what, SOON, async || {
            let colours = self.picture(window, &["-format", "%k", "info:"]).await?;
            (colours.trim().parse::<u32>().ok()? > 30).then_some(())
        })
        .await
        .expect("it happens");
    }

    /// Waits until a window with a running clock has looked different so many times: about as many seconds.
    async fn goes_on(&self, window: &Window, times: usize) {
        let mut seen = BTreeSet::new();
        until(format!("{window:?} to change {times} times"), SOON, async || {
            seen.insert(self.picture(window, &["-format", "%#", "info:"]).await?);
            (seen.len() >= times).then_some(())
        })
        .await
        .expect("it happens");
    }

    /// Keeps a picture of a window, small enough for a repository.
    async fn keep(&self, window: &Window, file: &Path) {
        let file = file.to_str().expect("a path that is text");
        self.picture(window, &["-strip", "-colors", "256", &format!("PNG8:{file}")])
            .await
            .expect("a picture");
        let size = std::fs::metadata(file).expect("a file").len();
        assert!((5_000..150_000).contains(&size), "{file}: {size} bytes");
    }

    /// How many pixels of a window have exactly this colour.
    async fn count_of(&self, colour: &str, window: &Window) -> Option<u64> {
        let only = ["-fill", "black", "+opaque", colour, "-fill", "white", "-opaque", colour];
        let count = [&only[..], &["-format", "%[fx:round(w*h*mean)]", "info:"]].concat();
        self.picture(window, &count).await?.trim().parse().ok()
    }

    /// Takes a picture of the screen and asks ImageMagick about the part of it where a window stands.
    async fn picture(&self, window: &Window, ask: &[&str]) -> Option<String> {
        let file: PathBuf = self.site.dir().join("screen.png");
        self.screen.screenshot(&file).await.ok()?;
        let Window { x, y, width, height, .. } = window;
        let part = format!("{width}x{height}+{x}+{y}");
        let arguments = [&[file.to_str()?, "-crop", &part, "+repage"][..], ask].concat();
        self.x("convert", &arguments).await
    }

    /// All that lies unsent on this person's disk.
    fn drafts(&self) -> String {
        let folder = self.site.dir().join("ana-data").join("drafts");
        let inside =
            |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
        let files = inside(folder).flat_map(inside);
        files.filter_map(|file| std::fs::read_to_string(file).ok()).collect()
    }

    async fn focus(&self) -> Option<String> {
        Some(self.x("xdotool", &["getwindowfocus"]).await?.trim().to_owned())
    }

    /// A window of another program that has the keyboard and writes down what is typed into it.
    async fn something_to_type_into(&self) -> (Running, String) {
        let mut command = bounded("stdbuf");
        command.args(["-oL", "xev", "-name", "another program", "-event", "keyboard"]);
        command.env("DISPLAY", self.screen.display());
        let program = Running::start("xev", command, &self.site.dir().join("typed.log")).expect("xev");
        let window = until("another program's window", SOON, async || self.window("^another program$").await);
        let window = window.await.expect("it opens");
        self.x("xdotool", &["windowfocus", "--sync", &window.id]).await.expect("it gets the keyboard");
        let focus = until("it to have the keyboard", SOON, async || {
            self.focus().await.filter(|focus| *focus == window.id)
        });
        (program, focus.await.expect("it can be typed into"))
    }
}
