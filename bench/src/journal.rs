//! What was acknowledged, written down for the audit: it looks whether the platform has kept all of it.

use std::{
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result};
use http::StatusCode;
use serde_json::json;
use tempfile::NamedTempFile;
use uuid::Uuid;

/// A file that goes with this.
#[derive(Debug)]
pub struct Journal(BufWriter<NamedTempFile>);

impl Journal {
    /// An empty one.
    pub fn create() -> Result<Self> {
        Ok(Self(BufWriter::new(NamedTempFile::new().context("there is no room for the journal")?)))
    }

    /// Writes down that this customer's order under this key was answered so.
    pub fn write(&mut self, customer: Uuid, order_id: Uuid, key: &[u8], status: StatusCode) -> Result<()> {
        let (key, status) = (std::str::from_utf8(key)?, status.as_u16());
        writeln!(self.0, "{}", json!({"key": key, "customer": customer, "order_id": order_id, "status": status}))?;
        Ok(())
    }

    /// The file, with everything in it.
    pub fn path(&mut self) -> Result<&Path> {
        self.0.flush()?;
        Ok(self.0.get_ref().path())
    }
}
