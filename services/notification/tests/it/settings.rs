//! Wrong settings end the process before it starts.

use std::process::Command;

/// Exit code and standard error of `notification serve` with these settings.
fn serve(settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_notification"));
    command.arg("serve").env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none").env("RUST_LOG", "error");
    let output = command.envs(settings.iter().copied()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_bad_smtp_url_exits_64_with_one_line_that_does_not_show_it() {
    for url in ["mail.example.com", "", "http://x", "smtp://ada:hunter2@mail.example.com", "smtps://:hunter2@x"] {
        let (code, line) = serve(&[("SMTP_URL", url), ("SMTP_FROM", "post@shop.example")]);
        assert_eq!(code, Some(64), "{url}: {line}");
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.contains("SMTP_URL") && !line.contains("hunter2"), "{line}");
    }
}

#[test]
fn a_mail_server_without_a_sender_exits_64_with_one_line() {
    for settings in [
        &[("SMTP_URL", "smtps://ada:hunter2@mail.example.com")][..],
        &[("SMTP_URL", "smtps://ada:hunter2@mail.example.com"), ("SMTP_FROM", "nobody")],
    ] {
        let (code, line) = serve(settings);
        assert_eq!(code, Some(64), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.contains("SMTP_FROM") && !line.contains("hunter2"), "{line}");
    }
}

#[test]
fn a_number_of_threads_that_is_none_exits_64_with_one_line() {
    for threads in ["", "two", "0", "257"] {
        let (code, line) = serve(&[("TOKIO_WORKER_THREADS", threads)]);
        assert_eq!((code, line.lines().count()), (Some(64), 1), "{threads}: {line}");
        assert!(line.contains("TOKIO_WORKER_THREADS"), "{line}");
    }
}
