//! What a carrier says of its cryptographic check of the caller's number (STIR/SHAKEN).
//! We check no signature: a verdict is repeated from a trusted carrier, and a signature nobody is known to
//! have checked is told as that. Where nothing is said there is no verdict.

use pinkas_protocol::{Attestation, StirShaken, Verdict};

use super::encoded;
use super::message::Message;
use super::name_addr::NameAddr;

/// Headers in which carriers and session border controllers write a verdict or an attestation.
const VENDOR_HEADERS: [&str; 15] = [
    "P-Attestation-Indicator",
    "P-Attestation-Info",
    "Attestation-Info",
    "P-Asserted-Verstat",
    "P-Verstat",
    "Verstat",
    "X-Verstat",
    "X-Twilio-VerStat",
    "X-STIR-Verstat",
    "X-STIR-SHAKEN",
    "X-STIR-Shaken-Result",
    "X-STIR-Attestation",
    "X-STIR-Attest",
    "X-Attestation",
    "X-Attestation-Level",
];

/// The verdict in a message from a trusted peer; `asserted` are its P-Asserted-Identity addresses.
pub fn verdict(message: &Message, asserted: &[NameAddr], from: Option<&NameAddr>) -> Option<StirShaken> {
    let mut said = Said::default();
    for address in asserted.iter().chain(from) {
        said.hear(address.param("verstat").or_else(|| address.parts()?.param("verstat")).unwrap_or_default());
    }
    for header in VENDOR_HEADERS {
        message.headers(header).for_each(|value| said.hear(value));
    }
    let signed: Vec<Option<Attestation>> =
        message.headers("Identity").filter(|value| !value.is_empty()).map(signed_attestation).collect();
    let verdict = match said.verdict {
        Some(verdict) => verdict,
        None if said.attestation.is_some() || !signed.is_empty() => Verdict::Unchecked,
        None => return None,
    };
    let attestation = said.attestation.or_else(|| signed.into_iter().flatten().next());
    // What a bad signature vouches for is worth nothing.
    let attestation = attestation.filter(|_| verdict != Verdict::Failed);
    Some(StirShaken { verdict, attestation })
}

/// What was said in several places; where they differ, the worst counts.
#[derive(Default)]
struct Said {
    verdict: Option<Verdict>,
    attestation: Option<Attestation>,
}

impl Said {
    fn hear(&mut self, value: &str) {
        for word in value.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|w| !w.is_empty()) {
            let lower = word.to_ascii_lowercase();
            // `No-TN-Validation` is none of these: that nobody checked is no verdict.
            let (verdict, rest) = if let Some(rest) = lower.strip_prefix("tn-validation-passed") {
                (Some(Verdict::Passed), rest)
            } else if let Some(rest) = lower.strip_prefix("tn-validation-failed") {
                (Some(Verdict::Failed), rest)
            } else {
                (None, lower.as_str())
            };
            if self.verdict != Some(Verdict::Failed) {
                self.verdict = verdict.or(self.verdict);
            }
            // A small letter alone may be a word of a sentence.
            let level = match (word, rest) {
                ("A", _) | (_, "-a" | "full") => Some(Attestation::A),
                ("B", _) | (_, "-b" | "partial") => Some(Attestation::B),
                ("C", _) | (_, "-c" | "gateway") => Some(Attestation::C),
                _ => None,
            };
            self.attestation = worse(self.attestation, level);
        }
    }
}

fn worse(one: Option<Attestation>, other: Option<Attestation>) -> Option<Attestation> {
    let rank = |level: &Attestation| match level {
        Attestation::A => 0,
        Attestation::B => 1,
        Attestation::C => 2,
    };
    one.into_iter().chain(other).max_by_key(rank)
}

/// `attest` of a PASSporT (RFC 8225, RFC 8588), without checking who signed it.
fn signed_attestation(identity: &str) -> Option<Attestation> {
    let token = identity.split(';').next()?.trim();
    let payload = token.split('.').nth(1).filter(|payload| !payload.is_empty())?;
    let claims: serde_json::Value = serde_json::from_slice(&encoded::base64(payload)?).ok()?;
    match claims.get("attest")?.as_str()? {
        "A" => Some(Attestation::A),
        "B" => Some(Attestation::B),
        "C" => Some(Attestation::C),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &str, expected: &str) {
        let text = format!("INVITE sip:1@x SIP/2.0\r\n{headers}\r\n\r\n");
        let message = Message::read(text.as_bytes()).expect("a message");
        let asserted =
            message.headers("P-Asserted-Identity").flat_map(NameAddr::read_list).collect::<Vec<_>>();
        let said = match verdict(&message, &asserted, message.from().as_ref()) {
            None => "nothing".to_owned(),
            Some(StirShaken { verdict, attestation }) => {
                format!("{verdict:?} {}", attestation.map_or("-".to_owned(), |level| format!("{level:?}")))
            }
        };
        assert_eq!(said, expected, "for {headers}");
    }

    /// `{"attest":"B"}` between a header and a signature.
    const SIGNED: &str =
        "Identity: eyJhIjoxfQ.eyJhdHRlc3QiOiJCIn0.c2ln;info=<https://x/c.pem>;alg=ES256;ppt=shaken";

    #[test]
    fn a_verdict_is_found_wherever_carriers_write_it() {
        check("P-Asserted-Identity: <sip:+1202@x;user=phone;verstat=TN-Validation-Passed>", "Passed -");
        check("P-Asserted-Identity: <tel:+1202;verstat=TN-Validation-Passed-A>", "Passed A");
        check("P-Asserted-Identity: <sip:+1202;verstat=TN-Validation-Passed-B@x>", "Passed B");
        check("From: <sip:+1202@x>;verstat=TN-Validation-Failed;tag=1", "Failed -");
        check("X-Twilio-VerStat: TN-Validation-Passed-C", "Passed C");
        check("From: <sip:1@x;verstat=TN-Validation-Passed>\r\nP-Attestation-Indicator: A", "Passed A");
        check("Attestation-Info: B", "Unchecked B");
        check("X-STIR-SHAKEN: verstat=TN-Validation-Passed; attest=A", "Passed A");
    }

    #[test]
    fn a_signature_that_nobody_is_known_to_have_checked_says_so() {
        check(SIGNED, "Unchecked B");
        check("y: a.b.c;ppt=shaken", "Unchecked -");
        check("Identity: garbage", "Unchecked -");
        check(&format!("{SIGNED}\r\nFrom: <sip:1@x;verstat=No-TN-Validation>"), "Unchecked B");
        check(&format!("{SIGNED}\r\nFrom: <sip:1@x;verstat=TN-Validation-Passed>"), "Passed B");
        check(&format!("{SIGNED}\r\nFrom: <sip:1@x;verstat=TN-Validation-Failed>"), "Failed -");
    }

    #[test]
    fn nothing_said_is_no_verdict_and_of_two_the_worse_counts() {
        check("From: <sip:+1202@x>", "nothing");
        check("From: <sip:+1202@x;verstat=No-TN-Validation>", "nothing");
        check("From: <sip:+1202@x;verstat=Fine>", "nothing");
        check("X-STIR-SHAKEN: a call without", "nothing");
        check("Verstat: TN-Validation-Failed\r\nX-Verstat: TN-Validation-Passed-A", "Failed -");
        check("X-Attestation: A\r\nX-STIR-Attest: C", "Unchecked C");
    }
}
