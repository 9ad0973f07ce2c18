//! `postbox replay`: a consumer group is given its letters again. The service's own program does it, with its own handlers; this
//! finds it, and shows how far it is.

use std::io::{IsTerminal, Write};
use std::process::ExitStatus;

use indicatif::{ProgressBar, ProgressStyle};
use local_servers::process::{Launch, Output};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use crate::cli::{Common, ReplayOptions};
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::manifest::{self, Manifest};
use crate::state::State;
use crate::workspace::Workspace;

/// Runs `postbox replay`.
pub async fn run(common: &Common, options: &ReplayOptions) -> Result<(), Failure> {
    let state = DataFolder::find(common)?.running()?;
    let workspace = Workspace::find(common.root.as_deref())?;
    let view = View::choose(common.json);
    let launch = launch(&workspace, &state, options, !matches!(view, View::Plain))?;
    let mut process = launch.spawn()?;
    let (out, err) = process.take_output().expect("its output is piped");
    let last_words = tokio::spawn(last_line(err));
    let mut lines = BufReader::new(out).lines();
    let mut reason = None;
    loop {
        tokio::select! {
            line = lines.next_line() => match line {
                Ok(Some(line)) => reason = view.show(&line).or(reason),
                // it has ended, or will soon
                _ => break,
            },
            // it drops what it has made, and says that it has ended
            _ = tokio::signal::ctrl_c() => { process.stop().await?; }
        }
    }
    let status = process.wait().await?;
    view.finish();
    if status.success() {
        return Ok(());
    }
    let last_words = last_words.await.ok().flatten();
    let reason = reason.or(last_words).unwrap_or_else(|| format!("the program of {} ended: {status}", launch.name));
    Err(failure(status, reason))
}

/// The program that has the group. A group is named after its service, so a new service is found as well.
fn launch(workspace: &Workspace, state: &State, options: &ReplayOptions, json: bool) -> Result<Launch, Failure> {
    let manifests =
        manifest::read_all(&workspace.root.join("services")).map_err(|error| Failure::usage(error.to_string()))?;
    let group = &options.group;
    let service = group.split_once('.').map_or(group.as_str(), |(service, _)| service);
    let readers: Vec<&Manifest> =
        manifests.iter().filter(|it| it.database.is_some() && !it.consumes.is_empty()).collect();
    let manifest = readers.iter().find(|manifest| manifest.name == service).ok_or_else(|| {
        let names: Vec<&str> = readers.iter().map(|manifest| manifest.name.as_str()).collect();
        Failure::usage(format!(
            "there is no consumer group `{group}`: it would begin with a service that reads letters, which are {}",
            names.join(", ")
        ))
    })?;
    let database = manifest.database.as_deref().expect("readers have one");
    let urls = state.databases.get(database).ok_or_else(|| {
        Failure::unreachable(format!(
            "the running platform has no database {database}: `postbox down`, then `postbox up`"
        ))
    })?;
    let program = workspace.program(&manifest.name)?;
    let mut launch =
        Launch::new(&manifest.name, program, Output::Piped).args(["replay", group, "--from", &options.from]);
    if let Some(to) = &options.to {
        launch = launch.args(["--to", to]);
    }
    if json {
        launch = launch.args(["--json"]);
    }
    launch.env.insert("DATABASE_URL".to_owned(), urls.owner.clone());
    launch.env.insert("KAFKA_BOOTSTRAP_SERVERS".to_owned(), state.bootstrap.clone());
    launch.env.insert("RUST_LOG".to_owned(), "error".to_owned());
    launch.env.insert("NO_COLOR".to_owned(), "1".to_owned());
    Ok(launch)
}

/// How progress is shown: a bar on a terminal, plain lines elsewhere, JSON as it comes.
enum View {
    Bar(ProgressBar),
    Plain,
    Json,
}

impl View {
    fn choose(json: bool) -> Self {
        if json {
            return Self::Json;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Plain;
        }
        let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} letters {msg}");
        let bar = ProgressBar::new(0).with_style(style.expect("the template is valid"));
        Self::Bar(bar)
    }

    /// Shows a line of the program, and gives the reason when it says why it failed.
    fn show(&self, line: &str) -> Option<String> {
        match self {
            Self::Plain => {
                if let Some(reason) = line.strip_prefix("failed: ") {
                    return Some(reason.to_owned());
                }
                print(line);
                None
            }
            Self::Json => {
                print(line);
                reason(&serde_json::from_str(line).ok()?)
            }
            Self::Bar(bar) => {
                let step: Value = serde_json::from_str(line).ok()?;
                draw(bar, &step);
                reason(&step)
            }
        }
    }

    fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn draw(bar: &ProgressBar, step: &Value) {
    let number = |field: &str| step[field].as_u64().unwrap_or_default();
    match step["step"].as_str() {
        Some("begun") => bar.set_length(number("letters")),
        Some("reading") => {
            bar.set_length(number("letters"));
            bar.set_position(number("done"));
            bar.set_message(format!("{}/s", number("letters_per_second")));
        }
        Some("note") => bar.println(step["text"].as_str().unwrap_or_default()),
        Some("refused") => {
            let (topic, error) =
                (step["topic"].as_str().unwrap_or_default(), step["error"].as_str().unwrap_or_default());
            let (partition, offset) = (number("partition"), number("offset"));
            bar.println(format!("refused: {topic}, partition {partition}, offset {offset}: {error}"));
        }
        Some("done") => {
            let seconds = step["seconds"].as_f64().unwrap_or_default();
            let refused = match number("refused") {
                0 => String::new(),
                refused => format!("; {refused} refused, {} waiting behind them", number("waiting")),
            };
            bar.println(format!("done: {} letters in {seconds:.1} s{refused}", number("letters")));
        }
        _ => {}
    }
}

fn reason(step: &Value) -> Option<String> {
    (step["step"] == "failed").then(|| step["error"].as_str().unwrap_or_default().to_owned())
}

fn print(line: &str) {
    // nobody may be listening any more
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// The last line that is not empty.
async fn last_line(output: impl AsyncRead + Unpin) -> Option<String> {
    let mut lines = BufReader::new(output).lines();
    let mut last = None;
    while let Ok(Some(line)) = lines.next_line().await {
        last = Some(line).filter(|line| !line.trim().is_empty()).or(last);
    }
    last
}

/// What the program's exit code says, it says as well.
fn failure(status: ExitStatus, reason: String) -> Failure {
    match status.code() {
        Some(64) => Failure::usage(reason),
        Some(69) => Failure::unreachable(reason),
        Some(75) => Failure::try_again(reason),
        _ => Failure::found(reason),
    }
}
