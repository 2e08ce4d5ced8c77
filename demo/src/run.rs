//! The demo itself: builds an office in a temporary folder, starts every part in this process, and lets
//! the scripted calls ring until it is stopped.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use jiff::{Timestamp, Zoned};
use pinkas_agent::model::Model;
use pinkas_agent::net::{self, NetEvent, Pass};
use pinkas_protocol::agent_link::AgentSays;
use pinkas_protocol::{CallId, Line, Who};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::company::{self, accounting::Accounting};
use crate::office::{self, Office, Places};
use crate::pbx::Pbx;
use crate::script::{self, Phones};
use crate::terminal::Terminal;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// Cards in the terminal.
    Terminal,
    /// The agent's window.
    Window,
}

/// How the demo runs.
#[derive(Debug, Clone, Copy)]
pub struct Demo {
    /// What is shown.
    pub screen: Screen,
    /// End after this many calls, or never.
    pub calls: Option<usize>,
}

/// How long the demo's agent looks at two customers before choosing one.
const CHOOSES_AFTER: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_secs(3);

/// Runs until `stop`, or until the calls have been played.
pub async fn run(demo: Demo, stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminal = Terminal::default();
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let today = Zoned::now().date();
    terminal.say(
        "A sample company: customers.csv, credit.csv, sales.db (SQLite) and an accounting service over HTTP",
    );
    company::write(folder.path(), today).await?;
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let accounting =
        Accounting::start(local, today).await.context("the accounting service does not start")?;
    let password = office::new_secret();
    let pbx =
        Pbx::start(office::pbx_config(local, &password)).await.context("the phone system does not start")?;
    let listener = TcpListener::bind(local).await.context("the hub finds no free port")?;
    let places = Places {
        dir: folder.path().to_owned(),
        hub: listener.local_addr()?,
        pbx: pbx.address(),
        pbx_password: password,
        balance_url: accounting.balance_url(),
        more_hub: String::new(),
    };
    let office = office::write(&places)?;
    terminal.say(&format!(
        "A pretend phone system at {} speaks SIP; a hub listens on {}",
        places.pbx, places.hub
    ));
    let parts = start(&office, listener, &stop)?;
    let events = watch(&office, &stop)?;
    pbx.subscribed(&office::lines()).await;
    terminal.say("The adapter follows lines 101 (Ana), 102 (Bob) and 103 (Celina). Ctrl-C ends the demo.");

    let scripted = play(&pbx, demo, events, terminal, &stop);
    match demo.screen {
        Screen::Terminal => scripted.await,
        Screen::Window => tokio::select! {
            () = scripted => {}
            ended = window(&office, &stop) => ended?,
        },
    }
    stop.cancel();
    parts.await;
    println!("\nStopped. Nothing was left behind.");
    Ok(())
}

/// Starts hub and adapter; the future ends when both have.
fn start(
    office: &Office,
    listener: TcpListener,
    stop: &CancellationToken,
) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    let hub = pinkas_hub::config::load(&office.hub)?;
    let adapter = pinkas_sip_adapter::config::load(&office.adapter)?;
    let hub = tokio::spawn(part("hub", pinkas_hub::run::run(hub, listener, stop.clone()), stop.clone()));
    let adapter =
        tokio::spawn(part("adapter", pinkas_sip_adapter::run::run(adapter, stop.clone()), stop.clone()));
    Ok(async move {
        let _ = tokio::join!(hub, adapter);
    })
}

async fn part(name: &str, work: impl Future<Output = anyhow::Result<()>>, stop: CancellationToken) {
    if let Err(e) = work.await {
        tracing::error!("the {name} stopped: {e:#}");
        stop.cancel();
    }
}

/// Ana's desktop without its window: what reaches it, and the way back for her choices.
struct Watch {
    events: mpsc::Receiver<NetEvent>,
    says: mpsc::Sender<AgentSays>,
}

fn watch(office: &Office, stop: &CancellationToken) -> anyhow::Result<Watch> {
    let mut config = pinkas_agent::config::load(&office.agents["ana"])?;
    let secret = config.secret.take().ok_or_else(|| anyhow::anyhow!("the demo's desktop has no secret"))?;
    let (events_in, events) = mpsc::channel(net::MOST_EVENTS);
    let (says, says_out) = mpsc::channel(net::MOST_SAID);
    tokio::spawn(net::run(
        config,
        Pass::Configured(secret),
        events_in,
        says_out,
        net::nobody_sleeps(),
        stop.clone(),
    ));
    Ok(Watch { events, says })
}

async fn play(pbx: &Pbx, demo: Demo, mut watch: Watch, mut terminal: Terminal, stop: &CancellationToken) {
    let [Some(here), Some(colleague), Some(third)] = ["101", "102", "103"].map(|line| Line::parse(line).ok())
    else {
        return;
    };
    let scenes = script::scenes(&Phones { here, colleague, third });
    let mut model = Model::new(jiff::tz::TimeZone::system());
    let (titles_in, mut titles) = mpsc::channel(8);
    let rounds = async {
        let all = scenes.iter().cycle().take(demo.calls.unwrap_or(usize::MAX));
        for scene in all {
            if stop.is_cancelled() || titles_in.send(scene.title).await.is_err() {
                return;
            }
            script::play(pbx, scene, stop).await;
            let _ = stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
        }
    };
    let show = async {
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        let mut choosing: Option<(CallId, tokio::time::Instant)> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                title = titles.recv() => match title {
                    Some(title) => terminal.say(&format!("\n▸ {title}")),
                    None => return,
                },
                event = watch.events.recv() => match event {
                    Some(event) => model.apply(event),
                    None => return,
                },
                _ = tick.tick() => {}
            }
            let now = Timestamp::now();
            match demo.screen {
                Screen::Terminal => {
                    terminal.show(&model, now);
                    choose(&model, now, &mut choosing, &watch.says);
                }
                Screen::Window => terminal.say_time(&model, now),
            }
        }
    };
    tokio::select! {
        () = rounds => {}
        () = show => {}
    }
}

/// As Ana would with a click: after a moment she picks the first of several customers.
fn choose(
    model: &Model,
    now: Timestamp,
    choosing: &mut Option<(CallId, tokio::time::Instant)>,
    says: &mpsc::Sender<AgentSays>,
) {
    let Some(pop) = model.pop(now) else { return };
    let Who::Several { customers, chosen: None } = &pop.view.who else { return };
    let since = match choosing {
        Some((call, since)) if *call == pop.view.id => *since,
        _ => choosing.insert((pop.view.id, tokio::time::Instant::now())).1,
    };
    if let Some(first) = customers.first().filter(|_| since.elapsed() >= CHOOSES_AFTER) {
        // A full queue means that the link is down: she tries again at the next look.
        let customer = Some(first.key.clone());
        let _ = says.try_send(AgentSays::Choose { call: pop.view.id, customer });
    }
}

/// The agent's program with its window; the demo ends when it is closed.
async fn window(office: &Office, stop: &CancellationToken) -> anyhow::Result<()> {
    let here = std::env::current_exe().context("this program's folder is not known")?;
    let program =
        here.parent().unwrap_or(Path::new(".")).join(format!("pinkas-agent{}", std::env::consts::EXE_SUFFIX));
    let mut child = tokio::process::Command::new(&program)
        .arg("--config")
        .arg(&office.agents["ana"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| {
            format!("cannot start {}; build it with: cargo build --workspace --bins", program.display())
        })?;
    tokio::select! {
        ended = child.wait() => {
            let ended = ended?;
            anyhow::ensure!(ended.success(), "the agent's window ended with {ended}");
            Ok(())
        }
        () = stop.cancelled() => Ok(()),
    }
}
