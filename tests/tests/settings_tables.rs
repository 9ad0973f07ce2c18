//! A service's page tells its settings as its program does: each variable once, with its default. A value that cannot be is refused by
//! the variable's name, and a secret is never repeated.

use std::{collections::BTreeMap, process::Output, time::Duration};

use journeys::{
    repository::{root, text},
    site::programs,
};
use postbox::manifest;
use tokio::{process::Command, time::timeout};

/// How a page writes that a variable has no default, and that it is the empty text.
const NONE: &str = "–";
const EMPTY: &str = "empty";

/// What every service reads beside its command line: for its threads, its logs and its traces.
const OF_EVERY_PROCESS: [(&str, &str); 4] = [
    ("TOKIO_WORKER_THREADS", "1"),
    ("RUST_LOG", "info"),
    ("LOG_FORMAT", "text"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", NONE),
];

/// How long a program may take to look at its settings, on a machine that runs all tests at once.
const LOOKED_AT: Duration = Duration::from_secs(20);

/// By variable, the default.
type Settings = BTreeMap<String, String>;

#[tokio::test]
async fn every_page_tells_each_setting_with_its_default() {
    let mut wrong = Vec::new();
    for service in services() {
        let page = text(&root().join(format!("services/{service}/README.md")));
        for difference in differences(&told_by(&page), &settings_of(&service).await) {
            wrong.push(format!("services/{service}/README.md: {difference}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_setting_that_a_page_lacks_or_tells_otherwise_is_named() {
    let settings = Settings::from([("A_URL", "http://a"), ("B", NONE), ("C", EMPTY)].map(owned));
    let page = "| variable | default | |\n|---|---|---|\n| `A_URL` | http://b | where a answers |\n| `C` | empty | |\n\
                | `C` | empty | |\n| `D` | 1 | |\n\nText.\n| `B` | – | not in the table |\n";
    let wanted = ["A_URL is told as http://b and is http://a", "B is not told", "C is told twice", "D is no setting"];
    assert_eq!(differences(&told_by(page), &settings), wanted);
}

#[test]
fn settings_are_read_from_what_a_program_says_of_itself() {
    let help = "Serves\n\nOptions:\n      --a-url <A_URL>\n          Where a answers [env: A_URL=] [default: http://a]\n      \
                --b <B>\n          A secret [env: B]\n      --c <C>\n          Text\n          \n          [env: C=]\n          \
                [default: \"\"]\n  -h, --help\n          Print help\n";
    let wanted = Settings::from([("A_URL", "http://a"), ("B", NONE), ("C", EMPTY)].map(owned));
    assert_eq!(settings_in(help), wanted);
}

#[tokio::test]
async fn a_number_or_an_address_that_is_none_ends_with_64_and_the_name_of_its_variable() {
    for service in services() {
        let settings = settings_of(&service).await;
        let is_parsed =
            |(variable, default): &(&String, &String)| variable.ends_with("_ADDR") || default.parse::<u64>().is_ok();
        for (variable, _) in settings.iter().filter(is_parsed) {
            let ended = serve(&service, &[], &[(variable.as_str(), "nonsense")]).await;
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert_eq!(ended.status.code(), Some(64), "{service} with {variable}=nonsense: {said}");
            assert!(said.contains(variable.as_str()) && said.trim_end().lines().count() == 1, "{service}: {said}");
        }
    }
}

#[tokio::test]
async fn profile_bench_turns_every_rate_limit_off_and_demo_none() {
    let settings = settings_of("gateway").await;
    let limits: Vec<&String> = settings.keys().filter(|variable| variable.starts_with("RATE_LIMIT_")).collect();
    let manifests = manifest::read_all(&root().join("services")).expect("the manifests are right");
    let gateway = manifests.into_iter().find(|manifest| manifest.name == "gateway").expect("it has a manifest");
    let given = |profile: &str, variable: &str| gateway.profiles.get(profile)?.env.get(variable).cloned();
    assert!(!limits.is_empty());
    for variable in limits {
        assert_eq!(given("bench", variable).as_deref(), Some("0"), "{variable} in services/gateway/service.toml");
        assert_eq!(given("demo", variable), None, "{variable} in services/gateway/service.toml");
    }
}

#[tokio::test]
async fn a_database_that_is_no_url_ends_with_64_and_its_password_is_not_repeated() {
    for service in services() {
        if settings_of(&service).await.contains_key("DATABASE_URL") {
            let ended = serve(&service, &[], &[("DATABASE_URL", "opensesame@nowhere")]).await;
            let said = [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
            assert_eq!(ended.status.code(), Some(64), "{service}: {said}");
            assert!(!said.contains("opensesame"), "{service}: {said}");
        }
    }
}

fn services() -> Vec<String> {
    let manifests = manifest::read_all(&root().join("services")).expect("the manifests are right");
    manifests.into_iter().map(|manifest| manifest.name).collect()
}

/// Starts a service with these settings and no others, and waits for its end.
async fn serve(service: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let program = programs().join(service);
    let mut command = Command::new(&program);
    command.arg("serve").args(arguments).env_clear().envs(settings.iter().copied()).kill_on_drop(true);
    let ended = timeout(LOOKED_AT, command.output()).await;
    let ended = ended.unwrap_or_else(|_| panic!("{service} takes {settings:?}"));
    ended.unwrap_or_else(|error| panic!("{}: {error}; run `cargo build --workspace --bins`", program.display()))
}

/// The settings of a service, as its program tells them.
async fn settings_of(service: &str) -> Settings {
    let help = serve(service, &["--help"], &[]).await;
    assert!(help.status.success(), "{service}: {}", String::from_utf8_lossy(&help.stderr));
    let mut settings = settings_in(&String::from_utf8_lossy(&help.stdout));
    assert!(settings.contains_key("OPS_ADDR"), "{service} --help was not understood: {settings:?}");
    settings.extend(OF_EVERY_PROCESS.map(owned));
    settings
}

/// The settings in what clap prints: each begins with its flag, six columns in.
fn settings_in(help: &str) -> Settings {
    let mut settings = Settings::new();
    for setting in help.split("\n      --").skip(1) {
        let Some((_, variable)) = setting.split_once("[env: ") else { continue };
        let variable = variable.split(['=', ']']).next().unwrap_or_default();
        let default = setting.split_once("[default: ").and_then(|(_, default)| default.split_once(']'));
        let default = match default {
            Some(("\"\"", _)) => EMPTY,
            Some((default, _)) => default,
            None => NONE,
        };
        settings.insert(variable.to_owned(), default.to_owned());
    }
    settings
}

/// The rows of a page's table of settings: variable and default.
fn told_by(page: &str) -> Vec<(String, String)> {
    let table = page.lines().skip_while(|line| !line.starts_with("| variable | default |"));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let mut cells = line.split('|').skip(1).map(str::trim);
        let mut next = || cells.next().unwrap_or_default();
        owned((next().trim_matches('`'), next()))
    };
    rows.map(row).collect()
}

/// What a page tells otherwise than the program does.
fn differences(told: &[(String, String)], settings: &Settings) -> Vec<String> {
    let mut differences = Vec::new();
    for (variable, default) in settings {
        let mut defaults = told.iter().filter(|(name, _)| name == variable).map(|(_, default)| default);
        match (defaults.next(), defaults.next()) {
            (None, _) => differences.push(format!("{variable} is not told")),
            (Some(_), Some(_)) => differences.push(format!("{variable} is told twice")),
            (Some(other), None) if other != default => {
                differences.push(format!("{variable} is told as {other} and is {default}"));
            }
            (Some(_), None) => {}
        }
    }
    let unknown = told.iter().filter(|(name, _)| !settings.contains_key(name));
    differences.extend(unknown.map(|(name, _)| format!("{name} is no setting")));
    differences
}

fn owned((variable, default): (&str, &str)) -> (String, String) {
    (variable.to_owned(), default.to_owned())
}
