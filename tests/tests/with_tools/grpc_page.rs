//! `docs/grpc.md` is true: what it tells to type is typed, and prints what it says.

use std::{collections::BTreeMap, env, fmt::Write as _, path::Path, process::Stdio, time::Duration};

use jiff::Timestamp;
use journeys::{platform::Platform, repository};
use postbox::manifest::{self, Serve};
use tokio::{process::Command, time::timeout};
use uuid::Uuid;

/// Longer than all commands take, the letters that they wait for included.
const ALL_TYPED: Duration = Duration::from_mins(2);

/// Commands, and what they print, if that is told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Step {
    commands: String,
    printed: Option<String>,
}

fn page() -> String {
    repository::text(&repository::root().join("docs/grpc.md"))
}

/// Every block of commands of a page, each with the block of text right below it.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let is_text = line == "```text";
        if !is_text && line != "```sh" {
            continue;
        }
        let block = lines.by_ref().take_while(|line| *line != "```").flat_map(|line| [line, "\n"]).collect();
        if is_text {
            steps.last_mut().expect("it is printed by commands").printed = Some(block);
        } else {
            steps.push(Step { commands: block, printed: None });
        }
    }
    steps
}

/// What differs each time, in quotes as JSON has it, is told as what it is.
fn masked(printed: &str) -> String {
    let mask = |text: &str| {
        if text.parse::<Uuid>().is_ok() {
            "an id".to_owned()
        } else if text.parse::<Timestamp>().is_ok() {
            "a time".to_owned()
        } else if text.strip_prefix("PB").is_some_and(|number| number.len() == 16) {
            "a tracking number".to_owned()
        } else {
            text.to_owned()
        }
    };
    printed.trim_end().split('"').map(mask).collect::<Vec<_>>().join("\"")
}

/// The port of each service that answers calls, as the page tells it.
fn ports() -> BTreeMap<String, u16> {
    let manifests = manifest::read_all(&repository::root().join("services")).expect("the manifests are right");
    let answering = manifests.into_iter().filter(|manifest| manifest.serve == Some(Serve::Grpc));
    answering.map(|manifest| (manifest.name, manifest.port.expect("it answers calls"))).collect()
}

#[test]
fn every_service_that_answers_calls_is_asked_on_the_page() {
    let commands: String = steps(&page()).into_iter().map(|step| step.commands).collect();
    for (name, port) in ports() {
        assert!(commands.contains(&format!("localhost:{port}")), "{name} is not asked at localhost:{port}");
    }
}

#[test]
fn a_step_is_its_commands_and_what_is_right_below() {
    let page = "text\n```sh\none\ntwo\n```\n```text\nprinted\n```\nmore\n```sh\nthree\n```\n```json\n{}\n```\n";
    let told = Step { commands: "one\ntwo\n".to_owned(), printed: Some("printed\n".to_owned()) };
    assert_eq!(steps(page), [told, Step { commands: "three\n".to_owned(), printed: None }]);
}

#[tokio::test]
async fn what_the_page_tells_to_type_prints_what_it_says() {
    let grpcurl = env::var("GRPCURL").expect("GRPCURL names the program: make pages-check");
    let platform = Platform::start().await;
    let steps = steps(&page());
    let printed = tempfile::tempdir().expect("a temporary folder can be made");
    let mut script = String::new();
    for (number, step) in steps.iter().enumerate() {
        let out = printed.path().join(number.to_string());
        // in braces: what one step remembers the next one knows
        writeln!(script, "{{\n{}}} >{} 2>&1", step.commands, out.display()).expect("it is text");
    }
    for (name, port) in ports() {
        let address = platform.url(&name).trim_start_matches("http://").to_owned();
        script = script.replace(&format!("localhost:{port}"), &address);
    }
    let folder = Path::new(&grpcurl).parent().expect("it lies in a folder").display().to_string();
    let path = format!("{folder}:{}", env::var("PATH").expect("there are programs"));
    let mut bash = Command::new("bash");
    bash.args(["-u", "-c", &script]).current_dir(repository::root()).env("PATH", path);
    let typed = bash.stdin(Stdio::null()).kill_on_drop(true).status();
    timeout(ALL_TYPED, typed).await.expect("it takes too long").expect("bash runs");
    let mut differ = String::new();
    for (number, step) in steps.iter().enumerate() {
        let Some(told) = &step.printed else { continue };
        let printed = repository::text(&printed.path().join(number.to_string()));
        if masked(&printed) != masked(told) {
            writeln!(differ, "--- this\n{}--- prints\n{printed}", step.commands).expect("it is text");
        }
    }
    assert!(differ.is_empty(), "{differ}");
}
