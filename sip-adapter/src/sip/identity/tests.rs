//! Identities as phone systems, carriers and forgers write them.

use super::*;

fn check(uri: &str, display: Option<&str>, expected: &str) {
    let plan = NumberPlan::new("IL", 4).expect("a known country");
    let caller = caller(uri, display, &plan);
    let number =
        caller.number.map_or("-".to_owned(), |n| n.key().map_or(format!("({})", n.shown()), str::to_owned));
    let name = caller.name.map_or("-".to_owned(), |name| name.0);
    let withheld = if caller.withheld { " withheld" } else { "" };
    assert_eq!(format!("{number} {name}{withheld}"), expected, "for {uri:?} {display:?}");
}

#[test]
fn number_and_name_are_read_as_a_pbx_writes_them() {
    check("sip:+491701234567@127.0.10.1", Some("Erika Mustermann"), "+491701234567 Erika Mustermann");
    check("sip:0501234567@pbx;user=phone", None, "+972501234567 -");
    check("sip:050 123 4567@pbx", Some("0501234567"), "+972501234567 -");
    check("sip:101@pbx", Some("Alice"), "101 Alice");
    check("tel:+48123456789;phone-context=x", None, "+48123456789 -");
    check("sip:%2B48123456789@pbx", None, "+48123456789 -");
}

#[test]
fn a_withheld_caller_stays_withheld() {
    check("sip:anonymous@anonymous.invalid", Some("Anonymous"), "- - withheld");
    check("sip:Restricted@pbx", Some("+972501234567"), "- - withheld");
}

#[test]
fn a_display_name_never_becomes_the_number() {
    check("sip:bad@pbx", Some("x <sip:+972509999999@bank>"), "(bad) x <sip:+972509999999@bank>");
    check("sip:+972509999999@bank@10.0.0.1", None, "(+972509999999@bank) -");
    check("sip:'; DROP TABLE@pbx", Some("{{7*7}}"), "(') {{7*7}}");
    check("", Some("\u{202E}x"), "- x");
}

/// A site in Israel that trusts 192.0.2.1, has queue prefixes and a tag.
fn site() -> Rules {
    let tag = |name: &str, header: &str| {
        (TagName::parse(name).expect("a name"), header.parse::<HeaderName>().expect("a header"))
    };
    Rules {
        numbers: NumberPlan::new("IL", 4).expect("a known country"),
        trusted: vec!["192.0.2.1".parse().expect("an address")],
        queue_prefixes: vec!["Q-{queue}:".parse().expect("a prefix")],
        tags: vec![tag("customer", "X-Customer-Number"), tag("iban", "X-Other")],
        ..Rules::default()
    }
}

/// What is understood of headers under an INVITE for 101.
fn said_for(uri: &str, headers: &str, peer: &str) -> String {
    let text = format!("INVITE {uri} SIP/2.0\r\n{headers}\r\n\r\n");
    let message = Message::read(text.as_bytes()).expect("a message");
    let Identity { facts, asserted_by, .. } = read(&message, peer.parse().ok(), &site());
    let shown = |number: &Number| number.key().map_or(format!("({})", number.shown()), str::to_owned);
    let CallFacts { caller, queue, dialled, diverted_by, tags } = facts;
    let mut said = vec![caller.number.as_ref().map_or("-".to_owned(), shown)];
    said.extend(caller.name.map(|name| name.0));
    said.extend(caller.withheld.then(|| "withheld".to_owned()));
    said.extend(asserted_by.map(|by| format!("by {by}")));
    said.extend(caller.stir.map(|stir| format!("{:?}", stir.verdict)));
    said.extend(queue.map(|queue| format!("queue {queue}")));
    said.extend(dialled.map(|number| format!("dialled {}", shown(&number))));
    said.extend(diverted_by.map(|number| format!("diverted {}", shown(&number))));
    said.extend(tags.iter().map(|(name, value)| format!("{name}={}", value.0)));
    said.join(" ")
}

fn check_trusted(headers: &str, expected: &str) {
    assert_eq!(said_for("sip:101@x", headers, "192.0.2.1"), expected, "for {headers}");
}

fn check_other(headers: &str, expected: &str) {
    assert_eq!(said_for("sip:101@x", headers, "192.0.2.2"), expected, "for {headers}");
}

const FROM_DANA: &str = "From: \"Dana\" <sip:0501234567@x>;tag=1";

#[test]
fn what_a_trusted_peer_asserts_comes_before_what_the_caller_says() {
    let asserted =
        format!("{FROM_DANA}\r\nP-Asserted-Identity: \"Levi Ltd\" <sip:+97231234567@x;user=phone>");
    check_trusted(&asserted, "+97231234567 Levi Ltd by P-Asserted-Identity");
    check_other(&asserted, "+972501234567 Dana by From");
    let remote = format!(
        "{FROM_DANA}\r\nRemote-Party-ID: \"Levi\" <sip:031234567@x>;party=calling;privacy=off;screen=yes"
    );
    check_trusted(&remote, "+97231234567 Levi by Remote-Party-ID");
    check_other(&remote, "+972501234567 Dana by From");
    check_trusted(&remote.replace("party=calling", "party=called"), "+972501234567 Dana by From");
    check_trusted(FROM_DANA, "+972501234567 Dana by From");
    check_trusted(
        "From: <sip:trunk@x>\r\nP-Asserted-Identity: <sip:carrier.example>, <tel:+97231234567>",
        "+97231234567 by P-Asserted-Identity",
    );
    let account = format!("{FROM_DANA}\r\nP-Asserted-Identity: <sip:levi-ltd@x>");
    check_trusted(&account, "(levi-ltd) by P-Asserted-Identity");
    check_trusted(&account.replace("levi-ltd", "Unknown"), "+972501234567 Dana by From");
    check_trusted(
        &format!("{FROM_DANA}\r\nP-Asserted-Identity: <tel:+972501234567>"),
        "+972501234567 Dana by P-Asserted-Identity",
    );
}

#[test]
fn a_peer_is_the_same_by_any_writing_of_its_address() {
    let asserted = "From: <sip:1@x>\r\nP-Asserted-Identity: <sip:102@x>";
    assert_eq!(said_for("sip:101@x", asserted, "::ffff:192.0.2.1"), "102 by P-Asserted-Identity");
    assert_eq!(said_for("sip:101@x", asserted, "not known"), "1 by From");
}

#[test]
fn whoever_asks_to_be_withheld_is_withheld_by_every_peer() {
    let number = "P-Asserted-Identity: \"Dana\" <sip:+972501234567@x>";
    for headers in [
        format!("{FROM_DANA}\r\nPrivacy: id"),
        format!("{FROM_DANA}\r\nPrivacy: Header;critical"),
        format!("{FROM_DANA}\r\nPrivacy: none\r\nPrivacy: user"),
        format!("{FROM_DANA}\r\nprivacy: history, session"),
        format!("From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1\r\n{number}"),
        format!("From: \"Anonymous\" <sip:c8oqz84zk7z@anonymous.invalid.:5060>;tag=1\r\n{number}"),
        format!("From: <sip:Anonymous@192.0.2.7>;tag=1\r\n{number}"),
        format!("From: sip:restricted@x;tag=1\r\n{number}"),
        format!("{FROM_DANA}\r\nRemote-Party-ID: <sip:031234567@x>;party=calling;privacy=full"),
        format!("{FROM_DANA}\r\nRemote-Party-ID: <sip:031234567@x>;privacy=\"uri;name\""),
        format!("{FROM_DANA}\r\nP-Asserted-Identity: <sip:anonymous@anonymous.invalid>"),
    ] {
        check_trusted(&headers, "- withheld");
        check_other(&headers, "- withheld");
    }
    check_trusted(&format!("{FROM_DANA}\r\nPrivacy: none"), "+972501234567 Dana by From");
    check_trusted(&format!("{FROM_DANA}\r\nPrivacy: history"), "+972501234567 Dana by From");
}

#[test]
fn a_withheld_number_passes_in_no_other_field() {
    let withheld = format!("{FROM_DANA}\r\nPrivacy: id");
    check_trusted(&format!("{withheld}\r\nX-Customer-Number: 4711"), "- withheld customer=4711");
    for value in ["972501234567", "050-123-4567", "+97231234567", "<sip:050@x>", "call 0501234567 back"] {
        check_trusted(&format!("{withheld}\r\nX-Customer-Number: {value}"), "- withheld");
    }
    check_trusted(&format!("{withheld}\r\nDiversion: <sip:0501234567@x>"), "- withheld");
    check_trusted(&format!("{withheld}\r\nDiversion: <sip:102@x>"), "- withheld diverted 102");
    check_trusted(
        "From: \"Q-support: Anonymous\" <sip:anonymous@anonymous.invalid>\r\nX-Other: 1",
        "- withheld queue support iban=1",
    );
}

#[test]
fn numbers_of_any_uri_become_public_ones_and_short_ones_never_do() {
    for (uri, expected) in [
        ("tel:+972501234567", "+972501234567"),
        ("sips:0501234567@x", "+972501234567"),
        ("sip:+972501234567@[2001:db8::1]:5061;transport=tls", "+972501234567"),
        ("sip:%2B972501234567@x", "+972501234567"),
        ("tel:501234567;phone-context=+972", "+972501234567"),
        ("sip:123456789;phone-context=+48@x;user=phone", "+48123456789"),
        ("sip:123456789@x;phone-context=+48;user=phone", "+48123456789"),
        ("tel:101;phone-context=+48", "101"),
        ("tel:19115;phone-context=+48", "(19115)"),
        ("tel:0501234567;phone-context=pbx.example", "+972501234567"),
        ("sip:101:secret@x", "101"),
        ("sip:*72@x", "(*72)"),
        ("sip:unavailable@x", "-"),
        ("sip:x", "-"),
        ("mailto:0501234567@x", "-"),
    ] {
        let said = said_for("sip:101@x", &format!("From: <{uri}>;tag=1"), "192.0.2.1");
        assert_eq!(said.split(' ').next(), Some(expected), "for {uri}");
    }
}

#[test]
fn queue_prefixes_are_taken_off_names_and_kept() {
    check_trusted("From: \"Q-support: Dana\" <sip:101@x>", "101 Dana by From queue support");
    check_trusted("From: \"q-Support Levi:Dana: x\" <sip:101@x>", "101 Dana: x by From queue Support Levi");
    check_trusted(
        "From: \"Q-support: 0501234567\" <sip:0501234567@x>",
        "+972501234567 by From queue support",
    );
    check_trusted("From: \"Q-support:\" <sip:101@x>", "101 by From queue support");
    check_trusted("From: \"Q-support Dana\" <sip:101@x>", "101 Q-support Dana by From");
    check_trusted("From: \"Q-: Dana\" <sip:101@x>", "101 Q-: Dana by From");
    check_trusted("From: \"Q-a: Dana\" <sip:101@x>\r\nX-Queue: sales", "101 Dana by From queue sales");
}

#[test]
fn a_name_in_dialog_info_has_its_queue_taken_off_too() {
    let said = |uri: &str, display: &str| {
        let (caller, queue) = caller_and_queue(uri, Some(display), &site());
        (caller.name.map(|name| name.0), caller.withheld, queue.map(|queue| queue.to_string()))
    };
    let support = Some("support".to_owned());
    assert_eq!(said("sip:101@x", "Q-support: Dana"), (Some("Dana".to_owned()), false, support.clone()));
    assert_eq!(said("sip:anonymous@anonymous.invalid", "Q-support: Real"), (None, true, support));
}

#[test]
fn the_number_dialled_is_the_companys_and_not_the_phones() {
    let check = |uri: &str, headers: &str, expected: &str| {
        let said = said_for(uri, &format!("From: <sip:102@x>\r\n{headers}"), "192.0.2.1");
        assert_eq!(said, format!("102 by From{expected}"), "for {uri} {headers}");
    };
    check("sip:+97231234567@x", "To: <sip:101@x>", " dialled +97231234567");
    check("sip:20100@x", "To: <sip:20100@x>", " dialled (20100)");
    check("sip:101@x", "To: <sip:031234567@x>", " dialled +97231234567");
    check("sip:101@x", "To: <sip:101@x>", "");
    check("sip:ab12cd@10.0.0.1", "To: <sip:ab12cd@x>", "");
    check("sip:101@x", "X-DID: 031234567", " dialled +97231234567");
    check("sip:101@x", "X-DID: <sip:200@x>", " dialled 200");
    check("sip:101@x", "P-Called-Party-ID: <tel:+97231234567>", " dialled +97231234567");
}

#[test]
fn who_forwarded_is_a_number_like_any_other() {
    check_trusted(
        &format!("{FROM_DANA}\r\nDiversion: <sip:031234567@x>;reason=no-answer"),
        "+972501234567 Dana by From diverted +97231234567",
    );
    check_trusted(
        &format!("{FROM_DANA}\r\nHistory-Info: <sip:102@x>;index=1, <sip:101@x>;index=1.1;mp=1"),
        "+972501234567 Dana by From diverted 102",
    );
}

#[test]
fn a_verdict_counts_from_trusted_peers_only() {
    let passed = "From: <sip:0501234567@x;verstat=TN-Validation-Passed>;tag=1";
    check_trusted(passed, "+972501234567 by From Passed");
    check_other(passed, "+972501234567 by From");
    check_other("From: <sip:0501234567@x>;tag=1\r\nIdentity: a.b.c", "+972501234567 by From");
}

#[test]
fn names_are_read_in_any_script_and_escaping() {
    for (raw, expected) in [
        ("\"דנה לוי\"", "דנה לוי"),
        ("\"=?UTF-8?B?15PXoNeU?=\"", "דנה"),
        ("\"a \\\\\\\"b\\\\\\\" c\"", "a \"b\" c"),
        ("Zażółć", "Zażółć"),
        ("\"\u{202E}x\"", "x"),
    ] {
        check_trusted(&format!("From: {raw} <sip:101@x>"), &format!("101 {expected} by From"));
    }
    check_trusted("From: \"unknown\" <sip:unknown@x>", "-");
    check_trusted("From: broken <sip:evil@bank> <sip:101@x>", "-");
}

#[test]
fn what_was_not_believed_is_told() {
    let text = "INVITE sip:1@x SIP/2.0\r\nP-Asserted-Identity: <sip:1@x>\r\ny: a.b.c\r\n\r\n";
    let message = Message::read(text.as_bytes()).expect("a message");
    assert_eq!(read(&message, None, &site()).not_believed, ["P-Asserted-Identity", "Identity"]);
    assert!(read(&message, "192.0.2.1".parse().ok(), &site()).not_believed.is_empty());
}

proptest::proptest! {
    #[test]
    fn any_identity_is_read_without_a_panic(uri in ".{0,80}", name in ".{0,200}") {
        let _ = caller(&uri, Some(&name), &NumberPlan::default());
    }
}
