//! Answering digest challenges (RFC 7616, RFC 8760): MD5 and SHA-256, the strongest that is understood.
//! Written here because rsipstack knows only the token `SHA256`, reads one header of several, and fails on
//! `qop="auth,auth-int"`. Pure: which challenge is answered, and how often, is decided without a socket.

use rsipstack::sip::headers::auth::{Algorithm, AuthQop};
use rsipstack::sip::{DigestGenerator, Header, Method, Response, Uri};

/// The most challenges looked at in one response.
const MOST_CHALLENGES: usize = 8;

/// One challenge that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// As the phone system wrote it, to be repeated; `None` where it left it to be MD5.
    algorithm_written: Option<String>,
    kind: Kind,
    qop: Qop,
    stale: bool,
    from: From,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Md5,
    Sha256,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Qop {
    None,
    Auth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Server,
    Proxy,
}

/// What a response asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Asked {
    /// What can be answered, in the order written.
    challenges: Vec<Challenge>,
    /// Algorithms that cannot.
    unsupported: Vec<String>,
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Send again with credentials for this one.
    Answer(Challenge),
    /// The credentials were given and refused.
    Refused,
    /// It is of another realm than ours: answering could hand a digest to a stranger.
    Foreign {
        /// The realm it names.
        realm: String,
    },
    /// None is of a kind that is understood.
    Unsupported {
        /// What it names.
        algorithms: String,
    },
}

/// How often one request was tried with credentials: twice at most, and the second time only when the
/// phone system said that the nonce was too old. So a nonce that changes with each answer is no loop.
#[derive(Debug, Default)]
pub(super) struct Tries(u8);

impl Tries {
    /// Decides about a challenge; `realm` is the only one that is answered, when it is known.
    pub(super) fn decide(&mut self, asked: Asked, realm: Option<&str>) -> Decision {
        let mut foreign = None;
        let mut best: Option<Challenge> = None;
        for challenge in asked.challenges {
            if realm.is_some_and(|realm| realm != challenge.realm) {
                foreign = foreign.or(Some(challenge.realm));
            } else if best.as_ref().is_none_or(|best| best.kind < challenge.kind) {
                best = Some(challenge);
            }
        }
        match (best, foreign) {
            (Some(challenge), _) => {
                let allowed = match self.0 {
                    0 => true,
                    1 => challenge.stale,
                    _ => false,
                };
                self.0 = self.0.saturating_add(1);
                if allowed { Decision::Answer(challenge) } else { Decision::Refused }
            }
            (None, Some(realm)) => Decision::Foreign { realm },
            (None, None) => Decision::Unsupported { algorithms: asked.unsupported.join(", ") },
        }
    }
}

impl Asked {
    /// Everything a 401 or 407 asks for.
    pub(super) fn of(response: &Response) -> Asked {
        let mut asked = Asked::default();
        let values = response.headers.iter().filter_map(|header| match header {
            Header::WwwAuthenticate(value) => Some((value.value(), From::Server)),
            Header::ProxyAuthenticate(value) => Some((value.value(), From::Proxy)),
            _ => None,
        });
        for (value, from) in values.take(MOST_CHALLENGES) {
            asked.read(value, from);
        }
        asked
    }

    fn read(&mut self, value: &str, from: From) {
        let Some((scheme, rest)) = value.trim().split_once([' ', '\t']) else { return };
        if !scheme.eq_ignore_ascii_case("Digest") {
            return self.unsupported.push(plain(scheme));
        }
        let parameters = parameters(rest);
        let of =
            |name: &str| parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        let algorithm_written = of("algorithm").cloned();
        let kind = match algorithm_written.as_deref().map(str::to_ascii_uppercase).as_deref() {
            None | Some("MD5") => Kind::Md5,
            // RFC 7616 writes the first, some phone systems the second.
            Some("SHA-256" | "SHA256") => Kind::Sha256,
            Some(other) => return self.unsupported.push(plain(other)),
        };
        let qop = match of("qop") {
            None => Qop::None,
            Some(offered) if offered.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")) => {
                Qop::Auth
            }
            Some(_) => return self.unsupported.push("qop without auth".to_owned()),
        };
        let (Some(realm), Some(nonce)) = (of("realm"), of("nonce")) else { return };
        self.challenges.push(Challenge {
            realm: realm.clone(),
            nonce: nonce.clone(),
            opaque: of("opaque").cloned(),
            algorithm_written,
            kind,
            qop,
            stale: of("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
            from,
        });
    }
}

impl Challenge {
    /// Whose it is.
    pub(super) fn realm(&self) -> &str {
        &self.realm
    }

    /// The header that answers it.
    pub(super) fn answer(
        &self,
        user: &str,
        password: &str,
        method: &Method,
        uri: &Uri,
        cnonce: &str,
    ) -> Header {
        let qop = match self.qop {
            Qop::None => None,
            Qop::Auth => Some(AuthQop::Auth { cnonce: cnonce.to_owned(), nc: 1 }),
        };
        let algorithm = match self.kind {
            Kind::Md5 => Algorithm::Md5,
            Kind::Sha256 => Algorithm::Sha256,
        };
        let (nonce, realm) = (self.nonce.as_str(), self.realm.as_str());
        let sum = DigestGenerator {
            username: user,
            password,
            nonce,
            uri,
            realm,
            method,
            qop: qop.as_ref(),
            algorithm,
        };
        let response = sum.compute();
        let mut value = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{response}\"",
            quoted(user),
            quoted(realm),
            quoted(nonce),
        );
        if let Some(algorithm) = &self.algorithm_written {
            value.push_str(&format!(", algorithm={algorithm}"));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque=\"{}\"", quoted(opaque)));
        }
        if self.qop == Qop::Auth {
            value.push_str(&format!(", qop=auth, nc=00000001, cnonce=\"{cnonce}\""));
        }
        match self.from {
            From::Server => Header::Authorization(rsipstack::sip::Authorization::new(value)),
            From::Proxy => Header::ProxyAuthorization(rsipstack::sip::ProxyAuthorization::new(value)),
        }
    }
}

/// `name=value, name="va,lue"`, unquoted.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches([' ', '\t', ',']);
    while let Some((name, after)) = rest.split_once('=') {
        if found.len() >= 32 {
            break;
        }
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(inside) => unquoted(inside),
            None => {
                let end = after.find(',').unwrap_or(after.len());
                let (value, next) = after.split_at(end);
                (value.trim().to_owned(), next)
            }
        };
        found.push((name.trim().to_owned(), value));
        rest = next.trim_start_matches([' ', '\t', ',']);
    }
    found
}

/// The text up to the closing quote, and what follows it.
fn unquoted(inside: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, inside.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// A token for a message to people.
fn plain(token: &str) -> String {
    token.chars().filter(char::is_ascii_graphic).take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = r#"Digest realm="asterisk",nonce="1/a",opaque="o",algorithm=MD5,qop="auth""#;
    const SHA256: &str = r#"Digest realm="asterisk", nonce="2", algorithm=SHA-256, qop="auth,auth-int""#;
    const SHA512: &str = r#"Digest realm="asterisk", nonce="3", algorithm=SHA-512-256, qop="auth""#;

    fn asked(values: &[&str]) -> Asked {
        let mut asked = Asked::default();
        values.iter().for_each(|value| asked.read(value, From::Server));
        asked
    }

    fn check(values: &[&str], realm: Option<&str>, expected: &str) {
        let found = match Tries::default().decide(asked(values), realm) {
            Decision::Answer(challenge) => format!("{:?} {}", challenge.kind, challenge.nonce),
            other => format!("{other:?}"),
        };
        assert_eq!(found, expected, "{values:?}");
    }

    #[test]
    fn the_strongest_challenge_that_is_understood_is_answered() {
        check(&[MD5], None, "Md5 1/a");
        check(&[MD5, SHA256], None, "Sha256 2");
        check(&[SHA512, MD5], None, "Md5 1/a");
        check(&[SHA512, SHA256, MD5], Some("asterisk"), "Sha256 2");
        check(&[r#"Digest realm=asterisk,nonce=x"#], None, "Md5 x");
        check(&["Basic realm=\"x\"", SHA512], None, "Unsupported { algorithms: \"Basic, SHA-512-256\" }");
        check(
            &[r#"Digest realm="a",nonce="x",qop="auth-int""#],
            None,
            "Unsupported { algorithms: \"qop without auth\" }",
        );
        check(&["Digest", "", "nonsense", "Digest realm"], None, "Unsupported { algorithms: \"\" }");
    }

    #[test]
    fn only_our_realm_is_answered() {
        check(&[MD5], Some("office"), "Foreign { realm: \"asterisk\" }");
        check(&[MD5, r#"Digest realm="of\"fice", nonce="9""#], Some("of\"fice"), "Md5 9");
    }

    #[test]
    fn a_request_is_tried_twice_at_most_and_the_second_time_only_for_an_old_nonce() {
        let stale = format!("{MD5}, stale=TRUE");
        let mut tries = Tries::default();
        let mut decide = |value: &str| matches!(tries.decide(asked(&[value]), None), Decision::Answer(_));
        assert_eq!([decide(MD5), decide(&stale), decide(&stale), decide(MD5)], [true, true, false, false]);
        let mut tries = Tries::default();
        let mut decide = |value: &str| tries.decide(asked(&[value]), None);
        assert!(matches!(decide(MD5), Decision::Answer(_)));
        // A new nonce without `stale` means that the password is wrong.
        assert_eq!(decide(&MD5.replace("1/a", "1/b")), Decision::Refused);
    }

    #[test]
    fn answers_are_those_of_the_standards() {
        // RFC 7616 section 3.9.1; the URI there is of HTTP, and rsipstack prints a name as it came.
        let uri = Uri {
            scheme: None,
            host_with_port: rsipstack::sip::HostWithPort {
                host: rsipstack::sip::Host::Domain("/dir/index.html".into()),
                port: None,
            },
            ..Uri::default()
        };
        let answer = |algorithm: &str| {
            let challenge = format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            let asked = asked(&[&challenge]);
            let method = Method::Options;
            let header = asked.challenges[0].answer("Mufasa", "Circle of Life", &method, &uri, "c");
            let Header::Authorization(value) = header else { panic!("of the wrong kind") };
            value.value().to_owned()
        };
        let sha = answer("SHA-256");
        assert!(sha.contains("algorithm=SHA-256, opaque=\"FQhe"), "{sha}");
        assert!(sha.ends_with("qop=auth, nc=00000001, cnonce=\"c\""), "{sha}");
        let response =
            |text: &str| text.split("response=\"").nth(1).and_then(|t| t.split('"').next()).map(str::len);
        assert_eq!((response(&sha), response(&answer("MD5"))), (Some(64), Some(32)));
    }

    proptest::proptest! {
        #[test]
        fn any_challenge_is_read_without_a_panic(text in "(Digest )?[a-z=\",\\\\ é]{0,80}") {
            let _ = Tries::default().decide(asked(&[&text]), Some("x"));
        }
    }
}
