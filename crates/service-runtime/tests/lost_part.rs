//! A service that lost a part says so and ends with exit code 1, so that whoever looks after it starts it again.

use std::{
    env,
    process::{Command, Output},
};

/// Runs the example, which cargo builds before the tests, beside them.
fn service_whose_part(how: &str) -> Output {
    let test = env::current_exe().expect("a process knows its program");
    let target = test.parent().and_then(|deps| deps.parent()).expect("tests are built into deps/");
    let program = target.join("examples/loses_a_part");
    Command::new(&program).arg(how).env("NO_COLOR", "1").output().expect("the example is built")
}

#[track_caller]
fn assert_lost(output: &Output, how: &str) {
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    let last = log.lines().last().expect("it logs");
    assert!(last.contains("ERROR") && last.contains("the service lost its part `relay`: "), "{log}");
    assert!(last.contains(how), "{log}");
}

#[test]
fn a_part_that_returns_on_its_own_ends_the_process_with_exit_code_1() {
    assert_lost(&service_whose_part("returns"), "it returned on its own");
}

#[test]
fn a_part_that_panics_ends_the_process_with_exit_code_1() {
    assert_lost(&service_whose_part("panics"), "panicked with message \"the table is gone\"");
}
