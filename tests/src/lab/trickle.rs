//! A relay between the hub and a real server, which makes a good server a bad one: slow, silent, sending
//! byte by byte, or sending without end what nobody asked for.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What happens to what the server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It passes.
    Pass,
    /// Each piece is held for so long.
    Delay(Duration),
    /// One byte in a second.
    Trickle,
    /// Nothing passes.
    Silent,
    /// In its stead comes this, and then a gigabyte of zeros.
    Flood(&'static [u8]),
}

/// The relay. Ends when dropped.
#[derive(Debug)]
pub struct Relay {
    at: SocketAddr,
    manner: watch::Sender<Manner>,
    _running: JoinSet<()>,
}

impl Relay {
    /// Starts one that passes everything on to `server`.
    pub async fn start(server: SocketAddrV4) -> std::io::Result<Relay> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let at = listener.local_addr()?;
        let (manner, seen) = watch::channel(Manner::Pass);
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut links = JoinSet::new();
            while let Ok((hub, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(server).await else { continue };
                links.spawn(relay(hub, server, seen.clone()));
            }
        });
        Ok(Relay { at, manner, _running: running })
    }

    /// Where the hub finds it.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// From now on, also for connections that are there.
    pub fn set(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }
}

async fn relay(hub: TcpStream, server: TcpStream, manner: watch::Receiver<Manner>) {
    let (mut from_hub, mut to_hub) = hub.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = async { tokio::io::copy(&mut from_hub, &mut to_server).await.map(|_| ()) };
    let back = async {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let read = from_server.read(&mut bytes).await?;
            if read == 0 {
                return Ok(());
            }
            let said = bytes.get(..read).unwrap_or_default();
            // It holds no guard over the waiting below.
            let how = *manner.borrow();
            match how {
                Manner::Pass => to_hub.write_all(said).await?,
                Manner::Delay(time) => {
                    tokio::time::sleep(time).await;
                    to_hub.write_all(said).await?;
                }
                Manner::Trickle => {
                    for byte in said {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        to_hub.write_all(std::slice::from_ref(byte)).await?;
                    }
                }
                Manner::Silent => {}
                Manner::Flood(start) => {
                    to_hub.write_all(start).await?;
                    let zeros = vec![0; 64 * 1024];
                    for _ in 0..16 * 1024 {
                        to_hub.write_all(&zeros).await?;
                    }
                }
            }
        }
    };
    // Either side may hang up at any time.
    let _ended: std::io::Result<()> = tokio::select! { done = there => done, done = back => done };
}
