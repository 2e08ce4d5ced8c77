//! What gathering adds to the slowest of five web services, beside a bare reqwest call to the same server in
//! the same run, in turn. Both are timed from the moment the slowest answer leaves the server, so that how long
//! it was held does not count. Ends with 1 when it is more than promised. `make bench` runs it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use pinkas_hub::gather::{Gather, LandedWhat};
use pinkas_hub::identify::{Brought, Rules};
use pinkas_hub::last::{self, Place};
use pinkas_hub::sources::{ConfiguredSource, read};
use pinkas_protocol::card::Balance;
use pinkas_protocol::{CallId, CardState, Customer, CustomerKey, Facts, Money, NumberPlan, SourceName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

const ROUNDS: usize = 7;
/// Questions of each kind in a round.
const QUESTIONS: usize = 300;
/// How long the slowest service holds its answer.
const SLOWEST: Duration = Duration::from_millis(5);
/// As many answers as the hub keeps figures of.
const MOST_KEPT: u32 = 50_000;
const MOST_P50_US: f64 = 100.0;
const MOST_P99_US: f64 = 2000.0;

/// When the last answer of the slowest service left.
type Left = Arc<Mutex<Instant>>;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    // `cargo test --benches` only wants to know that this builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(ExitCode::SUCCESS);
    }
    let left: Left = Arc::new(Mutex::new(Instant::now()));
    let at = serve(left.clone()).await?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let slowest = format!("http://{at}/slowest/");
    let dir = tempfile::tempdir()?;
    let (gather, mut landed, keeper) = gathering(dir.path(), at)?;

    let profile = if cfg!(debug_assertions) { "without optimisation" } else { "optimised" };
    println!("{ROUNDS} rounds of {QUESTIONS} questions each, {profile}; µs after the slowest answer left\n");
    println!(
        "{:<8} {:>10} {:>10} {:>12} {:>12}",
        "round", "bare p50", "bare p99", "gather p50", "gather p99"
    );
    let (mut added_p50, mut added_p99) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (mut bare, mut whole) = (Vec::new(), Vec::new());
        for n in 0..QUESTIONS {
            let answer = client.get(format!("{slowest}{n}")).send().await?.bytes().await?;
            bare.push(since(&left));
            anyhow::ensure!(!answer.is_empty(), "the service answers");
            all_cards(&gather, &mut landed, n).await?;
            whole.push(since(&left));
        }
        // The first round opens the connections.
        if round > 0 {
            let [bare_p50, bare_p99, p50, p99] = [
                at_part(&mut bare, 0.5),
                at_part(&mut bare, 0.99),
                at_part(&mut whole, 0.5),
                at_part(&mut whole, 0.99),
            ];
            println!("{round:<8} {bare_p50:>10.1} {bare_p99:>10.1} {p50:>12.1} {p99:>12.1}");
            added_p50.push(p50 - bare_p50);
            added_p99.push(p99 - bare_p99);
        }
    }
    drop(gather);
    if let Some(keeper) = keeper {
        keeper.close().await?;
    }
    println!("\n{}", opening(at).await?);
    let mut code = ExitCode::SUCCESS;
    for (part, mut added, most) in [("p50", added_p50, MOST_P50_US), ("p99", added_p99, MOST_P99_US)] {
        let added = at_part(&mut added, 0.5);
        let word = if added <= most { "PASS" } else { "FAIL" };
        println!(
            "{word} gathering from five sources adds {added:.1} µs to a bare call ({part}), at most {most} µs"
        );
        if added > most {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn since(left: &Left) -> f64 {
    let left = *left.lock().unwrap_or_else(PoisonError::into_inner);
    left.elapsed().as_secs_f64() * 1e6
}

/// The value below which that part of them is; of 0.5, the middle one.
fn at_part(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}

/// Five web services as an administrator writes them, gathered as the hub does, last figures kept.
fn gathering(
    dir: &Path,
    at: SocketAddr,
) -> anyhow::Result<(Gather, mpsc::Receiver<pinkas_hub::gather::Landed>, Option<last::Keeper>)> {
    let sources = written(dir, at)?;
    let place = Place { state: dir.to_owned(), key: dir.join("last-known.key") };
    let (last, keeper) = last::open(&place, &sources)?;
    let (landed_in, landed) = mpsc::channel(64);
    Ok((Gather::keeping(sources, Rules::default(), landed_in, last), landed, keeper))
}

fn written(dir: &Path, at: SocketAddr) -> anyhow::Result<Vec<ConfiguredSource>> {
    let source = |name: &str| {
        format!(
            "[[source]]\nname = \"{name}\"\ngives = \"balance\"\nhttp = \"http://{at}/{name}/{{customer.id}}\"\n\
             [source.fields]\nbalance = \"$.amount\"\n"
        )
    };
    let text: String = ["a", "b", "c", "d", "slowest"].map(source).concat();
    let plan = NumberPlan::default();
    let sources = pinkas_config::parse(&dir.join("hub.toml"), &text, |section| Some(read(section, &plan)));
    sources.map_err(|mistakes| anyhow::anyhow!("{mistakes}"))
}

/// How long a start takes to read as many last figures as are ever kept.
async fn opening(at: SocketAddr) -> anyhow::Result<String> {
    let dir = tempfile::tempdir()?;
    let name = SourceName::parse("slowest")?;
    let sources = written(dir.path(), at)?;
    let print = sources.iter().find(|source| source.name == name).map_or(0, |source| source.print);
    let place = Place { state: dir.path().to_owned(), key: dir.path().join("last-known.key") };
    let (last, keeper) = last::open(&place, &sources)?;
    let money = |amount: u32| Some(Money { amount: amount.into(), currency: Some("PLN".to_owned()) });
    for n in 0..MOST_KEPT {
        let facts = Balance { balance: money(n), overdue: money(n / 3), oldest_due: None };
        let label = last::Label {
            slot: format!("{n:032x}").try_into()?,
            source: name.clone(),
            print,
            customer: CustomerKey::parse(&n.to_string()).ok(),
            number: NumberPlan::default().read(&format!("+972501{n:06}")),
            as_of: jiff::Timestamp::now(),
        };
        last.keep(label, &Facts::Balance(facts));
        // No more than the thread that writes has room for.
        while last.figures().entries + 500 < n as usize {
            tokio::task::yield_now().await;
        }
    }
    keeper.context("figures are kept")?.close().await?;
    let began = Instant::now();
    let (last, keeper) = last::open(&place, &sources)?;
    let (took, figures) = (began.elapsed(), last.figures());
    keeper.context("figures are kept")?.close().await?;
    Ok(format!("a start reads {} last figures in {:.0} ms", figures.entries, took.as_secs_f64() * 1e3))
}

async fn all_cards(
    gather: &Gather,
    landed: &mut mpsc::Receiver<pinkas_hub::gather::Landed>,
    n: usize,
) -> anyhow::Result<()> {
    let call: CallId = "00000000-0000-7000-8000-000000000001".parse()?;
    let customer =
        Customer::new(CustomerKey::parse(&n.to_string())?, "x".to_owned(), SourceName::parse("d")?);
    gather.ask_cards(call, Brought::default(), customer);
    for _ in 0..5 {
        let card = landed.recv().await.context("gathering has ended")?;
        let LandedWhat::Card { card, .. } = card.what else { anyhow::bail!("a card") };
        anyhow::ensure!(
            matches!(card.state, CardState::Filled { late: false, old: None, .. }),
            "a filled card"
        );
    }
    Ok(())
}

async fn serve(left: Left) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let at = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((link, _)) = listener.accept().await {
            tokio::spawn(answer(link, left.clone()));
        }
    });
    Ok(at)
}

async fn answer(mut link: TcpStream, left: Left) -> std::io::Result<()> {
    link.set_nodelay(true)?;
    let (mut request, mut part) = (Vec::new(), [0; 1024]);
    loop {
        let read = link.read(&mut part).await?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&part[..read]);
        // One question at a time comes on a connection.
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        let slowest = request.starts_with(b"GET /slowest/");
        request.clear();
        if slowest {
            tokio::time::sleep(SLOWEST).await;
            *left.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        link.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n{\"amount\": 1250.5}").await?;
    }
}
