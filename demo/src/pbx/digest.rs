//! The password check of the pretend phone system: MD5 digest with `qop="auth"` (RFC 2617), as Asterisk 22 asks.
//! Nonces are not kept: each is its time and a keyed hash of it, so an old or foreign one is recognised.

use rsip::Method;
use rsip::common::uri::{Host, HostWithPort, Uri};
use rsip::headers::auth::Algorithm;
use rsip::headers::typed::Tokenize;
use rsip::headers::typed::tokenizers::AuthTokenizer;
use rsip::services::DigestGenerator;

/// One account and what guards it.
pub struct Door {
    pub realm: String,
    pub user: String,
    pub password: String,
    /// Differs from one start to the next, so that no nonce outlives a restart.
    pub secret: String,
}

/// What an `Authorization` header was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Welcome,
    /// No credentials, or wrong ones.
    Refused,
    /// The right password for a nonce that is too old or of an earlier start.
    Stale,
}

/// How long a nonce is good for, in seconds.
const NONCE_SECONDS: i64 = 30;

impl Door {
    /// The `WWW-Authenticate` line of a 401.
    pub fn challenge(&self, unix: i64, verdict: Verdict) -> String {
        let stale = if verdict == Verdict::Stale { ",stale=true" } else { "" };
        format!(
            "WWW-Authenticate: Digest realm=\"{}\",nonce=\"{}\",opaque=\"{}\"{stale},algorithm=MD5,qop=\"auth\"\r\n",
            self.realm,
            self.nonce(unix),
            self.hash("opaque", &self.secret, &Method::Options, ""),
        )
    }

    /// Whether `authorization` proves the password for a request of `method`.
    pub fn check(&self, authorization: Option<&str>, method: &Method, unix: i64) -> Verdict {
        let proof = authorization.and_then(|text| AuthTokenizer::tokenize(text).ok());
        let Some(proof) = proof else { return Verdict::Refused };
        let part = |name: &str| {
            proof.params.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map_or("", |(_, v)| *v)
        };
        let nonce = part("nonce");
        let between = match part("qop") {
            "" => nonce.to_owned(),
            qop => format!("{nonce}:{}:{}:{qop}", part("nc"), part("cnonce")),
        };
        let expected = self.hash(&self.password, &between, method, part("uri"));
        let right = part("username") == self.user
            && part("realm") == self.realm
            && part("response").eq_ignore_ascii_case(&expected);
        match (right, self.fresh(nonce, unix)) {
            (false, _) => Verdict::Refused,
            (true, false) => Verdict::Stale,
            (true, true) => Verdict::Welcome,
        }
    }

    fn nonce(&self, unix: i64) -> String {
        format!("{unix}/{}", self.hash(&self.secret, &unix.to_string(), &Method::Options, ""))
    }

    fn fresh(&self, nonce: &str, unix: i64) -> bool {
        let made = nonce.split('/').next().and_then(|time| time.parse::<i64>().ok());
        made.is_some_and(|made| nonce == self.nonce(made) && (0..=NONCE_SECONDS).contains(&(unix - made)))
    }

    /// MD5(MD5(user:realm:password):between:MD5(method:uri)).
    ///
    /// `rsip` computes exactly this when it is told of no qop. With qop it reads `nc` as a decimal number
    /// below 256, which RFC 2617 says is hexadecimal; so nc, cnonce and qop travel inside `between`.
    fn hash(&self, password: &str, between: &str, method: &Method, uri: &str) -> String {
        // A host that is a name is printed as it came: no URI can change on its way through.
        let host = Host::Domain(uri.into());
        let uri = Uri { host_with_port: HostWithPort { host, port: None }, ..Uri::default() };
        DigestGenerator {
            username: &self.user,
            password,
            nonce: between,
            uri: &uri,
            realm: &self.realm,
            method,
            qop: None,
            algorithm: Algorithm::Md5,
        }
        .compute()
    }
}

#[cfg(test)]
mod tests {
    use rsip::headers::auth::AuthQop;

    use super::*;

    fn door() -> Door {
        let [realm, user, password, secret] = ["asterisk", "pinkas", "s3cret", "x"].map(str::to_owned);
        Door { realm, user, password, secret }
    }

    fn proof(door: &Door, nonce: &str, password: &str) -> String {
        let uri = "sip:101@127.0.0.1:5060";
        let between = format!("{nonce}:0000000a:f00d:auth");
        let response = door.hash(password, &between, &Method::Subscribe, uri);
        format!(
            "Digest username=\"pinkas\", realm=\"asterisk\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm=MD5, cnonce=\"f00d\", nc=0000000a, qop=auth"
        )
    }

    #[test]
    fn the_sum_with_qop_is_the_one_rsip_makes() {
        let door = door();
        let uri = Uri::try_from("sip:101@127.0.0.1:5060").expect("a URI");
        let sum = DigestGenerator {
            username: "pinkas",
            password: "s3cret",
            nonce: "n0nce",
            uri: &uri,
            realm: "asterisk",
            method: &Method::Subscribe,
            qop: Some(&AuthQop::Auth { cnonce: "f00d".to_owned(), nc: 1 }),
            algorithm: Algorithm::Md5,
        };
        let ours =
            door.hash("s3cret", "n0nce:00000001:f00d:auth", &Method::Subscribe, "sip:101@127.0.0.1:5060");
        assert_eq!(ours, sum.compute());
    }

    #[test]
    fn a_password_is_checked_and_a_nonce_grows_old() {
        let door = door();
        let nonce = door.nonce(1_000);
        let right = proof(&door, &nonce, "s3cret");
        assert_eq!(door.check(Some(&right), &Method::Subscribe, 1_030), Verdict::Welcome);
        assert_eq!(door.check(Some(&right), &Method::Subscribe, 1_031), Verdict::Stale);
        assert_eq!(door.check(Some(&right), &Method::Options, 1_000), Verdict::Refused);
        let wrong = proof(&door, &nonce, "guess");
        assert_eq!(door.check(Some(&wrong), &Method::Subscribe, 1_000), Verdict::Refused);
        let foreign = proof(&door, "1000/0123456789abcdef", "s3cret");
        assert_eq!(door.check(Some(&foreign), &Method::Subscribe, 1_000), Verdict::Stale);
        assert_eq!(door.check(Some("Digest nonsense"), &Method::Subscribe, 1_000), Verdict::Refused);
        assert_eq!(door.check(None, &Method::Subscribe, 1_000), Verdict::Refused);
    }
}
