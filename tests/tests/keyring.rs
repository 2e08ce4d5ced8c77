//! The desktop's password in a real keyring: found by the next run, separate for each hub and person, forgotten when
//! asked; and the whole desktop, typed into once and logged in by itself the next time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use pinkas_agent::keyring::{Name, obey};
use pinkas_agent::model::login::{Job, KeyringSays, Secret, Trouble};
use pinkas_tests::lab::keyring::Keyring;
use pinkas_tests::lab::process::{Running, bounded, output, until};
use pinkas_tests::lab::xvfb::Xvfb;
use pinkas_tests::or_skip;
use pinkas_tests::site::{Site, program};

/// What this program is to ask the keyring when a test starts it once more: `job hub who secret`. A bus is found by
/// the environment, which a program has from its start.
const ASK: &str = "PINKAS_TEST_KEYRING_ASK";
const ASKING: &str = "a_password_is_there_for_the_next_run_until_it_is_forgotten";
const SOON: Duration = Duration::from_secs(60);

fn answer(ask: &str) -> String {
    let words: Vec<&str> = ask.split(' ').collect();
    let [job, hub, who, secret] = words[..] else { panic!("{ask}") };
    let name = Name { hub: hub.to_owned(), who: who.to_owned() };
    let job = match job {
        "find" => Job::Find,
        "keep" => Job::Keep(Secret::new(secret.to_owned())),
        "forget" => Job::Forget,
        other => panic!("{other}"),
    };
    match obey(&name, &job) {
        KeyringSays::Found(Ok(Some(found))) => format!("found {}", found.reveal()),
        KeyringSays::Found(Ok(None)) => "found nothing".to_owned(),
        KeyringSays::Kept(Ok(())) | KeyringSays::Forgot(Ok(())) => "done".to_owned(),
        KeyringSays::Found(Err(Trouble::NoKeyring)) => "no keyring".to_owned(),
        other => format!("{other:?}"),
    }
}

async fn ask(keyring: &Keyring, what: &str) -> String {
    let mut command = bounded(std::env::current_exe().unwrap());
    command.args([ASKING, "--exact", "--nocapture"]).env(ASK, what);
    keyring.reach(&mut command);
    let said = output("the keyring's question", command, Duration::from_secs(30)).await.unwrap();
    said.lines().find_map(|line| line.strip_prefix("answer: ")).unwrap_or(&said).to_owned()
}

async fn there(keyring: &Keyring) {
    let there = until("the keyring", SOON, async || {
        (ask(keyring, "find ws://none nobody -").await == "found nothing").then_some(())
    });
    there.await.unwrap_or_else(|error| panic!("{error:#}\n{}", keyring.last_words()));
}

#[tokio::test]
async fn a_password_is_there_for_the_next_run_until_it_is_forgotten() {
    if let Ok(ask) = std::env::var(ASK) {
        return println!("\nanswer: {}", answer(&ask));
    }
    let mut keyring = or_skip!(Keyring::none_on_a_bus().await);
    let (ana, bob, away) = ("ws://127.0.0.1:7420 ana", "ws://127.0.0.1:7420 bob", "wss://hub.example ana");
    assert_eq!(ask(&keyring, &format!("find {ana} -")).await, "no keyring");

    keyring.start().unwrap();
    there(&keyring).await;
    for (name, secret) in [(ana, "first"), (ana, "zażółć-קפה"), (bob, "bobs"), (away, "elsewhere")] {
        assert_eq!(ask(&keyring, &format!("keep {name} {secret}")).await, "done");
    }
    keyring.stop();
    keyring.start().unwrap();
    there(&keyring).await;
    for (name, secret) in [(ana, "zażółć-קפה"), (bob, "bobs"), (away, "elsewhere")] {
        assert_eq!(ask(&keyring, &format!("find {name} -")).await, format!("found {secret}"));
    }

    for _ in 0..2 {
        assert_eq!(ask(&keyring, &format!("forget {ana} -")).await, "done");
        assert_eq!(ask(&keyring, &format!("find {ana} -")).await, "found nothing");
    }
    assert_eq!(ask(&keyring, &format!("find {bob} -")).await, "found bobs");
}

#[tokio::test]
async fn who_types_the_password_once_is_logged_in_by_the_desktop_itself_the_next_time() {
    let mut keyring = or_skip!(Keyring::none_on_a_bus().await);
    let screen = or_skip!(Xvfb::start().await);
    let screen = or_skip!(screen.with_window_manager().await);
    keyring.start().unwrap();
    there(&keyring).await;

    let site = Site::open().await.unwrap();
    let (_hub, _adapter, _) = site.all(&[]).await.unwrap();
    let file = &site.office.agents["ana"];
    let said = std::fs::read_to_string(file).unwrap();
    let (secrets, rest): (Vec<&str>, Vec<&str>) =
        said.lines().partition(|line| line.starts_with("secret_file"));
    let secret = secrets[0].split('"').nth(1).unwrap();
    let secret = std::fs::read_to_string(file.with_file_name(secret)).unwrap();
    std::fs::write(file, rest.join("\n")).unwrap();

    let desktop = |log: &str| {
        let mut command = bounded(program("pinkas-agent").unwrap());
        command.arg("--config").arg(file);
        keyring.reach(&mut command);
        command.env("DISPLAY", screen.display()).env_remove("WAYLAND_DISPLAY").env("RUST_LOG", "info");
        Running::start("pinkas-agent", command, &site.dir().join(log)).unwrap()
    };
    let types = async |text: &str| {
        until("the window to have the keyboard", SOON, async || {
            screen
                .run("xdotool", &["search", "--onlyvisible", "--name", "^Pinkas$", "windowfocus"])
                .await
                .ok()
        })
        .await
        .unwrap();
        screen.run("xdotool", &["type", "--delay", "30", text]).await.unwrap();
        screen.run("xdotool", &["key", "Return"]).await.unwrap();
    };

    let mut first = desktop("first.log");
    // Typed until it is taken: a loaded window may not draw its field yet.
    until("a wrong password to be refused", SOON, async || {
        types("wrong").await;
        let refused = || site.log("first.log").contains("does not know this name and secret");
        until("a refusal", Duration::from_secs(5), async || refused().then_some(())).await.ok()
    })
    .await
    .unwrap();
    types(secret.trim()).await;
    site.logs("first.log", "connected to the hub").await.unwrap();
    screen.run("wmctrl", &["-c", "Pinkas"]).await.unwrap();
    first.end(SOON).await.unwrap();

    let _second = desktop("second.log");
    site.logs("second.log", "connected to the hub").await.unwrap();
    let logs = site.log("first.log") + &site.log("second.log");
    assert!(!logs.contains(secret.trim()), "no secret in any log");
}
