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
    for arguments in [&["check"][..], &["check", "--offline"], &[]] {
        let out = adapter(dir.path(), arguments, &[]);
        assert_eq!(out.status.code(), Some(2));
        let said = text(&out.stderr);
        assert!(said.contains("adapter.toml:1: `hub`"), "{said}");
        assert!(said.contains("adapter.toml:3: `user` is not a key here"), "{said}");
        assert!(said.contains("adapter.toml:2: `lines` is missing"), "{said}");
    }
}

#[test]
fn the_default_file_needs_only_its_secrets() {
    let dir = tempfile::tempdir().expect("a folder");
    let default = adapter(dir.path(), &["--print-default"], &[]);
    std::fs::write(dir.path().join("adapter.toml"), &default.stdout).expect("written");
    assert_eq!(adapter(dir.path(), &["check"], &[]).status.code(), Some(2));
    let secrets = [("PINKAS_ADAPTER_SECRET", "a"), ("PINKAS_PBX_PASSWORD", "b")];
    let ready = adapter(dir.path(), &["check", "--offline"], &secrets);
    assert!(ready.status.success(), "{}", text(&ready.stderr));
    assert!(text(&ready.stdout).contains("no mistakes; 3 lines"), "{}", text(&ready.stdout));
}

#[test]
fn check_connects_and_fails_when_nothing_is_heard() {
    let dir = tempfile::tempdir().expect("a folder");
    // A port that was free a moment ago: nothing listens there.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let closed = silent.local_addr().expect("an address");
    drop(silent);
    // Held by this test, as by another program.
    let taken = std::net::TcpListener::bind("127.0.30.63:0").expect("a free port");
    let figures = taken.local_addr().expect("an address");
    let text = format!(
        "hub = \"ws://{closed}\"\nsecret_env = \"PINKAS_ADAPTER_SECRET\"\n[pbx]\nlines = [\"101\"]\ncountry = \"PL\"\n[dialog_events]\n\
         address = \"{closed}\"\ntransport = \"tcp\"\nuser = \"pinkas\"\npassword_env = \"PINKAS_PBX_PASSWORD\"\n\
         [hep]\nlisten = \"127.0.30.63:0\"\nfrom = [\"127.0.30.63\"]\n[metrics]\nlisten = \"{figures}\"\n"
    );
    std::fs::write(dir.path().join("adapter.toml"), text).expect("written");
    let secrets = [("PINKAS_ADAPTER_SECRET", "a"), ("PINKAS_PBX_PASSWORD", "b")];
    let out = adapter(dir.path(), &["check"], &secrets);
    assert_eq!(out.status.code(), Some(1), "{}", text_of(&out));
    let said = text_of(&out);
    assert!(said.contains("no mistakes; 1 lines"), "{said}");
    for expected in [
        format!(
            "broken  dialog events: cannot connect to the phone system at {closed} over TCP: nothing listens there\n"
        ),
        "trap    copies (HEP): none came from those in `from` within 3 s".to_owned(),
        format!("broken  hub: ws://{closed} cannot be reached: nothing listens there"),
        format!("broken  figures: `listen` {figures} is taken by another program"),
    ] {
        assert!(said.contains(&expected), "no {expected:?} in {said}");
    }
    assert!(
        said.ends_with("The adapter would not work as configured: mend what stands behind \"broken\".\n"),
        "{said}"
    );
    assert!(out.stderr.is_empty(), "{said}");
    assert!(adapter(dir.path(), &["check", "--offline"], &secrets).status.success());
}

#[test]
fn a_certificate_check_cannot_be_switched_off_and_its_keys_need_tls() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "[pbx]\nlines = [\"101\"]\n[dialog_events]\naddress = \"127.0.0.1:5061\"\ntransport = \"tsl\"\n\
                tls_name = \"no name\"\nca_file = \"none.pem\"\nverify = false\nping = \"1s\"\nlist = \"a@b\"\n";
    std::fs::write(dir.path().join("adapter.toml"), text).expect("written");
    let said = text_of(&adapter(dir.path(), &["check"], &[]));
    for expected in [
        "adapter.toml:5: `transport` must be \"udp\", \"tcp\" or \"tls\"",
        "adapter.toml:6: `tls_name` must be a host name or an IP address",
        "adapter.toml:7: `ca_file`: there is no file",
        "adapter.toml:8: `verify` is not a key here",
        "adapter.toml:9: `ping` must be from \"5s\" to \"60s\"",
        "adapter.toml:10: `list` must be the list's name alone",
    ] {
        assert!(said.contains(expected), "no {expected:?} in {said}");
    }
}

fn text_of(out: &Output) -> String {
    format!("{}{}", text(&out.stdout), text(&out.stderr))
}
