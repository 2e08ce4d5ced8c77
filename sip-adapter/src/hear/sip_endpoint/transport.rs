//! Opening the way to the phone system: a UDP socket, or a TCP connection, with TLS or without. What is
//! read is ours, so that it is made canonical and bounded first; what rsipstack sends goes out through
//! [`Wire`], which it takes for a socket. A TLS name is always checked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rsipstack::platform::net::UdpSocket as SipSocket;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::datagrams::Datagrams;
use super::gate;
use crate::config::{SipAccount, Tls, Transport};

/// How long to wait for a connection and its TLS handshake.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one write may take before the connection counts as dead.
const WRITE: Duration = Duration::from_secs(10);
/// Messages on their way out; when it is full, senders wait.
const OUT_QUEUE: usize = 256;

/// What the kernel may keep while this program is busy: some thousand messages. Linux gives as much as
/// `net.core.rmem_max` allows.
const RECEIVE_BUFFER: usize = 4 << 20;

/// A way that is open.
pub(super) struct Opened {
    /// The address at this end.
    pub local: SocketAddr,
    /// What messages travel by.
    pub by: By,
}

/// What messages travel by.
pub(super) enum By {
    /// Datagrams.
    Datagrams(Datagrams),
    /// A connection.
    Stream(Box<dyn Stream>),
}

/// A connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens the way that the account names. The error says what to look at.
pub(super) async fn open(account: &SipAccount) -> anyhow::Result<Opened> {
    let pbx = account.address;
    match &account.transport {
        Transport::Udp => {
            let local = local_address(account).await?;
            let socket = Datagrams::bind(local, RECEIVE_BUFFER).with_context(|| {
                format!(
                    "cannot listen on {local} for the phone system (`listen`): it must be an address of this machine, and \
                     its port free; an adapter that runs already has it"
                )
            })?;
            Ok(Opened { local: socket.local_addr()?, by: By::Datagrams(socket) })
        }
        Transport::Tcp => {
            let stream = connect(account).await?;
            Ok(Opened { local: stream.local_addr()?, by: By::Stream(Box::new(stream)) })
        }
        Transport::Tls(tls) => {
            let config = tls_config(tls)?;
            let name = ServerName::try_from(tls.name.clone())
                .with_context(|| format!("`tls_name`: {:?} is no name a certificate can have", tls.name))?;
            let stream = connect(account).await?;
            let local = stream.local_addr()?;
            let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
            let stream = tokio::time::timeout(CONNECT, connecting)
                .await
                .with_context(|| {
                    format!("the phone system at {pbx} does not speak TLS there: its TLS port is often 5061")
                })?
                .with_context(|| {
                    format!(
                        "no TLS with the phone system at {pbx} as {:?}: see `ca_file` and `tls_name`",
                        tls.name
                    )
                })?;
            Ok(Opened { local, by: By::Stream(Box::new(stream)) })
        }
    }
}

async fn connect(account: &SipAccount) -> anyhow::Result<TcpStream> {
    let pbx = account.address;
    let socket = if pbx.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    if let Some(listen) = account.listen {
        let from = SocketAddr::new(listen.ip(), 0);
        socket
            .bind(from)
            .with_context(|| format!("`listen`: {} is no address of this machine", listen.ip()))?;
    }
    let stream = tokio::time::timeout(CONNECT, socket.connect(pbx))
        .await
        .with_context(|| format!("the phone system at {pbx} does not answer over TCP"))?
        .with_context(|| format!("cannot connect to the phone system at {pbx} over TCP"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn tls_config(tls: &Tls) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match &tls.ca_file {
        Some(file) => {
            let unread =
                || format!("`ca_file`: {} holds no certificate that can be read (PEM)", file.display());
            for certificate in CertificateDer::pem_file_iter(file).with_context(unread)? {
                roots.add(certificate.with_context(unread)?).with_context(unread)?;
            }
            anyhow::ensure!(!roots.is_empty(), "{}", unread());
        }
        None => {
            let native = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(native.certs);
            anyhow::ensure!(!roots.is_empty(), "this machine trusts nobody: write `ca_file`");
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// The address that messages shall come to: as configured, else the one this machine uses towards the
/// phone system.
async fn local_address(account: &SipAccount) -> anyhow::Result<SocketAddr> {
    if let Some(listen) = account.listen.filter(|listen| !listen.ip().is_unspecified()) {
        return Ok(listen);
    }
    let any: SocketAddr = if account.address.is_ipv6() { "[::]:0".parse()? } else { "0.0.0.0:0".parse()? };
    let probe = UdpSocket::bind(any).await.context("cannot open a UDP socket")?;
    probe
        .connect(account.address)
        .await
        .with_context(|| format!("there is no route to the phone system at {}", account.address))?;
    let ip = probe.local_addr()?.ip();
    Ok(SocketAddr::new(ip, account.listen.map_or(0, |listen| listen.port())))
}

/// The one way out; rsipstack takes it for a UDP socket and only ever sends with it.
pub(super) enum Wire {
    /// Really one.
    Datagrams(Datagrams, SocketAddr),
    /// A connection: whatever the address, it goes there.
    Stream(mpsc::Sender<Vec<u8>>, SocketAddr),
}

#[async_trait::async_trait]
impl SipSocket for Wire {
    async fn recv_from(&self, _buf: &mut [u8]) -> rsipstack::Result<(usize, SocketAddr)> {
        // Reading is done by the endpoint, before rsipstack.
        std::future::pending().await
    }

    async fn send_to(&self, buf: &[u8], addr: SocketAddr) -> rsipstack::Result<usize> {
        if !gate::may_leave(buf) {
            return Err(rsipstack::Error::Error("this program makes no calls and answers none".to_owned()));
        }
        match self {
            Wire::Datagrams(socket, _) => Ok(socket.send_to(buf, addr).await?),
            Wire::Stream(out, _) => match out.send(buf.to_vec()).await {
                Ok(()) => Ok(buf.len()),
                Err(_) => Err(rsipstack::Error::Error("the connection is closed".to_owned())),
            },
        }
    }

    fn local_addr(&self) -> rsipstack::Result<SocketAddr> {
        match self {
            Wire::Datagrams(_, local) | Wire::Stream(_, local) => Ok(*local),
        }
    }
}

/// The way out of a connection, and the queue before it.
pub(super) fn out_queue() -> (mpsc::Sender<Vec<u8>>, mpsc::Receiver<Vec<u8>>) {
    mpsc::channel(OUT_QUEUE)
}

/// Writes until the connection fails or `closed`; then `closed` is cancelled.
pub(super) async fn write(
    mut stream: WriteHalf<Box<dyn Stream>>,
    mut out: mpsc::Receiver<Vec<u8>>,
    closed: CancellationToken,
) {
    loop {
        let bytes = tokio::select! {
            biased;
            next = out.recv() => match next {
                Some(bytes) => bytes,
                None => break,
            },
            () = closed.cancelled() => break,
        };
        let writing = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        if !matches!(tokio::time::timeout(WRITE, writing).await, Ok(Ok(()))) {
            break;
        }
    }
    let _ = tokio::time::timeout(Duration::from_millis(200), stream.shutdown()).await;
    closed.cancel();
}
