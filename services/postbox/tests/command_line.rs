//! What the program answers when there is nothing to work with: one line, and the exit code that says what kind of
//! trouble it is.

use std::path::Path;
use std::process::{Command, Output};

fn postbox(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_postbox"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("POSTBOX_DATA")
        .env_remove("POSTBOX_ROOT")
        .env_remove("POSTBOX_PLATFORM")
        .output()
        .expect("the program starts")
}

/// A folder that looks like a workspace and holds one manifest.
fn workspace(manifest: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(root.path().join("Cargo.toml"), "").expect("it is writable");
    let service = root.path().join("services/follower");
    std::fs::create_dir_all(&service).expect("it is new");
    std::fs::write(service.join("service.toml"), manifest).expect("it is writable");
    root
}

#[track_caller]
fn assert_refused(output: &Output, code: i32, line: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(line), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    let output = postbox(&["dance"], Path::new("/"));
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn help_is_no_error() {
    let output = postbox(&["--help"], Path::new("/"));
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("status"));
}

#[test]
fn a_broken_manifest_is_named_with_its_field() {
    let root = workspace("name = \"follower\"\nport = 1\nserve = \"http\"\n");
    let output = postbox(&["up"], root.path());
    assert_refused(&output, 64, "services/follower/service.toml: missing field `ops_port`");
}

#[test]
fn a_program_that_was_not_built_is_named_with_the_cure() {
    let root = workspace("name = \"follower\"\nport = 1\nops_port = 2\nserve = \"http\"\n");
    let output = postbox(&["up"], root.path());
    assert_refused(&output, 64, "follower is missing: run `cargo build");
}

#[test]
fn two_brokers_are_refused() {
    let root = workspace("");
    let output = postbox(&["up", "--brokers", "2"], root.path());
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn commands_that_need_a_platform_say_that_nothing_runs() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let folder = data.path().to_str().expect("the path is text");
    let commands: [&[&str]; 8] = [
        &["status"],
        &["order"],
        &["demo"],
        &["lag"],
        &["dlq", "list"],
        &["dlq", "redrive", "shipping-12"],
        &["sagas", "stuck"],
        &["sagas", "stuck", "--longer-than", "5m", "--json"],
    ];
    for command in commands {
        let output = postbox(&[command, &["--data", folder]].concat(), data.path());
        assert_refused(&output, 69, "nothing runs from");
    }
}

#[test]
fn an_order_is_taken_up_or_given_up_not_both() {
    for arguments in [&["--retry", "a", "--void", "b"][..], &["--longer-than", "soon"], &["--longer-than", "-5s"]] {
        let output = postbox(&[&["sagas", "stuck"], arguments].concat(), Path::new("/"));
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
    }
}

#[test]
fn down_has_nothing_to_do_when_nothing_runs() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let folder = data.path().to_str().expect("the path is text");
    let output = postbox(&["down", "--json", "--data", folder], data.path());
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"stopped\":false}\n");
}

#[test]
fn the_log_of_nobody_is_refused_with_where_to_look() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let folder = data.path().to_str().expect("the path is text");
    let output = postbox(&["logs", "../secrets/customer", "--data", folder], data.path());
    assert_refused(&output, 64, "holds no log of `../secrets/customer`");
}

#[test]
fn a_platform_that_something_else_looks_after_is_where_its_file_says() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let file = data.path().join("platform.json");
    // nobody listens on port 1
    let platform = r#"{
        "bootstrap": "127.0.0.1:1", "postgres_url": "postgres://postgres@127.0.0.1:1/postgres", "databases": {},
        "services": [{ "name": "order", "url": "http://127.0.0.1:1", "ops_url": "http://127.0.0.1:1" }]
    }"#;
    std::fs::write(&file, platform).expect("it is writable");
    let (folder, file) = (data.path().to_str().expect("text"), file.to_str().expect("text"));
    let output = postbox(&["status", "--json", "--data", folder, "--platform", file], data.path());
    assert_refused(&output, 1, "not ready: order, kafka, postgres");
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"reason\":\"it does not answer\""));
}

#[test]
fn a_platform_without_its_file_is_unreachable() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let folder = data.path().to_str().expect("text");
    let output = postbox(&["lag", "--data", folder, "--platform", "/nowhere/platform.json"], data.path());
    assert_refused(&output, 69, "cannot read /nowhere/platform.json");
}
