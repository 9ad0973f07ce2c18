//! No panel and no alert is dead: every metric that one names is told by a running platform, with the labels that it is asked by. And
//! every alert has a page that says what to do.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use journeys::{
    command_line::CommandLine,
    customer::{Customer, new_key},
    platform::Platform,
    repository::{from_root, root, text},
};
use postbox::manifest;
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// What Prometheus itself tells, and the labels that it adds.
const OF_PROMETHEUS: &str = "up";
const LABELS_OF_PROMETHEUS: [&str; 3] = ["instance", "job", "service"];

/// Within this time all that happens now and then has happened: a look at a backlog, librdkafka's statistics, an audit.
const ALL_TOLD: Duration = Duration::from_secs(90);

/// In PromQL these words are followed by names of labels.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// And these stand between expressions.
const OPERATORS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

/// By metric, the labels that it has or is asked by.
type Metrics = BTreeMap<String, BTreeSet<String>>;

/// A rule of Prometheus.
#[derive(Debug, Default)]
struct Rule {
    name: String,
    is_alert: bool,
    expression: String,
    page: String,
}

#[tokio::test]
async fn every_metric_that_a_panel_or_a_rule_names_is_told_by_a_running_platform() {
    let asked = all_asked();
    let platform = Platform::start().await;
    let cli = CommandLine::of(&platform);
    let listen = format!("127.0.0.1:{}", local_servers::ports::free_run(1).expect("a port is free"));
    let _audit = cli.start(&["audit", "--watch", "--every", "1s", "--listen", &listen]);
    let customer = Customer::register(&platform).await;
    customer.order_a_mug().await.expect(201);
    customer.order_by_letter(&new_key(), "tee", 1, "tok_visa").await.expect(202);

    let mut places: Vec<String> = platform.names().iter().map(|name| platform.ops_url(name).to_owned()).collect();
    places.push(format!("http://{listen}"));
    let until = Instant::now() + ALL_TOLD;
    loop {
        let mut told = Metrics::new();
        for place in &places {
            // the audit listens a moment later than it was started
            let Ok(answer) = reqwest::get(format!("{place}/metrics")).await else { continue };
            merge(&mut told, told_in(&answer.text().await.unwrap_or_default()));
        }
        let dead = dead(&asked, &told);
        if dead.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "panels or rules ask for what nobody tells:\n{}", dead.join("\n"));
        sleep(Duration::from_secs(1)).await;
    }
}

#[test]
fn a_metric_that_nobody_tells_is_refused_and_so_is_a_label_that_it_does_not_have() {
    let told = told_in("# TYPE outbox_depth gauge\noutbox_depth{topic=\"a {b\"} 0\nup_to 1\n");
    let refused = |expression: &str| dead(&asked_in("x.json", expression), &told);
    assert!(refused("sum by (topic) (outbox_depth{topic=\"a {b\"}) > up_to").is_empty());
    assert!(refused("outbox_depth{topic=~\"x|y\"}").is_empty());
    assert_eq!(refused("outbox_depth{topic=\"x\"}"), ["outbox_depth has no label topic=\"x\": x.json"]);
    assert_eq!(refused("max(outbox_depht)"), ["outbox_depht: x.json"]);
    assert_eq!(refused("outbox_depth{topik!=\"a\"}"), ["outbox_depth has no label topik: x.json"]);
    assert!(refused("up{job=\"postbox\"} + outbox_depth{service=\"order\"}").is_empty());
}

#[test]
fn the_metrics_of_an_expression_are_found_among_its_functions_labels_and_numbers() {
    let expression = "1 - sum by (le, group) (rate(a_bucket{le=\"2.5\",b!~\".*/Watch.*\"}[5m])) / on (slo) group_left () \
                      (14.4 * slo:room:ratio) and x or vector(0) > 1e3";
    let found: Metrics = metrics_of(expression).into_iter().collect();
    let labels = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
    let wanted =
        [("a_bucket", labels(&["b", "le", "le=\"2.5\""])), ("slo:room:ratio", labels(&[])), ("x", labels(&[]))];
    let wanted: Metrics = wanted.map(|(metric, labels)| (metric.to_owned(), labels)).into();
    assert_eq!(found, wanted);
}

#[test]
fn every_alert_has_a_page_and_the_list_of_pages_names_the_alert() {
    let list = text(&root().join("docs/runbooks/README.md"));
    let mut wrong = Vec::new();
    for rule in rules().into_iter().filter(|rule| rule.is_alert) {
        if !rule.page.starts_with("docs/runbooks/") || !root().join(&rule.page).is_file() {
            wrong.push(format!("{}: there is no page {:?}", rule.name, rule.page));
        }
        // three alerts of one kind share a name up to their pace
        let kind = rule.name.split_inclusive("Burn").next().unwrap_or_default();
        if !list.contains(kind) {
            wrong.push(format!("{}: docs/runbooks/README.md does not name it", rule.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn prometheus_scrapes_the_ops_port_of_every_service() {
    let scraped = text(&root().join("deploy/observe/prometheus.yml"));
    let manifests = manifest::read_all(&root().join("services")).expect("the manifests are right");
    let missing: Vec<String> = manifests
        .iter()
        .map(|manifest| {
            let (name, port) = (&manifest.name, manifest.ops_port);
            format!("targets: [\"{name}:{port}\"], labels: {{ service: {name} }}")
        })
        .filter(|target| !scraped.contains(target))
        .collect();
    assert!(missing.is_empty(), "deploy/observe/prometheus.yml lacks:\n{}", missing.join("\n"));
}

/// What panels and rules ask for: by metric, the labels, each with the file that asks by it.
type Asked = BTreeMap<String, BTreeMap<String, String>>;

fn all_asked() -> Asked {
    let mut asked = Asked::new();
    let mut add = |file: &str, expression: &str| {
        for (metric, labels) in asked_in(file, expression) {
            asked.entry(metric).or_default().extend(labels);
        }
    };
    for file in files("deploy/observe/grafana/dashboards", "json") {
        let dashboard: Value = serde_json::from_str(&text(&file)).expect("a dashboard is JSON");
        let panels = dashboard["panels"].as_array().expect("a dashboard has panels");
        for target in panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten() {
            add(&from_root(&file), target["expr"].as_str().expect("a target has an expression"));
        }
    }
    let rules = rules();
    for rule in &rules {
        add(&format!("rule {}", rule.name), &rule.expression);
    }
    // what a rule records is there because the rule is
    for rule in rules.iter().filter(|rule| !rule.is_alert) {
        asked.remove(&rule.name);
    }
    assert!(asked.len() > 20, "the panels and rules were not read: {asked:?}");
    asked
}

/// As [`all_asked`], of one expression. The empty label stands for the metric itself.
fn asked_in(file: &str, expression: &str) -> Asked {
    let mut asked = Asked::new();
    for (metric, labels) in metrics_of(expression).into_iter().filter(|(metric, _)| metric != OF_PROMETHEUS) {
        let is_ours = |label: &String| label.split('=').all(|part| !LABELS_OF_PROMETHEUS.contains(&part));
        let ours = labels.into_iter().filter(is_ours);
        let with_file = ours.chain([String::new()]).map(|label| (label, file.to_owned()));
        asked.entry(metric).or_default().extend(with_file);
    }
    asked
}

/// What is asked for and not told.
fn dead(asked: &Asked, told: &Metrics) -> Vec<String> {
    let mut dead = Vec::new();
    for (metric, labels) in asked {
        let Some(has) = told.get(metric) else {
            dead.push(format!("{metric}: {}", labels[""]));
            continue;
        };
        for (label, file) in labels.iter().filter(|(label, _)| !label.is_empty() && !has.contains(*label)) {
            dead.push(format!("{metric} has no label {label}: {file}"));
        }
    }
    dead
}

/// The rules, of which each key has its value on its own line.
fn rules() -> Vec<Rule> {
    let mut rules = Vec::new();
    for file in files("deploy/observe/rules", "yml") {
        for line in text(&file).lines() {
            let Some((key, value)) = line.trim().split_once(": ") else { continue };
            match key {
                "- record" | "- alert" => {
                    let is_alert = key == "- alert";
                    rules.push(Rule { name: value.to_owned(), is_alert, ..Rule::default() });
                }
                "expr" => value.clone_into(&mut last(&mut rules).expression),
                "runbook_url" => value.clone_into(&mut last(&mut rules).page),
                _ => {}
            }
        }
    }
    let is_constant = |rule: &Rule| rule.expression.starts_with("vector(");
    let unread: Vec<&Rule> =
        rules.iter().filter(|rule| !is_constant(rule) && metrics_of(&rule.expression).is_empty()).collect();
    assert!(unread.is_empty(), "an expression is one line without quotes: {unread:?}");
    rules
}

fn last(rules: &mut [Rule]) -> &mut Rule {
    rules.last_mut().expect("a rule begins with its name")
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|it| it == extension)).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} has no .{extension}");
    files
}

/// What a `/metrics` tells.
fn told_in(exposition: &str) -> Metrics {
    let mut told = Metrics::new();
    for line in exposition.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(|character: char| !is_part(character)).unwrap_or(line.len());
        let (metric, rest) = line.split_at(end);
        if !metric.is_empty() {
            told.entry(metric.to_owned()).or_default().extend(labels_before(rest).0);
        }
    }
    told
}

fn merge(all: &mut Metrics, more: Metrics) {
    for (metric, labels) in more {
        all.entry(metric).or_default().extend(labels);
    }
}

/// The metrics of a PromQL expression, with the labels that they are selected by.
fn metrics_of(expression: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut metrics = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        if first == '[' {
            // a length of time
            rest = rest.split_once(']').map_or("", |(_, after)| after);
            continue;
        }
        if !is_part(first) {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let end = rest.find(|character: char| !is_part(character) && character != '.').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let next = after.trim_start();
        let is_function = ["(", "by ", "without "].into_iter().any(|what| next.starts_with(what));
        rest = after;
        if LISTS.contains(&word) {
            let list = next.strip_prefix('(').and_then(|list| list.split_once(')'));
            rest = list.map_or(after, |(_, behind)| behind);
        } else if !is_function && !first.is_ascii_digit() && !OPERATORS.contains(&word) {
            let (labels, behind) = labels_before(after);
            metrics.push((word.to_owned(), labels));
            rest = behind;
        }
    }
    metrics
}

/// The labels in the braces that the text begins with, if it does, and what is behind them: their names, and `name="value"` of those
/// that are to be this value and no other.
fn labels_before(text: &str) -> (BTreeSet<String>, &str) {
    let mut labels = BTreeSet::new();
    let Some(mut rest) = text.strip_prefix('{') else { return (labels, text) };
    loop {
        let (before, value) = rest.split_once('"').expect("a label has a value in quotes");
        let (value, behind) = value.split_once('"').expect("a value ends with a quote");
        let name = before.trim_matches(|character: char| !is_part(character));
        if before.trim_start().strip_prefix(name) == Some("=") {
            labels.insert(format!("{name}=\"{value}\""));
        }
        labels.insert(name.to_owned());
        match behind.strip_prefix(',') {
            Some(more) => rest = more,
            None => return (labels, behind.strip_prefix('}').expect("braces are closed")),
        }
    }
}

fn is_part(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == ':'
}
