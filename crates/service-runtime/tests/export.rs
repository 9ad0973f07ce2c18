//! Spans and the collector: they reach it before the process ends, and a collector that is away or says nothing holds up neither the
//! work nor the end.

use std::{
    env,
    process::Output,
    time::{Duration, Instant},
};

use testkit::Collector;
use tokio::{net::TcpListener, process::Command};

/// How long a process may take that waits for no collector, but for the moment at its end: on a machine that has much else to do.
const PROMPT: Duration = Duration::from_secs(6);

/// More than the queue holds.
const MANY: u32 = 10_000;

/// Runs the example, which cargo builds before the tests, beside them.
async fn service_that_makes(spans: u32, settings: &[(&str, &str)]) -> Output {
    let test = env::current_exe().expect("a process knows its program");
    let target = test.parent().and_then(|deps| deps.parent()).expect("tests are built into deps/");
    let mut command = Command::new(target.join("examples/makes_spans"));
    command.arg(spans.to_string()).env_clear().env("NO_COLOR", "1").envs(settings.iter().copied());
    command.kill_on_drop(true).output().await.expect("the example is built")
}

#[track_caller]
fn lines_about_spans(output: &Output) -> Vec<String> {
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && log.trim_end().ends_with("ended"), "{}: {log}", output.status);
    log.lines().filter(|line| line.contains(" WARN ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn what_a_service_has_made_is_with_the_collector_when_it_has_ended() {
    let collector = Collector::start().await;
    // no batch goes out before the end, so the end has to send it
    let settings =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "3600000")];
    let output = service_that_makes(3, &settings).await;
    assert_eq!(lines_about_spans(&output), Vec::<String>::new());
    let spans = collector.spans();
    assert_eq!(spans.len(), 3, "{spans:?}");
    for (span, number) in spans.iter().zip(["0", "1", "2"]) {
        assert_eq!((span.service.as_str(), span.version.as_str()), ("makes-spans", env!("CARGO_PKG_VERSION")));
        assert_eq!((span.name.as_str(), format!("{:?}", span.kind).as_str()), ("a piece of work", "Server"));
        assert_eq!(span.attribute("number").as_deref(), Some(number));
    }
}

#[tokio::test]
async fn nothing_is_left_out_because_somebody_asked_whether_something_else_would_be_told() {
    let collector = Collector::start().await;
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str());
    // the service asks before each span and each line
    for logs in ["info,librdkafka=warn", "error", "debug,librdkafka=warn,sqlx=info", "error,makes_spans=info"] {
        let before = collector.spans().len();
        let output = service_that_makes(3, &[endpoint, ("RUST_LOG", logs)]).await;
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(log.contains("made"), logs != "error", "{logs}: {log}");
        assert_eq!(collector.spans().len() - before, 3, "{logs}: {log}");
    }
}

#[tokio::test]
async fn the_variables_of_sampling_and_of_the_name_are_heard() {
    let collector = Collector::start().await;
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str());
    service_that_makes(3, &[endpoint, ("OTEL_TRACES_SAMPLER", "always_off")]).await;
    assert!(collector.spans().is_empty(), "{:?}", collector.spans());
    service_that_makes(1, &[endpoint, ("OTEL_SERVICE_NAME", "another"), ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")])
        .await;
    let services: Vec<String> = collector.spans().into_iter().map(|span| span.service).collect();
    assert_eq!(services, ["another"]);
}

#[tokio::test]
async fn a_collector_that_takes_a_connection_and_says_nothing_holds_up_neither_the_work_nor_the_end() {
    // the system takes connections for it
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
    let endpoint = format!("http://{}", silent.local_addr().expect("it is bound"));
    let began = Instant::now();
    let output = service_that_makes(MANY, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    let took = began.elapsed();
    let lines = lines_about_spans(&output);
    assert!(took < PROMPT, "it took {took:?}: {lines:?}");
    assert!(lines.len() == 1 && lines[0].contains(&format!("spans={MANY}")), "{lines:?}");
}

#[tokio::test]
async fn a_collector_that_is_away_is_told_of_and_not_once_a_batch() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
    let endpoint = format!("http://{}", nobody.local_addr().expect("it is bound"));
    drop(nobody);
    let began = Instant::now();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
        // no second try
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
    ];
    let output = service_that_makes(MANY, &settings).await;
    let took = began.elapsed();
    let lines = lines_about_spans(&output);
    assert!(took < PROMPT, "it took {took:?}: {lines:?}");
    assert!(matches!(lines.len(), 1 | 2), "one when it happened, one at the end: {lines:?}");
    let lost: Vec<&str> = lines.iter().filter_map(|line| line.split("spans=").nth(1)?.split(' ').next()).collect();
    let lost: u32 = lost.iter().map(|spans| spans.parse::<u32>().expect("a number")).sum();
    assert_eq!(lost, MANY, "each is counted once: {lines:?}");
}

#[tokio::test]
async fn without_a_collector_a_service_makes_spans_for_nobody() {
    let output = service_that_makes(MANY, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).await;
    assert_eq!(lines_about_spans(&output), Vec::<String>::new());
}

#[tokio::test]
async fn a_collector_that_cannot_be_reached_by_its_name_ends_with_64_and_one_line_that_names_the_variable() {
    for endpoint in
        ["localhost:4317", "collector", "not a URL", "ftp://localhost:4317", "https://localhost:4317", "http://"]
    {
        let output = service_that_makes(1, &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{endpoint}: {said}");
        assert!(said.contains("OTEL_EXPORTER_OTLP_ENDPOINT") && said.lines().count() == 1, "{endpoint}: {said}");
    }
}
