//! `[ami]`: hearing by Asterisk's manager interface.

use std::net::SocketAddr;

use pinkas_config::{Secret, Section};

use crate::hear::ami::names::Pattern;

/// How to log in to a manager interface.
#[derive(Debug, Clone)]
pub struct Ami {
    /// Its address, TCP.
    pub address: SocketAddr,
    /// The account, of `manager.conf`; it needs `read=agent,call` and `write=reporting`.
    pub user: String,
    /// The account's secret. It is never sent: a challenge is answered with it.
    pub secret: Secret,
    /// How the channels of a line's phone are called, such as `PJSIP/{line}`.
    pub channels: Vec<Pattern>,
}

const CHANNELS: [&str; 2] = ["PJSIP/{line}", "SIP/{line}"];

/// What phones' channels are called where nothing else is written.
pub fn usual_channels() -> Vec<Pattern> {
    CHANNELS.iter().filter_map(|pattern| pattern.parse().ok()).collect()
}

pub(super) fn read(section: &mut Section<'_>) -> Option<Ami> {
    let address = section.need_parsed::<SocketAddr>(
        "address",
        "the phone system's IP address and manager port such as \"192.0.2.10:5038\"",
    );
    let user = section.need_text("user", "the account of manager.conf");
    if user.as_ref().is_some_and(|user| user.chars().any(char::is_control)) {
        section.note("user", "`user` must be one line of text");
    }
    let secret = section.need_secret("secret");
    let mut channels = section
        .parsed_list::<Pattern>("channels", "channel names with {line} in them such as \"PJSIP/{line}\"");
    if channels.is_empty() {
        channels = usual_channels();
    }
    Some(Ami { address: address?, user: user?, secret: secret?, channels })
}
