//! The program that gives a run of tests its servers.

use std::process::{Command, Output, Stdio};

fn with_servers(script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_with-servers"));
    command.args(["sh", "-c", script]);
    command
}

fn run(script: &str) -> Output {
    with_servers(script).output().expect("the program starts")
}

#[test]
fn the_command_is_told_where_the_servers_are_and_its_exit_code_is_returned() {
    let output = run("echo $TEST_POSTGRES_URL $TEST_KAFKA_BOOTSTRAP; exit 7");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(7));
    assert!(printed.starts_with("postgres://postgres:"), "{printed}");
    assert!(printed.contains(" 127.0.0.1:"), "{printed}");
}

/// Only Linux ends the children of a killed process; elsewhere they are found by the state file of `postbox`.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn servers_do_not_outlive_a_killed_parent() {
    use std::io::{BufRead, BufReader};

    // the command prints the pids of its siblings, the servers, and stays until this test is over
    let mut parent = with_servers("echo $(cat /proc/$PPID/task/$PPID/children); exec cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut siblings = String::new();
    let output = parent.stdout.take().expect("it is piped");
    BufReader::new(output).read_line(&mut siblings).expect("it prints a line");
    let servers: Vec<String> = siblings.split_whitespace().take(2).map(|pid| format!("/proc/{pid}/cmdline")).collect();
    assert_eq!(servers.len(), 2, "{siblings}");

    parent.kill().expect("it runs");
    parent.wait().expect("it was killed");
    testkit::eventually(testkit::SOON, "the servers are gone", async || {
        // the entry of a dead process is empty until its parent has looked at it
        servers.iter().all(|entry| std::fs::read(entry).is_ok_and(|line| line.is_empty()) || !exists(entry))
    })
    .await;
}

#[cfg(target_os = "linux")]
fn exists(entry: &str) -> bool {
    std::path::Path::new(entry).exists()
}
