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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rustls::client::Resumption;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, RootCertStore};
    use tokio_rustls::TlsConnector;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    /// What was logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Log {
        type Writer = Log;

        fn make_writer(&'a self) -> Log {
            self.clone()
        }
    }

    impl Log {
        /// The lines since the last time.
        fn lines(&self) -> Vec<String> {
            let bytes = std::mem::take(&mut *self.0.lock().expect("no panic"));
            String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
        }
    }

    /// A certificate and its key, and what trusts it and nothing else.
    struct Made {
        certificate: String,
        key: String,
        trust: TlsConnector,
    }

    fn made() -> Made {
        let made = rcgen::generate_simple_self_signed(["hub.example".to_owned()]).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).expect("a root");
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Made {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
            trust: TlsConnector::from(Arc::new(config)),
        }
    }

    async fn shows(acceptor: &TlsAcceptor, made: &Made) -> bool {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let name = ServerName::try_from("hub.example").expect("a name");
        let (accepted, connected) = tokio::join!(acceptor.accept(ours), made.trust.connect(name, theirs));
        accepted.is_ok() && connected.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_certificate_that_cannot_be_used_leaves_the_old_one_and_is_said_once() {
        let log = Log::default();
        let to = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
        let _logged = tracing::subscriber::set_default(to);
        let dir = tempfile::tempdir().expect("a folder");
        let files =
            CertificateFiles { certificate: dir.path().join("hub.crt"), key: dir.path().join("hub.key") };
        let write = |certificate: &str, key: &str| {
            std::fs::write(&files.certificate, certificate).expect("written");
            std::fs::write(&files.key, key).expect("written");
        };
        let (old, new) = (made(), made());
        write(&old.certificate, &old.key);
        let stop = CancellationToken::new();
        let acceptor = acceptor(files.clone(), stop.clone()).expect("a certificate");
        assert!(shows(&acceptor, &old).await && !shows(&acceptor, &new).await);
        assert!(log.lines().is_empty());
        for (certificate, key, why) in [
            ("", old.key.as_str(), "there is no certificate in"),
            ("no certificate at all", &old.key, "there is no certificate in"),
            (
                "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
                &old.key,
                "cannot read the certificate in",
            ),
            (&new.certificate, &old.key, "is not the key of"),
            (&new.certificate, "", "cannot read the private key in"),
            (&new.certificate, &new.certificate, "cannot read the private key in"),
        ] {
            write(certificate, key);
            // Time is not real here: it passes as soon as nobody has anything to do.
            tokio::time::sleep(5 * LOOK_EVERY).await;
            let lines = log.lines();
            let [line] = &lines[..] else { panic!("one line: {lines:?}") };
            assert!(line.contains(why) && line.contains("the certificate stays as it was"), "{line}");
            assert!(line.contains("ERROR") && line.contains("hub."), "{line}");
            assert!(!line.contains("PRIVATE KEY"), "{line}");
            assert!(shows(&acceptor, &old).await, "{why}");
        }
        std::fs::remove_file(&files.key).expect("removed");
        tokio::time::sleep(5 * LOOK_EVERY).await;
        assert_eq!(log.lines().len(), 1);
        assert!(shows(&acceptor, &old).await);
        write(&new.certificate, &new.key);
        tokio::time::sleep(5 * LOOK_EVERY).await;
        assert!(log.lines().concat().contains("was read again"));
        assert!(shows(&acceptor, &new).await && !shows(&acceptor, &old).await);
        stop.cancel();
    }
}
