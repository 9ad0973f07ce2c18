//! The page `docs/api.md` is true: its commands are run by a shell, and what stands under each is what comes back.

use std::{process::Stdio, time::Duration};

use journeys::{platform::Platform, repository};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::{Instant, sleep, timeout},
};

use crate::interface::Interface;

/// What differs from run to run, where one thing does.
const ANYTHING: &str = "…";

/// Where the page says that the gateway is.
const ON_THE_PAGE: &str = "http://127.0.0.1:8080";

/// How long one command may take; and how long followers may take until it says what the page says.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between two tries of a command that looks at what followers do.
const POLL: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_page_answers_what_stands_under_it_and_no_route_is_left_out() {
    let platform = Platform::start().await;
    let page = std::fs::read_to_string(repository::root().join("docs/api.md")).expect("the page is there");
    let interface = Interface::of(&platform).await;
    for operation in &interface.operations {
        let is_shown = is_shown(&page, &operation.method, &operation.path);
        assert!(is_shown, "docs/api.md has no example of {} {}", operation.method, operation.path);
    }
    let mut shell = Shell::start();
    for (command, answer) in examples(&page) {
        let command = command.replace(ON_THE_PAGE, platform.url("gateway"));
        let said = shell.run(&command).await;
        let Some(answer) = answer else { continue };
        let until = Instant::now() + PATIENCE;
        let mut now = said.clone();
        // what followers do comes a moment later; a command that must not be repeated never comes right by being repeated
        while !is_as(&answer, &now) {
            assert!(Instant::now() < until, "{command}\nsaid\n{said}\nand later\n{now}\nand not\n{}", answer.text);
            sleep(POLL).await;
            now = shell.run(&command).await;
        }
    }
}

/// What stands under a command.
#[derive(Debug)]
struct Expected {
    is_json: bool,
    text: String,
}

/// The commands of the page, and what stands under each.
fn examples(page: &str) -> Vec<(String, Option<Expected>)> {
    let mut examples = Vec::new();
    for block in page.split("```").skip(1).step_by(2) {
        let (kind, text) = block.split_once('\n').expect("a block has lines");
        let expected = |is_json| Some(Expected { is_json, text: text.trim_end().to_owned() });
        match kind {
            "sh" => examples.push((text.to_owned(), None)),
            "json" => examples.last_mut().expect("a command comes first").1 = expected(true),
            "text" => examples.last_mut().expect("a command comes first").1 = expected(false),
            other => panic!("docs/api.md has a block of {other:?}"),
        }
    }
    examples
}

/// Whether a command calls the operation: by its path, with anything in the place of its variable part, and its method.
fn is_shown(page: &str, method: &str, path: &str) -> bool {
    let commands: Vec<String> = examples(page).into_iter().map(|(command, _)| command.replace("\\\n", " ")).collect();
    let calls = commands.iter().flat_map(|command| command.split("curl ").skip(1));
    let is_path = |called: &str| {
        let (asked, known) = (called.split('/'), path.split('/'));
        asked.clone().count() == known.clone().count() && asked.zip(known).all(|(a, k)| a == k || k.starts_with('{'))
    };
    calls.into_iter().any(|call| {
        let words = call.split(|character: char| character.is_whitespace() || "'\"?)".contains(character));
        let is_called = words.filter_map(|word| word.strip_prefix("$POSTBOX")).any(is_path);
        let named = call.split_once("-X ").and_then(|(_, rest)| rest.split(' ').next());
        let used = named.unwrap_or(if call.contains("--json") { "POST" } else { "GET" });
        is_called && used == method
    })
}

/// Whether it is what stands there.
fn is_as(expected: &Expected, said: &str) -> bool {
    if expected.is_json {
        let expected: Value =
            serde_json::from_str(&expected.text).unwrap_or_else(|error| panic!("{error}: {}", expected.text));
        return serde_json::from_str(said).is_ok_and(|said: Value| is_alike(&expected, &said));
    }
    let (expected, said): (Vec<&str>, Vec<&str>) = (expected.text.lines().collect(), said.trim_end().lines().collect());
    expected.len() == said.len()
        && expected.iter().zip(said).all(|(expected, said)| *expected == ANYTHING || *expected == said)
}

fn is_alike(expected: &Value, said: &Value) -> bool {
    match (expected, said) {
        (Value::String(text), said) if text == ANYTHING => !said.is_null(),
        (Value::Object(expected), Value::Object(said)) => {
            expected.len() == said.len()
                && expected.iter().all(|(name, value)| said.get(name).is_some_and(|said| is_alike(value, said)))
        }
        (Value::Array(expected), Value::Array(said)) => {
            expected.len() == said.len() && expected.iter().zip(said).all(|(expected, said)| is_alike(expected, said))
        }
        (expected, said) => expected == said,
    }
}

/// A shell that keeps its variables from one command to the next.
struct Shell {
    _process: Child,
    commands: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Shell {
    const END: &str = "that was all of it";

    fn start() -> Self {
        let mut process = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("bash is installed");
        let commands = process.stdin.take().expect("it is piped");
        let output = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        Self { _process: process, commands, output }
    }

    /// What the command says on standard output.
    async fn run(&mut self, command: &str) -> String {
        let script = format!("{command}\necho\necho '{}'\n", Self::END);
        self.commands.write_all(script.as_bytes()).await.expect("the shell runs");
        let mut said = String::new();
        let reading = async {
            while let Some(line) = self.output.next_line().await.expect("it is text") {
                if line == Self::END {
                    return;
                }
                said.push_str(&line);
                said.push('\n');
            }
            panic!("the shell ended at\n{command}");
        };
        timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("no end within {PATIENCE:?} of\n{command}"));
        said
    }
}
