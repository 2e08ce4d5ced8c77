//! One dialog with the notifier (RFC 6665): what a NOTIFY or a 2xx says of it, and which SUBSCRIBE comes
//! next. A NOTIFY may come before the 200 that opens its dialog and must be understood. Pure: no socket.

use std::time::Duration;

use crate::sip::identity::Rules;
use rsipstack::sip::{self, Header, HeadersExt, Method, Request, Response, StatusCode, Uri};

use super::policy::Ending;
use super::watch::{Told, Watch};
use crate::hear::sip_endpoint::message;

/// A dialog, from the first SUBSCRIBE on.
#[derive(Debug)]
pub(super) struct Dialog {
    local_tag: String,
    remote_tag: Option<String>,
    remote_target: Option<Uri>,
    routes: Vec<String>,
    highest_cseq: Option<u32>,
    watch: Watch,
}

/// What a NOTIFY says.
#[derive(Debug)]
pub(super) struct Notified {
    /// How to answer it.
    pub status: StatusCode,
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
            self.remote_tag = Some(tag);
        }
        if let Some(target) = response.contact_header().ok().and_then(|c| message::target_of(c.value())) {
            self.remote_target = Some(target);
        }
        let routes = message::routes_of(&response.headers);
        if !routes.is_empty() {
            self.routes = routes;
        }
    }

    /// Takes in a NOTIFY; `None` when it is not of this dialog.
    pub(super) fn notified(&mut self, request: &Request, rules: &Rules) -> Option<Notified> {
        debug_assert_eq!(request.method, Method::Notify);
        let to_tag = request.to_header().ok().and_then(|to| message::tag_of(to.value()));
        let from_tag = request.from_header().ok().and_then(|from| message::tag_of(from.value()))?;
        if to_tag.as_deref() != Some(self.local_tag.as_str()) {
            return None;
        }
        if self.remote_tag.as_ref().is_some_and(|known| *known != from_tag) {
            return None;
        }
        let mut notified = Notified { status: StatusCode::OK, told: Told::default(), ended: None };
        let package = header(request, |h| match h {
            Header::Event(event) => Some(event.value()),
            _ => None,
        });
        let package = package.and_then(|value| value.split(';').next()).map_or("dialog", str::trim);
        if !package.eq_ignore_ascii_case("dialog") {
            notified.status = StatusCode::BadEvent;
            return Some(notified);
        }
        // Before the 200 to the SUBSCRIBE, the first NOTIFY opens the dialog (RFC 6665 section 4.4.1).
        self.remote_tag = Some(from_tag);
        let cseq = request.cseq_header().ok().and_then(|cseq| cseq.seq().ok());
        if cseq.zip(self.highest_cseq).is_some_and(|(new, highest)| new < highest) {
            // An older message that was overtaken: understood, but no longer true.
            return Some(notified);
        }
        self.highest_cseq = cseq.or(self.highest_cseq);
        if let Some(target) = request.contact_header().ok().and_then(|c| message::target_of(c.value())) {
            self.remote_target = Some(target);
        }
        if self.routes.is_empty() {
            // As the one who is called sees it: in the order written.
            self.routes = message::routes_of(&request.headers);
            self.routes.reverse();
        }
        let state = header(request, |h| match h {
            Header::SubscriptionState(state) => Some(state.value()),
            _ => None,
        });
        notified.ended = state.and_then(Ending::read);
        let content_type = header(request, |h| match h {
            Header::ContentType(kind) => Some(kind.value()),
            _ => None,
        });
        notified.told = self.watch.take_in(content_type.unwrap_or_default(), &request.body, rules);
        Some(notified)
    }
}

fn header<'a>(request: &'a Request, pick: impl Fn(&'a Header) -> Option<&'a str>) -> Option<&'a str> {
    request.headers.iter().find_map(pick)
}
