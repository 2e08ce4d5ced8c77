//! The manager connection against a small pretend Asterisk on loopback: login, lists, losses, and servers
//! that are slow, strange or broken.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pinkas_protocol::{NumberPlan, Private};
use pinkas_sip_adapter::check::{Finding, Level};
use pinkas_sip_adapter::config::{Ami, Pbx};
use pinkas_sip_adapter::hear::ami;
use pinkas_sip_adapter::hear::ami::probe::probe;
use pinkas_sip_adapter::hear::{CallHeard, Heard, What};
use pinkas_sip_adapter::sip::identity::Rules;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(20);

fn ami_at(address: SocketAddr) -> Ami {
    Ami {
        address,
        user: "pinkas".to_owned(),
        secret: Private("s3cret".to_owned()),
        channels: vec!["PJSIP/{line}".parse().unwrap()],
    }
}

fn pbx() -> Pbx {
    let numbers = NumberPlan::new("PL", 4).unwrap();
    let rules = Rules { numbers, ..Rules::default() };
    Pbx { lines: vec!["101".parse().unwrap()], rules: Arc::new(rules) }
}

/// One connection, as the pretend Asterisk has it.
struct Server {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    /// Everything that was received, to look for what must not be in it.
    received: String,
}

impl Server {
    async fn accept(listener: &TcpListener) -> Server {
        let (stream, _) = listener.accept().await.unwrap();
        let (reader, writer) = stream.into_split();
        Server { lines: BufReader::new(reader).lines(), writer, received: String::new() }
    }

    /// Writes; an adapter that has gone is no fault of the server.
    async fn say(&mut self, text: impl AsRef<[u8]>) {
        let _gone = self.writer.write_all(text.as_ref()).await;
    }

    /// The next action: its name, and its ActionID or, for a login, its key.
    async fn action(&mut self) -> Option<(String, String)> {
        let (mut name, mut id) = (String::new(), String::new());
        loop {
            let line = self.lines.next_line().await.ok()??;
            self.received.push_str(&line);
            match line.split_once(": ") {
                Some(("Action", value)) => name = value.to_owned(),
                Some(("Key", value)) => self.received.push_str(&format!(" key={value} ")),
                Some(("ActionID", value)) => id = value.to_owned(),
                _ if line.is_empty() => return Some((name, id)),
                _ => {}
            }
        }
    }

    async fn greet_and_log_in(&mut self) {
        self.say("Asterisk Call Manager/11.0.0\r\n").await;
        assert_eq!(self.action().await, Some(("Challenge".into(), "challenge".into())));
        self.say("Response: Success\r\nActionID: challenge\r\nChallenge: 116559299\r\n\r\n").await;
        assert_eq!(self.action().await, Some(("Login".into(), "login".into())));
        self.say("Response: Success\r\nActionID: login\r\nMessage: Authentication accepted\r\n\r\n").await;
    }

    /// Answers one question as an Asterisk without devices would.
    async fn answer(&mut self, action: &str, id: &str) {
        let text = match action {
            "DeviceStateList" => {
                format!("Response: Error\r\nActionID: {id}\r\nMessage: Invalid/unknown command\r\n\r\n")
            }
            "Getvar" if id.starts_with("pres-") => {
                format!(
                    "Response: Success\r\nActionID: {id}\r\nVariable: CALLERID(pres)\r\nValue: allowed\r\n\r\n"
                )
            }
            "Getvar" => format!("Response: Success\r\nActionID: {id}\r\nValue: \r\n\r\n"),
            "Ping" => format!("Response: Success\r\nActionID: {id}\r\nPing: Pong\r\n\r\n"),
            "CoreSettings" => {
                format!("Response: Success\r\nActionID: {id}\r\nAsteriskVersion: 22.0.0\r\n\r\n")
            }
            _ => format!(
                "Response: Success\r\nActionID: {id}\r\nEventList: start\r\n\r\n\
                 Event: {action}Complete\r\nActionID: {id}\r\nEventList: Complete\r\n\r\n"
            ),
        };
        self.say(text).await;
    }

    async fn answer_lists(&mut self) {
        for _ in 0..4 {
            let (action, id) = self.action().await.unwrap();
            self.answer(&action, &id).await;
        }
    }
}

fn call(n: usize) -> String {
    format!(
        "Event: Newchannel\r\nChannel: PJSIP/trunk-{n}\r\nChannelStateDesc: Ring\r\nCallerIDNum: +48220000101\r\n\
         Exten: 101\r\nUniqueid: 1.{n}\r\nLinkedid: 1.{n}\r\n\r\n\
         Event: Newchannel\r\nChannel: PJSIP/101-{n}\r\nChannelStateDesc: Ringing\r\nUniqueid: 2.{n}\r\nLinkedid: 1.{n}\r\n\r\n"
    )
}

fn hang_up(n: usize) -> String {
    format!(
        "Event: Hangup\r\nChannel: PJSIP/101-{n}\r\nUniqueid: 2.{n}\r\nCause: 16\r\n\r\nEvent: Hangup\r\nChannel: PJSIP/trunk-{n}\r\nUniqueid: 1.{n}\r\nCause: 16\r\n\r\n"
    )
}

/// Runs the adapter's side beside `server`, which gets what is heard.
async fn beside<F: Future<Output = ()>>(
    room: usize,
    server: impl FnOnce(TcpListener, mpsc::Receiver<Heard>) -> F,
) {
    let listener = TcpListener::bind("127.0.30.61:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (heard_in, heard) = mpsc::channel(room);
    let stop = CancellationToken::new();
    let running = tokio::spawn(ami::run(ami_at(address), pbx(), heard_in, stop.clone()));
    timeout(SOON, server(listener, heard)).await.expect("the server's part in time");
    stop.cancel();
    timeout(SOON, running).await.expect("it stops when told to").unwrap().unwrap();
}

async fn until(heard: &mut mpsc::Receiver<Heard>, wanted: impl Fn(&What) -> bool) -> What {
    loop {
        let next = heard.recv().await.expect("still hearing").what;
        if wanted(&next) {
            return next;
        }
    }
}

fn rings(what: &What) -> bool {
    matches!(what, What::Call { is: CallHeard::Rings { .. }, .. })
}

#[tokio::test]
async fn it_logs_in_without_sending_the_secret_hears_and_after_a_loss_learns_everything_anew() {
    beside(64, |listener, mut heard| async move {
        let mut server = Server::accept(&listener).await;
        server.greet_and_log_in().await;
        // RFC 1321 of "116559299" and "s3cret".
        assert!(server.received.contains("key=dc9bfb4cb47c3d82"), "{}", server.received);
        server.answer_lists().await;
        assert_eq!(until(&mut heard, |_| true).await, What::Up { live: Some(Vec::new()) });
        server.say(call(1)).await;
        for _ in 0..2 {
            let (action, id) = server.action().await.unwrap();
            server.answer(&action, &id).await;
        }
        let What::Call { key, .. } = until(&mut heard, rings).await else { panic!("no call") };
        assert!(!server.received.contains("s3cret"));
        drop(server);
        until(&mut heard, |what| *what == What::Down).await;

        let mut server = Server::accept(&listener).await;
        server.greet_and_log_in().await;
        for _ in 0..4 {
            let (action, id) = server.action().await.unwrap();
            if action == "CoreShowChannels" {
                let listed = call(1)
                    .replace("Event: Newchannel", &format!("Event: CoreShowChannel\r\nActionID: {id}"));
                server.say(listed).await;
            }
            server.answer(&action, &id).await;
        }
        for _ in 0..3 {
            let (action, id) = server.action().await.unwrap();
            server.answer(&action, &id).await;
        }
        assert_eq!(
            until(&mut heard, |what| matches!(what, What::Up { .. })).await,
            What::Up { live: Some(vec![key]) }
        );
    })
    .await;
}

#[tokio::test]
async fn garbage_half_lines_and_huge_lines_do_not_hide_a_call() {
    beside(64, |listener, mut heard| async move {
        let mut server = Server::accept(&listener).await;
        server.greet_and_log_in().await;
        server.answer_lists().await;
        server
            .say(
                [
                    b"\xff\xfe\x00garbage\r\n: : :\r\nEvent\r\n\r\nEvent: \r\nX: ".as_slice(),
                    &[b'x'; 100_000],
                    b"\r\n\r\n",
                ]
                .concat(),
            )
            .await;
        for part in call(1).as_bytes().chunks(5) {
            server.say(part).await;
        }
        until(&mut heard, rings).await;
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_for_long_loses_no_word_and_no_connection() {
    const CALLS: usize = 5_000;
    beside(1, |listener, mut heard| async move {
        let mut server = Server::accept(&listener).await;
        server.greet_and_log_in().await;
        server.answer_lists().await;
        let (mut lines, mut writer) = (server.lines, server.writer);
        let (asked_in, mut asked) = mpsc::channel::<String>(20_000);
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(id) = line.strip_prefix("ActionID: pres-") {
                    asked_in
                        .send(format!("Response: Success\r\nActionID: pres-{id}\r\nValue: allowed\r\n\r\n"))
                        .await
                        .unwrap();
                }
            }
        });
        let writing = tokio::spawn(async move {
            for n in 0..CALLS {
                writer.write_all(call(n).as_bytes()).await.unwrap();
                // As Asterisk does, in between.
                while let Ok(answer) = asked.try_recv() {
                    writer.write_all(answer.as_bytes()).await.unwrap();
                }
            }
            while let Some(answer) = asked.recv().await {
                writer.write_all(answer.as_bytes()).await.unwrap();
                if answer.contains(&format!("pres-1.{}\r", CALLS - 1)) {
                    break;
                }
            }
            for n in 0..CALLS {
                writer.write_all(hang_up(n).as_bytes()).await.unwrap();
            }
            writer
        });
        let (mut started, mut over) = (0, 0);
        while over < CALLS {
            match heard.recv().await.unwrap().what {
                What::Call { is: CallHeard::Rings { .. }, .. } => started += 1,
                What::Call { is: CallHeard::Over { .. }, .. } => over += 1,
                What::Down => panic!("the connection was lost"),
                _ => {}
            }
        }
        assert_eq!(started, CALLS);
        drop(writing.await.unwrap());
        drop(reading);
    })
    .await;
}

/// What a check says about a server that begins so.
async fn check(serve: impl AsyncFnOnce(Server), level: Level, expected: &str) {
    let listener = TcpListener::bind("127.0.30.61:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ami, pbx) = (ami_at(address), pbx());
    let serving = async {
        let server = Server::accept(&listener).await;
        serve(server).await;
    };
    let (findings, ()) = tokio::join!(timeout(SOON, probe(&ami, &pbx)), serving);
    let findings = findings.expect("a check ends");
    assert!(says(&findings, level, expected), "{expected:?} is not in {findings:#?}");
    assert!(!findings.iter().any(|finding| finding.text.contains("s3cret")));
}

fn says(findings: &[Finding], level: Level, expected: &str) -> bool {
    findings.iter().any(|finding| finding.level == level && finding.text.contains(expected))
}

#[tokio::test]
async fn a_check_says_in_words_what_is_wrong() {
    let refused = async |mut server: Server| {
        server.say("Asterisk Call Manager/5.0.4\r\n").await;
        server.action().await;
        server.say("Response: Success\r\nActionID: challenge\r\nChallenge: 1\r\n\r\n").await;
        server.action().await;
        server.say("Response: Error\r\nActionID: login\r\nMessage: Authentication failed\r\n\r\n").await;
    };
    check(refused, Level::Broken, "the user or secret is wrong, or the account's permit and deny").await;
    check(
        async |mut server: Server| server.say("SSH-2.0-OpenSSH_9.6\r\n").await,
        Level::Broken,
        "is not Asterisk's manager",
    )
    .await;
    check(async |server: Server| drop(server), Level::Broken, "is not Asterisk's manager").await;
    let weak = async |mut server: Server| {
        server.greet_and_log_in().await;
        while let Some((action, id)) = server.action().await {
            if matches!(action.as_str(), "Getvar" | "CoreShowChannels" | "CoreSettings") {
                server
                    .say(format!("Response: Error\r\nActionID: {id}\r\nMessage: Permission denied\r\n\r\n"))
                    .await;
            } else {
                server.answer(&action, &id).await;
            }
        }
    };
    let well = async |mut server: Server| {
        server.greet_and_log_in().await;
        while let Some((action, id)) = server.action().await {
            server.answer(&action, &id).await;
        }
    };
    let deaf = async |mut server: Server| {
        server.greet_and_log_in().await;
        for looks in 0.. {
            let Some((action, id)) = server.action().await else { return };
            if action == "CoreShowChannels" {
                let channel =
                    format!("Event: CoreShowChannel\r\nActionID: {id}\r\nUniqueid: {looks}\r\n\r\n");
                server.say(channel).await;
            }
            server.answer(&action, &id).await;
        }
    };
    let nobodys = "no device and no queue member of the phone system is the phone of these lines: 101";
    // At once: each listens for some seconds.
    tokio::join!(
        check(weak, Level::Broken, "write=reporting"),
        check(well, Level::Good, "Asterisk 22.0.0"),
        check(well, Level::Trap, "did not show whether the account may hear calls"),
        check(well, Level::Trap, nobodys),
        check(deaf, Level::Broken, "write read=agent,call for the account in manager.conf"),
    );
    let hint = |device: &'static str| {
        async move |mut server: Server| {
            server.greet_and_log_in().await;
            server.say("Event: Newchannel\r\nPrivilege: call,all\r\nUniqueid: 1\r\n\r\n").await;
            while let Some((action, id)) = server.action().await {
                if action == "ExtensionStateList" {
                    let hint = "Event: ExtensionStatus\r\nActionID: x\r\nExten: 101\r\nHint: ";
                    server.say(format!("{hint}{device}\r\n\r\n")).await;
                }
                server.answer(&action, &id).await;
            }
        }
    };
    check(hint("PJSIP/101&Custom:DND101"), Level::Good, "1 of 1 lines are known").await;
    check(hint("PJSIP/101"), Level::Good, "the account hears what happens").await;
    check(hint("SIP/desk-101"), Level::Trap, "The hint of 101 names SIP/desk-101").await;
}

#[tokio::test]
async fn nobody_listening_is_said_with_the_address() {
    let listener = TcpListener::bind("127.0.30.61:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert!(TcpStream::connect(address).await.is_err());
    let findings = probe(&ami_at(address), &pbx()).await;
    assert!(
        says(&findings, Level::Broken, &format!("cannot reach the manager interface at {address}")),
        "{findings:?}"
    );
}
