//! `check` for the shadow extension: asks who is registered for it, and says in words what came of it. It
//! registers nothing.

use pinkas_protocol::AdapterId;

use super::registrar::Registrar;
use super::registration::{Answered, Ask, Trouble};
use crate::check::{Finding, in_words};
use crate::config::Shadow;
use crate::hear::Way;
use crate::hear::sip_endpoint::SipEndpoint;

/// Asks the phone system, and says what works and what does not.
pub async fn probe(config: &Shadow, adapter: &AdapterId) -> Vec<Finding> {
    let endpoint = match SipEndpoint::open(&config.account, Way::Shadow).await {
        Ok((endpoint, _requests)) => endpoint,
        Err(e) => return vec![Finding::broken(format!("shadow extension: {}", in_words(&e)))],
    };
    let mut registrar = Registrar::new(config, adapter.as_str(), endpoint.clone());
    let answered = registrar.ask(&Ask::WhoIsThere).await;
    endpoint.close();
    findings(config, answered)
}

fn findings(config: &Shadow, answered: Answered) -> Vec<Finding> {
    let (extension, pbx) = (&config.extension, config.account.address);
    let trouble = match answered {
        Answered::Accepted { contacts, .. } if contacts.foreign.is_empty() => None,
        Answered::Accepted { contacts, .. } => Some(Trouble::Foreign(contacts.foreign)),
        Answered::TooBrief(_) => Some(Trouble::Refused { code: 423, retry_after: None }),
        Answered::Failed(trouble) => Some(trouble),
    };
    match trouble {
        Some(trouble) => vec![Finding::broken(format!(
            "shadow extension: {extension} could not be registered at {pbx}: {trouble}"
        ))],
        None => vec![
            Finding::good(format!(
                "shadow extension: the account of {extension} works at {pbx} over {}, and no phone uses it",
                config.account.transport_name()
            )),
            Finding::trap(format!(
                "shadow extension: it says who calls and whether a colleague answered or the caller hung up, not whose \
                 phone rings. Put {extension} into a ring group only, never into a queue: a queue takes it for a person"
            )),
        ],
    }
}

#[cfg(test)]
mod tests {
    use pinkas_protocol::Private;

    use super::*;
    use crate::check::Level;
    use crate::config::{SipAccount, Transport};
    use crate::hear::shadow::contacts::Contacts;

    fn check(answered: Answered, expected: &[(Level, &str)]) {
        let account = SipAccount {
            address: "192.0.2.10:5060".parse().expect("an address"),
            transport: Transport::Udp,
            domain: "192.0.2.10".to_owned(),
            listen: None,
            user: "199".to_owned(),
            password: Private("secret".to_owned()),
            realm: None,
        };
        let seconds = std::time::Duration::from_secs;
        let config =
            Shadow { account, extension: "199".to_owned(), expires: seconds(60), ring_timeout: seconds(180) };
        let found = findings(&config, answered);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (finding, (level, words)) in found.iter().zip(expected) {
            assert!(finding.level == *level && finding.text.contains(words), "{finding:?}");
        }
    }

    #[test]
    fn what_was_found_is_said_in_words() {
        let accepted = |foreign: &[&str]| {
            let foreign = foreign.iter().map(|host| (*host).to_owned()).collect();
            Answered::Accepted { contacts: Contacts { foreign, ..Contacts::default() }, granted: None }
        };
        check(
            accepted(&[]),
            &[(Level::Good, "no phone uses it"), (Level::Trap, "ring group only, never into a queue")],
        );
        check(accepted(&["192.0.2.7"]), &[(Level::Broken, "somebody else is registered for it (192.0.2.7)")]);
        check(Answered::Failed(Trouble::Password), &[(Level::Broken, "check `user` and the password")]);
        let refused = Trouble::Refused { code: 405, retry_after: None };
        check(Answered::Failed(refused), &[(Level::Broken, "refuses REGISTER with 405")]);
    }
}
