//! The desktop's command line, as an administrator meets it. That there is a test here also makes cargo
//! build the program whenever the workspace is tested, which the whole-system tests start.

use std::process::{Command, Output};

fn agent(dir: &std::path::Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinkas-agent"));
    command.current_dir(dir).args(arguments).output().expect("the program runs")
}

#[test]
fn a_wrong_configuration_is_told_with_file_and_line_and_a_failing_exit() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("ana.toml"), "hub = \"nowhere\"\npopup = \"up\"\n").expect("written");
    for arguments in [&["check", "--config", "ana.toml"][..], &["--config", "ana.toml"]] {
        let out = agent(dir.path(), arguments);
        assert_eq!(out.status.code(), Some(2));
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(said.contains("ana.toml:1: `hub`"), "{said}");
        assert!(said.contains("ana.toml:2: `popup`"), "{said}");
    }
}

#[test]
fn the_default_file_needs_nothing_and_a_secret_named_in_it_has_to_be_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let default = agent(dir.path(), &["--print-default"]);
    std::fs::write(dir.path().join("agent.toml"), &default.stdout).expect("written");
    assert!(agent(dir.path(), &["check"]).status.success());
    let named = String::from_utf8_lossy(&default.stdout).replace("# secret_env", "secret_env");
    std::fs::write(dir.path().join("agent.toml"), named).expect("written");
    let missing = agent(dir.path(), &["check"]);
    assert_eq!(missing.status.code(), Some(2));
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("agent.toml:5: the environment variable PINKAS_SECRET is not set"), "{said}");
}

#[test]
fn without_a_window_and_without_a_secret_it_says_what_is_missing() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("agent.toml"), "agent = \"ana\"\ndata = \"data\"\n").expect("written");
    assert!(agent(dir.path(), &["check"]).status.success(), "the window asks");
    let out = agent(dir.path(), &["--headless"]);
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        said.contains("nobody can be asked for the password") && said.contains("`secret_file`"),
        "{said}"
    );
}
