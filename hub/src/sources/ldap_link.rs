//! One connection to an LDAP server (RFC 4511): opened, logged in, asked. What the server sends is read
//! message by message within bounds of size, depth and count, and each is done with before the next is
//! read; what it cannot have meant ends the connection.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use ldap3_proto::LdapCodec;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapMsg, LdapOp, LdapResult, LdapResultCode, LdapSearchRequest,
    LdapSearchResultEntry,
};
use pinkas_config::Secret;
use pinkas_protocol::Failure;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::codec::{Decoder, Encoder, Framed};

/// The largest message of a server, in bytes.
pub const LARGEST: usize = 512 * 1024;

/// How deep the parts of a message may stand in each other; an entry needs six.
const DEEPEST: usize = 16;

/// The most messages that are read for one question besides the entries, such as referrals.
const MOST_OTHERS: usize = 100;

/// Longer than any connection inside a company takes.
const CONNECT: Duration = Duration::from_secs(5);

/// Where a server is and who asks it.
pub struct Server {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How a connection is made safe; `None` for `ldap://`.
    pub tls: Option<Arc<ClientConfig>>,
    /// The distinguished name and password the hub logs in with; without them it asks as nobody.
    pub login: Option<(String, Secret)>,
}

/// What a connection does wrong.
pub enum Broken {
    /// It was never made, or broke: another may do.
    Connection,
    /// What to show: another connection would say the same.
    Said(Failure),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // The codec's word for a message over the bounds.
            io::ErrorKind::OutOfMemory => Broken::Said(Failure::TooLarge),
            // Neither the socket nor TLS uses this kind: it is the codec's.
            io::ErrorKind::Other => Broken::Said(Failure::NotUnderstood { what: "not LDAP".to_owned() }),
            _ => Broken::Connection,
        }
    }
}

/// A connection that is logged in.
pub struct Link {
    frames: Framed<Box<dyn Wire>, Quiet>,
    /// The number of the last request.
    last: i32,
}

/// What bytes go over.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Server {
    /// Makes a connection and logs in.
    pub async fn connect(&self) -> Result<Link, Broken> {
        let wire = timeout(CONNECT, self.wire()).await.map_err(|_| Broken::Connection)??;
        let frames = Framed::new(wire, Quiet(LdapCodec::new(Some(LARGEST), Some(DEEPEST))));
        let mut link = Link { frames, last: 0 };
        if let Some((dn, password)) = &self.login {
            let cred = LdapBindCred::Simple(password.0.clone());
            let bind = LdapBindRequest { version: 3, dn: dn.clone(), cred };
            link.send(LdapOp::BindRequest(bind)).await?;
            match link.next().await? {
                LdapOp::BindResponse(answer) => {
                    refused(&answer.res).map_or(Ok(()), |said| Err(Broken::Said(said)))?
                }
                _ => return Err(unexpected()),
            }
        }
        Ok(link)
    }

    async fn wire(&self) -> Result<Box<dyn Wire>, Broken> {
        let stream =
            TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|_| Broken::Connection)?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(self.host.clone()).map_err(|_| Broken::Connection)?;
        let safe = TlsConnector::from(tls.clone()).connect(name, stream).await;
        let safe =
            safe.map_err(|_| Broken::Said(Failure::Refused { what: "no safe connection (TLS)".to_owned() }))?;
        Ok(Box::new(safe))
    }
}

impl Link {
    /// Asks for entries and hands each to `take` as it comes, at most `most` of them. The connection can be
    /// used again when this is `Ok(true)`.
    pub async fn search(
        &mut self,
        request: LdapSearchRequest,
        most: usize,
        mut take: impl FnMut(LdapSearchResultEntry),
    ) -> Result<bool, Broken> {
        self.send(LdapOp::SearchRequest(request)).await?;
        let (mut entries, mut others) = (0, 0);
        loop {
            match self.next().await? {
                LdapOp::SearchResultEntry(_) if entries == most => return Ok(false),
                LdapOp::SearchResultEntry(entry) => {
                    entries += 1;
                    take(entry);
                }
                LdapOp::SearchResultReference(_) | LdapOp::IntermediateResponse(_)
                    if others < MOST_OTHERS =>
                {
                    others += 1;
                }
                // More than was wanted is there: what came is what a card can show.
                LdapOp::SearchResultDone(done) if done.code == LdapResultCode::SizeLimitExceeded => {
                    return Ok(true);
                }
                LdapOp::SearchResultDone(done) => {
                    return refused(&done).map_or(Ok(true), |said| Err(Broken::Said(said)));
                }
                _ => return Err(unexpected()),
            }
        }
    }

    async fn send(&mut self, op: LdapOp) -> Result<(), Broken> {
        self.last = self.last.checked_add(1).ok_or(Broken::Connection)?;
        self.frames.send(LdapMsg::new(self.last, op)).await?;
        Ok(())
    }

    /// The next message that answers the last request.
    async fn next(&mut self) -> Result<LdapOp, Broken> {
        let message = self.frames.next().await.ok_or(Broken::Connection)??;
        match message.msgid {
            id if id == self.last => Ok(message.op),
            // RFC 4511 section 4.4.1: the server says that it closes the connection.
            0 => Err(Broken::Connection),
            _ => Err(unexpected()),
        }
    }
}

fn unexpected() -> Broken {
    Broken::Said(Failure::NotUnderstood { what: "not an answer to what was asked".to_owned() })
}

/// A result in words (RFC 4511 appendix A); `None` when it is a success. Its own text may quote anything.
fn refused(result: &LdapResult) -> Option<Failure> {
    use LdapResultCode::*;
    let words = match result.code {
        Success => return None,
        InvalidCredentials => "the login was refused",
        InsufficentAccessRights => "the user may not read this",
        NoSuchObject => "there is no such base",
        InvalidDNSyntax => "a distinguished name is wrong",
        TimeLimitExceeded => "the query took too long",
        StrongerAuthRequired | ConfidentialityRequired => "the directory wants ldaps",
        InappropriateAuthentication => "the directory wants a login",
        Referral => "another directory has to be asked",
        Busy | Unavailable => return Some(Failure::Unreachable),
        AdminLimitExceeded => "the directory's own limit",
        _ => "an error of the directory",
    };
    Some(Failure::Refused { what: format!("{words} (LDAP {})", result.code.clone() as i64) })
}

/// Reads and writes messages, and lets the library say nothing: what it would log quotes the message.
struct Quiet(LdapCodec);

impl Decoder for Quiet {
    type Item = LdapMsg;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<LdapMsg>, io::Error> {
        tracing::dispatcher::with_default(&tracing::Dispatch::none(), || self.0.decode(bytes))
    }
}

impl Encoder<LdapMsg> for Quiet {
    type Error = io::Error;

    fn encode(&mut self, message: LdapMsg, bytes: &mut BytesMut) -> Result<(), io::Error> {
        tracing::dispatcher::with_default(&tracing::Dispatch::none(), || self.0.encode(message, bytes))
    }
}

/// Whom a connection over TLS trusts: those in `ca_file` (PEM), else those this machine trusts. The error
/// is a sentence.
pub fn tls(ca_file: Option<&PathBuf>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let unread = || format!("{} holds no certificate that can be read (PEM)", file.display());
            for certificate in CertificateDer::pem_file_iter(file).map_err(|_| unread())? {
                let certificate = certificate.map_err(|_| unread())?;
                roots.add(certificate).map_err(|_| unread())?;
            }
            if roots.is_empty() {
                return Err(unread());
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err("this machine trusts nobody: write `ca_file`".to_owned());
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|e| format!("TLS cannot be set up: {e}"))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
