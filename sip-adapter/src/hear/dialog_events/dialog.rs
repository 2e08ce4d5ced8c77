//! One dialog with the notifier (RFC 6665): what a NOTIFY or a 2xx says of it, and which SUBSCRIBE comes
//! next. A NOTIFY may come before the 200 that opens its dialog and must be understood. Pure: no socket.

use std::time::Duration;

use crate::sip::identity::Rules;
use rsipstack::sip::{self, Header, HeadersExt, Response, Uri};

use super::policy::Ending;
use super::watch::{Told, Watch};
use crate::hear::sip_endpoint::{Notification, Reply, message};

/// A dialog, from the first SUBSCRIBE on.
#[derive(Debug)]
pub(super) struct Dialog {
    local_tag: String,
    remote_tag: Option<String>,
    remote_target: Option<Uri>,
    routes: Vec<String>,
    highest_cseq: Option<u32>,
    /// The Contact that `remote_target` was read from.
    contact: Option<String>,
    watch: Watch,
}

/// The most routes that are remembered.
const MOST_ROUTES: usize = 16;

/// What a NOTIFY says.
#[derive(Debug)]
pub(super) struct Notified {
    /// How to answer it.
    pub reply: Reply,
    /// What it says of lines.
    pub told: Told,
    /// It ends the subscription.
    pub ended: Option<Ending>,
}

/// What the next SUBSCRIBE of a dialog needs.
#[derive(Debug)]
pub(super) struct Step {
    /// Where to.
    pub uri: Option<Uri>,
    /// Our tag.
    pub local_tag: String,
    /// The notifier's tag, once there is a dialog.
    pub remote_tag: Option<String>,
    /// The route set.
    pub routes: Vec<String>,
    /// What this method needs.
    pub headers: Vec<Header>,
}

impl Dialog {
    /// One that no SUBSCRIBE was sent for yet.
    pub(super) fn new(local_tag: String, watch: Watch) -> Dialog {
        Dialog {
            local_tag,
            remote_tag: None,
            remote_target: None,
            routes: Vec::new(),
            highest_cseq: None,
            contact: None,
            watch,
        }
    }

    /// The notifier knows of it.
    pub(super) fn stands(&self) -> bool {
        self.remote_tag.is_some()
    }

    /// What the next SUBSCRIBE needs.
    pub(super) fn step(&self, expires: Duration) -> Step {
        let mut headers = vec![
            Header::Event(sip::Event::new("dialog")),
            Header::Expires(sip::Expires::new(expires.as_secs().to_string())),
        ];
        match self.watch {
            Watch::Line(..) => headers.push(Header::Accept(sip::Accept::new("application/dialog-info+xml"))),
            Watch::List(_) => {
                let accept = "application/dialog-info+xml, application/rlmi+xml, multipart/related";
                headers.push(Header::Accept(sip::Accept::new(accept)));
                headers.push(Header::Supported(sip::Supported::new("eventlist")));
            }
        }
        Step {
            uri: self.remote_target.clone(),
            local_tag: self.local_tag.clone(),
            remote_tag: self.remote_tag.clone(),
            routes: self.routes.clone(),
            headers,
        }
    }

    /// Remembers what a 2xx says about the dialog.
    pub(super) fn learn(&mut self, response: &Response) {
        if let Some(tag) = response.to_header().ok().and_then(|to| message::tag_of(to.value())) {
            self.remote_tag = Some(tag.to_owned());
        }
        // Whichever comes later counts.
        self.contact = None;
        if let Some(target) = response.contact_header().ok().and_then(|c| message::target_of(c.value())) {
            self.remote_target = Some(target);
        }
        let routes = message::routes_of(&response.headers);
        if !routes.is_empty() {
            self.routes = routes;
        }
    }

    /// Takes in a NOTIFY; `None` when it is not of this dialog.
    pub(super) fn notified(&mut self, notify: &Notification, rules: &Rules) -> Option<Notified> {
        let from_tag = message::tag_of(notify.from_header())?;
        if message::tag_of(notify.to_header()) != Some(self.local_tag.as_str()) {
            return None;
        }
        if self.remote_tag.as_ref().is_some_and(|known| known != from_tag) {
            return None;
        }
        let mut notified = Notified { reply: Reply::Accepted, told: Told::default(), ended: None };
        let package = notify.event().and_then(|value| value.split(';').next()).map_or("dialog", str::trim);
        if !package.eq_ignore_ascii_case("dialog") {
            notified.reply = Reply::BadEvent;
            return Some(notified);
        }
        // Before the 200 to the SUBSCRIBE, the first NOTIFY opens the dialog (RFC 6665 section 4.4.1).
        if self.remote_tag.is_none() {
            self.remote_tag = Some(from_tag.to_owned());
        }
        let cseq = notify.cseq();
        if self.highest_cseq.is_some_and(|highest| cseq <= highest) {
            // The same message again, or an older one that was overtaken: answered as the first time (RFC 3261
            // section 17.2.2), and without effect.
            return Some(notified);
        }
        self.highest_cseq = Some(cseq);
        if let Some(contact) = notify.contact().filter(|contact| self.contact.as_deref() != Some(contact)) {
            if let Some(target) = message::target_of(contact) {
                self.remote_target = Some(target);
            }
            self.contact = Some(contact.to_owned());
        }
        if self.routes.is_empty() {
            // As the one who is called sees it: in the order written.
            self.routes = notify.record_routes().take(MOST_ROUTES).map(str::to_owned).collect();
        }
        notified.ended = notify.subscription_state().and_then(Ending::read);
        notified.told = self.watch.take_in(notify.content_type().unwrap_or_default(), notify.body(), rules);
        Some(notified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hear::LineHeard;
    use crate::sip::dialog_info::Dialogs;
    use pinkas_protocol::Line;

    /// Says what each NOTIFY, given by its CSeq and the state of the line, was taken for.
    fn take(dialog: &mut Dialog, cseq: u32, from_tag: &str, state: &str) -> String {
        let body = format!(
            "<dialog-info version=\"{cseq}\" state=\"full\"><dialog id=\"1\"><state>{state}</state></dialog></dialog-info>"
        );
        let head = format!(
            "NOTIFY sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z{cseq}\r\nFrom: <sip:101@h>;tag={from_tag}\r\nTo: <sip:x@h>;tag=ours\r\n\
             Call-ID: c\r\nCSeq: {cseq} NOTIFY\r\n"
        );
        let notify = Notification::of(&head, body.as_bytes()).expect("a NOTIFY");
        match dialog.notified(&notify, &Rules::default()) {
            None => "refused".to_owned(),
            Some(notified) => {
                let is = notified.told.words.first().map(|word| match word.is {
                    LineHeard::Busy => "busy",
                    LineHeard::Idle => "idle",
                    _ => "else",
                });
                format!("{:?} {}", notified.reply, is.unwrap_or("nothing"))
            }
        }
    }

    #[test]
    fn a_repeated_or_overtaken_notify_is_accepted_and_changes_nothing() {
        let line = Line::parse("101").expect("a line");
        let mut dialog = Dialog::new("ours".to_owned(), Watch::Line(line, Dialogs::default()));
        for (cseq, tag, state, expected) in [
            (7, "a", "confirmed", "Accepted busy"),
            (7, "a", "confirmed", "Accepted nothing"),
            (9, "a", "terminated", "Accepted idle"),
            (8, "a", "confirmed", "Accepted nothing"),
            (10, "another", "confirmed", "refused"),
            (10, "a", "confirmed", "Accepted busy"),
        ] {
            assert_eq!(take(&mut dialog, cseq, tag, state), expected, "{cseq} {tag} {state}");
        }
    }
}
