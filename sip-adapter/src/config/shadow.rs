//! `[shadow]`: hearing by an extension of the adapter's own, which rings in a ring group and never answers.

use std::time::Duration;

use pinkas_config::Section;
use pinkas_protocol::Line;

use super::sip_account::{self, SipAccount};

/// How to register the shadow extension.
#[derive(Debug, Clone)]
pub struct Shadow {
    /// Where and as whom.
    pub account: SipAccount,
    /// The extension; the account's name when not written.
    pub extension: String,
    /// How long one registration lasts; it is refreshed at half time.
    pub expires: Duration,
    /// After ringing so long a call is refused, so that it rings at people's phones only.
    pub ring_timeout: Duration,
}

/// RFC 3261 section 16.6: nobody lets a call ring longer (Timer C).
const LONGEST_RING: Duration = Duration::from_secs(180);

pub(super) fn read(section: &mut Section<'_>, lines: &[Line]) -> Option<Shadow> {
    let account = sip_account::read(section, "the SIP account of the shadow extension");
    let extension = section.text("extension");
    if extension.as_ref().is_some_and(|name| name.is_empty() || name.len() > 64 || name.contains(['@', ' ']))
    {
        section.note("extension", "`extension` must be the extension alone such as \"199\"");
    }
    for (key, name) in
        [("user", account.as_ref().map(|account| &account.user)), ("extension", extension.as_ref())]
    {
        if let Some(line) = name.and_then(|name| lines.iter().find(|line| line.as_str() == *name)) {
            section.note(
                key,
                format!(
                    "`{key}` is the followed line \"{line}\": a person's phone would lose calls to the adapter; give it \
                     an extension of its own that no phone uses"
                ),
            );
        }
    }
    let mut within = |key: &str, usual: Duration, least: u64, most: Duration| {
        let duration = section.duration(key).unwrap_or(usual);
        if !(Duration::from_secs(least)..=most).contains(&duration) {
            section.note(key, format!("`{key}` must be from \"{least}s\" to \"{}s\"", most.as_secs()));
        }
        duration
    };
    let expires = within("expires", Duration::from_secs(60), 10, Duration::from_secs(3600));
    let ring_timeout = within("ring_timeout", LONGEST_RING, 1, LONGEST_RING);
    let account = account?;
    let extension = extension.unwrap_or_else(|| account.user.clone());
    Some(Shadow { account, extension, expires, ring_timeout })
}
