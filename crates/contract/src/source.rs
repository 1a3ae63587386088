//! What an app is deployed from: a few small files and the program that answers, packed as clients pack a folder.

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// The name of the program within the source.
pub const PROGRAM: &str = "contract-app";
const MTIME_SECONDS: u64 = 315_532_801;

/// A source tree.
#[derive(Debug, Clone)]
pub struct Source {
    files: Vec<(String, Vec<u8>)>,
}

impl Source {
    /// With these process types: a line of a Procfile each.
    pub fn new(procfile: &[&str]) -> Self {
        Self { files: vec![("Procfile".to_owned(), (procfile.join("\n") + "\n").into_bytes())] }
    }

    #[must_use]
    pub fn with_app_json(self, app_json: &Value) -> Self {
        self.with("app.json", &app_json.to_string())
    }

    #[must_use]
    pub fn with(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.as_bytes().to_vec()));
        self
    }

    /// As a gzipped tar.
    pub fn pack(&self, program: &Path) -> Result<Vec<u8>> {
        let bytes = std::fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
        let mut archive = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, content) in &self.files {
            append(&mut archive, name, content, 0o644)?;
        }
        append(&mut archive, PROGRAM, &bytes, 0o755)?;
        Ok(archive.into_inner()?.finish()?)
    }
}

fn append(archive: &mut Builder<GzEncoder<Vec<u8>>>, name: &str, content: &[u8], mode: u32) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_mtime(MTIME_SECONDS);
    archive.append_data(&mut header, name, content).with_context(|| format!("cannot pack {name}"))
}
