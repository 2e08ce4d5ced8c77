//! Ports of this machine that the adapter would listen on: whether they can be had, and who probably has them.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::beside::Beside;
use super::{Finding, causes};
use crate::config::{SipAccount, Transport};

/// Who has a port that is taken, as far as can be told.
pub(super) fn taken_by(beside: Beside, port: u16) -> String {
    match beside {
        Beside::Adapter => "by the adapter that is running".to_owned(),
        Beside::Nobody => format!(
            "by another program, and no adapter with this `state` is running: `ss -lunpt sport = :{port}` shows whose it is"
        ),
    }
}

/// The account as a check can use it: where the configured port is taken, from a port that is free. And what there
/// is to say about that.
pub(super) fn for_check(way: &str, account: &SipAccount, beside: Beside) -> (SipAccount, Option<Finding>) {
    let mut account = account.clone();
    let Some(listen) = account.listen.filter(|listen| listen.port() != 0) else { return (account, None) };
    // Connections have ports of their own.
    if account.transport != Transport::Udp {
        return (account, None);
    }
    match UdpSocket::bind(listen) {
        Err(e) if e.kind() == ErrorKind::AddrInUse => {
            account.listen = Some(SocketAddr::new(listen.ip(), 0));
            let text = format!(
                "{way}: `listen` {listen} is taken {}; looked from another port instead",
                taken_by(beside, listen.port())
            );
            let finding = match beside {
                Beside::Adapter => Finding::good(text),
                Beside::Nobody => Finding::broken(text),
            };
            (account, Some(finding))
        }
        // Any other trouble is told when it is opened.
        _ => (account, None),
    }
}

/// `[metrics]`.
pub(super) fn figures(at: SocketAddr, beside: Beside) -> Finding {
    match (TcpListener::bind(at), beside) {
        (Ok(_), _) => Finding::good(format!("figures: {at} is free; they would be at http://{at}/metrics")),
        (Err(e), Beside::Adapter) if e.kind() == ErrorKind::AddrInUse => {
            Finding::good(format!("figures: the adapter that is running serves them at http://{at}/metrics"))
        }
        (Err(e), Beside::Nobody) if e.kind() == ErrorKind::AddrInUse => {
            Finding::broken(format!("figures: `listen` {at} is taken {}", taken_by(beside, at.port())))
        }
        (Err(e), _) => {
            let why = causes::in_words(&e.into());
            Finding::broken(format!("figures: cannot listen on {at} (`listen` in [metrics]): {why}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use pinkas_protocol::Private;

    use super::super::Level;
    use super::*;

    #[test]
    fn a_taken_port_is_told_with_who_probably_has_it() {
        let taken = TcpListener::bind("127.0.30.62:0").expect("a port");
        let at = taken.local_addr().expect("an address");
        let check = |beside, level, words: &str| {
            let found = figures(at, beside);
            assert!(found.level == level && found.text.contains(words), "{found}");
        };
        check(Beside::Adapter, Level::Good, "the adapter that is running serves them");
        check(Beside::Nobody, Level::Broken, "by another program");
        drop(taken);
        check(Beside::Nobody, Level::Good, "is free");
    }

    #[test]
    fn beside_a_running_adapter_another_port_is_used() {
        let taken = UdpSocket::bind("127.0.30.62:0").expect("a port");
        let listen = taken.local_addr().expect("an address");
        let account = SipAccount {
            address: "127.0.30.1:5060".parse().expect("an address"),
            transport: Transport::Udp,
            domain: "127.0.30.1".to_owned(),
            listen: Some(listen),
            user: "pinkas".to_owned(),
            password: Private("secret".to_owned()),
            realm: None,
        };
        let (used, told) = for_check("dialog events", &account, Beside::Adapter);
        assert_eq!(used.listen, Some(SocketAddr::new(listen.ip(), 0)));
        assert!(
            told.is_some_and(
                |told| told.level == Level::Good && told.text.contains("looked from another port")
            )
        );
        let told = for_check("dialog events", &account, Beside::Nobody).1;
        assert!(
            told.is_some_and(|told| told.level == Level::Broken && told.text.contains("another program"))
        );
        drop(taken);
        assert_eq!(for_check("dialog events", &account, Beside::Nobody).0.listen, Some(listen));
    }
}
