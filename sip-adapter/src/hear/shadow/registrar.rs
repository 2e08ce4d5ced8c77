//! Sends the REGISTER that is due and says what came of it. No other file of the adapter registers anything.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rsipstack::sip::{self, Header, Method, Response};

use super::contacts::{Contacts, Mark};
use super::registration::{Answered, Ask, Trouble};
use crate::config::{Shadow, Transport};
use crate::hear::sip_endpoint::message::{self, SecondsHeader};
use crate::hear::sip_endpoint::{Answer, Draft, SipEndpoint};

/// How long one REGISTER may take.
const ANSWER: Duration = Duration::from_secs(10);

/// The phone system's registrar, as seen from one open way.
pub(super) struct Registrar {
    endpoint: Arc<SipEndpoint>,
    aor: String,
    domain: String,
    mark: Mark,
    contact: String,
    call_id: String,
    tag: String,
    cseq: u32,
}

impl Registrar {
    pub(super) fn new(config: &Shadow, adapter: &str, endpoint: Arc<SipEndpoint>) -> Registrar {
        let run = rsipstack::transaction::make_uuid_v4().replace('-', "");
        let mark = Mark::new(adapter, run.get(..12).unwrap_or(&run));
        let user = message::escape(&config.extension);
        let transport = match config.account.transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls(_) => ";transport=tls",
        };
        Registrar {
            aor: endpoint.uri_of(&config.extension),
            domain: config.account.domain.clone(),
            contact: format!("sip:{user}@{}{transport}{}", endpoint.local(), mark.parameters()),
            mark,
            endpoint,
            call_id: rsipstack::transaction::make_uuid_v4(),
            tag: rsipstack::transaction::make_tag().to_string(),
            cseq: 0,
        }
    }

    /// Where calls shall come to: the value of a Contact header.
    pub(super) fn contact(&self) -> String {
        format!("<{}>", self.contact)
    }

    /// Sends one REGISTER.
    pub(super) async fn ask(&mut self, ask: &Ask) -> Answered {
        let request = match self.request(ask) {
            Ok(request) => request,
            Err(e) => {
                tracing::debug!("REGISTER could not be made: {e:#}");
                return Answered::Failed(Trouble::Silence);
            }
        };
        let (answer, cseq) = self.endpoint.ask(request, ANSWER).await;
        self.cseq = cseq;
        match answer {
            Answer::Final(response) => self.answered(&response),
            Answer::WrongPassword => Answered::Failed(Trouble::Password),
            Answer::ForeignRealm(realm) => Answered::Failed(Trouble::Realm(realm)),
            Answer::UnknownDigest(algorithms) => Answered::Failed(Trouble::Digest(algorithms)),
            Answer::Silence => Answered::Failed(Trouble::Silence),
        }
    }

    fn request(&mut self, ask: &Ask) -> anyhow::Result<sip::Request> {
        self.cseq = self.cseq.saturating_add(1);
        let mut more = Vec::new();
        let gone = |uri: &String| Header::Contact(sip::Contact::new(format!("<{uri}>;expires=0")));
        match ask {
            Ask::WhoIsThere => {}
            Ask::Add(expires) => {
                more.push(Header::Expires(sip::Expires::new(expires.as_secs().to_string())));
                more.push(Header::Contact(sip::Contact::new(self.contact())));
            }
            Ask::Clear(left) => more.extend(left.iter().map(gone)),
            Ask::Leave(left) => more.extend(std::iter::once(&self.contact).chain(left).map(gone)),
        }
        let mut request = self.endpoint.request(Draft {
            method: Method::Register,
            uri: sip::parse_uri(&format!("sip:{}", self.domain)).ok().context("`domain` makes no SIP URI")?,
            from_tag: &self.tag,
            to: format!("<{}>", self.aor),
            call_id: &self.call_id,
            cseq: self.cseq,
            routes: &[],
            more: Vec::new(),
        })?;
        // Our contact stands only where it is to be registered; who registers is the extension itself.
        request.headers.retain(|header| !matches!(header, Header::Contact(_)));
        let from = format!("<{}>;tag={}", self.aor, self.tag);
        request.headers.unique_push(Header::From(sip::From::new(from)));
        request.headers.extend(more);
        Ok(request)
    }

    fn answered(&self, response: &Response) -> Answered {
        let seconds = |name| message::seconds_of(&response.headers, name);
        match response.status_code.code() {
            200..300 => {
                let values = response.headers.iter().filter_map(|header| match header {
                    Header::Contact(contact) => Some(contact.value()),
                    _ => None,
                });
                let contacts = Contacts::read(values, &self.mark);
                Answered::Accepted { contacts, granted: seconds(SecondsHeader::Expires) }
            }
            423 => Answered::TooBrief(seconds(SecondsHeader::MinExpires).unwrap_or_default()),
            404 | 410 | 604 => Answered::Failed(Trouble::NoExtension),
            code => {
                let retry_after = seconds(SecondsHeader::RetryAfter);
                Answered::Failed(Trouble::Refused { code, retry_after })
            }
        }
    }
}
