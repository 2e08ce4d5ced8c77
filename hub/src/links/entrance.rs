//! The listening socket: a connection that has not become a link in time, TLS included, is cut, so that
//! nobody can fill the hub with connections that say nothing. What a link may do afterwards is not its business.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// A connection must have asked to become a link within this time.
pub(super) const ENTERS_WITHIN: Duration = Duration::from_secs(10);

/// Where connections come in.
pub(crate) struct Entrance {
    /// The socket.
    pub listener: TcpListener,
    /// Makes handshakes; without it, plain text.
    pub tls: Option<TlsAcceptor>,
    /// A place for each connection, where they are counted; the others wait.
    pub room: Option<Arc<Semaphore>>,
}

/// One connection.
pub(crate) struct Guest {
    stream: Stream,
    from: SocketAddr,
    admitted: Admitted,
    /// Gone once it is a link.
    patience: Option<Pin<Box<Sleep>>>,
    /// Where connections are counted.
    _place: Option<OwnedSemaphorePermit>,
}

/// What a connection is made of. A handshake is made by whoever reads, so that a slow one delays no other.
enum Stream {
    Plain(TcpStream),
    Greeting(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Goes on with the handshake; ready when there is none or it is done.
    fn poll_greeted(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Stream::Greeting(accept) = self {
            match Pin::new(accept).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Ready(Ok(stream)) => *self = Stream::Tls(Box::new(stream)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Where a connection comes from, and the way to say that it has become a link.
#[derive(Clone)]
pub(super) struct Arrival {
    /// Says so.
    pub admitted: Admitted,
    /// From here.
    pub from: SocketAddr,
}

/// Whether a connection has become a link.
#[derive(Clone, Default)]
pub(super) struct Admitted(Arc<AtomicBool>);

impl Admitted {
    /// It has.
    pub(super) fn admit(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Listener for Entrance {
    type Io = Guest;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guest, SocketAddr) {
        let place = match &self.room {
            Some(room) => room.clone().acquire_owned().await.ok(),
            None => None,
        };
        let (stream, from) = Listener::accept(&mut self.listener).await;
        // A card is one small frame: it must not wait for more.
        let _ = stream.set_nodelay(true);
        let patience = Some(Box::pin(tokio::time::sleep(ENTERS_WITHIN)));
        let stream = match &self.tls {
            Some(tls) => Stream::Greeting(Box::new(tls.accept(stream))),
            None => Stream::Plain(stream),
        };
        (Guest { stream, from, admitted: Admitted::default(), patience, _place: place }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Entrance>> for Arrival {
    fn connect_info(incoming: IncomingStream<'_, Entrance>) -> Self {
        let guest = incoming.io();
        Arrival { admitted: guest.admitted.clone(), from: guest.from }
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.admitted.0.load(Ordering::Relaxed) {
            self.patience = None;
        }
        if let Some(patience) = &mut self.patience
            && patience.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        ready!(self.stream.poll_greeted(context))?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, into),
            Stream::Greeting(_) => Poll::Pending,
        }
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.stream.poll_greeted(context))?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Greeting(_) => Poll::Pending,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
            Stream::Greeting(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Greeting(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.stream.poll_greeted(context))?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Stream::Greeting(_) => Poll::Pending,
        }
    }

    fn is_write_vectored(&self) -> bool {
        // rustls takes many parts as well.
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::testing;
    use crate::links::{Door, Doors, serve};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{Instant, timeout};
    use tokio_util::sync::CancellationToken;

    async fn hub() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (hub, _) = tokio::sync::mpsc::channel(1);
        let access = Arc::new(testing::nobody());
        let doors = Doors { access, hub };
        tokio::spawn(serve(listener, Door::default(), Arc::new(doors), CancellationToken::new()));
        address
    }

    /// How long a connection that sends this stands, and what it was told.
    async fn stands(says: &str) -> (Duration, String) {
        let mut stream = TcpStream::connect(hub().await).await.expect("it lets in");
        let since = Instant::now();
        stream.write_all(says.as_bytes()).await.expect("it listens");
        let mut told = Vec::new();
        let _ = timeout(Duration::from_secs(60), stream.read_to_end(&mut told)).await.expect("it is cut");
        (since.elapsed(), String::from_utf8_lossy(&told).into_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_does_not_become_a_link_is_cut() {
        for says in ["", "GET /agent HTTP/1.1\r\nHost: hub\r\n", "GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n"]
        {
            let (stood, told) = stands(says).await;
            let late = ENTERS_WITHIN + Duration::from_secs(1);
            assert!((ENTERS_WITHIN..late).contains(&stood), "{says:?} stood for {stood:?}: {told}");
        }
    }

    /// A hub that speaks TLS, and what trusts it.
    async fn encrypted(dir: &std::path::Path) -> (SocketAddr, tokio_rustls::TlsConnector) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let files =
            crate::links::CertificateFiles { certificate: dir.join("hub.crt"), key: dir.join("hub.key") };
        std::fs::write(&files.certificate, made.cert.pem()).expect("written");
        std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("written");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trusts = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (hub, _) = tokio::sync::mpsc::channel(1);
        let doors = Arc::new(Doors { access: Arc::new(testing::nobody()), hub });
        let door = Door { tls: Some(files), ..Door::default() };
        tokio::spawn(serve(listener, door, doors, CancellationToken::new()));
        (address, tokio_rustls::TlsConnector::from(Arc::new(trusts)))
    }

    /// The beginning of a handshake, as a client of TLS 1.2 or 1.3 sends it: a record of 512 bytes is to come.
    const HALF_A_HELLO: [u8; 11] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

    /// How long a connection stands that says this and then, where it is to trickle, a byte each second.
    async fn stands_over_tcp(address: SocketAddr, says: &[u8], trickles: bool) -> Duration {
        let stream = TcpStream::connect(address).await.expect("it lets in");
        let since = Instant::now();
        let (mut read, mut write) = stream.into_split();
        write.write_all(says).await.expect("it listens");
        let trickle = async {
            let mut every = tokio::time::interval(Duration::from_secs(1));
            while trickles {
                every.tick().await;
                if write.write_all(&[0]).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let ended = async {
            let mut told = Vec::new();
            let _ = timeout(Duration::from_secs(60), read.read_to_end(&mut told)).await.expect("it is cut");
        };
        tokio::select! {
            () = trickle => {}
            () = ended => {}
        }
        since.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_never_ends_a_handshake_is_cut_and_so_is_whoever_says_nothing_after_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let (address, trusts) = encrypted(dir.path()).await;
        let late = ENTERS_WITHIN + Duration::from_secs(2);
        for (says, trickles) in [(&[][..], false), (&HALF_A_HELLO, false), (&HALF_A_HELLO, true)] {
            let stood = stands_over_tcp(address, says, trickles).await;
            assert!(stood <= late, "{} bytes, trickling: {trickles}: {stood:?}", says.len());
        }
        for says in ["", "GET /agent HTTP/1.1\r\nHost: hub\r\n"] {
            let name = rustls::pki_types::ServerName::try_from("127.0.0.1").expect("a name");
            let stream = TcpStream::connect(address).await.expect("it lets in");
            let mut stream = trusts.connect(name, stream).await.expect("a handshake");
            let since = Instant::now();
            stream.write_all(says.as_bytes()).await.expect("it listens");
            let mut told = Vec::new();
            let _ = timeout(Duration::from_secs(60), stream.read_to_end(&mut told)).await.expect("it is cut");
            assert!(since.elapsed() <= late, "{says:?} stood for {:?}", since.elapsed());
        }
    }

    #[tokio::test]
    async fn those_who_hang_in_their_handshake_delay_nobody_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let (address, trusts) = encrypted(dir.path()).await;
        let mut hanging = Vec::new();
        for _ in 0..200 {
            let mut stream = TcpStream::connect(address).await.expect("it lets in");
            stream.write_all(&HALF_A_HELLO).await.expect("it listens");
            hanging.push(stream);
        }
        let name = rustls::pki_types::ServerName::try_from("127.0.0.1").expect("a name");
        let since = Instant::now();
        let stream = TcpStream::connect(address).await.expect("it lets in");
        let stream = trusts.connect(name, stream).await.expect("a handshake");
        tokio_tungstenite::client_async("wss://127.0.0.1/agent", stream).await.expect("a link");
        assert!(since.elapsed() < ENTERS_WITHIN / 2, "before any of them was cut: {:?}", since.elapsed());
        drop(hanging);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_becomes_a_link_has_the_time_of_a_link() {
        let (_, told) = stands(
            "GET /agent HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
        assert!(told.starts_with("HTTP/1.1 101"), "{told}");
        assert!(told.contains("no hello came in time"), "{told}");
    }
}
