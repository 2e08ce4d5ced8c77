//! An INVITE that rings and is never answered: 100 and 180 at once, 480 when told to, 487 when the phone system
//! withdraws it. rsipstack repeats answers and absorbs the ACK as long as [`Ringing::wait`] runs. There is
//! no way here to accept one.

use jiff::Timestamp;
use rsipstack::sip::{self, Header, Method, Response, SipMessage, StatusCode};
use rsipstack::transaction::transaction::{Transaction, TransactionEvent, TransactionEventSender};
use tokio_util::sync::CancellationToken;

use super::Incoming;

/// An INVITE that rings; drive it by [`Ringing::wait`].
pub struct Ringing {
    transaction: Transaction,
    closed: CancellationToken,
}

/// What silences it.
pub struct Bell {
    respond: TransactionEventSender,
    refusal: Response,
}

/// The phone system withdrew it (CANCEL).
#[derive(Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// When that was read.
    pub at: Timestamp,
    /// The CANCEL.
    pub cancel: Vec<u8>,
}

impl Incoming {
    /// An INVITE as it came; of other requests nothing is kept.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Lets an INVITE ring. `None` when that could not be answered, or only with more than was sent by
    /// somebody who has proven nothing.
    pub async fn ring(mut self, contact: &str) -> Option<(Ringing, Bell)> {
        let contact = Header::Contact(sip::Contact::new(contact));
        if !self.fits(StatusCode::Ringing, std::slice::from_ref(&contact)) {
            tracing::debug!("an INVITE too short to be one was not answered");
            return None;
        }
        self.transaction.send_trying().await.ok()?;
        // One tag for 180, 480 and 487: they belong to one early dialog (RFC 3261 section 12.1.1).
        let headers = &mut self.transaction.original.headers;
        let to = headers.iter().find_map(|header| match header {
            Header::To(to) => Some(to.value().to_owned()),
            _ => None,
        });
        let tag = rsipstack::transaction::make_tag();
        headers.unique_push(Header::To(sip::To::new(format!("{};tag={}", to?, tag.value()))));
        self.transaction.reply_with(StatusCode::Ringing, vec![contact], None).await.ok()?;
        let (inner, original) = (&self.transaction.endpoint_inner, &self.transaction.original);
        let refusal = inner.make_response(original, StatusCode::TemporarilyUnavailable, None);
        let bell = Bell { respond: self.transaction.tu_sender.clone(), refusal };
        Some((Ringing { transaction: self.transaction, closed: self.closed }, bell))
    }
}

impl Ringing {
    /// Rings until the end is acknowledged, which takes 32 s at most, or until the way closes. A CANCEL
    /// is answered after `tell` has been told of it.
    pub async fn wait<F: Future<Output = ()>>(mut self, tell: impl FnOnce(Withdrawn) -> F) {
        let mut tell = Some(tell);
        let closed = self.closed.clone();
        let ringing = async {
            while let Some(message) = self.transaction.receive().await {
                let SipMessage::Request(request) = message else { continue };
                if request.method != Method::Cancel {
                    // The ACK: that was all.
                    return;
                }
                let at = Timestamp::now();
                if let Some(tell) = tell.take() {
                    tell(Withdrawn { at, cancel: SipMessage::Request(request).to_bytes() }).await;
                }
                if self.transaction.reply_with(StatusCode::RequestTerminated, Vec::new(), None).await.is_err()
                {
                    tracing::debug!("the end of an INVITE could not be answered");
                    return;
                }
            }
        };
        tokio::select! {
            () = ringing => {}
            () = closed.cancelled() => {}
        }
    }
}

impl Bell {
    /// Refuses the call (480), so that it rings elsewhere only.
    pub fn silence(self) {
        // Nobody to tell when it is over already.
        let _ = self.respond.send(TransactionEvent::Respond(self.refusal));
    }
}
