//! How often a wrong secret may be tried: by name and by address, waiting twice as long after each further
//! failure. Says the same of names that exist and of those that do not. Pure: told the time.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Names, and addresses, that are remembered; those that may go on soonest are forgotten first.
const MOST: usize = 10_000;
/// No wait is longer: a person whose name somebody else tried gets in again.
const LONGEST: Duration = Duration::from_secs(60);

/// Failures at one kind of thing.
struct Limit {
    /// So many cost nothing.
    free: u32,
    /// One failure is forgotten in this time.
    forgotten_in: Duration,
}

const NAME: Limit = Limit { free: 5, forgotten_in: Duration::from_secs(300) };
// Many people can share an address.
const ADDRESS: Limit = Limit { free: 30, forgotten_in: Duration::from_secs(5) };

/// Failures not yet forgotten.
#[derive(Default)]
pub struct Attempts {
    names: BTreeMap<String, Failures>,
    addresses: BTreeMap<IpAddr, Failures>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Duration,
    next: Duration,
}

impl Attempts {
    /// Whether a secret may be tried now (time since the hub's start).
    pub fn may(&self, name: &str, from: IpAddr, now: Duration) -> bool {
        let over = |failures: Option<&Failures>| failures.is_none_or(|failures| now >= failures.next);
        over(self.names.get(name)) && over(self.addresses.get(&network(from)))
    }

    /// A secret is tried for a name; taken back by [`Attempts::succeeded`].
    pub fn tries(&mut self, name: &str, now: Duration) {
        count(&mut self.names, name.to_owned(), &NAME, now);
    }

    /// A wrong secret came from an address.
    pub fn failed(&mut self, from: IpAddr, now: Duration) {
        count(&mut self.addresses, network(from), &ADDRESS, now);
    }

    /// The right secret came for a name.
    pub fn succeeded(&mut self, name: &str) {
        self.names.remove(name);
    }
}

fn count<K: Ord + Clone>(all: &mut BTreeMap<K, Failures>, key: K, limit: &Limit, now: Duration) {
    if all.len() >= MOST && !all.contains_key(&key) {
        let mut order: Vec<_> = all.iter().map(|(key, seen)| (seen.next, seen.last, key.clone())).collect();
        order.sort();
        // Many at once, so that a flood does not sort them all for each.
        for (_, _, key) in order.into_iter().take(MOST / 10) {
            all.remove(&key);
        }
    }
    let failures = all.entry(key).or_insert(Failures { count: 0, last: now, next: now });
    let idle = now.saturating_sub(failures.last).as_millis() / limit.forgotten_in.as_millis();
    failures.count = failures.count.saturating_sub(u32::try_from(idle).unwrap_or(u32::MAX)).saturating_add(1);
    failures.last = now;
    let beyond = failures.count.saturating_sub(limit.free);
    let wait = if beyond == 0 { Duration::ZERO } else { Duration::from_secs(1 << (beyond - 1).min(6)) };
    failures.next = now + wait.min(LONGEST);
}

/// Whoever has one IPv6 address has the 2^64 beside it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn each_failure_beyond_the_free_ones_doubles_the_wait_up_to_a_minute() {
        let mut attempts = Attempts::default();
        let mut now = Duration::ZERO;
        let mut waits = Vec::new();
        for _ in 0..14 {
            let mut waited = 0;
            while !attempts.may("ana", address(1), now) {
                now += Duration::from_secs(1);
                waited += 1;
            }
            waits.push(waited);
            attempts.tries("ana", now);
        }
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(attempts.may("bob", address(1), now), "another name is not concerned");
        attempts.succeeded("ana");
        assert!(attempts.may("ana", address(1), now));
    }

    #[test]
    fn one_address_trying_many_names_is_slowed_and_a_whole_network_counts_as_one() {
        let mut attempts = Attempts::default();
        for n in 0..40 {
            attempts.tries(&format!("name {n}"), Duration::ZERO);
            attempts.failed(format!("2001:db8::{n:x}").parse().expect("an address"), Duration::ZERO);
        }
        let beside = "2001:db8::ffff".parse().expect("an address");
        assert!(!attempts.may("new", beside, Duration::from_secs(50)));
        assert!(attempts.may("new", address(1), Duration::ZERO));
        assert!(attempts.may("new", beside, Duration::from_secs(61)));
    }

    #[test]
    fn a_flood_of_names_and_addresses_is_forgotten_not_collected() {
        let mut attempts = Attempts::default();
        for _ in 0..9 {
            attempts.tries("ana", Duration::ZERO);
        }
        for n in 0..12_000 {
            attempts.tries(&format!("name {n}"), Duration::from_millis(1));
            attempts.failed(address(n), Duration::from_millis(1));
        }
        assert!(attempts.names.len() <= MOST && attempts.addresses.len() <= MOST);
        assert!(!attempts.may("ana", address(1), Duration::from_secs(1)), "a flood frees nobody who waits");
    }
}
