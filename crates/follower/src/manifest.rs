//! What a follower takes from its own manifest. All that a manifest can say is in `services/postbox`, which reads every one.

use serde::Deserialize;
use service_runtime::Error;

/// The part of `service.toml` that the process itself needs.
#[derive(Debug, Deserialize)]
pub(crate) struct Manifest<'a> {
    /// What it is called.
    pub name: &'a str,
    /// The default port of `/livez`, `/readyz` and `/metrics`.
    pub ops_port: u16,
    #[serde(default)]
    topics: Vec<String>,
}

impl<'a> Manifest<'a> {
    /// Reads the text of a manifest.
    pub fn read(text: &'a str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| Error::Config(format!("service.toml: {}", error.message())))
    }

    /// Whether it writes letters of its own.
    pub fn publishes(&self) -> bool {
        !self.topics.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_follower_with_topics_publishes() {
        let reader = "name = \"loyalty\"\nops_port = 9070\nconsumes = [\"a.b.v1\"]\n";
        assert!(!Manifest::read(reader).unwrap().publishes());
        assert!(Manifest::read(&format!("{reader}topics = [\"c.d.v1\"]\n")).unwrap().publishes());
    }

    #[test]
    fn a_manifest_without_a_port_is_a_bad_configuration() {
        let refused = Manifest::read("name = \"loyalty\"\n").unwrap_err();
        assert_eq!(refused.to_string(), "service.toml: missing field `ops_port`");
        assert!(matches!(refused, Error::Config(_)));
    }
}
