//! What measuring takes: what a process costs, what the kernel dropped, and the adapter program started with a
//! configuration of the measurement's own. Measures only, judges nothing; Linux only.

pub mod copies;
pub mod hub;
pub mod program;
pub mod verdict;

use std::net::SocketAddrV4;
use std::path::Path;
use std::time::Duration;

/// All processes that were started with one word on their command line, such as the path of a configuration
/// file that nothing else has: the program and whatever it started.
#[derive(Debug, Clone)]
pub struct Processes {
    pids: Vec<u32>,
}

impl Processes {
    /// Those that run now; the one that asks is left out.
    pub fn with(word: &Path) -> Processes {
        let word = word.display().to_string();
        let running = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = running.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let has = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            *pid != std::process::id() && String::from_utf8_lossy(&line).contains(&word)
        };
        Processes { pids: pids.filter(has).collect() }
    }

    /// Time on a processor so far, of all threads, in user and kernel mode.
    pub fn cpu(&self) -> Duration {
        self.pids.iter().map(|pid| cpu_of(*pid)).sum()
    }

    /// Resident memory now, in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.pids.iter().filter_map(|pid| status(*pid, "VmRSS:")).sum()
    }

    /// The most resident memory there ever was, in KiB.
    pub fn peak_kib(&self) -> u64 {
        self.pids.iter().filter_map(|pid| status(*pid, "VmHWM:")).sum()
    }
}

/// To the nanosecond, where `stat` counts in hundredths of a second. Threads that have ended are not in it; none
/// of the programs measured ends one under load.
fn cpu_of(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of_thread = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(of_thread.sum())
}

/// Time the calling thread has spent on a processor.
pub fn own_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0))
}

fn status(pid: u32, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    // `timeout` and `setpriv`, which lead each program, hold a few hundred KiB that are not the program's.
    let leader =
        text.lines().next().is_some_and(|name| name.ends_with("timeout") || name.ends_with("setpriv"));
    line.split_whitespace().nth(1)?.parse().ok().filter(|_| !leader)
}

/// How many datagrams the kernel dropped at this address because the program was too slow.
pub fn dropped_at(address: SocketAddrV4) -> u64 {
    at_socket(address, |row| row.split_whitespace().last()?.parse().ok())
}

/// How many bytes wait at this address for the program to take them.
pub fn waiting_at(address: SocketAddrV4) -> u64 {
    let queues = |row: &str| Some(row.split_whitespace().nth(4)?.split_once(':')?.1.to_owned());
    at_socket(address, |row| u64::from_str_radix(&queues(row)?, 16).ok())
}

fn at_socket(address: SocketAddrV4, figure: impl Fn(&str) -> Option<u64>) -> u64 {
    let wanted = format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port());
    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let rows = table.lines().filter(|row| row.split_whitespace().nth(1) == Some(wanted.as_str()));
    rows.filter_map(figure).sum()
}

/// Sends paced: `send` is called `rate` times a second for as long as `lasting`, on the calling thread, in
/// batches of what is due every millisecond. What is late is sent at once, none is left out. Gives how many.
pub fn paced(rate: u32, lasting: Duration, mut send: impl FnMut(u64)) -> u64 {
    let began = tokio::time::Instant::now();
    let all = u64::from(rate) * u64::try_from(lasting.as_millis()).unwrap_or(0) / 1000;
    let mut sent = 0;
    while sent < all {
        let due = u64::from(rate) * u64::try_from(began.elapsed().as_micros()).unwrap_or(0) / 1_000_000;
        while sent < due.min(all) {
            send(sent);
            sent += 1;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    sent
}

/// Lets this process, and what it starts from now on, have as many connections as this machine allows it; says how many.
pub fn raise_open_files() -> u64 {
    let allowed = || {
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let line = limits.lines().find(|line| line.starts_with("Max open files"));
        let mut numbers = line.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok());
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    };
    let (_, most): (u64, u64) = allowed();
    // A program does it, as the standard library cannot and unsafe code is not wanted here.
    let wish = ["--pid".to_owned(), std::process::id().to_string(), format!("--nofile={most}")];
    let _stays_as_it_is = std::process::Command::new("prlimit").args(wish).status();
    allowed().0
}

/// The value below which that part of them is, such as 0.99 of them.
pub fn at_part(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}

/// The middle one; of an even number, the upper of the two.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
