//! The keys of `[pbx]` that say how callers, queues and tags are read out of messages.

use std::net::IpAddr;

use pinkas_config::Section;
use pinkas_protocol::call::MOST_TAGS;
use pinkas_protocol::{NumberPlan, TagName};

use crate::sip::charset::Charset;
use crate::sip::display::QueuePrefix;
use crate::sip::identity::Rules;
use crate::sip::tags::HeaderName;

/// Reads them; what is wrong is noted, and the program does not start.
pub(super) fn read(section: &mut Section<'_>, numbers: NumberPlan) -> Rules {
    let mut rules = Rules { numbers, ..Rules::default() };
    rules.trusted = section.parsed_list::<IpAddr>("trusted", "IP addresses such as \"192.0.2.10\"");
    rules.queue_prefixes = section.parsed_list::<QueuePrefix>(
        "queue_prefixes",
        "patterns with {queue} once and text after it, such as \"Q-{queue}:\"",
    );
    if let Some(header) = header(section, "queue_header", "X-Queue") {
        rules.queue_header = header;
    }
    if let Some(header) = header(section, "did_header", "X-DID") {
        rules.did_header = header;
    }
    if let Some(name) = section.text("charset") {
        rules.charset = Charset::named(&name);
        if rules.charset.is_none() {
            section.note("charset", "`charset` must be one such as \"windows-1255\" or \"iso-8859-2\"");
        }
    }
    rules.tags = tags(&mut section.table("tags"));
    rules
}

fn header(section: &mut Section<'_>, key: &str, example: &str) -> Option<HeaderName> {
    section.parsed(key, &format!("the name of a header such as \"{example}\""))
}

/// `[pbx.tags]`: the writer chooses the names.
fn tags(section: &mut Section<'_>) -> Vec<(TagName, HeaderName)> {
    let mut tags = Vec::new();
    let entries = section.entries();
    for (key, value) in &entries {
        let Ok(name) = TagName::parse(key) else {
            section.note(key, "the name of a tag must be 1 to 64 letters, such as `customer`");
            continue;
        };
        match value.parse() {
            Ok(header) => tags.push((name, header)),
            Err(_) => section.note(
                key,
                format!(
                    "`{key}` must be the name of a header such as \"X-Customer-Number\" or \
                     \"User-to-User;purpose=crm\""
                ),
            ),
        }
    }
    if let Some((key, _)) = entries.get(MOST_TAGS) {
        section.note(key, format!("a call can carry at most {MOST_TAGS} tags: remove this one"));
    }
    tags
}
