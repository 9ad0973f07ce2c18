//! What the page tells an operator to type.

use journeys::repository::{root, text};

/// The loop over the services.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// In their order.
    pub services: Vec<String>,
    /// What is said to the program of each, as the owner of its database.
    pub command: Vec<String>,
}

impl Page {
    pub fn read() -> Self {
        Self::of(&text(&root().join("docs/tour/fail-over.md"))).expect("the page has the loop")
    }

    fn of(page: &str) -> Option<Self> {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let mut lines = page.lines().skip_while(|line| !line.starts_with("for service in "));
        let services = lines.next()?.strip_prefix("for service in ")?.strip_suffix("; do")?;
        let mut body = lines.take_while(|line| *line != "done");
        let command = body.find_map(|line| Some(line.split_once(" $service-migrate ")?.1))?;
        Some(Self { services: words(services), command: words(command) })
    }
}

#[test]
fn the_loop_is_read_from_a_page() {
    let page = "text\n```sh\nfor service in a b; do\n    stop $service\n    run $service-migrate go on\ndone\n```\n";
    let owned = |words: [&str; 2]| words.map(str::to_owned).to_vec();
    assert_eq!(Page::of(page), Some(Page { services: owned(["a", "b"]), command: owned(["go", "on"]) }));
}
