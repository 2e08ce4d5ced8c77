//! How fast and at what cost the desktop shows a call: the real program on a screen in memory, told by a stand-in
//! for the hub. Every pixel is worked out by the processor here (software rendering); a graphics card only makes it
//! faster. Ends with the list of what was promised. `make bench` runs it.

mod eye;
mod hub;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use pinkas_protocol::board::Ended;
use pinkas_protocol::card::{Balance, Credit, Customer, Purchase};
use pinkas_protocol::{
    CallFacts, CallId, CallView, Caller, Card, CardState, CustomerKey, EndedHow, Facts, Gives, Money, Number,
    Offer, OfferState, Private, QueueName, SourceName, Update, Who,
};
use pinkas_tests::lab::Trouble;
use pinkas_tests::lab::process::{Running, bounded, until};
use pinkas_tests::lab::xvfb::Xvfb;
use pinkas_tests::measure::Processes;
use pinkas_tests::site::{line, program};
use tokio::task::block_in_place;
use tokio::time::Instant;
use uuid::Uuid;

use crate::eye::{Eye, Seen};
use crate::hub::Hub;

/// Calls that pop one after the other while the main window is seen.
const POPS: usize = 1_000;
/// The same while it is covered, and while it is minimised.
const POPS_UNSEEN: usize = 100;
const RATE: u32 = 100;
const RATE_LASTS: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(15);
const STARTS: usize = 3;
/// A pop that is not seen by then is missed.
const AT_MOST: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    // `cargo test --benches` only wants to know that this builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(ExitCode::SUCCESS);
    }
    let profile = if cfg!(debug_assertions) { "without optimisation" } else { "optimised" };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("programs built {profile}; load of the machine before: {}", load.trim());
    println!("software rendering: the processor draws every pixel, of a screen of 1280 × 800\n");
    let screen = match screen().await {
        Ok(screen) => screen,
        Err(Trouble::Missing(skip)) => {
            println!("Verdict:\n  SKIPPED the desktop: {skip}");
            return Ok(ExitCode::SUCCESS);
        }
        Err(Trouble::Failed(error)) => return Err(error.context("the screen")),
    };
    let mut verdict = Verdict::default();
    let mut office = Office::open(screen).await?;
    starts(&mut office, &mut verdict).await?;
    let desk = office.start().await?.0;
    let mut last = Vec::new();
    let seen = office.pops(&desk, POPS, &mut last).await?;
    verdict.at_most("update at the socket → pixels, main window seen, p50 ms", seen.share(0.50), 25.0);
    verdict.at_most("update at the socket → pixels, main window seen, p99 ms", seen.share(0.99), 50.0);
    seen.print(&format!("{POPS} pops, main window seen"));
    unseen(&office, &desk, &mut last).await?;
    rate(&office, &desk, &mut last, &mut verdict).await?;
    idle(&office, &desk, &mut verdict).await?;
    let (resident, peak) = (desk.processes().resident_kib(), desk.processes().peak_kib());
    println!("{:<58} {:.1} MiB, at most {:.1}", "resident after all that", mib(resident), mib(peak));
    verdict.at_most("resident MiB", mib(resident), 120.0);
    Ok(verdict.print())
}

async fn screen() -> Result<Xvfb, Trouble> {
    Xvfb::start().await?.with_window_manager().await
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// What was promised, and whether it is kept.
#[derive(Default)]
struct Verdict(Vec<(bool, String)>);

impl Verdict {
    fn at_most(&mut self, what: &str, found: f64, promised: f64) {
        self.0.push((found <= promised, format!("{what}: {found:.2}, promised at most {promised}")));
    }

    fn print(&self) -> ExitCode {
        println!("\nVerdict (software rendering):");
        for (kept, what) in &self.0 {
            println!("  {} {what}", if *kept { "PASS" } else { "FAIL" });
        }
        if self.0.iter().all(|(kept, _)| *kept) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Times in ms, in order.
struct Times(Vec<f64>);

impl Times {
    fn of(mut times: Vec<f64>) -> Times {
        times.sort_by(f64::total_cmp);
        Times(times)
    }

    fn share(&self, share: f64) -> f64 {
        let at = ((self.0.len() as f64 * share).ceil() as usize).saturating_sub(1);
        self.0.get(at).copied().unwrap_or(f64::NAN)
    }

    fn print(&self, what: &str) {
        let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(|share| self.share(share));
        println!("{what:<58} p50 {p50:.1}  p90 {p90:.1}  p99 {p99:.1}  max {max:.1} ms");
    }
}

/// The screen, the hub behind it, and what a desktop is started with.
struct Office {
    folder: tempfile::TempDir,
    screen: Xvfb,
    eye: Eye,
    hub: Hub,
}

/// A running desktop and its windows.
struct Desk {
    _running: Running,
    config: PathBuf,
    main: u32,
    popup: u32,
}

impl Desk {
    fn processes(&self) -> Processes {
        Processes::with(&self.config)
    }
}

impl Office {
    async fn open(screen: Xvfb) -> anyhow::Result<Office> {
        let folder = tempfile::Builder::new().prefix("pinkas-measured-").tempdir()?;
        let hub = Hub::open().await?;
        std::fs::write(folder.path().join("secret"), "measured")?;
        let eye = Eye::open(screen.display())?;
        Ok(Office { folder, screen, eye, hub })
    }

    /// Starts a desktop, to which a call rings as soon as it has logged in; how long until that call was seen.
    async fn start(&mut self) -> anyhow::Result<(Desk, f64)> {
        // The one before is killed, and its folder is its own until the kernel has cleared it away.
        let name = Uuid::now_v7();
        let config = self.folder.path().join(format!("{name}.toml"));
        let said = format!(
            "agent = \"ana\"\nhub = \"ws://{}\"\nsecret_file = \"secret\"\nlanguage = \"en\"\ndata = \"{name}\"\n",
            self.hub.address
        );
        std::fs::write(&config, said)?;
        let mut command = bounded(program("pinkas-agent")?);
        command.arg("--config").arg(&config).env("RUST_LOG", "warn");
        command.env("DISPLAY", self.screen.display()).env_remove("WAYLAND_DISPLAY");
        let began = Instant::now();
        let running = Running::start("pinkas-agent", command, &self.folder.path().join("agent.log"))?;
        self.hub.welcomed().await.with_context(|| running.last_words())?;
        let call = CallId(Uuid::now_v7());
        self.hub.tell(vec![rings(call, "First of all")?]).await?;
        let popup = until("the first call to be seen", AT_MOST, async || {
            let popup = self.eye.find(b"Pinkas call").ok()??;
            self.eye.name(popup).ok()?.map(|_| popup)
        });
        let popup = popup.await.context(running.last_words())?;
        let took = ms(began);
        let main = until("the main window", AT_MOST, async || self.eye.find(b"Pinkas").ok()?).await?;
        self.eye.watch(popup)?;
        self.eye.watch(main)?;
        self.hub.tell(vec![gone(call)]).await?;
        ensure!(block_in_place(|| self.eye.hidden(popup, Instant::now() + AT_MOST))?, "the pop-up stays");
        Ok((Desk { _running: running, config, main, popup }, took))
    }

    /// So many calls pop and go, one after the other; how long each took to be seen.
    async fn pops(&self, desk: &Desk, count: usize, last: &mut Vec<u8>) -> anyhow::Result<Times> {
        let mut times = Vec::with_capacity(count);
        for n in 0..count {
            let call = CallId(Uuid::now_v7());
            let update = rings(call, &format!("Caller {}", 1_000 + n))?;
            self.eye.drain()?;
            let sent = self.hub.tell(vec![update]).await?;
            let seen = block_in_place(|| self.eye.other_name(desk.popup, last, sent + AT_MOST))?;
            let Some(name) = seen else { bail!("call {n} was not seen within {AT_MOST:?}") };
            times.push(ms(sent));
            *last = name;
            self.hub.tell(vec![gone(call)]).await?;
            let hidden = block_in_place(|| self.eye.hidden(desk.popup, Instant::now() + AT_MOST))?;
            ensure!(hidden, "call {n} does not go");
            // Calls do not wait for the end of a frame: neither at its beginning nor at its end.
            tokio::time::sleep(Duration::from_millis((n * 7 % 11) as u64)).await;
        }
        Ok(Times::of(times))
    }

    async fn x(&self, arguments: &[&str]) -> anyhow::Result<()> {
        self.screen.run("xdotool", arguments).await.map(drop)
    }
}

async fn starts(office: &mut Office, verdict: &mut Verdict) -> anyhow::Result<()> {
    // The first reads the program from the disk.
    drop(office.start().await?);
    let mut times = Vec::new();
    for _ in 0..STARTS {
        times.push(office.start().await?.1);
    }
    let times = Times::of(times);
    times.print(&format!("{STARTS} warm starts, until a call is seen"));
    verdict.at_most("warm start until a call is seen, p50 ms", times.share(0.5), 1_000.0);
    Ok(())
}

/// The main window is not seen, as mostly: another program's lies over it, or it is minimised.
async fn unseen(office: &Office, desk: &Desk, last: &mut Vec<u8>) -> anyhow::Result<()> {
    let cover = office.eye.cover()?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    office.pops(desk, POPS_UNSEEN, last).await?.print(&format!("{POPS_UNSEEN} pops, main window covered"));
    office.eye.uncover(cover)?;
    let main = desk.main.to_string();
    office.x(&["windowminimize", "--sync", &main]).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    office.pops(desk, POPS_UNSEEN, last).await?.print(&format!("{POPS_UNSEEN} pops, main window minimised"));
    office.x(&["windowmap", "--sync", &main]).await
}

/// Each call takes the place of the one before.
async fn rate(office: &Office, desk: &Desk, last: &mut Vec<u8>, verdict: &mut Verdict) -> anyhow::Result<()> {
    let count = RATE * RATE_LASTS.as_secs() as u32;
    let spent = desk.processes().cpu();
    let telling = async {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
        let mut before = None;
        for n in 0..count {
            ticks.tick().await;
            let call = CallId(Uuid::now_v7());
            let updates = [Some(rings(call, &format!("Caller {}", 5_000 + n))?), before.map(gone)];
            office.hub.tell(updates.into_iter().flatten().collect()).await?;
            before = Some(call);
        }
        anyhow::Ok(before)
    };
    let watching = async {
        let end = Instant::now() + RATE_LASTS;
        let mut changes: Vec<Instant> = Vec::new();
        // In short turns, so that the telling goes on meanwhile.
        while Instant::now() < end {
            let turn = Instant::now() + Duration::from_millis(2);
            if let Some(name) = office.eye.other_name(desk.popup, last, turn)? {
                changes.push(Instant::now());
                *last = name;
            }
            tokio::task::yield_now().await;
        }
        anyhow::Ok(changes)
    };
    let (told, changes) = tokio::join!(telling, watching);
    let changes = changes?;
    let between = changes.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1000.0);
    let between = Times::of(between.collect());
    between.print(&format!("{RATE} pops a second, between two names seen"));
    let share = (desk.processes().cpu() - spent).as_secs_f64() / RATE_LASTS.as_secs_f64() * 100.0;
    println!("{:<58} {} of {count} names, {share:.0} % of a core", "  of which were seen", changes.len());
    verdict.at_most("100 pops a second, between two names seen, p99 ms", between.share(0.99), 33.0);
    if let Some(call) = told? {
        office.hub.tell(vec![gone(call)]).await?;
        ensure!(
            block_in_place(|| office.eye.hidden(desk.popup, Instant::now() + AT_MOST))?,
            "the last stays"
        );
    }
    Ok(())
}

async fn idle(office: &Office, desk: &Desk, verdict: &mut Verdict) -> anyhow::Result<()> {
    // What was begun before may end.
    tokio::time::sleep(Duration::from_secs(1)).await;
    office.eye.drain()?;
    let spent = desk.processes().cpu();
    let end = Instant::now() + IDLE;
    let drawn = block_in_place(|| {
        let mut drawn = 0;
        while let Some(seen) = office.eye.next(end)? {
            drawn += usize::from(matches!(seen, Seen::Drawn(_)));
        }
        anyhow::Ok(drawn)
    })?;
    let share = (desk.processes().cpu() - spent).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    println!("{:<58} {drawn} repaints, {share:.3} % of a core", format!("idle for {} s", IDLE.as_secs()));
    verdict.at_most("idle: repaints in 15 s", drawn as f64, 0.0);
    verdict.at_most("idle: % of a core", share, 0.5);
    Ok(())
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// A call of a known customer that rings here, with the three usual cards filled.
fn rings(call: CallId, name: &str) -> anyhow::Result<Update> {
    let now = Timestamp::now();
    let money =
        |amount: &str| anyhow::Ok(Money { amount: amount.parse()?, currency: Some("PLN".to_owned()) });
    let key = CustomerKey::parse("1001")?;
    let card = |source: &str, gives, facts| {
        let state = CardState::Filled { facts, as_of: now, took_ms: 96, late: false, old: None };
        anyhow::Ok(Card::new(SourceName::parse(source)?, gives, Some(key.clone()), state))
    };
    let balance = Balance {
        balance: Some(money("1250")?),
        overdue: Some(money("430")?),
        oldest_due: "2026-11-03".parse().ok(),
    };
    let credit = Credit { limit: Some(money("5000")?), days: Some(30), ..Credit::default() };
    let bought = |product: &str, amount| {
        let quantity = Some("2".parse()?);
        let date = "2026-11-14".parse().ok();
        anyhow::Ok(Purchase { date, product: product.to_owned(), quantity, amount: Some(money(amount)?) })
    };
    let purchases = vec![
        bought("Exterior paint, 10 l", "318")?,
        bought("Deck boards", "1104")?,
        bought("Screws", "86.5")?,
    ];
    let cards = vec![
        card("accounting", Gives::Balance, Facts::Balance(balance))?,
        card("accounting", Gives::Credit, Facts::Credit(credit))?,
        card("sales", Gives::Purchases, Facts::Purchases { purchases })?,
    ];
    let customer = Customer::new(key, name.to_owned(), SourceName::parse("customers")?);
    let caller = Caller {
        number: Some(Number::E164 { e164: "+48601234567".to_owned() }),
        name: Some(Private("Z. Wisniewska".to_owned())),
        ..Caller::default()
    };
    let ringing = Offer { agent: None, rang_at: now, passed_on_by: None, state: OfferState::Ringing };
    let view = CallView {
        id: call,
        facts: CallFacts { caller, queue: QueueName::parse("Support").ok(), ..CallFacts::default() },
        arrived_at: now,
        waits: None,
        offers: [(line("101"), ringing)].into(),
        who: Who::Known { customer },
        cards,
        identified: None,
        ended: None,
        entries: Vec::new(),
        trial: false,
    };
    Ok(Update::Call { view: Box::new(view) })
}

/// The call has become one with another: its card goes at once, where that of one who gave up would fade.
fn gone(call: CallId) -> Update {
    let how = EndedHow::Joined { into: CallId(Uuid::now_v7()) };
    Update::Ended { call, ended: Ended { at: Timestamp::now(), how } }
}
