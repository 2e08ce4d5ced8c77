//! Errors of sockets and of TLS in words: what a person reads names what is wrong, not what a library calls it.

use std::io::{Error, ErrorKind};

use rustls::CertificateError;

/// An error of a socket or a file.
pub fn io(error: &Error) -> String {
    // TLS errors travel inside those of the connection.
    if let Some(inside) = error.get_ref().and_then(|inside| inside.downcast_ref::<rustls::Error>()) {
        return tls(inside);
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            "it closed the connection".to_owned()
        }
        ErrorKind::UnexpectedEof => "it closed the connection in the middle of it".to_owned(),
        ErrorKind::TimedOut => "no answer came".to_owned(),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            "there is no way to that address from this machine".to_owned()
        }
        ErrorKind::AddrInUse => "the port is taken".to_owned(),
        ErrorKind::AddrNotAvailable => "it is no address of this machine".to_owned(),
        ErrorKind::PermissionDenied => {
            "this user may not; ports below 1024 need a right of their own".to_owned()
        }
        ErrorKind::NotFound => "there is no such file".to_owned(),
        kind => kind.to_string(),
    }
}

/// An error of TLS.
pub fn tls(error: &rustls::Error) -> String {
    let of_certificate = |error: &CertificateError| match error {
        CertificateError::UnknownIssuer => {
            "nobody who is trusted here vouches for its certificate (UnknownIssuer)"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: is the clock right?"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is made out to another name"
        }
        CertificateError::BadSignature => "its certificate has a wrong signature",
        _ => "its certificate is not accepted",
    };
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Other(_) => format!("its certificate is not accepted ({certificate})"),
            known => of_certificate(known).to_owned(),
        },
        rustls::Error::AlertReceived(alert) => format!("it refused the connection ({alert:?})"),
        rustls::Error::InvalidMessage(_) => "what answers there is not TLS".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_raw_error_of_a_library_reaches_a_person() {
        assert_eq!(io(&Error::from_raw_os_error(111)), "nothing listens there");
        assert_eq!(io(&ErrorKind::UnexpectedEof.into()), "it closed the connection in the middle of it");
        let inside = |error: rustls::Error| io(&Error::new(ErrorKind::InvalidData, error));
        assert_eq!(
            inside(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)),
            "nobody who is trusted here vouches for its certificate (UnknownIssuer)"
        );
        let not_tls = rustls::InvalidMessage::InvalidContentType;
        assert_eq!(inside(rustls::Error::InvalidMessage(not_tls)), "what answers there is not TLS");
    }
}
