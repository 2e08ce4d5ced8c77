//! `[dialog_events]`: hearing by SIP SUBSCRIBE.

use std::time::Duration;

use pinkas_config::Section;

use super::sip_account::{self, SipAccount};

/// How to subscribe to a phone system's dialog events.
#[derive(Debug, Clone)]
pub struct DialogEvents {
    /// Where and as whom.
    pub account: SipAccount,
    /// How long one subscription lasts; it is refreshed at half time.
    pub expires: Duration,
    /// The phone system's resource list that names all lines (RFC 4662); one subscription for each line
    /// when absent.
    pub list: Option<String>,
    /// How often the phone system is asked for a sign of life.
    pub ping: Duration,
}

pub(super) fn read(section: &mut Section<'_>) -> Option<DialogEvents> {
    let account = sip_account::read(section, "the SIP account that may subscribe");
    let list = section.text("list");
    if list.as_ref().is_some_and(|list| list.len() > 64 || list.contains(['@', ' '])) {
        section.note("list", "`list` must be the list's name alone such as \"agents\"");
    }
    let mut within = |key: &str, usual: u64, least: u64, most: u64| {
        let duration = section.duration(key).unwrap_or(Duration::from_secs(usual));
        if !(Duration::from_secs(least)..=Duration::from_secs(most)).contains(&duration) {
            section.note(key, format!("`{key}` must be from \"{least}s\" to \"{most}s\""));
        }
        duration
    };
    let expires = within("expires", 60, 2, 3600);
    let ping = within("ping", 15, 5, 60);
    Some(DialogEvents { account: account?, expires, list, ping })
}
