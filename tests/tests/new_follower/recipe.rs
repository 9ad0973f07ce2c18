//! The files that the page tells a reader to write.

use std::path::PathBuf;

/// One file of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// From the root of the repository.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

/// Every file of a page: a line with nothing but its path, bold and in backquotes, and below it a code block.
pub fn files(page: &str) -> Vec<File> {
    let mut files = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(path) = line.strip_prefix("**`").and_then(|rest| rest.strip_suffix("`**")) else { continue };
        let block = lines.next().is_some_and(|fence| fence.starts_with("```"));
        assert!(block, "{path} has no code block right below it");
        let text = lines.by_ref().take_while(|line| *line != "```").flat_map(|line| [line, "\n"]).collect();
        files.push(File { path: path.into(), text });
    }
    files
}

#[test]
fn a_file_is_a_path_and_the_block_below_it() {
    let page = "text\n\n**`a/b.toml`**\n```toml\none\n\ntwo\n```\ntext with **`c`** in it\n```sh\nnot a file\n```\n";
    assert_eq!(files(page), [File { path: "a/b.toml".into(), text: "one\n\ntwo\n".to_owned() }]);
}
