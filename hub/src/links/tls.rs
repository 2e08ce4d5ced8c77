//! TLS for everything that comes in, by rustls. The certificate is read again when its files change; links
//! that stand go on, and a pair that cannot be used changes nothing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The files of a certificate (PEM, with those between it and the root) and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The certificate in use.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// Makes handshakes with the files' certificate, and keeps it current until `stop`.
pub(super) fn acceptor(files: CertificateFiles, stop: CancellationToken) -> anyhow::Result<TlsAcceptor> {
    let provider = Arc::new(ring::default_provider());
    let first = mark(&files);
    let current = Arc::new(Current(RwLock::new(Arc::new(read(&files, &provider)?))));
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(current.clone());
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    tokio::spawn(keep_current(files, provider, current, first, stop));
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn keep_current(
    files: CertificateFiles,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
    mut last: Mark,
    stop: CancellationToken,
) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => {}
        }
        let now = mark(&files);
        if now == last {
            continue;
        }
        last = now;
        match read(&files, &provider) {
            Ok(new) => {
                *current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
                tracing::info!("{} was read again", files.certificate.display());
            }
            Err(e) => tracing::error!("{e:#}; the certificate stays as it was"),
        }
    }
}

fn read(files: &CertificateFiles, provider: &CryptoProvider) -> anyhow::Result<CertifiedKey> {
    let CertificateFiles { certificate, key } = files;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .with_context(|| format!("cannot read the certificate in {}", certificate.display()))?;
    anyhow::ensure!(!chain.is_empty(), "there is no certificate in {}", certificate.display());
    let private = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read the private key in {}", key.display()))?;
    CertifiedKey::from_der(chain, private, provider)
        .with_context(|| format!("{} is not the key of {}", key.display(), certificate.display()))
}

type Mark = [Option<(SystemTime, u64)>; 2];

fn mark(files: &CertificateFiles) -> Mark {
    let one = |path: &Path| {
        let about = std::fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len()))
    };
    [one(&files.certificate), one(&files.key)]
}
