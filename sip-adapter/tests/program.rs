//! The adapter's command line, as an administrator meets it.

use std::process::{Command, Output};

fn adapter(dir: &std::path::Path, arguments: &[&str], secrets: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinkas-sip-adapter"));
    command.current_dir(dir).args(arguments);
    command.env_remove("PINKAS_ADAPTER_SECRET").env_remove("PINKAS_PBX_PASSWORD");
    command.envs(secrets.iter().copied()).output().expect("the adapter runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_wrong_configuration_is_told_with_file_and_line_and_a_failing_exit() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("adapter.toml"), "hub = \"nowhere\"\n[pbx]\nuser = 7\n").expect("written");
    for arguments in [&["check"][..], &[]] {
        let out = adapter(dir.path(), arguments, &[]);
        assert_eq!(out.status.code(), Some(2));
        let said = text(&out.stderr);
        assert!(said.contains("adapter.toml:1: `hub`"), "{said}");
        assert!(said.contains("adapter.toml:3: `user` must be text"), "{said}");
        assert!(said.contains("adapter.toml:2: `address` is missing"), "{said}");
    }
}

#[test]
fn the_default_file_needs_only_its_secrets() {
    let dir = tempfile::tempdir().expect("a folder");
    let default = adapter(dir.path(), &["--print-default"], &[]);
    std::fs::write(dir.path().join("adapter.toml"), &default.stdout).expect("written");
    assert_eq!(adapter(dir.path(), &["check"], &[]).status.code(), Some(2));
    let secrets = [("PINKAS_ADAPTER_SECRET", "a"), ("PINKAS_PBX_PASSWORD", "b")];
    let ready = adapter(dir.path(), &["check"], &secrets);
    assert!(ready.status.success(), "{}", text(&ready.stderr));
    assert!(text(&ready.stdout).contains("3 lines at 127.0.0.1:5060"), "{}", text(&ready.stdout));
}
