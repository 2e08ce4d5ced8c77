//! The door with real people, passwords and tokens.

use std::io::Cursor;
use std::path::Path;

use super::command::UserCommand;
use super::*;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const PASSWORD: &str = "a good password";

fn id(name: &str) -> AgentId {
    name.parse().expect("an id")
}

fn secret(text: &str) -> Private<String> {
    Private(text.to_owned())
}

/// Runs `pinkas-hub user …` with this password on its standard input.
fn user(dir: &Path, arguments: &[&str]) -> String {
    #[derive(clap::Parser)]
    struct Line {
        #[command(subcommand)]
        command: UserCommand,
    }
    let line = ["user"].into_iter().chain(arguments.iter().copied());
    let line = <Line as clap::Parser>::try_parse_from(line).expect("a command");
    let mut out = Vec::new();
    let mut input = Cursor::new(format!("{PASSWORD}\n"));
    let done = command::user(&testing::settings(dir), line.command, &mut input, &mut out);
    done.map_or_else(|e| format!("{e:#}"), |()| String::from_utf8(out).expect("text"))
}

fn office() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let said =
        user(dir.path(), &["add", "ana", "--lines", "101,102", "--teams", "sales", "--password-stdin"]);
    assert_eq!(said, "ana can log in\n");
    dir
}

fn open(dir: &Path) -> Access {
    let mut settings = testing::settings(dir);
    settings.agents = [(id("rose"), secret("rose's secret"))].into();
    settings.adapters = [("main".parse().expect("an id"), secret("the adapter's secret"))].into();
    Access::open(settings).expect("opened")
}

async fn said(access: &Access, name: &str, text: &str) -> Option<Close> {
    access.login(&id(name), &secret(text), ADDRESS).await.err()
}

#[tokio::test]
async fn the_password_lets_in_and_its_token_does_again_also_after_a_restart() {
    let dir = office();
    let access = open(dir.path());
    for (name, wrong) in [("ana", ""), ("ana", "wrong"), ("bob", PASSWORD), ("rose", PASSWORD), ("rose", "")]
    {
        assert_eq!(said(&access, name, wrong).await, Some(Close::WrongSecret), "{name} {wrong}");
    }
    let rose = access.login(&id("rose"), &secret("rose's secret"), ADDRESS).await.expect("welcome");
    assert!(rose.token.is_none(), "a secret of the configuration needs no token");
    let session = access.login(&id("ana"), &secret(PASSWORD), ADDRESS).await.expect("welcome");
    let token = session.token.expect("a token");
    assert!(token.0.len() >= 43 && !format!("{token:?}").contains(&token.0));
    for access in [access, open(dir.path())] {
        assert_eq!(said(&access, "ana", &token.0).await, None);
        assert_eq!(said(&access, "rose", &token.0).await, Some(Close::Revoked), "another's token");
        assert_eq!(said(&access, "ana", &format!("{}x", token.0)).await, Some(Close::Revoked));
    }
    for file in ["users.toml", "tokens"] {
        let kept = std::fs::read_to_string(dir.path().join(file)).expect("there");
        assert!(!kept.contains(&token.0) && !kept.contains(PASSWORD), "{file} holds no secret");
    }
}

#[tokio::test]
async fn whatever_ends_a_login_closes_what_is_open_within_five_seconds() {
    for (what, again) in [
        (&["revoke", "ana"][..], None),
        (&["disable", "ana"], Some(Close::WrongSecret)),
        (&["password", "ana"], Some(Close::WrongSecret)),
    ] {
        let dir = office();
        let access = Arc::new(open(dir.path()));
        let (hub, mut told) = tokio::sync::mpsc::channel(8);
        let stop = tokio_util::sync::CancellationToken::new();
        let (watcher, stopped) = (access.clone(), stop.clone());
        let watching = tokio::spawn(async move { watcher.keep_current(hub, stopped).await });
        let first = access.login(&id("ana"), &secret(PASSWORD), ADDRESS).await.expect("welcome");
        let token = first.token.clone().expect("a token");
        let second = access.login(&id("ana"), &token, ADDRESS).await.expect("welcome");
        let since = Instant::now();
        user(dir.path(), what);
        let both = async { (first.ended().await, second.ended().await) };
        let ended = tokio::time::timeout(Duration::from_secs(5), both).await;
        assert_eq!(ended, Ok((Close::Revoked, Close::Revoked)), "{what:?} after {:?}", since.elapsed());
        assert!(matches!(told.recv().await, Some(crate::links::ToHub::Staff(_))), "the core is told");
        assert_eq!(said(&access, "ana", &token.0).await, Some(Close::Revoked));
        assert_eq!(said(&access, "ana", PASSWORD).await, again, "{what:?}");
        stop.cancel();
        watching.await.expect("it stops");
    }
}

#[tokio::test]
async fn what_changed_between_the_reading_and_the_watch_is_noticed() {
    let dir = office();
    let access = Arc::new(open(dir.path()));
    let session = access.login(&id("ana"), &secret(PASSWORD), ADDRESS).await.expect("welcome");
    user(dir.path(), &["revoke", "ana"]);
    let (hub, _told) = tokio::sync::mpsc::channel(8);
    let stop = tokio_util::sync::CancellationToken::new();
    let watched = access.keep_current(hub, stop);
    let ended = async {
        tokio::select! {
            () = watched => None,
            why = session.ended() => Some(why),
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), ended).await, Ok(Some(Close::Revoked)));
}

#[tokio::test(start_paused = true)]
async fn a_token_expires_and_with_it_what_is_open() {
    let dir = office();
    let access = open(dir.path());
    let session = access.login(&id("ana"), &secret(PASSWORD), ADDRESS).await.expect("welcome");
    let since = Instant::now();
    assert_eq!(session.ended().await, Close::Revoked);
    assert!(since.elapsed() >= Duration::from_secs(3599));
    let short = Settings { token_lasts: Duration::from_nanos(1), ..testing::settings(dir.path()) };
    let access = Access::open(short).expect("opened");
    let session = access.login(&id("ana"), &secret(PASSWORD), ADDRESS).await.expect("welcome");
    let token = session.token.expect("a token");
    assert_eq!(said(&access, "ana", &token.0).await, Some(Close::Revoked));
}

#[tokio::test]
async fn too_many_wrong_secrets_are_not_even_looked_at_whether_the_name_exists_or_not() {
    let dir = office();
    let access = open(dir.path());
    for name in ["ana", "nobody-of-that-name", "rose"] {
        for _ in 0..6 {
            assert_eq!(said(&access, name, "wrong").await, Some(Close::WrongSecret));
        }
        let right = if name == "rose" { "rose's secret" } else { PASSWORD };
        assert_eq!(said(&access, name, right).await, Some(Close::TooManyAttempts), "{name}");
    }
    let main = "main".parse().expect("an id");
    for _ in 0..6 {
        assert_eq!(access.adapter(&main, &secret("wrong"), ADDRESS), Err(Close::WrongSecret));
    }
    assert_eq!(access.adapter(&main, &secret("the adapter's secret"), ADDRESS), Err(Close::TooManyAttempts));
}

#[tokio::test]
async fn ten_thousand_tokens_let_in_at_once_cost_no_password_check() {
    let dir = office();
    let access = open(dir.path());
    let token = access.login(&id("ana"), &secret(PASSWORD), ADDRESS).await.expect("welcome").token;
    let token = token.expect("a token");
    let before = worked(&access);
    for _ in 0..10_000 {
        assert!(access.login(&id("ana"), &token, ADDRESS).await.is_ok());
    }
    assert_eq!(worked(&access), before, "no password was hashed");
}

fn worked(access: &Access) -> usize {
    access.memory.worked.load(std::sync::atomic::Ordering::Relaxed)
}

/// Whatever is wrong, one password is hashed with the same parameters: how long an answer takes tells nothing.
#[tokio::test]
async fn an_unknown_name_does_the_same_work_as_a_wrong_password() {
    let dir = office();
    let access = open(dir.path());
    let mut work = Vec::new();
    for name in ["ana", "nobody", "rose"] {
        let before = worked(&access);
        assert_eq!(said(&access, name, "a wrong password").await, Some(Close::WrongSecret));
        work.push(worked(&access) - before);
    }
    assert!(work[0] > 10_000 && work.iter().all(|one| *one == work[0]), "{work:?}");
}

#[test]
fn the_command_says_what_it_did_and_refuses_what_it_cannot() {
    let dir = office();
    let expect = |arguments: &[&str], part: &str| {
        let said = user(dir.path(), arguments);
        assert!(said.contains(part), "{arguments:?}: {said}");
    };
    expect(&["add", "ana"], "there is a user \"ana\" already");
    expect(&["role", "bob", "admin"], "there is no user \"bob\"");
    expect(&["add", "bob"], "Password, shown only now: ");
    expect(&["role", "bob", "supervisor"], "the role is changed");
    expect(&["team", "bob", "sales", "support"], "the teams are changed");
    expect(&["lines", "bob", "109"], "the phones are changed");
    expect(&["disable", "ana"], "can no longer log in");
    expect(&["list"], "bob (bob): supervisor, phones: 109, teams: sales, support\n");
    expect(&["list"], "ana (ana): agent, phones: 101, 102, teams: sales, disabled since");
    let listed = user(dir.path(), &["list"]);
    assert!(!listed.contains("argon2"), "{listed}");
}

#[test]
fn init_writes_what_check_accepts_and_overwrites_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = dir.path().join("hub.toml");
    let mut out = Vec::new();
    let typed = command::PasswordFrom { password_stdin: false };
    command::init(&config, &id("admin"), typed, &mut Cursor::new(""), &mut out).expect("written");
    let said = String::from_utf8(out).expect("text");
    let password = said.lines().last().and_then(|line| line.strip_prefix("Password, shown only now: "));
    let read = crate::config::load(&config).unwrap_or_else(|e| panic!("{e}"));
    let users = people::load(&read.access.users, &read.access.agents).expect("people");
    let admin = users.enabled(&id("admin")).expect("the admin");
    assert!(passwords::Memory::default().matches(&admin.password.0, password.expect("a password")));
    assert_eq!(admin.role, pinkas_protocol::agent_link::Role::Admin);
    let again = command::init(&config, &id("admin"), typed, &mut Cursor::new(""), &mut Vec::new());
    assert!(again.expect_err("there already").to_string().contains("nothing was changed"));
}
