//! Documents as notifiers write them, broken ones, and what follows from one after the other.

use super::*;

fn is(applied: Applied) -> LineHeard {
    match applied {
        Applied::Is(line, _) => line,
        Applied::AskFull => LineHeard::Lost,
    }
}

fn heard(body: &str) -> String {
    match read(body.as_bytes(), &Rules::default()) {
        Err(e) => e.to_string(),
        Ok(info) => match is(Dialogs::default().apply(info)) {
            LineHeard::Idle => "idle".to_owned(),
            LineHeard::Busy => "busy".to_owned(),
            LineHeard::Lost => "lost".to_owned(),
            LineHeard::Ringing { caller, .. } => format!(
                "ringing {} {}{}",
                caller.number.as_ref().and_then(|n| n.key()).unwrap_or("-"),
                caller.name.map_or("-".to_owned(), |n| n.0),
                if caller.withheld { " withheld" } else { "" },
            ),
        },
    }
}

fn asterisk(dialog: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" \
         version=\"3\" state=\"full\" entity=\"sip:101@127.0.10.1\">\n {dialog}\n</dialog-info>\n"
    )
}

#[test]
fn asterisk_documents_are_understood() {
    let early = "<dialog id=\"101\" direction=\"recipient\">\n<remote>\n<identity display=\"Erika Mustermann\">\
                 sip:+491701234567@127.0.10.1</identity>\n<target uri=\"sip:x\"/></remote>\n<local><identity \
                 display=\"Alice Agent\">sip:101@127.0.10.1</identity><target uri=\"sip:y\"/></local>\
                 <state>early</state></dialog>";
    assert_eq!(heard(&asterisk(early)), "ringing +491701234567 Erika Mustermann");
    assert_eq!(heard(&asterisk("<dialog id=\"101\"><state>confirmed</state></dialog>")), "busy");
    assert_eq!(heard(&asterisk("<dialog id=\"101\"><state>terminated</state></dialog>")), "idle");
}

#[test]
fn names_are_unescaped_once_and_stay_text() {
    let named = |name: &str| {
        heard(&asterisk(&format!(
            "<dialog id=\"101\" direction=\"recipient\"><state>early</state><remote><identity display=\"{name}\">\
             sip:a&amp;b@x</identity></remote></dialog>"
        )))
    };
    assert_eq!(named("x &lt;sip:+972509999999@bank&gt;"), "ringing - x <sip:+972509999999@bank>");
    assert_eq!(named("&#x202E;&amp;lt;"), "ringing - &lt;");
    assert_eq!(named("bad &entity; here"), "ringing - bad &entity; here");
}

#[test]
fn hostile_documents_are_refused_with_a_reason() {
    assert_eq!(heard(""), "the document is not dialog-info");
    assert_eq!(heard("<a/>"), "the document is not dialog-info");
    assert_eq!(heard("<dialog-info><dialog>"), "the document is not well-formed XML");
    assert_eq!(
        heard("<!DOCTYPE x [<!ENTITY a 'b'>]><dialog-info/>"),
        "the document declares a document type"
    );
    assert_eq!(heard(&format!("<dialog-info>{}", "<x>".repeat(100))), "the document is nested too deeply");
    assert_eq!(heard(&asterisk(&"x".repeat(70_000))), "the document is larger than 64 KiB");
    assert_eq!(heard(&asterisk(&"<dialog id='1'/>".repeat(2000))), "idle");
    assert_eq!(
        heard(&asterisk(&"<dialog id='1'><state>early</state></dialog>".repeat(100))),
        "the document names too many dialogs"
    );
}

#[test]
fn invalid_utf8_does_not_hide_a_call() {
    let mut body = asterisk(
        "<dialog id=\"101\" direction=\"recipient\"><state>early</state><remote><identity display=\"NAME\">\
         sip:+48123456789@x</identity></remote></dialog>",
    )
    .into_bytes();
    let at = body.windows(4).position(|w| w == b"NAME").expect("the name");
    body[at..at + 4].copy_from_slice(&[0xF9, 0xE0, 0xFF, b'x']);
    let info = read(&body, &Rules::default()).expect("understood");
    let caller = info.dialogs[0].1.remote.clone().expect("a caller");
    assert_eq!(caller.number.and_then(|n| n.key().map(str::to_owned)).as_deref(), Some("+48123456789"));
}

#[test]
fn partial_documents_change_what_is_known() {
    let plan = Rules::default();
    let mut dialogs = Dialogs::default();
    let apply = |dialogs: &mut Dialogs, state: &str, inner: &str| {
        let body = format!("<dialog-info state=\"{state}\">{inner}</dialog-info>");
        is(dialogs.apply(read(body.as_bytes(), &plan).expect("understood")))
    };
    let talking = "<dialog id=\"a\"><state>confirmed</state></dialog>";
    assert_eq!(apply(&mut dialogs, "full", talking), LineHeard::Busy);
    let second = "<dialog id=\"b\"><state>early</state></dialog>";
    assert!(matches!(apply(&mut dialogs, "partial", second), LineHeard::Ringing { .. }));
    let over = "<dialog id=\"b\"><state>terminated</state></dialog>";
    assert_eq!(apply(&mut dialogs, "partial", over), LineHeard::Busy);
    assert_eq!(apply(&mut dialogs, "full", ""), LineHeard::Idle);
}

/// Documents as `VERSION full|partial DIALOG…`, a dialog as `id:state:number`; what is said of each.
fn story(documents: &[&str]) -> Vec<String> {
    let plan = Rules::default();
    let mut dialogs = Dialogs::default();
    let say = |document: &&str| {
        let mut words = document.split_whitespace();
        let (version, state) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let inner: String = words
            .map(|word| {
                let mut parts = word.split(':');
                let mut next = || parts.next().unwrap_or_default();
                let (id, state, number) = (next(), next(), next());
                format!(
                    "<dialog id=\"{id}\"><state>{state}</state><remote><identity>sip:{number}@x</identity></remote></dialog>"
                )
            })
            .collect();
        let body = format!("<dialog-info version=\"{version}\" state=\"{state}\">{inner}</dialog-info>");
        match dialogs.apply(read(body.as_bytes(), &plan).expect("understood")) {
            Applied::AskFull => "ask".to_owned(),
            Applied::Is(LineHeard::Ringing { caller, .. }, news) => {
                let number = caller.number.as_ref().and_then(|number| number.key()).unwrap_or("-");
                format!("rings {number} {news:?}")
            }
            Applied::Is(line, news) => format!("{line:?} {news:?}"),
        }
    };
    documents.iter().map(say).collect()
}

#[test]
fn a_version_that_was_skipped_or_is_old_makes_it_ask_for_the_full_state() {
    let documents = [
        "0 full",
        "1 partial a:early:+48220000101",
        "3 partial a:terminated",
        "4 partial",
        "5 full a:confirmed",
        "6 partial a:terminated",
    ];
    let said = ["Idle First", "rings +48220000101 Next", "ask", "ask", "Busy Next", "Idle Next"];
    assert_eq!(story(&documents), said);
    // A full document may skip: it hides nothing. The same version again is a refresh.
    assert_eq!(
        story(&["0 full", "7 full a:confirmed", "7 full a:confirmed"]),
        ["Idle First", "Busy Next", "Busy Repeated"]
    );
    // An older one is not believed, but a notifier that counts anew is, once it was asked.
    assert_eq!(story(&["7 full a:confirmed", "0 full", "0 full"]), ["Busy First", "ask", "Idle Next"]);
    assert_eq!(story(&["3 partial a:early:+48220000101", "4 full"]), ["ask", "Idle Next"]);
}

#[test]
fn ringing_wins_over_talking_and_the_newest_caller_over_the_one_before() {
    let documents = [
        "0 full z:confirmed",
        "1 partial m:early:+48220000102",
        "2 partial a:early:+48220000103",
        "3 partial a:terminated",
        "4 full z:confirmed m:early:+48220000102 a:early:+48220000104",
        "5 full z:confirmed m:confirmed",
    ];
    let said = [
        "Busy First",
        "rings +48220000102 Next",
        "rings +48220000103 Next",
        "rings +48220000102 Next",
        "rings +48220000104 Next",
        "Busy Next",
    ];
    assert_eq!(story(&documents), said);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
        let _ = read(&body, &Rules::default());
    }

    #[test]
    fn any_broken_document_is_read_without_a_panic(at in 0usize..400, byte in proptest::prelude::any::<u8>()) {
        let mut body = asterisk("<dialog id=\"101\" direction=\"recipient\"><state>early</state><remote>\
            <identity display=\"&lt;A&gt;\">sip:a@b</identity></remote></dialog>").into_bytes();
        let at = at % body.len();
        body[at] = byte;
        let _ = read(&body, &Rules::default());
    }
}
