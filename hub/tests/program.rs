//! The hub's command line, as an administrator meets it.

use std::process::{Command, Output, Stdio};

fn hub(dir: &std::path::Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinkas-hub"));
    command
        .current_dir(dir)
        .args(arguments)
        .env_remove("PINKAS_ADAPTER_SECRET")
        .env_remove("PINKAS_ANA_SECRET");
    command.output().expect("the hub runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_wrong_configuration_is_told_with_file_and_line_and_a_failing_exit() {
    let dir = tempfile::tempdir().expect("a folder");
    let wrong = "listen = \"here\"\n\n[[source]]\ngives = \"balance\"\nhttp = \"nowhere\"\n[[source]]\nname = \"x\"\ngives = \"balances\"\n";
    std::fs::write(dir.path().join("hub.toml"), wrong).expect("written");
    for arguments in [&["check"][..], &[]] {
        let out = hub(dir.path(), arguments);
        assert_eq!(out.status.code(), Some(2));
        let said = text(&out.stderr);
        assert!(said.contains("hub.toml:1: `listen`"), "{said}");
        assert!(said.contains("hub.toml:3: `name` is missing"), "{said}");
        assert!(said.contains("hub.toml:5: this address cannot be used"), "{said}");
        assert!(said.contains("hub.toml:8: `gives`"), "{said}");
    }
    let out = hub(dir.path(), &["--config", "missing.toml"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("missing.toml:1: cannot read this file"), "{}", text(&out.stderr));
}

#[test]
fn the_default_file_needs_only_its_secrets() {
    let dir = tempfile::tempdir().expect("a folder");
    let default = hub(dir.path(), &["--print-default"]);
    assert!(default.status.success());
    std::fs::write(dir.path().join("hub.toml"), &default.stdout).expect("written");
    let missing = hub(dir.path(), &["check"]);
    assert_eq!(missing.status.code(), Some(2), "no default secret lets anyone in");
    let ready = Command::new(env!("CARGO_BIN_EXE_pinkas-hub"))
        .current_dir(dir.path())
        .arg("check")
        .env("PINKAS_ADAPTER_SECRET", "a")
        .env("PINKAS_ANA_SECRET", "b")
        .output()
        .expect("the hub runs");
    assert!(ready.status.success(), "{}", text(&ready.stderr));
    assert!(text(&ready.stdout).contains("no mistakes"), "{}", text(&ready.stdout));
}

#[test]
fn a_reader_who_has_had_enough_is_no_failure() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("customers.csv"), "number,id,name\n+48220000101,K1,Piekarnia\n")
        .expect("written");
    let config =
        "country = \"PL\"\n[[source]]\nname = \"customers\"\ngives = \"customer\"\ncsv = \"customers.csv\"\n";
    std::fs::write(dir.path().join("hub.toml"), config).expect("written");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinkas-hub"));
    let out = command
        .current_dir(dir.path())
        .args(["lookup", "22 000 01 01"])
        .stdout(writer)
        .stderr(Stdio::piped());
    let out = out.spawn().and_then(|hub| hub.wait_with_output()).expect("the hub runs");
    assert!(out.status.success() && out.stderr.is_empty(), "{}", text(&out.stderr));
}

#[test]
fn lookup_prints_what_each_source_says() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("customers.csv"), "number,id,name\n+48220000101,K1,Piekarnia\n")
        .expect("written");
    std::fs::write(dir.path().join("credit.csv"), "customer_id,credit_limit,currency\nK1,500,PLN\n")
        .expect("written");
    let config = "country = \"PL\"\n[[source]]\nname = \"customers\"\ngives = \"customer\"\ncsv = \"customers.csv\"\n\
                  [[source]]\nname = \"credit\"\ngives = \"credit\"\ncsv = \"credit.csv\"\n";
    std::fs::write(dir.path().join("hub.toml"), config).expect("written");
    let out = hub(dir.path(), &["lookup", "22 000 01 01"]);
    let said = text(&out.stdout);
    assert!(
        out.status.success() && said.contains("Piekarnia") && said.contains("500"),
        "{said}{}",
        text(&out.stderr)
    );
}

#[test]
fn check_asks_each_source_and_fails_when_one_does() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("customers.csv"), "number,id,name\n+48220000101,K1,Piekarnia\n")
        .expect("written");
    let people =
        "country = \"PL\"\n[[source]]\nname = \"customers\"\ngives = \"customer\"\ncsv = \"customers.csv\"\n";
    std::fs::write(dir.path().join("hub.toml"), people).expect("written");
    for (arguments, code, words) in [
        (&["check"][..], 0, "customers: answered in"),
        (&["check", "--number", "22 000 01 01"], 0, "one customer, with numbers"),
        (&["check", "--number", "bread"], 1, "this is no phone number"),
        (&["check", "--offline"], 0, "no mistakes"),
    ] {
        let out = hub(dir.path(), arguments);
        let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
        assert_eq!(out.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{said}");
    }
    // On an address of its own, a port that was free stays so.
    let taken = std::net::TcpListener::bind("127.0.30.99:0").expect("a free port");
    let at = taken.local_addr().expect("an address");
    drop(taken);
    let down = format!(
        "{people}[[source]]\nname = \"erp\"\ngives = \"balance\"\nhttp = \"http://{at}/{{customer.id}}\"\n[source.fields]\nbalance = \"$.balance\"\n"
    );
    std::fs::write(dir.path().join("hub.toml"), down).expect("written");
    let out = hub(dir.path(), &["check"]);
    let said = text(&out.stdout);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(
        said.contains("good     customers") && said.contains("broken   erp: cannot be reached"),
        "{said}"
    );
}
